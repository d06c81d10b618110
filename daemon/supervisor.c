/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "edge/marks.h"
#include "log.h"

#define NSEC_PER_SEC 1000000000ULL
#define LISTENERS_EVERY_NS NSEC_PER_SEC
#define EPOCH_NS (COOKIE_EPOCH_S * NSEC_PER_SEC)
#define TICK_BUSY_MS 100
#define TICK_IDLE_MS 1000
#define FLOWS_KNOWN_MAX 100000
/* Cookies that are on their way when we stop are honoured this long. */
#define STOP_GRACE_MS 1000

static unsigned shard_count(const struct config *config)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	long shards = config->queues.shards ? config->queues.shards : cpus;

	return shards < 1 ? 1 : shards > MARK_SHARDS_MAX ? MARK_SHARDS_MAX : (unsigned)shards;
}

/* ---- jobs: done in a shard's thread, between two of its batches ---- */

static void job_set_map(struct worker *worker, void *argument)
{
	worker->guard.map = argument;
}

/* A network's clients are spread over the shards by their addresses. */
static uint32_t replies_per_shard(const struct config *config)
{
	unsigned shards = shard_count(config);

	return (config->reflection.unanswered_per_s + shards - 1) / shards;
}

static void job_set_limits(struct worker *worker, void *argument)
{
	const struct config *config = argument;

	worker->guard.limits.handshake_timeout_s = config->backlog.handshake_timeout_s;
	worker->guard.limits.observe = config->policy == POLICY_OBSERVE;
	worker->guard.replies->per_s = replies_per_shard(config);
}

static void job_rotate(struct worker *worker, void *argument)
{
	worker->guard.secret = *(const struct cookie_secret *)argument;
}

static void job_load(struct worker *worker, void *argument)
{
	struct supervisor *supervisor = argument;
	uint64_t now_ns = worker_now_ns();

	for (unsigned i = 0; i < supervisor->registry.service_count; i++)
		if (supervisor->registry.services[i].posture == SERVICE_ARMED)
			supervisor->unanswered[i] += tally_unanswered(
				&worker->guard.tallies[i], supervisor->config.backlog.handshake_timeout_s, now_ns);
}

struct sketch_request {
	unsigned service;
	struct tally_sketch sketch;
	uint32_t last_second, this_second; /* SYNs */
};

static void job_sketch(struct worker *worker, void *argument)
{
	struct sketch_request *request = argument;
	struct tally *tally = &worker->guard.tallies[request->service];

	tally_sketch_merge(&request->sketch, &tally->sketch);
	request->last_second += tally_rate_pps(tally, worker_now_ns());
	request->this_second += tally_this_second(tally, worker_now_ns());
}

static void call_all(struct supervisor *supervisor, worker_job *job, void *argument)
{
	for (unsigned i = 0; i < supervisor->shards; i++)
		worker_call(&supervisor->workers[i], job, argument);
}

/* ---- arming ---- */

static void log_posture(struct supervisor *supervisor, unsigned index, bool armed, uint32_t load, uint64_t now_ns)
{
	const struct service *service = &supervisor->registry.services[index];
	struct sketch_request seen = {.service = index};
	const struct tally_top *top;
	char endpoint[REGISTRY_ENDPOINT_BYTES];
	char heaviest[INET6_ADDRSTRLEN] = "none";
	bool observe = supervisor->config.policy == POLICY_OBSERVE;
	unsigned long long lasted_s;
	unsigned long long rate;

	if (service->cookies == SERVICE_COOKIES_ALWAYS && armed) {
		log_info("service %s (%s) is always answered for", service->name, registry_endpoint(service, endpoint));
		return;
	}
	call_all(supervisor, job_sketch, &seen);
	top = tally_heaviest(&seen.sketch);
	if (top)
		inet_ntop(addr_is_v4(&top->net) ? AF_INET : AF_INET6, addr_wire(&top->net), heaviest, sizeof(heaviest));
	/* A flood is noticed within its first second; over its whole length the mean says more. */
	lasted_s = armed ? 0 : (now_ns - service->since_ns) / NSEC_PER_SEC;
	rate = seen.last_second > seen.this_second ? seen.last_second : seen.this_second;
	if (lasted_s)
		rate = seen.sketch.syns / lasted_s;
	log_info(
		"service %s (%s) %s%s: rate=%llu/s half_open=%u threshold=%u sources=%u top=%s (at least %u of %llu SYNs) "
		"lasted=%llus",
		service->name, registry_endpoint(service, endpoint), armed ? "armed" : "disarmed",
		observe ? " (observe: nothing is sent or dropped)" : "", rate, load,
		armed ? service->arm_at : service->disarm_at, tally_distinct(&seen.sketch), heaviest,
		top ? top->syns - top->over : 0, (unsigned long long)seen.sketch.syns, lasted_s);
}

