/* JSON text as tokens, for values that were already found valid (PostgreSQL printed them, or
 * json_read accepted them). On other text it yields some tokens, in bounds, and ends. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct json_token {
	char kind; /* one of {}[],: or '"', or '0' for a number or word */
	const char *at;
	size_t len;
};

/* The token at *p, which moves behind it; false at the end of the text. */
bool json_token_next(const char **p, const char *end, struct json_token *ret);

/* Move *p over one value; false, and *p at the end, if there is none that is whole. */
bool json_token_skip(const char **p, const char *end);

/* Must a json or jsonb value be wrapped in {"%": …}? JSON's own null has to, since null means
 * SQL's, and so has an object whose only member is "%", since it looks like a wrapped value. */
bool json_must_wrap(const char *text, size_t len);

/* Do two texts have the same tokens? */
bool json_same_tokens(const char *a, size_t a_len, const char *b, size_t b_len);
