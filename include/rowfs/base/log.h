/* The log. The boundaries (a file system call, a thread's loop, start and stop) write to it
 * once, with context; the layers below return errors instead. Row contents and passwords
 * never go in. */
#pragma once

#include "rowfs/base/cleanup.h"

enum log_level { LEVEL_ERROR, LEVEL_WARNING, LEVEL_INFO, LEVEL_DEBUG };

/* Where lines go from now on: "stderr", "syslog" or the path of a file (appended to). `spec` may
 * end in ":error", ":warning", ":info" or ":debug"; info is the default. Returns 0, -EINVAL for an
 * unknown level, or the -errno of opening the file. */
int log_open(const char *spec) _must_check_;

/* Open a log file again under its name, for logrotate. */
void log_reopen(void);

void log_line(enum log_level level, const char *format, ...) _printf_(2, 3);

/* The same, and on stderr too if the log is elsewhere: for what somebody who mounts should see. A daemon's stderr
 * leads nowhere once it has left the terminal. */
void log_aloud(enum log_level level, const char *format, ...) _printf_(2, 3);

#define log_error(...) log_line(LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LEVEL_DEBUG, __VA_ARGS__)
