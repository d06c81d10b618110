/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guard: the policy of one shard. A packet goes in, a decision comes out; no system call, clock, log or allocation.
 *
 * Theory of operation. A SYN to a service that is WATCHING passes, is entered as half-open, and its entry ends with the
 * first ACK, a RST or the timeout. A SYN to an ARMED service is answered with a cookie and forgotten, unless its source
 * is proven and may pass; so is one of a source that holds too much, if the service is WARY (policy.h). An ACK that
 * returns a valid cookie becomes a SYN with the options that the cookie carries, and passes; when the server answers
 * that SYN, the difference of the two ISNs is all that the kernel needs to translate the rest of the connection. */
#ifndef SYNMOAT_GUARD_H
#define SYNMOAT_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "synmoat/cap.h"
#include "synmoat/cookie.h"
#include "synmoat/halfopen.h"
#include "synmoat/latency.h"
#include "synmoat/outcome.h"
#include "synmoat/packet.h"
#include "synmoat/policy.h"
#include "synmoat/service.h"
#include "synmoat/source.h"
#include "synmoat/splice.h"
#include "synmoat/tally.h"

/* What becomes of the packet in hand. Each leads to exactly one verdict, HOLD to a later one. */
enum act {
	ACT_PASS,
	ACT_DROP,
	ACT_HOLD,      /* its id is to be kept in `splice`, with guard_held() */
	ACT_REWRITE,   /* pass `segment` instead */
	ACT_RENUMBER,  /* pass with sequence number `seq` */
	ACT_TAKE_OVER, /* drop; conntrack is to translate by `delta`, then `segment` goes to the server */
};

/* How the rules treat a packet after its verdict; edge/marks.h gives each its bits. */
enum treatment {
	TREAT_PLAIN,
	TREAT_HALF_OPEN, /* its connection's first ACK or RST is wanted */
	TREAT_LEARN,     /* as before, and the server's SYN-ACK is */
	TREAT_HANDOVER,  /* a rewritten SYN: whatever the server answers is wanted */
	TREAT_UNPROVEN,  /* to be dropped unless conntrack knows the connection */
	TREAT_SEEN = 8,  /* a SYN that passes and is not watched */
	TREAT_STRAY,     /* as TREAT_UNPROVEN, and from a source that holds no cookie of ours */
};

enum decision_send {
	SEND_NOTHING,
	SEND_TO_CLIENT, /* `segment`, untracked */
	SEND_TO_SERVER, /* `segment`, as if from the client */
};

struct decision {
	enum act act;
	enum treatment treatment;
	enum decision_send send;
	struct segment segment;
	uint32_t seq;
	uint32_t delta;    /* cookie minus the server's ISN */
	bool wscale, sack; /* TAKE_OVER: agreed between both ends */
	int8_t server_wscale;
	uint32_t interface;    /* where the client is, for link-local destinations */
	struct splice *splice; /* HOLD, TAKE_OVER */
	bool drop_held;        /* the packets held in `splice` are to be dropped */
	bool forget_flow;      /* conntrack's entry of `splice` is to be deleted */
	int trip;              /* index of the service that has to be armed or wary before the next SYN, or -1 */
	bool ban;              /* `bans` of the guard has a new entry */
	bool found;            /* `found` has */
};

#define GUARD_BANS_MAX 256
#define GUARD_FOUND_MAX 64

/* A server in a network behind this host: it has answered, and is no service of its own yet. */
struct guard_found {
	struct addr address;
	uint16_t port;
	uint16_t service; /* the network's */
};

struct guard_limits {
	struct policy policy;
	unsigned handshake_timeout_s;
	bool observe;
	bool kernel_checks_md5; /* SYNs signed so are its to judge */
	bool kernel_checks_ao;
	uint32_t half_open_max, sources_max, handovers_max;
	uint32_t replies_per_s; /* unanswered ones to a network: see cap.h; 0 = no limit */
	uint32_t held_max;      /* packets of all clients: the queue has to have room for the server's answers, too */
	struct source_prefixes prefixes;
};

