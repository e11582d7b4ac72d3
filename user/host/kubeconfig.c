// SPDX-License-Identifier: Apache-2.0
#include "host/kubeconfig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/scope.h"
#include "host/proc.h"

struct file {
	yaml_document_t doc;
	const char *path;
	char *error;
	size_t size;
};

static int refuse(const struct file *f, int r, const char *format, ...)
{
	int n = snprintf(f->error, f->size, "--kubeconfig %s: ", f->path);
	va_list ap;

	if (n < 0 || (size_t)n >= f->size)
		return r;
	va_start(ap, format);
	vsnprintf(f->error + n, f->size - (size_t)n, format, ap);
	va_end(ap);
	return r;
}

/* Looking things up: only nodes on named paths are touched, so a document that refers to itself does no harm. */

static yaml_node_t *node(struct file *f, int index)
{
	return yaml_document_get_node(&f->doc, index);
}

static struct slice scalar(const yaml_node_t *n)
{
	return n && n->type == YAML_SCALAR_NODE ? slice_of((const char *)n->data.scalar.value, n->data.scalar.length) :
						  SLICE_NONE;
}

static yaml_node_t *member(struct file *f, const yaml_node_t *map, const char *key)
{
	if (!map || map->type != YAML_MAPPING_NODE)
		return NULL;
	for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++)
		if (slice_eq(scalar(node(f, p->key)), slice_str(key)))
			return node(f, p->value);
	return NULL;
}

/* Of a list of { name: NAME, KIND: … }: the KIND of the one with this name. */
static yaml_node_t *named(struct file *f, const char *list, const char *kind, struct slice name)
{
	const yaml_node_t *l = member(f, yaml_document_get_root_node(&f->doc), list);

	if (!l || l->type != YAML_SEQUENCE_NODE || !name.n)
		return NULL;
	for (const yaml_node_item_t *i = l->data.sequence.items.start; i < l->data.sequence.items.top; i++)
		if (slice_eq(scalar(member(f, node(f, *i), "name")), name))
			return member(f, node(f, *i), kind);
	return NULL;
}

/* Taking values */

static int take_text(struct file *f, const yaml_node_t *map, const char *key, char **to)
{
	struct slice s = scalar(member(f, map, key));

	if (!s.n)
		return 0;
	if (memchr(s.p, '\0', s.n))
		return refuse(f, -EINVAL, "%s: expected text without NUL", key);
	*to = strndup(s.p, s.n);
	return *to ? 0 : -ENOMEM;
}

static int take_path(struct file *f, const yaml_node_t *map, const char *key, char **to)
{
	const char *slash = strrchr(f->path, '/');
	_free_ char *name = NULL;
	int r = take_text(f, map, key, &name);

	if (r || !name)
		return r;
	if (*name == '/' || !slash)
		*to = TAKE_PTR(name);
	else if (asprintf(to, "%.*s/%s", (int)(slash - f->path), f->path, name) < 0)
		*to = NULL;
	return *to ? 0 : -ENOMEM;
}

/* False on anything but Base64 (line ends between, padding at the end). */
static bool decode(struct slice s, char *to, size_t *n)
{
	uint32_t bits = 0, have = 0;
	bool padded = false;

	*n = 0;
	for (size_t i = 0; i < s.n; i++) {
		int v = base64_value(s.p[i]);

		if (s.p[i] == '\n' || s.p[i] == '\r' || s.p[i] == ' ')
			continue;
		padded |= s.p[i] == '=';
		if (padded && s.p[i] == '=')
			continue;
		if (v < 0 || padded)
			return false;
		bits = bits << 6 | (uint32_t)v;
		have += 6;
		if (have >= 8)
			to[(*n)++] = (char)(bits >> (have -= 8));
	}
	return *n > 0;
}

static int take_data(struct file *f, const yaml_node_t *map, const char *key, char **to)
{
	struct slice s = scalar(member(f, map, key));
	_free_ char *data = s.n ? malloc(s.n + 1) : NULL;
	size_t n;

	if (!s.n)
		return 0;
	if (!data)
		return -ENOMEM;
	if (!decode(s, data, &n) || memchr(data, '\0', n))
		return refuse(f, -EINVAL, "%s: expected PEM in Base64", key);
	data[n] = '\0';
	*to = TAKE_PTR(data);
	return 0;
}

/* The parts of a context */

