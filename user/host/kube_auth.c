// SPDX-License-Identifier: Apache-2.0
#include "host/kube_auth.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/scope.h"
#include "host/kubeconfig.h"
#include "host/proc.h"

#define URL_MAX 2048

/* What one reading gave: owned texts, NULL where there is none. */
struct login {
	char *base, *proxy;
	char *ca, *cert, *key; /* PEM */
	char *token;
	bool insecure;
	char server[300];
};

struct kube_auth {
	struct kube_auth_config c;
	struct login login;
};

static void login_fini(struct login *l)
{
	free_secret(&l->base);
	free_secret(&l->proxy);
	free_secret(&l->ca);
	free_secret(&l->cert);
	free_secret(&l->key);
	free_secret(&l->token);
}

/* Files */

static int read_text(const char *path, size_t max, char **out, char *error, size_t size)
{
	_cleanup_(buf_fini) struct buf b;
	bool cut = false;
	int r;

	buf_init(&b, max + 1);
	r = read_file(AT_FDCWD, path, &b, &cut);
	if (!r && b.n > max)
		r = -E2BIG;
	if (!r && (!b.n || memchr(b.p, '\0', b.n)))
		r = -EINVAL;
	if (!r) {
		*out = strndup(b.p, b.n);
		r = *out ? 0 : -ENOMEM;
	}
	if (b.p)
		explicit_bzero(b.p, b.cap);
	if (r)
		snprintf(error, size, "cannot read %s: %s", path, strerror(-r));
	return r;
}

/* It goes into a header: nothing may end that early. */
static int check_token(char *token, char *error, size_t size)
{
	size_t n = strlen(token);

	while (n && (token[n - 1] == '\n' || token[n - 1] == '\r' || token[n - 1] == ' '))
		token[--n] = '\0';
	for (size_t i = 0; i < n; i++) {
		if (token[i] <= ' ' || token[i] == 0x7f) {
			snprintf(error, size, "the API server's token: expected one line of printable characters");
			return -EINVAL;
		}
	}
	if (!n)
		snprintf(error, size, "the API server's token is empty");
	return n ? 0 : -EINVAL;
}

/* The server */

static void free_url(CURLU **u)
{
	curl_url_cleanup(*u);
}

static void free_curl(char **p)
{
	curl_free(*p);
}

/* What cannot be taken apart may hold a password: it is not shown. */
static int check_base(struct login *l, char *error, size_t size)
{
	_cleanup_(free_url) CURLU *u = curl_url();
	_cleanup_(free_curl) char *scheme = NULL, *host = NULL, *port = NULL;
	size_t n = strlen(l->base);

	while (n && l->base[n - 1] == '/')
		l->base[--n] = '\0';
	if (!u)
		return -ENOMEM;
	if (n > URL_MAX || strpbrk(l->base, "?#") || curl_url_set(u, CURLUPART_URL, l->base, 0) ||
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) || curl_url_get(u, CURLUPART_HOST, &host, 0) ||
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) || (strcmp(scheme, "http") && strcmp(scheme, "https"))) {
		snprintf(error, size, "the API server's address: expected an http:// or https:// URL");
		return -EINVAL;
	}
	snprintf(l->server, sizeof(l->server), "%s://%s:%s", scheme, host, port);
	if (strcmp(scheme, "http"))
		return 0;
	free_secret(&l->token);
	free_secret(&l->cert);
	free_secret(&l->key);
	return 0;
}

static char *base_from_env(void)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
	bool v6 = host && strchr(host, ':');
	char *url;

	if (!host || !*host)
		return NULL;
	if (asprintf(&url, "https://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port && *port ? port : "443") < 0)
		return NULL;
	return url;
}

/* The service account */

static const char *account_file(const struct kube_auth_config *c, const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s", c->account ? c->account : KUBE_ACCOUNT, name);
	return path;
}

bool kube_auth_in_cluster(const struct kube_auth_config *c)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	char path[PATH_MAX];

	return host && *host && !faccessat(AT_FDCWD, account_file(c, "token", path), F_OK, AT_EACCESS);
}

/* With --kube-api a server may want neither. */
static int read_account(const struct kube_auth_config *c, struct login *l, char *error, size_t size)
{
	char path[PATH_MAX];
	int r = 0;

	l->base = c->api ? strdup(c->api) : base_from_env();
	if (!l->base) {
		snprintf(error, size, "no API server: expected --kube-api, --kubeconfig or KUBERNETES_SERVICE_HOST");
		return -ENOENT;
	}
	if (!c->api || !faccessat(AT_FDCWD, account_file(c, "token", path), F_OK, AT_EACCESS))
		r = read_text(account_file(c, "token", path), KUBE_TOKEN_MAX, &l->token, error, size);
	if (!r && (!c->api || !faccessat(AT_FDCWD, account_file(c, "ca.crt", path), F_OK, AT_EACCESS)))
		r = read_text(account_file(c, "ca.crt", path), KUBE_PEM_MAX, &l->ca, error, size);
	return r;
}

