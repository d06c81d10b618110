/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "accelerator_parts.h"
#include "edge/host.h"
#include "edge/proc_text.h"
#include "edge/signing.h"
#include "log.h"

#define ENDPOINTS_MAX 8192
#define BEGUN_MAX 65536
/* However often something changes. */
#define REFRESH_WANTED_NS (50 * 1000000ULL)
#define REFRESH_NS (1000 * 1000000ULL)
/* A packet may be in the program's hands while its service goes. */
#define FOLLOWED_AFTER 2

_Static_assert(sizeof(struct service_learned) == 8, "what is learned is compared as bytes and may hold no padding");

/* ---- services ---- */

static bool is_wanted(const struct supervisor *supervisor, const struct service *service)
{
	return supervisor->config.policy == POLICY_ENFORCE && service->in_use && service->posture == SERVICE_ARMED &&
	       service_may_be_answered_for(service) && !service->untracked && !service->exempt;
}

/* In order of address and port. */
static int endpoint_order(const void *one, const void *other)
{
	const struct accelerator_endpoint *a = one, *b = other;
	int order = memcmp(&a->address, &b->address, sizeof(a->address));

	return order ? order : (int)a->port - b->port;
}

struct endpoints {
	struct accelerator_endpoint *all; /* [ENDPOINTS_MAX] */
	size_t count;
	bool cut;
};

/* Not before its server's own answer is known: to learn it, SYNs have to come to a shard. */
static void endpoint_add(struct endpoints *wanted, const struct service *service, const struct addr *address,
			 const struct service_binding *binding)
{
	struct service_learned learned = service_announced(service, !addr_is_v4(address), worker_now_ns());

	if (addr_is_loopback(address) || !(learned.known & LEARNED_BASE))
		return;
	wanted->cut |= wanted->count == ENDPOINTS_MAX;
	if (wanted->count == ENDPOINTS_MAX)
		return;
	wanted->all[wanted->count++] = (struct accelerator_endpoint){
		.address = *address, .port = binding->port, .service = binding->service, .learned = learned};
}

/* Those addresses of this host that have no service of their own on that port. */
static void endpoints_add_local(const struct supervisor *supervisor, struct endpoints *wanted,
				const struct service *service, const struct service_binding *binding)
{
	const struct links *links = &supervisor->accelerator.links;

	for (size_t i = 0; i < links->address_count; i++)
		if (addr_is_v4(&links->addresses[i]) == addr_is_v4(&binding->address) &&
		    service_map_find(supervisor->map, &links->addresses[i], binding->port) == binding->service)
			endpoint_add(wanted, service, &links->addresses[i], binding);
}

static void endpoints_collect(const struct supervisor *supervisor, struct endpoints *wanted)
{
	const struct registry *registry = &supervisor->registry;
	const struct addr any_v4 = addr_unspecified(false), any_v6 = addr_unspecified(true);

	for (unsigned i = 0; i < registry->binding_count; i++) {
		const struct service_binding *binding = &registry->bindings[i];
		const struct service *service = &registry->services[binding->service];

		if (binding->host_bits || !is_wanted(supervisor, service))
			continue;
		if (addr_equal(&binding->address, &any_v4) || addr_equal(&binding->address, &any_v6))
			endpoints_add_local(supervisor, wanted, service, binding);
		else
			endpoint_add(wanted, service, &binding->address, binding);
	}
	qsort(wanted->all, wanted->count, sizeof(*wanted->all), endpoint_order);
}

struct begun {
	const bool *services; /* [SERVICES_MAX] */
	struct flow *flows;   /* [BEGUN_MAX] */
	size_t count;
};

static void job_collect_begun(struct worker *worker, void *argument)
{
	const struct halfopen_table *table = worker->guard.halfopen;
	struct begun *begun = argument;

	for (const struct halfopen_entry *entry = halfopen_newest(table); entry && begun->count < BEGUN_MAX;
	     entry = halfopen_older(table, entry))
		if (begun->services[entry->service])
			begun->flows[begun->count++] = entry->flow;
}

/* Handshakes of these services that the kernel has begun: a repeated SYN of one is its matter. Without memory, or beyond
 * the limit, its client gets a cookie, and its connection by that. */
static void note_begun(struct supervisor *supervisor, const bool *services)
{
	struct accelerator *accelerator = &supervisor->accelerator;
	struct begun begun = {services, malloc(BEGUN_MAX * sizeof(struct flow)), 0};

	if (!begun.flows)
		return;
	supervisor_call_all(supervisor, job_collect_begun, &begun);
	if (!accelerator->endpoint_count)
		xdp_forget_begun(accelerator->xdp);
	for (size_t i = 0; i < begun.count; i++)
		xdp_note_begun(accelerator->xdp, &begun.flows[i]);
	free(begun.flows);
}