static int take_cluster(struct file *f, const yaml_node_t *map, struct kubeconfig *out)
{
	int r = take_text(f, map, "server", &out->server);

	out->insecure = slice_eq(scalar(member(f, map, "insecure-skip-tls-verify")), SLICE("true"));
	if (!r)
		r = take_text(f, map, "proxy-url", &out->proxy);
	if (!r)
		r = take_text(f, map, "tls-server-name", &out->server_name);
	if (!r)
		r = take_path(f, map, "certificate-authority", &out->ca_file);
	if (!r)
		r = take_data(f, map, "certificate-authority-data", &out->ca_data);
	if (!r && !out->server)
		r = refuse(f, -EINVAL, "the cluster of context \"%s\" has no server", out->context);
	if (!r && out->server_name)
		r = refuse(f, -EINVAL, "tls-server-name is not supported: expected a server by the name in its certificate");
	return r;
}

/* A user is not told what a user of the API server may not have: a program of its own to get credentials by. */
static int check_user(struct file *f, const yaml_node_t *map)
{
	static const char *const unknown[] = { "exec", "auth-provider", "username", "password" };

	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
		if (member(f, map, unknown[i]))
			return refuse(f, -EINVAL, "%s is not supported: expected token, tokenFile or client-certificate",
				      unknown[i]);
	return 0;
}

static int take_user(struct file *f, const yaml_node_t *map, struct kubeconfig *out)
{
	int r = check_user(f, map);

	if (!r)
		r = take_text(f, map, "token", &out->token);
	if (!r)
		r = take_path(f, map, "tokenFile", &out->token_file);
	if (!r)
		r = take_path(f, map, "client-certificate", &out->cert_file);
	if (!r)
		r = take_path(f, map, "client-key", &out->key_file);
	if (!r)
		r = take_data(f, map, "client-certificate-data", &out->cert_data);
	if (!r)
		r = take_data(f, map, "client-key-data", &out->key_data);
	if (!r && !(out->cert_file || out->cert_data) != !(out->key_file || out->key_data))
		r = refuse(f, -EINVAL, "expected client-certificate and client-key together");
	return r;
}

static int take_context(struct file *f, struct kubeconfig *out)
{
	yaml_node_t *root = yaml_document_get_root_node(&f->doc), *context, *cluster, *user;
	int r = take_text(f, root, "current-context", &out->context);

	if (r)
		return r;
	if (!out->context)
		return refuse(f, -EINVAL, "no current-context");
	context = named(f, "contexts", "context", slice_str(out->context));
	if (!context)
		return refuse(f, -EINVAL, "no context \"%s\"", out->context);
	cluster = named(f, "clusters", "cluster", scalar(member(f, context, "cluster")));
	if (!cluster)
		return refuse(f, -EINVAL, "no cluster of context \"%s\"", out->context);
	user = named(f, "users", "user", scalar(member(f, context, "user")));
	r = take_cluster(f, cluster, out);
	return r || !user ? r : take_user(f, user, out);
}

static int load(struct file *f, struct slice text)
{
	yaml_parser_t parser;
	int r = 0;

	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text.p, text.n);
	if (!yaml_parser_load(&parser, &f->doc))
		r = refuse(f, -EINVAL, "not YAML: line %zu: %s", parser.problem_mark.line + 1,
			   parser.problem ? parser.problem : "out of memory");
	yaml_parser_delete(&parser);
	return r;
}

int kubeconfig_parse(struct kubeconfig *out, struct slice text, const char *path, char *error, size_t size)
{
	struct file f = { .path = path, .error = error, .size = size };
	int r;

	*out = (struct kubeconfig){ 0 };
	snprintf(error, size, "out of memory");
	if (text.n > KUBECONFIG_MAX)
		return refuse(&f, -E2BIG, "expected at most %d bytes", KUBECONFIG_MAX);
	r = load(&f, text);
	if (r)
		return r;
	r = take_context(&f, out);
	yaml_document_delete(&f.doc);
	return r;
}

int kubeconfig_read(struct kubeconfig *out, const char *path, char *error, size_t size)
{
	struct buf b;
	bool cut;
	int r;

	*out = (struct kubeconfig){ 0 };
	buf_init(&b, KUBECONFIG_MAX + 1);
	r = read_file(AT_FDCWD, path, &b, &cut);
	if (r)
		snprintf(error, size, "--kubeconfig: cannot read %s: %s", path, strerror(-r));
	else
		r = kubeconfig_parse(out, buf_slice(&b), path, error, size);
	if (b.p)
		explicit_bzero(b.p, b.cap);
	buf_fini(&b);
	return r;
}

void kubeconfig_fini(struct kubeconfig *c)
{
	char **all[] = { &c->context, &c->server, &c->proxy, &c->server_name, &c->ca_file, &c->cert_file,
			 &c->key_file, &c->token_file, &c->ca_data, &c->cert_data, &c->key_data, &c->token };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		free_secret(all[i]);
	c->insecure = false;
}
