// SPDX-License-Identifier: Apache-2.0
/* The sources of the configuration, from the weakest to the strongest. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "config_value.h"

#define FILE_LINE_MAX 4096

static const struct option *option_find(struct slice name)
{
	for (size_t i = 0; i < n_options; i++)
		if (options[i].type != OPT_GROUP && slice_eq(slice_str(options[i].name), name))
			return &options[i];
	return NULL;
}

static int load_defaults(struct source *s)
{
	int r;

	for (size_t i = 0; i < n_options; i++) {
		if (!options[i].fallback)
			continue;
		r = value_set(s, &options[i], options[i].fallback);
		if (r)
			return r;
	}
	return 0;
}

static void source_next(struct source *s)
{
	memset(s->cleared, 0, sizeof(s->cleared));
}

static int set_otel(struct config *c, const char *name, const char *value)
{
	char error[256];
	struct source s = { .c = c, .error = error, .size = sizeof(error) };
	const struct option *o = option_find(slice_str(name));

	s.cleared[o - options] = o->type != OPT_LIST || ((struct strlist *)((char *)c + o->offset))->n;
	return value_set(&s, o, value);
}

static int load_line(struct source *s, char *line, const char *path, int number)
{
	char *name = line + strspn(line, " \t"), *value;
	const struct option *o;
	size_t n;

	n = strlen(name);
	while (n && isspace((unsigned char)name[n - 1]))
		name[--n] = '\0';
	if (!n || *name == '#')
		return 0;
	value = name + strcspn(name, " \t");
	o = option_find(slice_of(name, (size_t)(value - name)));
	if (!o || !strcmp(o->name, "config"))
		return source_refuse(s, "--config %s, line %d: unknown option \"%.*s\"", path, number, (int)(value - name), name);
	return value_set(s, o, value + strspn(value, " \t"));
}

static int load_file(struct source *s, const char *path)
{
	_fclose_ FILE *f = fopen(path, "re");
	char line[FILE_LINE_MAX];
	int number = 0, r;

	if (!f)
		return source_refuse(s, "--config: cannot read %s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		number++;
		if (!strchr(line, '\n') && !feof(f))
			return source_refuse(s, "--config %s, line %d: expected at most %d bytes", path, number, FILE_LINE_MAX - 2);
		r = load_line(s, line, path, number);
		if (r)
			return r;
	}
	return ferror(f) ? source_refuse(s, "--config: cannot read %s: %s", path, strerror(errno)) : 0;
}

static const char *env_of(const struct option *o)
{
	char name[64] = "SPANDREL_";
	size_t n = strlen(name);

	for (const char *p = o->name; *p && n < sizeof(name) - 1; p++)
		name[n++] = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
	name[n] = '\0';
	return getenv(name);
}

/* A repeatable option has its values separated by newlines. */
static int load_env_value(struct source *s, const struct option *o, const char *text)
{
	struct slice rest = slice_str(text), part;
	int r;

	if (o->type != OPT_LIST)
		return value_set(s, o, text);
	while (slice_split(&rest, '\n', &part)) {
		_free_ char *one = strndup(part.p, part.n);

		if (!one)
			return -ENOMEM;
		r = *one ? value_set(s, o, one) : 0;
		if (r)
			return r;
	}
	return 0;
}

static int load_env(struct source *s)
{
	for (size_t i = 0; i < n_options; i++) {
		const char *text = options[i].type == OPT_GROUP ? NULL : env_of(&options[i]);
		int r;

		if (!text || !*text)
			continue;
		r = load_env_value(s, &options[i], text);
		if (r)
			return r;
	}
	return 0;
}

static int load_flag(struct source *s, int argc, char **argv, int *at)
{
	const char *text = argv[*at], *equals = strchr(text, '=');
	const struct option *o;

	if (strncmp(text, "--", 2) || !text[2])
		return source_refuse(s, "unexpected argument \"%s\": expected an option, see --help", text);
	text += 2;
	o = option_find(equals ? slice_of(text, (size_t)(equals - text)) : slice_str(text));
	if (!o)
		return source_refuse(s, "unknown option \"%.*s\": see --help", (int)strcspn(argv[*at], "="), argv[*at]);
	if (equals)
		return value_set(s, o, equals + 1);
	if (o->type == OPT_BOOL)
		return value_set(s, o, "");
	if (++*at >= argc)
		return source_refuse(s, "--%s: expected %s, got nothing", o->name, o->arg);
	return value_set(s, o, argv[*at]);
}

static int load_flags(struct source *s, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		int r = load_flag(s, argc, argv, &i);

		if (r)
			return r;
	}
	return 0;
}

/* --config itself comes from the flags or the environment, which are stronger than what it holds. */
static int find_config_file(struct source *s, int argc, char **argv)
{
	const struct option *o = option_find(SLICE("config"));
	const char *text = env_of(o);
	int r = text && *text ? value_set(s, o, text) : 0;

	for (int i = 1; i < argc && !r; i++) {
		if (!strncmp(argv[i], "--config=", 9))
			r = value_set(s, o, argv[i] + 9);
		else if (!strcmp(argv[i], "--config") && i + 1 < argc)
			r = value_set(s, o, argv[i + 1]);
	}
	return r;
}

