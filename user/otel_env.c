// SPDX-License-Identifier: Apache-2.0
/*
 * OpenTelemetry's variables ("Environment Variable Specification", "OTLP Exporter Configuration") as values of our
 * options, weaker than every source of our own. As the specification wants, a value that does not parse is warned about
 * and counts as unset.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hex.h"
#include "base/log.h"
#include "base/scope.h"

typedef int (*set_fn)(struct config *c, const char *option, const char *value);

static void warn_unset(const char *name)
{
	log_warn("%s: value not understood, ignored", name);
}

static void take(struct config *c, set_fn set, const char *name, const char *option, const char *value)
{
	if (set(c, option, value))
		warn_unset(name);
}

static const char *env(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

/* The signal's own form wins over the general one. */
static const char *otlp_env(const char *what, char *name, size_t size)
{
	const char *v;

	snprintf(name, size, "OTEL_EXPORTER_OTLP_TRACES_%s", what);
	v = env(name);
	if (v)
		return v;
	snprintf(name, size, "OTEL_EXPORTER_OTLP_%s", what);
	return env(name);
}

static void take_otlp(struct config *c, set_fn set, const char *what, const char *option)
{
	char name[64];
	const char *v = otlp_env(what, name, sizeof(name));

	if (v)
		take(c, set, name, option, v);
}

/* Words of that specification are known in any case. */
static void take_word(struct config *c, set_fn set, const char *name, const char *option, const char *value)
{
	char lower[32] = "";

	for (size_t i = 0; value[i] && i < sizeof(lower) - 1; i++)
		lower[i] = (char)tolower((unsigned char)value[i]);
	take(c, set, name, option, lower);
}

static void take_otlp_word(struct config *c, set_fn set, const char *what, const char *option)
{
	char name[64];
	const char *v = otlp_env(what, name, sizeof(name));

	if (v)
		take_word(c, set, name, option, v);
}

/* Without a scheme it is a target of gRPC: then, and only then, INSECURE says whether it is plain text. */
static void take_endpoint(struct config *c, set_fn set)
{
	char name[64], insecure_name[64], url[2048];
	const char *v = otlp_env("ENDPOINT", name, sizeof(name)), *insecure;

	if (!v)
		return;
	if (strstr(v, "://")) {
		take(c, set, name, "otlp-endpoint", v);
		return;
	}
	insecure = otlp_env("INSECURE", insecure_name, sizeof(insecure_name));
	if ((size_t)snprintf(url, sizeof(url), "%s://%s", insecure && !strcasecmp(insecure, "true") ? "http" : "https", v) <
	    sizeof(url))
		take(c, set, name, "otlp-endpoint", url);
	else
		warn_unset(name);
}

static bool ends_with(struct slice s, struct slice tail)
{
	return s.n >= tail.n && slice_eq(slice_from(s, s.n - tail.n), tail);
}

static int complete(const char *url, struct slice path, char *to, size_t size)
{
	struct slice s = slice_str(url);
	int n;

	if (slice_starts(s, SLICE("unix:"))) {
		n = snprintf(to, size, "%s", url);
	} else {
		while (s.n && s.p[s.n - 1] == '/')
			s.n--;
		n = snprintf(to, size, "%.*s%.*s", SLICE_ARG(s), ends_with(s, path) ? 0 : (int)path.n, path.p);
	}
	return (size_t)n < size ? 0 : -ENAMETOOLONG;
}

int config_otlp_url(const char *url, char *to, size_t size)
{
	const char *exact = env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), *host = strstr(url, "://");

	if (!exact || strcmp(exact, url) || !host || !strncmp(url, "unix:", 5))
		return complete(url, SLICE("/v1/traces"), to, size);
	return (size_t)snprintf(to, size, "%s%s", url, strchr(host + 3, '/') ? "" : "/") < size ? 0 : -ENAMETOOLONG;
}

int config_zipkin_url(const char *url, char *to, size_t size)
{
	return complete(url, SLICE("/api/v2/spans"), to, size);
}

/* Milliseconds, as every duration of that specification. */
static void take_ms(struct config *c, set_fn set, const char *name, const char *value, const char *option)
{
	char text[32];
	uint64_t ms;

	if (!slice_u64(slice_str(value), &ms)) {
		warn_unset(name);
		return;
	}
	snprintf(text, sizeof(text), "%llums", (unsigned long long)ms);
	take(c, set, name, option, text);
}

