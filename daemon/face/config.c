/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keys, the defaults, and what no single key can know. */
#include "face/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "face/config_reader.h"
#include "face/config_services.h"
#include "face/config_text.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static int socket_read(struct reader *reader, const config_setting_t *setting, const struct key *key, void *target)
{
	struct config *config = target;
	const char *path = setting_string(setting);

	if (path[0] != '/' || path[strlen(path) - 1] == '/' || strlen(path) >= sizeof(config->control_socket) ||
	    !text_is_printable(path))
		return reader_refuse(reader, setting, key->allowed);
	strcpy(config->control_socket, path);
	return 0;
}

static int secret_file_read(struct reader *reader, const config_setting_t *setting, const struct key *key, void *target)
{
	struct config *config = target;
	const char *path = setting_string(setting);
	bool absolute = path[0] == '/' && path[strlen(path) - 1] != '/';

	if (setting->type != CONFIG_TYPE_STRING || (*path && !absolute) || strlen(path) >= CONFIG_PATH_BYTES ||
	    !text_is_printable(path))
		return reader_refuse(reader, setting, key->allowed);
	strcpy(config->gateway.secret_file, path);
	return 0;
}

static int gateway_read(struct reader *reader, const config_setting_t *section, const struct key *key, void *target)
{
	const struct config *config = target;

	if (config->mode != MODE_GATEWAY)
		return reader_blame(reader, section, "allowed is none unless mode = \"gateway\"");
	return reader_section(reader, section, key, target);
}

/* A group that only a directory service knows counts, too, if that answers. */
static int group_read(struct reader *reader, const config_setting_t *setting, const struct key *key, void *target)
{
	struct config *config = target;
	const char *name = setting_string(setting);

	if (setting->type != CONFIG_TYPE_STRING || strlen(name) >= sizeof(config->control_group))
		return reader_refuse(reader, setting, key->allowed);
	config->has_control_group = *name != '\0';
	if (!config->has_control_group)
		return 0;

	const struct group *group = getgrnam(name);
	if (!group)
		return reader_refuse(reader, setting, key->allowed);
	strcpy(config->control_group, name);
	config->control_gid = group->gr_gid;
	return 0;
}

/* "127.0.0.1:9464" or "[::1]:9464". */
static bool endpoint_parse(const char *text, struct addr *address, uint16_t *port)
{
	bool v6 = *text == '[';
	const char *end = v6 ? strstr(text, "]:") : strchr(text, ':');
	const char *digits = end ? end + 1 + v6 : "";
	char host[CONFIG_LISTEN_BYTES] = "";
	unsigned long number = strtoul(digits, NULL, 10);
	uint8_t wire[16];

	if (!end || strlen(digits) > 5 || strspn(digits, "0123456789") != strlen(digits) || !number ||
	    number > UINT16_MAX)
		return false;
	memcpy(host, text + v6, (size_t)(end - text) - v6);
	if (inet_pton(v6 ? AF_INET6 : AF_INET, host, wire) != 1)
		return false;
	*address = v6 ? addr_from_v6(wire) : addr_from_v4(wire);
	*port = (uint16_t)number;
	return true;
}

static int listen_read(struct reader *reader, const config_setting_t *setting, const struct key *key, void *target)
{
	struct config *config = target;
	const char *text = setting_string(setting);

	if (setting->type != CONFIG_TYPE_STRING || strlen(text) >= sizeof(config->metrics.listen) ||
	    (*text && !endpoint_parse(text, &config->metrics.address, &config->metrics.port)))
		return reader_refuse(reader, setting, key->allowed);
	if (*text && !addr_is_loopback(&config->metrics.address))
		return reader_blame(
			reader, setting,
			"allowed is loopback alone, 127.0.0.0/8 or [::1]: everybody who reaches it reads it");
	strcpy(config->metrics.listen, text);
	return 0;
}

static int cidr_read(struct reader *reader, const config_setting_t *setting, struct cidr *nets, size_t index)
{
	char why[CIDR_WHY_BYTES];

	if (setting->type != CONFIG_TYPE_STRING)
		return reader_refuse(reader, setting, "an address or network in quotes, \"192.0.2.0/24\"");
	if (!cidr_parse(setting_string(setting), &nets[index], why))
		return reader_blame(reader, setting, why);
	for (size_t i = 0; i < index; i++)
		if (cidr_equal(&nets[i], &nets[index])) {
			snprintf(why, sizeof(why), "the same as %s[%zu]: allowed is each once", setting->parent->name,
				 i);
			return reader_blame(reader, setting, why);
		}
	return 0;
}

