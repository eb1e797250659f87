/* A Redis of the test's own, on a socket in a temporary directory, and a cache on it. One of each
 * for a test, which Check runs in a process of its own: fixtures redis_setup and redis_teardown. */
#pragma once

#include <stdarg.h>
#include <signal.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"
#include "rowfs/engine/cache.h"
#include "suite.h"

/* START_MS: long enough for a server to start on a busy machine. */
enum { START_MS = 10000 };

extern char directory[], socket_path[64], address[80];
extern bool over_tls; /* ROWFS_TEST_TLS is set: the same must hold through rediss:// */
extern pid_t server;
extern struct cache *cache;
extern struct settings settings;
extern struct error error;

/* Run the suite in a new temporary directory; returns what main() returns. */
int redis_suite_run(Suite *suite);

void redis_setup(void);
void redis_teardown(void);

/* A TCP port that nobody has. */
int free_port(void);

/* `more`: further arguments, ended by NULL, or NULL. */
void server_start(const char *const more[]);
void server_end(int signal);

/* Ask Redis itself, past the cache. The reply's text, or "(nil)", or a number; valid until the next
 * call. */
const char *ask(const char *format, ...);

/* Leave that connection for a new one. */
void ask_anew(void);

/* What docs/redis-acl.txt allows that user, for ACL SETUSER: its line without name and password. */
const char *documented_rights(const char *user);

/* Make `user` one who may do that and nothing else. `password`: "nopass" or ">…". */
void allow(const char *user, const char *password, const char *rights);

uint64_t counted(enum counter counter);

/* Open `cache` on `redis`; `error` says if Redis did not answer. */
void open_cache(const char *redis);
void close_cache(void);

/* The functions of cache.h with strings for keys and values. */
enum cache_answer get(const char *key, struct buf *ret);
bool lease(const char *key, char token[CACHE_TOKEN_SIZE]);
void fill(const char *key, const char *token, const char *value);
void drop(const char *key);

/* Put a value the way a reader does. */
void put(const char *key, const char *value);

/* The cache must answer with this value. */
void holds(const char *key, const char *value);

/* Probe, as the background thread does, until the breaker closes. */
void becomes_reachable(void);
