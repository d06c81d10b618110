/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "face/config_reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "face/config_text.h"

#define PATH_BYTES 128 /* of a key in an error message: services[1023].ports[1023] and room to spare */

static unsigned setting_line(const struct reader *reader, const config_setting_t *setting)
{
	const config_setting_t *parent = setting->parent;
	unsigned line = 0;

	if (setting->type == CONFIG_TYPE_STRING && parent && parent->name && !config_setting_is_group(parent))
		line = config_text_string_line(reader->text, parent->name, parent->line, config_setting_index(setting));
	for (; line == 0 && setting; setting = setting->parent)
		line = setting->line;
	return line ? line : 1;
}

int reader_fail(struct reader *reader, const config_setting_t *setting, const char *format, ...)
{
	va_list arguments;
	char what[512];

	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	snprintf(reader->error, reader->error_bytes, "%s:%u: %s", reader->file, setting_line(reader, setting), what);
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

/* How long the character at `at` is (RFC 3629 4); 0: it is none, or a control character. */
static size_t character_bytes(const unsigned char *at)
{
	size_t more = at[0] >= 0xf0 ? 3 : at[0] >= 0xe0 ? 2 : 1;

	if (at[0] < 0x80)
		return at[0] >= ' ' && at[0] != 0x7f;
	if (at[0] < 0xc2 || at[0] > 0xf4)
		return 0;
	for (size_t i = 1; i <= more; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	if ((at[0] == 0xc2 && at[1] < 0xa0) || (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
	    (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
		return 0;
	return 1 + more;
}

/* Also where a character has been cut. */
static void make_printable(char *text)
{
	while (*text) {
		size_t bytes = character_bytes((const unsigned char *)text);

		if (!bytes)
			*text = '?';
		text += bytes ? bytes : 1;
	}
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
		make_printable(value);
		break;
	default:
		snprintf(value, PATH_BYTES, "%s",
			 config_setting_is_group(setting)      ? "a group"
			 : config_setting_length(setting) == 0 ? "empty"
							       : "a list");
	}
	return value;
}

int reader_blame(struct reader *reader, const config_setting_t *setting, const char *why)
{
	char path[PATH_BYTES], value[PATH_BYTES];

	return reader_fail(reader, setting, "%s is %s: %s", setting_path(setting, path), setting_value(setting, value),
			   why);
}

int reader_refuse(struct reader *reader, const config_setting_t *setting, const char *allowed)
{
	char why[PATH_BYTES * 2];

	snprintf(why, sizeof(why), "allowed is %s", allowed);
	return reader_blame(reader, setting, why);
}

bool setting_in_range(const config_setting_t *setting, unsigned low, unsigned high)
{
	if (setting->type != CONFIG_TYPE_INT && setting->type != CONFIG_TYPE_INT64)
		return false;
	long long value = config_setting_get_int64(setting);
	return value >= low && value <= high;
}

const char *setting_string(const config_setting_t *setting)
{
	return setting->type == CONFIG_TYPE_STRING ? config_setting_get_string(setting) : "";
}

bool text_is_printable(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t bytes = 1;

	for (; *at && bytes; at += bytes)
		bytes = character_bytes(at);
	return bytes;
}

int setting_count(const config_setting_t *setting)
{
	return config_setting_is_array(setting) || config_setting_is_list(setting) ? config_setting_length(setting)
										   : -1;
}

int reader_number(struct reader *reader, const config_setting_t *setting, const struct key *key, void *target)
{
	char allowed[PATH_BYTES];

	if (setting_in_range(setting, key->low, key->high)) {
		*(unsigned *)((char *)target + key->offset) = (unsigned)config_setting_get_int64(setting);
		return 0;
	}
	snprintf(allowed, sizeof(allowed), "%u to %u%s%s", key->low, key->high, *key->unit ? " " : "", key->unit);
	return reader_refuse(reader, setting, allowed);
}

int reader_word(struct reader *reader, const config_setting_t *setting, const struct key *key, void *target)
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

static int section_refuse_unknown(struct reader *reader, const config_setting_t *setting, const struct key *section)
{
	char path[PATH_BYTES], known[256] = "";

	for (size_t i = 0; i < section->key_count; i++) {
		size_t used = strlen(known);

		snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "", section->keys[i].name);
	}
	return reader_fail(reader, setting, "%s is not a known key: known are %s", setting_path(setting, path), known);
}

int reader_section(struct reader *reader, const config_setting_t *section, const struct key *key, void *target)
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