static bool cookies_wanted(const struct supervisor *supervisor)
{
	return supervisor->config.policy == POLICY_ENFORCE || supervisor->honour_until_ns;
}

/* Connections that conntrack may not know, because they are older than it or were idle for too long: the rules must not
 * question them. One that speaks up before this is done loses a packet, which TCP repeats. */
static void know_flows(struct supervisor *supervisor)
{
	static uint16_t ports[SERVICES_MAX];
	struct flow *flows;
	int count;
	int error;

	for (unsigned i = 0; i < supervisor->registry.binding_count; i++)
		ports[i] = supervisor->registry.bindings[i].port;
	count = listeners_flows(ports, supervisor->registry.binding_count, FLOWS_KNOWN_MAX, &flows);
	error = count < 0 ? count : ruleset_know_flows(&supervisor->ruleset, flows, (size_t)count);
	if (error)
		log_warn("connections from before the start are not known: %s", strerror(-error));
	if (count >= 0)
		free(flows);
}

/* The rules for what is bound and armed right now. With observe nothing is armed in the kernel, once the cookies that
 * were sent before are out of date. */
static int apply_rules(struct supervisor *supervisor, const enum service_posture *postures)
{
	static struct service_binding armed[SERVICES_MAX];
	const struct registry *registry = &supervisor->registry;
	unsigned armed_count = 0;
	int error;

	for (unsigned i = 0; i < registry->binding_count && cookies_wanted(supervisor); i++)
		if (postures[registry->bindings[i].service] != SERVICE_WATCHING)
			armed[armed_count++] = registry->bindings[i];
	if (armed_count && !supervisor->ruleset.armed_before) { /* conntrack begins now, and knows nobody */
		know_flows(supervisor);
		ruleset_keep(&supervisor->ruleset);
	}
	error = ruleset_apply(&supervisor->ruleset, registry->bindings, registry->binding_count, armed, armed_count);
	if (error)
		log_error("nftables: rules not changed: %s", strerror(-error));
	return error;
}

static void current_postures(const struct supervisor *supervisor, enum service_posture *postures)
{
	for (unsigned i = 0; i < supervisor->registry.service_count; i++)
		postures[i] = supervisor->registry.services[i].posture;
}

