// SPDX-License-Identifier: Apache-2.0
#include "stages.h"

#include <string.h>

#include "base/log.h"
#include "base/scope.h"
#include "conn/conn.h"
#include "host/process.h"
#include "proto/describe.h"
#include "trace/cause.h"
#include "trace/sample.h"
#include "trace/tail.h"

#define MAX_PROCESSES 4096
#define MAX_WAITING 16384
#define MAX_TRACES 16384	 /* of the tail stage: open, or decided lately */
#define SPAN_MEMORY (16 * 1024) /* a span that waits for its trace has so much of --memory-limit */

void stages_host(const struct config *c, const struct texts *t, struct host_config *out)
{
	*out = (struct host_config){
		.proc = "/proc",
		.service_name = slice_str(c->identity.service_name),
		.environment = slice_str(c->identity.environment),
		.cluster = slice_str(c->identity.cluster_name),
		.extra = t->resource,
		.n_extra = c->identity.resource.n,
		.max_processes = MAX_PROCESSES,
		.naming = { .app_labels = c->kube.app_labels,
			    .labels = (const char *const *)c->kube.pod_label.v,
			    .n_labels = c->kube.pod_label.n },
		.pod_wait = c->kube.wait,
	};
}

void stages_conn(const struct config *c, const struct texts *t, struct conn_config *out)
{
	*out = (struct conn_config){
		.max_connections = (uint32_t)c->limits.max_connections,
		.memory_limit = c->limits.memory_limit / 4,
		.request_timeout = c->protocols.request_timeout,
		.proto = { .capture = t->capture, .n_capture = t->n_capture },
	};
}

static uint32_t links_of(const char *list)
{
	static const struct {
		const char *name;
		uint32_t bits;
	} words[] = { { "header", LINK_HEADER },
		      { "thread", LINK_THREAD },
		      { "connection", LINK_CONNECTION },
		      { "all", LINK_HEADER | LINK_THREAD | LINK_CONNECTION } };
	struct slice rest = slice_str(list), word;
	uint32_t bits = 0;

	while (slice_split(&rest, ',', &word))
		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			if (slice_eq(slice_trim(word), slice_str(words[i].name)))
				bits |= words[i].bits;
	return bits;
}

void stages_cause(const struct config *c, struct cause_config *out)
{
	*out = (struct cause_config){ .links = links_of(c->trace.link),
				      .link_timeout = c->trace.link_timeout,
				      .max_waiting = MAX_WAITING };
}

static uint8_t semconv_of(const char *word)
{
	return !strcmp(word, "both")	 ? SEMCONV_STABLE | SEMCONV_LEGACY :
	       !strcmp(word, "legacy") ? SEMCONV_LEGACY :
					 SEMCONV_STABLE;
}

void stages_describe(const struct config *c, const struct texts *t, struct describe_config *out)
{
	*out = (struct describe_config){ .semconv = semconv_of(c->identity.semconv),
					 .max_value = c->protocols.max_attribute_length,
					 .keep_query = t->keep_query,
					 .n_keep_query = c->protocols.keep_query.n,
					 .plain_headers = t->plain,
					 .n_plain_headers = t->n_plain };
}

void stages_tail(const struct config *c, struct tail_config *out)
{
	*out = (struct tail_config){ .timeout = c->trace.link_timeout,
				     .max_spans = (uint32_t)(c->limits.memory_limit / SPAN_MEMORY),
				     .max_traces = MAX_TRACES };
}

static void warn_shadowed(const struct sampler *s)
{
	const char *rule, *by;

	if (sampler_shadowed(s, &rule, &by))
		log_warn("--sample-rule \"%s\" never matches: \"%s\" comes first and takes all that it would", rule, by);
}

int stages_sampler(const struct config *c, struct sampler **s, char *error, size_t size)
{
	struct sample_config sample;
	int r;

	config_sample(c, &sample);
	r = sampler_new(s, &sample, error, size);
	if (!r)
		warn_shadowed(*s);
	return r;
}
