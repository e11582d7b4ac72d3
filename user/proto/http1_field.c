// SPDX-License-Identifier: Apache-2.0
/* One field of a head: what frames the body, what carries a context, what the span shows. The rest is not looked at. */
#include "base/stats.h"
#include "proto/http1.h"

const unsigned char http1_token[256] = {
	/* clang-format off */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, '!', 0, '#', '$', '%', '&', '\'', 0, 0, '*', '+', 0, '-', '.', 0,
	'0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 0, 0, 0, 0, 0, 0,
	0, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
	'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 0, 0, 0, '^', '_',
	'`', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
	'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 0, '|', 0, '~', 0,
	/* clang-format on */
};

enum field_id {
	F_NONE,
	F_CONNECTION,
	F_UPGRADE,
	F_LENGTH,
	F_CODING,
	F_KNOWN, /* + enum http1_known */
	F_CARRIER = F_KNOWN + H1_KNOWN_MAX, /* + enum carrier_id */
};

static bool name_is(struct slice name, const char *lower)
{
	for (size_t i = 0; i < name.n; i++)
		if (http1_token[(unsigned char)name.p[i]] != (unsigned char)lower[i])
			return false;
	return true;
}

struct field_row {
	const char *name;
	uint8_t id;
};

#define LENGTH_MAX 17
#define SAME_LENGTH_MAX 6

/* By length of the name. */
static const struct field_row fields[LENGTH_MAX + 1][SAME_LENGTH_MAX] = {
	[2] = { { "b3", F_CARRIER + CARRIER_B3 } },
	[4] = { { "host", F_KNOWN + H1_HOST } },
	[7] = { { "upgrade", F_UPGRADE } },
	[9] = { { "forwarded", F_KNOWN + H1_FORWARDED } },
	[10] = { { "user-agent", F_KNOWN + H1_USER_AGENT }, { "connection", F_CONNECTION },
		 { "tracestate", F_CARRIER + CARRIER_TRACESTATE }, { "x-b3-flags", F_CARRIER + CARRIER_B3_FLAGS } },
	[11] = { { "traceparent", F_CARRIER + CARRIER_TRACEPARENT }, { "x-b3-spanid", F_CARRIER + CARRIER_B3_SPANID },
		 { "grpc-status", F_KNOWN + H1_GRPC_STATUS } },
	[12] = { { "content-type", F_KNOWN + H1_CONTENT_TYPE }, { "grpc-timeout", F_KNOWN + H1_GRPC_TIMEOUT },
		 { "grpc-message", F_KNOWN + H1_GRPC_MESSAGE }, { "x-b3-traceid", F_CARRIER + CARRIER_B3_TRACEID },
		 { "x-b3-sampled", F_CARRIER + CARRIER_B3_SAMPLED } },
	[13] = { { "grpc-encoding", F_KNOWN + H1_GRPC_ENCODING } },
	[14] = { { "content-length", F_LENGTH } },
	[15] = { { "x-forwarded-for", F_KNOWN + H1_XF_FOR } },
	[16] = { { "x-forwarded-host", F_KNOWN + H1_XF_HOST } },
	[17] = { { "transfer-encoding", F_CODING }, { "x-forwarded-proto", F_KNOWN + H1_XF_PROTO },
		 { "x-b3-parentspanid", F_CARRIER + CARRIER_B3_PARENT } },
};

