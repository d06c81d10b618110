/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/policy.h"

#define NSEC_PER_SEC 1000000000ULL
/* Of struct source's `due`: a tick is 128 ns, and 2^48 of them are 417 days. */
#define TICK_SHIFT 7
#define TICKS_PER_SEC (NSEC_PER_SEC >> TICK_SHIFT)
#define TICK_MASK ((1ULL << 48) - 1)

static uint32_t seconds(uint64_t now_ns)
{
	return (uint32_t)(now_ns / NSEC_PER_SEC);
}

/* A clock that was set back makes no time pass. */
static uint32_t elapsed(uint32_t since, uint32_t now)
{
	return (int32_t)(now - since) > 0 ? now - since : 0;
}

/* ---- rate ----
 *
 * The virtual scheduling of ITU-T I.371 (GCRA): a connection is due an interval after the one before it, and may come
 * earlier by a burst's worth of intervals. */

/* How far `due` lies ahead of `now`, in ticks; 0 if it is past. */
static uint64_t ahead_of(uint64_t now, uint64_t due)
{
	uint64_t ahead = (due - now) & TICK_MASK;

	return ahead <= TICK_MASK / 2 ? ahead : 0;
}

static void burst_fill(struct source *source, uint64_t now_ns)
{
	source->due = (now_ns >> TICK_SHIFT) & TICK_MASK;
}

/* In ticks. Rounded up: less than 0.4 % at 30,000 connections per second, less below. */
static uint64_t interval_of(const struct policy *policy)
{
	return (TICKS_PER_SEC + policy->rate_per_s - 1) / policy->rate_per_s;
}

/* In ticks; with a rate. That of another rate, or of before the clock was set back, is a burst and no more. */
static uint64_t debt_of(const struct policy *policy, const struct source *source, uint64_t now_ns)
{
	uint64_t ahead = ahead_of(now_ns >> TICK_SHIFT, source->due);
	uint64_t most = interval_of(policy) * policy->rate_burst;

	return ahead < most ? ahead : most;
}

static bool connection_take(const struct policy *policy, struct source *source, uint64_t now_ns)
{
	uint64_t now = now_ns >> TICK_SHIFT;
	uint64_t ahead, interval, most;

	if (!policy->rate_per_s)
		return true;
	interval = interval_of(policy);
	most = interval * (policy->rate_burst - 1U);
	ahead = debt_of(policy, source, now_ns);
	source->due = (now + ahead + (ahead <= most ? interval : 0)) & TICK_MASK;
	return ahead <= most;
}

/* ---- sources ---- */

static uint32_t wary_for_s(const struct source *source, uint64_t now_ns)
{
	return elapsed(source->wary_since_s, seconds(now_ns));
}

static bool holds_too_many(const struct source *source, uint32_t half_open_limit)
{
	return half_open_limit && source->half_open >= half_open_limit;
}

bool policy_wary(const struct policy *policy, const struct source *source, uint32_t half_open_limit, uint64_t now_ns)
{
	if (holds_too_many(source, half_open_limit))
		return true;
	if (!source->wary_since_s)
		return false;
	if (policy->rate_per_s && ahead_of(now_ns >> TICK_SHIFT, source->due))
		return true;
	if (wary_for_s(source, now_ns) >= 2 * policy->span_s) /* a span without a challenge leaves nothing unanswered */
		return false;
	return source->owed >= POLICY_OWED_CALM || wary_for_s(source, now_ns) < policy->span_s;
}

/* Below it, so that the rest of the backlog presses the service, not this source. */
uint32_t policy_limit(const struct policy *policy, uint32_t arm_at)
{
	uint32_t share = arm_at / 2 > SOURCE_HEAVY ? arm_at / 2 : SOURCE_HEAVY;

	return policy->half_open_limit < share ? policy->half_open_limit : share;
}

bool policy_proven(const struct policy *policy, const struct source *source, uint64_t now_ns)
{
	return source->proven_s && elapsed(source->proven_s, seconds(now_ns)) < policy->proven_s;
}

enum outcome policy_syn(const struct policy *policy, const struct policy_syn *syn, uint64_t now_ns)
{
	const struct source *source = syn->source;

	if (syn->begun || syn->cookies_off)
		return OUTCOME_SYN_ACCEPTED;
	if (syn->posture == SERVICE_WATCHING) /* no rule would bring us the third ACK */
		return OUTCOME_SYN_ACCEPTED;
	if (source && policy_wary(policy, source, syn->half_open_limit, now_ns))
		return OUTCOME_SYN_SOURCE_CHALLENGED;
	if (syn->posture != SERVICE_ARMED)
		return OUTCOME_SYN_ACCEPTED;
	if (source && policy_proven(policy, source, now_ns) && source->half_open < policy->direct_half_open &&
	    syn->room)
		return OUTCOME_SYN_DIRECT;
	return OUTCOME_SYN_CHALLENGED;
}

/* ---- what changes a source ---- */

void policy_source_begins(struct source *source, uint64_t now_ns)
{
	burst_fill(source, now_ns);
}

/* From here on only returned cookies count: whoever used up the burst need not have been the source. What was used up is
 * not forgotten, though: its span begins when that is made up for, and it is wary until then, too. */
static void wary_begins(const struct policy *policy, struct source *source, uint64_t now_ns)
{
	uint32_t debt_s = policy->rate_per_s ? (uint32_t)(debt_of(policy, source, now_ns) / TICKS_PER_SEC) : 0;

	source->wary_since_s = (seconds(now_ns) ? seconds(now_ns) : 1) + debt_s;
	source->owed = 0;
	burst_fill(source, now_ns);
}

bool policy_passed(const struct policy *policy, struct source *source, uint32_t half_open_limit, uint64_t now_ns)
{
	if (source->wary_since_s && !policy_wary(policy, source, half_open_limit, now_ns))
		source->wary_since_s = 0;
	if (source->wary_since_s)
		return true;
	if (!holds_too_many(source, half_open_limit) && connection_take(policy, source, now_ns))
		return false;
	wary_begins(policy, source, now_ns);
	return true;
}

void policy_challenged(const struct policy *policy, struct source *source, uint32_t half_open_limit, uint64_t now_ns)
{
	if (source->wary_since_s && wary_for_s(source, now_ns) >= policy->span_s) {
		source->wary_since_s = policy_wary(policy, source, half_open_limit, now_ns) ? seconds(now_ns) : 0;
		source->owed = 0;
	}
	source->owed += source->owed < SOURCE_OWED_MAX;
}

void policy_answered(struct source *source)
{
	source->owed -= source->owed > 0;
}

bool policy_returned(const struct policy *policy, struct source *source, uint64_t now_ns)
{
	policy_answered(source);
	if (connection_take(policy, source, now_ns))
		return true;
	if (!source->wary_since_s) {
		wary_begins(policy, source, now_ns);
		return true;
	}
	if (source->owed < POLICY_OWED_CALM) /* it stays wary for as long as it goes on */
		source->owed = POLICY_OWED_CALM;
	return false;
}
