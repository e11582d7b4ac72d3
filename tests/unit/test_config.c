// SPDX-License-Identifier: Apache-2.0
#include "host/selector.h"
#include "tap.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"
#include "config.h"

static char error[512];

#define LOAD(c, ...)                                                                               \
	({                                                                                         \
		const char *_argv[] = { "spandrel", __VA_ARGS__ };                                 \
		config_load(c, ARRAY_SIZE(_argv), (char **)_argv, error, sizeof(error));           \
	})

static void test_config__defaults_and_units(void)
{
	struct config c;

	REQUIRE(!LOAD(&c, "--port", "80", "--request-timeout=1500ms", "--ring-size", "4MiB"));
	CHECK_INT(c.limits.queue_size, 8192);
	CHECK_INT(c.protocols.request_timeout, 1500 * NS_PER_MS);
	CHECK_INT(c.limits.ring_size, 4 << 20);
	CHECK_INT(c.trace.link_timeout, 30 * NS_PER_S);
	CHECK(c.sample.ratio == 1);
	config_fini(&c);
}

/* Every refusal names the option and what was expected, on one line. */
static void test_config__refusals(void)
{
	static const struct {
		const char *args[6], *says;
	} cases[] = {
		{ { "--nope" }, "--nope" },
		{ { "stray" }, "stray" },
		{ { "--console" }, "nothing is selected" },
		{ { "--port" }, "--port" },
		{ { "--all", "--exe", "x" }, "--all" },
		{ { "--all", "--sample-ratio", "1.5" }, "--sample-ratio" },
		{ { "--all", "--sample-ratio", "nan" }, "--sample-ratio" },
		{ { "--all", "--batch-age", "5" }, "--batch-age" },
		{ { "--all", "--ring-size", "1TB" }, "--ring-size" },
		{ { "--all", "--queue-size", "0" }, "--queue-size" },
		{ { "--all", "--queue-size", "99999999999999999999" }, "--queue-size" },
		{ { "--all", "--otlp-protocol", "thrift" }, "--otlp-protocol" },
		{ { "--all", "--otlp-balance", "random" }, "--otlp-balance" },
		{ { "--all", "--record", "a", "--replay", "b" }, "--record" },
		{ { "--all", "--console", "--file", "-" }, "--file -" },
		{ { "--all", "--otlp-cert", "a" }, "--otlp-key" },
		{ { "--all", "--config", "/nonexistent/file" }, "--config" },
		{ { "--all=maybe" }, "--all" },
		{ { "--container", "" }, "--container" },
		{ { "--all", "--container", "x" }, "--all" },
		{ { "--all", "--kube-label", "a=b" }, "--all" },
		{ { "--exclude-kube-namespace", "kube-system" }, "nothing is selected" },
		{ { "--kube-pod", "x", "--kube", "off" }, "--kube off" },
		{ { "--all", "--kube=off", "--exclude-kube-label", "a=b" }, "--kube off" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *argv[8] = { (char *)"spandrel" };
		struct config c;
		int argc = 1;

		while (argc < 7 && cases[i].args[argc - 1]) {
			argv[argc] = (char *)cases[i].args[argc - 1];
			argc++;
		}
		CHECK(config_load(&c, argc, argv, error, sizeof(error)) < 0);
		CHECK(strstr(error, cases[i].says) != NULL);
		CHECK(!strchr(error, '\n'));
		config_fini(&c);
	}
}

/* Judged by themselves, by the options that they name. */
static void test_config__selection_by_name(void)
{
	static const struct {
		const char *option, *value;
		bool good;
	} cases[] = {
		{ "--container", "app", true },	     { "--container", "3f2a*", true },
		{ "--kube-namespace", "shop-*", true }, { "--kube-pod", "web-?", true },
		{ "--kube-label", "app=web", true },   { "--kube-label", "app=", true },
		{ "--kube-label", "app", false },      { "--kube-label", "=web", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *argv[] = { (char *)"spandrel", (char *)cases[i].option, (char *)cases[i].value, NULL };
		struct selector_lists lists;
		struct config c;
		int r;

		CHECK_INT(config_load(&c, 3, argv, error, sizeof(error)), 0);
		r = config_check_lists(&c, error, sizeof(error));
		CHECK_INT(!r, cases[i].good);
		CHECK(!r || strstr(error, cases[i].option));
		CHECK(config_selects(&c) && config_selector(&c, &lists));
		CHECK(!lists.not[SELECT_POD] && (lists.want[SELECT_CONTAINER] != NULL) == (i < 2));
		config_fini(&c);
	}
}

static void with_file(const char *text, char path[32])
{
	int fd;

	strcpy(path, "/tmp/spandrel-testXXXXXX");
	fd = mkstemp(path);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

/* flag > environment > file > OTEL_ variable > default, lists replaced as a whole */
static void test_config__precedence(void)
{
	struct config c;
	char path[32];

	with_file("# comment\n  exe from-file\nexe second\nbatch-size 7\nqueue-size 70\nconsole\n", path);
	setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5", 1);
	setenv("OTEL_BSP_MAX_QUEUE_SIZE", "50", 1);
	setenv("OTEL_BSP_SCHEDULE_DELAY", "250", 1);
	setenv("SPANDREL_QUEUE_SIZE", "90", 1);
	setenv("SPANDREL_EXE", "env-one\nenv-two", 1);
	REQUIRE(!LOAD(&c, "--config", path));
	CHECK_INT(c.limits.queue_size, 90);
	CHECK_INT(c.export.batch_size, 7);
	CHECK_INT(c.export.batch_age, 250 * NS_PER_MS);
	CHECK(c.export.console);
	CHECK_INT(c.select.exe.n, 2);
	CHECK(!strcmp(c.select.exe.v[1], "env-two") && !c.select.exe.v[2]);
	config_fini(&c);
	REQUIRE(!LOAD(&c, "--config", path, "--exe", "flag"));
	CHECK_INT(c.select.exe.n, 1);
	CHECK(!strcmp(c.select.exe.v[0], "flag"));
	config_fini(&c);
	unsetenv("SPANDREL_QUEUE_SIZE");
	unsetenv("SPANDREL_EXE");
	unsetenv("OTEL_BSP_MAX_QUEUE_SIZE");
	unsetenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE");
	unsetenv("OTEL_BSP_SCHEDULE_DELAY");
	unlink(path);
}

static void test_config__file_errors_name_the_line(void)
{
	struct config c;
	char path[32];

	with_file("all\nqueue-size many\n", path);
	CHECK(LOAD(&c, "--config", path) < 0);
	CHECK(strstr(error, "--queue-size"));
	config_fini(&c);
	with_file("all\n\nbogus 1\n", path);
	CHECK(LOAD(&c, "--config", path) < 0);
	CHECK(strstr(error, "line 3") && strstr(error, "bogus"));
	config_fini(&c);
	unlink(path);
}

static void test_config__otel_headers_are_decoded(void)
{
	struct config c;

	setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b%3D, x=1", 1);
	setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "1234", 1);
	setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1", 1);
	REQUIRE(!LOAD(&c, "--all"));
	CHECK_INT(c.export.otlp_header.n, 2);
	CHECK(!strcmp(c.export.otlp_header.v[0], "api-key=a b="));
	CHECK_INT(c.export.otlp_timeout, 1234 * NS_PER_MS);
	config_fini(&c);
	REQUIRE(!LOAD(&c, "--all", "--otlp-header", "mine=2"));
	CHECK_INT(c.export.otlp_header.n, 1);
	config_fini(&c);
	unsetenv("OTEL_EXPORTER_OTLP_HEADERS");
	unsetenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT");
	unsetenv("OTEL_EXPORTER_OTLP_TIMEOUT");
}

/* A value of somebody else's specification that we do not understand must not stop the tracer. */
static void test_config__bad_otel_values_are_ignored(void)
{
	struct config c;

	setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-3", 1);
	setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0", 1);
	setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "thrift", 1);
	setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "GZIP", 1);
	setenv("OTEL_TRACES_SAMPLER", "traceidratio", 1);
	setenv("OTEL_TRACES_SAMPLER_ARG", "0.25", 1);
	REQUIRE(!LOAD(&c, "--all"));
	CHECK_INT(c.limits.queue_size, 8192);
	CHECK_INT(c.export.batch_size, 512);
	CHECK(!strcmp(c.export.otlp_protocol, "http/protobuf"));
	CHECK(!strcmp(c.export.otlp_compression, "gzip"));
	CHECK(c.sample.ratio == 0.25 && c.sample.ignore_parent);
	config_fini(&c);
	unsetenv("OTEL_BSP_MAX_QUEUE_SIZE");
	unsetenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE");
	unsetenv("OTEL_EXPORTER_OTLP_PROTOCOL");
	unsetenv("OTEL_EXPORTER_OTLP_COMPRESSION");
	unsetenv("OTEL_TRACES_SAMPLER");
	unsetenv("OTEL_TRACES_SAMPLER_ARG");
}

