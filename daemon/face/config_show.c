/* SPDX-License-Identifier: GPL-2.0-or-later */
/* By the table that reads: numbers, words and sections are shown by their rows. A row that is read in a way of its own
 * is shown in a way of its own: it has an entry in `others`. */
#include "face/config_show.h"

#include <jansson.h>
#include <string.h>

#include "face/config_reader.h"
#include "face/config_services.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Adds what there is to show to `parent`; `from` is what the row's section was read into. False: out of memory. */
typedef bool show(config_setting_t *parent, const struct key *key, const void *from);

static show show_section;

static bool add_string(config_setting_t *parent, const char *name, const char *value)
{
	config_setting_t *setting = config_setting_add(parent, name, CONFIG_TYPE_STRING);

	return setting && config_setting_set_string(setting, value) == CONFIG_TRUE;
}

static bool add_number(config_setting_t *parent, const char *name, unsigned value)
{
	config_setting_t *setting = config_setting_add(parent, name, CONFIG_TYPE_INT);

	return setting && config_setting_set_int(setting, (int)value) == CONFIG_TRUE; /* no range exceeds an int */
}

/* ---- rows that are read in a way of their own ---- */

static bool show_secret_file(config_setting_t *parent, const struct key *key, const void *from)
{
	return add_string(parent, key->name, ((const struct config *)from)->gateway.secret_file);
}

static bool show_socket(config_setting_t *parent, const struct key *key, const void *from)
{
	return add_string(parent, key->name, ((const struct config *)from)->control_socket);
}

static bool show_listen(config_setting_t *parent, const struct key *key, const void *from)
{
	return add_string(parent, key->name, ((const struct config *)from)->metrics.listen);
}

static bool show_group(config_setting_t *parent, const struct key *key, const void *from)
{
	return add_string(parent, key->name, ((const struct config *)from)->control_group);
}

static bool show_gateway(config_setting_t *parent, const struct key *key, const void *from)
{
	return ((const struct config *)from)->mode != MODE_GATEWAY || show_section(parent, key, from);
}

static bool add_cidrs(config_setting_t *parent, const char *name, const struct cidr *nets, size_t count)
{
	config_setting_t *array = config_setting_add(parent, name, CONFIG_TYPE_ARRAY);
	char text[CIDR_TEXT_BYTES];

	for (size_t i = 0; array && i < count; i++) {
		cidr_text(&nets[i], text);
		if (!add_string(array, NULL, text))
			return false;
	}
	return array != NULL;
}

static bool show_interfaces(config_setting_t *parent, const struct key *key, const void *from)
{
	const struct config *config = from;
	config_setting_t *array = config_setting_add(parent, key->name, CONFIG_TYPE_ARRAY);

	for (size_t i = 0; array && i < config->xdp.interface_count; i++)
		if (!add_string(array, NULL, config->xdp.interfaces[i]))
			return false;
	return array != NULL;
}

static bool show_allow(config_setting_t *parent, const struct key *key, const void *from)
{
	const struct config *config = from;

	return add_cidrs(parent, key->name, config->allow, config->allow_count);
}

static bool show_deny(config_setting_t *parent, const struct key *key, const void *from)
{
	const struct config *config = from;

	return add_cidrs(parent, key->name, config->deny, config->deny_count);
}

/* ---- services ---- */

static bool show_name(config_setting_t *parent, const struct key *key, const void *from)
{
	return add_string(parent, key->name, ((const struct config_service *)from)->name);
}

static bool show_address(config_setting_t *parent, const struct key *key, const void *from)
{
	const struct config_service *service = from;
	struct cidr net = {service->address, (uint8_t)(128 - service->host_bits)};
	char text[CIDR_TEXT_BYTES];

	if (service->any_address)
		return add_string(parent, key->name, "any");
	cidr_text(&net, text);
	if (!service->host_bits) /* one address is written without its length, which a host would refuse */
		text[strcspn(text, "/")] = '\0';
	return add_string(parent, key->name, text);
}

static bool show_ports(config_setting_t *parent, const struct key *key, const void *from)
{
	const struct config_service *service = from;
	config_setting_t *array = config_setting_add(parent, key->name, CONFIG_TYPE_ARRAY);

	for (size_t i = 0; array && i < service->port_count; i++)
		if (!add_number(array, NULL, service->ports[i]))
			return false;
	return array != NULL;
}

static bool show_limit(config_setting_t *parent, const struct key *key, const void *from)
{
	const struct config_service *service = from;

	return service->limit ? add_number(parent, key->name, service->limit) : add_string(parent, key->name, "auto");
}

static bool show_keys(config_setting_t *group, const struct key *section, const void *from);

