/* SPDX-License-Identifier: GPL-2.0-or-later */
/* listeners: what the kernel's sock_diag knows of this host's TCP sockets. */
#ifndef SYNMOAT_LISTENERS_H
#define SYNMOAT_LISTENERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "synmoat/addr.h"

/* A listening address; sockets that share it (SO_REUSEPORT) are one. */
struct listener {
	bool any_address;
	struct addr address; /* the address; if any_address, :: or v4-mapped 0.0.0.0 */
	uint16_t port;
	bool serves_v4, serves_v6;
	uint32_t backlog; /* half-open connections that it holds, all sockets together */
};

/* All of them, freed by the caller. A backlog is what listen(2) asked for, within the limit that
 * net.ipv4.tcp_max_syn_backlog sets (tcp_conn_request() keeps its last quarter for known peers). Returns their number,
 * or -errno. */
int listeners_read(struct listener **listeners);

/* The connections of this host that are half-open, established or closing on one of `ports`, `flows` freed by the caller.
 * Returns their number, at most `most`, or -errno. */
int listeners_flows(const uint16_t *ports, size_t port_count, size_t most, struct flow **flows);

#endif
