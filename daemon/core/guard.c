/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/guard.h"

#include <stdlib.h>

#include "core/guard_parts.h"

#define NSEC_PER_MSEC 1000000ULL

#define LEARN_AGAIN_NS NSEC_PER_SEC       /* what is known is read again this often */
#define LEARN_NEW_NS (20 * NSEC_PER_MSEC) /* what is not known yet, this often */
#define EXPIRE_BATCH 1024
#define COOKIES_UNHEARD 4 /* before a SYN passes to see who answers: a client that comes alone gets its cookie */
#define PROBE_HOPS_MIN 8  /* it is to reach the server */
#define COOKIES_FAIL_NS (5 * NSEC_PER_SEC) /* before the next try, when they could not be sent */
#define COOKIES_WORK_NS \
	(1 * NSEC_PER_SEC) /* after one was sent, those that are not say something of their addresses only */

int guard_init(struct guard *guard, const struct guard_limits *limits, struct service *services,
	       const struct cookie_secret *secret, const struct siphash_key *key, uint64_t now_ns)
{
	*guard = (struct guard){
		.limits = *limits,
		.secret = secret,
		.key = *key,
		.services = services,
		.halfopen = halfopen_new(limits->half_open_max, key),
		.sources = source_new(limits->sources_max, &limits->prefixes, key),
		.splices = splice_new(limits->handovers_max, key),
		.replies = calloc(1, sizeof(struct cap)),
		.tallies = calloc(SERVICES_MAX, sizeof(struct tally)),
		.learn_at_ns = calloc(SERVICES_MAX, sizeof(uint64_t[2])),
		.unheard = calloc(SERVICES_MAX, sizeof(uint32_t)),
	};
	if (guard->replies)
		cap_init(guard->replies, limits->replies_per_s, key, now_ns);
	if (guard->halfopen && guard->sources && guard->splices && guard->replies && guard->tallies &&
	    guard->learn_at_ns && guard->unheard)
		return 0;
	guard_free(guard);
	*guard = (struct guard){.halfopen = NULL}; /* lest it is freed again */
	return -1;
}

void guard_free(struct guard *guard)
{
	halfopen_free(guard->halfopen);
	source_free(guard->sources);
	splice_free(guard->splices);
	free(guard->replies);
	free(guard->tallies);
	free(guard->learn_at_ns);
	free(guard->unheard);
}

/* ---- half-open entries ---- */

void guard_half_open_ended(struct guard *guard, const struct halfopen_entry *ended, enum outcome outcome,
			   uint64_t now_ns)
{
	struct source *source = source_find(guard->sources, &ended->flow.client);

	atomic_fetch_sub_explicit(&guard->services[ended->service].half_open, 1, memory_order_relaxed);
	if (outcome != OUTCOME_HALF_OPEN_EXPIRED &&
	    outcome != OUTCOME_HALF_OPEN_EVICTED) /* the kernel may have these still */
		atomic_fetch_sub_explicit(&guard->services[ended->service].begun_since, 1, memory_order_relaxed);
	if (source && source->half_open)
		source->half_open--;
	if (outcome == OUTCOME_HALF_OPEN_COMPLETED) {
		tally_completed(&guard->tallies[ended->service], now_ns);
		if (source)
			source_completed(guard->sources, source, now_ns);
		if (source && guard->limits.observe)
			policy_answered(source);
	}
	guard_count(guard, outcome);
}

static bool half_open_begun(struct guard *guard, const struct flow *flow, const struct halfopen_syn *syn,
			    struct source *source, uint64_t now_ns)
{
	struct halfopen_entry ended;
	enum halfopen_added added = halfopen_add(guard->halfopen, flow, syn, now_ns, &ended);

	if (added == HALFOPEN_KNOWN)
		return false;
	if (added == HALFOPEN_NEW_EVICTED)
		guard_half_open_ended(guard, &ended, OUTCOME_HALF_OPEN_EVICTED, now_ns);
	source->half_open++;
	atomic_fetch_add_explicit(&guard->services[syn->service].half_open, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&guard->services[syn->service].begun_since, 1, memory_order_relaxed);
	return true;
}

/* ---- SYN ---- */

void guard_tally_syn(struct guard *guard, const struct segment *syn, unsigned index, uint64_t now_ns)
{
	struct tally_sight sight = {
		.net = source_net(guard->sources, &syn->source),
		.signature = tally_signature_of(syn),
	};
	uint64_t words[2];

	memcpy(words, &sight.net, sizeof(words));
	sight.hash = siphash(&guard->key, words, 2);
	tally_syn(&guard->tallies[index], &sight, now_ns);
}

