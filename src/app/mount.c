#include "mount.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon.h"
#include "lifecycle.h"
#include "mountpoint.h"
#include "rowfs/base/log.h"
#include "say.h"
#include "state.h"

struct mount {
	struct settings *settings;
	struct daemon daemon;
	struct lifecycle lifecycle;
	struct store *store;
	struct cache *cache;
};

/* Say why, and answer with `code`, or with INTERNAL for what is not the user's to mend. */
static enum exit_code fail(const struct error *e, enum exit_code code)
{
	say_error(e);
	return e->err == ENOMEM ? EXIT_INTERNAL : code;
}

static enum exit_code open_log(const struct settings *settings)
{
	int r = log_open(settings->log);

	if (!r)
		return EXIT_DONE;
	if (r == -EINVAL)
		say("log=%s: expected stderr, syslog or a file, then nothing, :error, :warning, "
		    ":info "
		    "or :debug",
		    settings->log);
	else
		say("log=%s: %s", settings->log, strerror(-r));
	return EXIT_USAGE;
}

/* All that can be asked without a server. */
static enum exit_code check_place(struct mount *mount)
{
	struct settings *settings = mount->settings;
	struct error e = {0};
	char *real;

	if (mountpoint_check(settings->mountpoint, &real, &e))
		return fail(&e, EXIT_MOUNTPOINT);
	free(settings->mountpoint);
	settings->mountpoint = real;
	if (mountpoint_check_device(&e))
		return fail(&e, EXIT_FUSE);
	if (state_prepare(settings, &e))
		return fail(&e, EXIT_USAGE);
	return EXIT_DONE;
}

static enum exit_code open_store(struct mount *mount)
{
	struct error e = {0};
	int r = store_open(mount->settings, &mount->store, &e);

	if (!r)
		return EXIT_DONE;
	return fail(&e, r == -EACCES || r == -EPERM ? EXIT_AUTHENTICATION : EXIT_POSTGRES);
}

static void warn_of_readable_password(const struct settings *settings)
{
	struct stat st;

	if (settings->redis_passfile && stat(settings->redis_passfile, &st) == 0 &&
	    st.st_mode & (S_IRGRP | S_IROTH))
		say_warning(settings, "redis_passfile %s can be read by others; chmod 600 it",
		            settings->redis_passfile);
}

/* A Redis that does not answer is no reason not to mount, unless the user says so. */
static enum exit_code open_cache(struct mount *mount)
{
	const struct settings *settings = mount->settings;
	struct error e = {0};
	int r;

	warn_of_readable_password(settings);
	r = cache_open(settings, store_identity(mount->store), &mount->cache, &e);
	if (r)
		return fail(&e, EXIT_REDIS);
	if (!e.err)
		return EXIT_DONE;
	if (settings->redis_required)
		return fail(&e, EXIT_REDIS);
	say_warning(settings, "%s; reading from PostgreSQL until it answers", e.message);
	return EXIT_DONE;
}

/* On a thread of the volume. */
static void on_ready(void *arg)
{
	struct mount *mount = arg;

	log_info("%s is mounted on %s", store_label(mount->store), mount->settings->mountpoint);
	if (!daemon_ready(&mount->daemon)) {
		log_warning("the command that asked for the mount was interrupted: unmounting");
		lifecycle_stop(&mount->lifecycle);
	}
}

static enum exit_code serve(struct mount *mount)
{
	struct volume *volume;
	struct error e = {0};
	int r;

	lifecycle_mounting(&mount->lifecycle);
	if (volume_start(mount->settings, mount->store, mount->cache, &volume, &e))
		/* EOPNOTSUPP: what changes= asks for, this server or role does not have. */
		return fail(&e, e.err == EOPNOTSUPP ? EXIT_POSTGRES : EXIT_FUSE);
	r = 0;
	daemon_detach();
	if (lifecycle_serving(&mount->lifecycle, volume))
		r = volume_run(volume, on_ready, mount);
	lifecycle_ending(&mount->lifecycle);
	volume_end(volume);
	if (r)
		log_error("serving %s ended: %s", mount->settings->mountpoint, strerror(-r));
	else
		log_info("%s is unmounted", mount->settings->mountpoint);
	return r ? EXIT_FUSE : EXIT_DONE;
}

static enum exit_code run_steps(struct mount *mount)
{
	enum exit_code code = open_log(mount->settings);

	if (!code)
		code = check_place(mount);
	if (!code)
		code = open_store(mount);
	if (!code)
		code = open_cache(mount);
	if (!code)
		code = serve(mount);
	cache_close(mount->cache);
	store_close(mount->store);
	return code;
}

enum exit_code mount_run(struct settings *settings)
{
	struct mount mount = {.settings = settings};
	enum exit_code code;
	int r;

	/* What rowfs writes for itself holds people's rows. */
	umask(077);
	r = daemon_begin(settings->foreground, &mount.daemon);
	if (!r)
		r = lifecycle_start(&mount.lifecycle);
	if (r) {
		say("cannot start: %s", strerror(-r));
		return EXIT_INTERNAL;
	}
	code = run_steps(&mount);
	lifecycle_end(&mount.lifecycle);
	return code;
}