static int cidrs_read(struct reader *reader, const config_setting_t *list, const struct key *key, struct cidr **nets,
		      size_t *count)
{
	int entries = setting_count(list);

	if (entries < 0)
		return reader_refuse(reader, list, key->allowed);
	if (entries > CIDR_LIST_MAX)
		return reader_fail(reader, config_setting_get_elem(list, CIDR_LIST_MAX),
				   "%s has %d entries: allowed are at most %d", key->name, entries, CIDR_LIST_MAX);
	if (entries == 0)
		return 0;
	*nets = calloc((size_t)entries, sizeof(**nets));
	if (!*nets)
		return reader_fail(reader, list, "out of memory");

	for (; *count < (size_t)entries; (*count)++)
		if (cidr_read(reader, config_setting_get_elem(list, (unsigned)*count), *nets, *count) != 0)
			return -1;
	return 0;
}

/* As dev_valid_name() (net/core/dev.c) has it. */
static bool is_interface_name(const char *name)
{
	return *name && strlen(name) < IF_NAMESIZE && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       !strpbrk(name, "/: \t\n\v\f\r");
}

static int interfaces_read(struct reader *reader, const config_setting_t *list, const struct key *key, void *target)
{
	struct config *config = target;
	int entries = setting_count(list);

	if (entries < 0 || entries > CONFIG_INTERFACES_MAX)
		return reader_refuse(reader, list, key->allowed);
	for (int i = 0; i < entries; i++) {
		const config_setting_t *setting = config_setting_get_elem(list, (unsigned)i);
		const char *name = setting_string(setting);

		if (setting->type != CONFIG_TYPE_STRING || !is_interface_name(name) || !text_is_printable(name))
			return reader_refuse(reader, setting, "an interface's name in quotes, of at most 15 bytes");
		for (int j = 0; j < i; j++)
			if (strcmp(config->xdp.interfaces[j], name) == 0)
				return reader_refuse(reader, setting, "each interface once");
		strcpy(config->xdp.interfaces[config->xdp.interface_count++], name);
	}
	return 0;
}

static int allow_read(struct reader *reader, const config_setting_t *list, const struct key *key, void *target)
{
	struct config *config = target;

	return cidrs_read(reader, list, key, &config->allow, &config->allow_count);
}

static int deny_read(struct reader *reader, const config_setting_t *list, const struct key *key, void *target)
{
	struct config *config = target;

	return cidrs_read(reader, list, key, &config->deny, &config->deny_count);
}

/* clang-format off */
#define NUMBER(name, member, low, high, fallback, unit) \
	{name, reader_number, offsetof(struct config, member), low, high, fallback, unit, NULL, NULL, NULL, 0}
#define WORD(name, member, words) \
	{name, reader_word, offsetof(struct config, member), 0, 0, 0, NULL, words, NULL, NULL, 0}

/* The first word is the default: config_defaults() clears. */
static const char *const mode_words[] = {
	[MODE_HOST] = "host",
	[MODE_GATEWAY] = "gateway",
	NULL,
};

static const char *const policy_words[] = {
	[POLICY_ENFORCE] = "enforce",
	[POLICY_OBSERVE] = "observe",
	NULL,
};

static const char *const unseen_words[] = {
	[UNSEEN_PASS] = "pass",
	[UNSEEN_DROP_ARMED] = "drop-armed",
	[UNSEEN_DROP] = "drop",
	NULL,
};

static const char *const spill_words[] = {
	[SPILL_ANSWER] = "answer",
	[SPILL_OFF] = "off",
	NULL,
};

static const char *const strays_words[] = {
	[STRAYS_DROP] = "drop",
	[STRAYS_RESET] = "reset",
	NULL,
};

static const char *const action_words[] = {
	[ACTION_DROP] = "drop",
	[ACTION_RESET] = "reset",
	NULL,
};

static const char *const accelerator_words[] = {
	[ACCELERATOR_AUTO] = "auto",
	[ACCELERATOR_XDP] = "xdp",
	[ACCELERATOR_OFF] = "off",
	NULL,
};

static const char *const xdp_mode_words[] = {
	[XDP_MODE_AUTO] = "auto",
	[XDP_MODE_NATIVE] = "native",
	[XDP_MODE_GENERIC] = "generic",
	NULL,
};

static const char *const access_words[] = {
	[ACCESS_GROUP] = "group",
	[ACCESS_EVERYBODY] = "everybody",
	NULL,
};

static const struct key gateway_keys[] = {
	{.name = "secret_file", .read = secret_file_read, .allowed = "\"\" or an absolute path of at most 255 bytes"},
	WORD("strays", gateway.strays, strays_words),
	NUMBER("grace_s", gateway.grace_s, 0, 86400, 7200, "seconds"),
};

static const struct key backlog_keys[] = {
	NUMBER("arm_percent", backlog.arm_percent, 1, 100, 50, "percent"),
	NUMBER("crowd_percent", backlog.crowd_percent, 1, 100, 85, "percent"),
	NUMBER("disarm_percent", backlog.disarm_percent, 0, 99, 25, "percent"),
	NUMBER("hold_s", backlog.hold_s, 0, 3600, 10, "seconds"),
	NUMBER("handshake_timeout_s", backlog.handshake_timeout_s, 1, 300, 30, "seconds"),
};

