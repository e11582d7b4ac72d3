/* SPDX-License-Identifier: Apache-2.0 */
/* Shell patterns without classes: `*` any bytes, `?` one. Linear in text × stars, no recursion. */
#ifndef SPANDREL_BASE_GLOB_H
#define SPANDREL_BASE_GLOB_H

#include "base/slice.h"

static inline bool glob_fits(struct slice pattern, struct slice text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, mark = 0;

	while (t < text.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			mark = t;
		} else if (p < pattern.n && (pattern.p[p] == '?' || pattern.p[p] == text.p[t])) {
			p++;
			t++;
		} else if (star != SIZE_MAX) { /* the last star takes one byte more */
			p = star + 1;
			t = ++mark;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

#endif
