// SPDX-License-Identifier: Apache-2.0
/* What becomes of spans: every one that is pushed ends exactly once. Files, pipes and the terminal are real. */
#include "fake_spans.h"
#include "tap.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"

#define MS NS_PER_MS

static char dir[] = "/tmp/test_export.XXXXXX";

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static struct export_config config(void)
{
	memset(stats, 0, sizeof(stats));
	return (struct export_config){ .queue_size = 100, .batch_size = 10, .batch_age = 1000 * MS, .version = "1" };
}

static void push(struct export *e, unsigned from, unsigned n)
{
	for (unsigned i = from; i < from + n; i++)
		export_push(e, fake_http(i, &fake_resources[i % 3]), 0);
}

static char *slurp(const char *path, size_t *n)
{
	static char text[1 << 20];
	_fclose_ FILE *f = fopen(path, "r");

	*n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	text[*n] = 0;
	return text;
}

static unsigned count_in(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *at = text; (at = strstr(at, what)); at++)
		n++;
	return n;
}

/* Every line is a whole request. */
static bool lines_whole(const char *text)
{
	while (*text) {
		const char *end = strchr(text, '\n');

		if (!end || strncmp(text, "{\"resourceSpans\":", 17) || strncmp(end - 3, "}]}", 3))
			return false;
		text = end + 1;
	}
	return true;
}

static void expect_all_gone(unsigned pushed)
{
	CHECK_INT(spans_alive, 0);
	CHECK_INT(stats[STAT_spans_exported] + all_drops(), pushed);
}

static void test_export__file_gets_every_span_once_a_turn(void)
{
	struct export_config c = config();
	struct export *e;
	size_t n;

	c.file = path_of("spans");
	REQUIRE(!export_new(&e, &c, NULL));
	push(e, 0, 25);
	CHECK(count_in(slurp(c.file, &n), "traceId") == 20); /* two full batches went at once */
	CHECK(!export_idle(e));
	fake_turn(e, 1);
	CHECK(count_in(slurp(c.file, &n), "traceId") == 25);
	CHECK(export_idle(e));
	fake_turn(e, 2); /* nothing to send: no empty line */
	CHECK_INT(count_in(slurp(c.file, &n), "\n"), 3);
	CHECK(lines_whole(slurp(c.file, &n)));
	push(e, 25, 1);
	export_flush(e, 3);
	CHECK(export_idle(e));
	export_free(e);
	CHECK_INT(stats[STAT_spans_exported], 26);
	expect_all_gone(26);
}

static void test_export__file_mode_and_append(void)
{
	struct export_config c = config();
	struct export *e;
	struct stat st;
	size_t n;

	c.file = path_of("append");
	umask(0);
	for (int i = 0; i < 2; i++) {
		REQUIRE(!export_new(&e, &c, NULL));
		push(e, 0, 1);
		export_flush(e, 1);
		export_free(e);
	}
	CHECK(!stat(c.file, &st) && (st.st_mode & 07777) == 0640);
	CHECK_INT(count_in(slurp(c.file, &n), "traceId"), 2);
	CHECK(lines_whole(slurp(c.file, &n)));
}

static void test_export__a_torn_last_line_is_ended_first(void)
{
	struct export_config c = config();
	struct export *e;
	char *text;
	size_t n;
	FILE *f;

	c.file = path_of("torn");
	f = fopen(c.file, "w");
	fputs("{\"resourceSpans\":[{\"tor", f);
	fclose(f);
	REQUIRE(!export_new(&e, &c, NULL));
	push(e, 0, 1);
	fake_turn(e, 1);
	push(e, 1, 1);
	export_flush(e, 1);
	export_free(e);
	text = slurp(c.file, &n);
	CHECK(!strncmp(text, "{\"resourceSpans\":[{\"tor\n{", 25));
	CHECK(lines_whole(strchr(text, '\n') + 1));
	CHECK_INT(count_in(text, "\n"), 3);
}