static const struct key reflection_keys[] = {
	NUMBER("unanswered_per_s", reflection.unanswered_per_s, 0, 1000000, 2000, "SYN-ACKs per second"),
};

static const struct key sources_keys[] = {
	NUMBER("half_open_limit", sources.half_open_limit, 0, 1000000, 64, "half-open handshakes (0: no limit)"),
	NUMBER("prefix_v4", sources.prefix_v4, 8, 32, 32, "bits"),
	NUMBER("prefix_v6", sources.prefix_v6, 16, 128, 64, "bits"),
	NUMBER("proven_s", sources.proven_s, 0, 86400, 600, "seconds (0: never)"),
	NUMBER("direct_half_open", sources.direct_half_open, 0, 1024, 8, "half-open handshakes (0: always challenge)"),
};

static const struct key rate_limit_keys[] = {
	NUMBER("connections_per_s", rate_limit.connections_per_s, 0, 30000, 0, "connections per second (0: no limit)"),
	NUMBER("burst", rate_limit.burst, 1, 60000, 100, "connections"),
	WORD("action", rate_limit.action, action_words),
	NUMBER("ban_s", rate_limit.ban_s, 0, 86400, 0, "seconds (0: never)"),
};

static const struct key tables_keys[] = {
	NUMBER("half_open", tables.half_open, 1024, 16777216, 262144, "entries"),
	NUMBER("sources", tables.sources, 1024, 16777216, 262144, "entries"),
	NUMBER("handovers", tables.handovers, 64, 1048576, 16384, "entries"),
	NUMBER("bans", tables.bans, 64, 1048576, 65536, "entries"),
};

static const struct key queues_keys[] = {
	NUMBER("shards", queues.shards, 0, 64, 0, "(0: one per CPU)"),
	NUMBER("first", queues.first, 0, 65000, 16384, ""),
	WORD("spill", queues.spill, spill_words),
};

static const struct key xdp_keys[] = {
	{.name = "interfaces", .read = interfaces_read, .allowed = "a list of at most 16 interfaces' names, [\"eth0\"]"},
	WORD("mode", xdp.mode, xdp_mode_words),
	NUMBER("sample_per_s", xdp.sample_per_s, 1, 100000, 200, "SYNs per second and CPU"),
};

static const struct key control_keys[] = {
	{.name = "socket", .read = socket_read, .allowed = "an absolute path of at most 107 bytes"},
	{.name = "group", .read = group_read, .allowed = "\"\" or a group that this host knows, of at most 32 bytes"},
	WORD("access", control_access, access_words),
};

static const struct key metrics_keys[] = {
	{.name = "listen", .read = listen_read, .allowed = "\"\", \"127.0.0.1:PORT\" or \"[::1]:PORT\", with a port of 1 to 65535"},
};

#define SECTION(name, read) {#name, read, 0, 0, 0, 0, NULL, NULL, NULL, name##_keys, LENGTH(name##_keys)}

/* Read first, wherever it stands: what other keys allow and mean depends on it. */
#define ROOT_MODE 0

static const struct key root_keys[] = {
	[ROOT_MODE] = WORD("mode", mode, mode_words),
	WORD("policy", policy, policy_words),
	WORD("on_overload", on_overload, unseen_words),
	WORD("on_exit", on_exit, unseen_words),
	{.name = "services", .read = config_services_read,
	 .allowed = "a list of at least one group, ( { name = \"web\"; ports = [80]; } )"},
	{.name = "allow", .read = allow_read, .allowed = "a list of addresses and networks, [\"192.0.2.0/24\"]"},
	{.name = "deny", .read = deny_read, .allowed = "a list of addresses and networks, [\"192.0.2.0/24\"]"},
	SECTION(gateway, gateway_read),
	SECTION(backlog, reader_section),
	SECTION(sources, reader_section),
	SECTION(rate_limit, reader_section),
	SECTION(reflection, reader_section),
	SECTION(tables, reader_section),
	SECTION(queues, reader_section),
	WORD("accelerator", accelerator, accelerator_words),
	SECTION(xdp, reader_section),
	SECTION(control, reader_section),
	SECTION(metrics, reader_section),
};

/* clang-format on */

static const struct key root_section = {.read = reader_section, .keys = root_keys, .key_count = LENGTH(root_keys)};

