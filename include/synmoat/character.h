/* SPDX-License-Identifier: GPL-2.0-or-later */
/* character: what kind of load presses a service, from the numbers of a window. Pure: one observation in, one name out.
 *
 * The rules, first match counts:
 *
 *   calm                  Nothing presses: neither half-open connections nor unanswered cookies have reached `arm_at`.
 *                         (Half of it is enough beside old entries of the kernel's: service_presses().)
 *                         However high the rate: a rate alone harms nobody, and to arm on it would tax every client.
 *                         But a few-source flood if a source holds so much that it is challenged on its own account.
 *   as before             It pressed before, too, and was a flood, or the service is armed for whatever it was, and what is new in the window
 *                         would not press by itself. A handshake stays open
 *                         for up to 300 s: what presses is then left over from before the window, and the few that came
 *                         since say nothing about it.
 *   slow backend          The server does not take what is ready, and its clients are persistent: they complete, or
 *                         repeat their SYN. Spoofed sources do neither: they never see a SYN-ACK, and a flood tool
 *                         invents each packet anew. Arming would not help: with a full accept queue the kernel drops
 *                         every SYN and every last ACK (tcp_conn_request(), tcp_v4_syn_recv_sock()), that of a proven
 *                         client, too. For the first CHARACTER_EVIDENCE_NS clients had no time to repeat anything, so
 *                         the full accept queue decides alone; then the evidence does. When there is room again it
 *                         takes clients a while to come back: their waits double (RFC 6298 5.5). So long, and no
 *                         longer than CHARACTER_LINGER_NS, persistent clients are still those of a slow backend.
 *   flash crowd           Half of the handshakes or more are completed: clients, only many of them.
 *   few-source flood      One source sends half of the SYNs or more, or all together send too many each.
 *   random-source flood   Neither.
 *
 * Limits. "Slow backend" can be had by an attacker: he has to keep the accept queue full with connections that he
 * really completes, faster than the server takes them, and after three seconds to repeat his spoofed SYNs, too. Who
 * can do that denies the service without a single spoofed SYN, and cookies are no remedy; once a look finds room in
 * the accept queue the rule no longer holds, and the flood is named. "Flash crowd" can be had by completing one
 * handshake per spoofed SYN; that is why a crowd, too, arms the service before its backlog is full. While a service
 * is armed a repeated SYN cannot be told from a new one (nothing is stored), so that only completed handshakes
 * count. */
#ifndef SYNMOAT_CHARACTER_H
#define SYNMOAT_CHARACTER_H

#include <stdbool.h>
#include <stdint.h>

enum character {
	CHARACTER_CALM,
	CHARACTER_RANDOM_SOURCES,
	CHARACTER_FEW_SOURCES,
	CHARACTER_SLOW_BACKEND,
	CHARACTER_FLASH_CROWD,
	CHARACTER_COUNT,
};

/* Of handshakes begun, so many are completed when most of them are real. Both sides are far from it: in peace nearly all
 * are completed, and in a flood worth its name clients are a small part. */
#define CHARACTER_REAL_PERCENT 50

/* A client first repeats its SYN after 1 s, then after 3 s (RFC 6298 2.1, 5.5). Of those that began evenly over 3 s two
 * thirds have had the time: well above CHARACTER_REAL_PERCENT. Before, their silence means nothing. */
#define CHARACTER_EVIDENCE_NS (3 * 1000000000ULL)

#define CHARACTER_LINGER_NS (10 * 1000000000ULL)

/* More than all others together. One SYN is no share. */
#define CHARACTER_TOP_PERCENT 50
#define CHARACTER_TOP_SYNS_MIN 2

/* SYNs per source that no crowd sends: a browser opens 6 connections to a host, and sends each SYN 4 times within the
 * window (at once, after 1, 3 and 7 s): 24. The next power of two, since the number of sources is an estimate. */
#define CHARACTER_SYNS_PER_SOURCE 32

struct observation {
	/* Handshakes in the window. While armed, the cookies sent and returned take the place of begun and completed, and
	 * retransmitted is 0. */
	uint32_t begun, retransmitted, completed;
	uint32_t syns, distinct, top_syns; /* in the window's sketch; top_syns are certain */
	uint32_t elsewhere;                /* SYNs in the window that no sketch knows */
	uint32_t arm_at;                   /* entries: what it takes to press */
	uint64_t pressed_ns;               /* for so long without a break */
	bool pressed;               /* service_presses(), by what is half-open, and while armed unanswered cookies */
	bool greedy;                /* a source is challenged on its own account */
	bool crowded;               /* service_crowded(): a full backlog is near */
	bool accept_queue_full;     /* the listener's, now (sock_diag) */
	bool accept_queue_was_full; /* now, or in the last CHARACTER_LINGER_NS */
	bool armed;
	bool pressed_before;   /* at the last observation */
	enum character before; /* what it was last said to be: struct incident's `character` */
};

enum character character_of(const struct observation *seen);

/* "calm", "random-source flood", "few-source flood", "slow backend", "flash crowd". */
const char *character_name(enum character character);

/* Whether the service should be armed for it. A flood: yes. A slow backend: no, it would not help. A flash crowd: only
 * when crowded, for a full backlog turns clients away, too. Says nothing about when to disarm. */
bool character_arms(enum character character, const struct observation *seen);

#endif
