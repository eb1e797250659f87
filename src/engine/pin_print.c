/* What status says of a table whose rows are pinned. */
#include "pin_table.h"

#include <inttypes.h>

static void print_waiting(const struct pin_table *table, struct buf *out)
{
	if (table->backoff_ms)
		buf_addf(out, ", %s", table->why);
}

/* A name may hold what would be lines of their own. */
static void print_name(const char *name, struct buf *out)
{
	for (; *name; name++)
		buf_addc(out, (unsigned char)*name < ' ' || *name == 0x7f ? '?' : *name);
}

void pin_table_print(const struct pin_table *table, struct buf *out)
{
	print_name(table->relation->space, out);
	buf_addc(out, '.');
	print_name(table->relation->name, out);
	buf_adds(out, ": ");
	switch (table->state) {
	case PIN_OFF:
		buf_adds(out, "off");
		print_waiting(table, out);
		break;
	case PIN_UNFIT:
		buf_addf(out, "lazy, since %s", table->why);
		break;
	case PIN_FAILED:
		buf_adds(out, table->why);
		break;
	case PIN_FULL:
		buf_addf(out, "%" PRIu64 " rows pinned, %s", table->count, table->why);
		break;
	case PIN_CLEARING:
		buf_adds(out, "clearing");
		break;
	case PIN_LOADING:
		if (table->unfed)
			buf_adds(out, "lazy, since no change feed covers it");
		else
			buf_addf(out, "loading, %" PRIu64 " rows so far", table->rows);
		print_waiting(table, out);
		break;
	case PIN_LOADED:
		buf_addf(out, "%" PRIu64 " rows pinned", table->count);
		if (table->crowds)
			buf_adds(out, ", taking the place of others, since Redis is full");
		print_waiting(table, out);
	}
}
