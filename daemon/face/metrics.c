/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "face/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "face/metrics_writer.h"
#include "synmoat/character.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define USEC_PER_SEC 1000000
#define NSEC_PER_SEC 1e9

/* ---- outcomes ---- */

/* What each is an alternative to. */
enum family {
	FAMILY_ALONE, /* to nothing: a counter of its own */
	FAMILY_SYNS,
	FAMILY_ACKS,
	FAMILY_HANDOVERS,
	FAMILY_HALF_OPEN,
	FAMILY_PACKETS,
	FAMILY_ERRORS,
	FAMILY_ELSEWHERE, /* told by the queue that it happened in */
	FAMILY_COUNT
};

static const struct {
	const char *name, *help;
} families[FAMILY_COUNT] = {
	[FAMILY_SYNS] = {"synmoat_syns_total", "SYNs for protected services by what became of them, one outcome each."},
	[FAMILY_ACKS] = {"synmoat_acks_total",
			 "ACKs to services that get cookies, of connections not known, by what became of them."},
	[FAMILY_HANDOVERS] = {"synmoat_handovers_total", "Handovers of a connection to the kernel by how they ended."},
	[FAMILY_HALF_OPEN] = {"synmoat_half_open_ended_total", "Half-open handshakes under watch by how they ended."},
	[FAMILY_PACKETS] = {"synmoat_packets_total", "Other queued packets that passed."},
	[FAMILY_ERRORS] = {"synmoat_errors_total", "What the kernel did not do when asked."},
};

