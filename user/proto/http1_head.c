// SPDX-License-Identifier: Apache-2.0
/*
 * Start line and field lines (RFC 9112 §2–5). Strict about what a character may be, lenient where peers are:
 * a bare LF ends a line, a folded value goes on.
 */
#include <errno.h>

#include "base/bytes.h"
#include "base/scope.h"
#include "proto/http1.h"

static inline bytes controls(bytes b)
{
	return ((b >= 0) & (b < 0x20) & (b != '\t')) | (b == 0x7f);
}

/* First control character but TAB, or DEL; `end` if there is none. Every line ends at one. */
static const char *find_control(const char *p, const char *end)
{
	for (; end - p >= (ptrdiff_t)BYTES; p += BYTES) {
		bytes hit = controls(bytes_load(p));

		if (bytes_any(hit))
			return p + bytes_first(hit);
	}
	while (p < end && ((unsigned char)*p >= 0x20 || *p == '\t') && *p != 0x7f)
		p++;
	return p;
}

/* Where the line that ends at the control character `p` goes on; NULL: bytes are missing or (*r = -EPROTO) wrong. */
static inline const char *line_end(const char *p, const char *end, int *r)
{
	*r = 0;
	if (p < end && *p == '\n')
		return p + 1;
	if (p == end || (*p == '\r' && p + 1 == end))
		return NULL;
	if (*p == '\r' && p[1] == '\n')
		return p + 2;
	*r = -EPROTO;
	return NULL;
}

