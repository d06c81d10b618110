/* SPDX-License-Identifier: GPL-2.0-or-later */
/* supervisor_parts: what the supervisor's rooms share: supervisor.c (life), listening.c (what this host's sockets tell),
 * rules.c (what the kernel's rules are to say), postures.c (what is armed), orders.c (what an operator asks for). */
#ifndef SYNMOAT_SUPERVISOR_PARTS_H
#define SYNMOAT_SUPERVISOR_PARTS_H

#include "supervisor.h"

/* Runs `job` in every shard, one after the other. */
void supervisor_call_all(struct supervisor *supervisor, worker_job *job, void *argument);

/* The rules for what is bound, listed, and in these postures. 0 or -errno, which the log has, and then they are stale. */
int supervisor_apply_rules(struct supervisor *supervisor, const enum service_posture *postures);

/* As they are. */
int supervisor_apply_rules_again(struct supervisor *supervisor);

/* Enters connections that conntrack may not know in the rules. */
void supervisor_know_flows(struct supervisor *supervisor);

/* After the rules: what the configuration says to the shards. */
void supervisor_apply_limits(struct supervisor *supervisor);

/* Takes the sources that the shards found to be over the rate limit, and bans them; and says so now and then. */
void supervisor_ban_sources(struct supervisor *supervisor);
void supervisor_say_bans(struct supervisor *supervisor, uint64_t now_ns);

/* Which ports are bound, how full their backlogs are. Returns whether the bindings changed. */
bool supervisor_read_listeners(struct supervisor *supervisor, uint64_t now_ns);

/* How many half-open connections the kernel holds. */
void supervisor_read_half_open(struct supervisor *supervisor);

/* Looks at every service, arms and disarms, and logs what is new. 0, or -errno if the kernel has refused the rules:
 * nothing has changed then, and it is tried again with the next call. */
int postures_update(struct supervisor *supervisor, bool rules_stale, uint64_t now_ns);

/* Whether some service's backlog fills that is not armed: then it matters whether its server accepts. */
bool postures_press(const struct supervisor *supervisor);

#endif