/* A name of its own is that of the metric. */
static const struct {
	enum family family;
	const char *name;
} outcomes[] = {
	[OUTCOME_SYN_RECEIVED] = {FAMILY_ALONE, "synmoat_syns_received_total"},
	[OUTCOME_SYN_ACCEPTED] = {FAMILY_SYNS, NULL},
	[OUTCOME_SYN_RETRANSMITTED] = {FAMILY_SYNS, NULL},
	[OUTCOME_SYN_DIRECT] = {FAMILY_SYNS, NULL},
	[OUTCOME_SYN_CHALLENGED] = {FAMILY_SYNS, NULL},
	[OUTCOME_SYN_SOURCE_CHALLENGED] = {FAMILY_SYNS, NULL},
	[OUTCOME_SYN_ALLOWED] = {FAMILY_SYNS, NULL},
	[OUTCOME_SYN_DENIED] = {FAMILY_SYNS, NULL},
	[OUTCOME_SYN_BANNED] = {FAMILY_SYNS, NULL},
	[OUTCOME_SYN_CAPPED] = {FAMILY_SYNS, NULL},
	[OUTCOME_SYN_UNANSWERED] = {FAMILY_SYNS, NULL},
	[OUTCOME_SYN_TO_LEARN] = {FAMILY_SYNS, NULL},
	[OUTCOME_SYN_UNFOUND] = {FAMILY_SYNS, NULL},
	[OUTCOME_SYN_SIGNED] = {FAMILY_SYNS, NULL},
	[OUTCOME_SYN_UNKNOWN] = {FAMILY_SYNS, NULL},
	[OUTCOME_SYN_MALFORMED] = {FAMILY_SYNS, NULL},
	[OUTCOME_SYN_SHED] = {FAMILY_SYNS, NULL},
	[OUTCOME_SYN_ODD_SOURCE] = {FAMILY_SYNS, NULL},
	[OUTCOME_SYN_OVERRUN] = {FAMILY_SYNS, NULL},
	[OUTCOME_SYN_UNSEEN] = {FAMILY_SYNS, NULL},
	[OUTCOME_SYNACK_UNSENT] = {FAMILY_ERRORS, NULL},
	[OUTCOME_ACK_COOKIE_VALID] = {FAMILY_ACKS, NULL},
	[OUTCOME_ACK_COOKIE_INVALID] = {FAMILY_ACKS, NULL},
	[OUTCOME_ACK_SHED] = {FAMILY_ACKS, NULL},
	[OUTCOME_STRAY_RESET] = {FAMILY_ALONE, "synmoat_strays_reset_total"},
	[OUTCOME_ACK_OVER_RATE] = {FAMILY_ACKS, NULL},
	[OUTCOME_ACK_HELD] = {FAMILY_ACKS, NULL},
	[OUTCOME_ACK_HOLD_FULL] = {FAMILY_ACKS, NULL},
	[OUTCOME_ACK_AFTER_HANDOVER] = {FAMILY_ACKS, NULL},
	[OUTCOME_HANDED_OVER] = {FAMILY_HANDOVERS, NULL},
	[OUTCOME_HANDOVER_FAILED] = {FAMILY_HANDOVERS, NULL},
	[OUTCOME_HANDOVER_REFUSED] = {FAMILY_HANDOVERS, NULL},
	[OUTCOME_HANDOVER_TABLE_FULL] = {FAMILY_ACKS, NULL},
	[OUTCOME_HANDOVER_RETRIED] = {FAMILY_ACKS, NULL},
	[OUTCOME_HALF_OPEN_COMPLETED] = {FAMILY_HALF_OPEN, NULL},
	[OUTCOME_HALF_OPEN_RESET] = {FAMILY_HALF_OPEN, NULL},
	[OUTCOME_HALF_OPEN_EXPIRED] = {FAMILY_HALF_OPEN, NULL},
	[OUTCOME_HALF_OPEN_UNTRACKED] = {FAMILY_HALF_OPEN, NULL},
	[OUTCOME_HALF_OPEN_EVICTED] = {FAMILY_HALF_OPEN, NULL},
	[OUTCOME_SOURCE_BANNED] = {FAMILY_ALONE, "synmoat_sources_banned_total"},
	[OUTCOME_SOURCE_EVICTED] = {FAMILY_ALONE, "synmoat_sources_evicted_total"},
	[OUTCOME_OPTIONS_LEARNED] = {FAMILY_ALONE, "synmoat_options_learned_total"},
	[OUTCOME_ICMP_TRANSLATED] = {FAMILY_ALONE, "synmoat_icmp_translated_total"},
	[OUTCOME_PACKET_PASSED] = {FAMILY_PACKETS, NULL},
	[OUTCOME_PACKET_MALFORMED] = {FAMILY_PACKETS, NULL},
	[OUTCOME_CONNTRACK_ERROR] = {FAMILY_ERRORS, NULL},
	[OUTCOME_VERDICT_ERROR] = {FAMILY_ERRORS, NULL},
	[OUTCOME_QUEUE_DROPPED] = {FAMILY_ELSEWHERE, NULL},
};
_Static_assert(LENGTH(outcomes) == OUTCOME_COUNT, "every outcome belongs to a family");

static void write_outcomes(struct writer *writer, const uint64_t counters[OUTCOME_COUNT])
{
	for (unsigned i = 0; i < OUTCOME_COUNT; i++)
		if (outcomes[i].family == FAMILY_ALONE) {
			char help[128];

			snprintf(help, sizeof(help), "%s.", outcome_help(i));
			help[0] -= help[0] >= 'a' && help[0] <= 'z' ? 'a' - 'A' : 0;
			writer_number(writer, outcomes[i].name, METRIC_COUNTER, help, counters[i]);
		}
	for (enum family family = FAMILY_SYNS; family < FAMILY_ELSEWHERE; family++) {
		writer_family(writer, families[family].name, METRIC_COUNTER, families[family].help);
		for (unsigned i = 0; i < OUTCOME_COUNT; i++)
			if (outcomes[i].family == family) {
				struct label label = {"outcome", outcome_name(i)};

				writer_sample(writer, "", &label, 1, counters[i]);
			}
	}
}

/* ---- services ---- */

#define SERVICE_LABELS 3

struct service_labels {
	char port[8];
	struct label labels[SERVICE_LABELS + 1]; /* and room for one more */
};

