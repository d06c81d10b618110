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
#define SERVICE_LIMIT_DEFAULT 256 /* behind this host, where no listener can be asked */

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

/* Whether the server behind this host takes connections, as far as it is known. On this host itself whoever listens does. */
enum service_answers {
	SERVICE_ANSWERS,           /* its SYN-ACKs come by */
	SERVICE_ANSWERS_NOT_YET,   /* nothing has come from it so far */
	SERVICE_REFUSES,           /* it resets */
	SERVICE_ANSWERS_ELSEWHERE, /* its clients are answered, but not through this host */
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
	uint8_t host_bits; /* the last bits of the address that do not count: 0 = one address */
	uint16_t port;
	enum service_cookies cookies;
	enum service_override override;
	uint32_t configured_limit; /* 0 = the listener's, or learned */

	_Atomic uint32_t limit;  /* half-open entries the listener can hold; 0 = unknown */
	_Atomic uint32_t arm_at; /* entries */
	_Atomic uint32_t crowd_at;
	_Atomic uint32_t disarm_at;
	_Atomic uint32_t half_open;      /* entries of all shards */
	_Atomic uint32_t kernel_held;    /* entries of the kernel, however old, when last counted */
	_Atomic int32_t begun_since;     /* begun since then, less those that their clients have ended */
	_Atomic uint64_t wary_until_ns;  /* a source is, or was until then, challenged on its own account */
	_Atomic uint64_t spilled_ns;     /* when a source that is not noted last got a cookie; 0 = never */
	_Atomic uint64_t ahead_until_ns; /* until then anybody may hold a cookie: of XDP, or of a SYN that spilled */
	_Atomic uint64_t ahead_or_stray_until_ns; /* the same of XDP, while strays pass */
	_Atomic uint8_t posture;                  /* enum service_posture */
	_Atomic uint8_t patience;                 /* enum service_patience */
	_Atomic bool exempt;                      /* nobody is challenged on its account: cookies = never */
	_Atomic bool everybody;                   /* proven sources are, too: cookies = always */
	_Atomic bool untracked;                   /* conntrack is told not to see it (notrack): a handover cannot be */
	_Atomic uint64_t learned[2];              /* packed struct service_learned: [0] IPv4, [1] IPv6 */
	_Atomic uint64_t unscaled_until_ns[2];    /* until then no window scale is announced: service_announced() */
	_Atomic bool behind;          /* the server is behind this host, and what it answers tells about it: */
	_Atomic uint8_t answers;      /* enum service_answers */
	_Atomic uint64_t answered_ns; /* when a SYN-ACK last came; 0 = never */
	_Atomic uint32_t unanswered;  /* handovers in a row without one, although their clients had sent data */

