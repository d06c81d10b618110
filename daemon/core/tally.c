/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/tally.h"

#include <math.h>
#include <stddef.h>

#define NSEC_PER_SEC 1000000000ULL

static struct tally_second *this_second(struct tally *tally, uint64_t now_ns)
{
	uint32_t second = (uint32_t)(now_ns / NSEC_PER_SEC);
	struct tally_second *slot = &tally->seconds[second % TALLY_SECONDS];

	if (slot->second != second)
		*slot = (struct tally_second){.second = second};
	return slot;
}

static void top_add(struct tally_top top[TALLY_TOP], const struct addr *net, uint32_t syns, uint32_t over)
{
	unsigned least = 0;

	for (unsigned i = 0; i < TALLY_TOP; i++) {
		if (top[i].syns && addr_equal(&top[i].net, net)) {
			top[i].syns += syns;
			top[i].over += over;
			return;
		}
		if (top[i].syns < top[least].syns)
			least = i;
	}
	top[least] = (struct tally_top){*net, top[least].syns + syns, top[least].syns + over};
}

void tally_syn(struct tally *tally, const struct addr *net, uint64_t hash, uint64_t now_ns)
{
	uint8_t *reg = &tally->sketch.registers[hash % TALLY_REGISTERS];
	uint8_t rank = (uint8_t)(__builtin_ctzll(hash >> 8 | 1ULL << 55) + 1);

	this_second(tally, now_ns)->syns++;
	tally->sketch.syns++;
	if (rank > *reg)
		*reg = rank;
	top_add(tally->sketch.top, net, 1, 0);
}

void tally_cookie_sent(struct tally *tally, uint64_t now_ns)
{
	this_second(tally, now_ns)->unanswered++;
}

void tally_cookie_returned(struct tally *tally, uint64_t now_ns)
{
	this_second(tally, now_ns)->unanswered--;
}

uint32_t tally_unanswered(const struct tally *tally, unsigned window_s, uint64_t now_ns)
{
	uint32_t now_s = (uint32_t)(now_ns / NSEC_PER_SEC);
	int64_t sum = 0;

	for (unsigned age = 0; age <= window_s && age <= now_s; age++) {
		const struct tally_second *slot = &tally->seconds[(now_s - age) % TALLY_SECONDS];

		if (slot->second == now_s - age)
			sum += slot->unanswered;
	}
	return sum > 0 ? (uint32_t)sum : 0;
}

uint32_t tally_rate_pps(const struct tally *tally, uint64_t now_ns)
{
	uint32_t last_s = (uint32_t)(now_ns / NSEC_PER_SEC) - 1;
	const struct tally_second *slot = &tally->seconds[last_s % TALLY_SECONDS];

	return slot->second == last_s ? slot->syns : 0;
}

uint32_t tally_this_second(const struct tally *tally, uint64_t now_ns)
{
	uint32_t second = (uint32_t)(now_ns / NSEC_PER_SEC);
	const struct tally_second *slot = &tally->seconds[second % TALLY_SECONDS];

	return slot->second == second ? slot->syns : 0;
}

void tally_sketch_reset(struct tally_sketch *sketch, uint64_t now_ns)
{
	*sketch = (struct tally_sketch){.since_ns = now_ns};
}

void tally_sketch_merge(struct tally_sketch *into, const struct tally_sketch *from)
{
	into->syns += from->syns;
	if (from->since_ns && (!into->since_ns || from->since_ns < into->since_ns))
		into->since_ns = from->since_ns;
	for (unsigned i = 0; i < TALLY_REGISTERS; i++)
		if (from->registers[i] > into->registers[i])
			into->registers[i] = from->registers[i];
	for (unsigned i = 0; i < TALLY_TOP; i++)
		if (from->top[i].syns)
			top_add(into->top, &from->top[i].net, from->top[i].syns, from->top[i].over);
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
	return (uint32_t)(estimate + 0.5);
}

const struct tally_top *tally_heaviest(const struct tally_sketch *sketch)
{
	const struct tally_top *heaviest = &sketch->top[0];

	for (unsigned i = 1; i < TALLY_TOP; i++)
		if (sketch->top[i].syns - sketch->top[i].over > heaviest->syns - heaviest->over)
			heaviest = &sketch->top[i];
	return heaviest->syns ? heaviest : NULL;
}
