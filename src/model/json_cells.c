#include "json_cells.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How many bytes of cells can a byte of text become? A string loses its quotes, which pays for
 * the NUL; a literal quotes what the text quotes already. Only an element of a json array grows:
 * its quotes and backslashes are escaped and it is quoted as a whole, so that the three bytes
 *   "",     become the seven     "\"\"",     */
static size_t worst_growth(const struct relation *relation)
{
	for (size_t i = 0; i < relation->n_columns; i++)
		if (relation->columns[i].type->kind == TYPE_ARRAY)
			return 3;
	return 1;
}

int json_cells_start(const struct relation *relation, size_t len, struct patch *ret,
                     struct json_cells *cells)
{
	size_t n = relation->n_columns;
	size_t per_column = sizeof(*ret->cells) + sizeof(*ret->line) + sizeof(*ret->column) +
	                    sizeof(*ret->present);
	size_t head = n * per_column, bytes, size;

	if (__builtin_mul_overflow(len, worst_growth(relation), &bytes) ||
	    __builtin_add_overflow(head + 1, bytes, &size))
		return -ENOMEM;

	char *memory = malloc(size);

	if (!memory)
		return -ENOMEM;
	memset(memory, 0, head);
	ret->memory = memory;
	ret->cells = (struct cell *)memory;
	ret->line = (unsigned *)(ret->cells + n);
	ret->column = ret->line + n;
	ret->present = (bool *)(ret->column + n);
	*cells = (struct json_cells){memory + head, memory + head, memory + size, false};
	return 0;
}

void json_cells_add(struct json_cells *cells, const char *bytes, size_t len)
{
	if (len > (size_t)(cells->end - cells->to)) {
		cells->overrun = true;
		return;
	}
	if (len > 0)
		memcpy(cells->to, bytes, len);
	cells->to += len;
}

void json_cells_add_quoted(struct json_cells *cells, const char *bytes, size_t len)
{
	const char *p = bytes, *end = bytes + len;

	json_cells_add(cells, "\"", 1);
	while (p < end) {
		const char *run = p;

		while (p < end && *p != '"' && *p != '\\')
			p++;
		json_cells_add(cells, run, (size_t)(p - run));
		if (p < end)
			json_cells_add(cells, (char[]){'\\', *p++}, 2);
	}
	json_cells_add(cells, "\"", 1);
}

struct cell json_cells_take(struct json_cells *cells)
{
	struct cell cell = {cells->start, (size_t)(cells->to - cells->start)};

	json_cells_add(cells, "", 1);
	cells->start = cells->to;
	return cell;
}