static void test_export__a_full_device_drops_and_goes_on(void)
{
	struct export_config c = config();
	struct export *e;

	c.file = "/dev/full";
	REQUIRE(!export_new(&e, &c, NULL));
	push(e, 0, 35);
	export_flush(e, 1);
	CHECK(export_idle(e));
	export_free(e);
	CHECK_INT(stats[STAT_drop_file], 35);
	CHECK_INT(stats[STAT_undelivered_file], 35);
	expect_all_gone(35);
}

static void test_export__dev_null_takes_all(void)
{
	struct export_config c = config();
	struct export *e;

	c.file = "/dev/null";
	REQUIRE(!export_new(&e, &c, NULL));
	push(e, 0, 35);
	export_flush(e, 1);
	export_free(e);
	CHECK_INT(stats[STAT_spans_exported], 35);
	expect_all_gone(35);
}

/* The size limit makes write() return short, then fail: what a full disk does. */
static void test_export__a_line_cut_short_is_taken_back(void)
{
	struct export_config c = config();
	struct rlimit old, small;
	struct export *e;
	char *text;
	size_t n;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	c.file = path_of("full");
	REQUIRE(!export_new(&e, &c, NULL));
	push(e, 0, 10);
	slurp(c.file, &n);
	small = (struct rlimit){ n + 1000, old.rlim_max };
	setrlimit(RLIMIT_FSIZE, &small);
	push(e, 10, 20);
	slurp(c.file, &small.rlim_cur);
	setrlimit(RLIMIT_FSIZE, &old);
	CHECK_INT(small.rlim_cur, n);
	CHECK_INT(stats[STAT_drop_file], 20);
	push(e, 30, 10);
	export_free(e);
	text = slurp(c.file, &n);
	CHECK(lines_whole(text));
	CHECK_INT(count_in(text, "traceId"), 20);
	CHECK_INT(stats[STAT_spans_exported], 20);
	expect_all_gone(40);
}

static const char *numbered(const char *path, int i)
{
	static char name[160];

	snprintf(name, sizeof(name), i ? "%s.%d" : "%s", path, i);
	return name;
}

/* Every span is in exactly one of the files, the newest in PATH; none is larger than the limit; the oldest are gone. */
static void test_export__a_file_of_its_size_begins_anew(void)
{
	struct export_config c = config();
	struct export *e;
	unsigned total = 0;
	size_t n;

	c.file = path_of("rotated");
	c.file_size = 30000;
	REQUIRE(!export_new(&e, &c, NULL));
	for (unsigned i = 0; i < 20; i++) {
		push(e, 10 * i, 10);
		CHECK(strstr(slurp(c.file, &n), "ff0000000000") != NULL);
	}
	for (int i = 0; i <= 5; i++) {
		CHECK(lines_whole(slurp(numbered(c.file, i), &n)));
		CHECK(n > 0 && n <= 30000);
		total += count_in(slurp(numbered(c.file, i), &n), "traceId");
	}
	CHECK(access(numbered(c.file, 6), F_OK));
	CHECK(total < 200 && total >= 100);
	CHECK(strstr(slurp(c.file, &n), "ff000000000000c7") != NULL); /* 199 */
	CHECK(!strstr(slurp(numbered(c.file, 1), &n), "ff000000000000c7"));
	c.file_size = 100; /* less than a batch: each has a file of its own */
	push(e, 200, 10);
	export_free(e);
	REQUIRE(!export_new(&e, &c, NULL));
	push(e, 210, 10);
	push(e, 220, 10);
	CHECK_INT(count_in(slurp(c.file, &n), "traceId"), 10);
	CHECK_INT(count_in(slurp(numbered(c.file, 1), &n), "traceId"), 10);
	export_free(e);
	expect_all_gone(230);
}

