/* SPDX-License-Identifier: Apache-2.0 */
/* Text from outside, made fit for an attribute: valid UTF-8, no control characters, bounded. */
#ifndef SPANDREL_HOST_TEXT_H
#define SPANDREL_HOST_TEXT_H

#include "base/slice.h"

#define TEXT_MAX 1024 /* bytes of an attribute's value */

/*
 * Writes at most `max` (and at most s.n) bytes to `to`; what is not UTF-8 or is a control character
 * becomes '?'. Never cuts inside a character. Returns the bytes written.
 */
size_t text_clean(char *to, size_t max, struct slice s);

/* The last component of a path, trailing slashes ignored; empty for "/" and "". */
struct slice text_base(struct slice path);
/* Is `word` one of the words of a list that single spaces separate? */
bool text_listed(const char *list, struct slice word);

#endif