/* Any selector but --all? */
static bool selects_some(const struct config_select *s)
{
	return s->pid.n || s->exe.n || s->comm.n || s->port.n || s->cgroup.n || s->container.n || s->kube_namespace.n ||
	       s->kube_pod.n || s->kube_label.n;
}

bool config_selects(const struct config *c)
{
	const struct config_select *s = &c->select;

	return s->all || selects_some(s);
}

static bool to_stdout(const char *path)
{
	return path && !strcmp(path, "-");
}

static int check_outputs(struct source *s)
{
	const struct config_export *c = &s->c->export;

	if (to_stdout(c->file) + to_stdout(c->access_log) + c->console > 1)
		return source_refuse(s, "--%s: contradicts --%s: both write to standard output",
				     c->console ? "console" : "access-log -",
				     to_stdout(c->file) ? "file -" : "access-log -");
	if (c->file && c->access_log && !strcmp(c->file, c->access_log))
		return source_refuse(s, "--access-log: contradicts --file: expected another path");
	return 0;
}

/* Names that nobody would tell. --container has a meaning without Kubernetes. */
static int check_kube_off(struct source *s)
{
	const struct config_select *c = &s->c->select;

	if (strcmp(s->c->kube.mode, "off") || !(c->kube_namespace.n || c->kube_pod.n || c->kube_label.n || c->not_kube_namespace.n ||
						c->not_kube_pod.n || c->not_kube_label.n))
		return 0;
	return source_refuse(s, "--kube off: contradicts --kube-namespace, --kube-pod, --kube-label: expected auto or on");
}

static int check_pairs(struct source *s)
{
	const struct config *c = s->c;
	const struct config_select *sel = &c->select;

	if (c->operate.help || c->operate.version)
		return 0;
	if (sel->all && selects_some(sel))
		return source_refuse(s, "--all: contradicts another selector: expected --all with exclusions only");
	if (c->operate.record && c->operate.replay)
		return source_refuse(s, "--record: contradicts --replay: expected one of them");
	if (check_outputs(s) || check_kube_off(s))
		return -EINVAL;
	if (!c->export.otlp_cert != !c->export.otlp_key)
		return source_refuse(s, "--otlp-%s: expected --otlp-%s with it", c->export.otlp_cert ? "cert" : "key",
			      c->export.otlp_cert ? "key" : "cert");
	if (c->operate.check || c->operate.replay || config_selects(c))
		return 0;
	return source_refuse(s, "nothing is selected: expected --pid, --exe, --comm, --port, --cgroup, --container, --kube-namespace, --kube-pod, "
			   "--kube-label or --all");
}

int config_load(struct config *c, int argc, char **argv, char *error, size_t size)
{
	struct source s = { .c = c, .error = error, .size = size };
	int r;

	*c = (struct config){ 0 };
	snprintf(error, size, "out of memory");
	r = load_defaults(&s);
	if (!r)
		r = find_config_file(&s, argc, argv);
	if (!r)
		config_otel_env(c, set_otel);
	source_next(&s);
	if (!r && c->operate.config)
		r = load_file(&s, c->operate.config);
	source_next(&s);
	if (!r)
		r = load_env(&s);
	source_next(&s);
	if (!r)
		r = load_flags(&s, argc, argv);
	return r ? r : check_pairs(&s);
}

void config_fini(struct config *c)
{
	for (size_t i = 0; i < n_options; i++) {
		void *at = (char *)c + options[i].offset;

		if (options[i].type == OPT_LIST)
			strlist_clear(at);
		else if (options[i].type == OPT_STRING || options[i].type == OPT_CHOICE)
			free(*(char **)at);
	}
	*c = (struct config){ 0 };
}

void config_say(const struct config *c, const char *backend)
{
	static const char *const kinds[] = { "pid", "exe", "comm", "port", "cgroup",
					     "container", "kube-namespace", "kube-pod", "kube-label" };
	const struct config_select *s = &c->select;
	const struct strlist *lists[] = { &s->pid, &s->exe, &s->comm, &s->port, &s->cgroup,
					  &s->container, &s->kube_namespace, &s->kube_pod, &s->kube_label };

	fputs("spandrel: tracing", stderr);
	if (s->all)
		fputs(" all", stderr);
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		for (size_t i = 0; i < lists[k]->n; i++)
			fprintf(stderr, " %s=%s", kinds[k], lists[k]->v[i]);
	fprintf(stderr, " (way in: %s)\n", backend);
}

void config_help(void)
{
	printf("Usage: spandrel SELECTOR... [OPTION...]\n"
	       "       spandrel set sample-rule RULE [for DURATION]   changes a running one\n"
	       "Traces HTTP and gRPC requests of running programs and exports OpenTelemetry spans.\n"
	       "Each option NAME is also SPANDREL_NAME in the environment and \"name value\" in --config.\n");
	for (size_t i = 0; i < n_options; i++) {
		const struct option *o = &options[i];
		char left[64];

		if (o->type == OPT_GROUP) {
			printf("\n%s:\n", o->name);
			continue;
		}
		snprintf(left, sizeof(left), "--%s%s%s", o->name, *o->arg ? " " : "", o->arg);
		printf("  %-36s %s", left, o->help);
		if (o->type == OPT_LIST)
			printf("; repeatable");
		if (o->fallback)
			printf(" [%s]", o->fallback);
		putchar('\n');
	}
	printf("\nExit status: 0 done, 1 could not trace or export, 2 usage.\n");
}
