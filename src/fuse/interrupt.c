#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <utlist.h>

#include "mount.h"

/* A person who has pressed ^C and ^\ waits no longer for his prompt than this. */
enum { LOOK_EVERY_MS = 50 };

struct interrupts {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
	struct call *calls; /* [lock] */
	bool stop;          /* [lock] */
};

/* The kernel interrupts a request for any signal that wakes its caller; stat() and open() may not fail for
 * those. What kills a process is pending as SIGKILL, whichever signal it was. */
static bool is_killed(pid_t thread)
{
	unsigned long long pending = 0, mask;
	char path[40], line[128];
	FILE *status;

	snprintf(path, sizeof path, "/proc/%d/status", (int)thread);
	status = fopen(path, "re");
	if (!status)
		return false;
	while (fgets(line, sizeof line, status))
		if (sscanf(line, "SigPnd: %llx", &mask) == 1 || sscanf(line, "ShdPnd: %llx", &mask) == 1)
			pending |= mask;
	fclose(status);
	return pending & (1ULL << (SIGKILL - 1));
}

static bool abandon(struct call *call)
{
	return is_killed(call->asker.pid) && reader_abandon(call->mount->engine.reader, &call->read);
}

/* Runs with the request's own lock held, so a read that is answered waits for it before it goes on. */
void interrupts_came(fuse_req_t req, void *data)
{
	struct call *call = data;
	struct interrupts *interrupts = call->mount->interrupts;

	if (abandon(call)) {
		call_error(call, -EINTR);
		return;
	}
	pthread_mutex_lock(&interrupts->lock);
	if (!call->interrupted) {
		DL_APPEND(interrupts->calls, call);
		call->interrupted = true;
		pthread_cond_signal(&interrupts->wake);
	}
	pthread_mutex_unlock(&interrupts->lock);
}

/* With the lock held, or while nobody else can know the call. */
static void forget(struct interrupts *interrupts, struct call *call)
{
	if (call->interrupted)
		DL_DELETE(interrupts->calls, call);
	call->interrupted = false;
}

void interrupts_done(struct call *call)
{
	struct interrupts *interrupts = call->mount->interrupts;

	pthread_mutex_lock(&interrupts->lock);
	forget(interrupts, call);
	pthread_mutex_unlock(&interrupts->lock);
}

/* --- The thread ------------------------------------------------------------------------------ */

/* With the lock held: the calls that nobody waits for any more, taken off the list. */
static struct call *take_killed(struct interrupts *interrupts)
{
	struct call *call, *next, *killed = NULL;

	DL_FOREACH_SAFE(interrupts->calls, call, next) {
		if (!abandon(call))
			continue;
		forget(interrupts, call);
		DL_APPEND(killed, call);
	}
	return killed;
}

static void *look_after(void *arg)
{
	struct interrupts *interrupts = arg;
	struct call *killed, *call, *next;

	pthread_mutex_lock(&interrupts->lock);
	while (!interrupts->stop) {
		killed = take_killed(interrupts);
		if (!interrupts->calls && !killed) {
			pthread_cond_wait(&interrupts->wake, &interrupts->lock);
			continue;
		}
		pthread_mutex_unlock(&interrupts->lock);
		DL_FOREACH_SAFE(killed, call, next)
			call_error(call, -EINTR);
		nanosleep(&(struct timespec){.tv_nsec = LOOK_EVERY_MS * 1000000}, NULL);
		pthread_mutex_lock(&interrupts->lock);
	}
	pthread_mutex_unlock(&interrupts->lock);
	return NULL;
}

int interrupts_start(struct interrupts **ret)
{
	struct interrupts *interrupts = calloc(1, sizeof *interrupts);

	if (!interrupts)
		return -ENOMEM;
	pthread_mutex_init(&interrupts->lock, NULL);
	pthread_cond_init(&interrupts->wake, NULL);
	if (pthread_create(&interrupts->thread, NULL, look_after, interrupts) != 0) {
		free(interrupts);
		return -EAGAIN;
	}
	*ret = interrupts;
	return 0;
}

void interrupts_end(struct interrupts *interrupts)
{
	if (!interrupts)
		return;
	pthread_mutex_lock(&interrupts->lock);
	interrupts->stop = true;
	pthread_cond_signal(&interrupts->wake);
	pthread_mutex_unlock(&interrupts->lock);
	pthread_join(interrupts->thread, NULL);
	pthread_cond_destroy(&interrupts->wake);
	pthread_mutex_destroy(&interrupts->lock);
	free(interrupts);
}
