/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/guard_parts.h"

/* The cookie for its ISN. */
static void syn_challenge(struct guard *guard, const struct segment *syn, unsigned index, uint64_t now_ns,
			  struct decision *decision)
{
	struct service_learned learned = service_announced(&guard->services[index], !addr_is_v4(&syn->source), now_ns);
	struct flow flow = flow_from_client(syn);
	struct cookie_options carried;

	guard_decide(decision, ACT_DROP, TREAT_PLAIN);
	decision->send = SEND_TO_CLIENT;
	challenge_answer(syn, &learned, &decision->segment, &carried);
	decision->segment.seq = cookie_make(guard->secret, &flow, syn->seq, &carried);
}

void guard_source_challenged(struct guard *guard, struct source *source, unsigned index, uint64_t now_ns)
{
	const struct policy *policy = &guard->limits.policy;
	const struct service *service = &guard->services[index];

	source->challenged += source->challenged < UINT32_MAX;
	policy_challenged(policy, source,
			  policy_limit(policy, atomic_load_explicit(&service->arm_at, memory_order_relaxed)), now_ns);
}

bool guard_may_reply(struct guard *guard, const struct segment *syn, uint64_t now_ns, struct decision *decision)
{
	if (guard->limits.observe || cap_take(guard->replies, &syn->source, now_ns))
		return true;
	guard_count(guard, OUTCOME_SYN_CAPPED);
	guard_decide(decision, ACT_DROP, TREAT_PLAIN);
	return false;
}

void guard_challenge(struct guard *guard, const struct segment *syn, unsigned index, enum outcome outcome,
		     uint64_t now_ns, struct decision *decision)
{
	syn_challenge(guard, syn, index, now_ns, decision);
	guard->unheard[index]++;
	tally_cookie_sent(&guard->tallies[index], outcome == OUTCOME_SYN_CHALLENGED, now_ns);
	guard_count(guard, outcome);
}

/* ---- what has spilled ---- */

void guard_spilled_soon(struct guard *guard, const struct segment *syn)
{
	source_soon(guard->sources, &syn->source);
	cap_soon(guard->replies, &syn->source);
}

/* No cookie would be honoured, or none may be sent. */
static bool unanswerable(const struct guard *guard, const struct segment *syn, int index, uint64_t now_ns)
{
	return index < 0 || guard->limits.observe || guard_is_signed(guard, syn) ||
	       guard->services[index].posture == SERVICE_WATCHING ||
	       guard_cookies_off(guard, &guard->services[index], now_ns);
}

/* Whoever would pass gets a cookie as well, for that is right of any client; where that cannot be, it has to try again. A
 * source that is not known yet stays so: in their number they would drive out those that are. */
void guard_spilled(struct guard *guard, const struct segment *syn, uint32_t interface, uint64_t now_ns,
		   struct decision *decision)
{
	int index = service_map_find(guard->map, &syn->destination, syn->destination_port);
	struct source *source = source_find(guard->sources, &syn->source);
	enum outcome outcome = OUTCOME_SYN_CHALLENGED;

	guard_count(guard, OUTCOME_SYN_RECEIVED);
	if (index >= 0)
		guard_tally_syn(guard, syn, (unsigned)index, now_ns);
	if (unanswerable(guard, syn, index, now_ns)) {
		guard_count(guard, OUTCOME_SYN_SHED);
		guard_decide(decision, ACT_DROP, TREAT_PLAIN);
		return;
	}
	if (source &&
	    guard_syn_outcome(guard, &guard->services[index], source, false, now_ns) == OUTCOME_SYN_SOURCE_CHALLENGED)
		outcome = OUTCOME_SYN_SOURCE_CHALLENGED;
	if (source)
		source->syns += source->syns < UINT32_MAX;
	if (!guard_may_reply(guard, syn, now_ns, decision))
		return;
	if (source)
		guard_source_challenged(guard, source, (unsigned)index, now_ns);
	else
		service_spilled(&guard->services[index], now_ns);
	guard_challenge(guard, syn, (unsigned)index, outcome, now_ns, decision);
	decision->interface = interface;
}
