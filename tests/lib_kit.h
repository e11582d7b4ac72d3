/* SPDX-License-Identifier: Apache-2.0 */
/* This machine's libraries: their functions as the files have them, and a TLS session of OpenSSL's in memory. x86-64. */
#ifndef SPANDREL_LIB_KIT_H
#define SPANDREL_LIB_KIT_H

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/scope.h"
#include "probe/place.h"

/* ---- the functions, as their files have them: in memory a tracer's breakpoints may stand ---- */

struct lib {
	void *handle;
	const char *strings;
	const ElfW(Sym) *symbols;
	size_t n;
	char *base; /* in memory */
	int fd;
};

static inline bool lib_open(struct lib *l, const char *name)
{
	struct link_map *m = NULL;

	*l = (struct lib){ .handle = dlopen(name, RTLD_NOW), .fd = -1 };
	if (!l->handle || dlinfo(l->handle, RTLD_DI_LINKMAP, &m))
		return false;
	l->base = (char *)m->l_addr;
	l->fd = open(m->l_name, O_RDONLY | O_CLOEXEC);
	for (const ElfW(Dyn) *d = m->l_ld; d->d_tag; d++) {
		if (d->d_tag == DT_SYMTAB)
			l->symbols = (const void *)d->d_un.d_ptr;
		if (d->d_tag == DT_STRTAB)
			l->strings = (const void *)d->d_un.d_ptr;
	}
	if (!l->symbols || !l->strings || l->fd < 0)
		return false;
	l->n = (size_t)(l->strings - (const char *)l->symbols) / sizeof(*l->symbols);
	return true;
}

static inline bool lib_place(const struct lib *l, const ElfW(Sym) *s, unsigned args, struct place *out)
{
	static char code[PLACE_CODE_MAX];
	const ElfW(Ehdr) *h = (const void *)l->base;
	const ElfW(Phdr) *p = (const void *)(l->base + h->e_phoff);

	if (ELF64_ST_TYPE(s->st_info) != STT_FUNC || !s->st_shndx || !s->st_size || s->st_size > sizeof(code))
		return false;
	for (int i = 0; i < h->e_phnum; i++, p++) {
		if (p->p_type != PT_LOAD || s->st_value < p->p_vaddr || s->st_value - p->p_vaddr >= p->p_filesz)
			continue;
		return pread(l->fd, code, s->st_size, (off_t)(s->st_value - p->p_vaddr + p->p_offset)) == (ssize_t)s->st_size &&
		       !place_function(slice_of(code, s->st_size), (uintptr_t)l->base + s->st_value, PLACE_X86_64, args, out);
	}
	return false;
}

/* The symbol of a function, NULL: there is none. */
static inline const ElfW(Sym) *lib_symbol(const struct lib *l, const char *name)
{
	void *f = dlsym(l->handle, name);
	const ElfW(Sym) *s = NULL;
	Dl_info info;

	return f && dladdr1(f, &info, (void **)&s, RTLD_DL_SYMENT) ? s : NULL;
}

/* ---- a session of OpenSSL's, both ends in this process ---- */

#define LIB_CALL(lib, ret, name, types, ...) (((ret(*) types)dlsym((lib)->handle, #name))(__VA_ARGS__))

static inline void *ssl_side(const struct lib *ssl, void *ctx, void *bio, bool server)
{
	void *s = LIB_CALL(ssl, void *, SSL_new, (void *), ctx);

	LIB_CALL(ssl, void, SSL_set_bio, (void *, void *, void *), s, bio, bio);
	if (server)
		LIB_CALL(ssl, void, SSL_set_accept_state, (void *), s);
	else
		LIB_CALL(ssl, void, SSL_set_connect_state, (void *), s);
	return s;
}

/* Without a certificate: an anonymous suite of TLS 1.2. */
static inline bool ssl_pair(const struct lib *ssl, const struct lib *crypto, void **a, void **b)
{
	void *ctx = LIB_CALL(ssl, void *, SSL_CTX_new, (void *), LIB_CALL(ssl, void *, TLS_method, (void)));
	void *ends[2] = { NULL };

	if (!ctx || !LIB_CALL(ssl, int, SSL_CTX_set_cipher_list, (void *, const char *), ctx, "ADH:AECDH:@SECLEVEL=0"))
		return false;
	LIB_CALL(ssl, long, SSL_CTX_ctrl, (void *, int, long, void *), ctx, 124, 0x303, NULL); /* at most this version */
	LIB_CALL(crypto, int, BIO_new_bio_pair, (void **, size_t, void **, size_t), &ends[0], 65536, &ends[1], 65536);
	*a = ssl_side(ssl, ctx, ends[0], false);
	*b = ssl_side(ssl, ctx, ends[1], true);
	for (int i = 0; i < 20; i++) {
		int x = LIB_CALL(ssl, int, SSL_do_handshake, (void *), *a), y = LIB_CALL(ssl, int, SSL_do_handshake, (void *), *b);

		if (x == 1 && y == 1)
			return true;
	}
	return false;
}

#endif