/* kubeconfig */

static int pem(char **data, const char *file, char **out, char *error, size_t size)
{
	if (*data) {
		*out = TAKE_PTR(*data);
		return 0;
	}
	return file ? read_text(file, KUBE_PEM_MAX, out, error, size) : 0;
}

static int read_kubeconfig(const struct kube_auth_config *c, struct login *l, char *error, size_t size)
{
	_cleanup_(kubeconfig_fini) struct kubeconfig k;
	int r = kubeconfig_read(&k, c->kubeconfig, error, size);

	if (r)
		return r;
	l->base = c->api ? strdup(c->api) : TAKE_PTR(k.server);
	l->proxy = TAKE_PTR(k.proxy);
	l->insecure = k.insecure;
	r = l->base ? pem(&k.ca_data, k.ca_file, &l->ca, error, size) : -ENOMEM;
	if (!r)
		r = pem(&k.cert_data, k.cert_file, &l->cert, error, size);
	if (!r)
		r = pem(&k.key_data, k.key_file, &l->key, error, size);
	if (!r && k.token_file) /* wins, as everywhere */
		return read_text(k.token_file, KUBE_TOKEN_MAX, &l->token, error, size);
	l->token = r ? NULL : TAKE_PTR(k.token);
	return r;
}

int kube_auth_refresh(struct kube_auth *a, char *error, size_t size)
{
	_cleanup_(login_fini) struct login fresh = { 0 };
	int r;

	snprintf(error, size, "out of memory");
	r = a->c.kubeconfig ? read_kubeconfig(&a->c, &fresh, error, size) : read_account(&a->c, &fresh, error, size);
	if (!r && fresh.token)
		r = check_token(fresh.token, error, size);
	if (!r)
		r = check_base(&fresh, error, size);
	if (r)
		return r;
	login_fini(&a->login);
	a->login = fresh;
	fresh = (struct login){ 0 };
	return 0;
}

int kube_auth_new(struct kube_auth **out, const struct kube_auth_config *c, char *error, size_t size)
{
	struct kube_auth *a = calloc(1, sizeof(*a));
	int r;

	snprintf(error, size, "out of memory");
	if (!a)
		return -ENOMEM;
	a->c = *c;
	r = kube_auth_refresh(a, error, size);
	if (r)
		kube_auth_free(a);
	else
		*out = a;
	return r;
}

void kube_auth_free(struct kube_auth *a)
{
	if (!a)
		return;
	login_fini(&a->login);
	free(a);
}

static CURLcode set_blob(CURL *easy, CURLoption option, const char *text)
{
	struct curl_blob blob = { (void *)text, text ? strlen(text) : 0, CURL_BLOB_COPY };

	return curl_easy_setopt(easy, option, text ? &blob : NULL);
}

/* The cluster's own authority vouches for its server, and none of those that this host trusts besides. */
static CURLcode set_authority(CURL *easy, const char *ca)
{
	CURLcode r = set_blob(easy, CURLOPT_CAINFO_BLOB, ca);

	return r ? r : curl_easy_setopt(easy, CURLOPT_CAPATH, ca ? NULL : curl_version_info(CURLVERSION_NOW)->capath);
}

CURLcode kube_auth_apply(const struct kube_auth *a, CURL *easy)
{
	const struct login *l = &a->login;
	CURLcode r = set_authority(easy, l->ca);

	if (!r)
		r = set_blob(easy, CURLOPT_SSLCERT_BLOB, l->cert);
	if (!r)
		r = set_blob(easy, CURLOPT_SSLKEY_BLOB, l->key);
	if (!r)
		r = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, l->insecure ? 0L : 1L);
	if (!r)
		r = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, l->insecure ? 0L : 2L);
	if (!r)
		r = curl_easy_setopt(easy, CURLOPT_PROXY, l->proxy);
	if (!r)
		r = curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)(l->token ? CURLAUTH_BEARER : CURLAUTH_BASIC));
	return r ? r : curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, l->token);
}

const char *kube_auth_base(const struct kube_auth *a)
{
	return a->login.base;
}

const char *kube_auth_server(const struct kube_auth *a)
{
	return a->login.server;
}