/* A folder that cannot be written, a link: no new file, but nothing is lost. */
static void test_export__a_file_that_cannot_move_grows(void)
{
	struct export_config c = config();
	char to[128], link[128];
	struct export *e;
	size_t n;

	snprintf(to, sizeof(to), "%s", path_of("target"));
	snprintf(link, sizeof(link), "%s", path_of("link"));
	fclose(fopen(to, "w"));
	REQUIRE(!symlink(to, link));
	c.file = link;
	c.file_size = 1000;
	REQUIRE(!export_new(&e, &c, NULL));
	push(e, 0, 50);
	CHECK_INT(count_in(slurp(to, &n), "traceId"), 50);
	CHECK(access(numbered(link, 1), F_OK));
	export_free(e);
	c.file = "/dev/null";
	REQUIRE(!export_new(&e, &c, NULL));
	push(e, 50, 50);
	export_free(e);
	CHECK(access("/dev/null.1", F_OK));
	expect_all_gone(100);
}

static void test_export__reopened_after_it_was_moved(void)
{
	struct export_config c = config();
	struct export *e;
	char moved[128];
	size_t n;

	snprintf(moved, sizeof(moved), "%s", path_of("moved"));
	c.file = path_of("original");
	REQUIRE(!export_new(&e, &c, NULL));
	push(e, 0, 10);
	REQUIRE(!rename(c.file, moved));
	push(e, 10, 10);
	CHECK_INT(count_in(slurp(moved, &n), "traceId"), 20);
	export_reopen(e);
	push(e, 20, 10);
	CHECK_INT(count_in(slurp(moved, &n), "traceId"), 20);
	CHECK_INT(count_in(slurp(c.file, &n), "traceId"), 10);
	export_free(e);
	expect_all_gone(30);
}

static void test_export__access_log_is_a_line_a_request(void)
{
	struct export_config c = config();
	struct export *e;
	struct span *s;
	size_t n;

	c.access_log = path_of("access");
	REQUIRE(!export_new(&e, &c, NULL));
	export_push(e, fake_http(1, &fake_resources[0]), 0);
	s = fake_full(2, NULL);
	s->end = s->start - 1;
	s->d.attrs[1].s = SLICE("/a\"b\n\x1b\xff");
	export_push(e, s, 0);
	export_push(e, fake_bare(3, &fake_resources[2]), 0);
	fake_turn(e, 1);
	CHECK_SLICE(slice_str(slurp(c.access_log, &n)),
		    "{\"time\":\"2023-11-14T22:13:20.123457Z\",\"kind\":\"server\",\"service\":\"shop\",\"pid\":4711,\"method\":\"GET\","
		    "\"path\":\"/cart/items/4711\",\"query\":\"user=REDACTED\",\"status\":200,\"peer\":\"192.0.2.17\",\"peer_port\":51234,"
		    "\"client\":\"192.0.2.17\",\"server\":\"shop.example.com\","
		    "\"user_agent\":\"Mozilla/5.0 (X11; Linux x86_64) wrk/4.1.0\",\"duration_ms\":12.345,"
		    "\"trace_id\":\"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\",\"span_id\":\"ff00000000000001\"}\n"
		    "{\"time\":\"2023-11-14T22:13:20.123458Z\",\"kind\":\"client\",\"method\":\"GET\","
		    "\"path\":\"/a\\\"b\\n\\u001b\xef\xbf\xbd\",\"query\":\"user=REDACTED\",\"status\":200,\"error\":\"500\","
		    "\"peer\":\"192.0.2.17\",\"peer_port\":51234,\"client\":\"192.0.2.17\",\"server\":\"shop.example.com\","
		    "\"user_agent\":\"Mozilla/5.0 (X11; Linux x86_64) wrk/4.1.0\",\"duration_ms\":0.000,"
		    "\"trace_id\":\"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\",\"span_id\":\"ff00000000000002\",\"parent_id\":\"bbbbbbbbbbbbbbbb\"}\n"
		    "{\"time\":\"2023-11-14T22:13:20.123459Z\",\"kind\":\"server\",\"service\":\"db\",\"duration_ms\":12.345,"
		    "\"trace_id\":\"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\",\"span_id\":\"ff00000000000003\"}\n");
	export_free(e);
	expect_all_gone(3);
}

