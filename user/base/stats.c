// SPDX-License-Identifier: Apache-2.0
#include "base/stats.h"

#include <inttypes.h>

uint64_t stats[STAT_MAX];

const struct stat_info stat_infos[STAT_MAX] = {
#define X(id, name, label, help) { name, label, help },
	STATS_TABLE(X)
#undef X
};

void stats_print(FILE *f)
{
	for (int i = 0; i < STAT_MAX; i++) {
		const struct stat_info *s = &stat_infos[i];

		if (!stats[i])
			continue;
		if (*s->label)
			fprintf(f, "%s{%s} %" PRIu64 "\n", s->name, s->label, stats[i]);
		else
			fprintf(f, "%s %" PRIu64 "\n", s->name, stats[i]);
	}
}