struct guard {
	struct guard_limits limits;
	const struct cookie_secret *secret; /* the caller's; it changes between two calls */
	struct siphash_key key;             /* of the tables */
	struct service *services;           /* [SERVICES_MAX], shared */
	const struct service_map *map;      /* the supervisor's; replaced by it */
	struct halfopen_table *halfopen;
	struct source_table *sources;
	struct splice_table *splices;
	struct cap *replies;
	struct tally *tallies;      /* [SERVICES_MAX] */
	uint64_t (*learn_at_ns)[2]; /* [SERVICES_MAX][IPv4, IPv6]: when a SYN may next be used to learn */
	uint32_t *unheard;  /* [SERVICES_MAX]: cookies sent since the server last answered, or a SYN passed to see */
	uint32_t held;      /* packets in all of `splices` */
	uint32_t ban_count; /* sources to be banned; the supervisor takes them away */
	struct addr bans[GUARD_BANS_MAX];
	uint32_t found_count; /* likewise */
	struct guard_found found[GUARD_FOUND_MAX];
	uint64_t cookies_work_until_ns;         /* one was sent a short while ago */
	_Atomic uint64_t cookies_fail_until_ns; /* they cannot be sent: SYNs pass till then. Read by any thread */
	uint64_t counters[OUTCOME_COUNT];
	struct latency handover_latency; /* from the third ACK on */
};

/* Takes over nothing, and goes on reading `secret`; -1 when out of memory. `guard` needs no initialisation. */
int guard_init(struct guard *guard, const struct guard_limits *limits, struct service *services,
	       const struct cookie_secret *secret, const struct siphash_key *key, uint64_t now_ns);
void guard_free(struct guard *guard);

/* A SYN on its way in. */
void guard_syn(struct guard *guard, const struct segment *syn, uint32_t interface, uint64_t now_ns,
	       struct decision *decision);

/* Whether guard_syn() would challenge this SYN. Nothing is counted. */
bool guard_challenges(const struct guard *guard, const struct segment *syn, uint64_t now_ns);

/* guard_spilled() is to follow shortly, for one of many. */
void guard_spilled_soon(struct guard *guard, const struct segment *syn);

/* A SYN to an armed service that is gone already, as it came beyond the rate that is queued: all that can be done is to
 * answer it. */
void guard_spilled(struct guard *guard, const struct segment *syn, uint32_t interface, uint64_t now_ns,
		   struct decision *decision);

/* What would become of a SYN from `client` to service `index` right now: the outcome that guard_syn() would count for a
 * new handshake. */
enum outcome guard_explain(const struct guard *guard, const struct addr *client, unsigned index, uint64_t now_ns);

/* An ACK to an armed service that belongs to no connection the rules know. */
void guard_ack(struct guard *guard, const struct segment *ack, uint32_t interface, uint64_t now_ns,
	       struct decision *decision);

/* The first packet after the SYN of a half-open connection; or the SYN itself, when conntrack has been told not to see
 * it (notrack), so that we will see no more of that connection either. */
void guard_first_ack(struct guard *guard, const struct segment *ack, uint64_t now_ns, struct decision *decision);

/* The server's answer to a SYN of `flow` (the client's view, before any NAT). */
void guard_answer(struct guard *guard, const struct flow *flow, const struct segment *answer, uint64_t now_ns,
		  struct decision *decision);

/* After ACT_HOLD: packet `id` waits. And when all that `splice` holds has its verdict. */
void guard_held(struct guard *guard, struct splice *splice, uint32_t id);
void guard_let_go(struct guard *guard, struct splice *splice);

/* Some of the cookies of a batch were sent. Or none was (an OUTPUT rule forbids it, say): open, SYNs pass for a while. Unless
 * one was sent shortly before: anybody can send SYNs whose answers nobody can send, by the addresses in them. */
void guard_cookies_work(struct guard *guard, uint64_t now_ns);
void guard_cookies_fail(struct guard *guard, uint64_t now_ns);

/* After ACT_TAKE_OVER: it worked; the held packets may pass. Or it did not: `decision` says how to end both sides. */
void guard_taken_over(struct guard *guard, struct splice *splice, uint64_t now_ns);
void guard_take_over_failed(struct guard *guard, struct splice *splice, uint64_t now_ns, struct decision *decision);

/* What is due by now: `decision` is about `decision->splice`, no packet is in hand. Call until false. */
bool guard_due(struct guard *guard, uint64_t now_ns, struct decision *decision);

#endif