static void note_new(struct supervisor *supervisor, const struct endpoints *wanted)
{
	static bool services[SERVICES_MAX];
	bool any = false;

	memset(services, 0, sizeof(services));
	for (size_t i = 0; i < wanted->count; i++)
		services[wanted->all[i].service] = true;
	for (size_t i = 0; i < supervisor->accelerator.endpoint_count; i++)
		services[supervisor->accelerator.endpoints[i].service] = false;
	for (unsigned i = 0; i < SERVICES_MAX && !any; i++)
		any = services[i];
	if (any)
		note_begun(supervisor, services);
}

static void answer_for(struct supervisor *supervisor, struct accelerator_endpoint *endpoint)
{
	int error = xdp_answer_for(supervisor->accelerator.xdp, &endpoint->address, endpoint->port, endpoint->service,
				   &endpoint->learned);

	endpoint->refused = error != 0;
	if (!error || supervisor->accelerator.said_left_out)
		return;
	supervisor->accelerator.said_left_out = true;
	log_warn("xdp: some services are answered for from the queue alone: %s", strerror(-error));
}

/* Both are sorted: what is only in the program goes, what is new or has changed comes. */
static void endpoints_exchange(struct supervisor *supervisor, const struct endpoints *wanted)
{
	struct accelerator *accelerator = &supervisor->accelerator;
	size_t old = 0, new = 0;

	while (old < accelerator->endpoint_count || new < wanted->count) {
		const struct accelerator_endpoint *is = &accelerator->endpoints[old];
		struct accelerator_endpoint *to_be = &wanted->all[new];
		int order = old == accelerator->endpoint_count ? 1
			    : new == wanted->count             ? -1
							       : endpoint_order(is, to_be);

		if (order < 0) {
			xdp_answer_no_more(accelerator->xdp, &is->address, is->port);
		} else if (order > 0 || is->service != to_be->service ||
			   memcmp(&is->learned, &to_be->learned, sizeof(is->learned)) != 0) {
			answer_for(supervisor, to_be);
		} else {
			to_be->refused = is->refused;
		}
		old += order <= 0;
		new += order >= 0;
	}
	memcpy(accelerator->endpoints, wanted->all, wanted->count * sizeof(*wanted->all));
	accelerator->endpoint_count = wanted->count;
}

static void services_follow(struct supervisor *supervisor)
{
	static struct accelerator_endpoint all[ENDPOINTS_MAX];
	struct accelerator *accelerator = &supervisor->accelerator;
	struct endpoints wanted = {.all = all};

	endpoints_collect(supervisor, &wanted);
	if (wanted.cut && !accelerator->said_left_out) {
		accelerator->said_left_out = true;
		log_warn("xdp: more than %d addresses and ports are armed: the rest is answered for from the queue",
			 ENDPOINTS_MAX);
	}
	note_new(supervisor, &wanted);
	endpoints_exchange(supervisor, &wanted);
	for (size_t i = 0; i < accelerator->endpoint_count; i++)
		accelerator->followed[accelerator->endpoints[i].service] = FOLLOWED_AFTER;
}

void accelerator_withdraw(struct supervisor *supervisor, const enum service_posture *next)
{
	struct accelerator *accelerator = &supervisor->accelerator;
	size_t kept = 0;

	for (size_t i = 0; i < accelerator->endpoint_count; i++) {
		const struct accelerator_endpoint *endpoint = &accelerator->endpoints[i];

		if (supervisor->config.policy == POLICY_ENFORCE && next[endpoint->service] == SERVICE_ARMED)
			accelerator->endpoints[kept++] = *endpoint;
		else
			xdp_answer_no_more(accelerator->xdp, &endpoint->address, endpoint->port);
	}
	accelerator->endpoint_count = kept;
}

static void share_replies(struct supervisor *supervisor)
{
	struct accelerator *accelerator = &supervisor->accelerator;
	bool shares = false;

	for (size_t i = 0; i < accelerator->port_count && !shares; i++)
		shares = accelerator->ports[i].attached;
	supervisor->limits_stale |= shares != accelerator->shares;
	accelerator->shares = shares;
	supervisor_apply_limits(supervisor);
}

bool accelerator_is_wanted(const struct supervisor *supervisor)
{
	bool any = false;

	for (unsigned i = 0; i < supervisor->registry.service_count && !any; i++)
		any = is_wanted(supervisor, &supervisor->registry.services[i]);
	return any;
}

/* While strays pass, those are to live on, and of both that is the more. What follows a third ACK that was lost is told from
 * them by its distance, or meets the server, and is reset: follows_cookie() in core/handover.c. */
