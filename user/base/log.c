// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static enum log_level level_wanted = LOG_INFO;
static bool as_json;

static const char *const names[] = { "error", "warning", "info", "debug" };

void log_setup(enum log_level level, bool json)
{
	level_wanted = level;
	as_json = json;
}

bool log_wants(enum log_level level)
{
	return level <= level_wanted;
}

/* Terminals and log parsers must not be driven by names from /proc or the network. */
static void put_safe(FILE *f, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c == 0x7f)
			fprintf(f, as_json ? "\\u%04x" : "\\x%02x", c);
		else if (as_json && (c == '"' || c == '\\'))
			fprintf(f, "\\%c", c);
		else
			fputc(c, f);
	}
}

void log_line(enum log_level level, const char *format, ...)
{
	char text[1024], when[32];
	struct timespec now;
	struct tm tm;
	va_list ap;

	if (level > level_wanted)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	flockfile(stderr);
	if (as_json) {
		clock_gettime(CLOCK_REALTIME, &now);
		gmtime_r(&now.tv_sec, &tm);
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
		fprintf(stderr, "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"message\":\"", when,
			now.tv_nsec / 1000000, names[level]);
		put_safe(stderr, text);
		fputs("\"}\n", stderr);
	} else {
		fprintf(stderr, "spandrel: %s%s", level < LOG_INFO ? names[level] : "", level < LOG_INFO ? ": " : "");
		put_safe(stderr, text);
		fputc('\n', stderr);
	}
	funlockfile(stderr);
}
