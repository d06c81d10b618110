/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "face/report.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#define STATUS_SERVICES 8 /* `status` fits on a screen; `services` tells all */
#define ENDPOINT_BYTES (INET6_ADDRSTRLEN + sizeof("[]:65535"))

struct request {
	const char *name;
	const char *help;
	void (*text)(const struct report *report, FILE *out);
	json_t *(*json)(const struct report *report); /* NULL: out of memory */
};

static const char *endpoint_text(const struct report_service *service, char text[ENDPOINT_BYTES])
{
	const char *format = strchr(service->address, ':') ? "[%s]:%u" : "%s:%u";

	snprintf(text, ENDPOINT_BYTES, format, service->address, service->port);
	return text;
}

static const char *uptime_text(uint64_t seconds, char text[48])
{
	uint64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;

	if (days)
		snprintf(text, 48, "%" PRIu64 " d %" PRIu64 " h", days, hours % 24);
	else if (hours)
		snprintf(text, 48, "%" PRIu64 " h %" PRIu64 " min", hours, minutes % 60);
	else if (minutes)
		snprintf(text, 48, "%" PRIu64 " min %" PRIu64 " s", minutes, seconds % 60);
	else
		snprintf(text, 48, "%" PRIu64 " s", seconds);
	return text;
}

static void status_service_text(const struct report_service *service, FILE *out)
{
	char endpoint[ENDPOINT_BYTES];

	fprintf(out, "  %s %s: %s, half-open %" PRIu32, service->name, endpoint_text(service, endpoint), service->state,
		service->half_open);
	if (service->limit)
		fprintf(out, " of %" PRIu32 " (arms at %" PRIu32 ", disarms below %" PRIu32 ")", service->limit,
			service->arm_at, service->disarm_at);
	if (service->syn_per_s)
		fprintf(out, ", %" PRIu32 " SYN/s from about %" PRIu32 " sources", service->syn_per_s,
			service->distinct_sources);
	fputc('\n', out);
}

/* Armed services first: whoever looks during an attack looks for them. */
static void status_services_text(const struct report *report, FILE *out)
{
	size_t armed = 0, shown = 0;

	for (size_t i = 0; i < report->service_count; i++)
		armed += report->services[i].armed;
	fprintf(out, "%s: %zu of %zu services %s SYN cookies\n", report->armed ? "ARMED" : "not armed", armed,
		report->service_count, strcmp(report->policy, "observe") == 0 ? "would get" : "get");

	for (int want_armed = 1; want_armed >= 0; want_armed--)
		for (size_t i = 0; i < report->service_count; i++)
			if (report->services[i].armed == want_armed && shown < STATUS_SERVICES) {
				status_service_text(&report->services[i], out);
				shown++;
			}
	if (shown < report->service_count)
		fprintf(out, "  and %zu more: see 'services'\n", report->service_count - shown);
}

static void status_text(const struct report *report, FILE *out)
{
	const uint64_t *count = report->counters;
	char uptime[48];

	fprintf(out, "synmoatd %s: mode %s, policy %s, %u shard%s, up %s\n", report->version, report->mode,
		report->policy, report->shards, report->shards == 1 ? "" : "s", uptime_text(report->uptime_s, uptime));
	status_services_text(report, out);
	fprintf(out, "tables: %" PRIu32 " of %" PRIu32 " half-open entries, %" PRIu32 " of %" PRIu32 " sources\n",
		report->half_open_entries, report->half_open_capacity, report->source_entries, report->source_capacity);
	fprintf(out, "SYNs: %" PRIu64 " received, %" PRIu64 " accepted, %" PRIu64 " challenged\n",
		count[OUTCOME_SYN_RECEIVED], count[OUTCOME_SYN_ACCEPTED], count[OUTCOME_SYN_CHALLENGED]);
	fprintf(out, "cookies: %" PRIu64 " valid, %" PRIu64 " invalid\n", count[OUTCOME_ACK_COOKIE_VALID],
		count[OUTCOME_ACK_COOKIE_INVALID]);
	fprintf(out, "handovers: %" PRIu64 " done, %" PRIu64 " failed\n", count[OUTCOME_HANDED_OVER],
		count[OUTCOME_HANDOVER_FAILED]);
	fprintf(out, "half-open: %" PRIu64 " completed, %" PRIu64 " reset, %" PRIu64 " expired\n",
		count[OUTCOME_HALF_OPEN_COMPLETED], count[OUTCOME_HALF_OPEN_RESET], count[OUTCOME_HALF_OPEN_EXPIRED]);
	fprintf(out, "lost: %" PRIu64 " packets dropped because a queue was full\n", count[OUTCOME_QUEUE_DROPPED]);
}

