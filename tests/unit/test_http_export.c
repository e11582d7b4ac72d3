// SPDX-License-Identifier: Apache-2.0
/* OTLP/HTTP against a real server (tests/tools/otlp_sink.py) that behaves well or badly. Time is ours: back-offs do not wait. */
#include "fake_spans.h"
#include "tap.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"

#define S NS_PER_S

struct sink {
	pid_t pid;
	int to; /* closing it ends the sink */
	FILE *from;
	unsigned port;
	unsigned requests, accepted; /* set by sink_stop */
	char log[1 << 18];	     /* one line a request, likewise */
};

static struct sink sink;
static char tls_dir[] = "/tmp/test_http.XXXXXX";

static void sink_child(int in, int out, const char *answers, const char *tls, bool client_cert)
{
	const char *argv[16] = { "python3", "tests/tools/otlp_sink.py", "--until-eof", "--do", answers };
	int n = 5;

	dup2(in, 0);
	dup2(out, 1);
	if (tls) {
		argv[n++] = "--tls";
		argv[n++] = tls;
	}
	if (client_cert)
		argv[n++] = "--client-cert";
	execvp(argv[0], (char **)argv);
	_exit(127);
}

static bool sink_start(const char *answers, const char *tls, bool client_cert)
{
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		return false;
	sink.pid = fork();
	if (!sink.pid)
		sink_child(in[0], out[1], answers, tls, client_cert);
	close(in[0]);
	close(out[1]);
	sink.to = in[1];
	sink.from = fdopen(out[0], "r");
	return fscanf(sink.from, "port %u", &sink.port) == 1;
}

static void sink_stop(void)
{
	size_t n;
	char *total;
	int status;

	close(sink.to);
	n = fread(sink.log, 1, sizeof(sink.log) - 1, sink.from);
	sink.log[n] = 0;
	total = strstr(sink.log, "total ");
	if (!total || sscanf(total, "total %u %u", &sink.requests, &sink.accepted) != 2)
		sink.requests = sink.accepted = 99999;
	fclose(sink.from);
	waitpid(sink.pid, &status, 0);
}

/* One exporter at work. */
struct bench {
	CURLM *multi;
	struct export *e;
	uint64_t now;
	unsigned pushed;
	char url[64];
	const char *urls[1];
};

static struct export_config config(void)
{
	memset(stats, 0, sizeof(stats));
	return (struct export_config){
		.queue_size = 1000, .batch_size = 10, .batch_age = 2 * S, .version = "1", .otlp.timeout = 10 * S
	};
}

static bool begin(struct bench *b, struct export_config *c)
{
	*b = (struct bench){ .multi = curl_multi_init(), .now = 1000 * S };
	snprintf(b->url, sizeof(b->url), "%s://127.0.0.1:%u/v1/traces", c->otlp.ca ? "https" : "http", sink.port);
	b->urls[0] = b->url;
	c->otlp.urls = b->urls;
	c->otlp.n_urls = 1;
	return !export_new(&b->e, c, b->multi);
}

static void push(struct bench *b, unsigned n)
{
	for (; n; n--, b->pushed++)
		export_push(b->e, fake_full(b->pushed, &fake_resources[b->pushed % 3]), b->now);
}

/* Turns without the clock moving, until `seen` is reached or nothing has happened for long. */
static void turns(struct bench *b, const uint64_t *counter, uint64_t want)
{
	int running;

	for (int i = 0; i < 2000 && !export_idle(b->e) && (!counter || *counter < want); i++) {
		curl_multi_poll(b->multi, NULL, 0, 5, NULL);
		curl_multi_perform(b->multi, &running);
		fake_turn(b->e, b->now);
	}
}

/* Until no request is under way; the clock stands still. */
static void settle(struct bench *b)
{
	int running;

	for (int i = 0; i < 2000; i++) {
		curl_multi_perform(b->multi, &running);
		fake_turn(b->e, b->now);
		if (!running)
			return;
		curl_multi_poll(b->multi, NULL, 0, 5, NULL);
	}
}

/* Turns with the clock running ahead whenever no request is under way, so that every back-off ends at once. */
static void run(struct bench *b, unsigned limit)
{
	int running;

	for (unsigned i = 0; i < limit && !export_idle(b->e); i++) {
		fake_turn(b->e, b->now);
		curl_multi_perform(b->multi, &running);
		if (running)
			curl_multi_poll(b->multi, NULL, 0, 5, NULL);
		else
			b->now += S / 10;
	}
}

