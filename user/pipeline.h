/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every stage, wired once: events in, spans to the exporters. Live and replay differ only in who calls pipeline_event()
 * and in what `live` holds. Time inside comes from events alone, so a recording gives the same spans every time.
 */
#ifndef SPANDREL_PIPELINE_H
#define SPANDREL_PIPELINE_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "event.h"

struct pipeline;
struct pods;
struct probe;
struct recorder;
struct sampler;
struct services;

/* What only a live run has; all NULL in replay. */
struct pipeline_live {
	struct probe *probe;	   /* takes verdicts */
	struct recorder *recorder; /* gets each event after it was handled, what it brought about before it */
	struct pods *pods;	   /* of this node; NULL: --kube is off. Outlives the pipeline */
	struct services *services; /* of the cluster; NULL without --kube-services. Likewise */
};

/* 0 or -errno, said in one line. `config` must outlive the pipeline; seed: of all ids. */
int pipeline_new(struct pipeline **out, const struct config *config, const struct pipeline_live *live,
		 const uint64_t seed[2], CURLM *multi);
void pipeline_event(struct pipeline *p, const struct ev_head *ev);
/* Transfers under way, retries that are due: once a turn of the loop. */
void pipeline_turn(struct pipeline *p, uint64_t now);
/* SIGHUP: the sampling of another configuration, of which `sampler` (stages.h) was made, which is taken. */
void pipeline_sampling(struct pipeline *p, const struct config *config, struct sampler *sampler);
struct sampler *pipeline_sampler(struct pipeline *p); /* for temporary rules */
void pipeline_reopen(struct pipeline *p); /* SIGHUP: files that somebody moved */
/* Sets the gauges (base/stats.h): requests_open by service. */
void pipeline_gauges(const struct pipeline *p);
/* How the i-th exporter stands; false past the last. */
struct export_state;
bool pipeline_exporter(const struct pipeline *p, uint32_t i, struct export_state *out);
/* No more events: decides and hands out everything. Then call pipeline_turn() until pipeline_idle(). The gauges stay. */
void pipeline_finish(struct pipeline *p, uint64_t now);
bool pipeline_idle(const struct pipeline *p);
bool pipeline_crowded(const struct pipeline *p); /* exporters are behind: a replay waits for them */
void pipeline_free(struct pipeline *p);

#endif
