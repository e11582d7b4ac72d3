// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target for what is read back from disk: the input is a segment of the spool, and, behind its first byte, which says
 * how many spans are expected, a message as a record holds it. Whatever it is, the books must balance.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/scope.h"
#include "base/stats.h"
#include "export/otlp_decode.h"
#include "export/spool.h"
#include "export/spool_inner.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/fuzz_spool.XXXXXX";
static struct spool_dir *spools;

static void need(bool truth)
{
	if (!truth)
		abort();
}

static void clean(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	need(!system(command));
}

static struct spool *open_it(uint64_t *key)
{
	struct spool *s = NULL;

	need(!spool_open(&s, &(struct spool_config){ spools, "x", 1 << 20, STAT_undelivered_otlp }));
	*key = s->key;
	return s;
}

static void fuzz_message(struct slice text, uint32_t n)
{
	struct otlp_decoded d;
	struct arena_pool pool;
	struct arena arena;
	uint64_t id = 0;

	arena_pool_init(&pool, 8 << 20);
	arena_init(&arena, &pool);
	if (!otlp_decode(text, n, &arena, &id, &d)) {
		need(d.n == n);
		for (uint32_t i = 0; i < n; i++)
			for (uint32_t k = 0; k < d.spans[i].d.n_attrs; k++)
				need(d.spans[i].d.attrs[k].type <= ATTR_STRINGS);
	}
	arena_fini(&arena);
	arena_pool_fini(&pool);
}

static void write_segment(uint64_t key, const uint8_t *data, size_t size)
{
	uint64_t ignored;
	int fd;

	spool_dir_remove(spools, key, 7);
	need(!spool_dir_file(spools, key, 7, true, &fd, &ignored));
	need(write(fd, data, size) == (ssize_t)size);
	close(fd);
}

/* Every other span of a record is done; every third record goes back once. */
static uint64_t read_all(struct spool *s)
{
	struct spool_taken *t;
	uint64_t open = 0;

	for (unsigned i = 0; !spool_take(s, 0, &t); i++) {
		bool again = i % 3 == 0;

		fuzz_message(t->text, t->left);
		for (uint32_t k = 0; k < t->n; k++) {
			if (again && k % 2)
				continue;
			open += t->marks[k] == MARK_OPEN;
			spool_done(t, k);
		}
		spool_release(s, t, again);
	}
	return open;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spool *s;
	uint64_t key, done;

	if (!spools) {
		log_setup(LOG_ERROR, false);
		need(mkdtemp(dir) && !spool_dir_open(&spools, dir));
		atexit(clean);
	}
	spool_close(open_it(&key));
	memset(stats, 0, sizeof(stats));
	write_segment(key, data, size);
	s = open_it(&key);
	done = read_all(s);
	need(!spool_waiting(s) && list_empty(&s->segments) && !s->size);
	need(!stats[STAT_spans_in_spool] && stats[STAT_spans_recovered] == done + stats[STAT_drop_spool_damaged] + stats[STAT_drop_spool_full]);
	spool_close(s);
	if (size)
		fuzz_message(slice_of((const char *)data + 1, size - 1), data[0]);
	return 0;
}
