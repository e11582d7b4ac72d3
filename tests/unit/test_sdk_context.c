// SPDX-License-Identifier: Apache-2.0
/* The context that an SDK publishes: of this very process, and from a /proc of our own making where anything may stand. */
#include "tap.h"

#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/rng.h"
#include "base/stats.h"
#include "host/facts.h"
#include "host/sdk_context.h"
#include "hostkit.h"
#include "otel_ctx.h"

#define AT 0x10000	/* of the header */
#define HEAP 0x30000	/* of the payload */

static const char maps_good[] = "00010000-00011000 r--p 00000000 00:00 0    [anon:OTEL_CTX]\n"
				"00030000-00031000 rw-p 00000000 00:00 0    [heap]\n"
				"00031000-00032000 rw-p 00000000 00:00 0 \n"
				"00400000-00401000 r-xp 00000000 08:01 77 /usr/bin/shop\n";

static void put_memory(uint32_t pid, uint64_t at, const void *p, size_t n)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%u/mem", root, pid);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	CHECK(fd >= 0 && pwrite(fd, p, n, (off_t)at) == (ssize_t)n);
	close(fd);
}

static struct otel_ctx good_header(uint32_t size)
{
	return (struct otel_ctx){ "OTEL_CTX", 2, size, 12345, HEAP };
}

static int read_context(uint32_t pid, struct buf *b)
{
	_cleanup_(proc_close) struct proc p;
	int r = proc_open(&p, root, pid);

	buf_reset(b);
	return r ? r : sdk_context_read(&p, b);
}

/* The process says `h` and has these mappings: what becomes of it? */
static int attempt(const char *maps, struct otel_ctx h)
{
	_cleanup_(buf_fini) struct buf b;

	buf_init(&b, SDK_CONTEXT_MAX);
	put_file(40, "maps", maps, strlen(maps));
	put_memory(40, AT, &h, sizeof(h));
	return read_context(40, &b);
}

static char *swap(const char *from, const char *to)
{
	static char text[sizeof(maps_good) + 128];
	const char *at = strstr(maps_good, from);

	snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - maps_good), maps_good, to, at + strlen(from));
	return text;
}

static void test_sdk_context__only_what_the_header_promises(void)
{
	uint8_t payload[8192] = { 0 };
	struct otel_ctx h = good_header(100);

	make_process(40, 500, "/usr/bin/shop", "shop\0", 5);
	put_memory(40, HEAP, payload, sizeof(payload));
	CHECK_INT(attempt(maps_good, h), 0);
	CHECK_INT(attempt(swap("OTEL_CTX", "OTHER"), h), -ENOENT);
	CHECK_INT(attempt(swap("[anon:OTEL_CTX]", "[anon_shmem:OTEL_CTX]"), h), 0);
	CHECK_INT(attempt(swap("[anon:OTEL_CTX]", "/memfd:OTEL_CTX (deleted)"), h), 0);
	CHECK_INT(attempt(swap("[anon:OTEL_CTX]", "/home/memfd:OTEL_CTX"), h), -ENOENT);
	CHECK_INT(attempt(swap("00:00 0    [anon:OTEL_CTX]", "00:35 9    /memfd:OTEL_CTX"), h), -ENOENT); /* a file of that name */
	CHECK_INT(attempt(swap("r--p", "---p"), h), -ENOENT);
	h.signature[7] = 'x';
	CHECK_INT(attempt(maps_good, h), -EBADMSG);
	h = good_header(100);
	h.version = 1;
	CHECK_INT(attempt(maps_good, h), -EBADMSG);
	h = good_header(100);
	h.published_at = 0;
	CHECK_INT(attempt(maps_good, h), -EAGAIN);
	CHECK_INT(attempt(maps_good, good_header(0)), -EMSGSIZE);
	CHECK_INT(attempt(maps_good, good_header(SDK_CONTEXT_MAX + 1)), -EMSGSIZE);
	CHECK_INT(attempt(maps_good, good_header(8192)), 0); /* two mappings in a row */
	CHECK_INT(attempt(maps_good, good_header(8193)), -EFAULT);
	/* one of that name that is none is passed over */
	CHECK_INT(attempt(swap("00010000", "00008000-00009000 r--p 00000000 00:00 0 [anon:OTEL_CTX]\n00010000"), good_header(100)), 0);
}

static void test_sdk_context__memory_that_no_file_is_behind(void)
{
	static const uint64_t bad[] = { 0, 1, 0x2ffff, 0x31fff, 0x400000, UINT64_MAX, UINT64_MAX - 50, INT64_MAX };
	struct otel_ctx h = good_header(100);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		h.payload = bad[i];
		CHECK_INT(attempt(maps_good, h), -EFAULT);
	}
	h = good_header(100);
	CHECK_INT(attempt(swap("00:00 0    [heap]", "00:35 9 /mnt/fuse/file"), h), -EFAULT);
	CHECK_INT(attempt(swap("rw-p 00000000 00:00 0    [heap]", "---p 00000000 00:00 0"), h), -EFAULT);
	CHECK_INT(attempt("", h), -ENOENT);
	CHECK_INT(attempt("00010000-00010010 r--p 00000000 00:00 0 [anon:OTEL_CTX]\n", h), -EBADMSG);
	CHECK_INT(attempt("zz\n00010000 r--p\n-\n00010000-0001100000000000000000 r--p 0 0:0 0 [anon:OTEL_CTX", h), -ENOENT);
}

