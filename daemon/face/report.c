/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "face/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "face/command.h"
#include "face/report_json.h"
#include "synmoat/cookie.h"

#define STATUS_SERVICES 8 /* `status` fits on a screen; `services` tells all */

const char *report_level_name(enum report_level level)
{
	static const char *const names[] = {
		[REPORT_OK] = "ok",
		[REPORT_WARNING] = "warning",
		[REPORT_FAULT] = "fault",
	};

	return names[level];
}

bool report_epoch_has_next(const struct report_epoch *epoch)
{
	return epoch->shared && epoch->next_from > epoch->epoch;
}

static const char *endpoint_text(const struct report_service *service, char text[REPORT_ENDPOINT_BYTES])
{
	const char *format = strchr(service->address, ':') ? "[%s]:%u" : "%s:%u";

	snprintf(text, REPORT_ENDPOINT_BYTES, format, service->address, service->port);
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

static bool is_calm(const struct report_service *service)
{
	return strcmp(service->character, "calm") == 0;
}

static void status_service_text(const struct report_service *service, FILE *out)
{
	char endpoint[REPORT_ENDPOINT_BYTES];

	fprintf(out, "  %s %s: %s", service->name, endpoint_text(service, endpoint), service->state);
	if (strcmp(service->override, "auto") != 0)
		fprintf(out, " (told to %s)", service->override);
	if (!is_calm(service))
		fprintf(out, ", %s", service->character);
	fprintf(out, ", half-open %" PRIu32, service->half_open);
	if (service->limit)
		fprintf(out, " of %" PRIu32 " (arms at %" PRIu32 ", disarms below %" PRIu32 ")", service->limit,
			service->arm_at, service->disarm_at);
	if (service->syn_per_s)
		fprintf(out, ", %" PRIu32 " SYN/s from about %" PRIu32 " sources", service->syn_per_s,
			service->distinct_sources);
	fputc('\n', out);
}

enum urgency {
	URGENT_ARMED,
	URGENT_TROUBLED,
	URGENT_NOT,
	URGENCY_COUNT
};

static enum urgency service_urgency(const struct report_service *service)
{
	return service->armed ? URGENT_ARMED : is_calm(service) ? URGENT_NOT : URGENT_TROUBLED;
}

/* Armed services first, then troubled ones: whoever looks during an attack looks for them. */
static void status_services_text(const struct report *report, FILE *out)
{
	size_t armed = 0, shown = 0;

	for (size_t i = 0; i < report->service_count; i++)
		armed += report->services[i].armed;
	fprintf(out, "%s: %zu of %zu protected services %s SYN cookies\n", report->armed ? "ARMED" : "not armed", armed,
		report->service_count, strcmp(report->policy, "observe") == 0 ? "would get" : "get");

	for (enum urgency urgency = 0; urgency < URGENCY_COUNT; urgency++)
		for (size_t i = 0; i < report->service_count && shown < STATUS_SERVICES; i++)
			if (service_urgency(&report->services[i]) == urgency) {
				status_service_text(&report->services[i], out);
				shown++;
			}
	if (shown < report->service_count)
		fprintf(out, "  and %zu more: see 'services'\n", report->service_count - shown);
}

/* ", XDP attached (eth0 native)": where it is switched off there is nothing to say. */
static void accelerator_text(const struct report_accelerator *accelerator, FILE *out)
{
	if (!accelerator->state || strcmp(accelerator->state, "off") == 0)
		return;
	fprintf(out, ", XDP %s", accelerator->state);
	for (size_t i = 0; i < accelerator->interface_count; i++)
		fprintf(out, "%s%s %s", i ? ", " : " (", accelerator->interfaces[i].name,
			accelerator->interfaces[i].state);
	if (accelerator->interface_count)
		fputc(')', out);
}

/* Six lines besides the services': of two services that listen by IPv4 and by IPv6, ten in all. */
static void status_text(const struct report *report, FILE *out)
{
	const uint64_t *count = report->counters;
	char uptime[48];

	fprintf(out, "synmoatd %s: mode %s, policy %s", report->version, report->mode, report->policy);
	accelerator_text(&report->accelerator, out);
	fprintf(out, ", %u shard%s, up %s\n", report->shards, report->shards == 1 ? "" : "s",
		uptime_text(report->uptime_s, uptime));
	status_services_text(report, out);
	fprintf(out, "SYNs: %" PRIu64 " received, %" PRIu64 " accepted, %" PRIu64 " challenged",
		count[OUTCOME_SYN_RECEIVED],
		count[OUTCOME_SYN_ACCEPTED] + count[OUTCOME_SYN_DIRECT] + count[OUTCOME_SYN_ALLOWED],
		count[OUTCOME_SYN_CHALLENGED] + count[OUTCOME_SYN_SOURCE_CHALLENGED]);
	if (report->accelerator.answered)
		fprintf(out, " (%" PRIu64 " by XDP)", report->accelerator.answered);
	fprintf(out, ", %" PRIu64 " refused\n", count[OUTCOME_SYN_DENIED] + count[OUTCOME_SYN_BANNED]);
	fprintf(out,
		"cookies: %" PRIu64 " valid, %" PRIu64 " invalid; handovers: %" PRIu64 " done, %" PRIu64 " failed\n",
		count[OUTCOME_ACK_COOKIE_VALID], count[OUTCOME_ACK_COOKIE_INVALID], count[OUTCOME_HANDED_OVER],
		count[OUTCOME_HANDOVER_FAILED]);
	fprintf(out,
		"half-open: %" PRIu64 " completed, %" PRIu64 " reset, %" PRIu64 " expired; lost: %" PRIu64
		" packets, because a queue was full\n",
		count[OUTCOME_HALF_OPEN_COMPLETED], count[OUTCOME_HALF_OPEN_RESET], count[OUTCOME_HALF_OPEN_EXPIRED],
		count[OUTCOME_QUEUE_DROPPED]);
	fprintf(out,
		"tables: %" PRIu32 " of %" PRIu32 " half-open entries, %" PRIu32 " of %" PRIu32 " sources, %zu bans\n",
		report->half_open_entries, report->half_open_capacity, report->source_entries, report->source_capacity,
		report->bans);
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

/* Below the service's row. Of a calm and idle service there is nothing to say. */
static void traffic_text(const struct report_service *service, FILE *out)
{
	if (is_calm(service) && !service->syn_per_s)
		return;
	fprintf(out, "    %s: %" PRIu32 "%% of handshakes complete", service->character, service->completion_percent);
	if (*service->top_source)
		fprintf(out, ", %" PRIu32 "%% of SYNs from %s", service->top_source_percent, service->top_source);
	if (*service->signature)
		fprintf(out, ", %" PRIu32 "%% alike: %s", service->signature_percent, service->signature);
	fputc('\n', out);
}

static void service_row_text(const struct report_service *service, int name_width, int endpoint_width, FILE *out)
{
	char endpoint[REPORT_ENDPOINT_BYTES];

	fprintf(out, "%-*s  %-*s  %-17s  %-7s  %-8s  %9" PRIu32, name_width, service->name, endpoint_width,
		endpoint_text(service, endpoint), service->state, service->cookies, service->override,
		service->half_open);
	if (service->limit)
		fprintf(out, "  %9" PRIu32 "  %9" PRIu32 "  %9" PRIu32, service->limit, service->arm_at,
			service->disarm_at);
	else
		fprintf(out, "  %9s  %9s  %9s", "-", "-", "-");
	fprintf(out, "  %9" PRIu32 "  %9" PRIu32, service->syn_per_s, service->distinct_sources);
	learned_text(service, out);
}

static void services_text(const struct report *report, FILE *out)
{
	int name_width = 4, endpoint_width = 8;
	char endpoint[REPORT_ENDPOINT_BYTES];

	for (size_t i = 0; i < report->service_count; i++) {
		int name = (int)strlen(report->services[i].name);
		int address = (int)strlen(endpoint_text(&report->services[i], endpoint));

		name_width = name > name_width ? name : name_width;
		endpoint_width = address > endpoint_width ? address : endpoint_width;
	}
	fprintf(out, "%-*s  %-*s  %-17s  %-7s  %-8s  %9s  %9s  %9s  %9s  %9s  %9s  LEARNED\n", name_width, "NAME",
		endpoint_width, "ENDPOINT", "STATE", "COOKIES", "OVERRIDE", "HALF-OPEN", "LIMIT", "ARMS-AT", "DISARMS<",
		"SYN/S", "SOURCES");
	for (size_t i = 0; i < report->service_count; i++) {
		service_row_text(&report->services[i], name_width, endpoint_width, out);
		traffic_text(&report->services[i], out);
	}
}

static void sources_text(const struct report *report, FILE *out)
{
	fprintf(out, "sources by %s:\n", report->sources_by);
	fprintf(out, "%-47s  %9s  %12s  %12s  %12s  %6s  NOTES\n", "SOURCE", "HALF-OPEN", "SYNS", "CHALLENGED",
		"COMPLETED", "IDLE-S");
	for (size_t i = 0; i < report->source_count; i++) {
		const struct report_source *source = &report->sources[i];

		fprintf(out, "%-47s  %9" PRIu32 "  %12" PRIu64 "  %12" PRIu64 "  %12" PRIu64 "  %6" PRIu32 "  %s\n",
			source->address, source->half_open, source->syns, source->challenged, source->completed,
			source->idle_s,
			source->proven ? source->wary ? "proven, wary" : "proven"
			: source->wary ? "wary"
				       : "-");
	}
}

static void help_text(FILE *out)
{
	int width = 0;
	char usage[64];

	for (enum verb verb = 0; verb < VERB_COUNT; verb++) {
		int length = snprintf(NULL, 0, "%s %s", verb_words(verb), verb_arguments(verb));

		width = length > width ? length : width;
	}
	for (enum verb verb = 0; verb < VERB_COUNT; verb++) {
		snprintf(usage, sizeof(usage), "%s %s", verb_words(verb), verb_arguments(verb));
		fprintf(out, "%-*s  %s\n", width, usage, verb_help(verb));
	}
	fputs("Each may be followed by \"json\".\n", out);
}

static void explain_text(const char *source, const char *policy, const struct report_verdict *verdicts, size_t count,
			 FILE *out)
{
	if (strcmp(policy, "observe") == 0)
		fputs("policy observe: nothing of this is done, only counted\n", out);
	for (size_t i = 0; i < count; i++)
		fprintf(out, "%s -> %s %s: %s: %s\n", source, verdicts[i].service, verdicts[i].endpoint,
			verdicts[i].outcome, verdicts[i].why);
	if (!count)
		fprintf(out, "%s -> no protected service\n", source);
}

static void cidrs_text(const char *list, const struct report_cidr *cidrs, size_t count, FILE *out)
{
	if (!count) {
		fprintf(out, "the %s list is empty\n", list);
		return;
	}
	fprintf(out, "%-*s  ORIGIN\n", CIDR_TEXT_BYTES - 1, "CIDR");
	for (size_t i = 0; i < count; i++)
		fprintf(out, "%-*s  %s\n", CIDR_TEXT_BYTES - 1, cidrs[i].cidr, cidrs[i].origin);
}

static void bans_text(const struct report_ban *bans, size_t count, FILE *out)
{
	if (!count) {
		fputs("no source is banned\n", out);
		return;
	}
	fprintf(out, "%-*s  %6s\n", (int)REPORT_SOURCE_BYTES - 1, "SOURCE", "LEFT-S");
	for (size_t i = 0; i < count; i++)
		fprintf(out, "%-*s  %6" PRIu32 "\n", (int)REPORT_SOURCE_BYTES - 1, bans[i].source, bans[i].left_s);
}

static void checks_text(const struct report_check *checks, size_t count, FILE *out)
{
	size_t found[REPORT_FAULT + 1] = {0};

	for (size_t i = 0; i < count; i++) {
		fprintf(out, "%-7s %s: %s\n", report_level_name(checks[i].level), checks[i].what, checks[i].text);
		found[checks[i].level]++;
	}
	fprintf(out, "%zu warning%s, %zu fault%s\n", found[REPORT_WARNING], found[REPORT_WARNING] == 1 ? "" : "s",
		found[REPORT_FAULT], found[REPORT_FAULT] == 1 ? "" : "s");
}

static void epoch_text(const struct report_epoch *epoch, FILE *out)
{
	fprintf(out, "epoch: %" PRIu32 ", %u s left\n", epoch->epoch, epoch->left_s);
	fprintf(out, "secret: %s\n", epoch->shared ? "shared, from a file" : "our own");
	fprintf(out, "fingerprint: %08" PRIx32 "\n", epoch->fingerprint);
	if (report_epoch_has_next(epoch))
		fprintf(out, "next secret: from epoch %" PRIu32 " (in %" PRIu64 " s)\n", epoch->next_from,
			epoch->left_s + (uint64_t)(epoch->next_from - epoch->epoch - 1) * COOKIE_EPOCH_S);
}

/* --- text or JSON ------------------------------------------------------------------------------------------------- */

void report_status(const struct report *report, bool json, FILE *out)
{
	(json ? report_json_status : status_text)(report, out);
}

void report_services(const struct report *report, bool json, FILE *out)
{
	(json ? report_json_services : services_text)(report, out);
}

void report_sources(const struct report *report, bool json, FILE *out)
{
	(json ? report_json_sources : sources_text)(report, out);
}

void report_version(const struct report *report, bool json, FILE *out)
{
	if (json)
		report_json_version(report, out);
	else
		fprintf(out, "synmoatd %s\n", report->version);
}

void report_help(bool json, FILE *out)
{
	(json ? report_json_help : help_text)(out);
}

void report_explain(const char *source, const char *policy, const struct report_verdict *verdicts, size_t count,
		    bool json, FILE *out)
{
	(json ? report_json_explain : explain_text)(source, policy, verdicts, count, out);
}

void report_cidrs(const char *list, const struct report_cidr *cidrs, size_t count, bool json, FILE *out)
{
	(json ? report_json_cidrs : cidrs_text)(list, cidrs, count, out);
}

void report_bans(const struct report_ban *bans, size_t count, bool json, FILE *out)
{
	(json ? report_json_bans : bans_text)(bans, count, out);
}

void report_checks(const struct report_check *checks, size_t count, bool json, FILE *out)
{
	(json ? report_json_checks : checks_text)(checks, count, out);
}

void report_epoch(const struct report_epoch *epoch, bool json, FILE *out)
{
	(json ? report_json_epoch : epoch_text)(epoch, out);
}

void report_done(const char *what, bool json, FILE *out)
{
	if (json)
		report_json_done(what, out);
	else
		fprintf(out, "ok: %s\n", what);
}

void report_error(bool json, FILE *out, const char *format, ...)
{
	char why[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	if (json)
		report_json_error(why, out);
	else
		fprintf(out, "error: %s\n", why);
}
