/* SPDX-License-Identifier: GPL-2.0-or-later */
/* torrent: what its two halves share, the one in the kernel (torrent.bpf.c) and the one that starts it (torrent.c). */
#ifndef TORRENT_H
#define TORRENT_H

#define TARGETS_MAX 8
#define BURST 64 /* frames between two looks at the clock */

/* Sources are from nets that no test net uses: random ones from 96.0.0.0/4 or fd9a::/16, those of a pool from 11.0.0.0/8 or
 * fd99::/16. What comes back to these is counted and dropped; all else is let past. */
#define RANDOM_V4 0x60000000U /* /4 */
#define POOL_V4 0x0b000000U   /* /8 */
#define RANDOM_V6 0xfd9aU
#define POOL_V6 0xfd99U

/* The longest: IPv6, and the 24 bytes of options that macOS sends. */
#define OPTIONS_MAX 24
#define TCP_MAX (20 + OPTIONS_MAX)
#define FRAME_MAX (14 + 40 + TCP_MAX)

/* A server: ports `port` to `port` + `ports` - 1. */
struct target {
	__u8 v6;
	__u16 port, ports; /* host order */
	__u8 address[16];  /* wire order; IPv4 in the first four bytes */
};

struct setup {
	__u32 interface;
	__u8 from[6], to[6]; /* Ethernet */
	__u8 acks;           /* bare ACKs with a guessed number in place of SYNs */
	__u8 in_turn;        /* the pool's sources one after the other; else by chance */
	__u32 pool;          /* so many sources; 0: random ones */
	__u32 targets;
	struct target target[TARGETS_MAX];
	__u64 burst_ns; /* from one burst to the next; 0: as fast as it goes */
	__u64 count;
};

/* What came back. */
struct sunk {
	__u64 synacks, rsts, others;
};

#endif
