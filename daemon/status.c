/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status: fills a report from shards and registry; face/report.c words it. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "edge/queue.h"
#include "face/report.h"
#include "supervisor.h"
#include "synmoat/version.h"

#define NSEC_PER_SEC 1000000000ULL
#define SOURCES_SHOWN 50

struct gathering {
	struct report report;
	struct report_service services[SERVICES_MAX];
	unsigned slots[SERVICES_MAX]; /* of each service shown */
	struct tally_sketch sketches[SERVICES_MAX];
	struct source top[SOURCES_SHOWN * 2]; /* the best so far, and one shard's */
	unsigned top_count;
	struct report_source sources[SOURCES_SHOWN];
};

static int by_weight(const void *one, const void *other)
{
	const struct source *a = one;
	const struct source *b = other;

	if (a->half_open != b->half_open)
		return a->half_open < b->half_open ? 1 : -1;
	return a->syns < b->syns ? 1 : a->syns > b->syns ? -1 : 0;
}

/* In a shard's thread. */
static void job_gather(struct worker *worker, void *argument)
{
	struct gathering *all = argument;
	struct report *report = &all->report;
	uint64_t now_ns = worker_now_ns();

	for (unsigned i = 0; i < OUTCOME_COUNT; i++)
		report->counters[i] += worker->guard.counters[i];
	report->counters[OUTCOME_VERDICT_ERROR] += queue_errors(worker->syn_queue) + queue_errors(worker->flow_queue);
	report->half_open_entries += halfopen_count(worker->guard.halfopen);
	report->source_entries += source_count(worker->guard.sources);
	for (size_t i = 0; i < report->service_count; i++) {
		const struct tally *tally = &worker->guard.tallies[all->slots[i]];

		all->services[i].syn_per_s += tally_rate_pps(tally, now_ns);
		if (now_ns - tally->sketch.since_ns < 20 * NSEC_PER_SEC || all->services[i].armed)
			tally_sketch_merge(&all->sketches[i], &tally->sketch);
	}
	all->top_count += source_top(worker->guard.sources, all->top + all->top_count, SOURCES_SHOWN);
	qsort(all->top, all->top_count, sizeof(all->top[0]), by_weight);
	if (all->top_count > SOURCES_SHOWN)
		all->top_count = SOURCES_SHOWN;
}

static const char *posture_name(const struct service *service)
{
	static const char *const names[] = {
		[SERVICE_WATCHING] = "watching", [SERVICE_ARMED] = "armed", [SERVICE_DRAINING] = "draining"};

	return service->listening ? names[service->posture] : "not listening";
}

static void describe_service(const struct supervisor *supervisor, unsigned slot, struct report_service *shown)
{
	static const char *const cookies[] = {[SERVICE_COOKIES_AUTO] = "auto",
					      [SERVICE_COOKIES_ALWAYS] = "always",
					      [SERVICE_COOKIES_NEVER] = "never"};
	const struct service *service = &supervisor->registry.services[slot];
	struct service_learned learned = service_learned(service, false);
	bool armed = service->posture == SERVICE_ARMED;
	bool cookies_out = armed && supervisor->config.policy == POLICY_ENFORCE;
	char address[REGISTRY_ENDPOINT_BYTES];

	if (!learned.known)
		learned = service_learned(service, true);
	*shown = (struct report_service){
		.port = service->port,
		.cookies = cookies[service->cookies],
		.state = posture_name(service),
		.armed = armed,
		.half_open = cookies_out ? supervisor->unanswered[slot] : service->half_open,
		.limit = service->limit,
		.arm_at = service->limit ? service->arm_at : 0,
		.disarm_at = service->limit ? service->disarm_at : 0,
		.learned = {learned.mss, learned.wscale, learned.sack, learned.timestamps},
	};
	memcpy(shown->name, service->name, sizeof(shown->name));
	registry_address(service, address);
	memcpy(shown->address, address, sizeof(shown->address));
}

static void describe_source(const struct source *source, uint64_t now_ns, struct report_source *shown)
{
	bool v4 = addr_is_v4(&source->net);
	char address[INET6_ADDRSTRLEN];

	*shown = (struct report_source){
		.half_open = source->half_open,
		.syns = source->syns,
		.challenged = source->challenged,
		.completed = source->completed,
		.idle_s = (uint32_t)(now_ns / NSEC_PER_SEC) - source->last_s,
	};
	inet_ntop(v4 ? AF_INET : AF_INET6, addr_wire(&source->net), address, sizeof(address));
	snprintf(shown->address, sizeof(shown->address), v4 ? "%s" : "%s/64", address);
}

/* The kernel's own count of what did not fit into our queues (net/netfilter/nfnetlink_queue.c, seq_show): number,
 * portid, length, mode, range, dropped, dropped to the socket, sequence. */
static uint64_t read_queue_drops(unsigned first, unsigned count)
{
	FILE *file = fopen("/proc/net/netfilter/nfnetlink_queue", "re");
	unsigned number;
	unsigned long long full;
	unsigned long long user;
	uint64_t dropped = 0;

	if (!file)
		return 0;
	while (fscanf(file, "%u %*u %*u %*u %*u %llu %llu %*[^\n]", &number, &full, &user) == 3)
		if (number >= first && number < first + count)
			dropped += full + user;
	fclose(file);
	return dropped;
}

void supervisor_answer(struct supervisor *supervisor, const char *request, FILE *out)
{
	const struct registry *registry = &supervisor->registry;
	struct gathering *all = calloc(1, sizeof(*all));
	uint64_t now_ns = worker_now_ns();
	struct report *report;

	if (!all) {
		fputs("error: out of memory\n", out);
		return;
	}
	report = &all->report;
	report->version = SYNMOAT_VERSION;
	report->uptime_s = (now_ns - supervisor->started_ns) / NSEC_PER_SEC;
	report->mode = "host";
	report->policy = supervisor->config.policy == POLICY_OBSERVE ? "observe" : "enforce";
	report->shards = supervisor->shards;
	report->half_open_capacity = supervisor->config.tables.half_open;
	report->source_capacity = supervisor->config.tables.sources;
	report->services = all->services;
	report->sources = all->sources;
	for (unsigned i = 0; i < registry->service_count; i++) {
		if (!registry->services[i].in_use)
			continue;
		all->slots[report->service_count] = i;
		describe_service(supervisor, i, &all->services[report->service_count]);
		report->armed |= all->services[report->service_count++].armed;
	}
	for (unsigned i = 0; i < supervisor->shards; i++)
		worker_call(&supervisor->workers[i], job_gather, all);
	for (size_t i = 0; i < report->service_count; i++)
		all->services[i].distinct_sources = tally_distinct(&all->sketches[i]);
	for (unsigned i = 0; i < all->top_count; i++)
		describe_source(&all->top[i], now_ns, &all->sources[i]);
	report->source_count = all->top_count;
	report->counters[OUTCOME_QUEUE_DROPPED] =
		read_queue_drops(supervisor->config.queues.first, supervisor->shards * 2);
	report_answer(report, request, out);
	free(all);
}
