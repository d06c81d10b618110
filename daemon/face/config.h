/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config: the configuration file, read by libconfig, checked whole before anybody sees it. See synmoat.conf(5).
 * The first error ends it. No @include, no key twice, at most 1024 (address, port) pairs, each once. */
#ifndef SYNMOAT_CONFIG_H
#define SYNMOAT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "synmoat/addr.h"

#define CONFIG_DEFAULT_PATH "/etc/synmoat/synmoat.conf"
#define CONFIG_DEFAULT_SOCKET "/run/synmoat/control.sock"
#define CONFIG_NAME_BYTES 64

enum config_policy {
	POLICY_ENFORCE,
	POLICY_OBSERVE, /* say what would have been done; send and drop nothing */
};

enum config_cookies {
	COOKIES_AUTO,   /* when the backlog threshold trips */
	COOKIES_ALWAYS, /* from the start */
	COOKIES_NEVER,  /* watch and count only */
};

/* One entry of `services`: every listed port at the address is a service of its own at run time. */
struct config_service {
	char name[CONFIG_NAME_BYTES];
	bool any_address;
	struct addr address; /* unless any_address */
	enum config_cookies cookies;
	uint32_t limit; /* half-open backlog in entries; 0 = the listener's own ("auto") */
	size_t port_count;
	uint16_t *ports; /* host order, owned */
};

struct config {
	enum config_policy policy;
	bool auto_services; /* no `services` given: protect every port that listens on a non-loopback address */
	size_t service_count;
	struct config_service *services; /* owned */
	struct {
		unsigned arm_percent;         /* 1..100 of the limit */
		unsigned disarm_percent;      /* 0..arm_percent - 1 */
		unsigned hold_s;              /* 0..3600: load must stay below disarm_percent this long */
		unsigned handshake_timeout_s; /* 1..300 */
	} backlog;
	struct {
		unsigned unanswered_per_s; /* 0..1000000 SYN-ACKs to a /24 or /48 without an answer; 0 = no limit */
	} reflection;
	struct {
		unsigned half_open; /* 1024..16777216 entries, all shards together */
		unsigned sources;   /* 1024..16777216 */
		unsigned handovers; /* 64..1048576 handovers in flight */
	} tables;
	struct {
		unsigned shards; /* 0 = one per CPU, at most 64 */
		unsigned first;  /* number of the first NFQUEUE; 2 per shard follow. 0..65000 */
	} queues;
	char control_socket[108]; /* sun_path */
};

/* Reads `path` into `config` (which it overwrites; free with config_free). On error it returns -1, leaves nothing to
 * free, and `error` holds "FILE:LINE: what is wrong and what is allowed". */
int config_load(struct config *config, const char *path, char *error, size_t error_bytes);

/* What counts when there is no file at all. */
void config_defaults(struct config *config);

void config_free(struct config *config);

#endif
