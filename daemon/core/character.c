/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/character.h"

static const char *const names[] = {
	[CHARACTER_CALM] = "calm",
	[CHARACTER_RANDOM_SOURCES] = "random-source flood",
	[CHARACTER_FEW_SOURCES] = "few-source flood",
	[CHARACTER_SLOW_BACKEND] = "slow backend",
	[CHARACTER_FLASH_CROWD] = "flash crowd",
};
_Static_assert(sizeof(names) / sizeof(names[0]) == CHARACTER_COUNT, "every character has a name");

static bool is_flood(enum character character)
{
	return character == CHARACTER_RANDOM_SOURCES || character == CHARACTER_FEW_SOURCES;
}

static bool at_least(uint64_t part, unsigned percent, uint64_t whole)
{
	return part * 100 >= whole * percent;
}

/* Whether what came within the window is enough to press. */
static bool presses_by_itself(const struct observation *seen)
{
	uint32_t open = seen->begun > seen->completed ? seen->begun - seen->completed : 0;

	return open >= seen->arm_at && (uint64_t)seen->syns + seen->elsewhere >= seen->arm_at;
}

static bool slow_backend(const struct observation *seen)
{
	bool too_early = !seen->armed && seen->pressed_ns < CHARACTER_EVIDENCE_NS;
	uint64_t persistent = (uint64_t)seen->completed + seen->retransmitted;

	if (seen->accept_queue_full && too_early)
		return true;
	return seen->accept_queue_was_full && at_least(persistent, CHARACTER_REAL_PERCENT, seen->begun);
}

static bool few_sources(const struct observation *seen)
{
	if (seen->top_syns >= CHARACTER_TOP_SYNS_MIN && at_least(seen->top_syns, CHARACTER_TOP_PERCENT, seen->syns))
		return true;
	return seen->syns && seen->syns >= (uint64_t)seen->distinct * CHARACTER_SYNS_PER_SOURCE;
}

enum character character_of(const struct observation *seen)
{
	if (!seen->pressed)
		return seen->greedy ? CHARACTER_FEW_SOURCES : CHARACTER_CALM;
	if (seen->pressed_before && (is_flood(seen->before) || (seen->armed && seen->before != CHARACTER_CALM)) &&
	    !presses_by_itself(seen))
		return seen->before;
	if (slow_backend(seen))
		return CHARACTER_SLOW_BACKEND;
	if (seen->begun && at_least(seen->completed, CHARACTER_REAL_PERCENT, seen->begun))
		return CHARACTER_FLASH_CROWD;
	return few_sources(seen) ? CHARACTER_FEW_SOURCES : CHARACTER_RANDOM_SOURCES;
}

const char *character_name(enum character character)
{
	return names[character];
}

bool character_arms(enum character character, const struct observation *seen)
{
	return is_flood(character) || (character == CHARACTER_FLASH_CROWD && seen->crowded);
}
