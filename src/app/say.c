#include "say.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "rowfs/base/log.h"

enum { SENTENCE_MAX = 2048 };

/* One line, whatever a server or a file name put into it. */
static void flatten(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
}

void say(const char *format, ...)
{
	char text[SENTENCE_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	flatten(text);
	/* stderr is not buffered: made whole first, the line leaves in one piece. */
	fprintf(stderr, "rowfs: %s\n", text);
}

void say_error(const struct error *e)
{
	say("%s%s%s", e->message, e->hint[0] ? "; " : "", e->hint);
}

void say_warning(const struct settings *settings, const char *format, ...)
{
	char text[SENTENCE_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (strncmp(settings->log, "stderr", 6) != 0)
		say("warning: %s", text);
	log_warning("%s", text);
}