struct seen {
	char text[512];
	unsigned n;
};

static void see(void *arg, const struct attr *a)
{
	struct seen *s = arg;
	size_t at = strlen(s->text);

	s->n++;
	if (a->type == ATTR_STRING)
		snprintf(s->text + at, sizeof(s->text) - at, "%.*s=%.*s;", SLICE_ARG(a->key), SLICE_ARG(a->s));
	else
		snprintf(s->text + at, sizeof(s->text) - at, "%.*s=%lld;", SLICE_ARG(a->key), (long long)a->i);
}

static void test_sdk_context__payload(void)
{
	struct seen s = { 0 };
	uint8_t p[512];
	size_t n = otel_ctx_text(p, "service.name", "shop");

	n += otel_ctx_number(p + n, "shard", 7);
	n += pb_text(p + n, 2, "\x0a\x01x", 3); /* ProcessContext.attributes: not of the resource */
	n += pb_text(p + n, 1, "\x0a\x03\x0a\x01k", 5); /* without a value */
	n += pb_text(p + n, 1, "\x0a\x07\x0a\x01k\x12\x02\x10\x01", 9); /* a bool */
	n += otel_ctx_text(p + n, "service.instance.id", "i-1");
	sdk_context_each(slice_of((char *)p, n), see, &s);
	CHECK_SLICE(slice_str(s.text), "service.name=shop;shard=7;service.instance.id=i-1;");
	for (size_t cut = 0; cut < n; cut++) { /* no byte behind it is looked at: ASan */
		_free_ char *copy = malloc(cut ? cut : 1);

		memcpy(copy, p, cut);
		sdk_context_each(slice_of(copy, cut), see, &s);
	}
}

static void test_sdk_context__random_payloads(void)
{
	struct seen s;
	struct rng rng;
	uint8_t p[256];

	rng_seed(&rng, 3, 4);
	for (int i = 0; i < 20000; i++) {
		size_t n = otel_ctx_text(p, "service.name", "shop");

		n += otel_ctx_number(p + n, "shard", 7);
		for (uint64_t k = rng_next(&rng) % 4; k; k--)
			p[rng_next(&rng) % n] = (uint8_t)rng_next(&rng);
		s = (struct seen){ 0 };
		sdk_context_each(slice_of((char *)p, n), see, &s);
		CHECK(s.n <= SDK_CONTEXT_ATTRS);
	}
}

/* The whole of it, for a process that sets up its SDK after its first request. */
static void test_sdk_context__of_this_process(void)
{
	struct host_config c = { .proc = "/proc", .max_processes = 4, .live = true };
	_host_ *h = host_new(&c);
	_resource_ *before = host_resource(h, (uint32_t)getpid()), *early = NULL, *after = NULL, *again = NULL;
	struct ev_tick ev = { { EV_TICK, 0, sizeof(ev), clock_boot() } };
	static uint8_t p[512];
	uint8_t *heap = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t n = otel_ctx_number(p, "\1", FACTS_KNOWN); /* how layers are told: not for a program to say */

	n += otel_ctx_text(p + n, "service.name", "liar");
	n += otel_ctx_number(p + n, "\1", FACTS_CONTEXT);
	n += otel_ctx_text(p + n, "service.name", "by-the-sdk");
	n += otel_ctx_text(p + n, "service.instance.id", "627cc493-f310-47de-96bd-71410b7dec09");
	n += otel_ctx_text(p + n, "process.executable.name", "liar");
	n += otel_ctx_text(p + n, "host.name", "name-of-a-pod");
	n += otel_ctx_text(p + n, "os.type", ""); /* not known to it */
	memcpy(heap, p, n);
	REQUIRE(otel_ctx_publish(heap, (uint32_t)n));
	host_event(h, &ev.h);
	early = host_resource(h, (uint32_t)getpid());
	CHECK(early == before); /* nobody looks at each request */
	ev.h.time += 6 * NS_PER_S;
	host_event(h, &ev.h);
	after = host_resource(h, (uint32_t)getpid());
	REQUIRE(before && after && after != before);
	CHECK_SLICE(before->service, "test_sdk_context");
	CHECK_SLICE(after->service, "by-the-sdk");
	CHECK_SLICE(text_of(after, "service.instance.id"), "627cc493-f310-47de-96bd-71410b7dec09");
	CHECK_SLICE(text_of(after, "process.executable.name"), "test_sdk_context");
	CHECK(!slice_eq(text_of(after, "host.name"), SLICE("name-of-a-pod")));
	CHECK_SLICE(text_of(after, "os.type"), "linux");
	ev.h.time += 3600 * NS_PER_S;
	host_event(h, &ev.h);
	again = host_resource(h, (uint32_t)getpid());
	CHECK(again == after); /* the same */
	munmap(heap, 4096);
}

int main(void)
{
	if (!kit_start())
		return 1;
	RUN(test_sdk_context__only_what_the_header_promises);
	RUN(test_sdk_context__memory_that_no_file_is_behind);
	RUN(test_sdk_context__payload);
	RUN(test_sdk_context__random_payloads);
	RUN(test_sdk_context__of_this_process);
	kit_stop();
	return tap_done();
}
