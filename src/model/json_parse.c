/* A row's text → a patch. json_read gives checked events; this file knows which column they are
 * for, and turns each value into the text that PostgreSQL takes for its type.
 *
 *   OUTSIDE --{--> MEMBERS --key--> VALUE --scalar--> MEMBERS ... --}--> OUTSIDE
 *                                     |--[, array column--> ELEMENTS --]--> MEMBERS
 *                                     |--{ or [, json--> INSIDE_JSON --its end--> MEMBERS or
 * ELEMENTS
 */
#include "rowfs/model/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json_cells.h"
#include "json_read.h"
#include "json_refuse.h"
#include "json_string.h"

enum state { OUTSIDE, MEMBERS, VALUE, ELEMENTS, INSIDE_JSON };

/* A json value that is an object or array, while its end is not known. Its bytes are taken as they
 * stand, without the wrapping {"%": …} if it has that. */
struct json_value {
	enum state outer; /* where it stands: VALUE or ELEMENTS */
	size_t start;
	unsigned depth;                /* open brackets, its own counted */
	size_t members;                /* of the outermost object */
	bool wraps;                    /* that is an object whose first key is "%" */
	size_t inner_start, inner_end; /* the last value directly in it; start 0: not yet begun */
};

/* An array column, while its literal is being written. */
struct array_value {
	unsigned depth;  /* open brackets */
	unsigned leaves; /* how deep elements stand, 0 while there was none */
	bool comma;      /* something stands before the next element */
};

struct parsing {
	const struct relation *relation;
	const char *text;
	size_t len;
	struct patch *patch;
	struct json_cells cells;
	enum state state;
	size_t column; /* of the value being read */
	size_t next;   /* where the next key is expected: texts keep the columns' order */
	struct json_value json;
	struct array_value array;
	struct json_place place;
	struct error *e;
};

static const struct column *column_of(const struct parsing *p)
{
	return &p->relation->columns[p->column];
}

/* The type of the value being read, which may be an array's element. */
static const struct type *type_of(const struct parsing *p)
{
	const struct type *type = column_of(p)->type;

	return p->array.depth > 0 ? type->element : type;
}

static bool is_json(const struct type *type)
{
	return type->kind == TYPE_JSON || type->kind == TYPE_JSONB;
}

static int refuse_kind(struct parsing *p, const struct json_event *event)
{
	return json_refuse_kind(p->e, &p->place, column_of(p), p->array.depth > 0, event);
}

/* json_read knows that the escapes are well formed; this, that they mean something. */
static int check_string(struct parsing *p, const struct json_event *event)
{
	size_t inside = event->start + 1, len = event->end - 1 - inside, offset;
	bool in_value = p->state != MEMBERS;
	/* The one type that stores \u0000, as the six characters that it is. */
	bool nul_allowed = in_value && type_of(p)->kind == TYPE_JSON;
	const char *reason = json_string_flaw(p->text + inside, len, nul_allowed, &offset);

	if (!reason)
		return 0;
	return json_refuse(p->e, &p->place, inside + offset, in_value ? column_of(p) : NULL, "%s",
	                   reason);
}

static int on_key(struct parsing *p, const struct json_event *event)
{
	size_t i = p->next;

	if (i >= p->relation->n_columns || strlen(p->relation->columns[i].name) != event->len ||
	    memcmp(p->relation->columns[i].name, event->string, event->len) != 0)
		i = relation_column(p->relation, event->string, event->len);
	if (i == SIZE_MAX)
		return json_refuse_unknown(p->e, &p->place, p->relation, event);
	if (p->patch->present[i])
		return json_refuse(p->e, &p->place, event->start, &p->relation->columns[i],
		                   "column \"%s\" is there twice", p->relation->columns[i].name);
	p->column = i;
	p->next = i + 1;
	p->state = VALUE;
	return 0;
}

static int end_column(struct parsing *p, struct cell cell)
{
	p->patch->cells[p->column] = cell;
	p->patch->present[p->column] = true;
	p->state = MEMBERS;
	return 0;
}

