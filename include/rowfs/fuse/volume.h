/* A mounted file system: from mount(2) to the unmount. src/fuse defines these functions.
 *
 *   volume_start ── mounts; the kernel's INIT waits
 *   volume_run ──── serves, until somebody unmounts or volume_stop()
 *   volume_end ──── finishes what is being written, unmounts */
#pragma once

#include "rowfs/base/error.h"
#include "rowfs/base/settings.h"
#include "rowfs/engine/cache.h"
#include "rowfs/engine/store.h"

struct volume;

/* Mount. Returns 0, or -errno with the reason and nothing left mounted. */
int volume_start(const struct settings *settings, struct store *store, struct cache *cache,
                 struct volume **ret, struct error *e) _must_check_;

/* Serve until unmounted or stopped. `ready` is called once, from any thread, as soon as the mount
 * answers. Returns 0 or -errno. */
int volume_run(struct volume *volume, void (*ready)(void *arg), void *arg) _must_check_;

/* Make volume_run() return. From another thread, not from a signal handler. */
void volume_stop(struct volume *volume);

/* Finish what is being written, unmount, free. */
void volume_end(struct volume *volume);
