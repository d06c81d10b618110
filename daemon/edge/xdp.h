/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xdp: the tier in front of the queue: a program in the kernel's receive path, through libbpf, that answers the SYNs of
 * armed services with the same cookie, before the kernel has made a packet of them. The program is bpf/synmoat.bpf.c.
 *
 * It is held by file descriptors alone (bpf_link): whatever ends this process takes it away. Main thread only. */
#ifndef SYNMOAT_XDP_H
#define SYNMOAT_XDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "synmoat/addr.h"
#include "synmoat/cidr.h"
#include "synmoat/cookie.h"
#include "synmoat/service.h"

struct xdp;

enum xdp_mode {
	XDP_MODE_AUTO, /* native where it works, else generic; generic on veth, whose other end may not take what we send */
	XDP_MODE_NATIVE,
	XDP_MODE_GENERIC,
};

/* Of the answers and drops of one service, or of all. Since xdp_open(); they only grow. */
struct xdp_counts {
	uint64_t answered;  /* SYNs, with a cookie */
	uint64_t capped;    /* SYNs dropped: the source's network has had its share of answers: cap.h */
	uint64_t denied;    /* SYNs dropped: by the deny list */
	uint64_t banned;    /* SYNs dropped: by a ban */
	uint64_t bad_ack;   /* ACKs dropped: no valid cookie, no known connection, and more than the limit of those */
	uint64_t passed_up; /* SYNs: the sample, those allowed, those that the daemon has to look at */
	uint64_t failed; /* SYNs dropped: no answer could be made, or of known connections, beyond the limit of those */
};

struct xdp_setup {
	bool sockets;        /* the servers are this host's: connections are looked up among its sockets */
	uint8_t ban_v4_bits; /* what of an address a ban is about, of 32 */
	uint8_t ban_v6_bits; /* of 128 */
	uint32_t bans_max;
	bool kernel_checks_md5, kernel_checks_ao; /* SYNs signed so are passed up */
	bool no_conntrack;                        /* as if it could not be looked up: for tests */
};

/* Loads the program; it is nowhere attached. NULL with the reason in `error` (what is missing: kernel support, BTF, CAP_BPF and
 * CAP_PERFMON, or that this build has no XDP). */
struct xdp *xdp_open(const struct xdp_setup *setup, char *error, size_t error_bytes);

/* Detaches it everywhere. NULL is fine. */
void xdp_close(struct xdp *xdp);

/* 0 and how in `native`; -EBUSY when another program is there, or another -errno. An interface that goes takes the program with
 * it: xdp_detach() all the same. */
int xdp_attach(struct xdp *xdp, uint32_t interface, enum xdp_mode mode, bool *native);
void xdp_detach(struct xdp *xdp, uint32_t interface);

/* After interfaces have changed: only frames to the hardware address of one are answered, others are passed up. */
void xdp_follow_addresses(struct xdp *xdp);

/* As if an interface had that address: for tests. 0 or -errno. */
int xdp_answer_at(struct xdp *xdp, const uint8_t address[6]);

/* Whether the interface has a program, also ours. Takes no right. */
bool xdp_is_taken(uint32_t interface);

/* Cookies are made with this from now on: tell the shards first, which check them. */
void xdp_set_secret(struct xdp *xdp, const struct cookie_secret *secret);

/* Answers to a network (IPv4 /24, IPv6 /48) per second, of all CPUs together; 0 = no limit. */
void xdp_set_cap(struct xdp *xdp, uint32_t replies_per_s);

/* SYNs per second and CPU that go up although they could be answered. */
void xdp_set_sample(struct xdp *xdp, uint32_t per_s);

/* SYNs to this address and port are answered from now on, and counted under `index` (of SERVICES_MAX). By what is learned. 0 or
 * -errno. `learned` is of the address's family. */
int xdp_answer_for(struct xdp *xdp, const struct addr *address, uint16_t port, unsigned index,
		   const struct service_learned *learned);
void xdp_answer_no_more(struct xdp *xdp, const struct addr *address, uint16_t port);

/* Connections whose SYN the kernel already has: their SYNs are passed up, as long as they are few. Replaces those of
 * before. A hash of them is kept: now and then another SYN is passed up, too. */
void xdp_forget_begun(struct xdp *xdp);
void xdp_note_begun(struct xdp *xdp, const struct flow *flow);

/* The rules know a connection for a minute after its last packet (ruleset.c), and a SYN that uses its ports again has to get
 * to them: the program remembers it for XDP_KNOWN_NS at the least. To be called about as often: the older half goes. */
#define XDP_KNOWN_NS (64 * 1000000000ULL)
void xdp_age(struct xdp *xdp, uint64_t now_ns);

/* A connection that the rules know for longer, at most until then. */
void xdp_note_lasting(struct xdp *xdp, const struct flow *flow, uint64_t until_ns);

/* Allow wins over deny, deny over a ban, as in the rules. 0 or -errno: then the old lists count, or less of them: SYNs are passed
 * up that could have been dropped, never the other way round. */
int xdp_set_lists(struct xdp *xdp, const struct cidr_list *allow, const struct cidr_list *deny);

/* Of the networks that the addresses are in, until that time of CLOCK_MONOTONIC. 0 or -errno: -E2BIG when there are bans_max
 * of them already. */
int xdp_ban(struct xdp *xdp, const struct addr *nets, size_t count, uint64_t until_ns);
void xdp_unban(struct xdp *xdp, const struct addr *net);

/* Of service `index`. */
void xdp_count(const struct xdp *xdp, unsigned index, struct xdp_counts *counts);

/* Its file descriptor, for tests to run it (BPF_PROG_TEST_RUN). */
int xdp_program(const struct xdp *xdp);

#endif