_Static_assert(sizeof(enum config_policy) == sizeof(unsigned) && sizeof(enum config_action) == sizeof(unsigned) &&
		       sizeof(enum config_access) == sizeof(unsigned) && sizeof(enum config_mode) == sizeof(unsigned) &&
		       sizeof(enum config_unseen) == sizeof(unsigned) &&
		       sizeof(enum config_spill) == sizeof(unsigned) &&
		       sizeof(enum config_strays) == sizeof(unsigned) &&
		       sizeof(enum config_accelerator) == sizeof(unsigned) && sizeof(enum xdp_mode) == sizeof(unsigned),
	       "reader_word() stores an enum as unsigned");

const struct key *config_keys(void)
{
	return &root_section;
}

static int mode_take(struct reader *reader, config_t *parsed, struct config *config)
{
	const config_setting_t *mode = config_lookup(parsed, "mode");

	if (mode && reader_word(reader, mode, &root_keys[ROOT_MODE], config) != 0)
		return -1;
	if (config->mode != MODE_GATEWAY)
		return 0;
	config->on_overload = UNSEEN_DROP_ARMED;
	config->on_exit = UNSEEN_DROP_ARMED;
	if (config_lookup(parsed, "services"))
		return 0;
	return reader_blame(reader, mode, "services is missing: what is behind this host cannot be found by itself");
}

/* crowd_percent follows an arm_percent above its default, so that whoever sets the one need not know of the other. */
static int crowd_check(struct reader *reader, config_t *parsed, struct config *config)
{
	const config_setting_t *crowd = config_lookup(parsed, "backlog.crowd_percent");

	if (config->backlog.crowd_percent >= config->backlog.arm_percent)
		return 0;
	if (!crowd) {
		config->backlog.crowd_percent = config->backlog.arm_percent;
		return 0;
	}
	return reader_fail(reader, crowd,
			   "backlog.crowd_percent is %u: allowed is %u to 100 percent (at least arm_percent)",
			   config->backlog.crowd_percent, config->backlog.arm_percent);
}

static int thresholds_check(struct reader *reader, config_t *parsed, const struct config *config)
{
	const config_setting_t *disarm = config_lookup(parsed, "backlog.disarm_percent");
	const config_setting_t *arm = config_lookup(parsed, "backlog.arm_percent");

	if (config->backlog.disarm_percent < config->backlog.arm_percent)
		return 0;
	if (disarm)
		return reader_fail(reader, disarm,
				   "backlog.disarm_percent is %u: allowed is 0 to %u percent (less than arm_percent)",
				   config->backlog.disarm_percent, config->backlog.arm_percent - 1);
	return reader_fail(
		reader, arm,
		"backlog.arm_percent is %u: allowed is %u to 100 percent, as long as disarm_percent is not set "
		"(its default is %u)",
		config->backlog.arm_percent, config->backlog.disarm_percent + 1, config->backlog.disarm_percent);
}

int config_load(struct config *config, const char *path, char *error, size_t error_bytes)
{
	char *text = config_text_read(path, error, error_bytes);
	struct reader reader = {path, text, error, error_bytes};
	config_t parsed;
	int result = -1;

	if (!text)
		return -1;

	config_defaults(config);
	config_init(&parsed);
	if (config_read_string(&parsed, text) != CONFIG_TRUE)
		snprintf(error, error_bytes, "%s:%d: %s: see synmoat.conf(5)", path, config_error_line(&parsed),
			 config_error_text(&parsed));
	else if (mode_take(&reader, &parsed, config) == 0 &&
		 reader_section(&reader, config_root_setting(&parsed), &root_section, config) == 0)
		result = thresholds_check(&reader, &parsed, config) || crowd_check(&reader, &parsed, config) ? -1 : 0;
	config_destroy(&parsed);
	free(text);
	if (result != 0)
		config_free(config);
	return result;
}

int config_load_from(struct config *config, const struct config_file *file, char *error, size_t error_bytes)
{
	if (file->required || access(file->path, F_OK) == 0 || errno != ENOENT)
		return config_load(config, file->path, error, error_bytes);
	config_defaults(config);
	return 0;
}

void config_defaults(struct config *config)
{
	memset(config, 0, sizeof(*config));
	config->policy = POLICY_ENFORCE;
	config->auto_services = true;
	strcpy(config->control_socket, CONFIG_DEFAULT_SOCKET);
	for (size_t s = 0; s < root_section.key_count; s++) {
		const struct key *section = &root_keys[s];

		for (size_t k = 0; k < section->key_count; k++)
			if (section->keys[k].read == reader_number)
				*(unsigned *)((char *)config + section->keys[k].offset) = section->keys[k].fallback;
	}
}

void config_free(struct config *config)
{
	for (size_t i = 0; i < config->service_count; i++)
		free(config->services[i].ports);
	free(config->services);
	free(config->allow);
	free(config->deny);
	config->services = NULL;
	config->allow = NULL;
	config->deny = NULL;
	config->service_count = 0;
	config->allow_count = 0;
	config->deny_count = 0;
}
