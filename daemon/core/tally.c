/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/tally.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define NSEC_PER_SEC 1000000000ULL

_Static_assert(TALLY_BINS > TALLY_WINDOW_S && (TALLY_BINS & (TALLY_BINS - 1)) == 0,
	       "the bin of a second is a mask away");
_Static_assert(sizeof(struct tally_signature) == 4, "a signature is compared as bytes and may hold no padding");

static uint32_t second_of(uint64_t now_ns)
{
	return (uint32_t)(now_ns / NSEC_PER_SEC);
}

static uint32_t sum_of(uint32_t one, uint32_t other)
{
	return one > UINT32_MAX - other ? UINT32_MAX : one + other;
}

/* ---- signatures ---- */

/* Every hop takes one, and hardly a path is as long as the gaps between what systems start with. */
static uint8_t hops_at_start(uint8_t hops)
{
	return hops <= 32 ? 32 : hops <= 64 ? 64 : hops <= 128 ? 128 : 255;
}

struct tally_signature tally_signature_of(const struct segment *syn)
{
	const struct tcp_options *options = &syn->options;

	return (struct tally_signature){
		.hops = hops_at_start(syn->hops),
		.options = (uint8_t)((options->mss ? TALLY_MSS : 0) | (options->wscale >= 0 ? TALLY_WSCALE : 0) |
				     (options->sack ? TALLY_SACK : 0) | (options->timestamps ? TALLY_TIMESTAMPS : 0)),
		.window = syn->window,
	};
}

void tally_signature_text(const struct tally_signature *signature, char text[TALLY_SIGNATURE_BYTES])
{
	static const char *const names[] = {"mss", "wscale", "sack", "ts"}; /* by bit */
	char options[sizeof("mss,wscale,sack,ts")] = "";

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(signature->options & 1U << i))
			continue;
		if (options[0])
			strcat(options, ",");
		strcat(options, names[i]);
	}
	snprintf(text, TALLY_SIGNATURE_BYTES, "ttl %u window %u %s", signature->hops, signature->window,
		 options[0] ? options : "no options");
}

/* ---- space-saving ---- */

static struct addr signature_key(const struct tally_signature *signature)
{
	struct addr key = {.bytes = {0}};

	memcpy(&key, signature, sizeof(*signature));
	return key;
}

static void top_add(struct tally_top top[TALLY_TOP], const struct addr *key)
{
	unsigned least = 0;

	for (unsigned i = 0; i < TALLY_TOP; i++) {
		if (top[i].syns && addr_equal(&top[i].net, key)) {
			top[i].syns++;
			return;
		}
		if (top[i].syns < top[least].syns)
			least = i;
	}
	top[least].net = *key;
	top[least].over = top[least].syns++;
}

/* What something without an entry may have had at most: the lowest count, or nothing while there is room. */
static uint64_t top_floor(const struct tally_top top[TALLY_TOP])
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < TALLY_TOP; i++)
		if (top[i].syns < least)
			least = top[i].syns;
	return least;
}

static const struct tally_top *top_find(const struct tally_top top[TALLY_TOP], const struct addr *key)
{
	for (unsigned i = 0; i < TALLY_TOP; i++)
		if (top[i].syns && addr_equal(&top[i].net, key))
			return &top[i];
	return NULL;
}

/* Puts `candidate` where the lowest is, if that is lower. */
static void top_offer(struct tally_top top[TALLY_TOP], const struct tally_top *candidate)
{
	unsigned least = 0;

	for (unsigned i = 1; i < TALLY_TOP; i++)
		if (top[i].syns < top[least].syns)
			least = i;
	if (top[least].syns < candidate->syns)
		top[least] = *candidate;
}

/* One entry for whatever has one on either side, by the sum of both counts; then the highest stay. */
static void top_merge(struct tally_top into[TALLY_TOP], const struct tally_top from[TALLY_TOP])
{
	uint64_t floor_into = top_floor(into);
	uint64_t floor_from = top_floor(from);
	struct tally_top only_from[TALLY_TOP];
	unsigned count = 0;

	for (unsigned i = 0; i < TALLY_TOP; i++)
		if (from[i].syns && !top_find(into, &from[i].net))
			only_from[count++] = from[i];
	for (unsigned i = 0; i < TALLY_TOP; i++) {
		const struct tally_top *same = top_find(from, &into[i].net);

		if (!into[i].syns)
			continue;
		into[i].syns += same ? same->syns : floor_from;
		into[i].over += same ? same->over : floor_from;
	}
	for (unsigned i = 0; i < count; i++) {
		only_from[i].syns += floor_into;
		only_from[i].over += floor_into;
		top_offer(into, &only_from[i]);
	}
}

