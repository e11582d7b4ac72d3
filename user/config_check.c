// SPDX-License-Identifier: Apache-2.0
/* What a value alone does not show: lists of words, pairs of options, the selection. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/selector.h"
#include "listen.h"
#include "probe/probe.h"
#include "trace/sample.h"

static int refuse(char *error, size_t size, const char *option, const char *expected, struct slice got)
{
	snprintf(error, size, "--%s: expected %s, got \"%.*s\"", option, expected, SLICE_ARG(got));
	return -EINVAL;
}

static bool word_in(struct slice word, const char *words)
{
	struct slice rest = slice_str(words), one;

	while (slice_split(&rest, ' ', &one))
		if (slice_eq(one, word))
			return true;
	return false;
}

static int check_words(const char *option, const char *list, const char *words, char *error, size_t size)
{
	struct slice rest = slice_str(list), word;

	while (slice_split(&rest, ',', &word))
		if (!word_in(slice_trim(word), words))
			return refuse(error, size, option, words, word);
	return 0;
}

/* The value may be a secret: only the key is shown. */
static int check_pairs(const char *option, const struct strlist *l, char *error, size_t size)
{
	for (size_t i = 0; i < l->n; i++) {
		const char *eq = strchr(l->v[i], '=');

		if (!eq || eq == l->v[i]) {
			snprintf(error, size, "--%s: expected K=V", option);
			return -EINVAL;
		}
	}
	return 0;
}

bool config_header_plain(struct slice *name)
{
	const struct slice suffix = SLICE(":plain");
	bool plain = name->n > suffix.n && slice_eq(slice_from(*name, name->n - suffix.n), suffix);

	if (plain)
		name->n -= suffix.n;
	return plain;
}

static int check_names(const char *option, const struct strlist *l, char *error, size_t size)
{
	static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < l->n; i++) {
		struct slice name = slice_str(l->v[i]);

		config_header_plain(&name);
		if (strspn(l->v[i], token) < name.n)
			return refuse(error, size, option, "a header's name", slice_str(l->v[i]));
	}
	return 0;
}

/* A scheme we speak, and a host or a socket. The URL may hold a password: it is not shown. */
static int check_url(const char *option, const char *url, char *error, size_t size)
{
	const char *host = !strncmp(url, "http://", 7) ? url + 7 : !strncmp(url, "https://", 8) ? url + 8 : "";

	if ((*host && !strchr("/:?#", *host)) || !strncmp(url, "unix:///", 8))
		return 0;
	snprintf(error, size, "--%s: expected an http:// or https:// URL, or unix:///SOCKET", option);
	return -EINVAL;
}

static int check_urls(const struct config_export *c, char *error, size_t size)
{
	int r = c->zipkin_endpoint ? check_url("zipkin-endpoint", c->zipkin_endpoint, error, size) : 0;

	for (size_t i = 0; i < c->otlp_endpoint.n && !r; i++)
		r = check_url("otlp-endpoint", c->otlp_endpoint.v[i], error, size);
	return r;
}

void config_sample(const struct config *c, struct sample_config *out)
{
	const struct config_sample *s = &c->sample;

	*out = (struct sample_config){ .ratio = s->ratio,
				       .ignore_parent = s->ignore_parent,
				       .keep_errors = s->keep_errors,
				       .keep_slower_than = s->keep_slower_than,
				       .rate = s->rate,
				       .rules = (const char *const *)s->rule.v,
				       .n_rules = s->rule.n };
}

static int check_sample(const struct config *c, char *error, size_t size)
{
	struct sample_config sample;
	struct sampler *s = NULL;
	int r;

	config_sample(c, &sample);
	r = sampler_new(&s, &sample, error, size);
	sampler_free(s);
	return r;
}

/* A service account's token must not go anywhere by chance: the API server is reached by TCP. */
static int check_kube(const struct config_kube *c, char *error, size_t size)
{
	int r = c->api ? check_url("kube-api", c->api, error, size) : 0;

	if (r || !c->api || strncmp(c->api, "unix:", 5))
		return r;
	snprintf(error, size, "--kube-api: expected an http:// or https:// URL");
	return -EINVAL;
}

int config_check_lists(const struct config *c, char *error, size_t size)
{
	int r = check_words("link", c->trace.link, "header thread connection all none", error, size);

	if (!r)
		r = check_words("protocols", c->protocols.list, "http2 http1 all", error, size);
	if (!r)
		r = check_pairs("kube-label", &c->select.kube_label, error, size);
	if (!r)
		r = check_pairs("exclude-kube-label", &c->select.not_kube_label, error, size);
	if (!r)
		r = check_pairs("resource", &c->identity.resource, error, size);
	if (!r)
		r = check_pairs("otlp-header", &c->export.otlp_header, error, size);
	if (!r)
		r = check_names("capture-header", &c->protocols.capture_header, error, size);
	if (!r)
		r = check_names("correlation-header", &c->trace.correlation_header, error, size);
	if (!r)
		r = check_urls(&c->export, error, size);
	if (!r)
		r = check_kube(&c->kube, error, size);
	if (!r && c->operate.control && strlen(c->operate.control) > 107)
		r = refuse(error, size, "control", "a path of at most 107 bytes", slice_str(c->operate.control));
	if (!r && c->operate.listen && !listen_address_valid(c->operate.listen))
		r = refuse(error, size, "listen", "HOST:PORT, [IPV6]:PORT, :PORT or unix:PATH", slice_str(c->operate.listen));
	return r ? r : check_sample(c, error, size);
}

void config_select(const struct config *c, struct select *out)
{
	struct selector_lists s;

	config_selector(c, &s);
#define LIST(name) .name = (const char *const *)c->select.name.v
	*out = (struct select){ .all = c->select.all, LIST(pid), LIST(exe), LIST(comm), LIST(cgroup), LIST(port),
				LIST(not_pid), LIST(not_exe), LIST(not_comm), LIST(not_cgroup), LIST(not_port) };
#undef LIST
	out->kube = s.want[SELECT_CONTAINER] || s.want[SELECT_SPACE] || s.want[SELECT_POD] || s.want[SELECT_LABEL];
	out->not_kube = s.not[SELECT_CONTAINER] || s.not[SELECT_SPACE] || s.not[SELECT_POD] || s.not[SELECT_LABEL];
}

bool config_selector(const struct config *c, struct selector_lists *out)
{
	const struct config_select *s = &c->select;
	const struct {
		const struct strlist *want, *not;
	} lists[SELECT_KINDS] = {
		[SELECT_CONTAINER] = { &s->container, &s->not_container },
		[SELECT_SPACE] = { &s->kube_namespace, &s->not_kube_namespace },
		[SELECT_POD] = { &s->kube_pod, &s->not_kube_pod },
		[SELECT_LABEL] = { &s->kube_label, &s->not_kube_label },
	};
	bool any = false;

	for (int kind = 0; kind < SELECT_KINDS; kind++) {
		out->want[kind] = lists[kind].want->n ? (const char *const *)lists[kind].want->v : NULL;
		out->not[kind] = lists[kind].not->n ? (const char *const *)lists[kind].not->v : NULL;
		any |= out->want[kind] || out->not[kind];
	}
	return any;
}

int config_check(const struct config *c, char *error, size_t size)
{
	struct select s;
	int r = config_check_lists(c, error, size);

	if (r || !config_selects(c)) /* config_load() said where none is needed */
		return r;
	config_select(c, &s);
	return select_check(&s, error, size);
}
