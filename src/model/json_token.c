#include "json_token.h"

#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool is_punctuation(char c)
{
	return c == '{' || c == '}' || c == '[' || c == ']' || c == ',' || c == ':';
}

/* Behind the closing quote of the string that opens at `p`. */
static const char *skip_string(const char *p, const char *end)
{
	for (p++; p < end; p++) {
		if (*p == '"')
			return p + 1;
		if (*p == '\\' && p + 1 < end)
			p++;
	}
	return end;
}

static const char *skip_word(const char *p, const char *end)
{
	while (p < end && !is_space(*p) && !is_punctuation(*p) && *p != '"')
		p++;
	return p;
}

bool json_token_next(const char **p, const char *end, struct json_token *ret)
{
	const char *at = *p;

	while (at < end && is_space(*at))
		at++;
	*p = at;
	if (at == end)
		return false;
	if (is_punctuation(*at))
		*p = at + 1;
	else if (*at == '"')
		*p = skip_string(at, end);
	else
		*p = skip_word(at, end);

	char kind = is_punctuation(*at) || *at == '"' ? *at : '0';

	*ret = (struct json_token){kind, at, (size_t)(*p - at)};
	return true;
}

static bool token_is(const struct json_token *token, const char *text)
{
	return token->len == strlen(text) && memcmp(token->at, text, token->len) == 0;
}

static bool next_is(const char **p, const char *end, char kind)
{
	struct json_token token;

	return json_token_next(p, end, &token) && token.kind == kind;
}

bool json_token_skip(const char **p, const char *end)
{
	struct json_token token;
	size_t depth = 0;

	do {
		if (!json_token_next(p, end, &token))
			return false;
		if (token.kind == '{' || token.kind == '[')
			depth++;
		else if (depth > 0 && (token.kind == '}' || token.kind == ']'))
			depth--;
	} while (depth > 0);
	return true;
}

bool json_must_wrap(const char *text, size_t len)
{
	const char *p = text, *end = text + len;
	struct json_token token;

	if (!json_token_next(&p, end, &token))
		return false;
	if (token.kind != '{')
		return token_is(&token, "null");
	if (!json_token_next(&p, end, &token) ||
	    !(token_is(&token, "\"%\"") || token_is(&token, "\"\\u0025\"")))
		return false;
	return next_is(&p, end, ':') && json_token_skip(&p, end) && next_is(&p, end, '}');
}

bool json_same_tokens(const char *a, size_t a_len, const char *b, size_t b_len)
{
	const char *a_end = a + a_len, *b_end = b + b_len;
	struct json_token x, y;

	while (json_token_next(&a, a_end, &x))
		if (!json_token_next(&b, b_end, &y) || x.len != y.len ||
		    memcmp(x.at, y.at, x.len) != 0)
			return false;
	return !json_token_next(&b, b_end, &y);
}
