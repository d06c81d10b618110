/* SPDX-License-Identifier: GPL-2.0-or-later */
/* latency: how long something took, counted by how long. Fixed in size, O(1) per event; all zero bytes is an empty one.
 * Owned by one shard; latency_merge() adds those of all. */
#ifndef SYNMOAT_LATENCY_H
#define SYNMOAT_LATENCY_H

#include <stdint.h>

/* From what a host takes for itself to the longest round trip there is to a server behind it: 0.25 ms to 2.5 s. */
#define LATENCY_BOUNDS 13
extern const uint32_t latency_bounds_us[LATENCY_BOUNDS]; /* ascending; each belongs to the bucket that it closes */

struct latency {
	uint64_t counts[LATENCY_BOUNDS + 1]; /* each event once; the last is beyond all bounds */
	uint64_t sum_ns;
};

/* Something that began and ended then. A clock that went back makes it take no time. */
void latency_add(struct latency *latency, uint64_t begun_ns, uint64_t ended_ns);

void latency_merge(struct latency *into, const struct latency *from);

uint64_t latency_count(const struct latency *latency);

#endif
