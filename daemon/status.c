/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status: fills a report and the metrics from shards, registry and kernel; face/report.c and face/metrics.c word them. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "edge/kernel_counters.h"
#include "edge/queue.h"
#include "face/command.h"
#include "face/metrics.h"
#include "face/report.h"
#include "supervisor_parts.h"
#include "synmoat/version.h"

#define NSEC_PER_SEC 1000000000ULL
/* Gathering asks every shard: whoever reads the metrics more often reads the same again. */
#define METRICS_KEPT_NS (NSEC_PER_SEC / 4)

struct gathering {
	struct report report;
	struct metrics metrics;
	struct report_service services[SERVICES_MAX];
	struct metrics_service numbers[SERVICES_MAX];
	unsigned slots[SERVICES_MAX]; /* of each service shown */
	struct tally_window windows[SERVICES_MAX];
	struct tally_sketch sketches[SERVICES_MAX];
	struct source_prefixes prefixes;
	struct policy policy;
	unsigned top_most; /* 0: nobody asks for sources */
	enum source_order top_order;
	struct source top[COMMAND_TOP_MAX * 2]; /* the best so far, and one shard's */
	unsigned top_count;
	uint64_t spill_lost[WORKERS_MAX];
	struct account_taken taken;
	struct report_source sources[COMMAND_TOP_MAX];
};

/* In a shard's thread. */
static void job_gather(struct worker *worker, void *argument)
{
	struct gathering *all = argument;
	struct report *report = &all->report;
	uint64_t now_ns = worker_now_ns();

	all->prefixes = worker->guard.limits.prefixes;
	all->policy = worker->guard.limits.policy;
	for (unsigned i = 0; i < OUTCOME_COUNT; i++)
		report->counters[i] += worker->guard.counters[i];
	report->counters[OUTCOME_VERDICT_ERROR] += queue_errors(worker->flow_queue);
	for (unsigned i = 0; i < WORKER_LANES; i++)
		report->counters[OUTCOME_VERDICT_ERROR] += queue_errors(worker->lanes[i].queue);
	account_taken_add(&all->taken, &worker->syns_taken);
	if (worker->spill)
		all->spill_lost[worker->setup.shard] = spill_lost(worker->spill);
	report->half_open_entries += halfopen_count(worker->guard.halfopen);
	report->source_entries += source_count(worker->guard.sources);
	all->metrics.handover_entries += splice_waiting(worker->guard.splices);
	latency_merge(&all->metrics.handover, &worker->guard.handover_latency);
	for (size_t i = 0; i < report->service_count; i++) {
		const struct tally *tally = &worker->guard.tallies[all->slots[i]];

		tally_window(tally, now_ns, &all->windows[i]);
		tally_sketch_window(tally, now_ns, &all->sketches[i]);
		tally_totals(tally, &all->numbers[i].totals);
	}
	if (!all->top_most)
		return;
	all->top_count += source_top(worker->guard.sources, all->top + all->top_count, all->top_most, all->top_order);
	source_sort(all->top, all->top_count, all->top_order);
	if (all->top_count > all->top_most)
		all->top_count = all->top_most;
}

/* What keeps a service behind this host from being answered for; NULL if nothing does. */
static const char *reticence_name(const struct service *service)
{
	static const char *const names[] = {[SERVICE_ANSWERS] = NULL,
					    [SERVICE_ANSWERS_NOT_YET] = "no answer yet",
					    [SERVICE_REFUSES] = "refusing",
					    [SERVICE_ANSWERS_ELSEWHERE] = "answers elsewhere"};

	if (!service->behind)
		return NULL;
	return service->host_bits ? "network" : names[service->answers];
}

static const char *state_name(const struct service *service)
{
	static const char *const names[] = {[SERVICE_WATCHING] = "watching",
					    [SERVICE_WARY] = "wary",
					    [SERVICE_ARMED] = "armed",
					    [SERVICE_DRAINING] = "draining"};

	if (reticence_name(service))
		return reticence_name(service);
	return service->listening ? names[service->posture] : "not listening";
}

