/* The rows that the words of `rowfs warm` mean, by the directories of their tables. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "rowfs/base/buf.h"
#include "rowfs/base/error.h"

struct warm_directory {
	char *path;
	bool named;       /* its rows were named one by one: each must be there. Else they were listed, and may go meanwhile */
	size_t n;
	struct buf names; /* each with its NUL */
};

struct warm_rows {
	struct warm_directory *directories;
	size_t n_directories, n;
};

/* Add what a word means: a row's file, a directory with all that is below it, or a pattern as the shell has them, of rows or of
 * directories. Listing a table does not read its rows one by one, but PostgreSQL reads them all. 0, or -errno with a
 * sentence: nothing matches, or it is in no rowfs. */
int warm_rows_add(struct warm_rows *rows, const char *word, struct error *e) _must_check_;
void warm_rows_done(struct warm_rows *rows);
