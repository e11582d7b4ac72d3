/* SPDX-License-Identifier: Apache-2.0 */
/* Huffman coded strings of HPACK and QPACK (RFC 7541 §5.2, appendix B). */
#ifndef SPANDREL_PROTO_HPACK_HUFFMAN_H
#define SPANDREL_PROTO_HPACK_HUFFMAN_H

#include "base/slice.h"

/* The shortest code has five bits. */
#define HPACK_HUFFMAN_ROOM(coded) ((coded) / 5 * 8 + 8)

/*
 * Decodes into `to`, which has HPACK_HUFFMAN_ROOM(in.n) bytes. Bytes written; -EPROTO: the end-of-string symbol, or padding that
 * is longer than seven bits or not all ones.
 */
ptrdiff_t hpack_huffman_decode(char *to, struct slice in);

#endif
