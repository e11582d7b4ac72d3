// SPDX-License-Identifier: Apache-2.0
/* Bodies of gRPC-Web: messages are counted, and how the call ended stands in the last frame. All others are passed over. */
#include "base/scope.h"
#include "proto/grpc.h"
#include "proto/http1_session.h"

void http1_web_begins(struct http1_direction *d, const struct http1_head *head)
{
	struct slice type = http1_part(head, head->notes.known[H1_CONTENT_TYPE]);

	d->web = grpc_content_type(type);
	grpc_count_fini(&d->sent);
	if (!d->web)
		return;
	grpc_count_begin(&d->sent, type);
	d->sent.web.ended = head->notes.known[H1_GRPC_STATUS].n; /* what would be the trailers is in the head */
}

/* An answer that ends without trailers may have been cut, by the server's end or by ours. */
void http1_web_ends(struct http1_session *s, struct http1_direction *d, struct proto_out *out)
{
	if (!grpc_count_exact(&d->sent) || (d->side == MSG_RESPONSE && !d->sent.web.ended))
		return;
	s->head.m.type = d->side;
	s->head.m.key = d->key;
	s->head.sent = &d->sent;
	out->flags |= OUT_MORE;
	out->msg = &s->head.m;
}

int64_t http1_web_parse(struct http1_session *s, struct http1_direction *d, struct slice in, struct proto_out *out)
{
	struct proto_out o = { .type = d->side, .key = d->key };
	size_t n = (size_t)MIN(d->left, (uint64_t)in.n);
	bool until_close = d->left > HTTP1_LENGTH_MAX;

	grpc_count_feed(&d->sent, slice_to(in, n));
	d->left -= n;
	if (until_close && d->sent.lost) {
		d->state = TO_CLOSE;
		o.skip = SKIP_TO_END;
	} else {
		o.skip = MIN(d->left, grpc_count_passable(&d->sent));
		grpc_count_pass(&d->sent, o.skip);
		d->left -= o.skip;
	}
	if (!d->left) {
		d->state = AT_HEAD;
		o.flags = OUT_END;
		http1_web_ends(s, d, &o);
	}
	*out = o;
	return (int64_t)n;
}