static void end(struct bench *b)
{
	export_free(b->e);
	curl_multi_cleanup(b->multi);
	sink_stop();
	CHECK_INT(spans_alive, 0);
	CHECK_INT(stats[STAT_spans_exported] + all_drops(), b->pushed);
}

static unsigned lines_with(const char *what)
{
	unsigned n = 0;

	for (const char *at = sink.log; (at = strstr(at, what)); at++)
		n++;
	return n;
}

static void test_http__batches_by_size_and_age(void)
{
	struct export_config c = config();
	struct bench b;

	REQUIRE(sink_start("200", NULL, false) && begin(&b, &c));
	push(&b, 25);
	turns(&b, &stats[STAT_spans_exported], 20);
	CHECK_INT(stats[STAT_spans_exported], 20);
	b.now += 2 * S - 1;
	fake_turn(b.e, b.now);
	CHECK_INT(stats[STAT_batches_sent], 2);
	b.now += 1;
	fake_turn(b.e, b.now);
	turns(&b, NULL, 0);
	CHECK(export_idle(b.e));
	end(&b);
	CHECK_INT(stats[STAT_batches_sent], 3);
	CHECK_INT(sink.requests, 3);
	CHECK_INT(sink.accepted, 25);
	CHECK_INT(lines_with("\"spans\": 5,"), 1);
}

static void test_http__what_a_request_looks_like(void)
{
	static const struct slice headers[] = { { "x-api-key: s3cret", 17 }, { "x-empty:", 8 } };
	struct export_config c = config();
	struct bench b;

	c.otlp.headers = headers;
	c.otlp.n_headers = 2;
	c.version = "1.2.3";
	REQUIRE(sink_start("200", NULL, false) && begin(&b, &c));
	for (int i = 0; i < 5; i++) {
		push(&b, 10);
		turns(&b, NULL, 0);
	}
	end(&b);
	CHECK_INT(sink.accepted, 50);
	CHECK_INT(lines_with("\"user-agent\": \"spandrel/1.2.3 OTel-OTLP-Exporter-C/1.2.3\""), 5);
	CHECK_INT(lines_with("\"content-type\": \"application/x-protobuf\""), 5);
	CHECK_INT(lines_with("\"x-api-key\": \"s3cret\""), 5);
	CHECK_INT(lines_with("\"x-empty\": \"\""), 5);
	CHECK_INT(lines_with("\"expect\""), 0);
	CHECK_INT(lines_with("\"connection\": 1,"), 5); /* one connection for all */
}

static void test_http__gzip(void)
{
	struct export_config c = config();
	unsigned wire = 0, size = 0;
	struct bench b;

	c.otlp.gzip = true;
	REQUIRE(sink_start("200", NULL, false) && begin(&b, &c));
	push(&b, 30);
	run(&b, 1000);
	end(&b);
	CHECK_INT(sink.accepted, 30);
	CHECK_INT(lines_with("\"content-encoding\": \"gzip\""), 3);
	REQUIRE(sscanf(strstr(sink.log, "\"wire\""), "\"wire\": %u, \"size\": %u", &wire, &size) == 2);
	CHECK(wire > 0 && wire * 3 < size);
}

/* Each of these is sent again and then taken. */
static void test_http__what_is_sent_again(void)
{
	static const char *const cases[] = { "429,200", "502,200", "503,200", "504,200", "503:after=3,200",
					     "503:date=3,200", "close,200", "noise,200", "503,503,close,429,200" };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct export_config c = config();
		struct bench b;

		printf("# %s\n", cases[i]);
		REQUIRE(sink_start(cases[i], NULL, false) && begin(&b, &c));
		push(&b, 10);
		run(&b, 2000);
		end(&b);
		CHECK_INT(stats[STAT_spans_exported], 10);
		CHECK_INT(sink.accepted, 10);
		CHECK(sink.requests > 1);
		/* libcurl itself tries again when a connection it kept turns out to be closed */
		CHECK(stats[STAT_batches_retried] > 0 && stats[STAT_batches_retried] <= sink.requests - 1);
	}
}

