/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every key is one row of a table: how it is read, its range, unit and default. One walk, section_read(), serves the
 * file's root, each section and each service, so that an unknown key is answered with the known ones everywhere. */
#include "face/config.h"

#include <arpa/inet.h>
#include <libconfig.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "face/config_text.h"
#include "synmoat/version.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define PAIRS_MAX 1024 /* (address, port) pairs over all services */
#define PATH_BYTES 128 /* of a key in an error message: services[1023].ports[1023] and room to spare */

struct reader {
	const char *file;
	char *error;
	size_t error_bytes;
};

struct key {
	const char *name;
	int (*read)(struct reader *reader, const config_setting_t *setting, const struct key *key, void *target);
	size_t offset; /* of the value in `target`; numbers are `unsigned`, words are enums */
	unsigned low, high, fallback;
	const char *unit;
	const char *const *words; /* the value is the index; NULL ends them */
	const char *allowed;
	const struct key *keys; /* of a section */
	size_t key_count;
};

static int __attribute__((format(printf, 3, 4)))
reader_fail(struct reader *reader, const config_setting_t *setting, const char *format, ...)
{
	va_list arguments;
	char what[512];

	while (setting->line == 0 && setting->parent)
		setting = setting->parent;
	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	snprintf(reader->error, reader->error_bytes, "%s:%u: %s", reader->file, setting->line ? setting->line : 1,
		 what);
	return -1;
}

/* "backlog.arm_percent", "services[0].ports[2]" */
static const char *setting_path(const config_setting_t *setting, char path[PATH_BYTES])
{
	path[0] = '\0';
	if (!setting->parent)
		return path;
	setting_path(setting->parent, path);

	size_t used = strlen(path);
	if (setting->name)
		snprintf(path + used, PATH_BYTES - used, "%s%.64s", used ? "." : "", setting->name);
	else
		snprintf(path + used, PATH_BYTES - used, "[%d]", config_setting_index(setting));
	return path;
}

static const char *setting_value(const config_setting_t *setting, char value[PATH_BYTES])
{
	switch (setting->type) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		snprintf(value, PATH_BYTES, "%lld", config_setting_get_int64(setting));
		break;
	case CONFIG_TYPE_FLOAT:
		snprintf(value, PATH_BYTES, "%g", config_setting_get_float(setting));
		break;
	case CONFIG_TYPE_BOOL:
		snprintf(value, PATH_BYTES, "%s", config_setting_get_bool(setting) ? "true" : "false");
		break;
	case CONFIG_TYPE_STRING:
		snprintf(value, PATH_BYTES, "\"%.110s\"", config_setting_get_string(setting));
		for (char *c = value; *c; c++)
			if ((unsigned char)*c < ' ' || *c == 0x7f)
				*c = '?';
		break;
	default:
		snprintf(value, PATH_BYTES, "%s",
			 config_setting_is_group(setting)      ? "a group"
			 : config_setting_length(setting) == 0 ? "empty"
							       : "a list");
	}
	return value;
}

/* Wrong type and wrong value read alike: `backlog.arm_percent is "50": allowed is 1 to 100 percent`. */
static int reader_refuse(struct reader *reader, const config_setting_t *setting, const char *allowed)
{
	char path[PATH_BYTES], value[PATH_BYTES];

	return reader_fail(reader, setting, "%s is %s: allowed is %s", setting_path(setting, path),
			   setting_value(setting, value), allowed);
}

static bool setting_in_range(const config_setting_t *setting, unsigned low, unsigned high)
{
	if (setting->type != CONFIG_TYPE_INT && setting->type != CONFIG_TYPE_INT64)
		return false;
	long long value = config_setting_get_int64(setting);
	return value >= low && value <= high;
}

static const char *setting_string(const config_setting_t *setting)
{
	return setting->type == CONFIG_TYPE_STRING ? config_setting_get_string(setting) : "";
}

static int number_read(struct reader *reader, const config_setting_t *setting, const struct key *key, void *target)
{
	char allowed[PATH_BYTES];

	if (setting_in_range(setting, key->low, key->high)) {
		*(unsigned *)((char *)target + key->offset) = (unsigned)config_setting_get_int64(setting);
		return 0;
	}
	snprintf(allowed, sizeof(allowed), "%u to %u%s%s", key->low, key->high, *key->unit ? " " : "", key->unit);
	return reader_refuse(reader, setting, allowed);
}

