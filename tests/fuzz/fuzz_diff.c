/* Two texts with a NUL between them, a row and what an editor made of it: what differs is written, nothing else is,
 * and the row that this gives differs from the edited text in nothing. */
#include "rowfs/model/diff.h"
#include "rowfs/model/statement.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/sample.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static struct column columns[] = {
        SAMPLE_COLUMN("id", int8),     SAMPLE_COLUMN("k", text),      SAMPLE_COLUMN("t", text),
        SAMPLE_COLUMN("i", int8),      SAMPLE_COLUMN("f", float8),    SAMPLE_COLUMN("n", numeric),
        SAMPLE_COLUMN("b", bool),      SAMPLE_COLUMN("j", json),      SAMPLE_COLUMN("jb", jsonb),
        SAMPLE_COLUMN("ts", texts),    SAMPLE_COLUMN("is", int8s),    SAMPLE_COLUMN("fs", float8s),
        SAMPLE_COLUMN("bs", bools),    SAMPLE_COLUMN("js", jsons),    SAMPLE_COLUMN("jbs", jsonbs),
        SAMPLE_COLUMN("ds", domains),  SAMPLE_COLUMN("xs", boxes),    SAMPLE_COLUMN("q\"", text),
        SAMPLE_COLUMN("g", numeric, .generated = true),
};
enum { COLUMNS = sizeof(columns) / sizeof(*columns), KEYS = 2 };

static struct key_part parts[KEYS] = {{.operator_schema = (char *)"pg_catalog"},
                                      {.operator_schema = (char *)"pg_catalog"}};

static void check(bool so)
{
	if (!so)
		abort();
}

/* Its own allocation, so that reading behind its end is seen. */
static int parse(const struct relation *relation, const void *bytes, size_t len, struct patch *ret)
{
	_cleanup_free_ char *text = malloc(len ? len : 1);
	struct error e = {0};

	memcpy(text, bytes, len);
	return json_parse(relation, text, len, ret, &e);
}

/* The character at a line and column, as an editor counts. */
static char char_at(const char *text, unsigned line, unsigned column)
{
	for (; line > 1; line--)
		text = strchr(text, '\n') + 1;
	for (; column > 1; column--)
		do
			text++;
		while ((*text & 0xc0) == 0x80);
	return *text;
}

static bool prints_again(const struct relation *relation, size_t i, struct cell cell)
{
	struct relation alone = *relation;
	_cleanup_patch_ struct patch again = {0};
	_cleanup_buf_ struct buf text = {0};

	alone.columns = &columns[i];
	alone.n_columns = 1;
	json_print(&alone, &cell, &text);
	return parse(&alone, text.data, text.len, &again) == 0 &&
	       json_same_value(columns[i].type, cell, again.cells[0]);
}

/* Absent columns become NULL, and so do literals in a string that no server would have taken. */
static void settle(const struct relation *relation, const char *text, struct patch *patch)
{
	for (size_t i = 0; i < COLUMNS; i++) {
		bool told = patch->present[i] && patch->cells[i].data &&
		            columns[i].type->kind == TYPE_ARRAY &&
		            char_at(text, patch->line[i], patch->column[i]) == '"';

		if (told && !prints_again(relation, i, patch->cells[i]))
			patch->present[i] = false;
		if (!patch->present[i])
			patch->cells[i] = (struct cell){0};
	}
}

/* As a server would print it, and read from that; which is the same row. */
static void print_and_parse(const struct relation *relation, const struct cell *cells,
                            struct patch *ret)
{
	_cleanup_buf_ struct buf text = {0};

	json_print(relation, cells, &text);
	check(parse(relation, text.data, text.len, ret) == 0);
	for (size_t i = 0; i < COLUMNS; i++)
		check(ret->present[i] &&
		      json_same_value(columns[i].type, cells[i], ret->cells[i]));
}

static size_t diff(const struct relation *relation, const struct cell *base,
                   const struct patch *edited, bool *changed)
{
	const struct cells key = {KEYS, (struct cell *)base};
	struct error e = {0};
	size_t n;

	check(diff_patch(relation, &key, base, edited, changed, &n, &e) == 0);
	return n;
}

static bool may_change(const struct relation *relation, size_t i)
{
	return !relation_is_key(relation, i) && !columns[i].generated;
}

/* Leave out of `edited` what may not change and has changed. That is refused, with its place. */
static void drop_refused(const struct relation *relation, const struct patch *base,
                         struct patch *edited)
{
	const struct cells key = {KEYS, base->cells};
	bool changed[COLUMNS], refused = false;
	struct error e = {0};
	size_t n;
	int r = diff_patch(relation, &key, base->cells, edited, changed, &n, &e);

	for (size_t i = 0; i < COLUMNS; i++) {
		if (may_change(relation, i) || !edited->present[i] ||
		    json_same_value(columns[i].type, base->cells[i], edited->cells[i]))
			continue;
		check(r == -EINVAL && e.line && e.column && e.message[0] && e.hint[0]);
		if (!refused)
			check(strcmp(e.field, columns[i].name) == 0);
		refused = true;
		edited->present[i] = false;
	}
	check(refused || r == 0);
}

static void add_quoted(struct buf *out, const char *name)
{
	buf_addc(out, '"');
	for (; *name; name++)
		buf_adds(out, *name == '"' ? "\"\"" : (char[]){*name, '\0'});
	buf_addc(out, '"');
}