static void describe_service(const struct supervisor *supervisor, unsigned slot, struct report_service *shown)
{
	static const char *const cookies[] = {[SERVICE_COOKIES_AUTO] = "auto",
					      [SERVICE_COOKIES_ALWAYS] = "always",
					      [SERVICE_COOKIES_NEVER] = "never"};
	static const char *const overrides[] = {
		[SERVICE_OVERRIDE_AUTO] = "auto", [SERVICE_OVERRIDE_ARM] = "arm", [SERVICE_OVERRIDE_DISARM] = "disarm"};
	const struct service *service = &supervisor->registry.services[slot];
	const struct look *look = &supervisor->looks[slot];
	struct service_learned learned = service_learned(service, false);
	char address[REGISTRY_ENDPOINT_BYTES];

	if (!learned.known)
		learned = service_learned(service, true);
	*shown = (struct report_service){
		.port = service->port,
		.cookies = cookies[service->cookies],
		.state = state_name(service),
		.override = overrides[service->override],
		.character = character_name(supervisor->incidents[slot].character),
		.armed = service->posture == SERVICE_ARMED,
		.half_open = look->wanted ? look->load : service->half_open,
		.limit = service->limit,
		.arm_at = service->limit ? service->arm_at : 0,
		.disarm_at = service->limit ? service->disarm_at : 0,
		.learned = {learned.mss, learned.wscale, learned.sack, learned.timestamps},
	};
	memcpy(shown->name, service->name, sizeof(shown->name));
	registry_address(service, address);
	_Static_assert(sizeof(shown->address) >= CIDR_TEXT_BYTES, "a network fits");
	memcpy(shown->address, address, sizeof(shown->address));
}

static void source_text(const struct addr *net, const struct source_prefixes *prefixes, char text[REPORT_SOURCE_BYTES])
{
	struct cidr cidr = {*net, addr_is_v4(net) ? (uint8_t)(CIDR_V4_BITS + prefixes->v4_bits) : prefixes->v6_bits};

	_Static_assert(REPORT_SOURCE_BYTES >= CIDR_TEXT_BYTES, "a source is written as a network");
	cidr_text(&cidr, text);
}

/* What the shards together have seen of it lately. */
static void describe_traffic(struct gathering *all, size_t index, struct report_service *shown)
{
	struct metrics_service *numbers = &all->numbers[index];
	const struct tally_window *window = &all->windows[index];
	const struct tally_sketch *sketch = &all->sketches[index];
	const struct tally_top *heaviest = tally_heaviest(sketch);
	const struct tally_top *commonest = tally_commonest(sketch);

	shown->syn_per_s = window->last_second;
	shown->distinct_sources = tally_distinct(sketch);
	numbers->begun = (uint64_t)window->begun + window->cookies_sent;
	numbers->completed = (uint64_t)window->completed + window->cookies_returned;
	shown->completion_percent = tally_percent(numbers->completed, numbers->begun);
	shown->top_source_percent = tally_percent(tally_certain(heaviest), sketch->syns);
	shown->signature_percent = tally_percent(tally_certain(commonest), sketch->syns);
	_Static_assert(sizeof(shown->signature) >= TALLY_SIGNATURE_BYTES, "a signature fits");
	if (heaviest)
		source_text(&heaviest->net, &all->prefixes, shown->top_source);
	if (commonest)
		tally_signature_text(&commonest->signature, shown->signature);
}

static void describe_source(const struct gathering *all, const struct source *source, uint64_t now_ns,
			    struct report_source *shown)
{
	*shown = (struct report_source){
		.proven = policy_proven(&all->policy, source, now_ns),
		.wary = policy_wary(&all->policy, source, all->policy.half_open_limit, now_ns),
		.half_open = source->half_open,
		.syns = source->syns,
		.challenged = source->challenged,
		.completed = source->completed,
		.idle_s = source_age_s(source->last_s, now_ns),
	};
	source_text(&source->net, &all->prefixes, shown->address);
}

/* ---- every SYN received, and why ---- */

static const enum ruleset_refusal arrivals[ACCOUNT_DOORS] = {
	[ACCOUNT_WATCHED] = RULESET_TO_WATCHED,
	[ACCOUNT_ARMED] = RULESET_TO_ARMED,
	[ACCOUNT_SPILL] = RULESET_TO_SPILL,
};

/* Of the queues for SYNs: of three per shard, the first and the last (supervisor.c). */
static void look_at_queues(const struct supervisor *supervisor, const struct kernel_counters *kernel,
			   struct account_look *look)
{
	const unsigned shards = supervisor->shards;

