// SPDX-License-Identifier: Apache-2.0
#include "self_traced.h"

#include "conn/exchange.h"
#include "host/process.h"
#include "proto/otlp_call.h"

void self_traced_configure(struct self_traced *t, const struct config *c, bool live)
{
	t->looks = live && !c->select.pid.n && !c->select.exe.n;
}

void self_traced_look(struct self_traced *t, const struct exchange *x)
{
	uint32_t role = x->call.server ? OTLP_RECEIVES : OTLP_SENDS, pid = x->req_first.pid;

	if (!t->looks || t->n_news == SELF_TRACED_NEWS || !otlp_call(&x->call) || host_otlp(t->host, pid) & role)
		return;
	t->news[t->n_news++] = (struct ev_otlp){ .h = { .type = EV_OTLP, .len = sizeof(struct ev_otlp), .time = x->req_head.time },
						 .pid = pid,
						 .role = role };
}

bool self_traced_next(struct self_traced *t, struct ev_otlp *out)
{
	if (!t->n_news)
		return false;
	*out = t->news[0];
	for (size_t i = 1; i < t->n_news; i++)
		t->news[i - 1] = t->news[i];
	t->n_news--;
	return true;
}

bool self_traced_hides(const struct self_traced *t, const struct exchange *x)
{
	uint8_t seen = host_otlp(t->host, x->req_first.pid);

	return seen == OTLP_SENDS || (seen && otlp_call(&x->call));
}
