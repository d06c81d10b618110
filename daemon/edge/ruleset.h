/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ruleset: the daemon's nftables rules, up to three inet tables.
 *
 * `synmoat` is owned by our netlink socket: nobody else can change it, `nft flush ruleset` spares it, and it is gone as
 * soon as the process is. `synmoat_keep` outlives us: one rule in a chain without hook that is never evaluated, and by
 * its mere presence keeps conntrack registered, which translates the connections that were handed over. Before the
 * first arming there is no keeper, and no rule that needs conntrack: peace costs a host without it nothing.
 * `synmoat_closed` outlives us, too, where that is wanted: it drops SYNs that nobody has decided about. */
#ifndef SYNMOAT_RULESET_H
#define SYNMOAT_RULESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edge/nft.h"
#include "synmoat/cidr.h"
#include "synmoat/service.h"

#define RULESET_TABLE "synmoat"
#define RULESET_KEEPER "synmoat_keep"
#define RULESET_CLOSED "synmoat_closed"

struct ruleset_setup {
	uint16_t syn_first;   /* SYNs, one queue per shard */
	uint16_t armed_first; /* SYNs to armed services */
	uint16_t flow_first;  /* everything else */
	uint16_t spill_first; /* groups of NFLOG for SYNs to armed services beyond what is queued; one per shard */
	bool spill;           /* somebody listens to them */
	uint16_t shards;
	bool gateway;        /* services are behind this host, conntrack is used from the start */
	uint8_t ban_v4_bits; /* 1..32: how much of a source's address a ban covers, */
	uint8_t ban_v6_bits; /* 1..128 */
	uint32_t bans_max;   /* and how many there are of each family, at least 1 */
};

/* Whose SYNs are dropped once we are gone, by a table that stays. */
enum ruleset_closed {
	RULESET_CLOSED_NONE,
	RULESET_CLOSED_ARMED,
	RULESET_CLOSED_ALL,
	RULESET_CLOSED_UNCHANGED, /* as the last ruleset_apply() left it: on the way out, when SYNs are not queued any more */
};

struct ruleset_list {
	struct nft_set sets[2]; /* IPv4, IPv6 */
	struct cidr_list held;  /* what is in them */
};

/* Networks: none of them lies within another of the same port. */
struct ruleset_nets {
	size_t count;
	struct service_binding nets[SERVICES_MAX];
};

struct ruleset_bindings {
	struct nft_set port; /* on all addresses of this host */
	struct nft_set v4, v6;
	struct nft_set nets_v4, nets_v6;  /* behind this host */
	struct ruleset_nets wanted, held; /* what is to be in these, and what is */
};

struct ruleset {
	struct nft nft;
	struct ruleset_setup setup;
	struct mnl_socket *events; /* what others do to nftables */
	bool ipsec;                /* the kernel can tell what came out of a tunnel */
	bool built;
	bool closed_built;
	bool closed_spoilt;    /* it is there, but is not what we have made */
	bool keeper_inherited; /* a daemon before us has left it, and maybe connections that need it */
	unsigned hooks;        /* those that have been made */
	bool armed_before;     /* or a gateway: conntrack is used from then on, not before, for it costs every packet */
	enum ruleset_closed closed;            /* as last wanted */
	bool closed_inherited;                 /* a daemon before us has left it */
	size_t closed_count;                   /* bindings in it */
	struct ruleset_list closed_allow;      /* who passes nevertheless */
	struct ruleset_bindings services;      /* protected */
	struct ruleset_bindings armed;         /* whose third ACKs are wanted */
	struct ruleset_bindings closing;       /* closed once we are gone; of that table */
	struct nft_set flows_v4, flows_v6;     /* connections that conntrack knows */
	struct nft_set watched_v4, watched_v6; /* before the first arming: handshakes whose ACK is wanted */
	struct nft_set learn_v4, learn_v6;     /* before the first arming: SYN-ACKs to learn from */
	struct nft_set fresh_v4, fresh_v6;     /* connections whose handshake was just done through our hands */
	struct nft_set spoke_v4, spoke_v6;     /* those of them whose client has sent data */
	struct ruleset_list allow, deny;
	struct nft_set bans[2]; /* IPv4, IPv6 */
};

/* Looks what the kernel offers. On error it returns -1, and `error` says what is wrong and what to do. */
int ruleset_open(struct ruleset *ruleset, const struct ruleset_setup *setup, char *error, size_t error_bytes);

/* ACKs with no cookie, of no connection that conntrack knows. */
enum ruleset_strays {
	RULESET_STRAYS_DROP,
	RULESET_STRAYS_PASS,  /* a few per second */
	RULESET_STRAYS_RESET, /* likewise; and segments of servers behind us to such a connection */
};

/* What the rules are to do with SYNs to `services`: those from `allow` go to the kernel, past us, and so do their ACKs; of
 * the rest those from `deny`, then those from banned sources are dropped; what is left is queued. `armed` are the services
 * whose cookies are honoured, too. At most SERVICES_MAX bindings each. */