	bool in_use; /* the supervisor's from here on */
	bool fresh;  /* new in its slot: what is known there is of another */
	bool wanted;
	bool found; /* in a network behind this host, which the config declares */
	bool listening;
	uint32_t kernel_young;  /* entries of the kernel as old as ours are: more than ours when ACKs are forged */
	bool accept_queue_full; /* of one of its listeners: the server does not take what is ready */
	uint64_t accept_queue_full_ns; /* last time it was; 0 = never */
	uint64_t listened_ns;          /* last time it was */
	uint64_t calm_since_ns;        /* 0 = load is not below disarm_at, or would arm again */
	uint64_t since_ns;             /* of the posture */
	uint64_t pressed_since_ns;     /* service_presses(); 0 = it does not */
	uint32_t learned_limit;        /* behind this host: the most entries that the server has been seen to bear */
	bool said_elsewhere;           /* the log has heard that its answers do not come by */
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

/* What counts: the operator's word, else the config's. Never, whatever they say, for a service that cannot be handed over
 * (notrack) or that may not be answered for. */
enum service_cookies service_cookies(const struct service *service);

/* Whether `load` (half-open entries) arms the service, as things stand. Any thread. */
bool service_trips(const struct service *service, uint32_t load);

/* Whether `load` is at or above `arm_at`, or `crowd_at`. Half of `arm_at` is enough for both when what the kernel holds, old
 * entries included, is at or above `crowd_at`. Any thread. */
bool service_presses(const struct service *service, uint32_t load);
bool service_crowded(const struct service *service, uint32_t load);

/* Entries that the kernel holds by now, as far as is known. Any thread. */
uint32_t service_held(const struct service *service);

/* A source of this service is challenged on its own account at least until then. Any thread. */
void service_wary_until(struct service *service, uint64_t until_ns);

/* The posture that follows from `load` (half-open entries, and while armed unanswered cookies) at `now_ns`, which must
 * not be 0. Changes only the supervisor's notes; the caller makes the change come true with service_enter(). */
enum service_posture service_next(struct service *service, const struct service_timing *timing, uint32_t load,
				  uint64_t now_ns);
void service_enter(struct service *service, enum service_posture posture, uint64_t now_ns);

/* ---- behind this host ---- */

/* Its SYN-ACK; or its RST to a SYN; or a handover that it has not answered, although the client had sent data. Each may
 * change what is known of it. A RST counts only when no SYN-ACK has come for SERVICE_REFUSAL_NS: a server may refuse some
 * and take others. Silence counts only when it lasts SERVICE_SILENCE_NS: a full backlog is silent, too. Of a network only
 * answers count: one of its servers that refuses or is silent says nothing of the others. Any thread. */
#define SERVICE_REFUSAL_NS 2000000000ULL
#define SERVICE_SILENCE_NS 30000000000ULL
#define SERVICE_SILENT_HANDOVERS 3
void service_answered(struct service *service, uint64_t now_ns);
void service_refused(struct service *service, uint64_t now_ns);
void service_unanswered(struct service *service, uint64_t now_ns);

/* A source that is not noted gets a cookie. Any thread. */
void service_spilled(struct service *service, uint64_t now_ns);

/* Whether cookies may be sent in its name: it is one server, and answers. Any thread. */
bool service_may_be_answered_for(const struct service *service);

/* Whether it is time to see by a SYN that passes whether it still answers: nothing has been heard for a second. Any
 * thread. */
bool service_answer_is_stale(const struct service *service, uint64_t now_ns);

/* Takes note that `half_open` entries were borne: of `begun` handshakes lately `completed` were completed. Returns whether
 * the learned limit has grown. */
bool service_bore(struct service *service, uint32_t half_open, uint32_t begun, uint32_t completed);

/* What its limit is unless it is configured. */
uint32_t service_learned_limit(const struct service *service);

/* LEARNED_* bits of the options that a SYN offers. */
uint8_t service_offered(const struct tcp_options *options);

struct service_learned service_learned(const struct service *service, bool v6);

/* What a cookie's SYN-ACK says: what was learned, but without a window scale for SERVICE_UNSCALED_NS after the server's has
 * become less. A cookie says whether a scale was announced, not which: so those from before are told from those since. */
#define SERVICE_UNSCALED_NS 5000000000ULL
bool service_is_unscaled(const struct service *service, bool v6, uint64_t now_ns);
struct service_learned service_announced(const struct service *service, bool v6, uint64_t now_ns);

/* Takes what a SYN-ACK says, given what (LEARNED_*) its SYN offered. Of a network nothing: its servers differ. */
void service_learn(struct service *service, bool v6, const struct tcp_options *answer, uint16_t window, uint8_t offered,
		   uint64_t now_ns);

/* An address and port that somebody listens on, or a network behind this host, and the service that it belongs to. The
 * unspecified address of a family (addr_unspecified()) stands for all its addresses. */
struct service_binding {
	struct addr address; /* those of its bits that do not count are zero */
	uint16_t port;
	uint16_t service;
	uint8_t host_bits; /* as in struct service */
};

static inline struct addr addr_unspecified(bool v6)
{
	struct addr addr = {.bytes = {0}};
	return v6 ? addr : addr_from_v4("\0\0\0");
}

/* Which service a destination belongs to. Immutable once built: shards are handed a new one. */
struct service_map;

/* Of several bindings of one address (or network) and port the last counts. NULL when out of memory. */
struct service_map *service_map_new(const struct service_binding *bindings, unsigned count);
void service_map_free(struct service_map *map);

/* The service's index: the exact address's, else that of the smallest network it is in, else the unspecified one's; -1 if
 * none. */
int service_map_find(const struct service_map *map, const struct addr *address, uint16_t port);

#endif
