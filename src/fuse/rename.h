/* What the ways of a rename share: call->name in call->node becomes call->new_name in call->target. */
#pragma once

#include "mount.h"

/* A text in the spool to a row: an UPDATE or an INSERT. */
void rename_scratch_to_row(struct call *call);

/* Reply with `err`, and say why. `text` is kept; NULL: it was not about one. */
void rename_failed(struct call *call, int err, const struct kept_text *text);

/* It is done: `node` has the new name, and its reference is let go; NULL: nobody has looked at the old one. */
void rename_reply(struct call *call, struct node *node);

/* The row that has the new name now, into call->text; none is no error. */
int rename_read_target(struct call *call) _must_check_;

/* `rename`, while a target that was removed is not deleted, since something else becomes it. */
void rename_with_target(struct call *call, void (*rename)(struct call *call, enum name_state state));