static int word_read(struct reader *reader, const config_setting_t *setting, const struct key *key, void *target)
{
	char allowed[PATH_BYTES] = "";

	for (unsigned i = 0; key->words[i]; i++) {
		size_t used = strlen(allowed);

		if (strcmp(setting_string(setting), key->words[i]) == 0) {
			*(unsigned *)((char *)target + key->offset) = i;
			return 0;
		}
		snprintf(allowed + used, sizeof(allowed) - used, "%s\"%s\"", i ? " or " : "", key->words[i]);
	}
	return reader_refuse(reader, setting, allowed);
}

static int mode_read(struct reader *reader, const config_setting_t *setting, const struct key *key, void *target)
{
	(void)key;
	(void)target; /* one mode so far: there is nothing to store */
	if (strcmp(setting_string(setting), "gateway") == 0)
		return reader_fail(reader, setting,
				   "mode \"gateway\" is not available in version %s: allowed is \"host\"",
				   SYNMOAT_VERSION);
	return strcmp(setting_string(setting), "host") == 0 ? 0 : reader_refuse(reader, setting, "\"host\"");
}

static int socket_read(struct reader *reader, const config_setting_t *setting, const struct key *key, void *target)
{
	struct config *config = target;
	const char *path = setting_string(setting);

	if (path[0] != '/' || path[strlen(path) - 1] == '/' || strlen(path) >= sizeof(config->control_socket))
		return reader_refuse(reader, setting, key->allowed);
	strcpy(config->control_socket, path);
	return 0;
}

static int name_read(struct reader *reader, const config_setting_t *setting, const struct key *key, void *target)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	struct config_service *service = target;
	const char *name = setting_string(setting);
	size_t length = strspn(name, letters);

	if (length == 0 || length >= sizeof(service->name) || name[length])
		return reader_refuse(reader, setting, key->allowed);
	strcpy(service->name, name);
	return 0;
}

static int address_read(struct reader *reader, const config_setting_t *setting, const struct key *key, void *target)
{
	struct config_service *service = target;
	const char *text = setting_string(setting);
	struct addr unspecified_v4 = addr_from_v4((const uint8_t[4]){0});
	struct addr unspecified_v6 = addr_from_v6((const uint8_t[16]){0});
	uint8_t wire[16];

	service->any_address = strcmp(text, "any") == 0;
	if (service->any_address)
		return 0;
	if (inet_pton(AF_INET, text, wire) == 1)
		service->address = addr_from_v4(wire);
	else if (inet_pton(AF_INET6, text, wire) == 1)
		service->address = addr_from_v6(wire);
	else
		return reader_refuse(reader, setting, key->allowed);
	if (addr_equal(&service->address, &unspecified_v4) || addr_equal(&service->address, &unspecified_v6))
		return reader_refuse(reader, setting, key->allowed);
	return 0;
}

static int ports_read(struct reader *reader, const config_setting_t *setting, const struct key *key, void *target)
{
	struct config_service *service = target;
	bool is_list = config_setting_is_array(setting) || config_setting_is_list(setting);
	int count = is_list ? config_setting_length(setting) : 0;

	if (count < 1)
		return reader_refuse(reader, setting, key->allowed);
	service->ports = calloc((size_t)count, sizeof(*service->ports));
	if (!service->ports)
		return reader_fail(reader, setting, "out of memory");

	for (int i = 0; i < count; i++) {
		const config_setting_t *port = config_setting_get_elem(setting, (unsigned)i);

		if (!setting_in_range(port, 1, UINT16_MAX))
			return reader_refuse(reader, port, "1 to 65535");
		service->ports[service->port_count++] = (uint16_t)config_setting_get_int64(port);
	}
	return 0;
}

static int limit_read(struct reader *reader, const config_setting_t *setting, const struct key *key, void *target)
{
	struct config_service *service = target;

	if (strcmp(setting_string(setting), "auto") == 0) {
		service->limit = 0;
		return 0;
	}
	if (!setting_in_range(setting, key->low, key->high))
		return reader_refuse(reader, setting, key->allowed);
	service->limit = (uint32_t)config_setting_get_int64(setting);
	return 0;
}

static int section_read(struct reader *reader, const config_setting_t *section, const struct key *key, void *target);
static int services_read(struct reader *reader, const config_setting_t *list, const struct key *key, void *target);

