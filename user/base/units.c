// SPDX-License-Identifier: Apache-2.0
#include "base/units.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/scope.h"

#define RATIO_MAX 64 /* characters */

struct unit {
	const char *name;
	uint64_t factor;
};

static bool parse_scaled(struct slice s, const struct unit *units, size_t n, uint64_t *out)
{
	size_t digits = 0;
	uint64_t v;

	while (digits < s.n && isdigit((unsigned char)s.p[digits]))
		digits++;
	if (!slice_u64(slice_to(s, digits), &v))
		return false;
	for (size_t i = 0; i < n; i++)
		if (slice_eq(slice_from(s, digits), slice_str(units[i].name)))
			return !__builtin_mul_overflow(v, units[i].factor, out);
	return false;
}

bool units_duration(struct slice s, uint64_t *ns)
{
	static const struct unit units[] = {
		{ "ms", NS_PER_MS }, { "s", NS_PER_S }, { "m", 60 * NS_PER_S }, { "h", 3600 * NS_PER_S },
	};

	if (slice_eq(s, SLICE("0"))) {
		*ns = 0;
		return true;
	}
	return parse_scaled(s, units, ARRAY_SIZE(units), ns);
}

bool units_size(struct slice s, uint64_t *bytes)
{
	static const struct unit units[] = {
		{ "", 1 }, { "B", 1 }, { "KiB", 1 << 10 }, { "MiB", 1 << 20 }, { "GiB", 1 << 30 },
	};

	return parse_scaled(s, units, ARRAY_SIZE(units), bytes);
}

bool units_ratio(struct slice s, double *out)
{
	char text[RATIO_MAX + 1], *end;
	double v;

	if (!s.n || s.n > RATIO_MAX || memchr(s.p, '\0', s.n))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	v = strtod(text, &end);
	if (end != text + s.n || !(v >= 0 && v <= 1))
		return false;
	*out = v;
	return true;
}
