/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one gate that everything passes before it leaves: whatever wrote a description, and wherever the text came from. Becomes
 * REDACTED: query values, except of keys that --keep-query names; user info and fragments of URLs; session ids in paths; values
 * of captured headers and metadata whose names speak of secrets, unless the user asked for just these in plain (--capture-header
 * NAME:plain). Other captured values are treated as URLs when they look like one.
 */
#ifndef SPANDREL_PROTO_REDACT_H
#define SPANDREL_PROTO_REDACT_H

#include "proto/describe.h"

/* In place; new text is in the description's arena. What would need memory that is not there becomes REDACTED as a whole. */
void redact_description(struct description *d);

#endif
