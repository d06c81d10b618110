/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kernel_counters: what the kernel of this network namespace counts by itself about what we guard: SYNs and handshakes that
 * it dropped, packets that did not fit into our queues, and how full conntrack's table is. Read afresh each time; what
 * cannot be read is told as not known, never as 0. */
#ifndef SYNMOAT_KERNEL_COUNTERS_H
#define SYNMOAT_KERNEL_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

#define KERNEL_QUEUES_MAX 192 /* WORKERS_MAX shards of three */

/* TcpExt of /proc/net/netstat (include/uapi/linux/snmp.h, net/ipv4/proc.c): id, its name there. */
#define KERNEL_TCPS(TCP) \
	TCP(LISTEN_OVERFLOWS, "ListenOverflows") \
	TCP(LISTEN_DROPS, "ListenDrops") \
	TCP(QUEUE_FULL_DROPS, "TCPReqQFullDrop") \
	TCP(QUEUE_FULL_COOKIES, "TCPReqQFullDoCookies") \
	TCP(COOKIES_SENT, "SyncookiesSent") \
	TCP(COOKIES_RECEIVED, "SyncookiesRecv") \
	TCP(COOKIES_FAILED, "SyncookiesFailed")

enum kernel_tcp {
#define TCP(id, name) KERNEL_TCP_##id,
	KERNEL_TCPS(TCP)
#undef TCP
	KERNEL_TCP_COUNT
};

/* One of our queues. */
struct kernel_queue {
	uint16_t number;
	uint32_t length;      /* packets that wait */
	uint64_t queue_full;  /* packets dropped because so many wait already */
	uint64_t socket_full; /* because our socket's buffer had no room */
};

/* Of this network namespace (include/uapi/linux/netfilter/nfnetlink_conntrack.h, enum ctattr_stats_cpu). */
struct kernel_conntrack {
	uint64_t insert_failed, drop, early_drop;
	uint32_t entries;
	uint32_t entries_max; /* 0: the kernel does not tell */
};

struct kernel_counters {
	bool tcp_known[KERNEL_TCP_COUNT];
	uint64_t tcp[KERNEL_TCP_COUNT];
	bool queues_known; /* it takes the right to read /proc/net/netfilter/nfnetlink_queue, which is root's, mode 0440 */
	unsigned queue_count;
	struct kernel_queue queues[KERNEL_QUEUES_MAX];
	uint64_t lost; /* of which no queue here can tell */
	bool conntrack_known;
	struct kernel_conntrack conntrack;
};

/* Of the queues from `first_queue` on. */
void kernel_counters_read(struct kernel_counters *counters, unsigned first_queue, unsigned queues);

/* What had no room in our socket beside the queue of that number counts there. */
void kernel_counters_add_lost(struct kernel_counters *counters, uint16_t number, uint64_t lost);

/* Packets that the kernel dropped for lack of room in those queues, for whichever reason. */
uint64_t kernel_counters_queue_dropped(const struct kernel_counters *counters);

#endif