static struct source *syn_count(struct guard *guard, const struct segment *syn, unsigned index, uint64_t now_ns)
{
	struct source *source;
	bool evicted;

	guard_tally_syn(guard, syn, index, now_ns);
	source = source_touch(guard->sources, &syn->source, now_ns, &evicted);
	if (!source->syns && !source->completed)
		policy_source_begins(source, now_ns);
	source->syns += source->syns < UINT32_MAX;
	if (evicted)
		guard_count(guard, OUTCOME_SOURCE_EVICTED);
	return source;
}

/* Whether this SYN is the one to learn from: it offers something not known yet, or all that is known, to see whether it
 * is still so. Where nobody is known to answer, or somebody in a network may, the answer itself is the news. */
static bool learn_from(struct guard *guard, unsigned index, bool v6, uint8_t offered, uint64_t now_ns)
{
	const struct service *service = &guard->services[index];
	uint8_t known = service_learned(service, v6).known;
	bool news = offered & ~known || !service_may_be_answered_for(service);

	if (now_ns < guard->learn_at_ns[index][v6] || (!news && known & ~offered))
		return false;
	guard->learn_at_ns[index][v6] = now_ns + (news ? LEARN_NEW_NS : LEARN_AGAIN_NS);
	return true;
}

/* Whether this SYN, which would be challenged, passes nevertheless, so that its answer tells what cookies must not promise
 * untold: an option, or that there is a server at all. */
static bool learn_while_armed(struct guard *guard, const struct segment *syn, unsigned index, uint64_t now_ns)
{
	const struct service *service = &guard->services[index];
	uint8_t offered = service_offered(&syn->options);
	bool v6 = !addr_is_v4(&syn->source);

	if (offered & ~service_learned(service, v6).known)
		return learn_from(guard, index, v6, offered, now_ns);
	if (guard->unheard[index] < COOKIES_UNHEARD || syn->hops < PROBE_HOPS_MIN ||
	    !service_answer_is_stale(service, now_ns) || now_ns < guard->learn_at_ns[index][v6])
		return false;
	guard->unheard[index] = 0;
	guard->learn_at_ns[index][v6] = now_ns + LEARN_AGAIN_NS;
	return true;
}

/* Whether something has to change before the next SYN: the backlog fills, or this source alone has too much of it. */
static bool has_to_change(struct guard *guard, struct service *service, struct source *source, uint64_t now_ns)
{
	uint8_t posture = atomic_load_explicit(&service->posture, memory_order_relaxed);
	uint32_t half_open = atomic_load_explicit(&service->half_open, memory_order_relaxed);
	const struct policy *policy = &guard->limits.policy;
	uint32_t limit = policy_limit(policy, atomic_load_explicit(&service->arm_at, memory_order_relaxed));
	bool wary = policy_passed(policy, source, limit, now_ns) &&
		    !atomic_load_explicit(&service->exempt, memory_order_relaxed);

	if (wary)
		service_wary_until(service, now_ns + policy->span_s * NSEC_PER_SEC);
	return (wary && posture == SERVICE_WATCHING) || (posture != SERVICE_ARMED && service_trips(service, half_open));
}

/* Lets the SYN pass and watches its handshake. */
static void syn_accept(struct guard *guard, const struct segment *syn, unsigned index, struct source *source,
		       enum outcome outcome, bool learn, uint64_t now_ns, struct decision *decision)
{
	struct flow flow = flow_from_client(syn);
	struct halfopen_syn noted = {(uint16_t)index, service_offered(&syn->options), syn->seq};

	guard_decide(decision, ACT_PASS, learn ? TREAT_LEARN : TREAT_HALF_OPEN);
	if (!half_open_begun(guard, &flow, &noted, source, now_ns)) {
		tally_retransmitted(&guard->tallies[index], now_ns);
		guard_count(guard, OUTCOME_SYN_RETRANSMITTED);
		return;
	}
	tally_begun(&guard->tallies[index], now_ns);
	guard_count(guard, outcome);
	if (has_to_change(guard, &guard->services[index], source, now_ns))
		decision->trip = (int)index;
}

void guard_cookies_work(struct guard *guard, uint64_t now_ns)
{
	guard->cookies_work_until_ns = now_ns + COOKIES_WORK_NS;
}

void guard_cookies_fail(struct guard *guard, uint64_t now_ns)
{
	if (now_ns < guard->cookies_work_until_ns)
		return;
	atomic_store_explicit(&guard->cookies_fail_until_ns, now_ns + COOKIES_FAIL_NS, memory_order_relaxed);
}