static void label_service(const struct report_service *service, struct service_labels *text)
{
	snprintf(text->port, sizeof(text->port), "%u", service->port);
	text->labels[0] = (struct label){"service", service->name};
	text->labels[1] = (struct label){"address", service->address};
	text->labels[2] = (struct label){"port", text->port};
}

/* One number of each service. */
enum service_number {
	NUMBER_ARMED,
	NUMBER_HALF_OPEN,
	NUMBER_LIMIT,
	NUMBER_ARM_AT,
	NUMBER_DISARM_AT,
	NUMBER_DISTINCT,
	NUMBER_SYNS,
	NUMBER_BEGUN,
	NUMBER_COMPLETED,
	NUMBER_COOKIES_SENT,
	NUMBER_COOKIES_RETURNED,
	NUMBER_ALLOWED_PRESS,
	NUMBER_COUNT
};

static const struct {
	const char *name;
	enum metric_type type;
	const char *help;
} service_numbers[] = {
	[NUMBER_ARMED] = {"synmoat_service_armed", METRIC_GAUGE, "Whether the service gets SYN cookies now."},
	[NUMBER_HALF_OPEN] = {"synmoat_service_half_open", METRIC_GAUGE,
			      "Half-open handshakes; while armed, with the cookies that were not answered."},
	[NUMBER_LIMIT] = {"synmoat_service_half_open_limit", METRIC_GAUGE,
			  "Half-open handshakes that the server can hold; 0 is not known."},
	[NUMBER_ARM_AT] = {"synmoat_service_arm_threshold", METRIC_GAUGE,
			   "Half-open handshakes at which the service is armed; 0 is not known."},
	[NUMBER_DISARM_AT] = {"synmoat_service_disarm_threshold", METRIC_GAUGE,
			      "Half-open handshakes below which the service is disarmed; 0 is not known."},
	[NUMBER_DISTINCT] = {"synmoat_service_distinct_sources", METRIC_GAUGE,
			     "Estimated number of sources of the SYNs of the last seconds."},
	[NUMBER_SYNS] = {"synmoat_service_syns_total", METRIC_COUNTER,
			 "SYNs for the service that the daemon looked at."},
	[NUMBER_BEGUN] = {"synmoat_service_handshakes_begun_total", METRIC_COUNTER,
			  "Handshakes begun with the server, without a cookie."},
	[NUMBER_COMPLETED] = {"synmoat_service_handshakes_completed_total", METRIC_COUNTER,
			      "Handshakes among those that the client completed."},
	[NUMBER_COOKIES_SENT] = {"synmoat_service_cookies_sent_total", METRIC_COUNTER,
				 "SYN cookies sent (observe: that would have been)."},
	[NUMBER_COOKIES_RETURNED] = {"synmoat_service_cookies_returned_total", METRIC_COUNTER,
				     "SYN cookies that the client returned."},
	[NUMBER_ALLOWED_PRESS] = {"synmoat_service_allowed_press", METRIC_GAUGE,
				  "Whether SYNs of allowed sources, or in their name, fill the service's backlog; of "
				  "several it is the one that has most of them."},
};
_Static_assert(LENGTH(service_numbers) == NUMBER_COUNT, "every number has a name");

static uint64_t service_number(const struct metrics *metrics, size_t index, enum service_number which)
{
	const struct report_service *service = &metrics->report->services[index];
	const struct tally_totals *totals = &metrics->services[index].totals;
	const uint64_t numbers[] = {
		[NUMBER_ARMED] = service->armed,
		[NUMBER_HALF_OPEN] = service->half_open,
		[NUMBER_LIMIT] = service->limit,
		[NUMBER_ARM_AT] = service->arm_at,
		[NUMBER_DISARM_AT] = service->disarm_at,
		[NUMBER_DISTINCT] = service->distinct_sources,
		[NUMBER_SYNS] = totals->syns,
		[NUMBER_BEGUN] = totals->begun,
		[NUMBER_COMPLETED] = totals->completed,
		[NUMBER_COOKIES_SENT] = totals->cookies_sent,
		[NUMBER_COOKIES_RETURNED] = totals->cookies_returned,
		[NUMBER_ALLOWED_PRESS] = metrics->services[index].allowed_press,
	};

	_Static_assert(LENGTH(numbers) == NUMBER_COUNT, "every number is told");
	return numbers[which];
}

