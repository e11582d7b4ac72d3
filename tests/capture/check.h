/* SPDX-License-Identifier: Apache-2.0 */
/* Compares what the probe reported during one case with what the case says it did. */
#ifndef SPANDREL_CHECK_H
#define SPANDREL_CHECK_H

#include "capture.h"
#include "probe/probe.h"

struct checker;

struct checker *checker_new(struct probe *p, const struct capture_case *c);
void checker_free(struct checker *k);
void checker_event(void *arg, const struct ev_head *ev); /* for probe_read() */
/* NULL: exactly what was expected. Else the first difference; valid until the checker is freed. */
const char *checker_verdict(struct checker *k, const struct expected *x);

#endif