bool guard_cookies_off(const struct guard *guard, const struct service *service, uint64_t now_ns)
{
	return service->untracked || !service_may_be_answered_for(service) ||
	       now_ns < atomic_load_explicit(&guard->cookies_fail_until_ns, memory_order_relaxed) ||
	       atomic_load_explicit(&service->exempt, memory_order_relaxed);
}

enum outcome guard_syn_outcome(const struct guard *guard, const struct service *service, const struct source *source,
			       bool begun, uint64_t now_ns)
{
	uint32_t arm_at = atomic_load_explicit(&service->arm_at, memory_order_relaxed);
	struct policy_syn syn = {
		.source = source,
		.half_open_limit = policy_limit(&guard->limits.policy, arm_at),
		.posture = atomic_load_explicit(&service->posture, memory_order_acquire),
		.cookies_off = guard_cookies_off(guard, service, now_ns),
		.begun = begun,
		.room = !atomic_load_explicit(&service->everybody, memory_order_relaxed) &&
			service_held(service) < atomic_load_explicit(&service->crowd_at, memory_order_relaxed),
	};

	return policy_syn(&guard->limits.policy, &syn, now_ns);
}

bool guard_challenges(const struct guard *guard, const struct segment *syn, uint64_t now_ns)
{
	int index = service_map_find(guard->map, &syn->destination, syn->destination_port);
	struct flow flow = flow_from_client(syn);
	enum outcome outcome;

	if (index < 0 || guard->limits.observe ||
	    atomic_load_explicit(&guard->services[index].posture, memory_order_acquire) == SERVICE_WATCHING)
		return false;
	outcome = guard_syn_outcome(guard, &guard->services[index], source_find(guard->sources, &syn->source),
				    halfopen_find(guard->halfopen, &flow), now_ns);
	return outcome == OUTCOME_SYN_CHALLENGED || outcome == OUTCOME_SYN_SOURCE_CHALLENGED;
}

enum outcome guard_explain(const struct guard *guard, const struct addr *client, unsigned index, uint64_t now_ns)
{
	const struct source *source = source_find(guard->sources, client);
	enum outcome outcome = guard_syn_outcome(guard, &guard->services[index], source, false, now_ns);
	bool challenged = outcome == OUTCOME_SYN_CHALLENGED || outcome == OUTCOME_SYN_SOURCE_CHALLENGED;

	if (challenged && !guard->limits.observe && !cap_has(guard->replies, client, now_ns))
		return OUTCOME_SYN_CAPPED;
	return outcome;
}

/* Challenged, unless the answer may not be sent. */
static void syn_to_challenge(struct guard *guard, const struct segment *syn, unsigned index, struct source *source,
			     enum outcome outcome, uint64_t now_ns, struct decision *decision)
{
	if (outcome == OUTCOME_SYN_SOURCE_CHALLENGED)
		service_wary_until(&guard->services[index], now_ns + guard->limits.policy.span_s * NSEC_PER_SEC);
	if (!guard_may_reply(guard, syn, now_ns, decision))
		return;
	guard_source_challenged(guard, source, index, now_ns);
	if (guard->limits.observe)
		syn_accept(guard, syn, index, source, outcome, false, now_ns, decision);
	else
		guard_challenge(guard, syn, index, outcome, now_ns, decision);
}

bool guard_is_signed(const struct guard *guard, const struct segment *syn)
{
	return (syn->options.md5 && guard->limits.kernel_checks_md5) ||
	       (syn->options.ao && guard->limits.kernel_checks_ao);
}

void guard_syn(struct guard *guard, const struct segment *syn, uint32_t interface, uint64_t now_ns,
	       struct decision *decision)
{
	int index = service_map_find(guard->map, &syn->destination, syn->destination_port);
	uint8_t offered = service_offered(&syn->options);
	bool v6 = !addr_is_v4(&syn->source);
	struct flow flow = flow_from_client(syn);
	bool begun = halfopen_find(guard->halfopen, &flow);
	struct service *service;
	struct source *source;
	enum outcome outcome;
	bool learn;

