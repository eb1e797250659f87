#include "rowfs/model/popularity.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char mark[] = "rowfs-hot 1\n";

/* Longer names there are none, nor larger summaries: whoever wrote them, they are bounded. */
enum { NAME_BYTES = 255, TABLES_MAX = 65536, ROWS_MAX = 1 << 20 };

/* --- Collecting ------------------------------------------------------------------------------ */

static bool grow(void **array, size_t *room, size_t n, size_t size)
{
	size_t more = *room ? *room * 2 : 64;
	void *grown;

	if (n < *room)
		return true;
	grown = realloc(*array, more * size);
	if (!grown)
		return false;
	*array = grown;
	*room = more;
	return true;
}

void popularity_add_table(struct popularity *popularity, const struct table_reads *table)
{
	if (popularity->n_tables == TABLES_MAX ||
	    !grow((void **)&popularity->tables, &popularity->tables_room, popularity->n_tables, sizeof *table))
		popularity->failed = true;
	else
		popularity->tables[popularity->n_tables++] = *table;
}

void popularity_add_row(struct popularity *popularity, const struct row_reads *row)
{
	struct row_reads copy = *row;

	copy.name = strdup(row->name);
	if (!copy.name || popularity->n_rows == ROWS_MAX ||
	    !grow((void **)&popularity->rows, &popularity->rows_room, popularity->n_rows, sizeof *row)) {
		popularity->failed = true;
		free(copy.name);
		return;
	}
	popularity->rows[popularity->n_rows++] = copy;
}

void popularity_done(struct popularity *popularity)
{
	for (size_t i = 0; i < popularity->n_rows; i++)
		free(popularity->rows[i].name);
	free(popularity->rows);
	free(popularity->tables);
	*popularity = (struct popularity){0};
}

/* --- Settling -------------------------------------------------------------------------------- */

static int descending(uint64_t a, uint64_t b)
{
	return a < b ? 1 : a > b ? -1 : 0;
}

