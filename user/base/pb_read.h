/* SPDX-License-Identifier: Apache-2.0 */
/* Reading protobuf's wire format field by field, without memory of its own: what comes may be anything. */
#ifndef SPANDREL_BASE_PB_READ_H
#define SPANDREL_BASE_PB_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum pb_type { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 };

struct pb_field {
	uint32_t number;
	uint8_t type;	    /* enum pb_type */
	uint64_t value;	    /* of the numbers */
	struct slice bytes; /* of PB_BYTES; never NULL then */
};

/* Takes the next field off the front of *rest. False at the end, and at what is no field (then *rest is not empty). */
bool pb_next(struct slice *rest, struct pb_field *f);

#endif
