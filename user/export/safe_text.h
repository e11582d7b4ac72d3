/* SPDX-License-Identifier: Apache-2.0 */
/* Foreign text for a terminal. */
#ifndef SPANDREL_EXPORT_SAFE_TEXT_H
#define SPANDREL_EXPORT_SAFE_TEXT_H

#include "base/buf.h"

/*
 * Appends at most `max` bytes of the text (then an ellipsis). Control characters (C0, DEL, C1) and bytes that are not
 * UTF-8 become \xNN, characters that reorder or hide text \u{N}. Returns how many characters were appended.
 */
size_t safe_text(struct buf *out, struct slice s, size_t max);

#endif