static void test_export__a_path_that_cannot_be_is_an_error(void)
{
	struct export_config c = config();
	struct export *e = NULL;

	c.file = path_of("no/such/folder");
	CHECK_INT(export_new(&e, &c, NULL), -ENOENT);
	CHECK(!e);
	c.file = dir;
	CHECK_INT(export_new(&e, &c, NULL), -EISDIR);
}

static size_t drain(int fd, char *to, size_t room)
{
	size_t n = 0;
	ssize_t k;

	while ((k = read(fd, to + n, room - n)) > 0)
		n += (size_t)k;
	return n;
}

static void test_export__a_full_pipe_waits_without_blocking(void)
{
	static char got[1 << 21];
	struct export_config c = config();
	struct export *e;
	size_t n = 0;
	int fd;

	c.file = path_of("fifo");
	REQUIRE(!mkfifo(c.file, 0600));
	fd = open(c.file, O_RDONLY | O_NONBLOCK);
	REQUIRE(!export_new(&e, &c, NULL));
	push(e, 0, 300);
	for (int i = 0; i < 20; i++)
		fake_turn(e, 1);
	CHECK(stats[STAT_drop_queue] > 0); /* 300 spans are more than a pipe and a queue of 100 hold */
	CHECK(stats[STAT_spans_exported] > 0);
	CHECK(!export_idle(e));
	CHECK_INT(stats[STAT_spans_exported] + stats[STAT_drop_queue] + 100, 300);
	for (int i = 0; i < 1000 && !export_idle(e); i++) {
		n += drain(fd, got + n, sizeof(got) - n - 1);
		fake_turn(e, 2);
	}
	n += drain(fd, got + n, sizeof(got) - n - 1);
	got[n] = 0;
	CHECK(export_idle(e));
	CHECK(lines_whole(got));
	CHECK_INT(count_in(got, "traceId"), stats[STAT_spans_exported]);
	export_free(e);
	close(fd);
	expect_all_gone(300);
}

static void test_export__a_fifo_whose_reader_comes_and_goes(void)
{
	static char got[1 << 20];
	struct export_config c = config();
	struct export *e;
	size_t n;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	c.file = path_of("fifo2");
	REQUIRE(!mkfifo(c.file, 0600));
	REQUIRE(!export_new(&e, &c, NULL));
	push(e, 0, 10); /* nobody there */
	CHECK_INT(stats[STAT_drop_file], 10);
	fd = open(c.file, O_RDONLY | O_NONBLOCK);
	push(e, 10, 10);
	CHECK_INT(stats[STAT_spans_exported], 10);
	push(e, 20, 80); /* may fill the pipe: the last line is then half in it */
	close(fd);
	push(e, 100, 10);
	fake_turn(e, 1);
	CHECK(export_idle(e));
	fd = open(c.file, O_RDONLY | O_NONBLOCK);
	push(e, 110, 10);
	n = drain(fd, got, sizeof(got) - 1);
	got[n] = 0;
	CHECK(lines_whole(got));
	CHECK_INT(count_in(got, "traceId"), 10);
	export_free(e);
	close(fd);
	expect_all_gone(120);
}

static void test_export__without_exporters_spans_are_counted(void)
{
	struct export_config c = config();
	struct export *e;

	REQUIRE(!export_new(&e, &c, NULL));
	push(e, 0, 3);
	CHECK(export_idle(e));
	export_free(e);
	CHECK_INT(stats[STAT_drop_unsent], 3);
	expect_all_gone(3);
}

static void turn(struct export *e, CURLM *multi, uint64_t now)
{
	int running;

	curl_multi_poll(multi, NULL, 0, 5, NULL);
	curl_multi_perform(multi, &running);
	fake_turn(e, now);
}

