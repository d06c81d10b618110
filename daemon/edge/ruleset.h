/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ruleset: the daemon's nftables rules, two inet tables.
 *
 * `synmoat` is owned by our netlink socket: nobody else can change it, `nft flush ruleset` spares it, and it is gone as
 * soon as the process is. `synmoat_keep` outlives us: one rule in a chain without hook that is never evaluated, and by
 * its mere presence keeps conntrack registered, which translates the connections that were handed over. Before the
 * first arming there is no keeper, and no rule that needs conntrack: peace costs a host without it nothing. */
#ifndef SYNMOAT_RULESET_H
#define SYNMOAT_RULESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edge/nft.h"
#include "synmoat/service.h"

#define RULESET_TABLE "synmoat"
#define RULESET_KEEPER "synmoat_keep"

struct ruleset_queues {
	uint16_t syn_first;  /* SYNs, one queue per shard */
	uint16_t flow_first; /* everything else */
	uint16_t shards;
};

struct ruleset {
	struct nft nft;
	struct ruleset_queues queues;
	struct mnl_socket *events; /* what others do to nftables */
	bool built;
	bool armed_before; /* conntrack is used from the first arming on, not before: it costs every packet */
	struct nft_set service_port, service_v4, service_v6; /* protected */
	struct nft_set armed_port, armed_v4, armed_v6;       /* whose third ACKs are wanted */
	struct nft_set flows_v4, flows_v6;                   /* connections that conntrack knows */
	struct nft_set watched_v4, watched_v6; /* before the first arming: handshakes whose ACK is wanted */
	struct nft_set learn_v4, learn_v6;     /* before the first arming: SYN-ACKs to learn from */
};

/* Looks what the kernel offers. On error it returns -1, and `error` says what is wrong and what to do. */
int ruleset_open(struct ruleset *ruleset, const struct ruleset_queues *queues, char *error, size_t error_bytes);

/* Makes the rules protect `services` and honour cookies for `armed`, at most NFT_ELEMENTS_MAX each, in one transaction: no
 * packet meets half of it. The first call creates the tables. 0, or -errno: -EEXIST or -EPERM of the first call mean
 * that another daemon has the table. */
int ruleset_apply(struct ruleset *ruleset, const struct service_binding *services, size_t service_count,
		  const struct service_binding *armed, size_t armed_count);

/* Enters connections that conntrack may not know, so that their next packet is not questioned. 0 or -errno. */
int ruleset_know_flows(struct ruleset *ruleset, const struct flow *flows, size_t count);

/* Makes sure that the keeper is there. 0 or -errno. */
int ruleset_keep(struct ruleset *ruleset);

/* Readable when nftables changed; then ruleset_keeper_lost() tells whether the keeper has to be made again. */
int ruleset_watch_fd(const struct ruleset *ruleset);
bool ruleset_keeper_lost(struct ruleset *ruleset);

/* Empties the chains: no packet comes to the queues any more, while those in them keep. (A hook that goes takes every
 * queued packet of the namespace with it: nf_queue_nf_hook_drop(), net/netfilter/core.c.) */
void ruleset_quiet(struct ruleset *ruleset);

/* Takes the rules away, the keeper too unless `keep`, and closes. */
void ruleset_close(struct ruleset *ruleset, bool keep);

#endif
