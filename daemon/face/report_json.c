/* SPDX-License-Identifier: GPL-2.0-or-later */
/* jansson's functions take a NULL from a failed one and fail as well: being out of memory surfaces in answer_write(). */
#include "face/report_json.h"

#include <inttypes.h>
#include <jansson.h>

#include "face/command.h"

/* Takes the answer over; NULL: out of memory. */
static void answer_write(json_t *answer, FILE *out)
{
	json_t *whole = json_pack("{s:i}", "format", REPORT_FORMAT); /* first, for who reads it himself */

	if (answer && json_object_update(whole, answer) == 0)
		json_dumpf(whole, out, JSON_COMPACT);
	else
		fprintf(out, "{\"format\":%d,\"error\":\"out of memory\"}", REPORT_FORMAT);
	fputc('\n', out);
	json_decref(whole);
	json_decref(answer);
}

/* Takes both over. Returns `array`, or NULL when out of memory. */
static json_t *array_with(json_t *array, json_t *item)
{
	if (json_array_append_new(array, item) == 0)
		return array;
	json_decref(array);
	return NULL;
}

static json_t *text_or_null(const char *text)
{
	return *text ? json_string(text) : json_null();
}

static json_t *learned_json(const struct report_service *service)
{
	bool known = service->learned.mss != 0;
	json_t *mss = known ? json_integer(service->learned.mss) : json_null();
	json_t *wscale = known && service->learned.wscale >= 0 ? json_integer(service->learned.wscale) : json_null();

	return json_pack("{s:o, s:o, s:b, s:b}", "mss", mss, "wscale", wscale, "sack", service->learned.sack,
			 "timestamps", service->learned.timestamps);
}

static json_t *service_json(const struct report_service *service)
{
	/* clang-format off: a key and its value stay together */
	return json_pack("{s:s, s:s, s:i, s:b, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I,"
			 " s:o, s:I, s:o}",
			 "name", service->name, "address", service->address, "port", (int)service->port, "armed",
			 service->armed, "state", service->state, "cookies", service->cookies, "override",
			 service->override, "character", service->character, "half_open",
			 (json_int_t)service->half_open, "limit", (json_int_t)service->limit, "arm_at",
			 (json_int_t)service->arm_at, "disarm_at", (json_int_t)service->disarm_at, "syn_per_s",
			 (json_int_t)service->syn_per_s, "distinct_sources", (json_int_t)service->distinct_sources,
			 "completion_percent", (json_int_t)service->completion_percent, "top_source",
			 text_or_null(service->top_source), "top_source_percent",
			 (json_int_t)service->top_source_percent, "signature", text_or_null(service->signature),
			 "signature_percent", (json_int_t)service->signature_percent, "learned", learned_json(service));
	/* clang-format on */
}

static json_t *services_array(const struct report *report)
{
	json_t *array = json_array();

	for (size_t i = 0; i < report->service_count; i++)
		array = array_with(array, service_json(&report->services[i]));
	return array;
}

static json_t *counters_object(const struct report *report)
{
	json_t *object = json_object();

	for (int i = 0; i < OUTCOME_COUNT; i++)
		if (json_object_set_new(object, outcome_name(i), json_integer((json_int_t)report->counters[i])) != 0) {
			json_decref(object);
			return NULL;
		}
	return object;
}

static json_t *interfaces_object(const struct report_accelerator *accelerator)
{
	json_t *array = json_array();

	for (size_t i = 0; i < accelerator->interface_count; i++)
		array = array_with(array, json_pack("{s:s, s:s}", "name", accelerator->interfaces[i].name, "state",
						    accelerator->interfaces[i].state));
	return array;
}

static json_t *accelerator_object(const struct report_accelerator *accelerator)
{
	const char *why_not = accelerator->why_not ? accelerator->why_not : "";

	return json_pack("{s:s, s:o, s:I, s:I, s:o}", "state", accelerator->state ? accelerator->state : "off",
			 "reason", text_or_null(why_not), "answered", (json_int_t)accelerator->answered, "passed_up",
			 (json_int_t)accelerator->passed_up, "interfaces", interfaces_object(accelerator));
}

void report_json_status(const struct report *report, FILE *out)
{
	/* clang-format off: a key and its value stay together */
	answer_write(
		json_pack(
			"{s:s, s:I, s:s, s:s, s:b, s:i, s:I, s:{s:{s:I, s:I}, s:{s:I, s:I}}, s:I, s:I, s:o, s:o, s:o}",
			"version", report->version, "uptime_s", (json_int_t)report->uptime_s, "mode", report->mode,
			"policy", report->policy, "armed", report->armed, "shards", (int)report->shards,
			"orders_refused", (json_int_t)report->orders_refused, "tables", "half_open", "entries",
			(json_int_t)report->half_open_entries, "capacity", (json_int_t)report->half_open_capacity,
			"sources", "entries", (json_int_t)report->source_entries, "capacity",
			(json_int_t)report->source_capacity, "bans", (json_int_t)report->bans, "rules_restored",
			(json_int_t)report->rules_restored, "accelerator", accelerator_object(&report->accelerator),
			"services", services_array(report), "counters", counters_object(report)),
		out);
	/* clang-format on */
}

