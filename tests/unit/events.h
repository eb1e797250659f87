/* What the engine asked of the worlds outside, in order. Each fake adds a word for each call, so
 * that a test states a whole story in one line: "get lease fetch fill". Thread-safe. */
#pragma once

void event_add(const char *word);

/* The words since the last call, with blanks between; valid until the next call. */
const char *events_take(void);

/* Wait until these words have come since the last events_take(), in this order; others may stand between them. */
void events_await(const char *story);