static uint64_t load(const char *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

/* Are they the same eight bytes, but for the case of letters? `lower` has nothing but small letters, digits and dashes. */
static inline bool same_word(uint64_t w, uint64_t lower)
{
	uint64_t letters = lower & 0x4040404040404040ULL;

	return !((w ^ lower) & ~(letters >> 1));
}

/* As name_is() for the names below, of the same length. */
static inline bool is_field(struct slice name, const char *lower)
{
	size_t last = name.n - sizeof(uint64_t);

	if (name.n < sizeof(uint64_t))
		return name_is(name, lower);
	for (size_t i = 0; i < last; i += sizeof(uint64_t))
		if (!same_word(load(name.p + i), load(lower + i)))
			return false;
	return same_word(load(name.p + last), load(lower + last));
}

static unsigned identify(struct slice name)
{
	const struct field_row *row;

	if (name.n > LENGTH_MAX)
		return F_NONE;
	for (row = fields[name.n]; row->name; row++)
		if (is_field(name, row->name))
			return row->id;
	return F_NONE;
}

static inline bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Takes the next element off a list that may be folded. */
static bool next_element(struct slice *list, struct slice *element)
{
	struct slice e;

	if (!slice_split(list, ',', &e))
		return false;
	while (e.n && is_blank(e.p[0]))
		e = slice_from(e, 1);
	while (e.n && is_blank(e.p[e.n - 1]))
		e.n--;
	*element = e;
	return true;
}

static bool list_has(struct slice list, struct slice word)
{
	struct slice part;

	while (next_element(&list, &part))
		if (slice_eq_nocase(part, word))
			return true;
	return false;
}

/* RFC 9112 §6.3: the same number repeated is one number; anything else contradicts itself. */
static void note_length(struct http1_framing *f, struct slice value)
{
	struct slice part;
	uint64_t length;

	if (!value.n)
		f->bad = true;
	while (next_element(&value, &part)) {
		if (!slice_u64(part, &length) || length > HTTP1_LENGTH_MAX ||
		    (f->has_length && f->length != length)) {
			f->bad = true;
			return;
		}
		f->has_length = true;
		f->length = length;
	}
}

/* RFC 9112 §6.1: only the last coding may be chunked; what an answer means that breaks this is its end (§6.3). */
static void note_coding(struct http1_framing *f, struct slice value)
{
	struct slice part, coding = SLICE_NONE;

	if (f->coding == TE_NONE)
		f->coding = TE_OTHER;
	while (next_element(&value, &part)) {
		bool chunked;

		if (!part.n)
			continue;
		(void)slice_split(&part, ';', &coding);
		chunked = slice_eq_nocase(slice_trim(coding), SLICE("chunked"));
		if (chunked && f->chunked)
			f->bad = true;
		f->chunked |= chunked;
		f->coding = chunked ? TE_CHUNKED : TE_OTHER;
	}
}

static struct http1_note note_of(const struct http1_head *head, struct slice value)
{
	return (struct http1_note){ (uint16_t)(value.p - head->raw.p), (uint16_t)value.n };
}

/* Two different hosts: neither can be believed. Of the others the first line counts. */
static void note_known(struct http1_head *head, enum http1_known which, struct slice value)
{
	struct http1_note *note = &head->notes.known[which];

	if (!note->at)
		*note = note_of(head, value);
	else if (which == H1_HOST && !slice_eq_nocase(http1_part(head, *note), value))
		note->n = 0;
}

/* tracestate may come in 32 lines; of the others a second line only matters where it voids the first (traceparent). */
static void note_carrier(struct http1_head *head, uint16_t id, struct slice value)
{
	struct http1_notes *n = &head->notes;
	int max = id == CARRIER_TRACESTATE ? 32 : id == CARRIER_TRACEPARENT ? 2 : 1, same = 0;

	if (id == CARRIER_TRACESTATE && !value.n)
		return;
	for (unsigned i = 0; i < n->n_carriers; i++)
		same += n->carriers[i].tag == id;
	if (same < max)
		n->carriers[n->n_carriers++] = (struct http1_tagged){ id, note_of(head, value) };
	else if (id == CARRIER_TRACESTATE)
		n->overflow = true;
}

_Static_assert(32 + 2 + 6 <= CARRIER_MAX, "every carrier field has room");

/* Its index in the list; -1: nobody asked for it. */
static int32_t captured_as(const struct proto_config *c, struct slice name)
{
	for (size_t i = 0; i < c->n_capture && i <= UINT16_MAX; i++)
		if (c->capture[i].n == name.n && name_is(name, c->capture[i].p))
			return (int32_t)i;
	return -1;
}

static void note_capture(struct http1_head *head, int32_t index, struct slice value)
{
	struct http1_notes *n = &head->notes;

	if (n->n_captures == HTTP1_CAPTURE_MAX)
		stat_inc(headers_cut);
	else
		n->captures[n->n_captures++] = (struct http1_tagged){ (uint16_t)index, note_of(head, value) };
}

bool http1_field_find(const struct http1_head *head, struct slice name, struct http1_field *f)
{
	unsigned id = identify(name);

	f->id = (uint8_t)id;
	f->known = id >= F_KNOWN && id < F_CARRIER ? (uint8_t)(id - F_KNOWN) : H1_KNOWN_MAX;
	f->capture = captured_as(head->config, name);
	return id != F_NONE || f->capture >= 0;
}

void http1_field_note(struct http1_head *head, const struct http1_field *f, struct slice value)
{
	bool request = head->m.type == MSG_REQUEST;
	unsigned id = f->id;

	if (f->capture >= 0)
		note_capture(head, f->capture, value);
	if (id >= F_CARRIER) {
		if (request)
			note_carrier(head, (uint16_t)(id - F_CARRIER), value);
	} else if (id >= F_KNOWN) {
		if (request || id - F_KNOWN >= H1_OF_BOTH)
			note_known(head, id - F_KNOWN, value);
	} else if (id == F_LENGTH) {
		note_length(&head->framing, value);
	} else if (id == F_CODING) {
		note_coding(&head->framing, value);
	} else if (id == F_UPGRADE) {
		head->framing.upgrade = true;
		head->framing.h2c |= list_has(value, SLICE("h2c"));
	} else if (id == F_CONNECTION && list_has(value, SLICE("upgrade"))) {
		head->framing.connection_upgrade = true;
	}
}
