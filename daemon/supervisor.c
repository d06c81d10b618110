/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor_parts.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "edge/marks.h"
#include "edge/signing.h"
#include "log.h"

#define NSEC_PER_SEC 1000000000ULL
#define TICK_BUSY_MS 100
#define TICK_IDLE_MS 1000
/* Cookies that are on their way when we stop are honoured this long. */
#define STOP_GRACE_MS 1000

static unsigned shard_count(const struct config *config)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	long shards = config->queues.shards ? config->queues.shards : cpus;

	return shards < 1 ? 1 : shards > WORKERS_MAX ? WORKERS_MAX : (unsigned)shards;
}

unsigned supervisor_shards(const struct config *config)
{
	return shard_count(config);
}

/* ---- jobs: done in a shard's thread, between two of its batches ---- */

/* A network's clients are spread over the shards by their addresses. While XDP answers, it has the greater part. */
static uint32_t replies_per_shard(const struct supervisor *supervisor)
{
	unsigned shards = shard_count(&supervisor->config);
	uint32_t all = supervisor->config.reflection.unanswered_per_s;
	uint32_t ours = all - accelerator_replies(supervisor);

	return all ? (ours + shards - 1) / shards + !ours : 0;
}

/* A source is looked at again when an attack would be thought over. */
static struct policy policy_of(const struct config *config)
{
	return (struct policy){
		.half_open_limit = config->sources.half_open_limit,
		.span_s = config->backlog.hold_s ? config->backlog.hold_s : 1,
		.proven_s = config->sources.proven_s,
		.direct_half_open = config->sources.direct_half_open,
		.rate_per_s = config->rate_limit.connections_per_s,
		.rate_burst = config->rate_limit.burst,
		.refusal = config->rate_limit.action == ACTION_RESET ? POLICY_RESET : POLICY_DROP,
		.ban_s = config->rate_limit.ban_s,
	};
}

static void job_set_limits(struct worker *worker, void *argument)
{
	const struct supervisor *supervisor = argument;
	const struct config *config = &supervisor->config;

	worker->guard.limits.policy = policy_of(config);
	worker->guard.limits.handshake_timeout_s = config->backlog.handshake_timeout_s;
	worker->guard.limits.observe = config->policy == POLICY_OBSERVE;
	worker->guard.replies->per_s = replies_per_shard(supervisor);
	queue_set_pass_when_full(worker->lanes[LANE_WATCHED].queue, supervisor_passes_unseen(config, false));
	queue_set_pass_when_full(worker->lanes[LANE_ARMED].queue, supervisor_passes_unseen(config, true));
}

void supervisor_call_all(struct supervisor *supervisor, worker_job *job, void *argument)
{
	for (unsigned i = 0; i < supervisor->shards; i++)
		worker_call(&supervisor->workers[i], job, argument);
}

void supervisor_apply_limits(struct supervisor *supervisor)
{
	if (supervisor->limits_stale)
		supervisor_call_all(supervisor, job_set_limits, supervisor);
	if (supervisor->limits_stale)
		accelerator_take_limits(supervisor);
	supervisor->limits_stale = false;
}

static void job_count(struct worker *worker, void *argument)
{
	uint64_t *sums = argument;

	for (unsigned i = 0; i < OUTCOME_COUNT; i++)
		sums[i] += worker->guard.counters[i];
}

/* What an administrator has to mend, once each. */
static void say_what_is_wrong(struct supervisor *supervisor)
{
	uint64_t sums[OUTCOME_COUNT] = {0};
	struct event event;

	if (supervisor->said_unsent && supervisor->said_untracked)
		return;
	supervisor_call_all(supervisor, job_count, sums);
	if (supervisor_cookies_fail(supervisor) && !supervisor->said_unsent) {
		supervisor->said_unsent = true;
		event_begin(
			&event, EVENT_SYNACK_UNSENT,
			"SYN-ACKs cannot be sent: SYNs pass instead. If an OUTPUT rule drops them, put before it: nft add rule "
			"inet filter output 'meta mark & 0x%08x == 0x%08x accept'",
			MARK_BITS, MARK_UNTRACKED);
		event_number(&event, "unsent", sums[OUTCOME_SYNACK_UNSENT]);
		supervisor_tell(supervisor, &event);
	}
	if (sums[OUTCOME_HALF_OPEN_UNTRACKED] && !supervisor->said_untracked) {
		supervisor->said_untracked = true;
		event_begin(&event, EVENT_UNTRACKED,
			    "a protected service is exempt from connection tracking (notrack): it cannot be protected");
		supervisor_tell(supervisor, &event);
	}
}