#define NOBODY "http://127.0.0.1:1/v1/traces" /* nothing listens there */

static void test_export__the_queue_bounds_what_is_not_acknowledged(void)
{
	struct export_config c = config();
	CURLM *multi = curl_multi_init();
	struct export *e;

	c.otlp.urls = (const char *const[]){ NOBODY };
	c.otlp.n_urls = 1;
	REQUIRE(!export_new(&e, &c, multi));
	push(e, 0, 50);
	CHECK(!export_crowded(e));
	push(e, 50, 950);
	CHECK(export_crowded(e));
	CHECK_INT(stats[STAT_drop_queue], 900);
	CHECK_INT(spans_alive, 100);
	for (int i = 0; i < 20; i++)
		turn(e, multi, 10 * MS);
	CHECK_INT(spans_alive, 100); /* kept for another try */
	CHECK(!export_idle(e));
	export_flush(e, 20 * MS);
	export_free(e);
	CHECK_INT(stats[STAT_drop_unsent], 100);
	expect_all_gone(1000);
	curl_multi_cleanup(multi);
}

static void test_export__one_that_delivers_is_enough(void)
{
	struct export_config c = config();
	CURLM *multi = curl_multi_init();
	struct export *e;
	size_t n;

	c.otlp.urls = (const char *const[]){ NOBODY };
	c.otlp.n_urls = 1;
	c.file = path_of("beside");
	REQUIRE(!export_new(&e, &c, multi));
	push(e, 0, 350); /* more than the queue of the one that fails */
	fake_turn(e, 10 * MS);
	CHECK_INT(stats[STAT_spans_exported], 350);
	CHECK_INT(spans_alive, 100);
	for (int i = 0; i < 10; i++)
		turn(e, multi, 10 * MS);
	export_free(e);
	CHECK_INT(count_in(slurp(c.file, &n), "traceId"), 350);
	CHECK_INT(all_drops(), 0);
	expect_all_gone(350);
	curl_multi_cleanup(multi);
}

/* The same spans to a file and to disk for an end point that is away: the file has delivered them. */
static void test_export__a_file_decides_before_the_disk(void)
{
	struct export_config c = config();
	CURLM *multi = curl_multi_init();
	char spool[128], file[128];
	struct export *e;
	size_t n;

	snprintf(spool, sizeof(spool), "%s", path_of("spool"));
	snprintf(file, sizeof(file), "%s", path_of("besides"));
	c.otlp.urls = (const char *const[]){ NOBODY };
	c.otlp.n_urls = 1;
	c.spool_dir = spool;
	c.spool_size = 1 << 20;
	c.file = file;
	REQUIRE(!export_new(&e, &c, multi));
	for (unsigned i = 0; i < 20; i++) {
		push(e, 15 * i, 15); /* batches end between the turns */
		turn(e, multi, i * MS);
	}
	export_flush(e, 100 * MS);
	export_free(e);
	CHECK_INT(count_in(slurp(file, &n), "traceId"), 300);
	CHECK_INT(stats[STAT_spans_exported], 300);
	CHECK_INT(stats[STAT_spans_in_spool] + stats[STAT_spans_spooled] + stats[STAT_undelivered_otlp], 0);
	expect_all_gone(300);
	memset(stats, 0, sizeof(stats));
	c.file = NULL;
	REQUIRE(!export_new(&e, &c, multi));
	CHECK_INT(stats[STAT_spans_recovered], 0);
	push(e, 0, 150);
	export_free(e);
	CHECK_INT(stats[STAT_spans_in_spool], 150);
	CHECK_INT(all_drops(), 0);
	curl_multi_cleanup(multi);
}

