/* Any bytes as a row's text: what is taken is complete, prints, and what was printed is taken again
 * and says the same. */
#include "rowfs/model/diff.h"
#include "rowfs/model/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/sample.h"

/* What is an object by its tokens is one by its braces, in pieces too; what these say is broken is. */
static void check_scan(const char *text, size_t size, enum json_progress progress)
{
	struct json_scan whole = {0}, pieces = {0};
	size_t half = size / 2;

	json_scan(&whole, text, size);
	json_scan(&pieces, text, half);
	json_scan(&pieces, text + half, size - half);
	if (whole.progress != pieces.progress)
		abort();
	if (progress == JSON_BROKEN ? whole.progress == JSON_EMPTY : whole.progress != progress)
		abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static struct column columns[] = {
        SAMPLE_COLUMN("t", text),    SAMPLE_COLUMN("i", int8),     SAMPLE_COLUMN("f", float8),
        SAMPLE_COLUMN("n", numeric), SAMPLE_COLUMN("b", bool),     SAMPLE_COLUMN("j", json),
        SAMPLE_COLUMN("jb", jsonb),  SAMPLE_COLUMN("ts", texts),   SAMPLE_COLUMN("is", int8s),
        SAMPLE_COLUMN("js", jsons),  SAMPLE_COLUMN("jbs", jsonbs), SAMPLE_COLUMN("ds", domains),
};
enum { COLUMNS = sizeof(columns) / sizeof(*columns) };

/* A literal that the text gave in a string may be one that no server would print. */
static bool strict(size_t column)
{
	return columns[column].type->kind != TYPE_ARRAY;
}

static void print_again(const struct relation *relation, struct patch *patch)
{
	_cleanup_patch_ struct patch again = {0};
	_cleanup_buf_ struct buf text = {0};
	struct error e = {0};

	for (size_t i = 0; i < COLUMNS; i++)
		if (!patch->present[i] || !strict(i))
			patch->cells[i] = (struct cell){0};
	json_print(relation, patch->cells, &text);
	if (json_parse(relation, text.data, text.len, &again, &e) < 0)
		abort();
	for (size_t i = 0; i < COLUMNS; i++)
		if (!again.present[i] ||
		    !json_same_value(columns[i].type, patch->cells[i], again.cells[i]))
			abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct key_part part = {0};
	struct relation relation = sample_relation(columns, COLUMNS, &part, 1);
	_cleanup_patch_ struct patch patch = {0};
	_cleanup_buf_ struct buf out = {0};
	/* Its own allocation, so that reading behind its end is seen. */
	_cleanup_free_ char *text = malloc(size + 1);
	struct error e = {0};
	enum json_progress progress;

	memcpy(text, data, size);
	text = realloc(text, size ? size : 1);
	progress = json_progress(text, size);
	check_scan(text, size, progress);
	if (json_parse(&relation, text, size, &patch, &e) < 0) {
		if (e.err != EINVAL || e.line == 0 || e.column == 0 || !e.message[0])
			abort();
		return 0;
	}
	if (progress != JSON_COMPLETE)
		abort();
	/* Every cell, literals too, without the comparison. */
	json_print(&relation, patch.cells, &out);
	print_again(&relation, &patch);
	return 0;
}
