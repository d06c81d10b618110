/* SPDX-License-Identifier: GPL-2.0-or-later */
/* view: what `top` shows, as taken from the daemon's answers. Pure: no clock, no socket.
 *
 * Whatever a string holds, it is printable ASCII here, for it goes to a terminal. */
#ifndef SYNMOAT_CTL_VIEW_H
#define SYNMOAT_CTL_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIEW_SERVICES_MAX 1024 /* the daemon has no more */
#define VIEW_SOURCES_MAX 100
#define VIEW_EVENTS_MAX 50
#define VIEW_EVENT_BYTES 512
#define VIEW_TROUBLE_BYTES 512

struct view_service {
	char name[64];
	char endpoint[80];
	char state[32];
	char override[16];
	char character[32];
	bool armed;
	uint64_t half_open, limit, arm_at; /* entries; limit 0: not known */
	uint64_t syn_per_s;
	uint64_t completion_percent;
};

struct view_source {
	char address[64];
	bool proven, wary;
	uint64_t half_open, syns, challenged, completed;
};

/* Sums of the daemon's counters, since its start. */
struct view_counts {
	uint64_t received;   /* SYNs; each is in one of the next four */
	uint64_t passed;     /* to the kernel */
	uint64_t challenged; /* answered with a cookie */
	uint64_t refused;    /* denied or banned */
	uint64_t unanswered; /* capped, malformed, shed, or not by XDP */
	uint64_t handed_over;
	uint64_t handover_failed;
	uint64_t dropped; /* for lack of room somewhere */
};

struct view {
	char trouble[VIEW_TROUBLE_BYTES]; /* why the rest is old, or was never there; "" when it is as it should be */
	bool filled;                      /* at least one answer was taken */
	char version[32], mode[16], policy[16];
	bool armed;
	uint64_t uptime_s;
	uint64_t half_open, half_open_capacity, sources_known, source_capacity, bans;
	struct view_counts counts;
	double rates_s;           /* the rates are of so many seconds; 0: there are none yet */
	struct view_counts rates; /* how much was counted in them */
	size_t service_count, source_count, event_count;
	struct view_service services[VIEW_SERVICES_MAX]; /* the most urgent first */
	struct view_source sources[VIEW_SOURCES_MAX];
	char sources_by[16];
	char events[VIEW_EVENTS_MAX][VIEW_EVENT_BYTES]; /* the oldest first */
};

/* Takes the JSON answer to `status`, which came `elapsed_s` after the one before. -1 and a trouble when it is not one. */
int view_take_status(struct view *view, const char *answer, double elapsed_s);

/* Likewise that to `sources`. */
int view_take_sources(struct view *view, const char *answer);

/* The text answer to `events`, of which only lines with a time count: a daemon that has none says so in other words. */
void view_take_events(struct view *view, const char *answer);

#endif
