/* SPDX-License-Identifier: GPL-2.0-or-later */
/* service: one protected TCP port at one address (or at any), and when it is armed.
 *
 *             half-open >= arm_at                    load < disarm_at for hold_ns
 *  WATCHING ----------------------> ARMED ------------------------------------------> DRAINING --> WATCHING
 *  SYNs pass and  |                 SYNs are answered with cookies; the load    ^     after drain_ns; SYNs pass,
 *  are counted    |                 is what is half-open, plus the count of     |     cookies sent before are honoured
 *                 |                 unanswered cookies                          |
 *                 +---------------> WARY ---------------------------------------+
 *                   a source holds  SYNs of such sources alone are              there is no such source any more
 *                   too many        answered with cookies
 *
 * From WARY and DRAINING a full backlog arms as from WATCHING; from ARMED and DRAINING a greedy source leads to WARY.
 *
 * Shared by all shards: what they read or count is atomic, the rest is the supervisor's own. */
#ifndef SYNMOAT_SERVICE_H
#define SYNMOAT_SERVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "synmoat/addr.h"
#include "synmoat/options.h"

#define SERVICES_MAX 1024
#define SERVICE_NAME_BYTES 64

enum service_posture {
	SERVICE_WATCHING,
	SERVICE_WARY,
	SERVICE_ARMED,
	SERVICE_DRAINING,
};

enum service_cookies {
	SERVICE_COOKIES_AUTO,
	SERVICE_COOKIES_ALWAYS,
	SERVICE_COOKIES_NEVER,
};

/* What an operator has ordered at run time, over what the config says of cookies. */
enum service_override {
	SERVICE_OVERRIDE_AUTO, /* nothing */
	SERVICE_OVERRIDE_ARM,
	SERVICE_OVERRIDE_DISARM,
};

/* When a backlog that fills arms the service: not when it is no flood that fills it (character.h). */
enum service_patience {
	SERVICE_ARMS_AT_ONCE,      /* at arm_at */
	SERVICE_ARMS_WHEN_CROWDED, /* at crowd_at */
	SERVICE_ARMS_NEVER,
};

/* What the server itself answers to a SYN, learned from its SYN-ACKs. An option counts as known once a SYN that offered
 * it was answered; then its absence means that the server does not want it. */
enum {
	LEARNED_BASE = 1, /* MSS and window */
	LEARNED_WSCALE = 2,
	LEARNED_SACK = 4,
	LEARNED_TIMESTAMPS = 8,
};

struct service_learned {
	uint16_t mss;    /* bytes */
	uint16_t window; /* of the SYN-ACK, never scaled */
	int8_t wscale;   /* -1 = none */
	bool sack;
	bool timestamps;
	uint8_t known; /* LEARNED_* */
};

struct service {
	char name[SERVICE_NAME_BYTES];
	bool any_address;
	struct addr address;
	uint16_t port;
	enum service_cookies cookies;
	enum service_override override;
	uint32_t configured_limit; /* 0 = the listener's */

	_Atomic uint32_t limit;  /* half-open entries the listener can hold; 0 = unknown */
	_Atomic uint32_t arm_at; /* entries */
	_Atomic uint32_t crowd_at;
	_Atomic uint32_t disarm_at;
	_Atomic uint32_t half_open;     /* entries of all shards */
	_Atomic uint32_t kernel_held;   /* entries of the kernel, however old, when last counted */
	_Atomic int32_t begun_since;    /* begun since then, less those that their clients have ended */
	_Atomic uint64_t wary_until_ns; /* a source is, or was until then, challenged on its own account */
	_Atomic uint8_t posture;        /* enum service_posture */
	_Atomic uint8_t patience;       /* enum service_patience */
	_Atomic bool exempt;            /* nobody is challenged on its account: cookies = never */
	_Atomic bool everybody;         /* proven sources are, too: cookies = always */
	_Atomic bool untracked;         /* conntrack is told not to see it (notrack): a handover cannot be */
	_Atomic uint64_t learned[2];    /* packed struct service_learned: [0] IPv4, [1] IPv6 */

	bool in_use; /* the supervisor's from here on */
	bool fresh;  /* new in its slot: what is known there is of another */
	bool wanted;
	bool listening;
	uint32_t kernel_young;  /* entries of the kernel as old as ours are: more than ours when ACKs are forged */
	bool accept_queue_full; /* of one of its listeners: the server does not take what is ready */
	uint64_t accept_queue_full_ns; /* last time it was; 0 = never */
	uint64_t listened_ns;          /* last time it was */
	uint64_t calm_since_ns;        /* 0 = load is not below disarm_at */
	uint64_t since_ns;             /* of the posture */
	uint64_t pressed_since_ns;     /* load is at or above arm_at; 0 = it is not */
};

struct service_timing {
	uint64_t hold_ns;
	uint64_t drain_ns;
};

/* The number of entries that `percent` of `limit` means: at least 1. */
uint32_t service_threshold(uint32_t limit, unsigned percent);

/* Percentages of a service's limit. */
struct service_thresholds {
	unsigned arm_percent, crowd_percent, disarm_percent;
};

/* Sets limit and thresholds. With limit 0, unknown, a service neither trips nor stays armed. */
void service_set_limit(struct service *service, uint32_t limit, const struct service_thresholds *thresholds);

/* What counts: the operator's word, else the config's. */
enum service_cookies service_cookies(const struct service *service);

/* Whether `load` (half-open entries) arms the service, as things stand. Any thread. */
bool service_trips(const struct service *service, uint32_t load);

/* Entries that the kernel holds by now, as far as is known. Any thread. */
uint32_t service_held(const struct service *service);

/* A source of this service is challenged on its own account at least until then. Any thread. */
void service_wary_until(struct service *service, uint64_t until_ns);

/* The posture that follows from `load` (half-open entries, and while armed unanswered cookies) at `now_ns`, which must
 * not be 0. Changes only the supervisor's notes; the caller makes the change come true with service_enter(). */
enum service_posture service_next(struct service *service, const struct service_timing *timing, uint32_t load,
				  uint64_t now_ns);
void service_enter(struct service *service, enum service_posture posture, uint64_t now_ns);

/* LEARNED_* bits of the options that a SYN offers. */
uint8_t service_offered(const struct tcp_options *options);

struct service_learned service_learned(const struct service *service, bool v6);

/* Takes what a SYN-ACK says, given what (LEARNED_*) its SYN offered. */
void service_learn(struct service *service, bool v6, const struct tcp_options *answer, uint16_t window,
		   uint8_t offered);

/* An address and port that somebody listens on, and the service that it belongs to. The unspecified address of a family
 * (addr_unspecified()) stands for all its addresses. */
struct service_binding {
	struct addr address;
	uint16_t port;
	uint16_t service;
};

static inline struct addr addr_unspecified(bool v6)
{
	struct addr addr = {.bytes = {0}};
	return v6 ? addr : addr_from_v4("\0\0\0");
}

/* Which service a destination belongs to. Immutable once built: shards are handed a new one. */
struct service_map;

/* Of several bindings of one address and port the last counts. NULL when out of memory. */
struct service_map *service_map_new(const struct service_binding *bindings, unsigned count);
void service_map_free(struct service_map *map);

/* The service's index: the exact address's, else the unspecified one's; -1 if none. */
int service_map_find(const struct service_map *map, const struct addr *address, uint16_t port);

#endif