static void learned_text(const struct report_service *service, FILE *out)
{
	if (!service->learned.mss) {
		fputs("  -\n", out);
		return;
	}
	fprintf(out, "  mss %u", service->learned.mss);
	if (service->learned.wscale >= 0)
		fprintf(out, " wscale %d", service->learned.wscale);
	fprintf(out, "%s%s\n", service->learned.sack ? " sack" : "", service->learned.timestamps ? " timestamps" : "");
}

static void services_text(const struct report *report, FILE *out)
{
	int name_width = 4, endpoint_width = 8;
	char endpoint[ENDPOINT_BYTES];

	for (size_t i = 0; i < report->service_count; i++) {
		int name = (int)strlen(report->services[i].name);
		int address = (int)strlen(endpoint_text(&report->services[i], endpoint));

		name_width = name > name_width ? name : name_width;
		endpoint_width = address > endpoint_width ? address : endpoint_width;
	}
	fprintf(out, "%-*s  %-*s  %-13s  %-7s  %9s  %9s  %9s  %9s  %9s  %9s  LEARNED\n", name_width, "NAME",
		endpoint_width, "ENDPOINT", "STATE", "COOKIES", "HALF-OPEN", "LIMIT", "ARMS-AT", "DISARMS<", "SYN/S",
		"SOURCES");
	for (size_t i = 0; i < report->service_count; i++) {
		const struct report_service *service = &report->services[i];

		fprintf(out, "%-*s  %-*s  %-13s  %-7s  %9" PRIu32, name_width, service->name, endpoint_width,
			endpoint_text(service, endpoint), service->state, service->cookies, service->half_open);
		if (service->limit)
			fprintf(out, "  %9" PRIu32 "  %9" PRIu32 "  %9" PRIu32, service->limit, service->arm_at,
				service->disarm_at);
		else
			fprintf(out, "  %9s  %9s  %9s", "-", "-", "-");
		fprintf(out, "  %9" PRIu32 "  %9" PRIu32, service->syn_per_s, service->distinct_sources);
		learned_text(service, out);
	}
}

static void sources_text(const struct report *report, FILE *out)
{
	fprintf(out, "%-43s  %9s  %12s  %12s  %12s  %6s\n", "SOURCE", "HALF-OPEN", "SYNS", "CHALLENGED", "COMPLETED",
		"IDLE-S");
	for (size_t i = 0; i < report->source_count; i++) {
		const struct report_source *source = &report->sources[i];

		fprintf(out, "%-43s  %9" PRIu32 "  %12" PRIu64 "  %12" PRIu64 "  %12" PRIu64 "  %6" PRIu32 "\n",
			source->address, source->half_open, source->syns, source->challenged, source->completed,
			source->idle_s);
	}
}

static void version_text(const struct report *report, FILE *out)
{
	fprintf(out, "synmoatd %s\n", report->version);
}

static json_t *service_json(const struct report_service *service)
{
	bool known = service->learned.mss != 0;
	json_t *mss = known ? json_integer(service->learned.mss) : json_null();
	json_t *wscale = known && service->learned.wscale >= 0 ? json_integer(service->learned.wscale) : json_null();

	/* clang-format off: a key and its value stay together */
	return json_pack("{s:s, s:s, s:i, s:b, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:{s:o, s:o, s:b, s:b}}", "name",
			 service->name, "address", service->address, "port", (int)service->port, "armed",
			 service->armed, "state", service->state, "cookies", service->cookies, "half_open",
			 (json_int_t)service->half_open, "limit", (json_int_t)service->limit, "arm_at",
			 (json_int_t)service->arm_at, "disarm_at", (json_int_t)service->disarm_at, "syn_per_s",
			 (json_int_t)service->syn_per_s, "distinct_sources", (json_int_t)service->distinct_sources,
			 "learned", "mss", mss, "wscale", wscale, "sack", service->learned.sack, "timestamps",
			 service->learned.timestamps);
	/* clang-format on */
}

