/* SPDX-License-Identifier: GPL-2.0-or-later */
/* conntrack: the kernel's connection table, through ctnetlink. One struct per thread.
 *
 * A handover needs sequence translation (seqadj), which conntrack takes only for an entry made with it: so the entry
 * that the rewritten SYN made is read, deleted, and made again with everything it had. The kernel handles a request
 * before sendto() returns, so answers and errors are there when we look. */
#ifndef SYNMOAT_CONNTRACK_H
#define SYNMOAT_CONNTRACK_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "synmoat/addr.h"

#define CONNTRACK_HELPER_BYTES 16
#define CONNTRACK_LABELS_BYTES 16

#define CONNTRACK_BATCH 32
#define CONNTRACK_REQUEST_BYTES 512 /* the largest, IPv6 with NAT both ways, helper and labels, takes 420 */

struct conntrack {
	struct mnl_socket *socket;
	uint32_t seq;
	_Alignas(8) uint8_t requests[2 * CONNTRACK_BATCH * CONNTRACK_REQUEST_BYTES];
};

/* What is kept of an entry. */
struct conntrack_entry {
	struct flow original; /* as the client sees it */
	struct flow reply;    /* `server` answers from here, `client` is where to: both after NAT */
	uint32_t mark;
	uint16_t zone;
	uint8_t labels_bytes;
	uint8_t labels[CONNTRACK_LABELS_BYTES];
	char helper[CONNTRACK_HELPER_BYTES]; /* "" = none */
	bool adjusted;                       /* has a sequence offset, in `delta` */
	uint32_t delta;                      /* added to the server's sequence numbers on their way to the client */
};

/* How a handed-over connection is translated. */
struct conntrack_splice {
	uint32_t delta;
	uint32_t mark;
	bool wscale, sack;
	uint8_t client_wscale, server_wscale;
};

/* 0 or -errno. */
int conntrack_open(struct conntrack *conntrack);
void conntrack_close(struct conntrack *conntrack);

/* The entry of a flow: by the client's view of it, or by the server's (as reply packets carry it before they are
 * translated back). 0, -ENOENT, or another -errno. */
int conntrack_get(struct conntrack *conntrack, const struct flow *flow, bool server_view,
		  struct conntrack_entry *entry);

/* One of several handovers. */
struct conntrack_handover {
	struct flow flow; /* as the client sees it */
	struct conntrack_entry entry;
	struct conntrack_splice splice;
	int error; /* 0 or -errno, from the first step that failed */
};

/* The entries of up to CONNTRACK_BATCH flows, with one request for all. */
void conntrack_get_all(struct conntrack *conntrack, struct conntrack_handover *handovers, unsigned count);

/* Replaces those entries that were found by established connections with translation. Where it fails the old entry may be
 * gone. */
void conntrack_splice_all(struct conntrack *conntrack, struct conntrack_handover *handovers, unsigned count);

/* 0 or -errno. */
int conntrack_delete(struct conntrack *conntrack, const struct flow *flow);

/* Counts the connections whose mark is `mark` under `mask`: those with a sequence offset, and those without. 0 or -errno. */
int conntrack_count_marked(struct conntrack *conntrack, uint32_t mark, uint32_t mask, size_t *with_offset,
			   size_t *without_offset);

/* Whether any connection's mark is `mark` under `mask`. 1, 0, or -errno. */
int conntrack_any_marked(struct conntrack *conntrack, uint32_t mark, uint32_t mask);

/* What the kernel counts of its table, of all CPUs together. 0 or -errno. */
struct kernel_conntrack;
int conntrack_stats(struct conntrack *conntrack, struct kernel_conntrack *stats);

#endif
