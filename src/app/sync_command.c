#include "sync_command.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command_line.h"
#include "rowfs/base/log.h"
#include "rowfs/base/options.h"
#include "rowfs/base/periodic.h"
#include "rowfs/engine/catalog.h"
#include "rowfs/engine/changelog.h"
#include "rowfs/engine/sync.h"
#include "say.h"

struct job {
	struct settings settings;
	struct store *store;
	struct cache *cache;
	struct catalog *catalog; /* for the placement rules */
	struct periodic poll;
};

static void job_done(struct job *job)
{
	periodic_stop(&job->poll);
	catalog_close(job->catalog);
	cache_close(job->cache);
	store_close(job->store);
	settings_done(&job->settings);
}

static enum exit_code fail(const struct error *e, enum exit_code code)
{
	say_error(e);
	return e->err == ENOMEM ? EXIT_INTERNAL : code;
}

static enum exit_code parse(int argc, char **argv, struct job *job)
{
	enum command command;
	struct error e = {0};

	if (command_line_parse(argc, argv, PLACES_SOURCE, &command, &job->settings, &e))
		return fail(&e, EXIT_USAGE);
	if (command != COMMAND_MOUNT) {
		say("rowfs --help, --version, --manual and --show-config stand without a verb");
		return EXIT_USAGE;
	}
	if (log_open(job->settings.log) < 0) {
		say("log=%s cannot be opened", job->settings.log);
		return EXIT_USAGE;
	}
	return EXIT_DONE;
}

static enum exit_code open_store(struct job *job)
{
	struct error e = {0};
	int r = store_open(&job->settings, &job->store, &e);

	if (r == 0)
		return EXIT_DONE;
	return fail(&e, r == -EACCES || r == -EPERM ? EXIT_AUTHENTICATION : EXIT_POSTGRES);
}

static enum exit_code open_cache(struct job *job)
{
	struct cache_status status;
	struct error e = {0};

	if (cache_open(&job->settings, store_identity(job->store), &job->cache, &e))
		return fail(&e, EXIT_REDIS);
	cache_status(job->cache, &status);
	if (!status.configured) {
		say("redis=none leaves a sync worker nothing to do");
		return EXIT_USAGE;
	}
	if (e.err && job->settings.redis_required)
		return fail(&e, EXIT_REDIS);
	if (e.err)
		say_warning(&job->settings, "%s; waiting for it", e.message);
	return EXIT_DONE;
}

static int64_t poll_catalog(void *arg)
{
	struct job *job = arg;

	store_leave_when(&job->poll.stop);
	(void)catalog_poll(job->catalog);
	return CATALOG_POLL_MS;
}

static enum exit_code open_catalog(struct job *job)
{
	struct error e = {0};

	return catalog_open(job->store, &job->catalog, &e) < 0 ? fail(&e, EXIT_POSTGRES) : EXIT_DONE;
}

/* --- The worker ------------------------------------------------------------------------------ */

static void fill_set(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
}

/* Until somebody wants it to end. */
static void await_end(void)
{
	sigset_t set;
	int signal;

	fill_set(&set);
	while (sigwait(&set, &signal) != 0 || signal == SIGHUP)
		log_reopen();
	log_info("signal %d: ending", signal);
}

static enum exit_code work(struct job *job)
{
	struct sync *sync = NULL;
	struct error e = {0};
	sigset_t set;
	int r = feed_check(job->store, &job->settings, &e);

	if (r < 0)
		return fail(&e, EXIT_POSTGRES);
	/* Here, so that the worker's thread inherits it. */
	fill_set(&set);
	signal(SIGPIPE, SIG_IGN);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	r = sync_new(&job->settings, job->store, job->cache, job->catalog, &sync);
	if (r == 0)
		r = periodic_start(&job->poll, poll_catalog, job);
	if (r == 0)
		r = sync_start(sync);
	if (r == 0) {
		log_info("change capture for %s", store_label(job->store));
		await_end();
	}
	periodic_tell(&job->poll);
	sync_free(sync);
	if (r < 0)
		say("cannot start: %s", strerror(-r));
	return r < 0 ? EXIT_INTERNAL : EXIT_DONE;
}

static enum exit_code run_worker(struct job *job)
{
	enum exit_code code = open_cache(job);

	if (!code)
		code = open_catalog(job);
	return code ? code : work(job);
}

/* --- The change log -------------------------------------------------------------------------- */

typedef int errand_fn(struct store *store, const struct settings *settings, struct buf *report,
                      struct error *e);

static const struct errand {
	const char *name;
	errand_fn *run;
} errands[] = {
        {"install", changelog_install},
        {"uninstall", changelog_uninstall},
        {"status", changelog_report},
};

/* What was done before it failed is said, too. */
static enum exit_code run_errand(struct job *job, errand_fn *errand)
{
	_cleanup_buf_ struct buf report = {0};
	struct error e = {0};
	int r = errand(job->store, &job->settings, &report, &e);

	if (report.data && !report.failed)
		fputs(report.data, stdout);
	if (r < 0)
		return fail(&e, EXIT_POSTGRES);
	return report.failed || fflush(stdout) < 0 ? EXIT_INTERNAL : EXIT_DONE;
}

static errand_fn *find_errand(const char *name)
{
	for (size_t i = 0; i < sizeof(errands) / sizeof(*errands); i++)
		if (strcmp(name, errands[i].name) == 0)
			return errands[i].run;
	return NULL;
}

enum exit_code sync_command_run(int argc, char **argv)
{
	_cleanup_(job_done) struct job job = {0};
	errand_fn *errand = argc > 1 ? find_errand(argv[1]) : NULL;
	enum exit_code code;

	if (errand) {
		argc--;
		argv++;
	}
	code = parse(argc, argv, &job);
	if (!code)
		code = open_store(&job);
	if (code)
		return code;
	return errand ? run_errand(&job, errand) : run_worker(&job);
}
