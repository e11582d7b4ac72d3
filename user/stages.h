/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration as the stages want it; borrows. What a stage is given to write to, and what only a live run has, is the
 * pipeline's to add.
 */
#ifndef SPANDREL_STAGES_H
#define SPANDREL_STAGES_H

#include "config.h"
#include "texts.h"

struct sampler;
struct cause_config;
struct conn_config;
struct describe_config;
struct host_config;
struct tail_config;

void stages_host(const struct config *c, const struct texts *t, struct host_config *out);
void stages_conn(const struct config *c, const struct texts *t, struct conn_config *out);
void stages_cause(const struct config *c, struct cause_config *out);
void stages_describe(const struct config *c, const struct texts *t, struct describe_config *out);
void stages_tail(const struct config *c, struct tail_config *out);
/* Makes a sampler, and warns of rules that never match. 0, or -errno with one line in `error`. */
int stages_sampler(const struct config *c, struct sampler **s, char *error, size_t size);

#endif
