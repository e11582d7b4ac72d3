/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of IP as 16 bytes: IPv4 as its mapped form, ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). */
#ifndef SPANDREL_BASE_IP_H
#define SPANDREL_BASE_IP_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define IP_V4_AT 12 /* where the four bytes are */

static const uint8_t ip_v4_prefix[IP_V4_AT] = { [10] = 0xff, [11] = 0xff };

static inline bool ip_is_v4(const uint8_t a[16])
{
	return !memcmp(a, ip_v4_prefix, IP_V4_AT);
}

static inline void ip_put_v4(uint8_t to[16], const void *four)
{
	memcpy(to, ip_v4_prefix, IP_V4_AT);
	memcpy(to + IP_V4_AT, four, 4);
}

/* ::1, 127.0.0.0/8 */
static inline bool ip_is_loopback(const uint8_t a[16])
{
	static const uint8_t six[16] = { [15] = 1 };

	return ip_is_v4(a) ? a[IP_V4_AT] == 127 : !memcmp(a, six, sizeof(six));
}

#endif