static void write_completion(struct writer *writer, const struct metrics *metrics)
{
	writer_family(writer, "synmoat_service_completion_ratio", METRIC_GAUGE,
		      "Handshakes of the last seconds that were completed, 0 to 1; NaN when there were none.");
	for (size_t i = 0; i < metrics->report->service_count; i++) {
		const struct metrics_service *service = &metrics->services[i];
		double ratio = (double)service->completed / (double)service->begun;
		struct service_labels text = {.port = ""};

		label_service(&metrics->report->services[i], &text);
		writer_real(writer, "", text.labels, SERVICE_LABELS,
			    !service->begun ? (double)NAN
			    : ratio > 1     ? 1
					    : ratio);
	}
}

/* Which one of several words it is: 1 for that, 0 for the others. */
static void write_state(struct writer *writer, const struct report_service *service, const char *label,
			const char *const *words, size_t count, const char *is)
{
	struct service_labels text = {.port = ""};

	label_service(service, &text);
	for (size_t i = 0; i < count; i++) {
		text.labels[SERVICE_LABELS] = (struct label){label, words[i]};
		writer_sample(writer, "", text.labels, SERVICE_LABELS + 1, strcmp(words[i], is) == 0);
	}
}

static void write_services(struct writer *writer, const struct metrics *metrics)
{
	static const char *const states[] = {"watching",      "wary",          "armed",    "draining",
					     "not listening", "no answer yet", "refusing", "answers elsewhere",
					     "network"}; /* as face/report.h lists them */
	const char *characters[CHARACTER_COUNT];
	const struct report *report = metrics->report;
	struct service_labels text = {.port = ""};

	for (unsigned i = 0; i < CHARACTER_COUNT; i++)
		characters[i] = character_name(i);
	for (enum service_number which = 0; which < NUMBER_COUNT; which++) {
		writer_family(writer, service_numbers[which].name, service_numbers[which].type,
			      service_numbers[which].help);
		for (size_t i = 0; i < report->service_count; i++) {
			label_service(&report->services[i], &text);
			writer_sample(writer, "", text.labels, SERVICE_LABELS, service_number(metrics, i, which));
		}
	}
	write_completion(writer, metrics);
	writer_family(writer, "synmoat_service_state", METRIC_GAUGE,
		      "Whether the service is in this state: 1, else 0.");
	for (size_t i = 0; i < report->service_count; i++)
		write_state(writer, &report->services[i], "state", states, LENGTH(states), report->services[i].state);
	writer_family(writer, "synmoat_service_character", METRIC_GAUGE,
		      "Whether the service's load is of this character: 1, else 0.");
	for (size_t i = 0; i < report->service_count; i++)
		write_state(writer, &report->services[i], "character", characters, CHARACTER_COUNT,
			    report->services[i].character);
}

/* ---- the daemon ---- */

static void write_daemon(struct writer *writer, const struct metrics *metrics)
{
	const struct report *report = metrics->report;
	struct label version = {"version", report->version};
	struct label mode[] = {{"mode", report->mode}, {"policy", report->policy}};

	writer_family(writer, "synmoat_build_info", METRIC_GAUGE, "The version of the daemon; always 1.");
	writer_sample(writer, "", &version, 1, 1);
	writer_family(writer, "synmoat_info", METRIC_GAUGE, "Mode and policy of the configuration; always 1.");
	writer_sample(writer, "", mode, LENGTH(mode), 1);
	writer_number(writer, "synmoat_start_time_seconds", METRIC_GAUGE, "When the daemon was started, in Unix time.",
		      metrics->started_s);
	writer_number(writer, "synmoat_rules_restored_total", METRIC_COUNTER,
		      "Tables made again after somebody else had changed or deleted them.", report->rules_restored);
	writer_number(writer, "synmoat_shards", METRIC_GAUGE, "Worker threads.", report->shards);
	writer_number(writer, "synmoat_orders_refused_total", METRIC_COUNTER,
		      "Requests to change something by somebody who may not.", report->orders_refused);
}