	for (unsigned lane = 0; lane < WORKER_LANES; lane++) {
		look->doors[lane].waiting_known = kernel->queues_known;
		look->doors[lane].passes = supervisor_passes_unseen(&supervisor->config, lane == LANE_ARMED);
	}
	for (unsigned i = 0; i < kernel->queue_count; i++) {
		const struct kernel_queue *queue = &kernel->queues[i];
		unsigned place = (queue->number - supervisor->config.queues.first) / shards;
		struct account_door_look *door = &look->doors[place == 0 ? LANE_WATCHED : LANE_ARMED];

		if (place == 1)
			continue;
		door->waiting += queue->length;
		door->dropped += queue->queue_full + queue->socket_full;
	}
}

/* What has come to the shards' doors, before anybody asks them what they took. */
static void look_at_doors(struct supervisor *supervisor, struct account_look *look)
{
	uint64_t counts[RULESET_REFUSAL_COUNT];

	look->arrived_ns = worker_now_ns();
	if (ruleset_refusals(&supervisor->ruleset, counts) < 0)
		memset(counts, 0, sizeof(counts));
	for (unsigned door = 0; door < ACCOUNT_DOORS; door++)
		look->doors[door].arrived = counts[arrivals[door]];
}

static void count_unseen(struct supervisor *supervisor, struct account_look *look, struct gathering *all)
{
	uint64_t *counters = all->report.counters;

	look->taken = all->taken;
	for (unsigned i = 0; i < supervisor->shards; i++)
		look->doors[ACCOUNT_SPILL].dropped += all->spill_lost[i];
	account_look(&supervisor->account, look);
	counters[OUTCOME_SYN_OVERRUN] = account_dropped(&supervisor->account);
	counters[OUTCOME_SYN_UNSEEN] = account_passed(&supervisor->account);
}

/* What the rules count. Read last: whatever has an outcome was received before. Who goes through the rules once more has
 * been taken in before, and is not received again. */
static void count_by_rules(struct supervisor *supervisor, const struct account_taken *taken, struct report *report)
{
	static const struct {
		enum ruleset_refusal refusal;
		enum outcome outcome;
		bool received;
	} texts[] = {
		{RULESET_ALLOWED, OUTCOME_SYN_ALLOWED, true},      {RULESET_DENIED, OUTCOME_SYN_DENIED, true},
		{RULESET_BANNED, OUTCOME_SYN_BANNED, true},        {RULESET_ODD_SOURCE, OUTCOME_SYN_ODD_SOURCE, true},
		{RULESET_STRAY_RESET, OUTCOME_STRAY_RESET, false},
	};
	uint64_t counts[RULESET_REFUSAL_COUNT];
	uint64_t *received = &report->counters[OUTCOME_SYN_RECEIVED];

	if (ruleset_refusals(&supervisor->ruleset, counts) < 0) {
		*received += report->counters[OUTCOME_SYN_OVERRUN]; /* as far as the queues tell */
		return;
	}
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		report->counters[texts[i].outcome] += counts[texts[i].refusal];
		*received += texts[i].received ? counts[texts[i].refusal] : 0;
	}
	for (unsigned door = 0; door < ACCOUNT_DOORS; door++)
		if (counts[arrivals[door]] > taken->syns[door])
			*received += counts[arrivals[door]] - taken->syns[door];
}

static size_t count_bans(struct supervisor *supervisor)
{
	struct ruleset_ban *bans;
	int count = supervisor->bans_used ? ruleset_bans(&supervisor->ruleset, &bans) : -1;

	if (count < 0)
		return 0;
	free(bans);
	return (size_t)count;
}

/* What a report begins with: whatever the shards need not be asked for. */
static void describe_daemon(const struct supervisor *supervisor, struct gathering *all)
{
	const struct registry *registry = &supervisor->registry;
	struct report *report = &all->report;

	report->version = SYNMOAT_VERSION;
	report->uptime_s = (worker_now_ns() - supervisor->started_ns) / NSEC_PER_SEC;
	report->mode = supervisor->config.mode == MODE_GATEWAY ? "gateway" : "host";
	report->policy = supervisor->config.policy == POLICY_OBSERVE ? "observe" : "enforce";
	report->shards = supervisor->shards;
	report->orders_refused = supervisor->orders_refused;
	accelerator_describe(supervisor, &report->accelerator);
	report->rules_restored = supervisor->rules_restored;
	report->half_open_capacity = supervisor->config.tables.half_open;
	report->source_capacity = supervisor->config.tables.sources;
	report->services = all->services;
	report->sources = all->sources;
	report->sources_by = all->top_order == SOURCE_BY_CHALLENGED ? "challenged" : "half-open";
	for (unsigned i = 0; i < registry->service_count; i++) {
		if (!registry->services[i].in_use)
			continue;
		all->slots[report->service_count] = i;
		describe_service(supervisor, i, &all->services[report->service_count]);
		all->numbers[report->service_count].allowed_press = (int)i == supervisor->allowed_press.service;
		report->armed |= all->services[report->service_count++].armed;
	}
}

