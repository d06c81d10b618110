/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/account.h"

static uint64_t more_than(uint64_t one, uint64_t other)
{
	return one > other ? one - other : 0;
}

struct account_taken account_taken_none(void)
{
	struct account_taken none = {.syns = {0}};

	for (unsigned door = 0; door < ACCOUNT_DOORS; door++)
		none.empty_ns[door] = UINT64_MAX;
	return none;
}

void account_taken_add(struct account_taken *sum, const struct account_taken *taken)
{
	for (unsigned door = 0; door < ACCOUNT_DOORS; door++) {
		sum->syns[door] += taken->syns[door];
		if (taken->empty_ns[door] < sum->empty_ns[door])
			sum->empty_ns[door] = taken->empty_ns[door];
	}
}

/* Of `count` that are missing at this look, as many as were so at each for as long as it takes to settle. */
static uint64_t missing_since(struct account *account, const struct account_look *look, unsigned door, uint64_t count)
{
	uint64_t *least = &account->doors[door].least, *least_ns = &account->doors[door].least_ns;
	uint64_t lasting = count < *least ? count : *least;

	if (look->arrived_ns <= *least_ns + ACCOUNT_SETTLED_NS) {
		*least = lasting;
		return 0;
	}
	*least = count;
	*least_ns = look->arrived_ns;
	return lasting;
}

/* What is surely missing. Never too high: what is taken in after it was found waiting only makes it less. */
static uint64_t missing(struct account *account, const struct account_look *look, unsigned door)
{
	const struct account_door_look *at = &look->doors[door];
	uint64_t taken = look->taken.syns[door];
	uint64_t count = at->waiting_known ? more_than(at->arrived, taken + at->waiting) : 0;
	uint64_t sure = missing_since(account, look, door, count);
	uint64_t noted_ns = account->doors[door].noted_ns;
	bool empty_since = noted_ns && look->taken.empty_ns[door] > noted_ns + ACCOUNT_SETTLED_NS;

	if (empty_since && more_than(account->doors[door].noted, taken) > sure)
		sure = more_than(account->doors[door].noted, taken);
	if (empty_since || !noted_ns) {
		account->doors[door].noted = at->arrived;
		account->doors[door].noted_ns = look->arrived_ns;
	}
	return sure;
}

void account_look(struct account *account, const struct account_look *look)
{
	for (unsigned door = 0; door < ACCOUNT_DOORS; door++) {
		uint64_t sure = missing(account, look, door);
		uint64_t *dropped = &account->doors[door].dropped;
		uint64_t *passed = &account->doors[door].passed;
		uint64_t untold;

		*dropped += more_than(look->doors[door].dropped, *dropped);
		untold = more_than(sure, *dropped + *passed);
		*(look->doors[door].passes ? passed : dropped) += untold;
	}
}

uint64_t account_dropped(const struct account *account)
{
	uint64_t sum = 0;

	for (unsigned door = 0; door < ACCOUNT_DOORS; door++)
		sum += account->doors[door].dropped;
	return sum;
}

uint64_t account_passed(const struct account *account)
{
	uint64_t sum = 0;

	for (unsigned door = 0; door < ACCOUNT_DOORS; door++)
		sum += account->doors[door].passed;
	return sum;
}
