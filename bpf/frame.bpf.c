// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "call.h"
#include "iter.h"
#include "frame.h"

/* ---- a header ---- */

inline_always __u64 frame_length(const struct framing *g, const struct frame_dir *d)
{
	__u32 v = 0;

	NO_UNROLL
	for (__u32 i = 0; i < 4; i++) {
		__u32 byte = d->header[MASK(g->len_at + i, FRAME_HEADER_MAX - 1)];

		if (i < g->len_size)
			v = g->little ? v | byte << 8 * i : v << 8 | byte;
	}
	return (__u64)v + (__s64)g->adjust;
}

/* The header is whole: where does its frame end, and from where on does nobody want it? False: it cannot be one. */
inline_always bool frame_begin(struct frames *f, const struct framing *g)
{
	struct frame_dir *d = &f->dir;
	__u64 length = frame_length(g, d);
	__u8 type = d->header[MASK(g->type_at, FRAME_HEADER_MAX - 1)];

	if (length > g->max)
		return false;
	d->have = 0;
	d->next = f->off + length;
	d->pass = d->next;
	if ((g->pass[MASK(type >> 6, 3)] >> (type & 63) & 1) && length >= (__u64)g->keep + g->worth)
		d->pass = f->off + g->keep;
	return true;
}

/* ---- on through the bytes ---- */

inline_always void frames_advance(struct frames *f, __u64 n)
{
	f->off += n;
	if (n <= f->left) {
		f->base += n;
		f->left -= n;
	} else {
		f->behind += n - f->left;
		f->left = 0;
	}
}

inline_always bool next_element(struct scratch *s)
{
	struct frames *f = &s->frames;
	struct op *op = &s->op;
	struct iovec e;

	if (op->where < AT_VECTOR || f->element >= op->count)
		return false;
	if (f->element - s->iov_at >= IOV_FEW && !iov_read(s, op->addr, op->count, f->element))
		return false;
	e = s->iov[MASK(f->element - s->iov_at, IOV_FEW - 1)];
	if (op->where == AT_BVEC && page_element(&e))
		return false;
	f->element++;
	if (e.iov_len <= f->behind) {
		f->behind -= e.iov_len;
		return true;
	}
	f->base = (__u64)e.iov_base + f->behind;
	f->left = e.iov_len - f->behind;
	f->behind = 0;
	return true;
}

inline_always long read_bytes(const struct scratch *s, void *to, __u64 n)
{
	if (s->op.where >= AT_KVEC)
		return bpf_probe_read_kernel(to, n, (void *)s->frames.base);
	return bpf_probe_read_user(to, n, (void *)s->frames.base);
}

inline_always bool read_header(struct scratch *s, const struct framing *g)
{
	struct frames *f = &s->frames;
	struct frame_dir *d = &f->dir;
	__u64 n = g->header - d->have, at = MASK(d->have, FRAME_HEADER_MAX - 1);

	if (n > f->left)
		n = f->left;
	if (n > f->end - f->off)
		n = f->end - f->off;
	n = BOUND(n, FRAME_HEADER_MAX);
	if (read_bytes(s, d->header + at, n))
		return false;
	d->have += n;
	frames_advance(f, n);
	d->next = f->off;
	return d->have < g->header || frame_begin(f, g);
}

inline_always void pass_payload(struct frames *f)
{
	struct frame_dir *d = &f->dir;
	__u64 to = d->next < f->end ? d->next : f->end, from = d->pass > f->off ? d->pass : f->off;
	__u32 n = f->n;

	if (to > from && n < FRAME_SKIPS) {
		f->skip[MASK(n, FRAME_SKIPS - 1)].from = from;
		f->skip[MASK(n, FRAME_SKIPS - 1)].to = to;
		f->n = n + 1;
	}
	frames_advance(f, to - f->off);
}

