/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cap: nobody uses us as a reflector. A SYN-ACK to an invented source is a packet to a bystander; how many of those a
 * network (IPv4 /24, IPv6 /48) gets from us in a second is limited by a token bucket. A cookie that comes back proves
 * that somebody there has asked, and returns its token: real clients are not limited, however many share a network.
 *
 * Fixed in size: networks share buckets by a keyed hash, which errs on the side of fewer replies. Owned by one shard. */
#ifndef SYNMOAT_CAP_H
#define SYNMOAT_CAP_H

#include <stdbool.h>
#include <stdint.h>

#include "synmoat/addr.h"
#include "synmoat/siphash.h"

#define CAP_BUCKETS 16384

struct cap_bucket {
	uint32_t tokens;    /* thousandths */
	uint32_t filled_ms; /* when `tokens` was right, by the low bits of the monotonic clock */
};

struct cap {
	struct siphash_key key;
	uint32_t per_s; /* tokens that come in a second, and at the most at once; 0 = no limit */
	struct cap_bucket buckets[CAP_BUCKETS];
};

/* All buckets full. */
void cap_init(struct cap *cap, uint32_t per_s, const struct siphash_key *key, uint64_t now_ns);

/* Takes a token of the address's network; false if there is none. */
bool cap_take(struct cap *cap, const struct addr *addr, uint64_t now_ns);

/* It is to be taken shortly: fetches what that takes into the CPU's cache. */
void cap_soon(const struct cap *cap, const struct addr *addr);

/* Whether cap_take() would find one. */
bool cap_has(const struct cap *cap, const struct addr *addr, uint64_t now_ns);

/* Gives one back. */
void cap_return(struct cap *cap, const struct addr *addr);

#endif
