/* SPDX-License-Identifier: GPL-2.0-or-later */
/* supervisor_parts: what the supervisor's rooms share: supervisor.c (life), reloading.c (another configuration),
 * listening.c (what this host's sockets tell), rules.c (what the kernel's rules are to say), postures.c (what is armed),
 * incidents.c (what is said of it), secrets.c (what cookies are made with), orders.c (what an operator asks for),
 * telling.c (what others are to hear of), allowed.c (whom nobody looks at), accelerator.c (what XDP does for us), checks.c (what may be wrong with this host). */
#ifndef SYNMOAT_SUPERVISOR_PARTS_H
#define SYNMOAT_SUPERVISOR_PARTS_H

#include "supervisor.h"

/* The lists of the configuration beside what was added at run time: both or neither. -1 when there is no room. */
int supervisor_configure_lists(struct supervisor *supervisor, const struct config *config);

/* Runs `job` in every shard, one after the other. */
void supervisor_call_all(struct supervisor *supervisor, worker_job *job, void *argument);

/* Whether SYNs that cannot be looked at pass, those to armed services or to others: with observe nothing is dropped. */
static inline bool supervisor_passes_unseen(const struct config *config, bool armed)
{
	return config->policy == POLICY_OBSERVE || config->on_overload == UNSEEN_PASS ||
	       (config->on_overload == UNSEEN_DROP_ARMED && !armed);
}

/* The rules for what is bound, listed, and in these postures. 0 or -errno, which the log has, and then they are stale. */
int supervisor_apply_rules(struct supervisor *supervisor, const enum service_posture *postures);

/* As they are. */
int supervisor_apply_rules_again(struct supervisor *supervisor);

/* Whether a shard could send no cookies lately. */
bool supervisor_cookies_fail(const struct supervisor *supervisor);

/* Whether SYNs to services of these postures may spill: as copies that can only be answered. */
bool supervisor_may_spill(const struct supervisor *supervisor, const enum service_posture *postures);

/* Hears what others did to nftables, makes the keeper again if they took it away, and says so now and then. Returns
 * whether supervisor_apply_rules() has to make something again, too. */
bool supervisor_restore_rules(struct supervisor *supervisor, uint64_t now_ns);

/* Enters connections that conntrack may not know in the rules. */
void supervisor_know_flows(struct supervisor *supervisor);

/* How many threads the configuration asks for. */
unsigned supervisor_shards(const struct config *config);

/* After the rules: what the configuration says to the shards. */
void supervisor_apply_limits(struct supervisor *supervisor);

/* Takes the sources that the shards found to be over the rate limit, and bans them; and says so now and then. */
void supervisor_ban_sources(struct supervisor *supervisor);
void supervisor_say_bans(struct supervisor *supervisor, uint64_t now_ns);

/* Which ports are bound, how full their backlogs are. Returns whether the bindings changed. */
bool supervisor_read_listeners(struct supervisor *supervisor, uint64_t now_ns);

/* Takes the servers that the shards have found behind this host. Returns whether there are new ones: then the listeners
 * are to be read. */
bool supervisor_take_found(struct supervisor *supervisor, uint64_t now_ns);

/* How many half-open connections the kernel holds. */
void supervisor_read_half_open(struct supervisor *supervisor);

/* After that: whether it is allowed sources that fill a backlog. */
void supervisor_note_allowed(struct supervisor *supervisor, uint64_t now_ns);

/* The secret that counts now: at the start, and whenever time asks for it. secrets_open() returns -1 when there is none,
 * with the reason in `error`; secrets_refuse() whether it would; secrets_tick() returns the milliseconds until it wants to be called again. */
int secrets_refuse(const struct config *config, char *error, size_t error_bytes);
int secrets_open(struct supervisor *supervisor, const struct config *config, char *error, size_t error_bytes);
int secrets_tick(struct supervisor *supervisor, uint64_t now_ns);
void secrets_close(struct supervisor *supervisor); /* once no shard runs */

/* After a reload: another file may count. */
void secrets_reload(struct supervisor *supervisor, uint64_t now_ns);

/* What an administrator may want to change about this host, at the start and after a reload. */
void supervisor_say_host(struct supervisor *supervisor);

/* Looks at every service, arms and disarms, and logs what is new. 0, or -errno if the kernel has refused the rules:
 * nothing has changed then, and it is tried again with the next call. */
int postures_update(struct supervisor *supervisor, bool rules_stale, uint64_t now_ns);

/* In the last full second or this one, whichever had more. */
uint32_t supervisor_syn_rate(const struct look *look);

/* Events about a service. `observed` is what was seen at this look. incidents_say_posture() is for one that is armed or
 * disarmed right now, incidents_say() for any other; incidents_begin() lets the shards count anew. */
void incidents_begin(struct supervisor *supervisor, unsigned index);
void incidents_say_posture(struct supervisor *supervisor, unsigned index, bool armed, enum incident_event happened,
			   const struct observation *observed);
void incidents_say(struct supervisor *supervisor, unsigned index, enum incident_event happened,
		   const struct observation *observed);
/* An attack of which the begin was told, and that we cannot see the end of. */
void incidents_cut_short(struct supervisor *supervisor, unsigned index, const char *why);
void incidents_say_elsewhere(struct supervisor *supervisor, struct service *service, uint64_t now_ns);

/* Whether some service's backlog fills that is not armed: then it matters whether its server accepts. */
bool postures_press(const struct supervisor *supervisor);

#endif