/* Each of these ends it: nothing is sent twice. */
static void test_http__what_is_not_sent_again(void)
{
	static const struct {
		const char *answers;
		bool taken;
	} cases[] = {
		{ "400,200", false }, { "401,200", false },	 { "404,200", false },
		{ "500,200", false }, { "redirect,200", false }, { "garbage,200", true }, { "half,200", true },
		{ "202,200", true },  { "huge,200", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct export_config c = config();
		struct bench b;

		printf("# %s\n", cases[i].answers);
		REQUIRE(sink_start(cases[i].answers, NULL, false) && begin(&b, &c));
		push(&b, 10);
		run(&b, 2000);
		end(&b);
		CHECK_INT(sink.requests, 1);
		CHECK_INT(stats[STAT_spans_exported], cases[i].taken ? 10 : 0);
		CHECK_INT(stats[STAT_drop_refused], cases[i].taken ? 0 : 10);
	}
}

static unsigned take_at_most(unsigned limit)
{
	struct export_config c = config();
	char answers[32];
	struct bench b;

	snprintf(answers, sizeof(answers), "413:over=%u", limit);
	if (!sink_start(answers, NULL, false) || !begin(&b, &c))
		return 0;
	push(&b, 20);
	run(&b, 2000);
	CHECK(export_idle(b.e));
	end(&b);
	return sink.requests;
}

static void test_http__what_is_too_large_is_halved(void)
{
	CHECK_INT(take_at_most(5), 2 * 3);
	CHECK_INT(sink.accepted, 20);
	CHECK_INT(stats[STAT_spans_exported], 20);
	CHECK_INT(stats[STAT_batches_halved], 2);
	CHECK_INT(stats[STAT_batches_retried], 0);
	CHECK_INT(take_at_most(1), 2 * (10 + 9));
	CHECK_INT(sink.accepted, 20);
	CHECK_INT(take_at_most(0), 2 * (10 + 9)); /* single spans are dropped, each counted */
	CHECK_INT(stats[STAT_drop_refused], 20);
	CHECK_INT(stats[STAT_undelivered_otlp], 20);
}

static void test_http__partial_success(void)
{
	struct export_config c = config();
	struct bench b;

	REQUIRE(sink_start("partial=3,warn,partial=99,200", NULL, false) && begin(&b, &c));
	for (int i = 0; i < 4; i++) {
		push(&b, 10);
		turns(&b, NULL, 0);
	}
	end(&b);
	CHECK_INT(sink.requests, 4);
	CHECK_INT(stats[STAT_export_rejected], 13); /* more than a batch has cannot be */
	CHECK_INT(stats[STAT_drop_refused], 13);
	CHECK_INT(stats[STAT_spans_exported], 27);
}

static void test_http__retry_after_is_honoured(void)
{
	static const char *const cases[] = { "503:after=30,200", "429:date=30,200" };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct export_config c = config();
		struct bench b;

		REQUIRE(sink_start(cases[i], NULL, false) && begin(&b, &c));
		push(&b, 10);
		settle(&b);
		push(&b, 10); /* another batch does not go either */
		export_flush(b.e, b.now);
		b.now += 28 * S;
		settle(&b);
		CHECK_INT(stats[STAT_batches_retried], 0);
		CHECK_INT(spans_alive, 20);
		b.now += 2 * S;
		run(&b, 1000);
		end(&b);
		CHECK_INT(stats[STAT_spans_exported], 20);
		CHECK_INT(sink.requests, 3);
	}
}

static void test_http__the_back_off_grows_and_has_a_cap(void)
{
	struct export_config c = config();
	uint64_t last = 0, step = 0, longest = 0, tries = 0;
	int running;
	struct bench b;

	REQUIRE(sink_start("503", NULL, false) && begin(&b, &c));
	push(&b, 10);
	/* the clock moves only while no request is under way, so that a step is a back-off */
	for (int i = 0; i < 20000 && tries < 8; i++) {
		curl_multi_perform(b.multi, &running);
		if (running) {
			curl_multi_poll(b.multi, NULL, 0, 5, NULL);
			continue;
		}
		fake_turn(b.e, b.now);
		if (stats[STAT_batches_retried] > tries) {
			step = b.now - last;
			if (tries == 0)
				CHECK(step >= S / 2 - S / 50 && step <= S + S / 10);
			longest = MAX(longest, step);
			tries++;
			last = b.now;
		}
		if (!last)
			last = b.now;
		b.now += S / 100;
	}
	CHECK_INT(tries, 8);
	CHECK(longest > 2 * S && longest <= 10 * S + S / 10);
	end(&b);
	CHECK_INT(stats[STAT_drop_unsent], 10);
}

static void test_http__a_batch_is_given_up_after_five_minutes(void)
{
	struct export_config c = config();
	struct bench b;

	REQUIRE(sink_start("503", NULL, false) && begin(&b, &c));
	push(&b, 30);
	run(&b, 5000);
	CHECK(export_idle(b.e));
	CHECK(b.now > 1300 * S && b.now < 1350 * S);
	end(&b);
	CHECK_INT(stats[STAT_drop_unsent], 30);
	CHECK(stats[STAT_batches_retried] > 20);
}

