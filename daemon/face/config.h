/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config: the configuration file, read by libconfig, checked whole before anybody sees it. See synmoat.conf(5).
 * The first error ends it. No @include, no key twice, at most 1024 (address, port) pairs, each once, and
 * at most CIDR_LIST_MAX networks per list, each once. */
#ifndef SYNMOAT_CONFIG_H
#define SYNMOAT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <net/if.h>
#include <stdint.h>
#include <sys/types.h>

#include "edge/xdp.h"
#include "synmoat/addr.h"
#include "synmoat/cidr.h"

#define CONFIG_DEFAULT_PATH "/etc/synmoat/synmoat.conf"
#define CONFIG_DEFAULT_SOCKET "/run/synmoat/control.sock"
#define CONFIG_NAME_BYTES 64
#define CONFIG_GROUP_BYTES 33 /* what useradd(8) and systemd take: 32 and a NUL */

enum config_mode {
	MODE_HOST,    /* in front of the servers on this host */
	MODE_GATEWAY, /* in front of servers behind it */
};

enum config_policy {
	POLICY_ENFORCE,
	POLICY_OBSERVE, /* say what would have been done; send and drop nothing */
};

enum config_cookies {
	COOKIES_AUTO,   /* when the backlog threshold trips */
	COOKIES_ALWAYS, /* from the start */
	COOKIES_NEVER,  /* watch and count only */
};

/* What happens to a connection beyond a source's rate limit. */
enum config_action {
	ACTION_DROP,
	ACTION_RESET,
};

/* Who may connect to the control socket. */
enum config_access {
	ACCESS_GROUP,     /* root and the control group: mode 0660 */
	ACCESS_EVERYBODY, /* mode 0666; verbs that change something still need root or the group */
};

/* SYNs to armed services beyond the rate that is queued. */
enum config_spill {
	SPILL_ANSWER, /* over the link that they came by */
	SPILL_OFF,    /* all are queued */
};

/* SYNs that cannot be looked at: because a queue is full, or because the daemon is gone. */
enum config_unseen {
	UNSEEN_PASS,       /* they go on */
	UNSEEN_DROP_ARMED, /* those to armed services are dropped */
	UNSEEN_DROP,       /* those to all protected services are */
};

/* ACKs of connections behind a gateway that nobody knows. */
enum config_strays {
	STRAYS_DROP,
	STRAYS_RESET, /* both ends are told */
};

/* Who answers SYNs to armed services: bpf/synmoat.bpf.c, or the daemon alone. */
enum config_accelerator {
	ACCELERATOR_AUTO, /* the program where it can be used */
	ACCELERATOR_XDP,  /* the program: without it there is no start */
	ACCELERATOR_OFF,
};

#define CONFIG_INTERFACES_MAX 16
#define CONFIG_PATH_BYTES 256
#define CONFIG_LISTEN_BYTES 56 /* an address in brackets, a port, and to spare */

/* One entry of `services`: every listed port at the address is a service of its own at run time. */
struct config_service {
	char name[CONFIG_NAME_BYTES];
	bool any_address;
	struct addr address; /* unless any_address; of a network (gateway only), host bits are zero */
	uint8_t host_bits;   /* 0 = one address; 32 bits of an IPv4 address at most, 128 of an IPv6 one */
	enum config_cookies cookies;
	uint32_t limit; /* half-open backlog in entries; 0 ("auto") = the listener's own, behind a gateway learned */
	size_t port_count;
	uint16_t *ports; /* host order, owned */
};

struct config {
	enum config_mode mode;
	enum config_policy policy;
	enum config_unseen on_overload; /* a queue is full; not given: pass, of a gateway drop-armed */
	enum config_unseen on_exit;     /* the daemon is gone; likewise */
	struct {
		char secret_file[CONFIG_PATH_BYTES]; /* "" = a secret of our own; else shared with other gateways */
		enum config_strays strays;
		unsigned grace_s; /* 0..86400: so long after the start strays pass, a few per second */
	} gateway;                /* MODE_GATEWAY only */
	bool auto_services;       /* no `services` given: protect every port that listens on a non-loopback address */
	size_t service_count;
	struct config_service *services; /* owned */
	struct cidr *allow;              /* owned, as written, each once; NULL when there is none. Wins over deny */
	struct cidr *deny;               /* likewise */
	size_t allow_count, deny_count;  /* 0..CIDR_LIST_MAX */
	struct {
		unsigned arm_percent;    /* 1..100 of the limit */
		unsigned crowd_percent;  /* arm_percent..100: arms although most complete; not given: max(85, arm) */
		unsigned disarm_percent; /* 0..arm_percent - 1 */
		unsigned hold_s;         /* 0..3600: load must stay below disarm_percent this long */
		unsigned handshake_timeout_s; /* 1..300 */
	} backlog;
	struct {
		unsigned half_open_limit;  /* 0..1000000 half-open handshakes of one source; 0 = no limit */
		unsigned prefix_v4;        /* 8..32 bits that make a source */
		unsigned prefix_v6;        /* 16..128 bits */
		unsigned proven_s;         /* 0..86400 that a completed handshake proves a source; 0 = never */
		unsigned direct_half_open; /* 0..1024 of a proven source while armed; 0 = always challenge */
	} sources;
	struct {
		unsigned connections_per_s; /* 0..30000 of one proven source; 0 = no limit */
		unsigned burst;             /* 1..60000 connections at once */
		enum config_action action;
		unsigned ban_s; /* 0..86400; 0 = never */
	} rate_limit;
	struct {
		unsigned unanswered_per_s; /* 0..1000000 SYN-ACKs to a /24 or /48 without an answer; 0 = no limit */
	} reflection;
	struct {
		unsigned half_open; /* 1024..16777216 entries, all shards together */
		unsigned sources;   /* 1024..16777216 */
		unsigned handovers; /* 64..1048576 handovers in flight */
		unsigned bans;      /* 64..1048576 sources banned at once */
	} tables;
	struct {
		unsigned shards; /* 0 = one per CPU, at most 64 */
		unsigned first;  /* number of the first NFQUEUE; 3 per shard follow. 0..65000 */
		enum config_spill spill;
	} queues;
	enum config_accelerator accelerator;
	struct {
		size_t interface_count; /* 0 = those that a default route leads through */
		char interfaces[CONFIG_INTERFACES_MAX][IF_NAMESIZE];
		enum xdp_mode mode;
		unsigned sample_per_s; /* 1..100000 SYNs per CPU that the daemon sees all the same */
	} xdp;
	struct {
		char listen[CONFIG_LISTEN_BYTES]; /* "" = nowhere, "127.0.0.1:9464", "[::1]:9464" */
		struct addr address;              /* of it: of loopback */
		uint16_t port;
	} metrics;
	char control_socket[108]; /* sun_path */
	enum config_access control_access;
	bool has_control_group; /* else only root may change something */
	char control_group[CONFIG_GROUP_BYTES];
	gid_t control_gid; /* of control_group when the file was read */
};

/* Reads `path` into `config` (which it overwrites; free with config_free). On error it returns -1, leaves nothing to
 * free, and `error` holds "FILE:LINE: what is wrong and what is allowed". */
int config_load(struct config *config, const char *path, char *error, size_t error_bytes);

/* Where a configuration comes from. */
struct config_file {
	const char *path;
	bool required; /* or else, if there is none, the defaults count */
};

/* As config_load(), from there. */
int config_load_from(struct config *config, const struct config_file *file, char *error, size_t error_bytes);

/* What counts when there is no file at all. */
void config_defaults(struct config *config);

void config_free(struct config *config);

#endif
