/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans to somewhere. Each exporter is a row (open, send, flush, close); several work side by side on the same spans, which
 * are reference counted. A span's fate: exported once any exporter has delivered it, else dropped for the first reason.
 * A failing exporter never stops the others.
 */
#ifndef SPANDREL_EXPORT_EXPORT_H
#define SPANDREL_EXPORT_EXPORT_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "trace/span.h"

struct export_config {
	uint32_t queue_size; /* spans not acknowledged, open batch and batches in flight included */
	uint32_t batch_size;
	uint64_t batch_age;  /* ns */
	bool console;
	const char *file;    /* path, "-" for standard output, NULL */
	const char *otlp_url; /* complete, with /v1/traces; NULL */
	const struct slice *otlp_headers; /* "name: value" lines */
	size_t n_otlp_headers;
	bool otlp_gzip;
	uint64_t otlp_timeout; /* ns; 0 none */
	const char *otlp_ca, *otlp_cert, *otlp_key; /* PEM files or NULL */
	const char *version;
};

struct export;

struct export_batch {
	struct span **spans;
	uint32_t n;
};

struct exporter; /* an open instance */

struct exporter_ops {
	const char *name;
	bool eager; /* wants spans at the end of each turn of the loop, not batches by size and age */
	bool (*wanted)(const struct export_config *c);
	int (*open)(struct exporter **out, struct export *e, const struct export_config *c, CURLM *multi);
	/* Takes the batch's references; calls export_done() for its spans, now or later. */
	void (*send)(struct exporter *x, struct export_batch *b, uint64_t now);
	void (*tick)(struct exporter *x, uint64_t now); /* retries due, time-outs; may be NULL */
	bool (*idle)(const struct exporter *x);		/* nothing in flight; NULL: always */
	void (*close)(struct exporter *x);		/* gives back what is left as drop_unsent */
};

/* 0 or -errno, said once in one line. An unreachable end point is not an error here. */
int export_new(struct export **out, const struct export_config *c, CURLM *multi);
void export_push(struct export *e, struct span *s, uint64_t now); /* takes */
void export_tick(struct export *e, uint64_t now);  /* once a turn of the loop: batches by age, retries, completed transfers */
void export_flush(struct export *e, uint64_t now); /* no more spans come: send what is open */
bool export_idle(const struct export *e);	   /* everything delivered or dropped */
void export_free(struct export *e);

/* For exporters: these spans were delivered (drop < 0) or dropped as counter `drop` (enum stat). Releases the references. */
void export_done(struct export *e, struct span **spans, uint32_t n, int drop);

/* Encoders. */
struct buf;
int otlp_encode(struct span *const *spans, uint32_t n, const char *version, struct buf *out);	   /* protobuf */
int otlp_json_encode(struct span *const *spans, uint32_t n, const char *version, struct buf *out); /* one line, no LF */

#endif