int supervisor_events_fd(const struct supervisor *supervisor)
{
	return worker_now_ns() < supervisor->events_due_ns ? -1 : ruleset_watch_fd(&supervisor->ruleset);
}

int supervisor_tick(struct supervisor *supervisor)
{
	uint64_t now_ns = worker_now_ns();
	bool rules_stale = false;
	bool busy = false;
	int secret_ms, tick_ms;
	uint64_t raised;

	if (read(supervisor->alarm_fd, &raised, sizeof(raised)) == sizeof(raised)) {
		busy = true;
		supervisor_ban_sources(supervisor);
		if (supervisor_take_found(supervisor, now_ns))
			supervisor->listeners_due_ns = now_ns;
	}
	supervisor_say_bans(supervisor, now_ns);
	rules_stale |= supervisor_restore_rules(supervisor, now_ns);
	say_what_is_wrong(supervisor);
	secret_ms = secrets_tick(supervisor, now_ns);
	if (now_ns >= supervisor->listeners_due_ns || postures_press(supervisor))
		rules_stale |= supervisor_read_listeners(supervisor, now_ns);
	if (now_ns >= supervisor->half_open_due_ns)
		supervisor_read_half_open(supervisor);
	if (supervisor->honour_until_ns && now_ns >= supervisor->honour_until_ns) {
		supervisor->honour_until_ns = 0;
		rules_stale = true;
	}
	if (supervisor->grace_until_ns && now_ns >= supervisor->grace_until_ns) {
		supervisor->grace_until_ns = 0;
		rules_stale = true;
	}
	supervisor->rules_stale |= rules_stale;
	if (now_ns >= supervisor->rules_due_ns)
		postures_update(supervisor, false, now_ns);
	for (unsigned i = 0; busy && i < supervisor->shards; i++)
		worker_go_on(&supervisor->workers[i]);
	for (unsigned i = 0; i < supervisor->registry.service_count; i++)
		busy |= supervisor->registry.services[i].posture != SERVICE_WATCHING ||
			supervisor->registry.services[i].half_open || supervisor->incidents[i].character;
	busy |= now_ns < supervisor->events_due_ns || supervisor->keeper_lost;
	tick_ms = busy ? TICK_BUSY_MS : TICK_IDLE_MS;
	return secret_ms < tick_ms ? secret_ms : tick_ms;
}

/* ---- life ---- */

static int open_workers(struct supervisor *supervisor)
{
	struct signing signing = signing_probe();
	const struct config *config = &supervisor->config;
	struct guard_limits limits = {
		.handshake_timeout_s = config->backlog.handshake_timeout_s,
		.observe = config->policy == POLICY_OBSERVE,
		.half_open_max = config->tables.half_open / supervisor->shards,
		.sources_max = config->tables.sources / supervisor->shards,
		.handovers_max = config->tables.handovers / supervisor->shards + 1,
		.replies_per_s = replies_per_shard(supervisor),
		.held_max = WORKER_FLOW_QUEUE_LENGTH / 4,
		.prefixes = {(uint8_t)config->sources.prefix_v4, (uint8_t)config->sources.prefix_v6},
		.policy = policy_of(config),
		.kernel_checks_md5 =
			signing.md5 && config->mode == MODE_HOST, /* what servers behind us check is not known */
		.kernel_checks_ao = signing.ao && config->mode == MODE_HOST,
	};
	char error[256];

	for (unsigned i = 0; i < supervisor->shards; i++) {
		struct worker *worker = &supervisor->workers[i];
		struct siphash_key key;
		struct worker_setup setup = {
			.shard = i,
			.syn_queues = {[LANE_WATCHED] = (uint16_t)(config->queues.first + i),
				       [LANE_ARMED] = (uint16_t)(config->queues.first + 2 * supervisor->shards + i)},
			.flow_queue = (uint16_t)(config->queues.first + supervisor->shards + i),
			.spill = config->queues.spill == SPILL_ANSWER,
			.spill_group = (uint16_t)(config->queues.first + 2 * supervisor->shards + i),
			.pass_when_full = {[LANE_WATCHED] = supervisor_passes_unseen(config, false),
					   [LANE_ARMED] = supervisor_passes_unseen(config, true)},
			.alarm_fd = supervisor->alarm_fd,
		};

		if (getrandom(&key, sizeof(key), 0) != sizeof(key) ||
		    guard_init(&worker->guard, &limits, supervisor->registry.services,
			       &supervisor->kept->shards[i].secret, &key, worker_now_ns()) < 0) {
			log_error("out of memory for the tables: lower tables.half_open and tables.sources");
			return -1;
		}
		if (worker_open(worker, &setup, error, sizeof(error)) < 0) {
			log_error("%s", error);
			return -1;
		}
	}
	return 0;
}

