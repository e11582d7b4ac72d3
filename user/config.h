/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration: one table of options (options.c) is the parser, the defaults and the help. Precedence: flag,
 * SPANDREL_ variable, --config file, OTEL_ variable, default; a stronger source replaces a whole list.
 */
#ifndef SPANDREL_CONFIG_H
#define SPANDREL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/* Strings that config owns; v is NULL-terminated once there is one. */
struct strlist {
	char **v;
	size_t n;
};

struct config_select {
	bool all;
	struct strlist pid, exe, comm, port, cgroup;
	struct strlist not_pid, not_exe, not_comm, not_port, not_cgroup;
	struct strlist container, kube_namespace, kube_pod, kube_label;
	struct strlist not_container, not_kube_namespace, not_kube_pod, not_kube_label;
};

struct config_protocols {
	char *list, *tls;
	struct strlist capture_header, keep_query, exclude_method;
	uint64_t request_timeout; /* ns */
	uint64_t max_attribute_length;
};

struct config_trace {
	char *link;
	uint64_t link_timeout; /* ns */
	struct strlist correlation_header;
};

struct config_identity {
	char *service_name, *environment, *cluster_name, *semconv;
	struct strlist resource;
};

struct config_kube {
	char *mode, *api, *kubeconfig, *node_name;
	uint64_t wait; /* ns */
	struct strlist pod_label;
	bool app_labels, services;
};

struct config_sample {
	double ratio;
	struct strlist rule;
	bool ignore_parent, keep_errors;
	uint64_t keep_slower_than; /* ns; 0: off */
	char *rate;
};

struct config_export {
	struct strlist otlp_endpoint, otlp_header;
	char *otlp_protocol, *otlp_balance, *otlp_compression, *zipkin_endpoint;
	uint64_t otlp_timeout, batch_age; /* ns */
	char *otlp_ca, *otlp_cert, *otlp_key;
	uint64_t batch_size;
	char *file, *access_log;
	uint64_t file_size;
	bool console;
};

struct config_limits {
	char *spool_dir;
	uint64_t spool_size;
	uint64_t queue_size, max_connections, ring_size, memory_limit;
};

struct config_operate {
	char *config, *log_level, *log_format, *record, *replay, *backend;
	uint64_t duration; /* ns; 0: until stopped */
	char *listen;  /* NULL: no pages */
	char *control; /* UNIX socket; NULL: an abstract one */
	bool check, version, help;
};

struct config {
	struct config_select select;
	struct config_protocols protocols;
	struct config_trace trace;
	struct config_identity identity;
	struct config_kube kube;
	struct config_sample sample;
	struct config_export export;
	struct config_limits limits;
	struct config_operate operate;
};

enum option_type {
	OPT_BOOL, OPT_STRING, OPT_LIST, OPT_NUMBER, OPT_SIZE, OPT_DURATION, OPT_RATIO,
	OPT_CHOICE, /* `arg` lists the words, separated by | */
	OPT_GROUP,  /* a heading of --help */
};

struct option {
	const char *name;
	enum option_type type;
	size_t offset;		/* in struct config */
	const char *arg;	/* how --help names the value */
	const char *fallback;	/* default, as text; NULL: none */
	const char *help;
	uint64_t min, max;	/* of numbers and sizes; max 0: no bound */
};

extern const struct option options[];
extern const size_t n_options;

/* Fills *c from every source. 0, or -EINVAL with one line in `error`. *c is to be given to config_fini either way. */
int config_load(struct config *c, int argc, char **argv, char *error, size_t size);
void config_fini(struct config *c);
bool config_selects(const struct config *c); /* is there any selector? */
/* Borrows the selection as the probe wants it. */
struct select;
void config_select(const struct config *c, struct select *out);
/* Likewise what is selected by container and pod. False: nothing is. */
struct selector_lists;
bool config_selector(const struct config *c, struct selector_lists *out);
/* The sampling as its stage wants it; borrows. */
struct sample_config;
void config_sample(const struct config *c, struct sample_config *out);
/* The words of --link and --protocols, K=V options, URL: 0, or -EINVAL with one line in `error`. */
int config_check_lists(const struct config *c, char *error, size_t size);
/* That, and the patterns of the selection: all that a value alone does not show. Likewise. */
int config_check(const struct config *c, char *error, size_t size);

/* Cuts ":plain" off a header's name. Was it there? */
bool config_header_plain(struct slice *name);

/* OTEL_* variables as values of options (otel_env.c): calls set() for each; a bad one is warned about and ignored. */
void config_otel_env(struct config *c, int (*set)(struct config *c, const char *option, const char *value));

/* A base URL made complete: the path appended, unless it is there, it is a socket's, or the signal's own variable gave the URL. */
int config_otlp_url(const char *url, char *to, size_t size);
int config_zipkin_url(const char *url, char *to, size_t size);

/* Text to values; false on anything but a whole valid text. Durations take ms s m h, sizes B KiB MiB GiB. */
bool parse_duration(const char *text, uint64_t *ns);
bool parse_size(const char *text, uint64_t *bytes);

/* The ready line, on standard error whatever the log's level and format. */
void config_say(const struct config *c, const char *backend);
void config_help(void); /* --help on standard output */

#endif