static void write_tables(struct writer *writer, const struct metrics *metrics)
{
	const struct report *report = metrics->report;
	const struct {
		const char *name;
		uint64_t entries, capacity;
	} tables[] = {
		{"half_open", report->half_open_entries, report->half_open_capacity},
		{"sources", report->source_entries, report->source_capacity},
		{"handovers", metrics->handover_entries, metrics->handover_capacity},
		{"bans", report->bans, metrics->ban_capacity},
	};

	writer_family(writer, "synmoat_table_entries", METRIC_GAUGE, "Entries of a table.");
	for (size_t i = 0; i < LENGTH(tables); i++)
		writer_sample(writer, "", &(struct label){"table", tables[i].name}, 1, tables[i].entries);
	writer_family(writer, "synmoat_table_capacity", METRIC_GAUGE,
		      "Entries that a table can hold; that of bans as many of each address family.");
	for (size_t i = 0; i < LENGTH(tables); i++)
		writer_sample(writer, "", &(struct label){"table", tables[i].name}, 1, tables[i].capacity);
}

static void write_latency(struct writer *writer, const char *name, const char *help, const struct latency *latency)
{
	uint64_t count = 0;
	char bound[32];

	writer_family(writer, name, METRIC_HISTOGRAM, help);
	for (unsigned i = 0; i <= LATENCY_BOUNDS; i++) {
		if (i < LATENCY_BOUNDS)
			snprintf(bound, sizeof(bound), "%g", (double)latency_bounds_us[i] / USEC_PER_SEC);
		else
			strcpy(bound, "+Inf");
		count += latency->counts[i];
		writer_sample(writer, "_bucket", &(struct label){"le", bound}, 1, count);
	}
	writer_real(writer, "_sum", NULL, 0, (double)latency->sum_ns / NSEC_PER_SEC);
	writer_sample(writer, "_count", NULL, 0, count);
}

static void write_accelerator(struct writer *writer, const struct report_accelerator *accelerator)
{
	uint64_t attached = 0;

	for (size_t i = 0; i < accelerator->interface_count; i++)
		attached += strcmp(accelerator->interfaces[i].state, "native") == 0 ||
			    strcmp(accelerator->interfaces[i].state, "generic") == 0;
	writer_number(writer, "synmoat_xdp_interfaces", METRIC_GAUGE, "Interfaces that have the XDP program now.",
		      attached);
	writer_number(writer, "synmoat_xdp_syns_answered_total", METRIC_COUNTER,
		      "SYNs that the XDP program answered, of those challenged.", accelerator->answered);
	writer_number(writer, "synmoat_xdp_syns_passed_total", METRIC_COUNTER,
		      "SYNs to armed services that the XDP program let pass.", accelerator->passed_up);
}

/* ---- the kernel ---- */

