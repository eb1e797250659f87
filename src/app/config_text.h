/* The configuration file's text, made ready for libconfuse.
 *
 * Two things libconfuse gets wrong are mended before it sees the text: it counts a line with a
 * comment three times, so errors would name a wrong line (comments become spaces here), and it
 * takes a brace that is never closed for a closed one. */
#pragma once

#include "rowfs/base/buf.h"

/* Blank the comments out, in place. Returns 0, or the line of a '{' or quote that is never closed,
 * and which it is. */
unsigned config_text_prepare(struct buf *text, char *ret_open);