/* jansson's functions take a NULL from a failed one and fail as well: being out of memory surfaces at the top. */
static json_t *services_array(const struct report *report)
{
	json_t *array = json_array();

	for (size_t i = 0; i < report->service_count; i++)
		if (json_array_append_new(array, service_json(&report->services[i])) != 0) {
			json_decref(array);
			return NULL;
		}
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

static json_t *status_json(const struct report *report)
{
	/* clang-format off: a key and its value stay together */
	return json_pack("{s:s, s:I, s:s, s:s, s:b, s:i, s:{s:{s:I, s:I}, s:{s:I, s:I}}, s:o, s:o}", "version",
			 report->version, "uptime_s", (json_int_t)report->uptime_s, "mode", report->mode, "policy",
			 report->policy, "armed", report->armed, "shards", (int)report->shards, "tables", "half_open",
			 "entries", (json_int_t)report->half_open_entries, "capacity",
			 (json_int_t)report->half_open_capacity, "sources", "entries",
			 (json_int_t)report->source_entries, "capacity", (json_int_t)report->source_capacity,
			 "services", services_array(report), "counters", counters_object(report));
	/* clang-format on */
}

static json_t *services_json(const struct report *report)
{
	return json_pack("{s:o}", "services", services_array(report));
}

static json_t *source_json(const struct report_source *source)
{
	/* clang-format off: a key and its value stay together */
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "address", source->address, "half_open",
			 (json_int_t)source->half_open, "syns", (json_int_t)source->syns, "challenged",
			 (json_int_t)source->challenged, "completed", (json_int_t)source->completed, "idle_s",
			 (json_int_t)source->idle_s);
	/* clang-format on */
}

static json_t *sources_json(const struct report *report)
{
	json_t *array = json_array();

	for (size_t i = 0; i < report->source_count; i++)
		if (json_array_append_new(array, source_json(&report->sources[i])) != 0) {
			json_decref(array);
			return NULL;
		}
	return json_pack("{s:o}", "sources", array);
}

static json_t *version_json(const struct report *report)
{
	return json_pack("{s:s}", "version", report->version);
}

static void help_text(const struct report *report, FILE *out);
static json_t *help_json(const struct report *report);

static const struct request requests[] = {
	{"status", "what is protected, with which thresholds, whether armed, and the main counters", status_text,
	 status_json},
	{"services", "every protected address and port, with what was learned about its server", services_text,
	 services_json},
	{"sources", "the sources that hold most half-open connections", sources_text, sources_json},
	{"version", "the version of the running daemon", version_text, version_json},
	{"help", "this list", help_text, help_json},
};
#define REQUEST_COUNT (sizeof(requests) / sizeof(requests[0]))

static void help_text(const struct report *report, FILE *out)
{
	(void)report;
	for (size_t i = 0; i < REQUEST_COUNT; i++)
		fprintf(out, "%-10s  %s\n", requests[i].name, requests[i].help);
}

static json_t *help_json(const struct report *report)
{
	json_t *object = json_object();

	(void)report;
	for (size_t i = 0; i < REQUEST_COUNT; i++)
		if (json_object_set_new(object, requests[i].name, json_string(requests[i].help)) != 0) {
			json_decref(object);
			return NULL;
		}
	return json_pack("{s:o}", "requests", object);
}

static int request_refuse(const char *request, FILE *out)
{
	fputs("error: unknown request \"", out);
	for (const char *c = request; *c && c < request + 64; c++)
		fputc(isprint((unsigned char)*c) ? *c : '?', out); /* it may end up on a terminal */
	fputs("\": known are ", out);
	for (size_t i = 0; i < REQUEST_COUNT; i++)
		fprintf(out, "%s%s", i ? ", " : "", requests[i].name);
	fputs(", each also followed by \"json\"\n", out);
	return -1;
}

/* The word at *text, and its length; *text moves behind it. */
static const char *word_next(const char **text, size_t *length)
{
	const char *word = *text + strspn(*text, " \t\r");

	*length = strcspn(word, " \t\r");
	*text = word + *length;
	return word;
}

static bool word_is(const char *word, size_t length, const char *wanted)
{
	return length == strlen(wanted) && memcmp(word, wanted, length) == 0;
}

int report_answer(const struct report *report, const char *request, FILE *out)
{
	const struct request *found = NULL;
	const char *rest = request;
	size_t name_length, form_length, surplus_length;
	const char *name = word_next(&rest, &name_length);
	const char *form = word_next(&rest, &form_length);

	word_next(&rest, &surplus_length);
	for (size_t i = 0; i < REQUEST_COUNT && !found; i++)
		if (word_is(name, name_length, requests[i].name))
			found = &requests[i];
	if (!found || surplus_length || (form_length && !word_is(form, form_length, "json")))
		return request_refuse(request, out);

	if (!form_length) {
		found->text(report, out);
		return 0;
	}
	json_t *json = found->json(report);
	if (!json) {
		fputs("error: out of memory\n", out);
		return -1;
	}
	json_dumpf(json, out, JSON_COMPACT);
	fputc('\n', out);
	json_decref(json);
	return 0;
}