static void test_config__endpoints(void)
{
	static const struct {
		const char *flag, *general, *traces, *want;
	} cases[] = {
		{ "http://h:4318", NULL, NULL, "http://h:4318/v1/traces" },
		{ "http://h:4318/", NULL, NULL, "http://h:4318/v1/traces" },
		{ "http://h/base/v1/traces", NULL, NULL, "http://h/base/v1/traces" },
		{ NULL, "http://g:1/x", NULL, "http://g:1/x/v1/traces" },
		{ NULL, "http://g:1", "http://t:2/custom", "http://t:2/custom" },
		{ NULL, NULL, "http://t:2", "http://t:2/" },
		{ "http://f", NULL, "http://t:2", "http://f/v1/traces" },
		{ "unix:///run/otel.sock", NULL, NULL, "unix:///run/otel.sock" },
		{ NULL, NULL, "unix:///run/otel", "unix:///run/otel" },
		{ NULL, "h:4317", NULL, "https://h:4317/v1/traces" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct config c;
		char url[256];

		if (cases[i].general)
			setenv("OTEL_EXPORTER_OTLP_ENDPOINT", cases[i].general, 1);
		if (cases[i].traces)
			setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", cases[i].traces, 1);
		REQUIRE(!(cases[i].flag ? LOAD(&c, "--all", "--otlp-endpoint", cases[i].flag) : LOAD(&c, "--all")));
		REQUIRE(c.export.otlp_endpoint.n == 1);
		CHECK_INT(config_otlp_url(c.export.otlp_endpoint.v[0], url, sizeof(url)), 0);
		CHECK_SLICE(slice_str(url), cases[i].want);
		config_fini(&c);
		unsetenv("OTEL_EXPORTER_OTLP_ENDPOINT");
		unsetenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
	}
}

static void test_config__urls_need_a_host(void)
{
	static const char *const bad[] = { "http://", "https://", "http:///v1/traces", "http://:4318", "ftp://h", "h:4318", "unix://", "unix://rel" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct config c;

		REQUIRE(!LOAD(&c, "--all", "--otlp-endpoint", bad[i]));
		CHECK(config_check_lists(&c, error, sizeof(error)) < 0);
		CHECK(strstr(error, "--otlp-endpoint") != NULL);
		config_fini(&c);
	}
}

int main(void)
{
	log_setup(LOG_ERROR, false);
	RUN(test_config__defaults_and_units);
	RUN(test_config__refusals);
	RUN(test_config__selection_by_name);
	RUN(test_config__precedence);
	RUN(test_config__file_errors_name_the_line);
	RUN(test_config__otel_headers_are_decoded);
	RUN(test_config__bad_otel_values_are_ignored);
	RUN(test_config__endpoints);
	RUN(test_config__urls_need_a_host);
	return tap_done();
}
