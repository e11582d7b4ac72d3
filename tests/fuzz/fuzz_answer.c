// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target for what back ends answer: a byte chooses status and format, fields named grpc-* follow to an empty
 * line, then the body. Whatever it is, the verdict is one of four, its text ends, and no wait is longer than a day.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/clock.h"
#include "export/http_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool truth)
{
	if (!truth)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const long statuses[] = { 200, 400, 503, 0 };
	struct slice all = slice_of((const char *)data, size);
	struct post_answer a = { .error = "" };
	const char *empty;

	if (!size)
		return 0;
	a.status = statuses[data[0] & 3];
	a.broken = data[0] & 16;
	all = slice_from(all, 1);
	empty = memmem(all.p, all.n, "\n\n", 2);
	a.fields = slice_to(all, empty ? (size_t)(empty - all.p) : 0);
	a.body = slice_from(all, empty ? a.fields.n + 2 : 0);
	for (uint8_t f = FORMAT_OTLP; f <= FORMAT_ZIPKIN; f++) {
		struct http_verdict v;

		http_format(f)->judge(&a, &v);
		need(v.fate <= FATE_REFUSED && strnlen(v.text, VERDICT_TEXT) < VERDICT_TEXT);
		need(v.wait < 86401 * NS_PER_S);
		need(f == FORMAT_GRPC || v.grpc == -1);
		need(f == FORMAT_GRPC || a.status != 200 || v.fate == FATE_TAKEN);
	}
	return 0;
}
