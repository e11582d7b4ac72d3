/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --check: which TLS libraries are in reach, which of their functions were found, where probes would stand. Of given processes
 * everything that they map is looked at; without any, the libraries in standard directories by their names, and no process.
 */
#ifndef SPANDREL_PROBE_TLS_CHECK_H
#define SPANDREL_PROBE_TLS_CHECK_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* nr: process ids in our namespace. */
void tls_check_processes(FILE *out, const uint32_t *nr, size_t n);
void tls_check_directories(FILE *out);

#endif
