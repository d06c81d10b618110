/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "view.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT 1 /* of the daemon's JSON that we understand */

/* --- taking ------------------------------------------------------------------------------------------------------- */

/* One "?" for each character that is not printable ASCII. */
static void text_take(char *to, size_t to_bytes, const char *from, size_t from_bytes)
{
	size_t used = 0;

	for (size_t i = 0; i < from_bytes && used + 1 < to_bytes; i++) {
		unsigned char byte = (unsigned char)from[i];

		if ((byte & 0xc0) != 0x80) /* not the rest of a UTF-8 character */
			to[used++] = (char)(byte < 0x80 && isprint(byte) ? byte : '?');
	}
	to[used] = '\0';
}

static void string_take(char *to, size_t to_bytes, const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	text_take(to, to_bytes, text ? text : "-", text ? strlen(text) : 1);
}

static uint64_t number_take(const json_t *object, const char *key)
{
	json_int_t number = json_integer_value(json_object_get(object, key));

	return number > 0 ? (uint64_t)number : 0;
}

static bool flag_take(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

static void service_take(struct view_service *service, const json_t *object)
{
	char address[64];

	string_take(service->name, sizeof(service->name), object, "name");
	string_take(service->state, sizeof(service->state), object, "state");
	string_take(service->override, sizeof(service->override), object, "override");
	string_take(service->character, sizeof(service->character), object, "character");
	string_take(address, sizeof(address), object, "address");
	snprintf(service->endpoint, sizeof(service->endpoint), strchr(address, ':') ? "[%s]:%u" : "%s:%u", address,
		 (unsigned)number_take(object, "port"));
	service->armed = flag_take(object, "armed");
	service->half_open = number_take(object, "half_open");
	service->limit = number_take(object, "limit");
	service->arm_at = number_take(object, "arm_at");
	service->syn_per_s = number_take(object, "syn_per_s");
	service->completion_percent = number_take(object, "completion_percent");
}

/* How near the limit, in a millionth of it. */
static uint64_t fullness(const struct view_service *service)
{
	return service->limit ? service->half_open * 1000000 / service->limit : 0;
}

static int urgency(const struct view_service *service)
{
	if (service->armed)
		return 0;
	if (strcmp(service->character, "calm") != 0)
		return 1;
	return strcmp(service->state, "watching") != 0 && strcmp(service->state, "not listening") != 0 &&
			       strcmp(service->state, "network") != 0
		       ? 2
		       : 3;
}

static int descending(uint64_t a, uint64_t b)
{
	return (a < b) - (a > b);
}

/* The armed, then the troubled, then the full, then the busy; the rest stays where it can be found again. */
static int service_compare(const void *left, const void *right)
{
	const struct view_service *a = left, *b = right;
	int by_urgency = urgency(a) - urgency(b);
	int by_fullness = descending(fullness(a), fullness(b));
	int by_rate = descending(a->syn_per_s, b->syn_per_s);
	int by_name = strcmp(a->name, b->name);

	return by_urgency    ? by_urgency
	       : by_fullness ? by_fullness
	       : by_rate     ? by_rate
	       : by_name     ? by_name
			     : strcmp(a->endpoint, b->endpoint);
}

static uint64_t sum_take(const json_t *counters, const char *const *names)
{
	uint64_t sum = 0;

	for (; *names; names++)
		sum += number_take(counters, *names);
	return sum;
}

static struct view_counts counts_take(const json_t *counters)
{
	static const char *const passed[] = {
		"syn_accepted", "syn_retransmitted", "syn_direct",  "syn_allowed", "syn_to_learn",
		"syn_unfound",  "syn_signed",        "syn_unknown", "syn_unseen",  NULL};
	static const char *const challenged[] = {"syn_challenged", "syn_source_challenged", NULL};
	static const char *const refused[] = {"syn_denied", "syn_banned", NULL};
	static const char *const unanswered[] = {
		"syn_capped", "syn_unanswered", "syn_malformed", "syn_shed", "syn_odd_source", "syn_overrun", NULL};
	static const char *const failed[] = {"handover_failed", "handover_refused", NULL};
	static const char *const dropped[] = {"queue_dropped", "handover_table_full", "ack_hold_full", NULL};

	return (struct view_counts){
		.received = number_take(counters, "syn_received"),
		.passed = sum_take(counters, passed),
		.challenged = sum_take(counters, challenged),
		.refused = sum_take(counters, refused),
		.unanswered = sum_take(counters, unanswered),
		.handed_over = number_take(counters, "handed_over"),
		.handover_failed = sum_take(counters, failed),
		.dropped = sum_take(counters, dropped),
	};
}

/* What was counted in the meantime. A counter that went back belongs to another daemon. */
static bool counts_subtract(const struct view_counts *now, const struct view_counts *before, struct view_counts *rest)
{
	const uint64_t *a = (const uint64_t *)now, *b = (const uint64_t *)before;
	uint64_t *difference = (uint64_t *)rest;

	_Static_assert(sizeof(*now) == 8 * sizeof(uint64_t), "numbers alone");
	for (size_t i = 0; i < sizeof(*now) / sizeof(*a); i++) {
		if (a[i] < b[i])
			return false;
		difference[i] = a[i] - b[i];
	}
	return true;
}

static void tables_take(struct view *view, const json_t *tables)
{
	const json_t *half_open = json_object_get(tables, "half_open"), *sources = json_object_get(tables, "sources");

	view->half_open = number_take(half_open, "entries");
	view->half_open_capacity = number_take(half_open, "capacity");
	view->sources_known = number_take(sources, "entries");
	view->source_capacity = number_take(sources, "capacity");
}

static void rates_take(struct view *view, const json_t *status, double elapsed_s)
{
	struct view_counts counts = counts_take(json_object_get(status, "counters"));
	uint64_t uptime_s = number_take(status, "uptime_s");

	view->rates_s = 0;
	if (view->filled && elapsed_s > 0 && uptime_s >= view->uptime_s &&
	    counts_subtract(&counts, &view->counts, &view->rates))
		view->rates_s = elapsed_s;
	view->counts = counts;
	view->uptime_s = uptime_s;
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

/* The object, or NULL and a trouble: one without the list `list` is not what we asked for. */
static json_t *answer_load(struct view *view, const char *answer, const char *list)
{
	json_t *object = json_loads(answer, 0, NULL);
	const char *error = json_string_value(json_object_get(object, "error"));

	if (error) {
		snprintf(view->trouble, sizeof(view->trouble), "the daemon says: ");
		text_take(view->trouble + strlen(view->trouble), sizeof(view->trouble) - strlen(view->trouble), error,
			  strlen(error));
	} else if (strncmp(answer, "error:", 6) == 0) {
		text_take(view->trouble, sizeof(view->trouble), answer, strcspn(answer, "\n"));
	} else if (number_take(object, "format") != FORMAT || !json_is_array(json_object_get(object, list))) {
		snprintf(view->trouble, sizeof(view->trouble),
			 "the daemon's answer is not understood: is it of another version than synmoatctl?");
	} else {
		return object;
	}
	json_decref(object);
	return NULL;
}

int view_take_status(struct view *view, const char *answer, double elapsed_s)
{
	json_t *status = answer_load(view, answer, "services"), *item;
	size_t i;

	if (!status)
		return -1;
	rates_take(view, status, elapsed_s);
	string_take(view->version, sizeof(view->version), status, "version");
	string_take(view->mode, sizeof(view->mode), status, "mode");
	string_take(view->policy, sizeof(view->policy), status, "policy");
	view->armed = flag_take(status, "armed");
	view->bans = number_take(status, "bans");
	tables_take(view, json_object_get(status, "tables"));
	view->service_count = 0;
	json_array_foreach(json_object_get(status, "services"), i, item) if (view->service_count < VIEW_SERVICES_MAX)
		service_take(&view->services[view->service_count++], item);
	qsort(view->services, view->service_count, sizeof(view->services[0]), service_compare);
	view->filled = true;
	json_decref(status);
	return 0;
}

int view_take_sources(struct view *view, const char *answer)
{
	json_t *sources = answer_load(view, answer, "sources"), *item;
	size_t i;

	if (!sources)
		return -1;
	string_take(view->sources_by, sizeof(view->sources_by), sources, "by");
	view->source_count = 0;
	json_array_foreach(json_object_get(sources, "sources"), i, item)
	{
		struct view_source *source = &view->sources[view->source_count];

		if (view->source_count == VIEW_SOURCES_MAX)
			break;
		view->source_count++;
		string_take(source->address, sizeof(source->address), item, "address");
		source->proven = flag_take(item, "proven");
		source->wary = flag_take(item, "wary");
		source->half_open = number_take(item, "half_open");
		source->syns = number_take(item, "syns");
		source->challenged = number_take(item, "challenged");
		source->completed = number_take(item, "completed");
	}
	json_decref(sources);
	return 0;
}

/* "2026-11-21T..." */
static bool begins_with_time(const char *line)
{
	static const char shape[] = "dddd-dd-ddT";

	for (size_t i = 0; shape[i]; i++)
		if (shape[i] == 'd' ? !isdigit((unsigned char)line[i]) : line[i] != shape[i])
			return false;
	return true;
}

void view_take_events(struct view *view, const char *answer)
{
	const char *line = answer;

	view->event_count = 0;
	while (*line) {
		size_t length = strcspn(line, "\n");

		if (begins_with_time(line)) {
			if (view->event_count == VIEW_EVENTS_MAX)
				memmove(view->events[0], view->events[1], (VIEW_EVENTS_MAX - 1) * VIEW_EVENT_BYTES);
			else
				view->event_count++;
			text_take(view->events[view->event_count - 1], VIEW_EVENT_BYTES, line, length);
		}
		line += length + (line[length] == '\n');
	}
}
