/* Into the background, in two steps: the command returns to the shell when the mount answers, and
 * with the right exit code when it never does.
 *
 *   parent ── fork ──► child: connects, mounts … daemon_ready()
 *     │ waits on a pipe ◄────────────────────────────┘
 *     └ exits 0, or as the child did
 *
 * The fork comes before any thread or connection. Until it is ready the child speaks on the
 * terminal's stderr. */
#pragma once

#include <stdbool.h>

struct daemon {
	bool foreground;
	int pipe; /* to the parent; -1 once it has been told, or in the foreground */
};

/* Returns 0 in the process that goes on (with `foreground`: this one), -errno if there can be none.
 * In the parent it does not return. */
int daemon_begin(bool foreground, struct daemon *ret);

/* From here on the parent's end no longer ends us. Called by the thread that called daemon_begin(),
 * before daemon_ready(), which finds out if the parent has gone. */
void daemon_detach(void);

/* The mount answers: let the parent go, leave the terminal. False if the parent has been
 * interrupted meanwhile: nobody wants the mount any more. */
bool daemon_ready(struct daemon *daemon);
