// SPDX-License-Identifier: Apache-2.0
#include "status.h"

#include "base/clock.h"
#include "base/stats.h"
#include "export/export.h"
#include "host/kube.h"
#include "kube_setup.h"
#include "pipeline.h"
#include "probe/probe.h"
#include "usage.h"

enum { OK = 200, UNAVAILABLE = 503 };

/* ---- /metrics ---- */

static void put_exporters(const struct status *s, enum metrics_format f, struct buf *b, bool up)
{
	struct export_state x;

	for (uint32_t i = 0; pipeline_exporter(s->pipeline, i, &x); i++) {
		struct buf labels;

		buf_init(&labels, 4096);
		metrics_label(&labels, "exporter", slice_str(x.name));
		if (x.target)
			metrics_label(&labels, "target", slice_str(x.target));
		buf_printf(&labels, ",index=\"%u\"", i);
		buf_append(&labels, "", 1);
		metrics_put(b, f,
			    &(struct metric){ up ? "spandrel_exporter_up" : "spandrel_exporter_queue_spans", METRIC_GAUGE,
					      up ? NULL : "spans",
					      up ? "0 while the last request to this end point has failed" :
						   "spans that this exporter has not delivered, without those on disk",
					      labels.failed ? NULL : labels.p, up ? !x.down : x.queued },
			    i > 0);
		buf_fini(&labels);
	}
}

static void put_build(const struct status *s, enum metrics_format f, struct buf *b)
{
	struct buf labels;

	buf_init(&labels, 1024);
	metrics_label(&labels, "version", slice_str(VERSION));
	metrics_label(&labels, "way", slice_str(probe_backend(s->probe)));
	buf_append(&labels, "", 1);
	metrics_put(b, f, &(struct metric){ "spandrel_build", METRIC_INFO, NULL, "version, and the way into the kernel", labels.p, 1 },
		    false);
	buf_fini(&labels);
}

static void put_kube(const struct status *s, enum metrics_format f, struct buf *b)
{
	struct kube_state k;

	if (!s->kube->kube)
		return;
	kube_state(s->kube->kube, &k);
	metrics_put(b, f, &(struct metric){ "spandrel_kubernetes_synced", METRIC_GAUGE, NULL, "1 once every list of the API server was read",
					    NULL, k.synced }, false);
	metrics_put(b, f, &(struct metric){ "spandrel_kubernetes_healthy", METRIC_GAUGE, NULL, "0 while the API server fails or does not answer",
					    NULL, k.healthy }, false);
}

static void put_metrics(const struct status *s, enum metrics_format f, struct buf *b)
{
	if (!s->ending) {
		probe_stats(s->probe, true);
		pipeline_gauges(s->pipeline);
		kube_setup_gauges(s->kube);
	}
	metrics_stats(b, f);
	put_exporters(s, f, b, true);
	put_exporters(s, f, b, false);
	put_kube(s, f, b);
	put_build(s, f, b);
	metrics_put(b, f,
		    &(struct metric){ "spandrel_kernel_memory_bytes", METRIC_GAUGE, "bytes",
				      "memory of the maps in the kernel, the ring once", NULL, (double)probe_memory(s->probe) },
		    false);
	usage_metrics(b, f, s->start);
	metrics_end(b, f);
}

/* ---- the others ---- */

static void put_exporter_lines(const struct status *s, struct buf *b)
{
	struct export_state x;

	for (uint32_t i = 0; pipeline_exporter(s->pipeline, i, &x); i++)
		buf_printf(b, "exporter %s%s%s: %s, %u spans not delivered\n", x.name, x.target ? " " : "", x.target ? x.target : "",
			   x.down ? "down" : "up", x.queued);
}

/* For a while: an API server that is away is no reason to take the tracer away, no more than a back end. */
static bool awaits_pods(const struct status *s, struct kube_state *k)
{
	if (!s->kube->kube)
		return false;
	kube_state(s->kube->kube, k);
	return !k->synced && clock_boot() - s->began < s->wait;
}

static void put_kube_line(const struct status *s, const struct kube_state *k, struct buf *b)
{
	if (s->kube->kube)
		buf_printf(b, "pods of node %s, by %s: %s%s%s\n", k->node, k->server, k->synced ? "known" : "not known yet",
			   *k->error ? "; " : "", k->error);
}

static const char *hooks_of(const struct status *s)
{
	if (s->ending)
		return "taken off, the end is near";
	return stats[STAT_probes_missing] ? "in place, but for those that this kernel refused" : "all are in place";
}

static unsigned put_ready(const struct status *s, struct buf *b)
{
	struct kube_state k = { 0 };
	bool ready = !awaits_pods(s, &k) && !s->ending;

	buf_printf(b, "%s\n", ready ? "ready" : "not ready");
	buf_printf(b, "hooks: %s (way in: %s)\n", hooks_of(s), probe_backend(s->probe));
	put_kube_line(s, &k, b);
	put_exporter_lines(s, b);
	return ready ? OK : UNAVAILABLE;
}

static void put_root(const struct status *s, struct buf *b)
{
	buf_printf(b,
		   "spandrel " VERSION ", way in: %s\n\n"
		   "/metrics  counters and gauges, for Prometheus\n"
		   "/healthz  200 while the tracer's loop turns\n"
		   "/readyz   200 while everything selected is traced, else 503\n",
		   probe_backend(s->probe));
}

unsigned status_page(void *arg, enum listen_page page, enum metrics_format format, struct buf *body)
{
	const struct status *s = arg;

	switch (page) {
	case PAGE_ROOT:
		put_root(s, body);
		break;
	case PAGE_HEALTHZ: /* that it is answered is the answer */
		buf_str(body, SLICE("ok\n"));
		break;
	case PAGE_READYZ:
		return put_ready(s, body);
	case PAGE_METRICS:
		put_metrics(s, format, body);
	}
	return OK;
}