static const struct tally_top *top_certain(const struct tally_top top[TALLY_TOP])
{
	const struct tally_top *best = &top[0];

	for (unsigned i = 1; i < TALLY_TOP; i++)
		if (tally_certain(&top[i]) > tally_certain(best))
			best = &top[i];
	return best->syns ? best : NULL;
}

const struct tally_top *tally_heaviest(const struct tally_sketch *sketch)
{
	return top_certain(sketch->sources);
}

const struct tally_top *tally_commonest(const struct tally_sketch *sketch)
{
	return top_certain(sketch->signatures);
}

/* ---- sketches ---- */

static void sketch_add(struct tally_sketch *sketch, const struct tally_sight *sight, uint64_t now_ns)
{
	uint8_t *reg = &sketch->registers[sight->hash % TALLY_REGISTERS];
	uint8_t rank = (uint8_t)(__builtin_ctzll(sight->hash >> 8 | 1ULL << 55) + 1);
	struct addr signature = signature_key(&sight->signature);

	if (!sketch->syns++)
		sketch->since_ns = now_ns;
	if (rank > *reg)
		*reg = rank;
	top_add(sketch->sources, &sight->net);
	top_add(sketch->signatures, &signature);
}

void tally_sketch_merge(struct tally_sketch *into, const struct tally_sketch *from)
{
	if (!from->syns)
		return;
	if (!into->syns || from->since_ns < into->since_ns)
		into->since_ns = from->since_ns;
	into->syns += from->syns;
	for (unsigned i = 0; i < TALLY_REGISTERS; i++)
		if (from->registers[i] > into->registers[i])
			into->registers[i] = from->registers[i];
	top_merge(into->sources, from->sources);
	top_merge(into->signatures, from->signatures);
}

uint32_t tally_distinct(const struct tally_sketch *sketch)
{
	const double m = TALLY_REGISTERS;
	unsigned empty = 0;
	double sum = 0;
	double estimate;

	for (unsigned i = 0; i < TALLY_REGISTERS; i++) {
		sum += ldexp(1.0, -sketch->registers[i]);
		empty += sketch->registers[i] == 0;
	}
	estimate = 0.7213 / (1 + 1.079 / m) * m * m / sum;
	if (estimate <= 2.5 * m && empty)
		estimate = m * log(m / empty); /* linear counting */
	if (estimate > (double)sketch->syns)   /* each has sent one */
		estimate = (double)sketch->syns;
	return estimate < UINT32_MAX ? (uint32_t)(estimate + 0.5) : UINT32_MAX;
}

/* By how many half-windows it is later than `current`. One back is no jump: a shard may take the time once for many
 * packets. */
static int32_t half_ahead(const struct tally *tally, uint64_t now_ns)
{
	return (int32_t)(second_of(now_ns) / TALLY_HALF_S - tally->half);
}

static void half_turn(struct tally *tally, uint64_t now_ns)
{
	int32_t ahead = half_ahead(tally, now_ns);

	if (ahead == 0 || ahead == -1)
		return;
	tally_sketch_merge(&tally->total, &tally->previous);
	tally->previous = tally->current;
	tally->current = (struct tally_sketch){.syns = 0};
	tally->half = second_of(now_ns) / TALLY_HALF_S;
	if (ahead == 1)
		return;
	tally_sketch_merge(&tally->total, &tally->previous);
	tally->previous = tally->current;
}

void tally_total_reset(struct tally *tally)
{
	tally->total = (struct tally_sketch){.syns = 0};
}

void tally_sketch_window(const struct tally *tally, uint64_t now_ns, struct tally_sketch *sum)
{
	int32_t ahead = half_ahead(tally, now_ns);

	if (ahead == 0 || ahead == -1)
		tally_sketch_merge(sum, &tally->previous);
	if (ahead >= -1 && ahead <= 1)
		tally_sketch_merge(sum, &tally->current);
}

void tally_sketch_total(const struct tally *tally, struct tally_sketch *sum)
{
	tally_sketch_merge(sum, &tally->total);
	tally_sketch_merge(sum, &tally->previous);
	tally_sketch_merge(sum, &tally->current);
}

/* ---- events ---- */

static struct tally_second *this_second(struct tally *tally, uint64_t now_ns)
{
	uint32_t second = second_of(now_ns);
	struct tally_second *bin = &tally->seconds[second % TALLY_BINS];

	if (bin->second != second)
		*bin = (struct tally_second){.second = second};
	return bin;
}

