/* One row of which Redis holds some columns: PostgreSQL is asked for the others, and for the transaction of which the row
 * is. Only if that is the copy's are the two put together, so that they are of one version; and only if they make the very
 * text whose version the copy tells. So such a read is as fresh as any that asks PostgreSQL. */
#pragma once

#include "fetch.h"

/* `bare` is what copy_parse() made of `value`, of which copy_is_complement() is true. 0 with the text; -EAGAIN: the row is
 * of another transaction by now, or gone, or is to be asked for anew for another reason; -EBADMSG: the two make another
 * text, so the copy is no good; another -errno as fetch_row(). */
int join_row(const struct fetch_from *from, const struct rowref *ref, const struct text *bare, const struct buf *value,
	     struct text **ret, struct error *e) _must_check_;