static int start_workers(struct supervisor *supervisor)
{
	for (unsigned i = 0; i < supervisor->shards; i++) {
		int error = worker_start(&supervisor->workers[i]);

		if (error) {
			log_error("thread: %s", strerror(error));
			for (unsigned j = 0; j < i; j++)
				worker_stop(&supervisor->workers[j]);
			return -1;
		}
	}
	return 0;
}

static void free_workers(struct supervisor *supervisor)
{
	accelerator_close(supervisor);
	for (unsigned i = 0; i < supervisor->shards; i++) {
		worker_close(&supervisor->workers[i]);
		guard_free(&supervisor->workers[i].guard);
	}
	free(supervisor->workers);
	service_map_free(supervisor->map);
	conntrack_close(&supervisor->conntrack);
	if (supervisor->alarm_fd >= 0)
		close(supervisor->alarm_fd);
	secrets_close(supervisor);
	config_free(&supervisor->config);
	for (unsigned i = 0; i < 2; i++)
		free(supervisor->metrics[i].text);
}

/* The errors of worker_open(): of the group, or of the packet socket, which systemd's RestrictAddressFamilies= refuses so. */
static const char *spill_error(int error)
{
	if (error == EPERM)
		return "another program has it";
	return error == EAFNOSUPPORT ? "packet sockets are not permitted" : strerror(error);
}

/* Says why the SYNs that are beyond the queues cannot be had; 0 = they can. */
static int find_spill_error(const struct supervisor *supervisor)
{
	for (unsigned i = 0; i < supervisor->shards; i++) {
		const struct worker *worker = &supervisor->workers[i];

		if (worker->spill)
			continue;
		log_warn("all SYNs of a flood are queued, which is slow: NFLOG group %u: %s", worker->setup.spill_group,
			 spill_error(worker->spill_errno));
		return worker->spill_errno;
	}
	return 0;
}

static int open_rules(struct supervisor *supervisor)
{
	static enum service_posture watching[SERVICES_MAX];
	const struct config *config = &supervisor->config;
	struct ruleset_setup setup = {
		.syn_first = (uint16_t)config->queues.first,
		.flow_first = (uint16_t)(config->queues.first + supervisor->shards),
		.armed_first = (uint16_t)(config->queues.first + 2 * supervisor->shards),
		.spill_first = (uint16_t)(config->queues.first + 2 * supervisor->shards),
		.gateway = config->mode == MODE_GATEWAY,
		.shards = (uint16_t)supervisor->shards,
		.ban_v4_bits = (uint8_t)config->sources.prefix_v4,
		.ban_v6_bits = (uint8_t)config->sources.prefix_v6,
		.bans_max = config->tables.bans,
	};
	char error[256];
	int failed;

	setup.spill = config->queues.spill == SPILL_ANSWER && !find_spill_error(supervisor);
	if (ruleset_open(&supervisor->ruleset, &setup, error, sizeof(error)) < 0) {
		log_error("%s", error);
		return -1;
	}
	if (setup.spill && !supervisor->ruleset.setup.spill)
		log_warn(
			"all SYNs of a flood are queued, which is slow: this kernel takes no log rule (CONFIG_NFT_LOG)");
	if (config->mode == MODE_GATEWAY)
		supervisor->keeper_lost = ruleset_keep(&supervisor->ruleset) < 0;
	failed = supervisor_apply_rules(supervisor, watching);
	if (failed == -EPERM || failed == -EEXIST)
		log_error("table inet %s is there already: another synmoatd runs in this network namespace",
			  RULESET_TABLE);
	if (!failed)
		return 0;
	ruleset_unclose(&supervisor->ruleset);
	ruleset_close(&supervisor->ruleset, true);
	return -1;
}

