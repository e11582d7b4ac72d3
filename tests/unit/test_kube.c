// SPDX-License-Identifier: Apache-2.0
/* The API server's client against a server that hangs, lies and breaks off (tests/tools/kube_fake.py). Time is ours: pauses do not wait. */
#include "tap.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/stats.h"
#include "export/post.h"
#include "host/kube.h"
#include "host/pod.h"
#include "host/service.h"

#define S NS_PER_S
#define START (1000000 * S)

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static char dir[] = "/tmp/test_kube.XXXXXX";

static struct fake {
	pid_t pid;
	int to;
	FILE *from;
	unsigned port;
	char log[1 << 18];
} fake;

static struct bench {
	CURLM *multi;
	struct kube *kube;
	struct pods *pods;
	struct services *services;
	uint64_t now;
	char url[128];
} b;

/* The server */

static const char *in_dir(const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *p = paths[next++ % 8];

	snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
	return p;
}

static void write_file(const char *name, const char *text)
{
	_fclose_ FILE *f = fopen(in_dir(name), "we");

	if (f)
		fputs(text, f);
}

static char *file_text(const char *name)
{
	_fclose_ FILE *f = fopen(in_dir(name), "re");
	char *text = calloc(1, 65536);

	if (f && text)
		text[fread(text, 1, 65535, f)] = '\0';
	return text;
}

