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
