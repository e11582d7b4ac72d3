// SPDX-License-Identifier: Apache-2.0
#include "probe/tls_look.h"

#include <errno.h>
#include <stdlib.h>

#include "base/scope.h"
#include "probe/tls_sites.h"

#define QUICK (4u << 20) /* bytes of symbols and their names that are read at once */

/* The first are proof, the others tell whose it is: file names that libraries keep for their error messages, names of their own. */
static const char *const words[] = {
	"c ap traffic", "extended master secret",
	"ssl/ssl_lib.c", "/rustls-", "GNUTLS_", "mbedtls", "wolfSSL", "s2n_", "NSS_",
	"a program that looks for such words", /* has all of them in it */
};
static const char *const owners[] = {
	NULL, NULL, "openssl", "rustls", "gnutls", "mbedtls", "wolfssl", "s2n", "nss", NULL,
};

#define PROOF 3u
#define OURS (1u << (ARRAY_SIZE(words) - 1))

int tls_look_new(struct tls_look **out, struct tls_opened *file)
{
	_cleanup_(tls_look_free) struct tls_look *l = calloc(1, sizeof(*l));
	int err;

	if (!l) {
		close_fd(&file->fd);
		return -ENOMEM;
	}
	l->file = *file;
	list_init(&l->link);
	err = elf_scan_new(&l->scan, l->file.fd, &tls_names);
	if (err)
		return err;
	l->phase = go_scan_new(&l->go, l->file.fd) ? LOOK_DYNAMIC : LOOK_GO;
	*out = TAKE_PTR(l);
	return 0;
}

void tls_look_free(struct tls_look **l)
{
	if (!*l)
		return;
	elf_scan_free(&(*l)->scan);
	go_scan_free(&(*l)->go);
	close_fd(&(*l)->file.fd);
	free(*l);
	*l = NULL;
}

static bool found_some(const struct tls_look *l)
{
	size_t n;
	const struct elf_function *f = elf_found(l->scan, &n);

	for (size_t i = 0; i < n; i++)
		if (tls_row_counts(&tls_rows[f[i].name]))
			return true;
	return false;
}

static enum look_result table_step(struct tls_look *l)
{
	enum elf_part part = l->phase == LOOK_DYNAMIC ? ELF_DYNAMIC : ELF_STATIC;

	if (elf_table_step(l->scan, part) > 0) /* a table that lies is none */
		return l->static_later ? LOOK_LATER : LOOK_MORE;
	if (found_some(l))
		return LOOK_TLS;
	l->phase++;
	l->static_later = l->phase == LOOK_STATIC && elf_table_size(l->scan, ELF_STATIC) > QUICK;
	if (l->phase == LOOK_WORDS && elf_imports(l->scan))
		return LOOK_PLAIN;
	return l->phase == LOOK_WORDS || l->static_later ? LOOK_LATER : LOOK_MORE;
}

/* The table is read as long as one of symbols would be; what it leaves open, others may answer. */
static enum look_result go_step(struct tls_look *l)
{
	int more = go_scan_step(l->go);

	if (more > 0)
		return LOOK_MORE;
	if (!more)
		l->n_go = go_sites(l->go, l->go_sites);
	go_scan_free(&l->go);
	if (l->n_go > 0)
		return LOOK_TLS;
	if (l->n_go == -ENOTSUP)
		return LOOK_UNREADABLE;
	l->phase = LOOK_DYNAMIC;
	return LOOK_MORE;
}

enum look_result tls_look_step(struct tls_look *l)
{
	if (l->phase == LOOK_GO)
		return go_step(l);
	if (l->phase != LOOK_WORDS)
		return table_step(l);
	if (elf_words_step(l->scan, words, ARRAY_SIZE(words), &l->words) > 0)
		return LOOK_LATER;
	return l->words & PROOF && !(l->words & OURS) ? LOOK_UNREADABLE : LOOK_PLAIN;
}

const char *tls_look_guess(const struct tls_look *l)
{
	if (l->n_go)
		return tls_library_name(TLS_GO);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (owners[i] && (l->words & 1u << i))
			return owners[i];
	return "unknown";
}
