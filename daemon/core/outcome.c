/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/outcome.h"

struct outcome_text {
	const char *name;
	const char *help;
};

static const struct outcome_text texts[] = {
#define OUTCOME(id, name, help) [OUTCOME_##id] = {name, help},
	OUTCOMES(OUTCOME)
#undef OUTCOME
};
_Static_assert(sizeof(texts) / sizeof(texts[0]) == OUTCOME_COUNT, "every outcome has a name");

const char *outcome_name(enum outcome outcome)
{
	return texts[outcome].name;
}

const char *outcome_help(enum outcome outcome)
{
	return texts[outcome].help;
}
