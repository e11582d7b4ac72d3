/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 as OTLP strings must be (RFC 3629: no surrogates, no overlong forms). Pure. */
#ifndef SPANDREL_BASE_UTF8_H
#define SPANDREL_BASE_UTF8_H

#include "base/slice.h"

/* Bytes of the valid sequence at the front, 1 … 4; 0 if there is none. n ≥ 1. */
size_t utf8_sequence(const char *text, size_t n);
bool utf8_valid(struct slice s);
/* Copies, each byte that is not part of a valid sequence as U+FFFD; returns the length. to NULL: only the length. */
size_t utf8_clean(char *to, struct slice s);
/* At most max bytes, not ending inside a sequence. */
struct slice utf8_cut(struct slice s, size_t max);

#endif