static bool show_services(config_setting_t *parent, const struct key *key, const void *from)
{
	const struct config *config = from;
	config_setting_t *list;

	if (config->auto_services)
		return true;
	list = config_setting_add(parent, key->name, CONFIG_TYPE_LIST);
	for (size_t i = 0; list && i < config->service_count; i++) {
		config_setting_t *group = config_setting_add(list, NULL, CONFIG_TYPE_GROUP);

		if (!group || !show_keys(group, config_service_keys(), &config->services[i]))
			return false;
	}
	return list != NULL;
}

static const struct {
	const char *section; /* NULL = the root */
	const char *name;
	show *show;
} others[] = {
	{NULL, "services", show_services},
	{NULL, "allow", show_allow},
	{NULL, "deny", show_deny},
	{NULL, "gateway", show_gateway},
	{"gateway", "secret_file", show_secret_file},
	{"xdp", "interfaces", show_interfaces},
	{"control", "socket", show_socket},
	{"control", "group", show_group},
	{"metrics", "listen", show_listen},
	{CONFIG_SERVICE, "name", show_name},
	{CONFIG_SERVICE, "address", show_address},
	{CONFIG_SERVICE, "ports", show_ports},
	{CONFIG_SERVICE, "limit", show_limit},
};

/* ---- the walk ---- */

static show *other_find(const char *section, const char *name)
{
	for (size_t i = 0; i < LENGTH(others); i++)
		if (strcmp(others[i].section ? others[i].section : "", section ? section : "") == 0 &&
		    strcmp(others[i].name, name) == 0)
			return others[i].show;
	return NULL;
}

static bool show_key(config_setting_t *group, const struct key *section, const struct key *key, const void *from)
{
	const unsigned *value = (const unsigned *)((const char *)from + key->offset);
	show *other = other_find(section->name, key->name);

	if (other)
		return other(group, key, from);
	if (key->read == reader_number)
		return add_number(group, key->name, *value);
	if (key->read == reader_word)
		return add_string(group, key->name, key->words[*value]);
	return !key->key_count || show_section(group, key, from);
}

static bool show_keys(config_setting_t *group, const struct key *section, const void *from)
{
	for (size_t i = 0; i < section->key_count; i++)
		if (!show_key(group, section, &section->keys[i], from))
			return false;
	return true;
}

static bool show_section(config_setting_t *parent, const struct key *key, const void *from)
{
	config_setting_t *group = config_setting_add(parent, key->name, CONFIG_TYPE_GROUP);

	return group && show_keys(group, key, from);
}

/* ---- as an object; jansson's functions take a NULL from a failed one and fail as well ---- */

static json_t *json_of(const config_setting_t *setting)
{
	bool group = config_setting_is_group(setting);
	json_t *json;

	if (setting->type == CONFIG_TYPE_STRING)
		return json_string(config_setting_get_string(setting));
	if (setting->type == CONFIG_TYPE_INT)
		return json_integer(config_setting_get_int(setting));
	json = group ? json_object() : json_array();
	for (int i = 0; i < config_setting_length(setting); i++) {
		const config_setting_t *element = config_setting_get_elem(setting, (unsigned)i);
		int failed = group ? json_object_set_new(json, element->name, json_of(element))
				   : json_array_append_new(json, json_of(element));

		if (failed) {
			json_decref(json);
			return NULL;
		}
	}
	return json;
}

static bool write_json(const config_t *shown, FILE *out)
{
	json_t *config = json_of(config_root_setting(shown));
	json_t *answer;

	if (config && !json_object_get(config, "services"))
		json_object_set_new(config, "services", json_null());
	if (config && !json_object_get(config, "gateway"))
		json_object_set_new(config, "gateway", json_null());
	answer = json_pack("{s:i, s:o}", "format", 1, "config", config);
	if (!answer)
		return false;
	json_dumpf(answer, out, JSON_COMPACT);
	fputc('\n', out);
	json_decref(answer);
	return true;
}

static bool write_text(const config_t *shown, const struct config *config, FILE *out)
{
	fputs("# The configuration in force, as a file that synmoatd(8) takes. Not in it: what was changed at run time,\n"
	      "# see synmoatctl allow list, deny list, ban list and status.\n",
	      out);
	if (config->auto_services)
		fputs("# services: every TCP port that listens on a non-loopback address, see synmoatctl services.\n",
		      out);
	config_write(shown, out);
	return true;
}

void config_show(const struct config *config, bool json, FILE *out)
{
	config_t shown;

	config_init(&shown);
	if (!show_keys(config_root_setting(&shown), config_keys(), config) ||
	    !(json ? write_json(&shown, out) : write_text(&shown, config, out)))
		fputs("error: out of memory\n", out);
	config_destroy(&shown);
}
