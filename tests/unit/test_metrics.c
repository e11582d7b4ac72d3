// SPDX-License-Identifier: Apache-2.0
#include "tap.h"

#include <stdlib.h>

#include "base/stats.h"
#include "metrics.h"

static enum metrics_format accepted(const char *text)
{
	return metrics_accepted(slice_str(text));
}

static void test_metrics__accept(void)
{
	CHECK_INT(accepted(NULL), METRICS_TEXT);
	CHECK_INT(accepted(""), METRICS_TEXT);
	CHECK_INT(accepted("*/*"), METRICS_TEXT);
	CHECK_INT(accepted("application/openmetrics-text"), METRICS_OPEN);
	CHECK_INT(accepted("application/openmetrics-text; version=1.0.0; charset=utf-8"), METRICS_OPEN);
	CHECK_INT(accepted("Application/OpenMetrics-Text;version=1.0.0"), METRICS_OPEN);
	CHECK_INT(accepted("application/openmetrics-text;version=0.0.1"), METRICS_TEXT);
	CHECK_INT(accepted("application/openmetrics-text;version=2.0.0"), METRICS_TEXT);
	CHECK_INT(accepted("application/openmetrics-text;q=0"), METRICS_TEXT);
	CHECK_INT(accepted("application/openmetrics-text;q=banana"), METRICS_TEXT);
	CHECK_INT(accepted("application/openmetrics-text;q=0.3,text/plain;q=0.4"), METRICS_TEXT);
	CHECK_INT(accepted("application/openmetrics-text;q=0.5,text/plain;q=0.4"), METRICS_OPEN);
	CHECK_INT(accepted("text/plain, application/openmetrics-text"), METRICS_OPEN);
	CHECK_INT(accepted("application/openmetrics-text;q=0.5, */*"), METRICS_TEXT);
	/* Prometheus 3 */
	CHECK_INT(accepted("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
			   "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
			   "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"), METRICS_OPEN);
	CHECK_INT(accepted(",,;;,=,q=1,;q=1,application/openmetrics-text"), METRICS_OPEN);
	CHECK_INT(accepted("application/openmetrics-textual"), METRICS_TEXT);
}

/* Random bytes, cut short everywhere: nothing but an answer. */
static void test_metrics__accept_garbage(void)
{
	static const char words[] = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=1e9,*/*; \t\"\x80";
	char *copy;

	srand(1);
	for (int i = 0; i < 20000; i++) {
		size_t n = (size_t)rand() % 90;
		enum metrics_format f;

		copy = malloc(n + 1);
		for (size_t k = 0; k < n; k++)
			copy[k] = i & 1 ? words[(size_t)rand() % (sizeof(words) - 1)] : words[k % (sizeof(words) - 1)];
		f = metrics_accepted(slice_of(copy, n));
		CHECK(f == METRICS_TEXT || f == METRICS_OPEN);
		free(copy);
	}
}

static void test_metrics__labels(void)
{
	struct buf b;

	buf_init(&b, 256);
	metrics_label(&b, "a", SLICE("x\\y\"z\n"));
	metrics_label(&b, "b", SLICE_NONE);
	CHECK_SLICE(buf_slice(&b), "a=\"x\\\\y\\\"z\\n\",b=\"\"");
	buf_fini(&b);
}

static void test_metrics__put(void)
{
	const struct metric m = { "x_bytes", METRIC_COUNTER, "bytes", "a \"b\\\nc", "l=\"1\"", 3.5 };
	const struct metric info = { "x", METRIC_INFO, NULL, "h", NULL, 1 };
	struct buf b;

	buf_init(&b, 4096);
	metrics_put(&b, METRICS_TEXT, &m, false);
	metrics_put(&b, METRICS_TEXT, &m, true);
	metrics_put(&b, METRICS_TEXT, &info, false);
	metrics_end(&b, METRICS_TEXT);
	CHECK_SLICE(buf_slice(&b), "# TYPE x_bytes_total counter\n# HELP x_bytes_total a \"b\\\\\\nc\n"
				   "x_bytes_total{l=\"1\"} 3.5\nx_bytes_total{l=\"1\"} 3.5\n"
				   "# TYPE x_info gauge\n# HELP x_info h\nx_info 1\n");
	buf_reset(&b);
	metrics_put(&b, METRICS_OPEN, &m, false);
	metrics_put(&b, METRICS_OPEN, &info, false);
	metrics_end(&b, METRICS_OPEN);
	CHECK_SLICE(buf_slice(&b), "# TYPE x_bytes counter\n# UNIT x_bytes bytes\n# HELP x_bytes a \\\"b\\\\\\nc\n"
				   "x_bytes_total{l=\"1\"} 3.5\n# TYPE x info\n# HELP x h\nx_info 1\n# EOF\n");
	buf_fini(&b);
}

static size_t occurrences(const char *text, const char *of)
{
	size_t n = 0;

	for (; (text = strstr(text, of)); text += strlen(of))
		n++;
	return n;
}

/* Rows of one name that the table has apart stand together, with one TYPE line. */
static void test_metrics__stats(void)
{
	const char *first, *second;
	struct buf b;

	memset(stats, 0, sizeof(stats));
	stats[STAT_out_of_step] = 7;
	stats[STAT_out_of_step_h2] = UINT64_MAX;
	stats[STAT_spans_in_spool] = 5;
	stats_gauge_add("requests_open", "service", SLICE("a\"b"), 2);
	buf_init(&b, 1 << 20);
	metrics_stats(&b, METRICS_OPEN);
	buf_append(&b, "", 1);
	CHECK_INT(occurrences(b.p, "# TYPE spandrel_parser_out_of_step counter\n"), 1);
	first = strstr(b.p, "spandrel_parser_out_of_step_total{protocol=\"http1\"} 7\n");
	second = strstr(b.p, "spandrel_parser_out_of_step_total{protocol=\"http2\"} 18446744073709551615\n");
	CHECK(first && second && strchr(first, '\n') + 1 == second);
	CHECK(strstr(b.p, "# HELP spandrel_parser_out_of_step http1: times "));
	CHECK(strstr(b.p, "# TYPE spandrel_spans_in_spool gauge\n") && strstr(b.p, "\nspandrel_spans_in_spool 5\n"));
	CHECK(strstr(b.p, "# TYPE spandrel_requests_open gauge\n# HELP spandrel_requests_open requests "));
	CHECK(strstr(b.p, "spandrel_requests_open{service=\"a_b\"} 2\n"));
	CHECK(strstr(b.p, "\nspandrel_requests_seen_total 0\n")); /* what has not happened yet is said, too */
	stats_gauge_clear("requests_open");
	buf_fini(&b);
}

int main(void)
{
	RUN(test_metrics__accept);
	RUN(test_metrics__accept_garbage);
	RUN(test_metrics__labels);
	RUN(test_metrics__put);
	RUN(test_metrics__stats);
	return tap_done();
}
