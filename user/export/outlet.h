/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An open exporter with its queue, private to export*.c. With a spool, memory holds the oldest spans; once they
 * fill the queue, or as long as there are spans on disk that are older, batches go to disk, and back from there
 * in order as the exporter gets on. What an exporter gives up for want of time goes to disk too, to the front.
 * Without a spool, or when the disk does not take them, spans beyond the queue are dropped.
 */
#ifndef SPANDREL_EXPORT_OUTLET_H
#define SPANDREL_EXPORT_OUTLET_H

#include "export/backlog.h"
#include "export/export.h"

struct outlet_limits {
	uint32_t queue, batch; /* spans; with a spool a batch is at most half the queue */
	uint64_t age;	       /* of an open batch, ns */
};

struct outlet {
	const struct exporter_ops *ops;
	struct exporter *x;
	struct backlog *backlog; /* NULL: no spool */
	struct export *export;	 /* whose it is */
	struct outlet_limits limits;
	struct export_batch *open;
	uint64_t opened; /* when the first span of the open batch came */
	uint32_t held;	 /* spans of the open batch and of batches sent, not done */
	bool ending;	 /* nothing is taken from disk any more */
};

/* Before spans go to disk: exporters that write at once do so, and then it is they who decide. */
void export_settle(struct export *e, uint64_t now);

void outlet_add(struct outlet *o, struct span *s, uint64_t now);
void outlet_tick(struct outlet *o, uint64_t now);
void outlet_turn(struct outlet *o, uint64_t now);
void outlet_settle(struct outlet *o, uint64_t now);
void outlet_flush(struct outlet *o, uint64_t now);
bool outlet_crowded(const struct outlet *o);
void outlet_close(struct outlet *o);
/* One holder less. The last one decides what became of the span. */
void outlet_unref(struct span *s);

#endif