static int ascending(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

static int by_relation(const void *a, const void *b)
{
	return ascending(((const struct table_reads *)a)->relation, ((const struct table_reads *)b)->relation);
}

static int by_lately(const void *a, const void *b)
{
	int r = descending(((const struct table_reads *)a)->lately, ((const struct table_reads *)b)->lately);

	return r ? r : by_relation(a, b);
}

static int by_name(const void *a, const void *b)
{
	const struct row_reads *x = a, *y = b;
	int r = ascending(x->relation, y->relation);

	return r ? r : strcmp(x->name, y->name);
}

static int by_count(const void *a, const void *b)
{
	const struct row_reads *x = a, *y = b;
	int r = descending(x->count, y->count);

	return r ? r : by_name(a, b);
}

static int by_relation_and_count(const void *a, const void *b)
{
	int r = ascending(((const struct row_reads *)a)->relation, ((const struct row_reads *)b)->relation);

	return r ? r : by_count(a, b);
}

static void sort(void *array, size_t n, size_t size, int (*compare)(const void *, const void *))
{
	if (n > 1)
		qsort(array, n, size, compare);
}

static void join_table(struct table_reads *into, const struct table_reads *table)
{
	for (int tier = 0; tier < TIERS; tier++)
		into->reads[tier] += table->reads[tier];
	into->lately += table->lately;
	into->lately_bytes += table->lately_bytes;
}

static void settle_tables(struct popularity *popularity)
{
	struct table_reads *tables = popularity->tables;
	size_t n = 0;

	sort(tables, popularity->n_tables, sizeof *tables, by_relation);
	for (size_t i = 0; i < popularity->n_tables; i++) {
		if (n && tables[n - 1].relation == tables[i].relation)
			join_table(&tables[n - 1], &tables[i]);
		else
			tables[n++] = tables[i];
	}
	popularity->n_tables = n;
	sort(tables, n, sizeof *tables, by_lately);
}

static void settle_rows(struct popularity *popularity)
{
	struct row_reads *rows = popularity->rows;
	size_t n = 0;

	sort(rows, popularity->n_rows, sizeof *rows, by_name);
	for (size_t i = 0; i < popularity->n_rows; i++) {
		if (n && by_name(&rows[n - 1], &rows[i]) == 0) {
			rows[n - 1].count += rows[i].count;
			free(rows[i].name);
		} else {
			rows[n++] = rows[i];
		}
	}
	popularity->n_rows = n;
	sort(rows, n, sizeof *rows, by_relation_and_count);
}

void popularity_settle(struct popularity *popularity)
{
	settle_tables(popularity);
	settle_rows(popularity);
}

void popularity_keep_rows(struct popularity *popularity, size_t most)
{
	sort(popularity->rows, popularity->n_rows, sizeof *popularity->rows, by_count);
	while (popularity->n_rows > most)
		free(popularity->rows[--popularity->n_rows].name);
}

const struct row_reads *popularity_rows(const struct popularity *popularity, uint32_t relation, size_t *ret_n)
{
	size_t from = 0, to;

	while (from < popularity->n_rows && popularity->rows[from].relation != relation)
		from++;
	for (to = from; to < popularity->n_rows && popularity->rows[to].relation == relation;)
		to++;
	*ret_n = to - from;
	return popularity->rows + from;
}

/* --- As text --------------------------------------------------------------------------------- */

void popularity_print(const struct popularity *popularity, struct buf *out)
{
	buf_adds(out, mark);
	for (size_t i = 0; i < popularity->n_tables; i++) {
		const struct table_reads *table = &popularity->tables[i];

		buf_addf(out, "t %" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
			 table->relation, table->reads[TIER_MEMORY], table->reads[TIER_REDIS],
			 table->reads[TIER_STORE], table->lately, table->lately_bytes);
	}
	for (size_t i = 0; i < popularity->n_rows; i++) {
		const struct row_reads *row = &popularity->rows[i];

		buf_addf(out, "r %" PRIu32 " %" PRIu64 " %" PRIu32 " %s\n", row->relation, row->count, row->bytes,
			 row->name);
	}
}

static bool parse_table(struct popularity *popularity, const char *line)
{
	struct table_reads table = {0};
	int used = -1;

	sscanf(line, "t %10" SCNu32 " %18" SCNu64 " %18" SCNu64 " %18" SCNu64 " %18" SCNu64 " %18" SCNu64 "%n",
	       &table.relation, &table.reads[TIER_MEMORY], &table.reads[TIER_REDIS], &table.reads[TIER_STORE],
	       &table.lately, &table.lately_bytes, &used);
	if (used < 0 || line[used])
		return false;
	popularity_add_table(popularity, &table);
	return true;
}

static bool parse_row(struct popularity *popularity, const char *line)
{
	struct row_reads row = {0};
	int used = -1;

	sscanf(line, "r %10" SCNu32 " %18" SCNu64 " %10" SCNu32 "%n", &row.relation, &row.count, &row.bytes, &used);
	if (used < 0 || line[used++] != ' ' || !line[used] || strlen(line + used) > NAME_BYTES || strchr(line + used, '/'))
		return false;
	row.name = (char *)line + used;
	popularity_add_row(popularity, &row);
	return true;
}

static bool parse_line(struct popularity *popularity, const char *line)
{
	return line[0] == 't' ? parse_table(popularity, line) : parse_row(popularity, line);
}

/* Give up what came after these. */
static void cut(struct popularity *popularity, size_t n_tables, size_t n_rows)
{
	popularity->n_tables = n_tables;
	while (popularity->n_rows > n_rows)
		free(popularity->rows[--popularity->n_rows].name);
}

bool popularity_parse(struct popularity *popularity, const char *text, size_t len)
{
	size_t n_tables = popularity->n_tables, n_rows = popularity->n_rows, head = strlen(mark);
	_cleanup_free_ char *copy = NULL;
	bool good = true;
	char *line, *end;

	if (len < head || memcmp(text, mark, head) != 0 || text[len - 1] != '\n' || memchr(text, '\0', len))
		return false;
	copy = strndup(text + head, len - head);
	if (!copy)
		return false;
	for (line = copy; good && *line; line = end + 1) {
		end = strchr(line, '\n');
		*end = '\0';
		good = parse_line(popularity, line);
	}
	if (!good)
		cut(popularity, n_tables, n_rows);
	return good;
}