/* `top_most`: how many sources are asked for. NULL when out of memory; free() it. */
static struct gathering *gather(struct supervisor *supervisor, unsigned top_most, enum source_order top_order)
{
	struct gathering *all = calloc(1, sizeof(*all));
	uint64_t now_ns = worker_now_ns();
	struct account_look look = {.arrived_ns = 0};
	struct report *report;

	if (!all)
		return NULL;
	report = &all->report;
	all->top_most = top_most;
	all->top_order = top_order;
	accelerator_count(supervisor, now_ns);
	describe_daemon(supervisor, all);
	all->taken = account_taken_none();
	look_at_doors(supervisor, &look);
	kernel_counters_read(&all->metrics.kernel, supervisor->config.queues.first,
			     supervisor->shards * (WORKER_LANES + 1));
	look_at_queues(supervisor, &all->metrics.kernel, &look);
	for (unsigned i = 0; i < supervisor->shards; i++)
		worker_call(&supervisor->workers[i], job_gather, all);
	for (size_t i = 0; i < report->service_count; i++)
		describe_traffic(all, i, &all->services[i]);
	for (unsigned i = 0; i < all->top_count; i++)
		describe_source(all, &all->top[i], now_ns, &all->sources[i]);
	report->source_count = all->top_count;
	count_unseen(supervisor, &look, all);
	count_by_rules(supervisor, &all->taken, report);
	report->bans = count_bans(supervisor);
	for (unsigned i = 0; i < supervisor->shards; i++)
		kernel_counters_add_lost(&all->metrics.kernel, supervisor->workers[i].setup.spill_group,
					 all->spill_lost[i]);
	report->counters[OUTCOME_QUEUE_DROPPED] = kernel_counters_queue_dropped(&all->metrics.kernel);
	return all;
}

void supervisor_report(struct supervisor *supervisor, const struct command *command, FILE *out)
{
	struct gathering *all =
		gather(supervisor, command->verb == VERB_SOURCES ? command->top : 0,
		       command->by == COMMAND_BY_CHALLENGED ? SOURCE_BY_CHALLENGED : SOURCE_BY_HALF_OPEN);

	if (!all) {
		report_error(command->json, out, "out of memory");
		return;
	}
	switch (command->verb) {
	case VERB_STATUS:
		report_status(&all->report, command->json, out);
		break;
	case VERB_SERVICES:
		report_services(&all->report, command->json, out);
		break;
	default:
		report_sources(&all->report, command->json, out);
	}
	free(all);
}

/* ---- metrics ---- */

static int write_metrics(struct supervisor *supervisor, bool json, struct metrics_words *words)
{
	struct gathering *all = gather(supervisor, 0, SOURCE_BY_HALF_OPEN);
	FILE *out = all ? open_memstream(&words->text, &words->bytes) : NULL;
	int failed = -1;

	if (out) {
		all->metrics.report = &all->report;
		all->metrics.services = all->numbers;
		all->metrics.started_s = supervisor->started_s;
		all->metrics.handover_capacity = supervisor->config.tables.handovers;
		all->metrics.ban_capacity = supervisor->config.tables.bans;
		metrics_write(&all->metrics, json, out);
		failed = fclose(out);
	}
	free(all);
	return failed;
}

const struct metrics_words *supervisor_metrics(struct supervisor *supervisor, bool json)
{
	struct metrics_words *words = &supervisor->metrics[json];
	uint64_t now_ns = worker_now_ns();

	if (words->text && now_ns - words->made_ns < METRICS_KEPT_NS)
		return words;
	free(words->text);
	words->text = NULL;
	if (write_metrics(supervisor, json, words) != 0) {
		free(words->text);
		words->text = NULL;
		return NULL;
	}
	words->made_ns = now_ns;
	return words;
}
