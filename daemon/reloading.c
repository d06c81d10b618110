/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reloading: another configuration takes the place of the one in force, whole or not at all. */
#include <string.h>

#include "edge/manager.h"
#include "supervisor_parts.h"

#define NSEC_PER_SEC 1000000000ULL

/* Which changed keys a running daemon cannot take over: "control, metrics"; "" if there are none. */
static void waiting_keys(const struct config *old, const struct config *config, char *keys, size_t bytes)
{
	const struct {
		bool differs;
		const char *key;
	} kept[] = {
		{old->sources.prefix_v4 != config->sources.prefix_v4, "sources.prefix_v4"},
		{old->sources.prefix_v6 != config->sources.prefix_v6, "sources.prefix_v6"},
		{memcmp(&old->tables, &config->tables, sizeof(old->tables)) != 0, "tables"},
		{memcmp(&old->queues, &config->queues, sizeof(old->queues)) != 0, "queues"},
		{old->control_access != config->control_access || old->has_control_group != config->has_control_group ||
			 old->control_gid != config->control_gid ||
			 strcmp(old->control_socket, config->control_socket) != 0,
		 "control"},
		{strcmp(old->metrics.listen, config->metrics.listen) != 0, "metrics"},
	};
	size_t used = 0;

	keys[0] = '\0';
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (kept[i].differs && used < bytes)
			used += (size_t)snprintf(keys + used, bytes - used, "%s%s", used ? ", " : "", kept[i].key);
}

/* What a running daemon cannot change stays as it was; `keys` tells what that is. */
static void keep_for_restart(struct supervisor *supervisor, const struct config *old, struct config *config, char *keys,
			     size_t bytes)
{
	waiting_keys(old, config, keys, bytes);
	if (keys[0]) {
		struct event event;

		event_begin(&event, EVENT_RESTART_NEEDED, "at a restart only: %s", keys);
		event_text(&event, "keys", keys);
		supervisor_tell(supervisor, &event);
	}
	config->tables = old->tables;
	config->queues = old->queues;
	config->sources.prefix_v4 = old->sources.prefix_v4;
	config->sources.prefix_v6 = old->sources.prefix_v6;
	config->metrics = old->metrics;
	config->control_access = old->control_access;
	config->has_control_group = old->has_control_group;
	config->control_gid = old->control_gid;
	memcpy(config->control_group, old->control_group, sizeof(old->control_group));
	memcpy(config->control_socket, old->control_socket, sizeof(old->control_socket));
}

int supervisor_configure_lists(struct supervisor *supervisor, const struct config *config)
{
	static struct cidr_list allow;

	allow = supervisor->allow;
	if (!cidr_list_configure(&allow, config->allow, config->allow_count) ||
	    !cidr_list_configure(&supervisor->deny, config->deny, config->deny_count))
		return -1;
	supervisor->allow = allow;
	return 0;
}

/* What this host, or a running daemon, cannot do. */
static int refuse(const struct supervisor *supervisor, const struct config *config, char *what, size_t bytes)
{
	if (config->mode != supervisor->config.mode) {
		snprintf(what, bytes, "mode changes at a restart only");
		return -1;
	}
	if (secrets_refuse(config, what, bytes) < 0)
		return -1;
	return supervisor->accelerator.xdp ? 0 : accelerator_refuses(config, what, bytes);
}

static int reload(struct supervisor *supervisor, char *waiting, size_t waiting_bytes, char *error, size_t error_bytes)
{
	struct config old = supervisor->config;
	struct config config;
	uint64_t now_ns = worker_now_ns();
	char what[384];
	bool loaded = config_load_from(&config, &supervisor->config_file, what, sizeof(what)) == 0;
	int refused;

	if (!loaded || refuse(supervisor, &config, what, sizeof(what)) < 0) {
		snprintf(error, error_bytes, "%s: the old configuration stays in force", what);
		snprintf(supervisor->reload_refused, sizeof(supervisor->reload_refused), "%s", what);
		if (loaded)
			config_free(&config);
		return -1;
	}
	if (supervisor_configure_lists(supervisor, &config) < 0) {
		snprintf(error, error_bytes,
			 "allow or deny: more than %d networks, with those added at run time: the old configuration "
			 "stays in force",
			 CIDR_LIST_MAX);
		snprintf(supervisor->reload_refused, sizeof(supervisor->reload_refused), "too many networks");
		config_free(&config);
		return -1;
	}
	supervisor->reload_refused[0] = '\0';
	keep_for_restart(supervisor, &old, &config, waiting, waiting_bytes);
	supervisor->config = config;
	if (old.policy == POLICY_ENFORCE && config.policy == POLICY_OBSERVE)
		supervisor->honour_until_ns = now_ns + config.backlog.handshake_timeout_s * NSEC_PER_SEC;
	if (old.gateway.grace_s != config.gateway.grace_s)
		supervisor->grace_until_ns = supervisor->started_ns + config.gateway.grace_s * NSEC_PER_SEC;
	accelerator_reload(supervisor, &old);
	config_free(&old);
	secrets_reload(supervisor, now_ns);

	/* Rules that lead third ACKs to us come before the first cookie: so rules first, then the shards' limits. */
	supervisor_read_listeners(supervisor, now_ns);
	supervisor->limits_stale = true;
	refused = postures_update(supervisor, true, now_ns);
	if (refused) {
		snprintf(error, error_bytes,
			 "in force as soon as the kernel takes the rules: %s; tried again every second",
			 strerror(-refused));
		return -1;
	}
	supervisor_say_host(supervisor);
	return 0;
}

int supervisor_reload(struct supervisor *supervisor, char *message, size_t message_bytes)
{
	char waiting[96] = "";
	struct event event;
	int failed;

	manager_reloading();
	failed = reload(supervisor, waiting, sizeof(waiting), message, message_bytes);
	manager_ready();
	if (failed) {
		event_begin(&event, EVENT_RELOAD_FAILED, "%s", message);
	} else {
		snprintf(message, message_bytes, "configuration reloaded%s%s",
			 waiting[0] ? "; at a restart only: " : "", waiting);
		event_begin(&event, EVENT_RELOADED, "configuration reloaded: %u bindings",
			    supervisor->registry.binding_count);
		event_number(&event, "bindings", supervisor->registry.binding_count);
	}
	supervisor_tell(supervisor, &event);
	return failed;
}