static bool fake_start(const char *steps, const char *tls, const char *host)
{
	const char *argv[] = { "python3", "tests/tools/kube_fake.py", "--do", steps, "--host", host, tls ? "--tls" : NULL, tls, NULL };
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		return false;
	fake.pid = fork();
	if (!fake.pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execvp(argv[0], (char **)argv);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	fake.to = in[1];
	fake.from = fdopen(out[0], "r");
	return fscanf(fake.from, "port %u", &fake.port) == 1 && fgetc(fake.from) == '\n';
}

static void fake_stop(void)
{
	size_t n;

	close(fake.to);
	n = fread(fake.log, 1, sizeof(fake.log) - 1, fake.from);
	fake.log[n] = '\0';
	fclose(fake.from);
	waitpid(fake.pid, NULL, 0);
}

static unsigned requests(void)
{
	unsigned n = 0;

	for (const char *p = fake.log; (p = strchr(p, '\n')); p++)
		n++;
	return n;
}

/* Did the n-th request (from 0) have this in its line? */
static bool asked(unsigned n, const char *what)
{
	const char *line = fake.log, *end;
	_free_ char *copy = NULL;

	for (; n && line; n--) {
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	end = line ? strchr(line, '\n') : NULL;
	copy = end ? strndup(line, (size_t)(end - line)) : NULL;
	if (copy && strstr(copy, what))
		return true;
	printf("# %s: not in %s\n", what, copy ? copy : "(no request)");
	return false;
}

/* The client */

static bool begin_with(const char *steps, bool services)
{
	struct kube_config c = { .mode = KUBE_ON, .api = b.url, .node = "n1", .version = "9", .account = dir, .services = services };

	memset(stats, 0, sizeof(stats));
	if (!fake_start(steps, NULL, "127.0.0.1"))
		return false;
	b = (struct bench){ .multi = curl_multi_init(), .now = START };
	snprintf(b.url, sizeof(b.url), "http://127.0.0.1:%u", fake.port);
	b.pods = pods_new(&(struct pods_config){ .labels = (const char *const[]){ "team" }, .n_labels = 1 });
	b.services = services ? services_new(&(struct services_config){ 0 }) : NULL;
	return !kube_new(&b.kube, &c, b.pods, b.services, b.multi);
}

static bool begin(const char *steps)
{
	return begin_with(steps, false);
}

/* Is a request under way? */
static int turn(void)
{
	int running;

	kube_turn(b.kube, b.now);
	curl_multi_perform(b.multi, &running);
	posts_reap(b.multi, b.now);
	if (running)
		curl_multi_poll(b.multi, NULL, 0, kube_busy(b.kube) ? 0 : 5, NULL);
	return running;
}

/* The clock runs while nothing is under way, so that pauses do not wait. */
static void pass(void)
{
	b.now += turn() ? 0 : S / 100;
}

static bool until(enum stat_id id, uint64_t want)
{
	for (int i = 0; i < 40000 && stats[id] < want; i++)
		pass();
	return stats[id] >= want;
}

static bool until_synced(void)
{
	struct kube_state s = { 0 };

	for (int i = 0; i < 20000 && !s.synced; i++) {
		pass();
		kube_state(b.kube, &s);
	}
	return s.synced;
}

static void some_turns(void)
{
	for (int i = 0; i < 100; i++)
		turn();
}

static void end(void)
{
	kube_free(b.kube);
	services_free(b.services);
	pods_free(b.pods);
	curl_multi_cleanup(b.multi);
	fake_stop();
}

static const struct pod *pod(const char *uid)
{
	const struct pod *p = pods_by_uid(b.pods, slice_str(uid));

	return p && !p->deleted_at ? p : NULL;
}

#define META(uid, rv) "\\\"metadata\\\":{\\\"name\\\":\\\"p-" uid "\\\",\\\"namespace\\\":\\\"shop\\\",\\\"uid\\\":\\\"" uid "\\\",\\\"resourceVersion\\\":\\\"" rv "\\\"}"
#define ITEM(uid, rv) "{" META(uid, rv) "}"
#define LIST_RV(rv, items) "{\"body\": \"{\\\"kind\\\":\\\"PodList\\\",\\\"metadata\\\":{\\\"resourceVersion\\\":\\\"" rv "\\\"},\\\"items\\\":[" items "]}\"}"
#define LIST(items) LIST_RV("10", items)
#define EVENT(type, object) "{\\\"type\\\":\\\"" type "\\\",\\\"object\\\":" object "}\\n"
#define WATCH(events, end) "{\"body\": \"" events "\", \"end\": \"" end "\"}"
#define BOOKMARK(rv) EVENT("BOOKMARK", "{\\\"kind\\\":\\\"Pod\\\",\\\"metadata\\\":{\\\"resourceVersion\\\":\\\"" rv "\\\"}}")
#define STATUS(code, reason) "{\\\"kind\\\":\\\"Status\\\",\\\"code\\\":" code ",\\\"reason\\\":\\\"" reason "\\\",\\\"message\\\":\\\"because\\\"}"

/* The protocol */

static void test_kube__list_then_watch(void)
{
	struct kube_state s;

	REQUIRE(begin("[" LIST(ITEM("a", "5")) "," WATCH(EVENT("ADDED", ITEM("b", "11")) EVENT("MODIFIED", ITEM("a", "12")) EVENT("DELETED", ITEM("b", "13"))
							 BOOKMARK("20"), "open") "]"));
	CHECK(until(STAT_kube_bookmarks, 1));
	CHECK(pod("a") && !pod("b"));
	CHECK(pods_by_uid(b.pods, SLICE("b"))); /* for a while */
	kube_state(b.kube, &s);
	CHECK(s.synced && s.healthy && !*s.error);
	CHECK_INT(pods_known(b.pods), 1);
	CHECK_INT(stats[STAT_kube_added] + stats[STAT_kube_modified] + stats[STAT_kube_deleted], 3);
	b.now += PODS_KEEP + S;
	turn();
	CHECK(!pods_by_uid(b.pods, SLICE("b")));
	end();
	CHECK_INT(requests(), 2);
	CHECK(asked(0, "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1&resourceVersion=0\"") && asked(0, "\"gzip\": true"));
	CHECK(asked(0, "\"agent\": \"spandrel/9\""));
	CHECK(asked(1, "fieldSelector=spec.nodeName%3Dn1&resourceVersion=10&watch=1&allowWatchBookmarks=true&timeoutSeconds="));
	CHECK(asked(1, "\"gzip\": false"));
}

static void test_kube__an_empty_node_is_no_error(void)
{
	struct kube_state s;

	REQUIRE(begin("[" LIST("") "]"));
	CHECK(until_synced());
	kube_state(b.kube, &s);
	CHECK(s.healthy);
	CHECK_INT(pods_known(b.pods), 0);
	end();
}

static void test_kube__a_watch_that_ends_goes_on_where_it_was(void)
{
	REQUIRE(begin("[" LIST(ITEM("a", "5")) "," WATCH(BOOKMARK("20"), "whole") "," WATCH(EVENT("ADDED", ITEM("b", "31")), "cut") "," WATCH("", "whole") "," WATCH("", "open") "]"));
	CHECK(until(STAT_kube_requests, 5));
	some_turns();
	CHECK(pod("a") && pod("b"));
	CHECK_INT(stats[STAT_kube_err_broken], 1);
	CHECK_INT(stats[STAT_kube_relists], 0);
	end();
	CHECK(asked(1, "resourceVersion=10&watch=1"));
	CHECK(asked(2, "resourceVersion=20&watch=1"));
	CHECK(asked(3, "resourceVersion=31&watch=1"));
	CHECK(asked(4, "resourceVersion=31&watch=1"));
}

static void check_relist(const char *steps)
{
	REQUIRE(begin(steps));
	CHECK(until(STAT_kube_relists, 1));
	CHECK(until(STAT_kube_requests, 4));
	some_turns();
	CHECK(pod("b") && !pod("a"));
	CHECK_INT(stats[STAT_kube_err_expired], 1);
	end();
	CHECK(asked(2, "spec.nodeName%3Dn1&resourceVersion=10\"")); /* as fresh as what was seen, from the cache */
	CHECK(asked(3, "resourceVersion=50&watch=1"));
}

static void test_kube__an_expired_version_is_listed_again(void)
{
	check_relist("[" LIST(ITEM("a", "5")) ",{\"status\": 410, \"body\": \"" STATUS("410", "Gone") "\"}," LIST_RV("50", ITEM("b", "45")) "]");
	check_relist("[" LIST(ITEM("a", "5")) "," WATCH(EVENT("ERROR", STATUS("410", "Expired")), "whole") "," LIST_RV("50", ITEM("b", "45")) "]");
	check_relist("[" LIST(ITEM("a", "5")) "," WATCH(EVENT("ERROR", STATUS("410", "Expired")), "open") "," LIST_RV("50", ITEM("b", "45")) "]");
}

static void test_kube__a_version_from_the_future_asks_for_the_truth(void)
{
	REQUIRE(begin("[" LIST(ITEM("a", "5"))
		      ",{\"status\": 504, \"body\": \"{\\\"kind\\\":\\\"Status\\\",\\\"code\\\":504,\\\"reason\\\":\\\"Timeout\\\",\\\"details\\\":{\\\"causes\\\":[{\\\"reason\\\":\\\"ResourceVersionTooLarge\\\"}],\\\"retryAfterSeconds\\\":1}}\"},"
		      LIST_RV("3", ITEM("c", "2")) "]"));
	CHECK(until(STAT_kube_requests, 4));
	CHECK(pod("c") && !pod("a"));
	end();
	CHECK(asked(2, "spec.nodeName%3Dn1\""));
	CHECK(asked(3, "resourceVersion=3&watch=1"));
}

static void test_kube__retry_after_is_obeyed(void)
{
	uint64_t from;

	REQUIRE(begin("[{\"status\": 429, \"fields\": {\"Retry-After\": \"40\"}}," LIST(ITEM("a", "5")) "]"));
	CHECK(until(STAT_kube_err_busy, 1));
	from = b.now;
	CHECK(until(STAT_kube_listed, 1));
	CHECK(b.now - from >= 39 * S);
	end();
}

static void test_kube__a_lying_retry_after_ends(void)
{
	uint64_t from;

	REQUIRE(begin("[{\"status\": 503, \"fields\": {\"Retry-After\": \"999999999\"}}]"));
	CHECK(until(STAT_kube_err_status, 1));
	from = b.now;
	for (int i = 0; i < 400 && stats[STAT_kube_requests] < 2; i++) {
		b.now += S;
		turn();
	}
	CHECK(b.now - from >= 299 * S && b.now - from <= 305 * S);
	end();
}

/* Ten failures: pauses of 0.8 s, doubled to 30 s, each at most twice as long. */
static void test_kube__pauses_grow(void)
{
	uint64_t last;

	REQUIRE(begin("[{\"status\": 500},{\"status\": 500},{\"status\": 500},{\"status\": 500},{\"status\": 500},{\"status\": 500},{\"status\": 500},{\"status\": 500},{\"status\": 500}]"));
	CHECK(until(STAT_kube_err_status, 1));
	for (unsigned i = 1; i < 9; i++) {
		uint64_t least = MIN((uint64_t)(S * 8 / 10) << (i - 1), 30 * S);

		last = b.now;
		CHECK(until(STAT_kube_err_status, i + 1));
		CHECK(b.now - last + S / 2 >= least);
		CHECK(b.now - last <= 2 * least + S);
	}
	last = b.now;
	end();
}

static void test_kube__refusals_are_counted_and_named(void)
{
	struct kube_state s;

	REQUIRE(begin("[{\"status\": 401, \"body\": \"Unauthorized\"},{\"status\": 403, \"body\": \"" STATUS("403", "Forbidden") "\"}]"));
	CHECK(until(STAT_kube_err_forbidden, 1));
	CHECK_INT(stats[STAT_kube_err_auth], 1);
	kube_state(b.kube, &s);
	CHECK(!strcmp(s.error, "403 Forbidden: because") && !s.healthy && !s.synced);
	end();
}

#define LABELLED "{\\\"metadata\\\":{\\\"uid\\\":\\\"a\\\",\\\"resourceVersion\\\":\\\"5\\\",\\\"labels\\\":{\\\"team\\\":\\\"blue\\\",\\\"zone\\\":\\\"x\\\"}}}"

static void test_kube__other_labels_are_listed_anew(void)
{
	REQUIRE(begin("[" LIST(LABELLED) "," WATCH("", "open") "," LIST(LABELLED) "]"));
	CHECK(until(STAT_kube_requests, 2));
	some_turns();
	CHECK(pod("a") && pod_label(pod("a"), SLICE("team")).n && !pod_label(pod("a"), SLICE("zone")).n);
	CHECK_INT(pods_want_labels(b.pods, (const char *const[]){ "team" }, 1), 0);
	CHECK_INT(pods_want_labels(b.pods, (const char *const[]){ "zo*" }, 1), 1);
	kube_list_again(b.kube, b.now);
	CHECK(until(STAT_kube_listed, 2));
	CHECK(until(STAT_kube_requests, 4)); /* the list is in force */
	CHECK(pod("a") && !pod_label(pod("a"), SLICE("team")).n);
	CHECK_SLICE(pod_label(pod("a"), SLICE("zone")), "x");
	end();
	CHECK(asked(2, "resourceVersion=10\"") && asked(3, "watch=1"));
}

/* Bad input */

static void test_kube__a_server_that_hangs(void)
{
	REQUIRE(begin("[{\"hang\": true}," LIST(ITEM("a", "5")) ",{\"hang\": true}]"));
	some_turns();
	b.now += 31 * S;
	CHECK(until(STAT_kube_err_timeout, 1));
	CHECK(until_synced());
	some_turns();
	b.now += 31 * S;
	CHECK(until(STAT_kube_err_timeout, 2));
	CHECK(pod("a") != NULL);
	CHECK_INT(stats[STAT_kube_relists], 0);
	end();
}

static void check_damaged_list(const char *step)
{
	static char steps[4096];

	snprintf(steps, sizeof(steps), "[" LIST(ITEM("a", "5")) "," WATCH(EVENT("ERROR", STATUS("410", "Gone")), "whole") ",%s," LIST_RV("60", ITEM("b", "7")) "]", step);
	REQUIRE(begin(steps));
	CHECK(until(STAT_kube_requests, 4));
	CHECK(pod("a") && !pod("b")); /* as if it had not come */
	CHECK(until(STAT_kube_requests, 5));
	CHECK(pod("b") && !pod("a"));
	end();
}

static void test_kube__a_damaged_list_changes_nothing(void)
{
	check_damaged_list("{\"body\": \"no JSON\"}");
	check_damaged_list("{\"body\": \"{\\\"metadata\\\":{\\\"resourceVersion\\\":\\\"9\\\"},\\\"items\\\":[" ITEM("b", "6") "\"}");
	check_damaged_list("{\"body\": \"{\\\"metadata\\\":{\\\"resourceVersion\\\":\\\"9\\\"},\\\"items\\\":[" ITEM("b", "6") "\", \"end\": \"cut\"}");
	check_damaged_list("{\"body\": \"{\\\"metadata\\\":{},\\\"items\\\":[" ITEM("b", "6") "]}\"}");
	check_damaged_list("{\"body\": \"{}\"}");
	check_damaged_list("{\"body\": \"\"}");
	check_damaged_list("{\"body\": \"not gzip\", \"fields\": {\"Content-Encoding\": \"gzip\"}}");
	check_damaged_list("{\"body\": {\"times\": 100000, \"of\": \"[\"}}");
	check_damaged_list("{\"status\": 302, \"fields\": {\"Location\": \"http://127.0.0.1:1/\"}}");
}

static long rss_kb(void)
{
	_fclose_ FILE *f = fopen("/proc/self/statm", "re");
	long size, rss = 0;

	if (f && fscanf(f, "%ld %ld", &size, &rss) != 2)
		rss = 0;
	return rss * (sysconf(_SC_PAGESIZE) / 1024);
}

static void check_large_list(const char *gzip)
{
	static char steps[4096];
	long before, most = 0;

	snprintf(steps, sizeof(steps),
		 "[{\"body\": [\"{\\\"metadata\\\":{\\\"resourceVersion\\\":\\\"10\\\"},\\\"items\\\":[\", {\"times\": 50000, \"of\": "
		 "\"{\\\"metadata\\\":{\\\"name\\\":\\\"p%%d\\\",\\\"namespace\\\":\\\"x\\\",\\\"uid\\\":\\\"u-%%d\\\",\\\"annotations\\\":{\\\"big\\\":\\\"%s\\\"}}},\"}, \"" ITEM("z", "9") "]}\"]%s}]",
		 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", gzip);
	REQUIRE(begin(steps));
	before = rss_kb();
	for (int i = 0; i < 200000 && stats[STAT_kube_listed] < 50001; i++) {
		long now_kb;

		turn();
		now_kb = i % 64 ? 0 : rss_kb();
		most = MAX(most, now_kb);
	}
	some_turns();
	CHECK_INT(stats[STAT_kube_listed], 50001);
	CHECK_INT(pods_known(b.pods), 1024);
	CHECK_INT(stats[STAT_kube_pods_refused], 50001 - 1024);
	CHECK(most - before < (SANITIZED ? 256 : 4) * 1024); /* kB; a sanitizer keeps what was freed for a while */
	end();
}

static void test_kube__a_list_of_55_megabytes_costs_what_is_kept(void)
{
	check_large_list("");
	check_large_list(", \"gzip\": true");
}

static void test_kube__a_turn_takes_a_bounded_part(void)
{
	REQUIRE(begin("[{\"gzip\": true, \"body\": [\"{\\\"metadata\\\":{\\\"resourceVersion\\\":\\\"10\\\"},\\\"items\\\":[\", "
		      "{\"times\": 7000000, \"of\": \" \"}, {\"times\": 2000, \"of\": \"" ITEM("x", "1") ",\"}, \"" ITEM("z", "9") "]}\"]}]"));
	for (int i = 0; i < 20000 && stats[STAT_kube_listed] < 2001; i++) {
		uint64_t listed = stats[STAT_kube_listed];

		turn();
		CHECK(stats[STAT_kube_listed] - listed <= 2 * 256 * 1024 / 70); /* the rest of one portion, and the next one's */
	}
	CHECK_INT(stats[STAT_kube_listed], 2001);
	end();
}

static void test_kube__a_watch_that_never_ends_a_line(void)
{
	REQUIRE(begin("[" LIST(ITEM("a", "5")) ",{\"body\": [\"{\\\"type\\\":\\\"ADDED\\\",\\\"object\\\":{\\\"metadata\\\":{\\\"name\\\":\\\"\", {\"times\": 9000000, \"of\": \"x\"}], \"end\": \"open\"}," LIST(ITEM("a", "5")) "]"));
	CHECK(until(STAT_kube_err_long, 1));
	CHECK(until(STAT_kube_relists, 1));
	CHECK(until(STAT_kube_requests, 4));
	CHECK(pod("a") != NULL);
	end();
}

static void check_damaged_watch(const char *events)
{
	static char steps[8192];

	snprintf(steps, sizeof(steps), "[" LIST(ITEM("a", "5")) ",{\"body\": \"%s\", \"end\": \"open\"}," LIST_RV("70", ITEM("b", "7")) "]", events);
	REQUIRE(begin(steps));
	CHECK(until(STAT_kube_err_syntax, 1));
	CHECK(until(STAT_kube_requests, 4));
	CHECK(pod("b") && !pod("a"));
	end();
}

static void test_kube__a_damaged_watch_is_listed_again(void)
{
	check_damaged_watch("what?");
	check_damaged_watch("{\\\"type\\\":\\\"NEW\\\",\\\"object\\\":{}}");
	check_damaged_watch("{\\\"type\\\":\\\"ADDED\\\"}");
	check_damaged_watch("{\\\"type\\\":\\\"ADDED\\\",\\\"object\\\":7}");
	check_damaged_watch("[1,2]");
	check_damaged_watch("{\\\"object\\\":{\\\"metadata\\\":{\\\"resourceVersion\\\":7}},\\\"type\\\":\\\"BOOKMARK\\\"}");
}

static void test_kube__a_pod_of_ten_thousand_labels(void)
{
	const struct pod *p;

	REQUIRE(begin("[{\"body\": [\"{\\\"metadata\\\":{\\\"resourceVersion\\\":\\\"10\\\"},\\\"items\\\":[{\\\"metadata\\\":{\\\"uid\\\":\\\"a\\\",\\\"labels\\\":{\", "
		      "{\"times\": 10000, \"of\": \"\\\"k%d\\\":\\\"v%d\\\",\"}, \"\\\"team\\\":\\\"blue\\\"},\\\"annotations\\\":{\\\"resource.opentelemetry.io/x\\\":\\\"\", {\"times\": 262144, \"of\": \"y\"}, "
		      "\"\\\",\\\"other\\\":\\\"\", {\"times\": 262144, \"of\": \"\\u00e9\"}, \"\\\"}}}]}\"]}]"));
	CHECK(until_synced());
	p = pod("a");
	REQUIRE(p);
	CHECK_INT(p->n_labels, 1);
	CHECK_SLICE(pod_label(p, SLICE("team")), "blue");
	CHECK_INT(p->n_annotations, 1);
	CHECK_INT(pod_annotation(p, SLICE("resource.opentelemetry.io/x")).n, POD_VALUE_MAX);
	CHECK_INT(stats[STAT_kube_values_cut], 1);
	CHECK(p->bytes < 4096);
	end();
}

static void test_kube__a_head_without_end(void)
{
	static char field[70000], steps[sizeof(field) + 100];
	struct kube_state s;

	memset(field, 'x', sizeof(field) - 1);
	snprintf(steps, sizeof(steps), "[{\"fields\": {\"X-A\": \"%s\"}, \"body\": \"{}\"}]", field);
	REQUIRE(begin(steps));
	CHECK(until(STAT_kube_err_long, 1));
	kube_state(b.kube, &s);
	CHECK_SLICE(slice_str(s.error), "an answer whose head is too long");
	CHECK_INT(stats[STAT_kube_err_syntax], 0); /* its body was not looked at */
	end();
}

static void test_kube__nobody_there(void)
{
	struct kube_config c = { .mode = KUBE_ON, .api = "http://127.0.0.1:1", .node = "n1", .version = "9" };

	memset(stats, 0, sizeof(stats));
	b = (struct bench){ .multi = curl_multi_init(), .now = START, .pods = pods_new(&(struct pods_config){ 0 }) };
	REQUIRE(!kube_new(&b.kube, &c, b.pods, NULL, b.multi));
	CHECK(until(STAT_kube_err_connect, 3));
	kube_free(b.kube);
	pods_free(b.pods);
	curl_multi_cleanup(b.multi);
}

/* Services */

static void test_kube__services(void)
{
	struct service_name name;
	struct pod_ip ip;

	REQUIRE(begin_with("[{\"status\": 404},{\"status\": 404},{\"status\": 404}]", true));
	CHECK(until(STAT_kube_err_status, 3));
	CHECK(pod_ip_parse(SLICE("10.96.0.1"), &ip) && !services_find(b.services, &ip, 80, &name));
	end();
	CHECK(strstr(fake.log, "/api/v1/services?resourceVersion=0\"") && strstr(fake.log, "/apis/discovery.k8s.io/v1/endpointslices?resourceVersion=0\""));
}

/* Credentials */

static bool begin_account(const char *steps, const char *host)
{
	struct kube_config c = { .mode = KUBE_AUTO, .node = "n1", .version = "9", .account = dir };
	char port[16];

	memset(stats, 0, sizeof(stats));
	if (!fake_start(steps, dir, host))
		return false;
	snprintf(port, sizeof(port), "%u", fake.port);
	setenv("KUBERNETES_SERVICE_HOST", host, 1);
	setenv("KUBERNETES_SERVICE_PORT", port, 1);
	b = (struct bench){ .multi = curl_multi_init(), .now = START, .pods = pods_new(&(struct pods_config){ 0 }) };
	return kube_wanted(&c) && !kube_new(&b.kube, &c, b.pods, NULL, b.multi);
}

static void use_ca(const char *name)
{
	_free_ char *ca = file_text(name);

	write_file("ca.crt", ca);
}

static void test_kube__tokens_and_authorities_change(void)
{
	REQUIRE(fake_start("[]", dir, "127.0.0.1")); /* makes the certificates */
	fake_stop();
	write_file("token", "first\n");
	use_ca("ca.pem");
	REQUIRE(begin_account("[" LIST(ITEM("a", "5")) ",{\"status\": 401}," WATCH("", "whole") "]", "127.0.0.1"));
	CHECK(until(STAT_kube_err_auth, 1));
	write_file("token", "second\n");
	CHECK(until(STAT_kube_requests, 3));
	some_turns();
	use_ca("other.pem");
	CHECK(until(STAT_kube_err_tls, 1));
	use_ca("ca.pem");
	write_file("token", "third");
	CHECK(until(STAT_kube_requests, stats[STAT_kube_requests] + 1));
	some_turns();
	CHECK(pod("a") != NULL);
	end();
	CHECK(asked(0, "\"auth\": \"Bearer first\"") && asked(1, "\"auth\": \"Bearer first\"") && asked(2, "\"auth\": \"Bearer second\"") && asked(3, "\"auth\": \"Bearer third\""));
}

static void test_kube__what_cannot_be_read_leaves_what_was(void)
{
	write_file("token", "first");
	use_ca("ca.pem");
	REQUIRE(begin_account("[" LIST(ITEM("a", "5")) "]", "127.0.0.1"));
	turn();
	write_file("token", "se\ncond");
	CHECK(until(STAT_kube_err_files, 1));
	some_turns();
	end();
	CHECK(asked(1, "\"auth\": \"Bearer first\""));
}

static void test_kube__an_address_of_ipv6(void)
{
	struct kube_state s;

	write_file("token", "six");
	use_ca("other.pem");
	REQUIRE(begin_account("[]", "::1"));
	kube_state(b.kube, &s);
	CHECK(!strncmp(s.server, "https://[::1]:", 14));
	CHECK(until(STAT_kube_err_tls, 1)); /* it was reached */
	end();
}

static void test_kube__no_token_over_plain_http(void)
{
	write_file("token", "secret");
	use_ca("ca.pem");
	REQUIRE(begin("[" LIST("") "]"));
	CHECK(until_synced());
	end();
	CHECK(asked(0, "\"auth\": \"\""));
}

static bool begin_kubeconfig(const char *steps, const char *user)
{
	struct kube_config c = { .mode = KUBE_AUTO, .node = "n1", .version = "9", .kubeconfig = in_dir("config") };
	char text[2048];

	memset(stats, 0, sizeof(stats));
	unsetenv("KUBERNETES_SERVICE_HOST");
	if (!fake_start(steps, dir, "127.0.0.1"))
		return false;
	snprintf(text, sizeof(text),
		 "apiVersion: v1\nkind: Config\ncurrent-context: here\ncontexts:\n- name: here\n  context: {cluster: c, user: u}\n"
		 "clusters:\n- name: c\n  cluster:\n    server: https://127.0.0.1:%u/\n    certificate-authority: ca.pem\n"
		 "users:\n- name: u\n  user:\n%s", fake.port, user);
	write_file("config", text);
	b = (struct bench){ .multi = curl_multi_init(), .now = START, .pods = pods_new(&(struct pods_config){ 0 }) };
	return kube_wanted(&c) && !kube_new(&b.kube, &c, b.pods, NULL, b.multi);
}

static void test_kube__kubeconfig(void)
{
	REQUIRE(begin_kubeconfig("[" LIST("") "]", "    client-certificate: client.pem\n    client-key: client.key\n"));
	CHECK(until_synced());
	end();
	CHECK(asked(0, "\"cert\": true") && asked(0, "\"auth\": \"\""));
	REQUIRE(begin_kubeconfig("[" LIST("") "]", "    tokenFile: token\n"));
	CHECK(until_synced());
	end();
	CHECK(asked(0, "\"cert\": false") && asked(0, "\"auth\": \"Bearer secret\""));
	CHECK(!begin_kubeconfig("[]", "    exec: {command: /bin/false}\n"));
	end();
}

static void test_kube__modes(void)
{
	struct kube_config c = { .mode = KUBE_AUTO, .account = dir };

	unsetenv("KUBERNETES_SERVICE_HOST");
	CHECK(!kube_wanted(&c));
	setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
	CHECK(kube_wanted(&c));
	c.account = "/nonexistent";
	CHECK(!kube_wanted(&c));
	c.mode = KUBE_ON;
	CHECK(kube_wanted(&c));
	CHECK(kube_new(&b.kube, &c, NULL, NULL, NULL) < 0); /* no token to read */
	c.mode = KUBE_OFF;
	c.api = "http://x";
	CHECK(!kube_wanted(&c));
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	log_setup(getenv("DEBUG") ? LOG_DEBUG : LOG_ERROR, false);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!mkdtemp(dir) || curl_global_init(CURL_GLOBAL_DEFAULT))
		return 1;
	if (system("python3 -c pass 2>/dev/null")) {
		SKIP("test_kube", "no python3");
		return tap_done();
	}
	RUN(test_kube__list_then_watch);
	RUN(test_kube__an_empty_node_is_no_error);
	RUN(test_kube__a_watch_that_ends_goes_on_where_it_was);
	RUN(test_kube__an_expired_version_is_listed_again);
	RUN(test_kube__a_version_from_the_future_asks_for_the_truth);
	RUN(test_kube__retry_after_is_obeyed);
	RUN(test_kube__a_lying_retry_after_ends);
	RUN(test_kube__pauses_grow);
	RUN(test_kube__refusals_are_counted_and_named);
	RUN(test_kube__other_labels_are_listed_anew);
	RUN(test_kube__a_server_that_hangs);
	RUN(test_kube__a_damaged_list_changes_nothing);
	RUN(test_kube__a_list_of_55_megabytes_costs_what_is_kept);
	RUN(test_kube__a_turn_takes_a_bounded_part);
	RUN(test_kube__a_watch_that_never_ends_a_line);
	RUN(test_kube__a_damaged_watch_is_listed_again);
	RUN(test_kube__a_pod_of_ten_thousand_labels);
	RUN(test_kube__a_head_without_end);
	RUN(test_kube__nobody_there);
	RUN(test_kube__services);
	if (system("openssl version >/dev/null 2>&1")) {
		SKIP("test_kube__credentials", "no openssl");
	} else {
		RUN(test_kube__tokens_and_authorities_change);
		RUN(test_kube__what_cannot_be_read_leaves_what_was);
		RUN(test_kube__an_address_of_ipv6);
		RUN(test_kube__no_token_over_plain_http);
		RUN(test_kube__kubeconfig);
		RUN(test_kube__modes);
	}
	curl_global_cleanup();
	return tap_done();
}
