#include "rowfs/fuse/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "mount.h"
#include "ops.h"
#include "readings.h"
#include "rowfs/base/log.h"
#include "rowfs/engine/kernel.h"

/* These parts of memory_max may be texts of rows that were read lately, and of rows that were listed. */
enum { READ_PART = 4, LISTED_PART = 8 };

struct volume {
	struct mount mount;
	pthread_t loop; /* the thread in volume_run() */
	atomic_bool looping;
	bool mounted;
};

/* kernel.h is plain functions, so the mount that they speak of is one for the process. */
static struct mount *the_mount;

void kernel_row_changed(uint32_t relation, const char *name)
{
	struct node *node = nodes_find_row(the_mount->nodes, relation, name);

	if (!node)
		return;
	notify_row(the_mount->notifier, node);
	nodes_release(the_mount->nodes, node);
}

void kernel_listing_changed(uint32_t relation)
{
	struct node *node = nodes_find_table(the_mount->nodes, relation);

	if (!node)
		return;
	notify_listing(the_mount->notifier, node);
	nodes_release(the_mount->nodes, node);
}

/* The kernel cannot be told of one table's rows, but of all names at once. */
void kernel_relation_changed(uint32_t relation)
{
	notify_everything(the_mount->notifier);
}

void kernel_everything_changed(void)
{
	notify_everything(the_mount->notifier);
}

/* --- Mounting -------------------------------------------------------------------------------- */

static void escape_comma(const char *value, struct buf *out)
{
	for (; *value; value++) {
		if (*value == ',' || *value == '\\')
			buf_addc(out, '\\');
		buf_addc(out, *value);
	}
}

static int make_session(struct volume *volume, const struct settings *settings, struct store *store)
{
	_cleanup_buf_ struct buf options = {0};
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int r;

	buf_adds(&options, "default_permissions,nosuid,nodev,subtype=rowfs,fsname=");
	escape_comma(store_label(store), &options);
	if (settings->ro)
		buf_adds(&options, ",ro");
	if (settings->noexec)
		buf_adds(&options, ",noexec");
	if (settings->allow_other)
		buf_adds(&options, ",allow_other");
	if (options.failed || fuse_opt_add_arg(&args, "rowfs") < 0 || fuse_opt_add_arg(&args, "-o") < 0 ||
	    fuse_opt_add_arg(&args, options.data) < 0) {
		fuse_opt_free_args(&args);
		return -ENOMEM;
	}
	volume->mount.session =
		fuse_session_new(&args, &operations, sizeof operations, &volume->mount);
	r = volume->mount.session ? 0 : -EINVAL;
	fuse_opt_free_args(&args);
	return r;
}

/* Every scratch file that the kernel knows, and every open one, is a descriptor. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int volume_open(struct volume *volume, const struct settings *settings, struct store *store,
			struct cache *cache, struct error *e)
{
	struct mount *mount = &volume->mount;
	int r = engine_open(settings, store, cache, &mount->engine, e);

	if (r < 0)
		return r;
	if (nodes_new(mount->engine.marks, settings->memory_max / READ_PART, settings->memory_max / LISTED_PART,
		      &mount->nodes) < 0)
		return error_set(e, ENOMEM, "out of memory");
	if (settings->ro && readings_new(mount->nodes, &mount->readings) < 0)
		return error_set(e, ENOMEM, "out of memory");
	r = make_session(volume, settings, store);
	if (r < 0)
		return error_set(e, -r, "cannot set up FUSE: %s", strerror(-r));
	if (notifier_new(mount->nodes, mount->session, &mount->notifier) < 0)
		return error_set(e, ENOMEM, "out of memory");
	if (fuse_session_mount(mount->session, settings->mountpoint) < 0)
		return error_set(e, errno ? errno : EIO, "cannot mount on %s: %s", settings->mountpoint,
				 errno ? strerror(errno) : "see the message above");
	volume->mounted = true;
	return 0;
}

int volume_start(const struct settings *settings, struct store *store, struct cache *cache,
		  struct volume **ret, struct error *e)
{
	struct volume *volume = calloc(1, sizeof *volume);
	int r;

	if (!volume)
		return error_set(e, ENOMEM, "out of memory");
	raise_descriptors();
	pthread_mutex_init(&volume->mount.lock, NULL);
	the_mount = &volume->mount;
	r = volume_open(volume, settings, store, cache, e);
	if (r < 0) {
		volume_end(volume);
		return r;
	}
	*ret = volume;
	return 0;
}

/* --- Serving --------------------------------------------------------------------------------- */

/* Only there to make a system call return. */
static void woken(int signal)
{
}

int volume_run(struct volume *volume, void (*ready)(void *arg), void *arg)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	struct sigaction wake = {.sa_handler = woken};
	struct mount *mount = &volume->mount;
	int r;

	if (!config)
		return -ENOMEM;
	mount->ready = ready;
	mount->ready_arg = arg;
	volume->loop = pthread_self();
	volume->looping = true;
	sigaction(SIGUSR1, &wake, NULL);
	r = notifier_start(mount->notifier);
	if (r == 0)
		r = engine_start(&mount->engine);
	if (r == 0)
		r = interrupts_start(&mount->interrupts);
	fuse_loop_cfg_set_max_threads(config, ENGINE_WORKERS);
	/* The kernel wakes those that wait in turns, and each comes to cold caches: no more than what is done without the
	 * database has use for. */
	fuse_loop_cfg_set_idle_threads(config, ENGINE_WORKERS / 2);
	fuse_loop_cfg_set_clone_fd(config, 0);
	if (r == 0)
		r = fuse_session_loop_mt(mount->session, config);
	volume->looping = false;
	interrupts_end(mount->interrupts);
	fuse_loop_cfg_destroy(config);
	/* A positive result is the signal or the unmount that ended it. */
	return r < 0 ? r : 0;
}

/* Who is saving just now has yet to close his file, and would be told that it failed. Longer than any program takes from
 * one call to the next; who keeps his file open is not waited for. */
enum { SAVERS_MS = 500, SAVERS_PAUSE_MS = 10 };

static void await_savers(struct mount *mount)
{
	enum edit_use use = files_use(mount);

	for (int waited = 0; use != EDIT_UNTOUCHED && waited < SAVERS_MS; use = files_use(mount)) {
		nanosleep(&(struct timespec){.tv_nsec = SAVERS_PAUSE_MS * 1000000}, NULL);
		waited = use == EDIT_BUSY ? 0 : waited + SAVERS_PAUSE_MS;
	}
}

void volume_stop(struct volume *volume)
{
	await_savers(&volume->mount);
	/* A thread of the loop waits for what is loaded for somebody. */
	preloaders_stop(&volume->mount.engine.warming);
	/* The loop looks at the flag and then waits; a signal that comes in between is lost. */
	fuse_session_exit(volume->mount.session);
	while (volume->looping) {
		pthread_kill(volume->loop, SIGUSR1);
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
}

void volume_end(struct volume *volume)
{
	struct mount *mount = &volume->mount;

	if (!volume)
		return;
	files_end(mount);
	engine_stop(&mount->engine);
	notifier_free(mount->notifier);
	if (volume->mounted)
		fuse_session_unmount(mount->session);
	if (mount->session)
		fuse_session_destroy(mount->session);
	readings_free(mount->readings);
	nodes_free(mount->nodes);
	engine_close(&mount->engine);
	pthread_mutex_destroy(&mount->lock);
	free(volume);
}