/* Rules that lead third ACKs to us come before the first cookie is sent, and go after the last was honoured. */
static void update_postures(struct supervisor *supervisor, bool rules_stale, uint64_t now_ns)
{
	static enum service_posture next[SERVICES_MAX];
	struct registry *registry = &supervisor->registry;
	struct service_timing timing = {
		.hold_ns = supervisor->config.backlog.hold_s * NSEC_PER_SEC,
		.drain_ns = supervisor->config.backlog.handshake_timeout_s * NSEC_PER_SEC,
	};
	bool observe = supervisor->config.policy == POLICY_OBSERVE;
	bool armed = false;
	bool arms = false;

	for (unsigned i = 0; i < registry->service_count; i++)
		armed |= registry->services[i].posture == SERVICE_ARMED;
	memset(supervisor->unanswered, 0, registry->service_count * sizeof(supervisor->unanswered[0]));
	if (armed)
		call_all(supervisor, job_load, supervisor);

	for (unsigned i = 0; i < registry->service_count; i++) {
		struct service *service = &registry->services[i];
		bool cookies = service->posture == SERVICE_ARMED && !observe;
		uint32_t load = cookies ? supervisor->unanswered[i] : service->half_open;

		bool off = !service->in_use || (service->cookies == SERVICE_COOKIES_ALWAYS && !service->listening);

		next[i] = off ? SERVICE_WATCHING : service_next(service, &timing, load, now_ns);
		if (next[i] == SERVICE_ARMED && service->posture != SERVICE_ARMED)
			log_posture(supervisor, i, true, load, now_ns);
		else if (next[i] != SERVICE_ARMED && service->posture == SERVICE_ARMED)
			log_posture(supervisor, i, false, load, now_ns);
		arms |= next[i] == SERVICE_ARMED && service->posture == SERVICE_WATCHING;
		rules_stale |= (next[i] == SERVICE_WATCHING) != (service->posture == SERVICE_WATCHING);
	}
	if (rules_stale && apply_rules(supervisor, next) < 0)
		return; /* open: without the rules no cookie is sent; the next tick tries again */
	for (unsigned i = 0; i < registry->service_count; i++)
		if (next[i] != registry->services[i].posture)
			service_enter(&registry->services[i], next[i], now_ns);
	for (unsigned i = 0; arms && i < supervisor->shards; i++)
		worker_wake(&supervisor->workers[i]);
	if (arms && !observe)
		know_flows(supervisor);
}

/* ---- services ---- */

static bool read_listeners(struct supervisor *supervisor, uint64_t now_ns)
{
	struct service_map *old = supervisor->map;
	struct service_map *map;
	struct listener *listeners;
	int count = listeners_read(&listeners);
	unsigned left_out = supervisor->registry.left_out;
	bool changed;

	supervisor->listeners_due_ns = now_ns + LISTENERS_EVERY_NS;
	if (count < 0) {
		log_warn("sock_diag: listeners not read: %s", strerror(-count));
		return false;
	}
	changed = registry_update(&supervisor->registry, &supervisor->config, listeners, (size_t)count, now_ns);
	free(listeners);
	if (supervisor->registry.left_out && !left_out)
		log_warn("more than %u services: %u are not protected", SERVICES_MAX, supervisor->registry.left_out);
	if (!changed && old)
		return false;
	map = service_map_new(supervisor->registry.bindings, supervisor->registry.binding_count);
	if (!map) {
		log_error("out of memory: services stay as they are");
		return false;
	}
	supervisor->map = map;
	call_all(supervisor, job_set_map, map);
	service_map_free(old);
	return true;
}

static void rotate_secret(struct supervisor *supervisor, uint64_t now_ns)
{
	struct siphash_key fresh;

	supervisor->epoch_due_ns = now_ns + EPOCH_NS;
	if (getrandom(&fresh, sizeof(fresh), 0) != sizeof(fresh)) {
		log_error("getrandom: %s: the cookie secret stays as it is", strerror(errno));
		return;
	}
	cookie_rotate(&supervisor->secret, &fresh);
	call_all(supervisor, job_rotate, &supervisor->secret);
	explicit_bzero(&fresh, sizeof(fresh));
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

	if (supervisor->said_unsent && supervisor->said_untracked)
		return;
	call_all(supervisor, job_count, sums);
	if (sums[OUTCOME_SYNACK_UNSENT] && !supervisor->said_unsent) {
		supervisor->said_unsent = true;
		log_warn(
			"SYN-ACKs cannot be sent: SYNs pass instead. If an OUTPUT rule drops them, put before it: nft add rule "
			"inet filter output meta mark & 0x%08x == 0x%08x accept",
			MARK_KIND_BITS, MARK_UNTRACKED);
	}
	if (sums[OUTCOME_HALF_OPEN_UNTRACKED] && !supervisor->said_untracked) {
		supervisor->said_untracked = true;
		log_warn("a protected service is exempt from connection tracking (notrack): it cannot be protected");
	}
}