bool http1_method_known(struct slice m)
{
	static const struct slice known[] = {
		SLICE("GET"),	 SLICE("POST"),	   SLICE("PUT"),     SLICE("HEAD"),  SLICE("DELETE"),
		SLICE("PATCH"),	 SLICE("OPTIONS"), SLICE("CONNECT"), SLICE("TRACE"), SLICE("QUERY"),
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (slice_eq(m, known[i]))
			return true;
	return false;
}

static inline bytes neither_letter_nor_dash(bytes b)
{
	bytes lower = b | 0x20;

	return ((lower < 'a') | (lower > 'z')) & (b != '-');
}

/* Length of the token at the front. Names are letters and dashes, with few exceptions. */
static size_t token_length(struct slice s)
{
	size_t n = 0;

	for (; s.n - n >= BYTES; n += BYTES) {
		bytes hit = neither_letter_nor_dash(bytes_load(s.p + n));

		if (!bytes_any(hit))
			continue;
		n += bytes_first(hit);
		break;
	}
	while (n < s.n && http1_token[(unsigned char)s.p[n]])
		n++;
	return n;
}

/* HTTP/1.x: its x, or -1. */
static int version_minor(struct slice s)
{
	if (s.n != 8 || memcmp(s.p, "HTTP/1.", 7) || s.p[7] < '0' || s.p[7] > '9')
		return -1;
	return s.p[7] - '0';
}

/* method SP target SP version; the line is whole and free of controls but TAB. */
static int request_line(struct slice line, struct http1_head *head)
{
	size_t m = token_length(line);
	struct slice target;
	int minor;

	if (!m || m > HTTP1_METHOD_MAX || line.n < m + 11 || line.p[m] != ' ' || line.p[line.n - 9] != ' ')
		return -EPROTO;
	minor = version_minor(slice_from(line, line.n - 8));
	target = slice_of(line.p + m + 1, line.n - m - 10);
	if (minor < 0 || !target.n || memchr(target.p, ' ', target.n) || memchr(target.p, '\t', target.n))
		return -EPROTO;
	head->method = (struct http1_note){ 0, (uint16_t)m };
	head->target = (struct http1_note){ (uint16_t)(m + 1), (uint16_t)target.n };
	head->minor = (uint8_t)minor;
	return 0;
}

/* version SP code [SP reason] */
static int status_line(struct slice line, struct http1_head *head)
{
	int minor = version_minor(slice_to(line, 8));
	uint64_t code;

	if (minor < 0 || line.n < 12 || line.p[8] != ' ' || !slice_u64(slice_of(line.p + 9, 3), &code))
		return -EPROTO;
	if (code < 100 || (line.n > 12 && line.p[12] != ' '))
		return -EPROTO;
	head->minor = (uint8_t)minor;
	head->status = (uint16_t)code;
	return 0;
}

static int start_line(struct slice line, struct http1_head *head)
{
	if (line.n > UINT16_MAX)
		return -EMSGSIZE;
	return head->m.type == MSG_REQUEST ? request_line(line, head) : status_line(line, head);
}

#define EARLY 256

/* What can no longer become a start line is out of step now, not after 64 KiB. Only the first bytes are asked again. */
static bool start_possible(struct slice in, uint8_t type)
{
	return in.n > EARLY || (type == MSG_REQUEST ? http1_sniff_request(in) : http1_sniff_response(in)) != SNIFF_NO;
}

static struct slice trim_value(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
		p++;
	while (p < end && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r' || end[-1] == '\n'))
		end--;
	return slice_of(p, (size_t)(end - p));
}

/*
 * The field at `p` with all its folded lines; where the next begins, or NULL as line_end(). A blank in front of the
 * colon or in front of the first field is refused: the two ends may disagree on what it means.
 */
static const char *field(const char *p, const char *end, struct slice *name, struct slice *value, bool *folded, int *r)
{
	size_t n = token_length(slice_of(p, (size_t)(end - p)));
	const char *v = p + n + 1, *stop = v, *next;

	*r = 0;
	if (p + n == end)
		return NULL;
	if (!n || p[n] != ':') {
		*r = -EPROTO;
		return NULL;
	}
	for (;; stop = next) {
		stop = find_control(stop, end);
		next = line_end(stop, end, r);
		if (!next || next == end)
			return NULL;
		*value = slice_of(v, (size_t)(stop - v));
		if (*next != ' ' && *next != '\t')
			break;
		*folded = true;
	}
	*name = slice_of(p, n);
	*value = trim_value(value->p, value->p + value->n);
	return next;
}

static void head_reset(struct http1_head *head, struct slice in)
{
	head->raw = in;
	head->framing = (struct http1_framing){ 0 };
	head->notes.n_carriers = head->notes.n_captures = 0;
	head->notes.overflow = head->notes.folded = false;
	memset(head->notes.known, 0, sizeof(head->notes.known));
}

/* All of a head in one pass. 0 when it is not whole: *line is where the first unfinished line begins. */
static int64_t parse_all(struct slice in, struct http1_head *head, uint32_t *line)
{
	const char *end = in.p + in.n, *stop = find_control(in.p, end), *p, *next;
	struct slice name, value;
	struct http1_field f;
	int r;

	head_reset(head, in);
	*line = 0;
	p = line_end(stop, end, &r);
	if (!p)
		return r ? r : start_possible(in, head->m.type) ? 0 : -EPROTO;
	r = start_line(slice_of(in.p, (size_t)(stop - in.p)), head);
	if (r)
		return r;
	for (;;) {
		*line = (uint32_t)(p - in.p);
		if (p - in.p > PROTO_HEAD_MAX || p == end)
			return 0;
		if (*p == '\r' || *p == '\n') {
			next = line_end(p, end, &r);
			return next ? next - in.p : r;
		}
		next = field(p, end, &name, &value, &head->notes.folded, &r);
		if (!next)
			return r;
		if (next - in.p <= PROTO_HEAD_MAX && http1_field_find(head, name, &f))
			http1_field_note(head, &f, value);
		p = next;
	}
}

/* A line on its own, without looking at its neighbours. */
static bool line_valid(struct slice line, bool first, struct http1_head *head)
{
	size_t n = token_length(line);

	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	if (find_control(line.p, line.p + line.n) != line.p + line.n)
		return false;
	if (first)
		return start_line(line, head) != -EPROTO;
	return (n && n < line.n && line.p[n] == ':') || line.p[0] == ' ' || line.p[0] == '\t';
}

/* Looks at the bytes that came since the last time only. > 0: the head is whole. */
static int64_t scan_more(struct http1_scan *scan, struct slice in, struct http1_head *head)
{
	struct slice fresh = slice_from(in, scan->at);
	ptrdiff_t at;

	while ((at = slice_find(fresh, '\n')) >= 0) {
		struct slice line = slice_of(in.p + scan->line, (size_t)(fresh.p + at - in.p) - scan->line);
		bool first = !scan->line;

		fresh = slice_from(fresh, (size_t)at + 1);
		scan->line = (uint32_t)(fresh.p - in.p);
		if (!line.n || (line.n == 1 && *line.p == '\r'))
			return scan->line;
		if (!line_valid(line, first, head))
			return -EPROTO;
		if (scan->line > PROTO_HEAD_MAX)
			return 0;
	}
	scan->at = (uint32_t)MIN(in.n, (size_t)PROTO_HEAD_MAX);
	return scan->line || start_possible(in, head->m.type) ? 0 : -EPROTO;
}

int64_t http1_head_parse(struct http1_scan *scan, struct slice in, struct http1_head *head)
{
	uint32_t line;
	int64_t r;

	if (scan->at) {
		r = scan_more(scan, in, head);
		if (r <= 0)
			return !r && in.n >= PROTO_HEAD_MAX ? -EMSGSIZE : r;
	}
	r = parse_all(in, head, &line);
	if (!r && in.n >= PROTO_HEAD_MAX)
		return -EMSGSIZE;
	if (r > PROTO_HEAD_MAX)
		return -EMSGSIZE;
	if (r > 0) {
		*scan = (struct http1_scan){ 0 };
		head->raw = slice_to(in, (size_t)r);
	} else if (!r) {
		*scan = (struct http1_scan){ line, line ? line : (uint32_t)in.n };
	}
	return r;
}