static void test_export__the_first_reason_counts(void)
{
	struct export_config c = config();
	CURLM *multi = curl_multi_init();
	struct export *e;

	c.otlp.urls = (const char *const[]){ NOBODY };
	c.otlp.n_urls = 1;
	c.file = "/dev/full";
	REQUIRE(!export_new(&e, &c, multi));
	push(e, 0, 50);
	fake_turn(e, 1);
	CHECK_INT(spans_alive, 50);
	CHECK_INT(all_drops(), 0); /* not decided while one may still deliver */
	export_free(e);
	CHECK_INT(stats[STAT_drop_file], 50);
	expect_all_gone(50);
	curl_multi_cleanup(multi);
}

/* ---- the console: standard output is swapped for a pipe or a terminal -------------------------- */

static char *console(struct span *s, bool terminal)
{
	static char text[8192];
	struct export_config c = config();
	struct export *e;
	int fds[2], saved;
	size_t n = 0;

	fflush(stdout);
	saved = dup(1);
	if (terminal) {
		fds[0] = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
		if (grantpt(fds[0]) || unlockpt(fds[0]))
			return NULL;
		fds[1] = open(ptsname(fds[0]), O_RDWR | O_NOCTTY);
	} else if (pipe2(fds, O_NONBLOCK)) {
		return NULL;
	}
	dup2(fds[1], 1);
	c.console = true;
	if (!export_new(&e, &c, NULL)) {
		export_push(e, s, 0);
		fake_turn(e, 1);
		n = drain(fds[0], text, sizeof(text) - 1);
		export_free(e);
	}
	dup2(saved, 1);
	close(saved);
	close(fds[0]);
	close(fds[1]);
	text[n] = 0;
	return text;
}

static void test_console__one_line_for_people(void)
{
	struct span *s = fake_http(1, &fake_resources[0]);
	char *text;

	setenv("TZ", "UTC", 1);
	tzset();
	text = console(s, false);
	CHECK_SLICE(slice_str(text), "22:13:20.123  → in  shop            GET /cart/items/4711?user=REDACTED  200  "
				     "12.3 ms  a0a1a2a3\n");
	s = fake_bare(1, &fake_resources[1]);
	s->kind = SPAN_CLIENT;
	s->end = s->start + 999;
	s->d.status = STATUS_ERROR;
	s->parent_id[0] = 1;
	fake_attr(s, attr_s("error.type", SLICE("connection_reset")));
	fake_attr(s, attr_s("spandrel.link", SLICE("thread")));
	CHECK_SLICE(slice_str(console(s, false)),
		    "22:13:20.123  ← out cart            GET  connection_reset  999 ns  a0a1a2a3 ↳ thread\n");
	CHECK_INT(stats[STAT_spans_exported], 1);
}

static void test_console__durations_have_a_sensible_unit(void)
{
	static const struct {
		uint64_t ns;
		const char *want;
	} cases[] = {
		{ 0, "  0 ns " },	       { 12345, "  12.3 µs " },	     { 999499, "  999 µs " },
		{ 999600, "  1.00 ms " },      { 9996000, "  10.0 ms " },    { 1234567890, "  1.23 s " },
		{ 3600000000000ULL, "  3600 s " },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct span *s = fake_bare(1, NULL);

		s->end = s->start + cases[i].ns;
		CHECK(strstr(console(s, false), cases[i].want) != NULL);
	}
}

static void test_console__foreign_text_cannot_drive_the_terminal(void)
{
	struct span *s = fake_bare(1, &fake_resources[0]);
	char *text;

	fake_attr(s, attr_s("http.request.method", SLICE("GET\n")));
	fake_attr(s, attr_s("url.path",
			    SLICE("/\x1b[2J\x7f\r\0\xc2\x9b\xff é\xe2\x80\xae" "evil\xe2\x80\x8b\xef\xbb\xbf")));
	text = console(s, false);
	CHECK(strstr(text, "GET\\x0a /\\x1b[2J\\x7f\\x0d\\x00\\x9b\\xff é\\u{202e}evil\\u{200b}\\u{feff}  -") != NULL);
	CHECK_INT(count_in(text, "\n"), 1);
	CHECK_INT(text[strlen(text) - 1], '\n');
	for (const char *p = text; p[1]; p++)
		CHECK((unsigned char)*p >= 0x20 && *p != 0x7f);
}

