/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (RFC 4648 §4), as far as its readers share it: where padding may stand is theirs. */
#ifndef SPANDREL_BASE_BASE64_H
#define SPANDREL_BASE_BASE64_H

/* The six bits of a digit, -1 for what is none. */
static inline int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

#endif