/* Percent-decodes in place; false on a bad sequence. */
static bool decode(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (*s == '%') {
			int hi = hex_digit_any(s[1]), lo = hi < 0 ? -1 : hex_digit_any(s[2]);

			if (lo < 0)
				return false;
			*to++ = (char)(hi << 4 | lo);
			s += 2;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
	return true;
}

/* k=v,k2=v2 with percent-encoded values. The values may be secrets: they are never shown. */
static void take_headers(struct config *c, set_fn set)
{
	char name[64];
	const char *v = otlp_env("HEADERS", name, sizeof(name));
	struct slice rest, part;

	if (!v)
		return;
	rest = slice_str(v);
	while (slice_split(&rest, ',', &part)) {
		_free_ char *one = NULL;

		part = slice_trim(part);
		one = strndup(part.p, part.n);
		if (!part.n)
			continue;
		if (!one || !strchr(one, '=') || !decode(one) || set(c, "otlp-header", one))
			warn_unset(name);
	}
}

/* Those that are not parent-based decide whatever the parent did. */
static void take_sampler(struct config *c, set_fn set)
{
	const char *sampler = env("OTEL_TRACES_SAMPLER"), *arg = env("OTEL_TRACES_SAMPLER_ARG"), *root = sampler;

	if (!sampler)
		return;
	if (!strncasecmp(sampler, "parentbased_", 12))
		root += 12;
	if (!strcasecmp(root, "always_on")) {
		set(c, "sample-ratio", "1");
	} else if (!strcasecmp(root, "always_off")) {
		set(c, "sample-ratio", "0");
	} else if (!strcasecmp(root, "traceidratio")) {
		take(c, set, "OTEL_TRACES_SAMPLER_ARG", "sample-ratio", arg ? arg : "1");
	} else {
		warn_unset("OTEL_TRACES_SAMPLER");
		return;
	}
	if (root == sampler)
		set(c, "sample-ignore-parent", "true");
}

static void take_limits(struct config *c, set_fn set)
{
	static const struct {
		const char *name, *option;
	} plain[] = {
		{ "OTEL_BSP_MAX_QUEUE_SIZE", "queue-size" },
		{ "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "batch-size" },
		{ "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "max-attribute-length" },
		{ "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "max-attribute-length" },
	};
	const char *v;

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		v = env(plain[i].name);
		if (v)
			take(c, set, plain[i].name, plain[i].option, v);
	}
	v = env("OTEL_BSP_SCHEDULE_DELAY");
	if (v)
		take_ms(c, set, "OTEL_BSP_SCHEDULE_DELAY", v, "batch-age");
}

/* A comma list; "unset: the older names" is for instrumentation that had them. */
static void take_semconv(struct config *c, set_fn set)
{
	struct slice rest = slice_str(env("OTEL_SEMCONV_STABILITY_OPT_IN")), word;
	const char *value = NULL;

	while (slice_split(&rest, ',', &word)) {
		word = slice_trim(word);
		if (slice_eq(word, SLICE("http/dup")) || slice_eq(word, SLICE("rpc/dup")))
			value = "both";
		else if (!value && (slice_eq(word, SLICE("http")) || slice_eq(word, SLICE("rpc"))))
			value = "stable";
	}
	if (value)
		set(c, "semconv", value);
}

static void take_level(struct config *c, set_fn set)
{
	const char *v = env("OTEL_LOG_LEVEL");

	if (v)
		take_word(c, set, "OTEL_LOG_LEVEL", "log-level", strcasecmp(v, "warning") ? v : "warn");
}

void config_otel_env(struct config *c, set_fn set)
{
	char name[64];
	const char *v = otlp_env("TIMEOUT", name, sizeof(name));

	if (v)
		take_ms(c, set, name, v, "otlp-timeout");
	take_endpoint(c, set);
	take_otlp_word(c, set, "PROTOCOL", "otlp-protocol");
	take_otlp_word(c, set, "COMPRESSION", "otlp-compression");
	take_otlp(c, set, "CERTIFICATE", "otlp-ca");
	take_otlp(c, set, "CLIENT_CERTIFICATE", "otlp-cert");
	take_otlp(c, set, "CLIENT_KEY", "otlp-key");
	take_headers(c, set);
	take_semconv(c, set);
	take_sampler(c, set);
	take_limits(c, set);
	take_level(c, set);
}
