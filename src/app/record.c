#include "record.h"

yajl_val record_parse(const char *line)
{
	yajl_val record = yajl_tree_parse(line, NULL, 0);

	if (YAJL_IS_OBJECT(record))
		return record;
	yajl_tree_free(record);
	return NULL;
}

const char *record_get(yajl_val record, const char *name)
{
	yajl_val value = yajl_tree_get(record, (const char *[]){name, NULL}, yajl_t_any);

	if (YAJL_IS_STRING(value))
		return YAJL_GET_STRING(value);
	return YAJL_IS_NUMBER(value) ? YAJL_GET_NUMBER(value) : NULL;
}

void record_show(const char *text, struct buf *out)
{
	for (; text && *text; text++) {
		unsigned char byte = (unsigned char)*text, next = (unsigned char)text[1];
		bool c1 = byte == 0xc2 && next >= 0x80 && next < 0xa0; /* U+0080 to U+009F */

		text += c1;
		buf_addc(out, byte < ' ' || byte == 0x7f || c1 ? ' ' : *text);
	}
}

static void print_line(yajl_val record, const char *member, const char *indent, const char *title, struct buf *out)
{
	const char *value = record_get(record, member);

	if (!value)
		return;
	buf_addf(out, "%s%s", indent, title);
	record_show(value, out);
	buf_addc(out, '\n');
}

void record_print_reason(yajl_val record, const char *indent, struct buf *out)
{
	print_line(record, "message", indent, "", out);
	print_line(record, "detail", indent, "detail: ", out);
	print_line(record, "hint", indent, "hint: ", out);
}