int supervisor_open(struct supervisor *supervisor, const struct config_file *file, const struct config *config)
{
	uint64_t now_ns = worker_now_ns();
	char error[512];
	int failed;

	supervisor->config = *config;
	supervisor->config_file = *file;
	supervisor_configure_lists(supervisor, config); /* fits: the file alone was checked */
	supervisor->started_ns = now_ns;
	supervisor->started_s = (uint64_t)time(NULL);
	if (config->mode == MODE_GATEWAY && config->gateway.grace_s)
		supervisor->grace_until_ns = now_ns + config->gateway.grace_s * NSEC_PER_SEC;
	supervisor->shards = 0;
	supervisor->allowed_press.service = -1;
	supervisor->spills = true;
	supervisor->alarm_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	failed = conntrack_open(&supervisor->conntrack);
	if (supervisor->alarm_fd < 0 || failed)
		snprintf(error, sizeof(error), "%s", strerror(failed ? -failed : errno));
	if (supervisor->alarm_fd < 0 || failed || secrets_open(supervisor, config, error, sizeof(error)) < 0) {
		log_error("start: %s", error);
		free_workers(supervisor);
		return -1;
	}
	if (accelerator_open(supervisor, error, sizeof(error)) < 0) {
		log_error("start: %s", error);
		free_workers(supervisor);
		return -1;
	}
	supervisor_read_listeners(supervisor, now_ns); /* no shard yet: they get the map below */
	supervisor->workers = calloc(shard_count(config), sizeof(*supervisor->workers));
	supervisor->shards = supervisor->workers ? shard_count(config) : 0;
	for (unsigned i = 0; i < supervisor->shards; i++)
		worker_blank(&supervisor->workers[i]);
	if (!supervisor->shards || open_workers(supervisor) < 0) {
		free_workers(supervisor);
		return -1;
	}
	for (unsigned i = 0; i < supervisor->shards; i++)
		supervisor->workers[i].guard.map = supervisor->map;
	if (open_rules(supervisor) < 0) {
		free_workers(supervisor);
		return -1;
	}
	if (start_workers(supervisor) < 0) {
		ruleset_unclose(&supervisor->ruleset);
		ruleset_close(&supervisor->ruleset, true);
		free_workers(supervisor);
		return -1;
	}
	supervisor_say_host(supervisor);
	supervisor_tick(supervisor);
	return 0;
}

/* SYNs go straight to the kernel from here on, while clients that hold a cookie may still return it. */
static void let_cookies_return(struct supervisor *supervisor)
{
	struct ruleset *ruleset = &supervisor->ruleset;
	const struct registry *registry = &supervisor->registry;
	struct ruleset_wanted cookies_only = {
		.armed = registry->bindings,
		.armed_count = registry->binding_count,
		.allow = &supervisor->allow,
		.closed = RULESET_CLOSED_UNCHANGED,
	};
	bool armed = false;

	accelerator_close(supervisor);
	for (unsigned i = 0; i < registry->service_count; i++)
		armed |= registry->services[i].posture != SERVICE_WATCHING;
	if (armed && supervisor->config.policy == POLICY_ENFORCE && ruleset_apply(ruleset, &cookies_only) == 0)
		poll(NULL, 0, STOP_GRACE_MS);
}

void supervisor_close(struct supervisor *supervisor)
{
	size_t closes;
	int keep;

	let_cookies_return(supervisor);
	ruleset_quiet(&supervisor->ruleset);
	for (unsigned i = 0; i < supervisor->shards; i++)
		worker_stop(&supervisor->workers[i]);
	closes = ruleset_closes(&supervisor->ruleset);
	keep = conntrack_any_marked(&supervisor->conntrack, MARK_HANDED_OVER, MARK_BITS);
	ruleset_close(&supervisor->ruleset, keep != 0); /* if in doubt, conntrack stays */
	if (keep)
		log_info("handed-over connections live on: table inet %s stays for them", RULESET_KEEPER);
	if (closes) {
		struct event event;

		event_begin(
			&event, EVENT_LEFT_CLOSED,
			"new connections to %zu bindings are dropped until the next start (on_exit): table inet %s does that",
			closes, RULESET_CLOSED);
		event_number(&event, "bindings", closes);
		supervisor_tell(supervisor, &event);
	}
	free_workers(supervisor);
}

void supervisor_fail(struct supervisor *supervisor)
{
	ruleset_unclose(&supervisor->ruleset);
	supervisor_close(supervisor);
}
