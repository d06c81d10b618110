/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wire: what the unit tests of core share: addresses from text, random numbers, and checksums done the slow way. */
#ifndef SYNMOAT_WIRE_H
#define SYNMOAT_WIRE_H

#include <arpa/inet.h>

#include "synmoat/addr.h"
#include "unit.h"

#define NSEC_PER_SEC 1000000000ULL
#define NSEC_PER_MSEC 1000000ULL

/* For loops of many rounds: Check writes to a file at each ck_assert() that holds. */
#define must(condition) \
	do { \
		if (!(condition)) \
			ck_abort_msg("%s", #condition); \
	} while (0)

static inline struct addr address(const char *text)
{
	uint8_t wire[16];

	if (inet_pton(AF_INET, text, wire) == 1)
		return addr_from_v4(wire);
	must(inet_pton(AF_INET6, text, wire) == 1);
	return addr_from_v6(wire);
}

/* The n-th host, counted from 0, of 198.18.0.0/15 or 2001:db8:1::/48, there one per /64. */
static inline struct addr host(bool v6, uint32_t n)
{
	struct addr addr = address(v6 ? "2001:db8:1::1" : "198.18.0.0");

	if (v6) {
		addr.bytes[6] = (uint8_t)(n >> 8);
		addr.bytes[7] = (uint8_t)n;
	} else {
		addr.bytes[13] = (uint8_t)(18 + (n >> 16));
		addr.bytes[14] = (uint8_t)(n >> 8);
		addr.bytes[15] = (uint8_t)n;
	}
	return addr;
}

/* SplitMix64 (Steele, Lea, Flood 2014): the same numbers in every run. */
static inline uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static inline uint32_t random_below(uint64_t *state, uint32_t bound)
{
	return (uint32_t)(random_next(state) % bound);
}

/* RFC 1071, word by word: 0xffff over anything that holds its right checksum. `sum` is that of what comes before. */
static inline uint32_t wire_sum(uint32_t sum, const uint8_t *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		sum += i % 2 ? data[i] : data[i] * 256U;
		if (sum > 0xffff)
			sum -= 0xffff;
	}
	return sum;
}

/* Over the pseudo header (RFC 9293 3.1, RFC 8200 8.1) and `bytes` of what follows the `header_bytes` of IP. */
static inline uint32_t wire_sum_upper(const uint8_t *packet, size_t header_bytes, size_t bytes, uint8_t protocol)
{
	bool v4 = packet[0] >> 4 == 4;
	const uint8_t tail[8] = {0, 0, (uint8_t)(bytes >> 8), (uint8_t)bytes, 0, 0, 0, protocol};
	uint32_t sum = wire_sum(0, packet + (v4 ? 12 : 8), v4 ? 8 : 32);

	return wire_sum(wire_sum(sum, tail, sizeof(tail)), packet + header_bytes, bytes);
}

#endif
