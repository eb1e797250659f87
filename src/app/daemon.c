#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exit.h"
#include "say.h"

/* As the child ended, so do we. */
static _Noreturn void relay(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			_exit(EXIT_INTERNAL);
	if (WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	say("the process that was to serve the mount was ended by signal %d (%s)", WTERMSIG(status),
	    strsignal(WTERMSIG(status)));
	_exit(EXIT_INTERNAL);
}

static _Noreturn void await_child(pid_t child, int from)
{
	char byte;
	ssize_t n;

	do
		n = read(from, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		_exit(EXIT_DONE);
	relay(child);
}

/* Descriptors 0 to 2 may be closed, and then a connection would get one of them, and with it
 * whatever is printed. */
static void fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_NOCTTY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int daemon_begin(bool foreground, struct daemon *ret)
{
	int ends[2];
	pid_t child;

	fill_standard_descriptors();
	*ret = (struct daemon){.foreground = foreground, .pipe = -1};
	if (foreground)
		return 0;
	/* What the shell left open (its own pipes, say) would be held as long as the mount lives.
	 */
	(void)close_range(STDERR_FILENO + 1, ~0U, 0);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (child > 0) {
		close(ends[1]);
		await_child(child, ends[0]);
	}
	close(ends[0]);
	ret->pipe = ends[1];
	/* A session of its own: what the terminal sends to the shell's jobs is not for us. While we
	 * wait for a server, the parent's end is ours, though: an interrupted command must not go
	 * on to mount. */
	(void)setsid();
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	return chdir("/") < 0 ? -errno : 0;
}

void daemon_detach(void)
{
	(void)prctl(PR_SET_PDEATHSIG, 0);
}

bool daemon_ready(struct daemon *daemon)
{
	int nowhere;

	if (daemon->pipe < 0)
		return true;
	nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; nowhere >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(nowhere, fd);
	if (nowhere > STDERR_FILENO)
		close(nowhere);
	/* Only now: a shell's $(…) waits for whoever holds its pipe. */
	if (write(daemon->pipe, "", 1) != 1)
		return false;
	close(daemon->pipe);
	daemon->pipe = -1;
	return true;
}
