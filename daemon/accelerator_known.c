/* SPDX-License-Identifier: GPL-2.0-or-later */
/* accelerator_known: what the XDP program is to know: secret, limits, lists, bans. */
#include <stdlib.h>
#include <string.h>

#include "accelerator_parts.h"
#include "log.h"

#define NSEC_PER_SEC 1000000000ULL

/* ---- secret and limits ---- */

void accelerator_take_secret(struct supervisor *supervisor)
{
	if (supervisor->accelerator.xdp)
		xdp_set_secret(supervisor->accelerator.xdp, &supervisor->kept->secret);
}

/* The sample's replies are the shards'. */
static uint32_t replies_of(const struct config *config)
{
	return config->reflection.unanswered_per_s - config->reflection.unanswered_per_s / 4;
}

void accelerator_take_limits(struct supervisor *supervisor)
{
	if (!supervisor->accelerator.xdp)
		return;
	xdp_set_cap(supervisor->accelerator.xdp, replies_of(&supervisor->config));
	xdp_set_sample(supervisor->accelerator.xdp, supervisor->config.xdp.sample_per_s);
}

uint32_t accelerator_replies(const struct supervisor *supervisor)
{
	return supervisor->accelerator.shares ? replies_of(&supervisor->config) : 0;
}

/* ---- connections ---- */

void accelerator_know_flows(struct supervisor *supervisor, const struct flow *flows, size_t count)
{
	uint64_t until_ns = worker_now_ns() + RULESET_KNOWN_S * NSEC_PER_SEC;

	for (size_t i = 0; supervisor->accelerator.xdp && i < count; i++)
		xdp_note_lasting(supervisor->accelerator.xdp, &flows[i], until_ns);
}

/* ---- lists and bans ---- */

static bool same_networks(const struct cidr_list *one, const struct cidr_list *other)
{
	bool same = one->count == other->count;

	for (size_t i = 0; same && i < one->count; i++)
		same = cidr_equal(&one->entries[i].cidr, &other->entries[i].cidr);
	return same;
}

/* Nobody asks often; what does not change costs nothing. */
void accelerator_take_lists(struct supervisor *supervisor)
{
	static struct cidr_list allow, deny; /* that it has */
	struct accelerator *accelerator = &supervisor->accelerator;
	int error;

	if (!accelerator->xdp || (accelerator->has_lists && same_networks(&allow, &supervisor->allow) &&
				  same_networks(&deny, &supervisor->deny)))
		return;
	error = xdp_set_lists(accelerator->xdp, &supervisor->allow, &supervisor->deny);
	if (error && !accelerator->said_lists)
		log_warn("xdp: allow and deny lists: %s", strerror(-error));
	accelerator->said_lists = error != 0;
	accelerator->has_lists = !error;
	allow = supervisor->allow;
	deny = supervisor->deny;
}

void accelerator_ban(struct supervisor *supervisor, const struct addr *nets, size_t count, uint32_t ban_s)
{
	struct accelerator *accelerator = &supervisor->accelerator;
	int error = 0;

	if (accelerator->xdp && count)
		error = xdp_ban(accelerator->xdp, nets, count, worker_now_ns() + ban_s * NSEC_PER_SEC);
	if (!error || accelerator->said_bans)
		return;
	accelerator->said_bans = true; /* open: they get cookies, and their ACKs are refused as before */
	log_warn("xdp: sources that are banned are not all dropped early: %s", strerror(-error));
}

void accelerator_unban(struct supervisor *supervisor, const struct addr *net)
{
	if (supervisor->accelerator.xdp)
		xdp_unban(supervisor->accelerator.xdp, net);
}

void accelerator_take_bans(struct supervisor *supervisor)
{
	struct ruleset_ban *bans;
	int count = supervisor->bans_used ? ruleset_bans(&supervisor->ruleset, &bans) : -1;

	for (int i = 0; i < count; i++)
		accelerator_ban(supervisor, &bans[i].net, 1, bans[i].left_s);
	if (count >= 0)
		free(bans);
}