static void test_console__a_long_target_is_cut(void)
{
	struct span *s = fake_bare(1, NULL);
	_free_ char *path = malloc(60000);

	memset(path, 'p', 60000);
	fake_attr(s, attr_s("http.request.method", SLICE("GET")));
	fake_attr(s, attr_s("url.path", slice_of(path, 60000)));
	CHECK(strlen(console(s, false)) < 400);
}

static void test_console__colours_on_a_terminal_only(void)
{
	unsetenv("NO_COLOR");
	setenv("TERM", "xterm", 1);
	CHECK(!strchr(console(fake_http(1, NULL), false), '\033'));
	CHECK(strstr(console(fake_http(1, NULL), true), "\033[32m200\033[0m") != NULL);
	setenv("NO_COLOR", "1", 1);
	CHECK(!strchr(console(fake_http(1, NULL), true), '\033'));
	setenv("NO_COLOR", "", 1);
	CHECK(strchr(console(fake_http(1, NULL), true), '\033') != NULL);
	setenv("TERM", "dumb", 1);
	CHECK(!strchr(console(fake_http(1, NULL), true), '\033'));
}

static void test_console__a_closed_pipe_is_counted(void)
{
	struct export_config c = config();
	struct export *e;
	int fds[2], saved;

	fflush(stdout);
	saved = dup(1);
	REQUIRE(!pipe(fds));
	dup2(fds[1], 1);
	close(fds[1]);
	c.console = true;
	c.file = "/dev/null";
	CHECK(!export_new(&e, &c, NULL));
	push(e, 0, 5);
	fake_turn(e, 1);
	close(fds[0]);
	push(e, 5, 5);
	fake_turn(e, 2);
	export_free(e);
	dup2(saved, 1);
	close(saved);
	CHECK_INT(stats[STAT_spans_exported], 10); /* the file has them */
	expect_all_gone(10);
}

static int remove_dir(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command) ? 1 : 0;
}

int main(void)
{
	if (!mkdtemp(dir) || curl_global_init(CURL_GLOBAL_DEFAULT))
		return 1;
	RUN(test_export__file_gets_every_span_once_a_turn);
	RUN(test_export__file_mode_and_append);
	RUN(test_export__a_torn_last_line_is_ended_first);
	RUN(test_export__a_full_device_drops_and_goes_on);
	RUN(test_export__dev_null_takes_all);
	RUN(test_export__a_line_cut_short_is_taken_back);
	RUN(test_export__a_file_of_its_size_begins_anew);
	RUN(test_export__a_file_that_cannot_move_grows);
	RUN(test_export__reopened_after_it_was_moved);
	RUN(test_export__access_log_is_a_line_a_request);
	RUN(test_export__a_path_that_cannot_be_is_an_error);
	RUN(test_export__a_full_pipe_waits_without_blocking);
	RUN(test_export__a_fifo_whose_reader_comes_and_goes);
	RUN(test_export__without_exporters_spans_are_counted);
	RUN(test_export__the_queue_bounds_what_is_not_acknowledged);
	RUN(test_export__one_that_delivers_is_enough);
	RUN(test_export__a_file_decides_before_the_disk);
	RUN(test_export__the_first_reason_counts);
	RUN(test_console__one_line_for_people);
	RUN(test_console__durations_have_a_sensible_unit);
	RUN(test_console__foreign_text_cannot_drive_the_terminal);
	RUN(test_console__a_long_target_is_cut);
	RUN(test_console__colours_on_a_terminal_only);
	RUN(test_console__a_closed_pipe_is_counted);
	curl_global_cleanup();
	return tap_done() | remove_dir();
}
