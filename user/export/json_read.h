/* SPDX-License-Identifier: Apache-2.0 */
/* Finds one member of a JSON object, without memory of its own: what a server answers may be anything. */
#ifndef SPANDREL_EXPORT_JSON_READ_H
#define SPANDREL_EXPORT_JSON_READ_H

#include "base/slice.h"

/* The text of the member's value, as it stands (strings with their quotes); SLICE_NONE when there is none. */
struct slice json_member(struct slice object, struct slice key);
/* A string without its quotes, escapes as they stand; anything else as it is. */
struct slice json_unquote(struct slice value);

#endif
