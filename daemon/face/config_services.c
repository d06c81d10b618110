/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "face/config_services.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "face/config.h"
#include "synmoat/cidr.h"
#include "synmoat/service.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define PAIRS_MAX 1024 /* (address, port) pairs over all services */

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

/* One address, which may not be the unspecified one, or a network. On error `why` tells more, or is empty. */
static bool net_parse(const char *text, struct cidr *net, char why[CIDR_WHY_BYTES])
{
	struct addr v4 = addr_unspecified(false), v6 = addr_unspecified(true);
	uint8_t wire[16];

	*why = '\0';
	net->bits = 128;
	if (strchr(text, '/')) {
		if (!cidr_parse(text, net, why))
			return false;
	} else if (inet_pton(AF_INET, text, wire) == 1) {
		net->net = addr_from_v4(wire);
	} else if (inet_pton(AF_INET6, text, wire) == 1) {
		net->net = addr_from_v6(wire);
	} else {
		return false;
	}
	return net->bits < 128 || (!addr_equal(&net->net, &v4) && !addr_equal(&net->net, &v6));
}

static int host_address_read(struct reader *reader, const config_setting_t *setting, const struct key *key,
			     void *target)
{
	struct config_service *service = target;
	const char *text = setting_string(setting);
	char why[CIDR_WHY_BYTES];
	struct cidr net;

	service->any_address = strcmp(text, "any") == 0;
	if (service->any_address)
		return 0;
	if (!net_parse(text, &net, why))
		return reader_refuse(reader, setting, key->allowed);
	if (net.bits < 128)
		return reader_blame(reader, setting,
				    "a network takes mode = \"gateway\": here allowed is \"any\" or one address");
	service->address = net.net;
	return 0;
}

#define TOO_MUCH " would take in the connections of your own hosts to others, too"

static int gateway_address_read(struct reader *reader, const config_setting_t *setting, const struct key *key,
				void *target)
{
	struct config_service *service = target;
	const char *text = setting_string(setting);
	char why[CIDR_WHY_BYTES];
	struct cidr net;

	service->any_address = false;
	if (strcmp(text, "any") == 0)
		return reader_blame(reader, setting, "it" TOO_MUCH ": name the addresses behind this host");
	if (!net_parse(text, &net, why))
		return *why ? reader_blame(reader, setting, why) : reader_refuse(reader, setting, key->allowed);
	if (net.bits == (cidr_is_v4(&net) ? CIDR_V4_BITS : 0))
		return reader_blame(reader, setting, "it" TOO_MUCH ": name the networks behind this host");
	service->address = net.net;
	service->host_bits = (uint8_t)(128 - net.bits);
	return 0;
}

static int ports_read(struct reader *reader, const config_setting_t *setting, const struct key *key, void *target)
{
	struct config_service *service = target;
	int count = setting_count(setting);

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

static const char *const cookies_words[] = {
	[COOKIES_AUTO] = "auto",
	[COOKIES_ALWAYS] = "always",
	[COOKIES_NEVER] = "never",
	NULL,
};

/* clang-format off */
#define SERVICE_KEYS(address_read, address_allowed) \
	{.name = "name", .read = name_read, .allowed = "1 to 63 letters, digits, dots, underscores and hyphens"}, \
	{.name = "address", .read = (address_read), .allowed = (address_allowed)}, \
	{.name = "ports", .read = ports_read, .allowed = "a list of ports, [80, 443]"}, \
	{.name = "cookies", .read = reader_word, .words = cookies_words, \
	 .offset = offsetof(struct config_service, cookies)}, \
	{.name = "limit", .read = limit_read, .low = 1, .high = 16777216, \
	 .allowed = "\"auto\" or 1 to 16777216 entries"},

static const struct key host_keys[] = {
	SERVICE_KEYS(host_address_read, "\"any\" or one IPv4 or IPv6 address")
};

static const struct key gateway_keys[] = {
	SERVICE_KEYS(gateway_address_read, "one IPv4 or IPv6 address or network, \"192.0.2.0/24\"")
};

static const struct key service_sections[] = {
	[MODE_HOST] = {.name = CONFIG_SERVICE, .read = reader_section, .keys = host_keys, .key_count = LENGTH(host_keys)},
	[MODE_GATEWAY] = {.name = CONFIG_SERVICE, .read = reader_section, .keys = gateway_keys, .key_count = LENGTH(gateway_keys)},
};

/* clang-format on */

const struct key *config_service_keys(void)
{
	return &service_sections[MODE_HOST]; /* but for what they allow the same */
}

static bool place_equal(const struct config_service *one, const struct config_service *other)
{
	return one->any_address == other->any_address &&
	       (one->any_address || (one->host_bits == other->host_bits && addr_equal(&one->address, &other->address)));
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

		if (!place_equal(other, service))
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
	if (config->mode == MODE_GATEWAY && service->any_address)
		return reader_fail(
			reader, group,
			"services[%zu] has no address: with mode = \"gateway\" a service needs one, for \"any\"" TOO_MUCH,
			index);
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

int config_services_read(struct reader *reader, const config_setting_t *list, const struct key *key, void *target)
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
		config->services[index].limit = config->mode == MODE_GATEWAY ? SERVICE_LIMIT_DEFAULT : 0;
		if (reader_section(reader, group, &service_sections[config->mode], &config->services[index]) != 0 ||
		    service_check(reader, group, config, index) != 0)
			return -1;
	}
	return 0;
}
