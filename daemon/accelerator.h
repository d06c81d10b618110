/* SPDX-License-Identifier: GPL-2.0-or-later */
/* accelerator: the XDP program's keeper: which services it answers for, on which interfaces, with which secret and lists; and
 * what it has counted comes back into the shards' numbers. It only takes over what the shards would do themselves:
 * where it is not, they do it. In peace it is loaded and nowhere attached. */
#ifndef SYNMOAT_ACCELERATOR_H
#define SYNMOAT_ACCELERATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edge/links.h"
#include "edge/xdp.h"
#include "face/config.h"
#include "face/report.h"
#include "preflight.h"
#include "synmoat/service.h"

#define ACCELERATOR_PORTS_MAX 64

struct supervisor;

/* Why an interface that is wanted has no program of ours. */
enum port_trouble {
	PORT_FINE,
	PORT_TAKEN,  /* another program is there */
	PORT_TAGS,   /* VLAN tags are taken off before we see them: answers would have none */
	PORT_ALIEN,  /* no Ethernet link: the program knows no other headers */
	PORT_REFUSED /* by the kernel */
};

struct accelerator_port {
	uint32_t index;
	char name[IF_NAMESIZE];
	bool wanted; /* still */
	bool attached, native;
	enum port_trouble trouble;
	int error;              /* PORT_REFUSED: -errno */
	enum port_trouble said; /* that the log has heard of */
	uint64_t retry_ns;
};

struct accelerator_endpoint {
	struct addr address;
	uint16_t port;
	uint16_t service;
	struct service_learned learned;
	bool refused; /* by the program */
};

/* All zero: off. */
struct accelerator {
	struct xdp *xdp; /* NULL: it is not used */
	char why_not[256];
	int watch_fd;
	struct links links;
	bool links_stale;
	uint64_t links_read_ns;  /* last time; 0 = never */
	uint64_t links_retry_ns; /* after one that failed */
	bool ports_cut;
	struct accelerator_port ports[ACCELERATOR_PORTS_MAX];
	size_t port_count;
	struct accelerator_endpoint *endpoints; /* that are in the program, sorted */
	size_t endpoint_count;
	uint8_t followed[SERVICES_MAX]; /* its numbers are read so often more */
	struct xdp_counts counted[SERVICES_MAX];
	struct xdp_counts sum; /* since the start, of all */
	bool shares;           /* the limit of replies with the shards: it is attached somewhere */
	bool has_lists;        /* the last ones */
	uint32_t said_missing; /* which of xdp.interfaces are not there, a bit each */
	bool said_left_out, said_lists, said_bans, said_links;
};

/* -1 with the reason in `error` if `config` says "xdp" and the program cannot be loaded: it is tried. */
int accelerator_refuses(const struct config *config, char *error, size_t error_bytes);

/* 0; with accelerator = "xdp" -1 and the reason in `error`, if it cannot be used. */
int accelerator_open(struct supervisor *supervisor, char *error, size_t error_bytes);

/* Detached everywhere. */
void accelerator_close(struct supervisor *supervisor);

/* After `old` another configuration counts. */
void accelerator_reload(struct supervisor *supervisor, const struct config *old);

/* What was counted since the last time. Before anybody looks at the numbers. */
void accelerator_count(struct supervisor *supervisor, uint64_t now_ns);

/* Before rules that no longer lead cookies to us: services that are not to be armed go out of the program. */
void accelerator_withdraw(struct supervisor *supervisor, const enum service_posture *next);

/* After the rules, and after the shards know that a service is armed: services, interfaces. */
void accelerator_follow(struct supervisor *supervisor, uint64_t now_ns);

/* Readable when interfaces, addresses or routes have changed, or -1; and whether they have. */
int accelerator_watch_fd(const struct supervisor *supervisor);
bool accelerator_links_changed(struct supervisor *supervisor);

/* After the shards. */
void accelerator_take_secret(struct supervisor *supervisor);
void accelerator_take_limits(struct supervisor *supervisor);

/* How much of reflection.unanswered_per_s it uses up: the rest is the shards'. */
uint32_t accelerator_replies(const struct supervisor *supervisor);

/* Connections that the rules are told to know: ruleset_know_flows(). */
void accelerator_know_flows(struct supervisor *supervisor, const struct flow *flows, size_t count);

/* After the rules. */
void accelerator_take_lists(struct supervisor *supervisor);
void accelerator_ban(struct supervisor *supervisor, const struct addr *nets, size_t count, uint32_t ban_s);
void accelerator_unban(struct supervisor *supervisor, const struct addr *net);

/* Whether it answers most SYNs of such a source to the service. */
bool accelerator_answers(const struct supervisor *supervisor, unsigned service, const struct addr *source);

void accelerator_describe(const struct supervisor *supervisor, struct report_accelerator *shown);

/* A line or more for `check`: of a daemon that runs, and before a start. */
void accelerator_check(const struct supervisor *supervisor, struct checks *checks);
void accelerator_preflight(const struct config *config, struct checks *checks);

#endif
