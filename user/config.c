// SPDX-License-Identifier: Apache-2.0
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/scope.h"

#define FILE_LINE_MAX 4096

/* Where a value comes from; the name that an error shows. A list is emptied by the first value of a new source. */
struct source {
	struct config *c;
	char *error;
	size_t size;
	bool cleared[128];
};

static int refuse(struct source *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int refuse(struct source *s, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(s->error, s->size, format, ap);
	va_end(ap);
	return -EINVAL;
}

static bool parse_scaled(const char *text, const char *const *units, const uint64_t *factors, size_t n, uint64_t *out)
{
	struct slice s = slice_str(text);
	size_t digits = 0;
	uint64_t v;

	while (digits < s.n && isdigit((unsigned char)s.p[digits]))
		digits++;
	if (!slice_u64(slice_to(s, digits), &v))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!strcmp(text + digits, units[i]))
			return !__builtin_mul_overflow(v, factors[i], out);
	return false;
}

bool parse_duration(const char *text, uint64_t *ns)
{
	static const char *const units[] = { "ms", "s", "m", "h" };
	static const uint64_t factors[] = { NS_PER_MS, NS_PER_S, 60 * NS_PER_S, 3600 * NS_PER_S };

	if (!strcmp(text, "0")) {
		*ns = 0;
		return true;
	}
	return parse_scaled(text, units, factors, ARRAY_SIZE(units), ns);
}

bool parse_size(const char *text, uint64_t *bytes)
{
	static const char *const units[] = { "", "B", "KiB", "MiB", "GiB" };
	static const uint64_t factors[] = { 1, 1, 1 << 10, 1 << 20, 1 << 30 };

	return parse_scaled(text, units, factors, ARRAY_SIZE(units), bytes);
}

static bool parse_ratio(const char *text, double *out)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= 0 && v <= 1))
		return false;
	*out = v;
	return true;
}

static bool parse_bool(const char *text, bool *out)
{
	if (!*text || !strcmp(text, "true") || !strcmp(text, "1") || !strcmp(text, "yes"))
		*out = true;
	else if (!strcmp(text, "false") || !strcmp(text, "0") || !strcmp(text, "no"))
		*out = false;
	else
		return false;
	return true;
}

static bool choice_has(const char *words, const char *text)
{
	struct slice rest = slice_str(words), word;

	while (slice_split(&rest, '|', &word))
		if (slice_eq(word, slice_str(text)))
			return true;
	return false;
}

static void list_clear(struct strlist *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct strlist){ 0 };
}

static int list_add(struct strlist *l, const char *text)
{
	char **v = realloc(l->v, (l->n + 2) * sizeof(*v));

	if (!v)
		return -ENOMEM;
	l->v = v;
	v[l->n] = strdup(text);
	if (!v[l->n])
		return -ENOMEM;
	v[++l->n] = NULL;
	return 0;
}

static int set_string(char **to, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*to);
	*to = copy;
	return 0;
}

static int set_number(struct source *s, const struct option *o, const char *text, uint64_t *to)
{
	bool ok = o->type == OPT_SIZE ? parse_size(text, to) : slice_u64(slice_str(text), to);

	if (ok && *to >= o->min && (!o->max || *to <= o->max))
		return 0;
	return refuse(s, "--%s: expected a %s from %" PRIu64 " to %" PRIu64 ", got \"%s\"", o->name,
		      o->type == OPT_SIZE ? "size (KiB, MiB, GiB)" : "number", o->min, o->max, text);
}

static int set_list(struct source *s, const struct option *o, const char *text, struct strlist *to)
{
	size_t index = (size_t)(o - options);

	if (!*text)
		return refuse(s, "--%s: expected %s, got nothing", o->name, o->arg);
	if (!s->cleared[index]) {
		list_clear(to);
		s->cleared[index] = true;
	}
	return list_add(to, text);
}