static void unanswered_add(struct tally *tally, int32_t cookies, uint64_t now_ns)
{
	uint32_t second = second_of(now_ns);
	struct tally_unanswered *slot = &tally->unanswered[second % TALLY_SECONDS];
	int32_t sum;

	if (slot->second != second)
		*slot = (struct tally_unanswered){.second = second};
	slot->cookies =
		__builtin_add_overflow(slot->cookies, cookies, &sum) ? (cookies > 0 ? INT32_MAX : INT32_MIN) : sum;
}

void tally_syn(struct tally *tally, const struct tally_sight *sight, uint64_t now_ns)
{
	this_second(tally, now_ns)->syns++;
	tally->totals.syns++;
	half_turn(tally, now_ns);
	sketch_add(&tally->current, sight, now_ns);
}

void tally_begun(struct tally *tally, uint64_t now_ns)
{
	this_second(tally, now_ns)->begun++;
	tally->totals.begun++;
}

void tally_retransmitted(struct tally *tally, uint64_t now_ns)
{
	this_second(tally, now_ns)->retransmitted++;
	tally->totals.retransmitted++;
}

void tally_completed(struct tally *tally, uint64_t now_ns)
{
	this_second(tally, now_ns)->completed++;
	tally->totals.completed++;
}

void tally_cookie_sent(struct tally *tally, bool load, uint64_t now_ns)
{
	this_second(tally, now_ns)->cookies_sent++;
	tally->totals.cookies_sent++;
	unanswered_add(tally, load, now_ns);
}

void tally_cookie_returned(struct tally *tally, bool load, uint64_t now_ns)
{
	this_second(tally, now_ns)->cookies_returned++;
	tally->totals.cookies_returned++;
	unanswered_add(tally, -load, now_ns);
}

void tally_syns_elsewhere(struct tally *tally, uint32_t syns, uint32_t cookies, uint64_t now_ns)
{
	struct tally_second *bin = this_second(tally, now_ns);

	bin->syns = sum_of(bin->syns, syns);
	bin->elsewhere = sum_of(bin->elsewhere, syns);
	bin->cookies_sent = sum_of(bin->cookies_sent, cookies);
	tally->totals.syns += syns;
	tally->totals.cookies_sent += cookies;
	unanswered_add(tally, cookies < INT32_MAX ? (int32_t)cookies : INT32_MAX, now_ns);
}

/* ---- numbers ---- */

static bool any_in(const struct tally_second *bin)
{
	return bin->syns | bin->begun | bin->retransmitted | bin->completed | bin->cookies_sent | bin->cookies_returned;
}

void tally_window(const struct tally *tally, uint64_t now_ns, struct tally_window *sum)
{
	uint32_t now_s = second_of(now_ns);

	for (uint32_t age = 0; age < TALLY_WINDOW_S && age <= now_s; age++) {
		const struct tally_second *bin = &tally->seconds[(now_s - age) % TALLY_BINS];

		if (bin->second != now_s - age)
			continue;
		sum->syns = sum_of(sum->syns, bin->syns);
		sum->elsewhere = sum_of(sum->elsewhere, bin->elsewhere);
		sum->begun = sum_of(sum->begun, bin->begun);
		sum->retransmitted = sum_of(sum->retransmitted, bin->retransmitted);
		sum->completed = sum_of(sum->completed, bin->completed);
		sum->cookies_sent = sum_of(sum->cookies_sent, bin->cookies_sent);
		sum->cookies_returned = sum_of(sum->cookies_returned, bin->cookies_returned);
		if (age == 0)
			sum->this_second = sum_of(sum->this_second, bin->syns);
		if (age == 1)
			sum->last_second = sum_of(sum->last_second, bin->syns);
		if (any_in(bin) && sum->seconds <= age)
			sum->seconds = age + 1;
	}
}

void tally_totals(const struct tally *tally, struct tally_totals *sum)
{
	sum->syns += tally->totals.syns;
	sum->begun += tally->totals.begun;
	sum->retransmitted += tally->totals.retransmitted;
	sum->completed += tally->totals.completed;
	sum->cookies_sent += tally->totals.cookies_sent;
	sum->cookies_returned += tally->totals.cookies_returned;
}

int64_t tally_unanswered(const struct tally *tally, unsigned window_s, uint64_t now_ns)
{
	uint32_t now_s = second_of(now_ns);
	int64_t sum = 0;

	for (unsigned age = 0; age <= window_s && age <= now_s; age++) {
		const struct tally_unanswered *slot = &tally->unanswered[(now_s - age) % TALLY_SECONDS];

		if (slot->second == now_s - age)
			sum += slot->cookies;
	}
	return sum;
}