static void write_tcp(struct writer *writer, const struct kernel_counters *kernel)
{
	static const struct {
		const char *name, *help;
	} texts[] = {
		[KERNEL_TCP_LISTEN_OVERFLOWS] = {"synmoat_kernel_listen_overflows_total",
						 "Handshakes the kernel dropped because an accept queue was full."},
		[KERNEL_TCP_LISTEN_DROPS] = {"synmoat_kernel_listen_drops_total",
					     "Handshakes the kernel dropped at a listener, for whichever reason."},
		[KERNEL_TCP_QUEUE_FULL_DROPS] = {"synmoat_kernel_request_queue_full_drops_total",
						 "SYNs the kernel dropped because a SYN backlog was full."},
		[KERNEL_TCP_QUEUE_FULL_COOKIES] = {"synmoat_kernel_request_queue_full_cookies_total",
						   "SYNs the kernel answered with a cookie of its own because a SYN "
						   "backlog was full."},
		[KERNEL_TCP_COOKIES_SENT] = {"synmoat_kernel_syncookies_sent_total",
					     "SYN cookies of the kernel's own, sent."},
		[KERNEL_TCP_COOKIES_RECEIVED] = {"synmoat_kernel_syncookies_received_total",
						 "SYN cookies of the kernel's own, returned."},
		[KERNEL_TCP_COOKIES_FAILED] = {"synmoat_kernel_syncookies_failed_total",
					       "ACKs without a connection that held no cookie of the kernel's own."},
	};

	_Static_assert(LENGTH(texts) == KERNEL_TCP_COUNT, "every counter has a name");
	for (unsigned i = 0; i < KERNEL_TCP_COUNT; i++)
		if (kernel->tcp_known[i])
			writer_number(writer, texts[i].name, METRIC_COUNTER, texts[i].help, kernel->tcp[i]);
}

static void write_queues(struct writer *writer, const struct kernel_counters *kernel)
{
	char number[8];
	struct label labels[] = {{"queue", number}, {"reason", NULL}};

	if (!kernel->queues_known)
		return;
	writer_family(writer, "synmoat_kernel_queue_length", METRIC_GAUGE, "Packets that wait in an NFQUEUE.");
	for (unsigned i = 0; i < kernel->queue_count; i++) {
		snprintf(number, sizeof(number), "%u", kernel->queues[i].number);
		writer_sample(writer, "", labels, 1, kernel->queues[i].length);
	}
	writer_family(writer, "synmoat_kernel_queue_dropped_total", METRIC_COUNTER,
		      "Packets the kernel dropped instead of queueing them.");
	for (unsigned i = 0; i < kernel->queue_count; i++) {
		snprintf(number, sizeof(number), "%u", kernel->queues[i].number);
		labels[1].value = "queue_full";
		writer_sample(writer, "", labels, 2, kernel->queues[i].queue_full);
		labels[1].value = "socket_full";
		writer_sample(writer, "", labels, 2, kernel->queues[i].socket_full);
	}
}

static void write_conntrack(struct writer *writer, const struct kernel_counters *kernel)
{
	if (!kernel->conntrack_known)
		return;
	writer_number(writer, "synmoat_kernel_conntrack_entries", METRIC_GAUGE, "Connections in conntrack's table.",
		      kernel->conntrack.entries);
	if (kernel->conntrack.entries_max)
		writer_number(writer, "synmoat_kernel_conntrack_entries_limit", METRIC_GAUGE,
			      "Connections that conntrack's table can hold.", kernel->conntrack.entries_max);
	writer_number(writer, "synmoat_kernel_conntrack_insert_failed_total", METRIC_COUNTER,
		      "Connections that could not be entered in conntrack's table, mostly for a clash.",
		      kernel->conntrack.insert_failed);
	writer_number(writer, "synmoat_kernel_conntrack_dropped_total", METRIC_COUNTER,
		      "Packets dropped because conntrack had no room or no memory for their connection.",
		      kernel->conntrack.drop);
	writer_number(writer, "synmoat_kernel_conntrack_early_dropped_total", METRIC_COUNTER,
		      "Connections that conntrack forgot to make room in a full table.", kernel->conntrack.early_drop);
}

void metrics_write(const struct metrics *metrics, bool json, FILE *out)
{
	struct writer writer;

	writer_begin(&writer, json, out);
	write_daemon(&writer, metrics);
	write_outcomes(&writer, metrics->report->counters);
	write_latency(&writer, "synmoat_handover_duration_seconds",
		      "From a client's third ACK until its connection is handed to the kernel.", &metrics->handover);
	write_services(&writer, metrics);
	write_tables(&writer, metrics);
	write_accelerator(&writer, &metrics->report->accelerator);
	write_queues(&writer, &metrics->kernel);
	write_tcp(&writer, &metrics->kernel);
	write_conntrack(&writer, &metrics->kernel);
	writer_end(&writer);
}
