/* SPDX-License-Identifier: Apache-2.0 */
/* JSON's values, written with base/writer.h. */
#ifndef SPANDREL_EXPORT_JSON_H
#define SPANDREL_EXPORT_JSON_H

#include "base/writer.h"

/* Without quotes; control characters, DEL, quote and backslash escaped, bytes that are not UTF-8 as U+FFFD. */
void json_text(struct writer *j, struct slice s);
void json_u64(struct writer *j, uint64_t v);
void json_i64(struct writer *j, int64_t v);
void json_double(struct writer *j, double v); /* NaN and infinities as strings */
void json_hex(struct writer *j, const uint8_t *p, size_t n);

#endif