void report_json_services(const struct report *report, FILE *out)
{
	answer_write(json_pack("{s:o}", "services", services_array(report)), out);
}

static json_t *source_json(const struct report_source *source)
{
	/* clang-format off: a key and its value stay together */
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:b, s:b, s:I}", "address", source->address, "half_open",
			 (json_int_t)source->half_open, "syns", (json_int_t)source->syns, "challenged",
			 (json_int_t)source->challenged, "completed", (json_int_t)source->completed, "proven",
			 source->proven, "wary", source->wary, "idle_s", (json_int_t)source->idle_s);
	/* clang-format on */
}

void report_json_sources(const struct report *report, FILE *out)
{
	json_t *array = json_array();

	for (size_t i = 0; i < report->source_count; i++)
		array = array_with(array, source_json(&report->sources[i]));
	answer_write(json_pack("{s:s, s:o}", "by", report->sources_by, "sources", array), out);
}

void report_json_version(const struct report *report, FILE *out)
{
	answer_write(json_pack("{s:s}", "version", report->version), out);
}

void report_json_help(FILE *out)
{
	json_t *requests = json_object(), *changes = json_array();

	for (enum verb verb = 0; verb < VERB_COUNT; verb++)
		if (verb_changes(verb))
			changes = array_with(changes, json_string(verb_words(verb)));
	for (enum verb verb = 0; verb < VERB_COUNT; verb++)
		if (json_object_set_new(requests, verb_words(verb), json_string(verb_help(verb))) != 0) {
			json_decref(requests);
			requests = NULL;
		}
	answer_write(json_pack("{s:o, s:o}", "changes", changes, "requests", requests), out);
}

void report_json_explain(const char *source, const char *policy, const struct report_verdict *verdicts, size_t count,
			 FILE *out)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		array = array_with(array, json_pack("{s:s, s:s, s:s, s:s}", "service", verdicts[i].service, "endpoint",
						    verdicts[i].endpoint, "outcome", verdicts[i].outcome, "why",
						    verdicts[i].why));
	answer_write(json_pack("{s:s, s:s, s:o}", "source", source, "policy", policy, "verdicts", array), out);
}

void report_json_cidrs(const char *list, const struct report_cidr *cidrs, size_t count, FILE *out)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		array = array_with(array, json_pack("{s:s, s:s}", "cidr", cidrs[i].cidr, "origin", cidrs[i].origin));
	answer_write(json_pack("{s:s, s:o}", "list", list, "entries", array), out);
}

void report_json_bans(const struct report_ban *bans, size_t count, FILE *out)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		array = array_with(
			array, json_pack("{s:s, s:I}", "source", bans[i].source, "left_s", (json_int_t)bans[i].left_s));
	answer_write(json_pack("{s:o}", "bans", array), out);
}

void report_json_checks(const struct report_check *checks, size_t count, FILE *out)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		array = array_with(array, json_pack("{s:s, s:s, s:s}", "level", report_level_name(checks[i].level),
						    "what", checks[i].what, "text", checks[i].text));
	answer_write(json_pack("{s:o}", "checks", array), out);
}

void report_json_epoch(const struct report_epoch *epoch, FILE *out)
{
	json_t *next = report_epoch_has_next(epoch) ? json_integer(epoch->next_from) : json_null();
	char fingerprint[9];

	snprintf(fingerprint, sizeof(fingerprint), "%08" PRIx32, epoch->fingerprint);
	answer_write(json_pack("{s:I, s:I, s:b, s:s, s:o}", "epoch", (json_int_t)epoch->epoch, "left_s",
			       (json_int_t)epoch->left_s, "shared", epoch->shared, "fingerprint", fingerprint,
			       "next_from", next),
		     out);
}

/* A sentence may quote a file, which need not be UTF-8. */
static json_t *sentence_json(const char *sentence)
{
	char ascii[512];
	json_t *text = json_string(sentence);

	if (text)
		return text;
	snprintf(ascii, sizeof(ascii), "%s", sentence);
	for (char *c = ascii; *c; c++)
		if (*c & 0x80)
			*c = '?';
	return json_string(ascii);
}

void report_json_done(const char *what, FILE *out)
{
	answer_write(json_pack("{s:b, s:o}", "ok", 1, "message", sentence_json(what)), out);
}

void report_json_error(const char *why, FILE *out)
{
	answer_write(json_pack("{s:o}", "error", sentence_json(why)), out);
}