struct ruleset_wanted {
	const struct service_binding *services;
	size_t service_count; /* 0 = all SYNs go to the kernel */
	const struct service_binding *armed;
	size_t armed_count;
	const struct cidr_list *allow, *deny; /* NULL = empty */
	bool observe;                         /* who is denied or banned is counted, and goes to the kernel */
	bool bans;                            /* banned sources are looked up */
	bool honour_all;                      /* cookies of all services are honoured, for others may have sent them */
	bool unasked;                         /* a gateway looks at SYN-ACKs that nobody waits for, a few per second */
	enum ruleset_strays strays;
	enum ruleset_closed closed;
	const struct service_binding *closing; /* RULESET_CLOSED_ARMED: those that are closed */
	size_t closing_count;
	bool spill; /* SYNs to armed services beyond a rate are logged, not queued, where the setup has it */
	bool syn_pass_unheard, armed_pass_unheard; /* SYNs when nobody listens to their queue; else they are dropped */
};

/* Makes the rules come true in one transaction: no packet meets half of it. The first call creates the tables. Bans and
 * counters stay as they are. 0, or -errno: -EEXIST or -EPERM of the first call mean that another daemon has the table. */
int ruleset_apply(struct ruleset *ruleset, const struct ruleset_wanted *wanted);

/* ---- bans and counters; after the first ruleset_apply() ---- */

/* Bans the networks that the addresses are in for `ban_s` (at least 1) from now on, whether they are banned already or
 * not. 0, -ENFILE if they do not all fit, or another -errno; then some may be banned. */
int ruleset_ban(struct ruleset *ruleset, const struct addr *nets, size_t count, uint32_t ban_s);

/* 0, -ENOENT if the address's network is not banned, or another -errno. */
int ruleset_unban(struct ruleset *ruleset, const struct addr *net);

struct ruleset_ban {
	struct addr net;
	uint32_t left_s; /* rounded up */
};

/* The bans in force, IPv4 first, each family in ascending order. Returns their number, and an array to free() in `out`;
 * or -errno. */
int ruleset_bans(struct ruleset *ruleset, struct ruleset_ban **out);

enum ruleset_refusal {
	RULESET_ALLOWED,
	RULESET_DENIED,
	RULESET_BANNED,
	RULESET_STRAY_RESET, /* a segment without a connection, either way */
	RULESET_ODD_SOURCE,  /* dropped, when to an armed service */
	RULESET_TO_WATCHED,  /* led to the shards: by the queues for SYNs */
	RULESET_TO_ARMED,    /* and for SYNs to armed services, */
	RULESET_TO_SPILL,    /* and as copies */
	RULESET_REFUSAL_COUNT,
};

/* The SYNs that came from such sources since the start, or were led there, each as often as it went through the rules; and
 * the resets that strays were answered with. 0 or -errno:
 * -EOPNOTSUPP if the kernel has no named counters (CONFIG_NFT_OBJREF, before 6.2). */
int ruleset_refusals(struct ruleset *ruleset, uint64_t counts[RULESET_REFUSAL_COUNT]);

/* ---- life ---- */

/* Enters connections that conntrack may not know, so that their next packet is not questioned, idle ones among them. 0 or
 * -errno. */
#define RULESET_KNOWN_S (7 * 86400ULL)
int ruleset_know_flows(struct ruleset *ruleset, const struct flow *flows, size_t count);

/* Whether there has to be a keeper. */
bool ruleset_needs_keeper(const struct ruleset *ruleset);

/* Makes sure that the keeper is there. 0 or -errno. */
int ruleset_keep(struct ruleset *ruleset);

/* Readable when nftables changed; then ruleset_lost() tells which of our tables somebody has changed or deleted. They have
 * to be made again: by ruleset_keep(), and by the next ruleset_apply(). How much it reads at once is bounded; what is lost
 * of that is made up for by a look at which tables are there. */
struct ruleset_losses {
	bool heard; /* that anything changed, though we may have done it ourselves */
	bool keeper, closed;
};
int ruleset_watch_fd(const struct ruleset *ruleset);
struct ruleset_losses ruleset_lost(struct ruleset *ruleset);

/* Empties the chains: no packet comes to the queues any more, while those in them keep. (A hook that goes takes every
 * queued packet of the namespace with it: nf_queue_nf_hook_drop(), net/netfilter/core.c.) */
void ruleset_quiet(struct ruleset *ruleset);

/* What is closed is not to stay so, unless it was before us: for a start that fails. */
void ruleset_unclose(struct ruleset *ruleset);

/* How many bindings' SYNs stay closed when we go. */
size_t ruleset_closes(const struct ruleset *ruleset);

/* Takes the rules away, the keeper too unless `keep`, and closes. What was last wanted closed stays so. */
void ruleset_close(struct ruleset *ruleset, bool keep);

#endif