static int set_value(struct source *s, const struct option *o, const char *text)
{
	void *to = (char *)s->c + o->offset;

	switch (o->type) {
	case OPT_BOOL:
		return parse_bool(text, to) ? 0 : refuse(s, "--%s: expected true or false, got \"%s\"", o->name, text);
	case OPT_STRING:
		return *text ? set_string(to, text) : refuse(s, "--%s: expected %s, got nothing", o->name, o->arg);
	case OPT_CHOICE:
		return choice_has(o->arg, text) ? set_string(to, text) :
						  refuse(s, "--%s: expected %s, got \"%s\"", o->name, o->arg, text);
	case OPT_LIST:
		return set_list(s, o, text, to);
	case OPT_NUMBER:
	case OPT_SIZE:
		return set_number(s, o, text, to);
	case OPT_DURATION:
		return parse_duration(text, to) ? 0 :
						  refuse(s, "--%s: expected a duration (ms, s, m, h), got \"%s\"", o->name, text);
	case OPT_RATIO:
		return parse_ratio(text, to) ? 0 : refuse(s, "--%s: expected 0 to 1, got \"%s\"", o->name, text);
	case OPT_GROUP:
		break;
	}
	return -EINVAL;
}

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
		r = set_value(s, &options[i], options[i].fallback);
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
	return set_value(&s, o, value);
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
		return refuse(s, "--config %s, line %d: unknown option \"%.*s\"", path, number, (int)(value - name), name);
	return set_value(s, o, value + strspn(value, " \t"));
}

static int load_file(struct source *s, const char *path)
{
	_fclose_ FILE *f = fopen(path, "re");
	char line[FILE_LINE_MAX];
	int number = 0, r;

	if (!f)
		return refuse(s, "--config: cannot read %s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		number++;
		if (!strchr(line, '\n') && !feof(f))
			return refuse(s, "--config %s, line %d: expected at most %d bytes", path, number, FILE_LINE_MAX - 2);
		r = load_line(s, line, path, number);
		if (r)
			return r;
	}
	return ferror(f) ? refuse(s, "--config: cannot read %s: %s", path, strerror(errno)) : 0;
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
		return set_value(s, o, text);
	while (slice_split(&rest, '\n', &part)) {
		_free_ char *one = strndup(part.p, part.n);

		if (!one)
			return -ENOMEM;
		r = *one ? set_value(s, o, one) : 0;
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
		return refuse(s, "unexpected argument \"%s\": expected an option, see --help", text);
	text += 2;
	o = option_find(equals ? slice_of(text, (size_t)(equals - text)) : slice_str(text));
	if (!o)
		return refuse(s, "unknown option \"%s\": see --help", argv[*at]);
	if (equals)
		return set_value(s, o, equals + 1);
	if (o->type == OPT_BOOL)
		return set_value(s, o, "");
	if (++*at >= argc)
		return refuse(s, "--%s: expected %s, got nothing", o->name, o->arg);
	return set_value(s, o, argv[*at]);
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
	int r = text && *text ? set_value(s, o, text) : 0;

	for (int i = 1; i < argc && !r; i++) {
		if (!strncmp(argv[i], "--config=", 9))
			r = set_value(s, o, argv[i] + 9);
		else if (!strcmp(argv[i], "--config") && i + 1 < argc)
			r = set_value(s, o, argv[i + 1]);
	}
	return r;
}

bool config_selects(const struct config *c)
{
	const struct config_select *s = &c->select;

	return s->all || s->pid.n || s->exe.n || s->comm.n || s->port.n || s->cgroup.n;
}

static int check_pairs(struct source *s)
{
	const struct config *c = s->c;
	const struct config_select *sel = &c->select;

	if (c->operate.help || c->operate.version)
		return 0;
	if (sel->all && (sel->pid.n || sel->exe.n || sel->comm.n || sel->port.n || sel->cgroup.n))
		return refuse(s, "--all: contradicts another selector: expected --all with exclusions only");
	if (c->operate.record && c->operate.replay)
		return refuse(s, "--record: contradicts --replay: expected one of them");
	if (c->export.console && c->export.file && !strcmp(c->export.file, "-"))
		return refuse(s, "--console: contradicts --file -: both write to standard output");
	if (!c->export.otlp_cert != !c->export.otlp_key)
		return refuse(s, "--otlp-%s: expected --otlp-%s with it", c->export.otlp_cert ? "cert" : "key",
			      c->export.otlp_cert ? "key" : "cert");
	if (c->operate.check || c->operate.replay || config_selects(c))
		return 0;
	return refuse(s, "nothing is selected: expected --pid, --exe, --comm, --port, --cgroup or --all");
}

int config_load(struct config *c, int argc, char **argv, char *error, size_t size)
{
	struct source s = { .c = c, .error = error, .size = size };
	int r;

	*c = (struct config){ 0 };
	_Static_assert(sizeof(s.cleared) >= 64, "one per option");
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
			list_clear(at);
		else if (options[i].type == OPT_STRING || options[i].type == OPT_CHOICE)
			free(*(char **)at);
	}
	*c = (struct config){ 0 };
}

void config_help(void)
{
	printf("Usage: spandrel SELECTOR... [OPTION...]\n"
	       "Traces HTTP requests of running programs and exports OpenTelemetry spans.\n"
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
