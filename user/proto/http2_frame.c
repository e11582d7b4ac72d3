// SPDX-License-Identifier: Apache-2.0
/* Frames by themselves. */
#include <errno.h>

#include "base/scope.h"
#include "proto/http2_session.h"

uint32_t http2_u32(const char *p)
{
	const uint8_t *b = (const uint8_t *)p;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

struct http2_frame http2_frame_read(const char *p)
{
	uint32_t stream = http2_u32(p + 5);

	return (struct http2_frame){ .length = http2_u32(p) >> 8, .type = (uint8_t)p[3], .flags = (uint8_t)p[4],
				     .stream = stream & 0x7fffffff, .reserved = stream >> 31 };
}

struct frame_rule {
	bool known;
	uint8_t flags;	/* that it may have */
	int8_t on;	/* 1: on a stream, 0: on the connection, -1: either */
	uint8_t min, multiple; /* of the length; multiple 0: any above min, 255: exactly min */
};

static const struct frame_rule rules[F_PRIORITY_UPDATE + 1] = {
	[F_DATA] = { true, FLAG_END_STREAM | FLAG_PADDED, 1, 0, 0 },
	[F_HEADERS] = { true, FLAG_END_STREAM | FLAG_END_HEADERS | FLAG_PADDED | FLAG_PRIORITY, 1, 0, 0 },
	[F_PRIORITY] = { true, 0, 1, 5, 255 },
	[F_RST_STREAM] = { true, 0, 1, 4, 255 },
	[F_SETTINGS] = { true, FLAG_ACK, 0, 0, 6 },
	[F_PUSH_PROMISE] = { true, FLAG_END_HEADERS | FLAG_PADDED, 1, 4, 0 },
	[F_PING] = { true, FLAG_ACK, 0, 8, 255 },
	[F_GOAWAY] = { true, 0, 0, 8, 0 },
	[F_WINDOW_UPDATE] = { true, 0, -1, 4, 255 },
	[F_CONTINUATION] = { true, FLAG_END_HEADERS, 1, 0, 0 },
	[F_ALTSVC] = { true, 0, -1, 2, 0 },
	[F_ORIGIN] = { true, 0, 0, 0, 0 },
	[F_PRIORITY_UPDATE] = { true, 0, 0, 4, 0 },
};

static bool length_fits(const struct frame_rule *rule, const struct http2_frame *f)
{
	if (rule->multiple == 255)
		return f->length == rule->min;
	if (f->type == F_SETTINGS && f->flags & FLAG_ACK)
		return !f->length;
	return f->length >= rule->min && (!rule->multiple || f->length % rule->multiple == 0);
}

bool http2_frame_plausible(const struct http2_frame *f, uint32_t max)
{
	const struct frame_rule *rule = &rules[MIN(f->type, (uint8_t)F_PRIORITY_UPDATE)];

	if (f->type > F_PRIORITY_UPDATE || !rule->known || f->reserved || f->length > max || f->flags & ~rule->flags)
		return false;
	return length_fits(rule, f) && (rule->on < 0 || rule->on == !!f->stream);
}

bool http2_fragment(const struct http2_frame *f, struct slice payload, size_t more, struct slice *fragment)
{
	size_t padding = 0;

	if (f->flags & FLAG_PADDED) {
		if (!payload.n)
			return false;
		padding = (uint8_t)payload.p[0];
		payload = slice_from(payload, 1);
	}
	if (f->type == F_HEADERS && f->flags & FLAG_PRIORITY)
		more += 5;
	if (payload.n < more + padding)
		return false;
	*fragment = slice_of(payload.p + more, payload.n - more - padding);
	return true;
}

struct slice http2_error_name(uint32_t code)
{
	static const char *const names[] = {
		"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT",
		"STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR",
		"CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
	};

	return code < ARRAY_SIZE(names) ? slice_str(names[code]) : SLICE_NONE;
}
