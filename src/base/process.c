#include "rowfs/base/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Cheap, and true of almost all: signal 0 reaches a thread only in the group that it is in. */
static bool is_leader(pid_t thread)
{
	return thread > 0 && (tgkill(thread, thread, 0) == 0 || errno == EPERM);
}

pid_t process_group(pid_t thread)
{
	char path[40], line[128];
	int group = 0;
	FILE *status;

	if (is_leader(thread))
		return thread;
	snprintf(path, sizeof path, "/proc/%d/status", (int)thread);
	status = fopen(path, "re");
	if (!status)
		return 0;
	while (fgets(line, sizeof line, status))
		if (sscanf(line, "Tgid: %d", &group) == 1)
			break;
	fclose(status);
	return group;
}

/* proc(5): the 22nd field of stat; the second, a name in brackets, may hold anything. */
int64_t process_began_us(pid_t process)
{
	unsigned long long ticks = 0;
	char path[40], line[1024];
	const char *rest;
	FILE *stat;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)process);
	stat = fopen(path, "re");
	if (!stat)
		return 0;
	rest = fgets(line, sizeof line, stat) ? strrchr(line, ')') : NULL;
	fclose(stat);
	if (!rest || sscanf(rest, ") %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
			    &ticks) != 1)
		return 0;
	return (int64_t)(ticks * 1000000 / (unsigned long long)sysconf(_SC_CLK_TCK));
}

bool process_exists(pid_t thread)
{
	return kill(thread, 0) == 0 || errno != ESRCH;
}