/* One header, one payload or one element at a time: not 0 at the end. */
checked_alone int frame_step(__u32 slot)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &slot);
	struct frame_dir *d;
	struct frames *f;

	if (!s)
		return 1;
	f = &s->frames;
	d = &f->dir;
	if (f->off >= f->end || !d->framing)
		return 1;
	if (f->off < d->next) {
		pass_payload(f);
		return 0;
	}
	if (f->left ? read_header(s, &framings[MASK(d->framing - 1, FRAMINGS_MAX - 1)]) : next_element(s))
		return 0;
	d->framing = 0;
	return 1;
}
LOOP(frame, 33, 32)

/* ---- where a direction was not followed yet ---- */

inline_always bool magic_at(const struct framing *g, const __u64 *words)
{
	__u64 differ = 0;

	for (__u32 i = 0; i < FRAME_MAGIC_WORDS; i++)
		differ |= (words[i] ^ g->magic.words[i]) & g->mask.words[i];
	return !differ;
}

#define FIRST_MAX 1024 /* bytes in a first frame: other streams that begin so by chance are few */

/* Do the first bytes, in dir.header, look like the beginning of a framing? Its index + 1, or 0; frames begin at dir.next. */
inline_always __u32 frame_guess(struct frames *f)
{
	struct frame_dir *d = &f->dir;

	NO_UNROLL
	for (__u32 i = 0; i < FRAMINGS_MAX; i++) {
		const struct framing *g = &framings[i];

		if (!g->magic_len)
			continue;
		d->next = f->off + g->magic_len;
		if (f->end >= d->next && magic_at(g, d->words)) {
			f->magic = 1;
			return i + 1;
		}
		d->next = f->off;
		if (f->end >= d->next + g->header && d->header[MASK(g->type_at, FRAME_HEADER_MAX - 1)] == g->first && frame_length(g, d) <= FIRST_MAX)
			return i + 1;
	}
	return 0;
}

inline_always void frames_begin(struct scratch *s)
{
	struct frames *f = &s->frames;
	__u64 n;

	__builtin_memset(f->dir.header, 0, sizeof(f->dir.header));
	if (!f->left && !next_element(s)) /* of a vector what stands in its first element is enough */
		return;
	n = BOUND(f->left < s->op.size ? f->left : s->op.size, sizeof(f->dir.header));
	if (read_bytes(s, f->dir.header, n))
		return;
	f->dir.framing = frame_guess(f);
	f->dir.pass = f->dir.next;
}

/* User space knows better which frames' payload is wanted. */
inline_always void frames_renamed(struct frames *f)
{
	const struct framing *have = &framings[MASK(f->dir.framing - 1, FRAMINGS_MAX - 1)];
	const struct framing *want = &framings[MASK(f->join - 1, FRAMINGS_MAX - 1)];

	f->dir.framing = have->protocol == want->protocol ? f->join : 0;
}

/* User space has found a frame: of use while nothing has passed behind its beginning. */
inline_always void frames_join(struct frames *f)
{
	if (!f->join_at || f->join_at < f->off)
		return;
	f->dir.framing = f->join;
	f->dir.next = f->dir.pass = f->join_at;
	f->dir.have = 0;
}

/* Bytes have passed since that nobody showed us, and a header may have been among them. */
inline_always bool frames_missed(const struct frames *f)
{
	return f->dir.have ? f->off != f->dir.next : f->off > f->dir.next;
}

checked_alone int frame_walk(__u32 slot)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &slot);
	struct frames *f;

	if (!s)
		return 0;
	f = &s->frames;
	f->end = f->off + s->op.size;
	f->base = s->op.addr;
	f->left = s->op.where == AT_BUFFER ? s->op.size : 0;
	f->behind = s->op.where == AT_BUFFER ? 0 : s->op.at;
	f->element = f->n = f->magic = 0;
	if (f->dir.framing && frames_missed(f))
		f->dir.framing = 0;
	if (f->dir.framing && f->join && f->join != f->dir.framing)
		frames_renamed(f);
	if (!f->dir.framing && f->join)
		frames_join(f);
	else if (!f->dir.framing && !f->off)
		frames_begin(s);
	if (!f->dir.framing)
		return 0;
	frame_loop(slot);
	if (f->off < f->end) /* more frames than are followed in one operation */
		f->dir.framing = 0;
	return 0;
}