	guard_count(guard, OUTCOME_SYN_RECEIVED);
	if (index < 0) {
		guard_count(guard, OUTCOME_SYN_UNKNOWN);
		guard_decide(decision, ACT_PASS, TREAT_SEEN);
		return;
	}
	if (guard_is_signed(guard, syn)) {
		guard_count(guard, OUTCOME_SYN_SIGNED);
		guard_decide(decision, ACT_PASS, TREAT_SEEN);
		return;
	}
	service = &guard->services[index];
	source = syn_count(guard, syn, (unsigned)index, now_ns);
	outcome = guard_syn_outcome(guard, service, source, begun, now_ns);
	if (outcome == OUTCOME_SYN_ACCEPTED || outcome == OUTCOME_SYN_DIRECT) {
		learn = learn_from(guard, (unsigned)index, v6, offered, now_ns);
		if (service->host_bits && !learn && !begun) { /* nothing is armed on a network's account */
			guard_count(guard, OUTCOME_SYN_UNFOUND);
			guard_decide(decision, ACT_PASS, TREAT_SEEN);
			return;
		}
		syn_accept(guard, syn, (unsigned)index, source, outcome, learn, now_ns, decision);
		return;
	}
	if (learn_while_armed(guard, syn, (unsigned)index, now_ns)) {
		syn_accept(guard, syn, (unsigned)index, source, OUTCOME_SYN_TO_LEARN, true, now_ns, decision);
		return;
	}
	syn_to_challenge(guard, syn, (unsigned)index, source, outcome, now_ns, decision);
	decision->interface = interface;
}

/* ---- the end of the half-open state ---- */

/* Whether the kernel takes this RST, too: exactly in sequence, and without timestamps, which it would compare with those
 * of the SYN (tcp_check_req(), net/ipv4/tcp_minisocks.c). Otherwise a flood of SYNs and bad RSTs would fill the backlog
 * unseen, as it would by whatever else has a SYN in it: that ends nothing. A client that knows of no connection sends just
 * such a RST (RFC 9293 3.5.2, RFC 7323 3.2). */
static bool ends_half_open(const struct halfopen_entry *entry, const struct segment *segment)
{
	if (segment->flags & TCP_SYN)
		return false;
	return !(segment->flags & TCP_RST) || (segment->seq == entry->client_isn + 1 && !segment->options.timestamps);
}

static void untracked(struct guard *guard, const struct flow *flow, uint64_t now_ns, struct decision *decision)
{
	struct splice *splice = splice_find(guard->splices, flow);
	struct halfopen_entry ended;

	guard_decide(decision, ACT_PASS, TREAT_PLAIN);
	if (halfopen_end(guard->halfopen, flow, &ended)) {
		guard_half_open_ended(guard, &ended, OUTCOME_HALF_OPEN_UNTRACKED, now_ns);
	} else if (splice && splice->state == SPLICE_SYN_SENT) {
		guard->services[splice->service].untracked = true; /* no more cookies for it */
		guard_decide(decision, ACT_DROP, TREAT_PLAIN);
		guard_reset_client(guard, splice, now_ns, decision);
		guard_count(guard, OUTCOME_HALF_OPEN_UNTRACKED);
	}
}

void guard_first_ack(struct guard *guard, const struct segment *ack, uint64_t now_ns, struct decision *decision)
{
	struct flow flow = flow_from_client(ack);
	const struct halfopen_entry *entry = halfopen_find(guard->halfopen, &flow);
	struct halfopen_entry ended;

	if ((ack->flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK)) == TCP_SYN) {
		untracked(guard, &flow, now_ns, decision);
		return;
	}
	guard_decide(decision, ACT_PASS, TREAT_PLAIN);
	if (!entry || !ends_half_open(entry, ack)) {
		guard_count(guard, OUTCOME_PACKET_PASSED);
		return;
	}
	halfopen_end(guard->halfopen, &flow, &ended);
	guard_half_open_ended(guard, &ended,
			      ack->flags & TCP_RST ? OUTCOME_HALF_OPEN_RESET : OUTCOME_HALF_OPEN_COMPLETED, now_ns);
}

/* ---- time ---- */

static void expire_half_open(struct guard *guard, uint64_t now_ns)
{
	uint64_t timeout_ns = guard->limits.handshake_timeout_s * NSEC_PER_SEC;
	struct halfopen_entry ended;

	for (unsigned i = 0; i < EXPIRE_BATCH && now_ns >= timeout_ns; i++) {
		if (!halfopen_expire(guard->halfopen, now_ns - timeout_ns, &ended))
			return;
		guard_half_open_ended(guard, &ended, OUTCOME_HALF_OPEN_EXPIRED, now_ns);
	}
}

bool guard_due(struct guard *guard, uint64_t now_ns, struct decision *decision)
{
	expire_half_open(guard, now_ns);
	return guard_handover_due(guard, now_ns, decision);
}