static void test_http__an_end_point_that_comes_back_gets_everything(void)
{
	struct export_config c = config();
	struct bench b;

	REQUIRE(sink_start("close,503,close,503,close,503,200", NULL, false) && begin(&b, &c));
	push(&b, 1000);
	push(&b, 7); /* beyond the queue */
	run(&b, 5000);
	CHECK(export_idle(b.e));
	end(&b);
	CHECK_INT(stats[STAT_drop_queue], 7);
	CHECK_INT(stats[STAT_spans_exported], 1000);
	CHECK_INT(sink.accepted, 1000);
}

static void test_http__at_most_four_at_a_time(void)
{
	struct export_config c = config();
	struct bench b;
	int running, most = 0;

	REQUIRE(sink_start("200", NULL, false) && begin(&b, &c));
	push(&b, 1000);
	for (int i = 0; i < 2000 && !export_idle(b.e); i++) {
		curl_multi_perform(b.multi, &running);
		most = MAX(most, running);
		curl_multi_poll(b.multi, NULL, 0, 5, NULL);
		fake_turn(b.e, b.now);
	}
	end(&b);
	CHECK(most > 1 && most <= 4);
	CHECK_INT(sink.accepted, 1000);
	CHECK_INT(sink.requests, 100);
}

static void test_http__no_answer_times_out_and_is_sent_again(void)
{
	struct export_config c = config();
	struct bench b;

	c.otlp.timeout = S / 5;
	REQUIRE(sink_start("never,200", NULL, false) && begin(&b, &c));
	push(&b, 10);
	run(&b, 2000);
	end(&b);
	CHECK_INT(stats[STAT_spans_exported], 10);
	CHECK_INT(sink.requests, 2);
}

static void test_http__closing_with_requests_under_way(void)
{
	struct export_config c = config();
	struct bench b;

	REQUIRE(sink_start("never", NULL, false) && begin(&b, &c));
	push(&b, 95);
	for (int i = 0; i < 20; i++) {
		int running;

		curl_multi_poll(b.multi, NULL, 0, 5, NULL);
		curl_multi_perform(b.multi, &running);
		fake_turn(b.e, b.now);
	}
	end(&b);
	CHECK_INT(stats[STAT_drop_unsent], 95);
}

static void test_http__flush_does_not_wait_for_a_back_off(void)
{
	struct export_config c = config();
	struct bench b;

	REQUIRE(sink_start("503,503,503,503,200", NULL, false) && begin(&b, &c));
	push(&b, 10);
	for (unsigned i = 0; i < 5; i++) {
		settle(&b);
		CHECK_INT(stats[STAT_batches_retried], i);
		export_flush(b.e, b.now);
	}
	CHECK(export_idle(b.e));
	end(&b);
	CHECK_INT(stats[STAT_spans_exported], 10);
}

static unsigned requests_for_a_large_batch(bool gzip)
{
	static char text[300 * 1024];
	struct export_config c = config();
	struct bench b;

	memset(text, 'x', sizeof(text));
	c.batch_size = 64;
	c.otlp.gzip = gzip;
	if (!sink_start("200", NULL, false) || !begin(&b, &c))
		return 0;
	for (; b.pushed < 64; b.pushed++) { /* the last one alone is too large for a request */
		struct span *s = fake_bare(b.pushed, &fake_resources[0]);

		for (int i = 0; i < (b.pushed < 63 ? 1 : 15); i++)
			fake_attr(s, attr_s("big", slice_of(text, sizeof(text))));
		export_push(b.e, s, b.now);
	}
	run(&b, 5000);
	CHECK(export_idle(b.e));
	end(&b);
	CHECK_INT(stats[STAT_drop_encode], 1);
	CHECK_INT(sink.accepted, 63);
	return sink.requests;
}

static void test_http__a_batch_above_the_limit_is_split(void)
{
	unsigned plain = requests_for_a_large_batch(false);

	CHECK(plain >= 5);
	CHECK_INT(requests_for_a_large_batch(true), plain);
}

static const char *in_tls_dir(const char *name)
{
	static char paths[4][64];
	static unsigned next;
	char *p = paths[next++ % 4];

	snprintf(p, sizeof(paths[0]), "%s/%s", tls_dir, name);
	return p;
}

