/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spill: SYNs beyond what a queue takes one by one, as copies that owe no verdict: a rule has logged them to a group of
 * NFLOG and dropped them. Many come in one message. One struct per shard. */
#ifndef SYNMOAT_SPILL_H
#define SYNMOAT_SPILL_H

#include <stdint.h>

struct spill;

#define SPILL_BATCH 64        /* packets in a message at most */
#define SPILL_LINK_BYTES 12   /* of an Ethernet header: to whom, from whom */
#define SPILL_WAITING_MAX 384 /* messages: what comes faster than that is worked off is not to wait long */

/* `data` and `link` are valid until the next spill_receive(). */
struct spilled {
	uint32_t interface;  /* index of the one it came in on */
	const uint8_t *link; /* SPILL_LINK_BYTES; NULL: it came over no Ethernet, or was not sent to us alone */
	const uint8_t *data; /* from the IP header on; the first bytes of it */
	uint32_t bytes;
};

/* Binds group `number`. On error it returns NULL and errno is set: EBUSY when another process has it. */
struct spill *spill_open(uint16_t number);
void spill_close(struct spill *spill);

/* Readable when packets wait. */
int spill_fd(const struct spill *spill);

/* The packets of one message, without waiting; 0 when there is none. `packets` must hold SPILL_BATCH. */
unsigned spill_receive(struct spill *spill, struct spilled *packets);

/* Packets that the kernel had no room for, as far as a later one has told. */
uint64_t spill_lost(const struct spill *spill);

#endif
