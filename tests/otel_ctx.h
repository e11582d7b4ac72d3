/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An SDK's process context (OTEP 4719), published as the specification says: one mapping of memory named OTEL_CTX, whose
 * header points at a ProcessContext. published_at is written last, 0 while it changes.
 */
#ifndef SPANDREL_OTEL_CTX_H
#define SPANDREL_OTEL_CTX_H

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define OTEL_FN static __attribute__((unused))

struct otel_ctx {
	char signature[8];
	uint32_t version;
	uint32_t payload_size;
	uint64_t published_at;
	uint64_t payload;
};

/* Messages that are nested here are shorter than 128 bytes: a length is one byte. */
OTEL_FN size_t pb_text(uint8_t *to, uint8_t field, const void *p, size_t n)
{
	to[0] = (uint8_t)(field << 3 | 2);
	to[1] = (uint8_t)n;
	memcpy(to + 2, p, n);
	return n + 2;
}

/* Resource.attributes with a string, wrapped as ProcessContext.resource: fields of one message may come in parts. */
OTEL_FN size_t otel_ctx_text(uint8_t *to, const char *key, const char *value)
{
	uint8_t any[128], pair[128], resource[128];
	size_t n = pb_text(any, 1, value, strlen(value)), k = pb_text(pair, 1, key, strlen(key));

	k += pb_text(pair + k, 2, any, n);
	n = pb_text(resource, 1, pair, k);
	return pb_text(to, 1, resource, n);
}

OTEL_FN size_t otel_ctx_number(uint8_t *to, const char *key, uint8_t value)
{
	uint8_t any[2] = { 3 << 3, value }, pair[128], resource[128];
	size_t k = pb_text(pair, 1, key, strlen(key));

	k += pb_text(pair + k, 2, any, sizeof(any));
	k = pb_text(resource, 1, pair, k);
	return pb_text(to, 1, resource, k);
}

/* The mapping of this process, made at the first call; NULL: could not. */
OTEL_FN struct otel_ctx *otel_ctx_publish(const uint8_t *payload, uint32_t size)
{
	static struct otel_ctx *at;
	struct timespec now;
	int fd;

	if (!at) {
		fd = memfd_create("OTEL_CTX", MFD_CLOEXEC);
		if (fd < 0 || ftruncate(fd, 4096))
			return NULL;
		at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
		close(fd);
		if (at == MAP_FAILED)
			return NULL;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	__atomic_store_n(&at->published_at, 0, __ATOMIC_SEQ_CST);
	memcpy(at->signature, "OTEL_CTX", 8);
	at->version = 2;
	at->payload_size = size;
	at->payload = (uint64_t)(uintptr_t)payload;
	__atomic_store_n(&at->published_at, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec + 1, __ATOMIC_SEQ_CST);
	return at;
}

#endif
