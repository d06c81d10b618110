/* SPDX-License-Identifier: GPL-2.0-or-later */
/* listeners: what the kernel's sock_diag knows of this host's TCP sockets. */
#ifndef SYNMOAT_LISTENERS_H
#define SYNMOAT_LISTENERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "synmoat/service.h"

/* A listening address; sockets that share it (SO_REUSEPORT) are one. */
struct listener {
	bool any_address;
	struct addr address; /* the address; if any_address, :: or v4-mapped 0.0.0.0 */
	uint16_t port;
	bool serves_v4, serves_v6;
	uint32_t backlog;       /* half-open connections that it holds, all sockets together */
	bool accept_queue_full; /* of one of its sockets: new connections wait for the server to take older ones */
};

/* All of them, freed by the caller. A backlog is what listen(2) asked for, within the limit that
 * net.ipv4.tcp_max_syn_backlog sets (tcp_conn_request() keeps its last quarter for known peers). Returns their number,
 * or -errno. */
int listeners_read(struct listener **listeners);

/* Half-open connections that the kernel itself holds for a service. SYN-ACKs are sent again after 1 s, 2 s more, 4 s more
 * (RFC 6298 5.5), so that n of them tell an age of at least 2^n - 1 s. */
struct half_open_count {
	uint32_t all;
	uint32_t young; /* of these, not older than asked for */
};

/* Adds them up, with those younger than `age_s`. 0 or -errno. */
int listeners_half_open(const struct service_map *map, unsigned age_s, struct half_open_count counts[SERVICES_MAX]);

enum listeners_state {
	LISTENERS_HALF_OPEN, /* SYN_RECV */
	LISTENERS_CONNECTED, /* established or closing, but not in TIME_WAIT */
};

/* The connections of this host in that state on one of `ports`, `flows` freed by the caller. Returns their number, at
 * most `most`, or -errno. */
int listeners_flows(const uint16_t *ports, size_t port_count, enum listeners_state state, size_t most,
		    struct flow **flows);

#endif
