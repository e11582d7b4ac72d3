/* SPDX-License-Identifier: Apache-2.0 */
/* Lines on standard error for the operator, as text or JSON. Stages never log (architecture: base, proto, conn, trace count instead). */
#ifndef SPANDREL_BASE_LOG_H
#define SPANDREL_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_setup(enum log_level level, bool json);
bool log_wants(enum log_level level);
/* One line; control characters in it are made harmless. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/* Logs and gives the error back: return log_ret(r, "cannot open %s: %s", …). */
#define log_ret(r, ...) (log_line(LOG_ERROR, __VA_ARGS__), (r))

#endif
