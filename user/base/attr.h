/* SPDX-License-Identifier: Apache-2.0 */
/* One attribute of a span or a resource. Key and value are borrowed: whoever holds the attribute says for how long. */
#ifndef SPANDREL_BASE_ATTR_H
#define SPANDREL_BASE_ATTR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum attr_type { ATTR_STRING, ATTR_INT, ATTR_BOOL, ATTR_DOUBLE, ATTR_STRINGS };

struct attr {
	struct slice key;
	uint8_t type; /* enum attr_type */
	union {
		struct slice s;
		int64_t i;
		bool b;
		double d;
		struct {
			const struct slice *v;
			size_t n;
		} strings;
	};
};

#endif
