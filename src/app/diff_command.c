#include "diff_command.h"

#include <stdio.h>
#include <string.h>
#include <yajl/yajl_tree.h>

#include "kept_file.h"
#include "record.h"
#include "rowfs/model/json.h"
#include "say.h"

/* Of a longer value the beginning shows what it is about; all of it is in the file. */
enum { SHOWN_MAX = 1000 };

/* --- Values ---------------------------------------------------------------------------------- */

static void print_value(yajl_val value, struct buf *out);

static void print_object(yajl_val value, struct buf *out)
{
	buf_addc(out, '{');
	for (size_t i = 0; i < value->u.object.len; i++) {
		buf_adds(out, i ? ", " : "");
		json_print_string(value->u.object.keys[i], strlen(value->u.object.keys[i]), out);
		buf_adds(out, ": ");
		print_value(value->u.object.values[i], out);
	}
	buf_addc(out, '}');
}

static void print_array(yajl_val value, struct buf *out)
{
	buf_addc(out, '[');
	for (size_t i = 0; i < value->u.array.len; i++) {
		buf_adds(out, i ? ", " : "");
		print_value(value->u.array.values[i], out);
	}
	buf_addc(out, ']');
}

static void print_value(yajl_val value, struct buf *out)
{
	switch (value->type) {
	case yajl_t_string:
		json_print_string(value->u.string, strlen(value->u.string), out);
		break;
	case yajl_t_number:
		buf_adds(out, value->u.number.r);
		break;
	case yajl_t_object:
		print_object(value, out);
		break;
	case yajl_t_array:
		print_array(value, out);
		break;
	case yajl_t_true:
		buf_adds(out, "true");
		break;
	case yajl_t_false:
		buf_adds(out, "false");
		break;
	default:
		buf_adds(out, "null");
	}
}

/* --- Rows ------------------------------------------------------------------------------------ */

enum side { BASE, THEIRS, MINE, SIDES };

struct rows {
	yajl_val row[SIDES]; /* NULL: there is none */
};

static const char *const side_names[SIDES] = {"base", "theirs", "mine"};

static yajl_val parse_row(const struct buf *text)
{
	yajl_val row = text->data ? yajl_tree_parse(text->data, NULL, 0) : NULL;

	if (row && !YAJL_IS_OBJECT(row)) {
		yajl_tree_free(row);
		row = NULL;
	}
	return row;
}

static void rows_parse(const struct kept_file *file, struct rows *ret)
{
	ret->row[BASE] = parse_row(&file->base);
	ret->row[THEIRS] = parse_row(&file->theirs);
	ret->row[MINE] = parse_row(&file->mine);
}

static void rows_done(struct rows *rows)
{
	for (enum side side = 0; side < SIDES; side++)
		yajl_tree_free(rows->row[side]);
}

static yajl_val member(yajl_val row, const char *name)
{
	return row ? yajl_tree_get(row, (const char *[]){name, NULL}, yajl_t_any) : NULL;
}

static bool is_different(const struct buf *value, const struct buf *base)
{
	return value->len && (value->len != base->len || memcmp(value->data, base->data, base->len) != 0);
}

static void print_side(enum side side, const struct buf *value)
{
	if (value->len > SHOWN_MAX)
		printf("    %-7s %.*s… (%zu bytes)\n", side_names[side], SHOWN_MAX, value->data, value->len);
	else
		printf("    %-7s %s\n", side_names[side], value->data);
}

static void print_name(const char *name)
{
	_cleanup_buf_ struct buf shown = {0};

	record_show(name, &shown);
	printf("  %s\n", shown.data ? shown.data : "");
}

/* A column that is the same everywhere is not shown, nor is a side that leaves it as it was. */
static void print_column(const struct rows *rows, const char *name)
{
	struct buf values[SIDES] = {0};
	bool theirs, mine;

	for (enum side side = 0; side < SIDES; side++) {
		yajl_val value = member(rows->row[side], name);

		if (value)
			print_value(value, &values[side]);
	}
	theirs = is_different(&values[THEIRS], &values[BASE]);
	mine = is_different(&values[MINE], &values[BASE]);
	if (theirs || mine)
		print_name(name);
	if ((theirs || mine) && values[BASE].len)
		print_side(BASE, &values[BASE]);
	if (theirs)
		print_side(THEIRS, &values[THEIRS]);
	if (mine)
		print_side(MINE, &values[MINE]);
	for (enum side side = 0; side < SIDES; side++)
		buf_done(&values[side]);
}

/* Each column once: those of a side that no side before it has. */
static void print_columns(const struct rows *rows)
{
	for (enum side side = 0; side < SIDES; side++) {
		yajl_val row = rows->row[side];

		for (size_t i = 0; row && i < row->u.object.len; i++) {
			const char *name = row->u.object.keys[i];
			bool seen = false;

			for (enum side before = 0; before < side; before++)
				seen |= member(rows->row[before], name) != NULL;
			if (!seen)
				print_column(rows, name);
		}
	}
}

/* --- The command ----------------------------------------------------------------------------- */

static void print(const struct kept_file *file, const struct rows *rows)
{
	_cleanup_buf_ struct buf row = {0};

	record_show(file->row, &row);
	printf("%s\n%s", row.data ? row.data : "", file->reason.data);
	if (file->has_base && file->base.len == 0)
		printf("base: none, it was to be a new row\n");
	if (file->has_theirs && file->theirs.len == 0)
		printf("theirs: the row is deleted\n");
	if (!rows->row[MINE])
		printf("mine: no JSON object, see %s\n", file->path);
	print_columns(rows);
}

enum exit_code diff_run(int argc, char **argv)
{
	_cleanup_kept_file_ struct kept_file file = {0};
	_cleanup_(rows_done) struct rows rows = {0};
	struct error e = {0};

	if (argc != 2 || argv[1][0] == '-') {
		say("usage: rowfs diff FILE; the file is in MOUNTPOINT/.rowfs/conflicts, or .rowfs/rejected");
		return EXIT_USAGE;
	}
	if (kept_file_open(argv[1], &file, &e) < 0) {
		say_error(&e);
		return EXIT_USAGE;
	}
	rows_parse(&file, &rows);
	print(&file, &rows);
	return fflush(stdout) < 0 ? EXIT_INTERNAL : EXIT_DONE;
}
