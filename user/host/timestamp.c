// SPDX-License-Identifier: Apache-2.0
#include "host/timestamp.h"

#include <stdio.h>
#include <time.h>

#define YEAR_MAX 9999

/* Exactly n digits. */
static bool number(struct slice *s, size_t n, int lo, int hi, int *out)
{
	uint64_t v;

	if (s->n < n || !slice_u64(slice_to(*s, n), &v) || v < (uint64_t)lo || v > (uint64_t)hi)
		return false;
	*out = (int)v;
	*s = slice_from(*s, n);
	return true;
}

static bool letter(struct slice *s, char c)
{
	if (!s->n || s->p[0] != c)
		return false;
	*s = slice_from(*s, 1);
	return true;
}

static bool fraction(struct slice *s)
{
	size_t n = 0;

	if (!letter(s, '.'))
		return true;
	while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
		n++;
	*s = slice_from(*s, n);
	return n > 0;
}

int64_t timestamp_parse(struct slice s)
{
	struct tm t = { 0 };
	int year, month;

	if (!number(&s, 4, 1971, YEAR_MAX, &year) || !letter(&s, '-') || !number(&s, 2, 1, 12, &month) || !letter(&s, '-') ||
	    !number(&s, 2, 1, 31, &t.tm_mday) || !letter(&s, 'T') || !number(&s, 2, 0, 23, &t.tm_hour) || !letter(&s, ':') ||
	    !number(&s, 2, 0, 59, &t.tm_min) || !letter(&s, ':') || !number(&s, 2, 0, 60, &t.tm_sec) || !fraction(&s) ||
	    !letter(&s, 'Z') || s.n)
		return 0;
	t.tm_year = year - 1900;
	t.tm_mon = month - 1;
	return (int64_t)timegm(&t);
}

void timestamp_put(char *to, int64_t at)
{
	time_t seconds = (time_t)at;
	char text[64];
	struct tm t;

	gmtime_r(&seconds, &t);
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02dZ", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour,
		 t.tm_min, t.tm_sec);
	memcpy(to, text, TIMESTAMP_TEXT);
}
