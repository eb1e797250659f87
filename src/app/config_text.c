#include "config_text.h"

#include <stdbool.h>
#include <string.h>

/* Where we are. Comments with // or a slash and a star begin only between words: redis://host and
 * a path with a star hold none. '#' ends a word. */
struct scan {
	char *at, *end;
	unsigned line;
	unsigned depth, open_line; /* braces */
	unsigned quote_line;       /* of a string that does not end */
};

/* One byte on, replaced by a space if it is part of a comment. */
static void step(struct scan *s, bool blank)
{
	if (*s->at == '\n')
		s->line++;
	else if (blank)
		*s->at = ' ';
	s->at++;
}

static bool starts(const struct scan *s, const char *string)
{
	size_t len = strlen(string);

	return (size_t)(s->end - s->at) >= len && memcmp(s->at, string, len) == 0;
}

static void skip_line_comment(struct scan *s)
{
	while (s->at < s->end && *s->at != '\n')
		step(s, true);
}

static void skip_block_comment(struct scan *s)
{
	/* The star of the beginning is not that of the end. */
	step(s, true);
	step(s, true);
	while (s->at < s->end && !starts(s, "*/"))
		step(s, true);
	for (int i = 0; i < 2 && s->at < s->end; i++)
		step(s, true);
}

static void skip_string(struct scan *s)
{
	char quote = *s->at;
	unsigned line = s->line;

	step(s, false);
	while (s->at < s->end && *s->at != quote) {
		if (*s->at == '\\' && s->at + 1 < s->end)
			step(s, false);
		step(s, false);
	}
	if (s->at < s->end)
		step(s, false);
	else
		s->quote_line = line;
}

static void skip_word(struct scan *s)
{
	while (s->at < s->end && !strchr(" \t\r\n\"'#{}()=+,", *s->at))
		step(s, false);
}

static void skip_punctuation(struct scan *s)
{
	if (*s->at == '{' && s->depth++ == 0)
		s->open_line = s->line;
	if (*s->at == '}' && s->depth)
		s->depth--;
	step(s, false);
}

unsigned config_text_prepare(struct buf *text, char *ret_open)
{
	struct scan s = {.at = text->data, .end = text->data + text->len, .line = 1};

	while (s.at < s.end) {
		if (*s.at == '#' || starts(&s, "//"))
			skip_line_comment(&s);
		else if (starts(&s, "/*"))
			skip_block_comment(&s);
		else if (*s.at == '"' || *s.at == '\'')
			skip_string(&s);
		else if (strchr(" \t\r\n{}()=+,", *s.at))
			skip_punctuation(&s);
		else
			skip_word(&s);
	}
	if (s.quote_line || s.depth)
		*ret_open = s.quote_line ? '"' : '{';
	return s.quote_line ? s.quote_line : s.depth ? s.open_line : 0;
}
