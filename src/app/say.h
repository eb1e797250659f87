/* What the person at the terminal is told while the mount starts: one line each, on stderr. */
#pragma once

#include "rowfs/base/cleanup.h"
#include "rowfs/base/error.h"
#include "rowfs/base/settings.h"

/* "rowfs: …" */
void say(const char *format, ...) _printf_(1, 2);

/* An error's message, and what it says should be done. */
void say_error(const struct error *e);

/* "rowfs: warning: …", and into the log for whoever looks there later. Once, where the log is the
 * terminal. */
void say_warning(const struct settings *settings, const char *format, ...) _printf_(2, 3);
