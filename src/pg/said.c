#include "said.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct remark {
	char *text;
	UT_hash_handle hh;
};

void said_init(struct said *said)
{
	*said = (struct said){0};
	pthread_mutex_init(&said->lock, NULL);
}

static void remark_free(struct remark *remark)
{
	free(remark->text);
	free(remark);
}

void said_done(struct said *said)
{
	struct remark *remark, *next;

	HASH_ITER (hh, said->remarks, remark, next) {
		HASH_DEL(said->remarks, remark);
		remark_free(remark);
	}
	pthread_mutex_destroy(&said->lock);
}

/* False if it was there before. Without memory it is said again. */
static bool remember(struct said *said, const char *text)
{
	struct remark *remark;

	HASH_FIND_STR(said->remarks, text, remark);
	if (remark)
		return false;
	remark = calloc(1, sizeof(*remark));
	if (!remark)
		return true;
	remark->text = strdup(text);
	if (remark->text)
		HASH_ADD_KEYPTR(hh, said->remarks, remark->text, strlen(remark->text), remark);
	if (!remark->text || !remark->hh.tbl)
		remark_free(remark);
	return true;
}

void said_once(struct said *said, enum log_level level, const char *format, ...)
{
	char text[512];
	va_list arguments;
	bool new;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	pthread_mutex_lock(&said->lock);
	new = remember(said, text);
	pthread_mutex_unlock(&said->lock);
	if (new && level <= LEVEL_WARNING)
		log_aloud(level, "%s", text);
	else if (new)
		log_line(level, "%s", text);
}
