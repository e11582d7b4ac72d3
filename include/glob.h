/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * One matcher of patterns for the kernel side and user space: `*` is any run of bytes ('/' too), `?` any one byte, all else
 * itself. A step is constant work, so that BPF can run it in a loop that the verifier does not follow; it goes back to the last star only, which
 * is enough for patterns of this kind. At most (pattern + 1) × (string + 1) steps.
 */
#ifndef SPANDREL_GLOB_H
#define SPANDREL_GLOB_H

#ifndef __bpf__
#include <linux/types.h>
#endif

struct glob {
	__u32 p, s;	     /* where we are in pattern and string */
	__u32 star, from;    /* behind the last star (0: none), and what it has been tried to end at */
};

enum glob_result { GLOB_NO = 0, GLOB_YES = 1, GLOB_MORE = 2 };

/* pc and sc are the bytes at g->p and g->s; any value where those are at the end. */
static inline __attribute__((always_inline)) enum glob_result glob_step(struct glob *g, __u8 pc, __u32 plen, __u8 sc, __u32 slen)
{
	if (g->p < plen && pc == '*') {
		g->star = ++g->p;
		g->from = g->s;
		return GLOB_MORE;
	}
	if (g->s >= slen && g->p >= plen)
		return GLOB_YES;
	if (g->s < slen && g->p < plen && (pc == '?' || pc == sc)) {
		g->p++;
		g->s++;
		return GLOB_MORE;
	}
	if (!g->star || g->from >= slen)
		return GLOB_NO;
	g->p = g->star;
	g->s = ++g->from;
	return GLOB_MORE;
}

#ifndef __bpf__
static inline int glob_match(const char *pat, __u32 plen, const char *str, __u32 slen)
{
	struct glob g = { 0 };
	enum glob_result r;

	do
		r = glob_step(&g, g.p < plen ? (__u8)pat[g.p] : 0, plen, g.s < slen ? (__u8)str[g.s] : 0, slen);
	while (r == GLOB_MORE);
	return r == GLOB_YES;
}
#endif

#endif
