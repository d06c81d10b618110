/* SPDX-License-Identifier: GPL-2.0-or-later */
/* addr: one form for both address families, so that no table needs two.
 *
 * An address is 16 bytes in wire order; IPv4 is stored v4-mapped (::ffff:a.b.c.d, RFC 4291 2.5.5.2). */
#ifndef SYNMOAT_ADDR_H
#define SYNMOAT_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct addr {
	uint8_t bytes[16];
};

/* Both ends of a TCP connection as the client sees it. Ports in host order. No padding: hashed and compared as bytes. */
struct flow {
	struct addr client;
	struct addr server;
	uint16_t client_port;
	uint16_t server_port;
};
_Static_assert(sizeof(struct flow) == 36, "struct flow is hashed as bytes and may hold no padding");

static const uint8_t addr_v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static inline bool addr_is_v4(const struct addr *addr)
{
	return memcmp(addr->bytes, addr_v4_prefix, sizeof(addr_v4_prefix)) == 0;
}

static inline bool addr_equal(const struct addr *one, const struct addr *other)
{
	return memcmp(one, other, sizeof(*one)) == 0;
}

/* From 4 wire-order bytes. */
static inline struct addr addr_from_v4(const void *bytes)
{
	struct addr addr;
	memcpy(addr.bytes, addr_v4_prefix, sizeof(addr_v4_prefix));
	memcpy(addr.bytes + 12, bytes, 4);
	return addr;
}

/* From 16 wire-order bytes. */
static inline struct addr addr_from_v6(const void *bytes)
{
	struct addr addr;
	memcpy(addr.bytes, bytes, sizeof(addr.bytes));
	return addr;
}

/* The address's wire bytes and their number, 4 or 16. */
static inline const uint8_t *addr_wire(const struct addr *addr)
{
	return addr_is_v4(addr) ? addr->bytes + 12 : addr->bytes;
}

static inline unsigned addr_wire_bytes(const struct addr *addr)
{
	return addr_is_v4(addr) ? 4 : 16;
}

/* The network an address is counted under: all bits after `prefix_bits` (0..128, v4-mapped counting) cleared. */
static inline struct addr addr_masked(const struct addr *addr, unsigned prefix_bits)
{
	struct addr net = *addr;
	for (unsigned bit = prefix_bits; bit < 128; bit = (bit / 8 + 1) * 8)
		net.bytes[bit / 8] &= (uint8_t)(bit % 8 ? 0xff00U >> (bit % 8) : 0);
	return net;
}

static inline bool addr_is_unspecified(const struct addr *addr)
{
	static const struct addr v6_unspecified = {{0}};

	return addr_equal(addr, &v6_unspecified);
}

static inline bool addr_is_loopback(const struct addr *addr)
{
	static const struct addr v6_loopback = {.bytes = {[15] = 1}};

	return addr_is_v4(addr) ? addr->bytes[12] == 127 : addr_equal(addr, &v6_loopback);
}

#endif