static void test_http__tls_with_a_ca(void)
{
	struct export_config c = config();
	struct bench b;

	REQUIRE(sink_start("200", tls_dir, false));
	c.otlp.ca = in_tls_dir("ca.pem");
	REQUIRE(begin(&b, &c));
	push(&b, 10);
	run(&b, 1000);
	end(&b);
	CHECK_INT(sink.accepted, 10);
}

static void test_http__tls_refuses_another_ca(void)
{
	struct export_config c = config();
	struct bench b;

	REQUIRE(sink_start("200", tls_dir, false));
	c.otlp.ca = in_tls_dir("other.pem");
	REQUIRE(begin(&b, &c));
	push(&b, 10);
	run(&b, 200);
	CHECK(stats[STAT_batches_retried] > 0); /* a certificate may be renewed */
	end(&b);
	CHECK_INT(sink.requests, 0);
	CHECK_INT(stats[STAT_drop_unsent], 10);
}

static void test_http__tls_with_a_client_certificate(void)
{
	for (int with = 0; with < 2; with++) {
		struct export_config c = config();
		struct bench b;

		REQUIRE(sink_start("200", tls_dir, true));
		c.otlp.ca = in_tls_dir("ca.pem");
		if (with) {
			c.otlp.cert = in_tls_dir("client.pem");
			c.otlp.key = in_tls_dir("client.key");
		}
		REQUIRE(begin(&b, &c));
		push(&b, 10);
		run(&b, with ? 2000 : 100);
		end(&b);
		CHECK_INT(sink.accepted, with ? 10 : 0);
	}
}

static void test_http__bad_options_are_refused_when_opened(void)
{
	static const struct slice bad[] = { { "x: a\r\ny: b", 10 }, { "no colon", 8 }, { ": v", 3 }, { "x: a\0b", 6 } };
	CURLM *multi = curl_multi_init();
	struct export_config c = config();
	struct export *e = NULL;
	const char *url;

	c.otlp.urls = &url;
	c.otlp.n_urls = 1;
	url = "ftp://127.0.0.1/v1/traces";
	CHECK_INT(export_new(&e, &c, multi), -EINVAL);
	url = "http://user:pass word@[::1/v1/traces";
	CHECK_INT(export_new(&e, &c, multi), -EINVAL);
	url = "http://127.0.0.1/v1/traces";
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		c.otlp.headers = &bad[i];
		c.otlp.n_headers = 1;
		CHECK_INT(export_new(&e, &c, multi), -EINVAL);
	}
	c.otlp.n_headers = 0;
	c.otlp.key = "/no/such/key";
	CHECK_INT(export_new(&e, &c, multi), -ENOENT);
	c.otlp.key = NULL;
	c.otlp.ca = "/no/such/ca";
	CHECK_INT(export_new(&e, &c, multi), -ENOENT);
	CHECK(!e);
	curl_multi_cleanup(multi);
}

int main(void)
{
	char command[64];

	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(tls_dir) || curl_global_init(CURL_GLOBAL_DEFAULT))
		return 1;
	RUN(test_http__bad_options_are_refused_when_opened);
	if (system("python3 -c pass 2>/dev/null")) {
		SKIP("test_http", "no python3");
		return tap_done();
	}
	RUN(test_http__batches_by_size_and_age);
	RUN(test_http__what_a_request_looks_like);
	RUN(test_http__gzip);
	RUN(test_http__what_is_sent_again);
	RUN(test_http__what_is_not_sent_again);
	RUN(test_http__what_is_too_large_is_halved);
	RUN(test_http__partial_success);
	RUN(test_http__retry_after_is_honoured);
	RUN(test_http__the_back_off_grows_and_has_a_cap);
	RUN(test_http__a_batch_is_given_up_after_five_minutes);
	RUN(test_http__an_end_point_that_comes_back_gets_everything);
	RUN(test_http__at_most_four_at_a_time);
	RUN(test_http__no_answer_times_out_and_is_sent_again);
	RUN(test_http__closing_with_requests_under_way);
	RUN(test_http__flush_does_not_wait_for_a_back_off);
	RUN(test_http__a_batch_above_the_limit_is_split);
	if (system("openssl version >/dev/null 2>&1")) {
		SKIP("test_http__tls", "no openssl");
	} else {
		RUN(test_http__tls_with_a_ca);
		RUN(test_http__tls_refuses_another_ca);
		RUN(test_http__tls_with_a_client_certificate);
	}
	curl_global_cleanup();
	snprintf(command, sizeof(command), "rm -r %s", tls_dir);
	return tap_done() | system(command);
}
