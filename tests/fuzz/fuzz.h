/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz: what the fuzz targets share: an assertion that stays in every build, and the input taken piece by piece. What an
 * input does not have any more is zero, so that each input means something, and the same each time. */
#ifndef SYNMOAT_FUZZ_H
#define SYNMOAT_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define must(condition) \
	do { \
		if (!(condition)) \
			fuzz_failed(#condition, __FILE__, __LINE__); \
	} while (0)

static inline void __attribute__((noreturn)) fuzz_failed(const char *condition, const char *file, int line)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
	abort();
}

struct input {
	const uint8_t *at;
	size_t left;
};

static inline uint8_t input_8(struct input *input)
{
	if (!input->left)
		return 0;
	input->left--;
	return *input->at++;
}

static inline uint16_t input_16(struct input *input)
{
	uint16_t high = input_8(input);

	return (uint16_t)(high << 8 | input_8(input));
}

static inline uint32_t input_32(struct input *input)
{
	uint32_t high = input_16(input);

	return high << 16 | input_16(input);
}

static inline uint64_t input_64(struct input *input)
{
	uint64_t high = input_32(input);

	return high << 32 | input_32(input);
}

/* A copy that ends where its memory does. */
static inline uint8_t *exact_copy(const void *data, size_t bytes)
{
	uint8_t *copy = malloc(bytes ? bytes : 1);

	must(copy);
	if (bytes)
		memcpy(copy, data, bytes);
	return copy;
}

/* RFC 1071, word by word, modulo 0xffff: 0 and 0xffff are the same. */
static inline uint32_t sum_of(uint32_t sum, const uint8_t *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		sum = (sum + (i % 2 ? data[i] : data[i] * 256U)) % 0xffff;
	return sum;
}

#endif