/* clang-format off */
#define NUMBER(name, member, low, high, fallback, unit) \
	{name, number_read, offsetof(struct config, member), low, high, fallback, unit, NULL, NULL, NULL, 0}

static const struct key backlog_keys[] = {
	NUMBER("arm_percent", backlog.arm_percent, 1, 100, 50, "percent"),
	NUMBER("disarm_percent", backlog.disarm_percent, 0, 99, 25, "percent"),
	NUMBER("hold_s", backlog.hold_s, 0, 3600, 10, "seconds"),
	NUMBER("handshake_timeout_s", backlog.handshake_timeout_s, 1, 300, 30, "seconds"),
};

static const struct key reflection_keys[] = {
	NUMBER("unanswered_per_s", reflection.unanswered_per_s, 0, 1000000, 2000, "SYN-ACKs per second"),
};

static const struct key tables_keys[] = {
	NUMBER("half_open", tables.half_open, 1024, 16777216, 262144, "entries"),
	NUMBER("sources", tables.sources, 1024, 16777216, 262144, "entries"),
	NUMBER("handovers", tables.handovers, 64, 1048576, 16384, "entries"),
};

static const struct key queues_keys[] = {
	NUMBER("shards", queues.shards, 0, 64, 0, "(0: one per CPU)"),
	NUMBER("first", queues.first, 0, 65000, 16384, ""),
};

static const struct key control_keys[] = {
	{.name = "socket", .read = socket_read, .allowed = "an absolute path of at most 107 bytes"},
};

static const char *const policy_words[] = {
	[POLICY_ENFORCE] = "enforce",
	[POLICY_OBSERVE] = "observe",
	NULL,
};

static const char *const cookies_words[] = {
	[COOKIES_AUTO] = "auto",
	[COOKIES_ALWAYS] = "always",
	[COOKIES_NEVER] = "never",
	NULL,
};

static const struct key service_keys[] = {
	{.name = "name", .read = name_read, .allowed = "1 to 63 letters, digits, dots, underscores and hyphens"},
	{.name = "address", .read = address_read, .allowed = "\"any\" or one IPv4 or IPv6 address"},
	{.name = "ports", .read = ports_read, .allowed = "a list of ports, [80, 443]"},
	{.name = "cookies", .read = word_read, .words = cookies_words,
	 .offset = offsetof(struct config_service, cookies)},
	{.name = "limit", .read = limit_read, .low = 1, .high = 16777216,
	 .allowed = "\"auto\" or 1 to 16777216 entries"},
};

static const struct key service_section = {
	.name = "services", .read = section_read, .keys = service_keys, .key_count = LENGTH(service_keys)};

#define SECTION(name) {#name, section_read, 0, 0, 0, 0, NULL, NULL, NULL, name##_keys, LENGTH(name##_keys)}

static const struct key root_keys[] = {
	{.name = "mode", .read = mode_read},
	{.name = "policy", .read = word_read, .offset = offsetof(struct config, policy), .words = policy_words},
	{.name = "services", .read = services_read,
	 .allowed = "a list of at least one group, ( { name = \"web\"; ports = [80]; } )"},
	SECTION(backlog),
	SECTION(reflection),
	SECTION(tables),
	SECTION(queues),
	SECTION(control),
};

/* clang-format on */

static const struct key root_section = {.read = section_read, .keys = root_keys, .key_count = LENGTH(root_keys)};

_Static_assert(sizeof(enum config_policy) == sizeof(unsigned) && sizeof(enum config_cookies) == sizeof(unsigned),
	       "word_read() stores an enum as unsigned");

static int section_refuse_unknown(struct reader *reader, const config_setting_t *setting, const struct key *section)
{
	char path[PATH_BYTES], known[256] = "";

	for (size_t i = 0; i < section->key_count; i++) {
		size_t used = strlen(known);

		snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "", section->keys[i].name);
	}
	return reader_fail(reader, setting, "%s is not a known key: known are %s", setting_path(setting, path), known);
}

static int section_read(struct reader *reader, const config_setting_t *section, const struct key *key, void *target)
{
	if (!config_setting_is_group(section))
		return reader_refuse(reader, section, "a group, { ... }");

	for (int i = 0; i < config_setting_length(section); i++) {
		const config_setting_t *setting = config_setting_get_elem(section, (unsigned)i);
		const struct key *found = NULL;

		for (size_t k = 0; k < key->key_count && !found; k++)
			if (strcmp(setting->name, key->keys[k].name) == 0)
				found = &key->keys[k];
		if (!found)
			return section_refuse_unknown(reader, setting, key);
		if (found->read(reader, setting, found, target) != 0)
			return -1;
	}
	return 0;
}

