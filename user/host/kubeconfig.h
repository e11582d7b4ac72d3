/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a kubeconfig file says about its current context: the server, how to know it, who we are. Bounded and hostile: at
 * most KUBECONFIG_MAX bytes, what aliases repeat is read once. Programs that hand out credentials (exec, auth-provider) are
 * never run: they are an error. Certificates and keys stay in memory.
 */
#ifndef SPANDREL_HOST_KUBECONFIG_H
#define SPANDREL_HOST_KUBECONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

#define KUBECONFIG_MAX (1024 * 1024)

/* Owned texts, NULL where nothing is said. *_data: decoded; *_file: relative ones are made absolute by the file's folder. */
struct kubeconfig {
	char *context, *server, *proxy, *server_name;
	char *ca_file, *cert_file, *key_file, *token_file;
	char *ca_data, *cert_data, *key_data, *token;
	bool insecure; /* insecure-skip-tls-verify */
};

/* text: of the file, path: where it is. 0, or -errno with one line in `error`; *out is to be given to fini either way. */
int kubeconfig_parse(struct kubeconfig *out, struct slice text, const char *path, char *error, size_t size);
int kubeconfig_read(struct kubeconfig *out, const char *path, char *error, size_t size);
void kubeconfig_fini(struct kubeconfig *c);

#endif