static void note_answered_ahead(struct supervisor *supervisor, uint64_t now_ns)
{
	const struct accelerator *accelerator = &supervisor->accelerator;
	uint64_t until_ns = now_ns + supervisor->config.backlog.handshake_timeout_s * 1000000000ULL;

	for (size_t i = 0; accelerator->shares && i < accelerator->endpoint_count; i++) {
		struct service *service = &supervisor->registry.services[accelerator->endpoints[i].service];

		if (supervisor->grace_until_ns)
			service->ahead_or_stray_until_ns = until_ns;
		else
			service->ahead_until_ns = until_ns;
	}
}

/* What becomes of the last interface that it was on is a reason to tell. */
static void links_follow(struct supervisor *supervisor, uint64_t now_ns)
{
	struct accelerator *accelerator = &supervisor->accelerator;
	struct accelerator_port last = {.index = 0};
	bool attached = false;
	char why[64];

	for (size_t i = 0; i < accelerator->port_count; i++)
		if (accelerator->ports[i].attached)
			last = accelerator->ports[i];
	ports_refresh(supervisor, now_ns);
	if (accelerator->links_stale)
		return;
	for (size_t i = 0; i < accelerator->port_count; i++)
		attached |= accelerator->ports[i].attached;
	if (last.index && !attached) {
		snprintf(why, sizeof(why), "%s %s", last.name,
			 links_know(&accelerator->links, last.name) ? "is not to have it" : "is gone");
		accelerator_tell_off(supervisor, why);
	}
	accelerator_tell_missing(supervisor);
}

void accelerator_follow(struct supervisor *supervisor, uint64_t now_ns)
{
	struct accelerator *accelerator = &supervisor->accelerator;
	bool wanted;

	if (!accelerator->xdp)
		return;
	xdp_age(accelerator->xdp, now_ns);
	wanted = accelerator_is_wanted(supervisor);
	if (accelerator->links_stale && now_ns >= accelerator->links_retry_ns &&
	    now_ns - accelerator->links_read_ns >= (wanted ? REFRESH_WANTED_NS : REFRESH_NS)) {
		links_follow(supervisor, now_ns);
		xdp_follow_addresses(accelerator->xdp);
	}
	if (wanted || accelerator->endpoint_count)
		services_follow(supervisor);
	ports_follow(supervisor, accelerator->endpoint_count > 0, now_ns);
	share_replies(supervisor);
	note_answered_ahead(supervisor, now_ns);
}

/* ---- life ---- */

static struct xdp_setup accelerator_setup(const struct config *config)
{
	struct signing signing = signing_probe();

	return (struct xdp_setup){
		.sockets = config->mode == MODE_HOST,
		.ban_v4_bits = (uint8_t)config->sources.prefix_v4,
		.ban_v6_bits = (uint8_t)config->sources.prefix_v6,
		.bans_max = config->tables.bans,
		.kernel_checks_md5 = signing.md5 && config->mode == MODE_HOST,
		.kernel_checks_ao = signing.ao && config->mode == MODE_HOST,
	};
}

/* The program, or the reason why not. The kernel's own would be but EPERM. */
struct xdp *accelerator_load(const struct config *config, char *why_not, size_t bytes)
{
	static const struct {
		unsigned number;
		const char *name;
	} needed[] = {{CAP_BPF, "CAP_BPF"}, {CAP_PERFMON, "CAP_PERFMON"}};
	struct xdp_setup setup = accelerator_setup(config);
	char status[4096], missing[64] = "";
	uint64_t effective = 0;
	bool known =
		host_text("/proc/self/status", status, sizeof(status)) >= 0 && proc_capabilities(status, &effective);

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (known && !(effective & (1ULL << needed[i].number | 1ULL << CAP_SYS_ADMIN)))
			snprintf(missing + strlen(missing), sizeof(missing) - strlen(missing), "%s%s",
				 *missing ? " and " : "", needed[i].name);
	if (!*missing)
		return xdp_open(&setup, why_not, bytes);
	snprintf(why_not, bytes, "the daemon has no %s", missing);
	return NULL;
}

static void say_refused(const char *why_not, char *error, size_t error_bytes)
{
	snprintf(error, error_bytes, "accelerator = \"xdp\": %s", why_not);
}

int accelerator_refuses(const struct config *config, char *error, size_t error_bytes)
{
	char why_not[sizeof(((struct accelerator *)NULL)->why_not)];
	struct xdp *xdp;

	if (config->accelerator != ACCELERATOR_XDP)
		return 0;
	xdp = accelerator_load(config, why_not, sizeof(why_not));
	if (!xdp) {
		say_refused(why_not, error, error_bytes);
		return -1;
	}
	xdp_close(xdp);
	return 0;
}

