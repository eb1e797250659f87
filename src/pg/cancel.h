/* Asking the server to end what it does for a connection. libpq's own way makes a connection of its own for that and waits
 * until the server has closed it, for ever where the server is stopped or the network swallows what it is sent. Here a
 * thread does the waiting; who asks does not wait longer than he wants. */
#pragma once

#include <stdbool.h>

#include <libpq-fe.h>

/* True: the server has heard it within so many milliseconds. False: it may hear it at any later time, and end what the
 * connection does then, which is to be closed therefore. */
bool cancel_within(PGconn *pg, int ms);
