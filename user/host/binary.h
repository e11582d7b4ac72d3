/* SPDX-License-Identifier: Apache-2.0 */
/* What an executable file was compiled from, by what its ELF sections say. Reads a bounded part of
 * it. */
#ifndef SPANDREL_HOST_BINARY_H
#define SPANDREL_HOST_BINARY_H

struct binary {
	const char *language; /* of telemetry.sdk.language; NULL: not known (C has no name there) */
	const char *runtime;  /* of process.runtime.name; NULL: not sure */
};

/*
 * Go by its build information, Rust by the compiler's note, .NET by its host, C++ by its library. A
 * stripped or odd file is not known. fd is a regular file.
 */
void binary_inspect(int fd, struct binary *out);

#endif
