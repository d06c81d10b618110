/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/incident.h"

/* Nothing was said, and nothing is waiting to be. */
static bool is_quiet(const struct incident *incident)
{
	return incident->character == CHARACTER_CALM && incident->candidate == CHARACTER_CALM;
}

/* While it is quiet the base follows one note behind, so that what came with the first sight of an attack is part of it. */
void incident_note(struct incident *incident, uint32_t syn_pps, const struct incident_counts *counts)
{
	if (is_quiet(incident)) {
		incident->base = incident->noted ? incident->latest : *counts;
		incident->peak_pps = 0;
	}
	incident->noted = true;
	incident->latest = *counts;
	if (syn_pps > incident->peak_pps)
		incident->peak_pps = syn_pps;
}

static enum incident_event say(struct incident *incident, enum character seen)
{
	incident->said_before = incident->character;
	incident->character = seen;
	if (seen == CHARACTER_CALM)
		return INCIDENT_ENDED;
	return incident->said_before == CHARACTER_CALM ? INCIDENT_BEGUN : INCIDENT_CHANGED;
}

enum incident_event incident_update(struct incident *incident, enum character seen, bool at_once, uint64_t now_ns)
{
	bool calm = seen == CHARACTER_CALM;

	if (!calm && is_quiet(incident))
		incident->since_ns = now_ns;
	if (!calm)
		incident->until_ns = now_ns;
	if (seen != incident->candidate || now_ns < incident->candidate_since_ns) {
		incident->candidate = seen;
		incident->candidate_since_ns = now_ns;
	}
	if (seen == incident->character)
		return INCIDENT_NOTHING;
	if (at_once && !calm)
		return say(incident, seen);
	if (now_ns - incident->candidate_since_ns < (calm ? INCIDENT_CALM_NS : INCIDENT_SETTLE_NS))
		return INCIDENT_NOTHING;
	return say(incident, seen);
}

enum incident_event incident_end(struct incident *incident)
{
	incident->candidate = CHARACTER_CALM;
	if (incident->character == CHARACTER_CALM)
		return INCIDENT_NOTHING;
	return say(incident, CHARACTER_CALM);
}

static uint64_t grown(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

struct incident_counts incident_totals(const struct incident *incident)
{
	const struct incident_counts *base = &incident->base;
	const struct incident_counts *latest = &incident->latest;

	return (struct incident_counts){
		.syns = grown(base->syns, latest->syns),
		.challenged = grown(base->challenged, latest->challenged),
		.completed = grown(base->completed, latest->completed),
		.refused = grown(base->refused, latest->refused),
	};
}

uint64_t incident_lasted_ns(const struct incident *incident)
{
	return grown(incident->since_ns, incident->until_ns);
}
