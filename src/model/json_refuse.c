#include "json_refuse.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void json_place_start(struct json_place *place, const char *text)
{
	*place = (struct json_place){text, 0, 1, 1};
}

void json_place_move(struct json_place *place, size_t offset)
{
	if (offset < place->offset)
		json_place_start(place, place->text);
	for (; place->offset < offset; place->offset++) {
		unsigned char byte = (unsigned char)place->text[place->offset];

		if (byte == '\n') {
			place->line++;
			place->column = 1;
		} else if ((byte & 0xc0) != 0x80) {
			place->column++;
		}
	}
}

int json_refuse(struct error *e, struct json_place *place, size_t offset,
                const struct column *column, const char *format, ...)
{
	char message[sizeof(((struct error *)0)->message)];
	va_list arguments;

	if (!e)
		return -EINVAL;
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	json_place_move(place, offset);
	error_at(e, EINVAL, place->line, place->column, "%s", message);
	if (column)
		error_copy_text(e->field, sizeof(e->field), column->name);
	return -EINVAL;
}

/* PostgreSQL's identifiers are at most 63 bytes; a longer key is no slip of the finger. */
enum { NAME_MAX_LEN = 63 };

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Insertions, deletions and replacements between two names, letters' case aside. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t row[NAME_MAX_LEN + 1];

	for (size_t k = 0; k <= b_len; k++)
		row[k] = k;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t k = 1; k <= b_len; k++) {
			bool differ = tolower((unsigned char)a[i - 1]) !=
			              tolower((unsigned char)b[k - 1]);
			size_t here = smallest(row[k] + 1, row[k - 1] + 1, diagonal + differ);

			diagonal = row[k];
			row[k] = here;
		}
	}
	return row[b_len];
}

/* A column whose name is so near that it was probably meant, or NULL. */
static const char *nearest(const struct relation *relation, const char *name, size_t len)
{
	size_t best = len / 3 + 1;
	const char *found = NULL;

	if (len > NAME_MAX_LEN)
		return NULL;
	for (size_t i = 0; i < relation->n_columns; i++) {
		const char *other = relation->columns[i].name;
		size_t other_len = strlen(other), d;

		if (other_len > NAME_MAX_LEN)
			continue;
		d = distance(name, len, other, other_len);
		if (d <= best && d < len) {
			found = other;
			best = d - (d > 0);
		}
	}
	return found;
}

int json_refuse_unknown(struct error *e, struct json_place *place, const struct relation *relation,
                        const struct json_event *key)
{
	/* Longer ones are cut where the reader has seen enough. */
	int shown = key->len > NAME_MAX_LEN ? NAME_MAX_LEN : (int)key->len;
	const char *meant;

	while (shown > 0 && shown < (int)key->len && (key->string[shown] & 0xc0) == 0x80)
		shown--;
	json_refuse(e, place, key->start, NULL, "%s.%s has no column \"%.*s\"%s", relation->space,
	            relation->name, shown, key->string, shown < (int)key->len ? "…" : "");
	meant = e ? nearest(relation, key->string, key->len) : NULL;
	if (meant)
		snprintf(e->hint, sizeof(e->hint), "Did you mean \"%s\"?", meant);
	return -EINVAL;
}

static const char *expected(enum type_kind kind)
{
	switch (kind) {
	case TYPE_INTEGER:
	case TYPE_FLOAT:
	case TYPE_NUMERIC:
		return "a number";
	case TYPE_BOOL:
		return "true or false";
	case TYPE_ARRAY:
		return "an array";
	case TYPE_JSON:
	case TYPE_JSONB:
		return "any JSON value";
	case TYPE_TEXT:
		break;
	}
	return "a string";
}

static const char *found(enum json_kind kind)
{
	switch (kind) {
	case JSON_BOOL:
		return "true or false";
	case JSON_NUMBER:
		return "a number";
	case JSON_STRING:
		return "a string";
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	default:
		return "this";
	}
}

int json_refuse_kind(struct error *e, struct json_place *place, const struct column *column,
                     bool element, const struct json_event *event)
{
	const struct type *type = element ? column->type->element : column->type;
	/* An array in an array is a domain's, and written as its literal (json_print_nested.c). */
	enum type_kind kind = element && type->kind == TYPE_ARRAY ? TYPE_TEXT : type->kind;

	json_refuse(e, place, event->start, column, "%scolumn \"%s\" takes %s%s, not %s",
	            element ? "an element of " : "", column->name, expected(kind),
	            element || !column->not_null ? " or null" : "", found(event->kind));
	if (e && kind == TYPE_TEXT && (event->kind == JSON_NUMBER || event->kind == JSON_BOOL))
		snprintf(e->hint, sizeof(e->hint), "Put the value in double quotes.");
	if (e && kind == TYPE_BOOL && event->kind == JSON_STRING)
		snprintf(e->hint, sizeof(e->hint), "Write true or false without quotes.");
	return -EINVAL;
}