int supervisor_events_fd(const struct supervisor *supervisor)
{
	return ruleset_watch_fd(&supervisor->ruleset);
}

int supervisor_tick(struct supervisor *supervisor)
{
	uint64_t now_ns = worker_now_ns();
	bool rules_stale = false;
	bool busy = false;
	uint64_t raised;

	if (read(supervisor->alarm_fd, &raised, sizeof(raised)) == sizeof(raised))
		busy = true;
	if (ruleset_keeper_lost(&supervisor->ruleset) && supervisor->ruleset.armed_before)
		ruleset_keep(&supervisor->ruleset);
	say_what_is_wrong(supervisor);
	if (now_ns >= supervisor->epoch_due_ns)
		rotate_secret(supervisor, now_ns);
	if (now_ns >= supervisor->listeners_due_ns)
		rules_stale = read_listeners(supervisor, now_ns);
	if (supervisor->honour_until_ns && now_ns >= supervisor->honour_until_ns) {
		supervisor->honour_until_ns = 0;
		rules_stale = true;
	}
	update_postures(supervisor, rules_stale, now_ns);
	for (unsigned i = 0; busy && i < supervisor->shards; i++)
		worker_wake(&supervisor->workers[i]);
	for (unsigned i = 0; i < supervisor->registry.service_count; i++)
		busy |= supervisor->registry.services[i].posture != SERVICE_WATCHING ||
			supervisor->registry.services[i].half_open;
	return busy ? TICK_BUSY_MS : TICK_IDLE_MS;
}

void supervisor_reload(struct supervisor *supervisor, const struct config *config)
{
	static enum service_posture postures[SERVICES_MAX];
	struct config old = supervisor->config;
	enum config_policy old_policy = old.policy;
	uint64_t now_ns = worker_now_ns();

	if (memcmp(&old.tables, &config->tables, sizeof(old.tables)) != 0 ||
	    memcmp(&old.queues, &config->queues, sizeof(old.queues)) != 0 ||
	    strcmp(old.control_socket, config->control_socket) != 0)
		log_warn("tables, queues and control.socket change at a restart only");
	supervisor->config = *config;
	supervisor->config.queues = old.queues;
	supervisor->config.tables = old.tables;
	memcpy(supervisor->config.control_socket, old.control_socket, sizeof(old.control_socket));
	config_free(&old);

	if (old_policy == POLICY_ENFORCE && config->policy == POLICY_OBSERVE)
		supervisor->honour_until_ns = now_ns + config->backlog.handshake_timeout_s * NSEC_PER_SEC;

	/* Rules that lead third ACKs to us come before the first cookie: so rules first, then the shards' limits. */
	read_listeners(supervisor, now_ns);
	current_postures(supervisor, postures);
	apply_rules(supervisor, postures);
	call_all(supervisor, job_set_limits, &supervisor->config);
	update_postures(supervisor, false, now_ns);
	log_info("configuration reloaded: %u bindings", supervisor->registry.binding_count);
}

/* ---- life ---- */