static void check_value(const struct statement *statement, size_t at, size_t column,
                        struct cell value)
{
	check(at < statement->n && statement->types[at] == columns[column].type->oid &&
	      cell_equal(statement->values[at], value));
}

/* The columns that changed are assigned, in order, and no other; then come the key, what must still be so, and the key
 * of the row as it was before. */
static void check_update(const struct relation *relation, const struct patch *base,
                         const struct patch *edited, const bool *changed, const bool *checked, size_t n)
{
	const struct cells key = {KEYS, base->cells};
	_cleanup_statement_ struct statement statement = {0};
	_cleanup_buf_ struct buf head = {0};
	size_t at = 0, from = n + KEYS;

	check(statement_patch(relation, &key, base->cells, edited, changed, checked, &statement) == 0);
	buf_adds(&head, "UPDATE ONLY \"public\".\"sample\" AS t SET ");
	for (size_t i = 0; i < COLUMNS; i++) {
		if (checked ? checked[i] : changed[i])
			check_value(&statement, from++, i, base->cells[i]);
		if (!changed[i])
			continue;
		check_value(&statement, at, i, edited->cells[i]);
		buf_adds(&head, at > 0 ? ", " : "");
		add_quoted(&head, columns[i].name);
		buf_addf(&head, " = $%zu", ++at);
	}
	buf_adds(&head, " WHERE ");
	for (size_t i = 0; i < KEYS; i++)
		check_value(&statement, n + i, i, base->cells[i]);
	check(at == n && statement.writes && statement.n >= from);
	check(strncmp(statement.sql, head.data, head.len) == 0);
}

/* As it is; with all that is there and may change; and with nothing, which still has the base to tell what was kept. */
static void check_updates(const struct relation *relation, const struct patch *base,
                          const struct patch *edited, const bool *changed, size_t n)
{
	bool all[COLUMNS], none[COLUMNS] = {false};

	if (n == 0)
		return;
	for (size_t i = 0; i < COLUMNS; i++)
		all[i] = edited->present[i] && may_change(relation, i);
	check_update(relation, base, edited, changed, NULL, n);
	check_update(relation, base, edited, changed, all, n);
	check_update(relation, base, edited, changed, none, n);
}

/* The key is the name's; the rest is what is there, but for what is generated. */
static void check_insert(const struct relation *relation, const struct patch *base,
                         const struct patch *edited)
{
	const struct cells key = {KEYS, base->cells};
	_cleanup_statement_ struct statement statement = {0};
	_cleanup_buf_ struct buf head = {0};
	size_t at = 0;

	check(statement_insert(relation, &key, edited, &statement) == 0);
	buf_adds(&head, "INSERT INTO \"public\".\"sample\" AS t (");
	for (size_t i = 0; i < COLUMNS; i++) {
		bool is_key = relation_is_key(relation, i);

		if (columns[i].generated || (!is_key && !edited->present[i]))
			continue;
		check_value(&statement, at, i, is_key ? base->cells[i] : edited->cells[i]);
		buf_adds(&head, at++ > 0 ? ", " : "");
		add_quoted(&head, columns[i].name);
	}
	buf_adds(&head, ") OVERRIDING SYSTEM VALUE VALUES ($1, ");
	/* What is generated is only compared. */
	for (size_t i = 0; i < COLUMNS; i++)
		if (columns[i].generated && edited->present[i])
			check_value(&statement, at++, i, edited->cells[i]);
	check(at == statement.n && strncmp(statement.sql, head.data, head.len) == 0);
}

static void try_edit(const struct relation *relation, const struct patch *base,
                     struct patch *edited)
{
	_cleanup_patch_ struct patch applied = {0};
	struct cell cells[COLUMNS];
	bool changed[COLUMNS];
	size_t n, marked = 0;

	drop_refused(relation, base, edited);
	n = diff(relation, base->cells, edited, changed);
	for (size_t i = 0; i < COLUMNS; i++) {
		check(!changed[i] || (edited->present[i] && may_change(relation, i)));
		cells[i] = changed[i] ? edited->cells[i] : base->cells[i];
		marked += changed[i];
	}
	check(n == marked);
	check_updates(relation, base, edited, changed, n);
	check_insert(relation, base, edited);
	print_and_parse(relation, cells, &applied);
	check(diff(relation, applied.cells, edited, changed) == 0);
}

static void try_texts(const struct relation *relation, const char *first, const char *second,
                      size_t second_len)
{
	_cleanup_patch_ struct patch given = {0}, base = {0}, edited = {0};
	bool changed[COLUMNS];

	if (parse(relation, first, strlen(first), &given) < 0 ||
	    parse(relation, second, second_len, &edited) < 0)
		return;
	settle(relation, first, &given);
	settle(relation, second, &edited);
	check(diff(relation, given.cells, &given, changed) == 0);
	print_and_parse(relation, given.cells, &base);
	check(diff(relation, base.cells, &given, changed) == 0);
	try_edit(relation, &base, &edited);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct relation relation = sample_relation(columns, COLUMNS, parts, KEYS);
	_cleanup_buf_ struct buf texts = {0};
	size_t len;

	buf_add(&texts, data, size);
	buf_addc(&texts, '\0');
	len = strlen(texts.data);
	try_texts(&relation, texts.data, texts.data + len + (len < size), size - len - (len < size));
	return 0;
}