static int open_it(struct supervisor *supervisor)
{
	struct accelerator *accelerator = &supervisor->accelerator;

	accelerator->why_not[0] = '\0';
	accelerator->endpoints = calloc(ENDPOINTS_MAX, sizeof(*accelerator->endpoints));
	accelerator->watch_fd = links_watch();
	if (!accelerator->endpoints || accelerator->watch_fd < 0)
		snprintf(accelerator->why_not, sizeof(accelerator->why_not), "rtnetlink: %s",
			 strerror(accelerator->endpoints ? -accelerator->watch_fd : ENOMEM));
	else
		accelerator->xdp =
			accelerator_load(&supervisor->config, accelerator->why_not, sizeof(accelerator->why_not));
	if (!accelerator->xdp)
		return -1;
	accelerator->links_stale = true;
	accelerator->links_read_ns = accelerator->links_retry_ns = 0;
	accelerator->said_missing = 0;
	accelerator_take_secret(supervisor);
	accelerator_take_limits(supervisor);
	return 0;
}

void accelerator_close(struct supervisor *supervisor)
{
	struct accelerator *accelerator = &supervisor->accelerator;
	bool attached = false;

	if (supervisor->shards)
		accelerator_count(supervisor, worker_now_ns());
	for (size_t i = 0; i < accelerator->port_count; i++)
		attached |= accelerator->ports[i].attached;
	xdp_close(accelerator->xdp);
	accelerator->xdp = NULL;
	if (attached)
		accelerator_tell_off(supervisor, "switched off");
	accelerator->port_count = accelerator->endpoint_count = 0;
	accelerator->has_lists = accelerator->shares = false;
	memset(accelerator->counted, 0, sizeof(accelerator->counted));
	memset(accelerator->followed, 0, sizeof(accelerator->followed));
	free(accelerator->endpoints);
	accelerator->endpoints = NULL;
	links_free(&accelerator->links);
	if (accelerator->watch_fd > 0)
		close(accelerator->watch_fd);
	accelerator->watch_fd = -1;
}

int accelerator_open(struct supervisor *supervisor, char *error, size_t error_bytes)
{
	struct accelerator *accelerator = &supervisor->accelerator;

	*accelerator = (struct accelerator){.watch_fd = -1};
	if (supervisor->config.accelerator == ACCELERATOR_OFF || open_it(supervisor) == 0)
		return 0;
	accelerator_close(supervisor);
	if (supervisor->config.accelerator == ACCELERATOR_AUTO) {
		accelerator_tell_unavailable(supervisor);
		return 0;
	}
	say_refused(accelerator->why_not, error, error_bytes);
	return -1;
}

/* They are chosen anew. */
static void detach_for_others(struct supervisor *supervisor)
{
	struct accelerator *accelerator = &supervisor->accelerator;
	bool attached = false;

	for (size_t i = 0; i < accelerator->port_count; i++) {
		if (!accelerator->ports[i].attached)
			continue;
		attached = true;
		xdp_detach(accelerator->xdp, accelerator->ports[i].index);
	}
	accelerator->port_count = 0;
	accelerator->links_stale = true;
	accelerator->links_read_ns = accelerator->links_retry_ns = 0;
	accelerator->said_missing = 0;
	if (attached)
		accelerator_tell_off(supervisor, "another configuration");
}

void accelerator_reload(struct supervisor *supervisor, const struct config *old)
{
	struct accelerator *accelerator = &supervisor->accelerator;
	const struct config *config = &supervisor->config;
	bool others = config->xdp.mode != old->xdp.mode || config->xdp.interface_count != old->xdp.interface_count ||
		      memcmp(config->xdp.interfaces, old->xdp.interfaces, sizeof(old->xdp.interfaces)) != 0;

	if (config->accelerator == ACCELERATOR_OFF) {
		accelerator_close(supervisor);
		accelerator->why_not[0] = '\0';
		return;
	}
	if (!accelerator->xdp) {
		if (old->accelerator != ACCELERATOR_OFF && old->accelerator == config->accelerator)
			return; /* as at the start: it has been told */
		if (open_it(supervisor) < 0) {
			accelerator_close(supervisor);
			accelerator_tell_unavailable(supervisor);
			return;
		}
		accelerator_take_lists(supervisor);
		accelerator_take_bans(supervisor);
	} else if (others) {
		detach_for_others(supervisor);
	}
}

int accelerator_watch_fd(const struct supervisor *supervisor)
{
	return supervisor->accelerator.watch_fd;
}

bool accelerator_links_changed(struct supervisor *supervisor)
{
	struct accelerator *accelerator = &supervisor->accelerator;
	bool changed = accelerator->watch_fd >= 0 && links_changed(accelerator->watch_fd);

	accelerator->links_stale |= changed;
	return changed;
}
