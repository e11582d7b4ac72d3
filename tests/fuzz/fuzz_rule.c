// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target for --sample-rule: each line is a rule. What is taken says the same when it is read again, and can be put to
 * any span and any other rule; what covers another matches all that the other does.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/scope.h"
#include "host/process.h"
#include "trace/rule.h"
#include "trace/span.h"

#define RULES 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool truth)
{
	if (!truth)
		abort();
}

#define TEXT(k, v) { .key = { k, sizeof(k) - 1 }, .type = ATTR_STRING, .s = { v, sizeof(v) - 1 } }
#define INT(k, v) { .key = { k, sizeof(k) - 1 }, .type = ATTR_INT, .i = v }

static struct attr server[] = { INT("http.response.status_code", 503), TEXT("url.path", "/api/a*"), TEXT("http.request.method", "_OTHER"),
				TEXT("http.request.method_original", "BREW") };
static struct attr client[] = { INT("http.response.status_code", 404), TEXT("url.full", "http://a:80/api/pay?x=1"), TEXT("http.request.method", "GET") };
static struct attr odd[] = { TEXT("http.response.status_code", "x"), TEXT("url.full", "nothing"), INT("url.path", 4) };
static struct attr grpc[] = { TEXT("rpc.method", "shop.Cart/Get"), TEXT("rpc.response.status_code", "NOT_FOUND") };
static struct attr old[] = { TEXT("rpc.method", "Get"), INT("rpc.grpc.status_code", 5) };
static struct resource shop = { .service = { "shop", 4 } };

#define SPAN(a, ns, code, r) { .end = ns, .resource = r, .d = { .status = code, .attrs = a, .n_attrs = ARRAY_SIZE(a) } }

static const struct span spans[] = {
	SPAN(server, 2000000000, STATUS_ERROR, &shop), SPAN(client, 5, STATUS_ERROR, &shop), SPAN(odd, 5, STATUS_UNSET, NULL),
	SPAN(grpc, 1000000, STATUS_UNSET, &shop),      SPAN(old, 0, STATUS_UNSET, NULL),
};

static void check_again(const struct rule *r)
{
	struct rule again;
	char error[64];

	need(r->ratio >= 0 && r->ratio <= 1);
	need(!rule_parse(slice_str(r->text), &again, error, sizeof(error)));
	need(rule_same_match(&r->match, &again.match) && again.ratio == r->ratio && again.rate.n == r->rate.n);
	rule_fini(&again);
}

static void check_pair(const struct rule *a, const struct rule *b)
{
	bool covers = rule_covers(&a->match, &b->match);

	for (size_t i = 0; i < ARRAY_SIZE(spans); i++)
		need(!covers || !rule_matches(&b->match, &spans[i]) || rule_matches(&a->match, &spans[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_of((const char *)data, size), line;
	struct rule rules[RULES];
	size_t n = 0;
	char error[96];

	while (n < RULES && slice_split(&rest, '\n', &line)) {
		memset(error, 'x', sizeof(error));
		if (rule_parse(line, &rules[n], error, sizeof(error))) {
			need(strnlen(error, sizeof(error)) < sizeof(error));
			continue;
		}
		check_again(&rules[n++]);
	}
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			check_pair(&rules[i], &rules[j]);
	for (size_t i = 0; i < n; i++)
		rule_fini(&rules[i]);
	return 0;
}
