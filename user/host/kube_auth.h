/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the API server is and how we and it know each other (specs.md §11.2): a kubeconfig, else the service account that
 * the kubelet mounts (token, ca.crt; the address from KUBERNETES_SERVICE_HOST and _PORT). --kube-api replaces the address
 * alone. Everything is read anew before each request, so that tokens, authorities and certificates may be exchanged at any
 * time; what cannot be read leaves what was read before. Over plain http no credentials are sent.
 */
#ifndef SPANDREL_HOST_KUBE_AUTH_H
#define SPANDREL_HOST_KUBE_AUTH_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

#define KUBE_ACCOUNT   "/var/run/secrets/kubernetes.io/serviceaccount"
#define KUBE_TOKEN_MAX (64 * 1024)
#define KUBE_PEM_MAX   (1024 * 1024)

struct kube_auth_config {
	const char *api, *kubeconfig; /* or NULL */
	const char *account;	      /* directory; NULL: KUBE_ACCOUNT */
};

struct kube_auth;

/* Is there a service account to go by? */
bool kube_auth_in_cluster(const struct kube_auth_config *c);

/* Reads all once. 0, or -errno with one line in `error`. The config's texts are borrowed. */
int kube_auth_new(struct kube_auth **out, const struct kube_auth_config *c, char *error, size_t size);
void kube_auth_free(struct kube_auth *a); /* NULL is fine; what was secret is overwritten */
/* Reads all again. 0, or -errno with one line in `error`; then what was read before is in force. */
int kube_auth_refresh(struct kube_auth *a, char *error, size_t size);
/* Of the next request of this handle. */
CURLcode kube_auth_apply(const struct kube_auth *a, CURL *easy);
const char *kube_auth_base(const struct kube_auth *a);	 /* URL without a slash at its end */
const char *kube_auth_server(const struct kube_auth *a); /* for people: scheme, host, port */

#endif