static int open_workers(struct supervisor *supervisor)
{
	const struct config *config = &supervisor->config;
	struct guard_limits limits = {
		.handshake_timeout_s = config->backlog.handshake_timeout_s,
		.observe = config->policy == POLICY_OBSERVE,
		.half_open_max = config->tables.half_open / supervisor->shards,
		.sources_max = config->tables.sources / supervisor->shards,
		.handovers_max = config->tables.handovers / supervisor->shards + 1,
		.replies_per_s = replies_per_shard(config),
		.held_max = WORKER_FLOW_QUEUE_LENGTH / 4,
	};
	char error[256];

	for (unsigned i = 0; i < supervisor->shards; i++) {
		struct worker *worker = &supervisor->workers[i];
		struct siphash_key key;
		struct worker_setup setup = {
			.shard = i,
			.syn_queue = (uint16_t)(config->queues.first + i),
			.flow_queue = (uint16_t)(config->queues.first + supervisor->shards + i),
			.alarm_fd = supervisor->alarm_fd,
		};

		if (getrandom(&key, sizeof(key), 0) != sizeof(key) ||
		    guard_init(&worker->guard, &limits, supervisor->registry.services, &supervisor->secret, &key,
			       worker_now_ns()) < 0) {
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
	for (unsigned i = 0; i < supervisor->shards; i++) {
		worker_close(&supervisor->workers[i]);
		guard_free(&supervisor->workers[i].guard);
	}
	free(supervisor->workers);
	service_map_free(supervisor->map);
	conntrack_close(&supervisor->conntrack);
	if (supervisor->alarm_fd >= 0)
		close(supervisor->alarm_fd);
	explicit_bzero(&supervisor->secret, sizeof(supervisor->secret));
	config_free(&supervisor->config);
}

static int open_rules(struct supervisor *supervisor)
{
	static enum service_posture watching[SERVICES_MAX];
	struct ruleset_queues queues = {
		.syn_first = (uint16_t)supervisor->config.queues.first,
		.flow_first = (uint16_t)(supervisor->config.queues.first + supervisor->shards),
		.shards = (uint16_t)supervisor->shards,
	};
	char error[256];
	int failed;

	if (ruleset_open(&supervisor->ruleset, &queues, error, sizeof(error)) < 0) {
		log_error("%s", error);
		return -1;
	}
	failed = apply_rules(supervisor, watching);
	if (failed == -EPERM || failed == -EEXIST)
		log_error("table inet %s is there already: another synmoatd runs in this network namespace",
			  RULESET_TABLE);
	if (!failed)
		return 0;
	ruleset_close(&supervisor->ruleset, true);
	return -1;
}

int supervisor_open(struct supervisor *supervisor, const struct config *config)
{
	uint64_t now_ns = worker_now_ns();
	int failed;

	supervisor->config = *config;
	supervisor->started_ns = now_ns;
	supervisor->epoch_due_ns = now_ns + EPOCH_NS;
	supervisor->shards = 0;
	supervisor->alarm_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	failed = conntrack_open(&supervisor->conntrack);
	if (supervisor->alarm_fd < 0 || failed ||
	    getrandom(&supervisor->secret.keys, sizeof(supervisor->secret.keys), 0) !=
		    sizeof(supervisor->secret.keys)) {
		log_error("start: %s", strerror(failed ? -failed : errno));
		free_workers(supervisor);
		return -1;
	}
	read_listeners(supervisor, now_ns); /* no shard yet: they get the map below */
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
		ruleset_close(&supervisor->ruleset, true);
		free_workers(supervisor);
		return -1;
	}
	supervisor_tick(supervisor);
	return 0;
}

/* SYNs go straight to the kernel from here on, while clients that hold a cookie may still return it. */
static void let_cookies_return(struct supervisor *supervisor)
{
	struct ruleset *ruleset = &supervisor->ruleset;
	const struct registry *registry = &supervisor->registry;
	bool armed = false;

	for (unsigned i = 0; i < registry->service_count; i++)
		armed |= registry->services[i].posture != SERVICE_WATCHING;
	if (armed && supervisor->config.policy == POLICY_ENFORCE &&
	    ruleset_apply(ruleset, NULL, 0, registry->bindings, registry->binding_count) == 0)
		poll(NULL, 0, STOP_GRACE_MS);
}

void supervisor_close(struct supervisor *supervisor)
{
	int keep;

	let_cookies_return(supervisor);
	ruleset_quiet(&supervisor->ruleset);
	for (unsigned i = 0; i < supervisor->shards; i++)
		worker_stop(&supervisor->workers[i]);
	keep = conntrack_any_marked(&supervisor->conntrack, MARK_HANDED_OVER, MARK_KIND_BITS);
	ruleset_close(&supervisor->ruleset, keep != 0); /* if in doubt, conntrack stays */
	if (keep)
		log_info("handed-over connections live on: table inet %s stays for them", RULESET_KEEPER);
	free_workers(supervisor);
}
