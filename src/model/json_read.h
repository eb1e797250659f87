/* JSON text as a stream of checked events, each with its exact bytes. The only file that knows
 * yajl, and where yajl is made to keep what the project promises: it does not check its
 * allocations, takes vertical tabs for white space, and lets some invalid UTF-8 pass. */
#pragma once

#include <stddef.h>

/* A row's text and each json value in it may nest this deep. PostgreSQL's own parser gives up
 * somewhere above 6,000; nothing here recurses, so the limit only stops nonsense. */
enum { JSON_DEPTH_MAX = 10000 };

enum json_kind {
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING,
	JSON_KEY,
	JSON_OBJECT,
	JSON_ARRAY,
	JSON_OBJECT_END,
	JSON_ARRAY_END,
};

struct json_event {
	enum json_kind kind;
	size_t start, end;  /* its bytes in the text */
	const char *string; /* JSON_STRING, JSON_KEY: decoded, valid during the call */
	size_t len;
};

/* Non-zero stops the reading. */
typedef int json_event_fn(void *arg, const struct json_event *event);

enum json_read_result {
	READ_COMPLETE,   /* one object, then nothing but white space */
	READ_INCOMPLETE, /* the text ends inside the object, or before it */
	READ_BROKEN,     /* no continuation makes it an object: see the flaw */
	READ_STOPPED,    /* by the function */
	READ_NO_MEMORY,
};

struct json_flaw {
	size_t offset;
	char reason[200];
};

enum json_read_result json_read(const char *text, size_t len, json_event_fn *function, void *arg,
                                struct json_flaw *ret_flaw);
