#include "rowfs/base/secret.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* libpq's keywords that hold a secret; the same names serve in a URI's query. */
static const char *const keywords[] = {"password", "sslpassword"};

#define SPACE " \t\r\n\f\v"

static void cover(char *from, const char *end)
{
	while (from < end)
		*from++ = '*';
}

/* scheme://user:SECRET@host. The last '@' counts: a password whose '@' was not escaped is an error,
 * but no reason to show its end. */
static void hide_userinfo(char *authority)
{
	char *at = strrchr(authority, '@'), *colon = strchr(authority, ':');

	if (at && colon && colon < at)
		cover(colon + 1, at);
}

static bool is_keyword(const char *word, size_t len)
{
	for (size_t i = 0; i < sizeof(keywords) / sizeof(*keywords); i++)
		if (strlen(keywords[i]) == len && strncasecmp(word, keywords[i], len) == 0)
			return true;
	return false;
}

/* ?keyword=SECRET&keyword=SECRET */
static void hide_query(char *query)
{
	while (*query) {
		size_t len = strcspn(query, "&"), name = strcspn(query, "=&");

		if (is_keyword(query, name) && name < len)
			cover(query + name + 1, query + len);
		query += len;
		query += *query == '&';
	}
}

/* The end of a value in libpq's keyword form: '…' with backslashes, or up to white space. */
static char *value_end(char *value)
{
	bool quoted = *value == '\'';
	char *p = value + quoted;

	for (; *p; p++) {
		if (*p == '\\' && p[1])
			p++;
		else if (quoted ? *p == '\'' : strchr(SPACE, *p) != NULL)
			break;
	}
	return p + (quoted && *p);
}

static void hide_keywords(char *text)
{
	while (*text) {
		char *word = text + strspn(text, SPACE), *value;
		size_t len = strcspn(word, "=" SPACE);

		text = word + len + strspn(word + len, SPACE);
		if (*text != '=')
			continue; /* malformed, but a password may follow */
		value = text + 1 + strspn(text + 1, SPACE);
		text = value_end(value);
		if (is_keyword(word, len))
			cover(value, text);
	}
}

void secret_hide(char *address)
{
	char *scheme = strstr(address, "://"), *query;

	/* A keyword string may hold "://" in a value, but not before its first '='. */
	if (!scheme || memchr(address, '=', (size_t)(scheme - address))) {
		hide_keywords(address);
		return;
	}
	query = strchr(scheme, '?');
	if (query)
		hide_query(query + 1);
	hide_userinfo(scheme + 3);
}

/* name=ADDRESS, either form; a value's commas are written "\,". */
static void hide_item(char *item)
{
	char *value = strchr(item, '=');

	if (value && (strstr(value, "://") || strchr(value + 1, '=')))
		secret_hide(value + 1);
	else if (value && is_keyword(item, (size_t)(value - item)))
		cover(value + 1, value + strlen(value));
}

void secret_hide_list(char *list)
{
	for (;;) {
		char *end = list;
		char last;

		while (*end && *end != ',')
			end += end[0] == '\\' && end[1] ? 2 : 1;
		last = *end;
		*end = '\0';
		hide_item(list);
		*end = last;
		if (!last)
			return;
		list = end + 1;
	}
}

/* The list's place in an argument like -oLIST, -o or -fo, or NULL: -o is the one flag with a value.
 */
static char *list_after_flags(char *argument)
{
	char *o;

	if (argument[0] != '-' || argument[1] == '-')
		return NULL;
	o = strchr(argument, 'o');
	return o ? o + 1 : NULL;
}

void secret_hide_arguments(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char *list = list_after_flags(argv[i]);

		if (list && !*list && i + 1 < argc)
			list = argv[++i];
		if (list)
			secret_hide_list(list);
		else
			secret_hide(argv[i]);
	}
}
