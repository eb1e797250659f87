/* A line is made whole in a buffer of its own and leaves by one write(2) to a descriptor opened
 * with O_APPEND, so that threads and processes that share a file need no lock to keep lines apart.
 * The descriptor's number never changes while the log is in a file: reopening replaces what stands
 * behind it with dup3(), which no writer notices. */
#include "rowfs/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

/* The longest line: an error's message, detail and hint with their context, escaped. Longer
 * ones are cut. */
enum { LINE_MAX_BYTES = 8192, MESSAGE_MAX_BYTES = 4096 };

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const int level_priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

static _Atomic int log_level = LEVEL_INFO;
static _Atomic int log_fd = STDERR_FILENO;
static _Atomic bool log_to_syslog;

/* The file's absolute path, "" when the log is not a file. Written by log_open, which runs
 * before there are threads; read by log_reopen. */
static char log_path[PATH_MAX];

static int open_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);

	return fd < 0 ? -errno : fd;
}

static int parse_level(const char *name)
{
	for (size_t i = 0; i < sizeof(level_names) / sizeof(*level_names); i++)
		if (strcmp(name, level_names[i]) == 0)
			return (int)i;
	return -EINVAL;
}

/* Absolute, since the daemon leaves the directory it was started in before it may reopen. */
static int absolute(const char *name, size_t len, char ret[PATH_MAX])
{
	char directory[PATH_MAX] = "";

	if (len == 0)
		return -EINVAL;
	if (name[0] != '/' && !getcwd(directory, sizeof(directory)))
		return -errno;

	int n = snprintf(ret, PATH_MAX, "%s%s%.*s", directory, directory[0] ? "/" : "", (int)len,
	                 name);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* Put the descriptor where writers look for it, keeping the number they know if there is one. */
static void use_fd(int fd)
{
	int old = log_fd;

	if (old == STDERR_FILENO) {
		log_fd = fd;
		return;
	}
	dup3(fd, old, O_CLOEXEC);
	close(fd);
}

static int use_file(const char *name, size_t len)
{
	char path[PATH_MAX];
	int r = absolute(name, len, path);

	if (r < 0)
		return r;
	r = open_file(path);
	if (r < 0)
		return r;
	memcpy(log_path, path, strlen(path) + 1);
	use_fd(r);
	log_to_syslog = false;
	return 0;
}

static void leave_file(bool to_syslog)
{
	int fd = log_fd;

	log_to_syslog = to_syslog;
	log_fd = STDERR_FILENO;
	log_path[0] = '\0';
	if (fd != STDERR_FILENO)
		close(fd);
}

int log_open(const char *spec)
{
	const char *colon = strrchr(spec, ':');
	size_t len = colon ? (size_t)(colon - spec) : strlen(spec);
	int level = colon ? parse_level(colon + 1) : LEVEL_INFO;
	int r = 0;

	if (level < 0)
		return level;
	if (len == 6 && memcmp(spec, "stderr", 6) == 0) {
		leave_file(false);
	} else if (len == 6 && memcmp(spec, "syslog", 6) == 0) {
		openlog("rowfs", LOG_PID, LOG_DAEMON);
		leave_file(true);
	} else {
		r = use_file(spec, len);
	}
	if (r == 0)
		log_level = level;
	return r;
}

void log_reopen(void)
{
	if (!log_path[0])
		return;

	int fd = open_file(log_path);

	/* A file that cannot be opened: the old one goes on, which loses nothing. */
	if (fd < 0)
		log_error("cannot open the log %s again: %s", log_path, strerror(-fd));
	else
		use_fd(fd);
}

/* Control characters become \n, \t, \xXX: what a file name or a server says must not be able to
 * make up lines or drive a terminal. Returns the length, at most `size`. */
static size_t escape(const char *message, char *line, size_t size)
{
	size_t len = 0;

	for (const char *p = message; *p; p++) {
		unsigned char byte = (unsigned char)*p;
		char text[5] = {(char)byte};

		if (byte == '\n')
			memcpy(text, "\\n", 3);
		else if (byte == '\t')
			memcpy(text, "\\t", 3);
		else if (byte < 0x20 || byte == 0x7f)
			snprintf(text, sizeof(text), "\\x%02x", byte);

		size_t n = strlen(text);

		if (len + n > size)
			break;
		memcpy(line + len, text, n);
		len += n;
	}
	return len;
}

static size_t print_head(enum log_level level, char *line, size_t size)
{
	struct timespec now;
	struct tm utc;
	char day[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &utc);
	return (size_t)snprintf(line, size, "%s.%03ldZ rowfs[%d] %s: ", day, now.tv_nsec / 1000000,
	                        (int)getpid(), level_names[level]);
}

static void write_line(enum log_level level, const char *message)
{
	char line[LINE_MAX_BYTES];
	size_t head = print_head(level, line, sizeof(line));
	size_t len = head + escape(message, line + head, sizeof(line) - head - 1);

	line[len++] = '\n';
	/* A log that cannot be written has nobody left to be told. */
	ssize_t written _unused_ = write(log_fd, line, len);
}

static void send_syslog(enum log_level level, const char *message)
{
	char line[LINE_MAX_BYTES];
	size_t len = escape(message, line, sizeof(line));

	syslog(level_priorities[level], "%.*s", (int)len, line);
}

void log_line(enum log_level level, const char *format, ...)
{
	char message[MESSAGE_MAX_BYTES];
	int saved = errno;
	va_list arguments;

	if ((int)level > log_level)
		return;
	va_start(arguments, format);
	if (vsnprintf(message, sizeof(message), format, arguments) < 0)
		message[0] = '\0';
	va_end(arguments);
	if (log_to_syslog)
		send_syslog(level, message);
	else
		write_line(level, message);
	errno = saved;
}

void log_aloud(enum log_level level, const char *format, ...)
{
	char message[MESSAGE_MAX_BYTES], line[LINE_MAX_BYTES];
	va_list arguments;
	size_t len;

	va_start(arguments, format);
	if (vsnprintf(message, sizeof(message), format, arguments) < 0)
		message[0] = '\0';
	va_end(arguments);
	log_line(level, "%s", message);
	if (!log_to_syslog && !log_path[0])
		return;
	len = escape(message, line, sizeof(line));
	fprintf(stderr, "rowfs: %s: %.*s\n", level_names[level], (int)len, line);
}