/* What goes between an element and the one before it. */
static void separate(struct parsing *p)
{
	if (p->array.comma)
		json_cells_add(&p->cells, &column_of(p)->type->delimiter, 1);
	p->array.comma = true;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* json keeps the white space around a value, and json_print() prints it: what there is beyond the
 * one space after a colon or comma, and the newline before the row's closing brace, is the value's
 * own. */
static void widen(const struct parsing *p, bool wrapped, size_t *start, size_t *end)
{
	size_t from = *start, to = *end;

	while (from > 0 && is_space(p->text[from - 1]))
		from--;
	if (from < *start && p->text[from] == ' ' && p->text[from - 1] != '[')
		from++;
	while (to < p->len && is_space(p->text[to]))
		to++;
	if (!wrapped && to > *end && to < p->len && p->text[to] == '}' && p->text[to - 1] == '\n')
		to--;
	*start = from;
	*end = to;
}

/* A whole json value, from `start` to `end` of the text. */
static int add_json(struct parsing *p, enum state outer, bool wrapped, size_t start, size_t end)
{
	if (type_of(p)->kind == TYPE_JSON)
		widen(p, wrapped, &start, &end);
	if (outer == ELEMENTS) {
		separate(p);
		json_cells_add_quoted(&p->cells, p->text + start, end - start);
		p->state = ELEMENTS;
		return 0;
	}
	json_cells_add(&p->cells, p->text + start, end - start);
	return end_column(p, json_cells_take(&p->cells));
}

static int on_json(struct parsing *p, const struct json_event *event)
{
	if (event->kind != JSON_OBJECT && event->kind != JSON_ARRAY)
		return add_json(p, p->state, false, event->start, event->end);
	p->json = (struct json_value){.outer = p->state, .start = event->start, .depth = 1};
	p->state = INSIDE_JSON;
	return 0;
}

static int end_json(struct parsing *p, const struct json_event *event)
{
	const struct json_value *json = &p->json;

	if (json->members == 1 && json->wraps)
		return add_json(p, json->outer, true, json->inner_start, json->inner_end);
	return add_json(p, json->outer, false, json->start, event->end);
}

static int on_inside(struct parsing *p, const struct json_event *event)
{
	struct json_value *json = &p->json;
	bool opens = event->kind == JSON_OBJECT || event->kind == JSON_ARRAY;
	bool closes = event->kind == JSON_OBJECT_END || event->kind == JSON_ARRAY_END;

	json->depth -= closes;
	if (json->depth == 0)
		return end_json(p, event);
	if (json->depth == 1 && event->kind == JSON_KEY) {
		json->members++;
		json->wraps = event->len == 1 && event->string[0] == '%';
	} else if (json->depth == 1) {
		if (!closes)
			json->inner_start = event->start;
		json->inner_end = event->end;
	}
	json->depth += opens;
	return 0;
}

/* PostgreSQL's text of a scalar; false if the type does not take it. */
static bool scalar_text(const struct parsing *p, const struct json_event *event, const char **ret,
                        size_t *ret_len)
{
	enum type_kind kind = type_of(p)->kind;
	const char *raw = p->text + event->start;

	if (event->kind == JSON_STRING && kind != TYPE_BOOL) {
		*ret = event->string;
		*ret_len = event->len;
		return true;
	}
	if (event->kind == JSON_BOOL && kind == TYPE_BOOL) {
		*ret = raw; /* its first letter */
		*ret_len = 1;
		return true;
	}
	if (event->kind == JSON_NUMBER &&
	    (kind == TYPE_INTEGER || kind == TYPE_FLOAT || kind == TYPE_NUMERIC)) {
		*ret = raw;
		*ret_len = event->end - event->start;
		return true;
	}
	return false;
}

static int refuse_uneven(struct parsing *p, const struct json_event *event)
{
	return json_refuse(p->e, &p->place, event->start, column_of(p),
	                   "the arrays in column \"%s\" are not nested equally deep",
	                   column_of(p)->name);
}

static int open_array(struct parsing *p, const struct json_event *event)
{
	if (p->array.leaves > 0 && p->array.depth >= p->array.leaves)
		return refuse_uneven(p, event);
	separate(p);
	json_cells_add(&p->cells, "{", 1);
	p->array.depth++;
	p->array.comma = false;
	p->state = ELEMENTS;
	return 0;
}

static int close_array(struct parsing *p)
{
	json_cells_add(&p->cells, "}", 1);
	p->array.depth--;
	p->array.comma = true;
	return p->array.depth > 0 ? 0 : end_column(p, json_cells_take(&p->cells));
}

static int on_leaf(struct parsing *p, const struct json_event *event)
{
	const char *text = "NULL";
	size_t len = 4;

	if (event->kind != JSON_NULL && !scalar_text(p, event, &text, &len))
		return refuse_kind(p, event);
	if (p->array.leaves > 0 && p->array.leaves != p->array.depth)
		return refuse_uneven(p, event);
	p->array.leaves = p->array.depth;
	separate(p);
	/* A string is quoted whatever is in it, so that "NULL" and "" stay strings. */
	if (event->kind == JSON_STRING)
		json_cells_add_quoted(&p->cells, text, len);
	else
		json_cells_add(&p->cells, text, len);
	return 0;
}

static int on_element(struct parsing *p, const struct json_event *event)
{
	const struct type *type = type_of(p);

	if (event->kind == JSON_ARRAY_END)
		return close_array(p);
	if (event->kind == JSON_NULL)
		return on_leaf(p, event);
	if (is_json(type))
		return on_json(p, event);
	if (event->kind == JSON_ARRAY)
		return open_array(p, event);
	return on_leaf(p, event);
}

static int on_value(struct parsing *p, const struct json_event *event)
{
	const struct type *type = column_of(p)->type;
	const char *text;
	size_t len;

	json_place_move(&p->place, event->start);
	p->patch->line[p->column] = p->place.line;
	p->patch->column[p->column] = p->place.column;
	if (event->kind == JSON_NULL)
		return end_column(p, (struct cell){0});
	if (is_json(type))
		return on_json(p, event);
	if (type->kind == TYPE_ARRAY && event->kind == JSON_ARRAY) {
		p->array = (struct array_value){0};
		return open_array(p, event);
	}
	if (!scalar_text(p, event, &text, &len))
		return refuse_kind(p, event);
	json_cells_add(&p->cells, text, len);
	return end_column(p, json_cells_take(&p->cells));
}

static int on_event(void *arg, const struct json_event *event)
{
	struct parsing *p = arg;

	if ((event->kind == JSON_STRING || event->kind == JSON_KEY) && check_string(p, event) < 0)
		return -EINVAL;
	switch (p->state) {
	case OUTSIDE:
		p->state = MEMBERS;
		return 0;
	case MEMBERS:
		if (event->kind == JSON_KEY)
			return on_key(p, event);
		p->state = OUTSIDE;
		return 0;
	case VALUE:
		return on_value(p, event);
	case ELEMENTS:
		return on_element(p, event);
	case INSIDE_JSON:
		return on_inside(p, event);
	}
	return 0;
}

static int parse(struct parsing *p, size_t len)
{
	struct json_flaw flaw;
	enum json_read_result result = json_read(p->text, len, on_event, p, &flaw);
	const struct column *column =
	        p->state == VALUE || p->state == ELEMENTS || p->state == INSIDE_JSON ? column_of(p)
	                                                                             : NULL;

	switch (result) {
	case READ_COMPLETE:
		if (!p->cells.overrun)
			return 0;
		break;
	case READ_STOPPED:
		return -EINVAL;
	case READ_INCOMPLETE:
		return json_refuse(p->e, &p->place, len, column, "%s",
		                   "the text ends before its JSON object does");
	case READ_BROKEN:
		return json_refuse(p->e, &p->place, flaw.offset, column, "not JSON: %s",
		                   flaw.reason);
	case READ_NO_MEMORY:
		break;
	}
	return error_set(p->e, ENOMEM, "out of memory while reading the text");
}

int json_parse(const struct relation *relation, const char *text, size_t len, struct patch *ret,
               struct error *e)
{
	_cleanup_patch_ struct patch patch = {0};
	struct parsing p = {
	        .relation = relation, .text = text, .len = len, .patch = &patch, .e = e};
	int r = json_cells_start(relation, len, &patch, &p.cells);

	if (r < 0)
		return error_set(e, -r, "out of memory while reading the text");
	json_place_start(&p.place, text);
	r = parse(&p, len);
	if (r < 0)
		return r;
	*ret = patch;
	patch = (struct patch){0};
	return 0;
}

void patch_done(struct patch *patch)
{
	free(patch->memory);
	*patch = (struct patch){0};
}
