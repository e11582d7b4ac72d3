/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans to somewhere. Each exporter is a row (open, send, tick, flush, close); several work side by side on the same spans,
 * which are reference counted. A span's fate: exported once any exporter has delivered it, else dropped for the first
 * reason; while it is on disk (--spool-dir) for one of them, that one decides. A failing exporter never stops the others: each has its own queue. Nothing here blocks, except writes to a
 * regular file. `now` is any clock that does not go back, the same in all calls, in ns.
 */
#ifndef SPANDREL_EXPORT_EXPORT_H
#define SPANDREL_EXPORT_EXPORT_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "trace/span.h"

enum http_format { FORMAT_OTLP, FORMAT_OTLP_JSON, FORMAT_GRPC, FORMAT_ZIPKIN };

/* Where and how one kind of spans goes by HTTP. Each end point is an exporter of its own, with its own queue. */
struct export_http {
	const char *const *urls; /* http:, https: with the path, or unix:///socket */
	uint32_t n_urls;
	uint8_t format; /* enum http_format */
	bool gzip;
	bool balance; /* a span goes to the end point that owns its trace id, not to all */
	const struct slice *headers; /* "name: value" lines */
	size_t n_headers;
	uint64_t timeout;	     /* ns; 0 none */
	const char *ca, *cert, *key; /* PEM files or NULL */
};

struct export_config {
	uint32_t queue_size; /* spans not acknowledged, open batch and batches in flight included */
	uint32_t batch_size; /* never larger than the queue */
	uint64_t batch_age;  /* ns */
	bool console;
	const char *file, *access_log; /* path, "-" for standard output, NULL */
	uint64_t file_size;	       /* of each of them, bytes; 0: no limit */
	struct export_http otlp, zipkin;
	const char *spool_dir; /* NULL: none */
	uint64_t spool_size;   /* bytes, of all exporters together */
	const char *version;
};

struct export;

/* 0 or -errno, said once in one line. An unreachable end point is not an error here. The config's strings are borrowed. */
int export_new(struct export **out, const struct export_config *c, CURLM *multi);
void export_push(struct export *e, struct span *s, uint64_t now); /* takes */
/* Time has passed in the stream of events (EV_TICK): batches by age, and all that eager exporters wait for. A replay ticks
 * where the live run did, so it groups spans alike. */
void export_tick(struct export *e, uint64_t now);
/* Once a turn of the loop, after curl_multi_perform(): retries, completed transfers. */
void export_turn(struct export *e, uint64_t now);
void export_flush(struct export *e, uint64_t now); /* no more spans come: send what is open, do not wait for a back-off */
void export_reopen(struct export *e); /* files, after somebody moved them (SIGHUP) */
bool export_idle(const struct export *e);	   /* everything delivered, dropped or on disk */
bool export_crowded(const struct export *e);	   /* a queue is more than half full: who can wait, should */

/* How the i-th exporter stands, for whoever looks; false past the last. */
struct export_state {
	const char *name, *target; /* target: where it sends, without secrets; NULL: nowhere far */
	uint32_t queued;	   /* spans not done, without those on disk */
	bool down;		   /* its last request failed */
};
bool export_state(const struct export *e, uint32_t i, struct export_state *out);

void export_free(struct export *e);		   /* what is left goes to the spool, or is drop_unsent; NULL is fine */

/* ---- for exporters ---------------------------------------------------------------------------- */

struct outlet; /* an open exporter with its queue */
struct exporter;

struct export_place {
	CURLM *multi;
	uint32_t index; /* which one of those wanted */
};

/* Spans on their way to one exporter; on the heap, free() it when its spans are done. */
struct export_batch {
	struct list link;
	uint64_t since;	   /* when it was sent for the first time */
	uint64_t retry_at; /* not before; 0: at once */
	uint32_t attempts;
	uint32_t n, cap;
	struct span *spans[];
};

struct exporter_ops {
	const char *name;
	int undelivered; /* enum stat_id: its spans that it gave up, whatever became of them elsewhere */
	bool every; /* takes what sampling did not keep, too (span->unsampled) */
	bool eager; /* wants spans at each tick, not batches by size and age */
	uint32_t (*count)(const struct export_config *c); /* how many of it are wanted */
	int (*open)(struct exporter **out, struct outlet *o, const struct export_config *c, const struct export_place *at);
	bool (*takes)(const struct exporter *x, const struct span *s); /* NULL: every span */
	void (*send)(struct exporter *x, struct export_batch *b, uint64_t now); /* takes; export_done() now or later */
	void (*tick)(struct exporter *x, uint64_t now);				 /* may be NULL */
	void (*flush)(struct exporter *x, uint64_t now);			 /* the end is near; may be NULL */
	void (*reopen)(struct exporter *x);		/* its file may have been moved; may be NULL */
	void (*close)(struct exporter *x);		/* gives back what is left as drop_unsent */
	/* Where it sends, without secrets and the same in each run: what is on disk for it is found by that. NULL, or giving
	 * NULL: it has no spool. Spans that come from there have no exchange. */
	const char *(*target)(const struct exporter *x);
	bool (*down)(const struct exporter *x); /* may be NULL */
};

extern const struct exporter_ops exporter_console, exporter_file, exporter_access_log, exporter_otlp, exporter_zipkin;

/*
 * These spans were delivered (drop < 0) or dropped as counter `drop` (enum stat_id; drop_unsent: given up for want of time,
 * with a spool they come again). Releases the references; the array's order may change.
 */
void export_done(struct outlet *o, struct span **spans, uint32_t n, int drop);
/* The same for a whole batch, which it frees. */
void export_batch_done(struct outlet *o, struct export_batch *b, int drop);
/* An empty batch for so many spans; NULL without memory. */
struct export_batch *export_batch_new(uint32_t cap);
/* Takes the second half of a batch (n ≥ 2) off into a new one; NULL without memory. */
struct export_batch *export_batch_split(struct export_batch *b);

/* ---- encoders --------------------------------------------------------------------------------- */

/*
 * One ExportTraceServiceRequest (opentelemetry-proto) with a ResourceSpans for each resource, in order of first sight. Texts that
 * are not UTF-8 get U+FFFD. 0, -EMSGSIZE when `out` is too small (split the batch), -ENOMEM; `out` keeps what it had.
 */
#define OTLP_SCOPE "spandrel"
#define OTLP_SCHEMA_URL "https://opentelemetry.io/schemas/1.44.0"
#define OTLP_REQUEST_MAX (4 * 1024 * 1024) /* many servers refuse more */

struct buf;
int otlp_encode(struct span *const *spans, uint32_t n, const char *version, struct buf *out);
int otlp_json_encode(struct span *const *spans, uint32_t n, const char *version, struct buf *out); /* one line, no LF */

#endif