/* The services before `index` and the ports before `port_index` are known to be distinct. */
static int pair_check(struct reader *reader, const config_setting_t *group, const struct config *config, size_t index,
		      size_t port_index)
{
	const config_setting_t *ports = config_setting_get_member(group, "ports");
	const config_setting_t *port = config_setting_get_elem(ports, (unsigned)port_index);
	const struct config_service *service = &config->services[index];

	for (size_t i = 0; i <= index; i++) {
		const struct config_service *other = &config->services[i];
		size_t count = i == index ? port_index : other->port_count;

		if (other->any_address != service->any_address ||
		    (!service->any_address && !addr_equal(&other->address, &service->address)))
			continue;
		for (size_t p = 0; p < count; p++)
			if (other->ports[p] == service->ports[port_index])
				return reader_fail(reader, port,
						   "port %u is listed twice for the same address (in service \"%s\"): "
						   "allowed is once",
						   other->ports[p], other->name);
	}
	return 0;
}

/* What no single key can know: that a service is complete and differs from those before it. */
static int service_check(struct reader *reader, const config_setting_t *group, const struct config *config,
			 size_t index)
{
	const struct config_service *service = &config->services[index];
	size_t pairs = 0;

	if (!service->name[0] || !service->port_count)
		return reader_fail(reader, group, "services[%zu] has no %s: a service needs a name and ports", index,
				   service->name[0] ? "ports" : "name");
	for (size_t i = 0; i < index; i++)
		if (strcmp(config->services[i].name, service->name) == 0)
			return reader_fail(reader, config_setting_get_member(group, "name"),
					   "the name \"%s\" is used by services[%zu]: allowed is one service per name",
					   service->name, i);
	for (size_t i = 0; i <= index; i++)
		pairs += config->services[i].port_count;
	if (pairs > PAIRS_MAX)
		return reader_fail(reader, config_setting_get_member(group, "ports"),
				   "%zu ports in all services so far: allowed are %d", pairs, PAIRS_MAX);
	for (size_t p = 0; p < service->port_count; p++)
		if (pair_check(reader, group, config, index, p) != 0)
			return -1;
	return 0;
}

static int services_read(struct reader *reader, const config_setting_t *list, const struct key *key, void *target)
{
	struct config *config = target;
	int count = config_setting_is_list(list) ? config_setting_length(list) : 0;

	/* An empty list would protect nothing: whoever wants that stops the daemon. */
	if (count < 1)
		return reader_refuse(reader, list, key->allowed);
	config->services = calloc((size_t)count, sizeof(*config->services));
	if (!config->services)
		return reader_fail(reader, list, "out of memory");

	config->auto_services = false;
	for (int i = 0; i < count; i++) {
		const config_setting_t *group = config_setting_get_elem(list, (unsigned)i);
		size_t index = config->service_count++;

		config->services[index].any_address = true;
		if (section_read(reader, group, &service_section, &config->services[index]) != 0 ||
		    service_check(reader, group, config, index) != 0)
			return -1;
	}
	return 0;
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
	struct reader reader = {path, error, error_bytes};
	config_t parsed;
	int result = -1;

	char *text = config_text_read(path, error, error_bytes);
	if (!text)
		return -1;

	config_defaults(config);
	config_init(&parsed);
	if (config_read_string(&parsed, text) != CONFIG_TRUE)
		snprintf(error, error_bytes, "%s:%d: %s: see synmoat.conf(5)", path, config_error_line(&parsed),
			 config_error_text(&parsed));
	else if (section_read(&reader, config_root_setting(&parsed), &root_section, config) == 0)
		result = thresholds_check(&reader, &parsed, config);
	config_destroy(&parsed);
	free(text);
	if (result != 0)
		config_free(config);
	return result;
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
			if (section->keys[k].read == number_read)
				*(unsigned *)((char *)config + section->keys[k].offset) = section->keys[k].fallback;
	}
}

void config_free(struct config *config)
{
	for (size_t i = 0; i < config->service_count; i++)
		free(config->services[i].ports);
	free(config->services);
	config->services = NULL;
	config->service_count = 0;
}
