#include "rowfs/model/json.h"

#include "json_read.h"

static int ignore(void *arg, const struct json_event *event)
{
	return 0;
}

enum json_progress json_progress(const char *text, size_t len)
{
	struct json_flaw flaw;
	size_t i = 0;

	while (i < len && (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r'))
		i++;
	if (i == len)
		return JSON_EMPTY;
	switch (json_read(text, len, ignore, NULL, &flaw)) {
	case READ_COMPLETE:
		return JSON_COMPLETE;
	case READ_BROKEN:
		return JSON_BROKEN;
	case READ_INCOMPLETE:
	case READ_STOPPED:
	case READ_NO_MEMORY: /* not known to be wrong: close, which parses, will say */
		break;
	}
	return JSON_INCOMPLETE;
}

static void scan_string(struct json_scan *scan, char c)
{
	if (scan->escape)
		scan->escape = false;
	else if (c == '\\')
		scan->escape = true;
	else if (c == '"')
		scan->string = false;
}

static void scan_open(struct json_scan *scan, char c)
{
	if (scan->depth == 0 && (c != '{' || scan->progress == JSON_COMPLETE)) {
		scan->progress = JSON_BROKEN;
		return;
	}
	scan->progress = JSON_INCOMPLETE;
	scan->depth++;
}

static void scan_close(struct json_scan *scan)
{
	if (scan->depth == 0)
		scan->progress = JSON_BROKEN;
	else if (--scan->depth == 0)
		scan->progress = JSON_COMPLETE;
}

static void scan_byte(struct json_scan *scan, char c)
{
	switch (c) {
	case ' ':
	case '\t':
	case '\n':
	case '\r':
		break;
	case '{':
	case '[':
		scan_open(scan, c);
		break;
	case '}':
	case ']':
		scan_close(scan);
		break;
	default:
		if (scan->depth == 0)
			scan->progress = JSON_BROKEN;
		else
			scan->string = c == '"';
	}
}

enum json_progress json_scan(struct json_scan *scan, const char *piece, size_t len)
{
	for (size_t i = 0; i < len && scan->progress != JSON_BROKEN; i++) {
		if (scan->string)
			scan_string(scan, piece[i]);
		else
			scan_byte(scan, piece[i]);
	}
	return scan->progress;
}
