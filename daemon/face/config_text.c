/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "face/config_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No key allows more; libconfig 1.5 reads 4294967376 as 80. */
#define DECIMAL_DIGITS 9
#define HEX_DIGITS 7

static char *text_load(const char *path, size_t *bytes, char *error, size_t error_bytes)
{
	char *text = NULL;
	FILE *file = fopen(path, "re");

	if (!file) {
		snprintf(error, error_bytes, "%s: %s", path, strerror(errno));
		return NULL;
	}
	text = malloc(CONFIG_TEXT_MAX_BYTES + 1);
	if (!text) {
		snprintf(error, error_bytes, "%s: out of memory", path);
		goto out;
	}
	*bytes = fread(text, 1, CONFIG_TEXT_MAX_BYTES + 1, file);
	if (!ferror(file) && *bytes <= CONFIG_TEXT_MAX_BYTES) {
		text[*bytes] = '\0';
		goto out;
	}
	if (ferror(file))
		snprintf(error, error_bytes, "%s: %s", path, strerror(errno));
	else
		snprintf(error, error_bytes, "%s: larger than %u bytes", path, CONFIG_TEXT_MAX_BYTES);
	free(text);
	text = NULL;
out:
	fclose(file);
	return text;
}

/* Where the comment or string at `at` ends, or `at` itself when it is neither. An open one ends with the text; what
 * that means is libconfig's to say. */
static const char *text_skip(const char *at)
{
	const char *end;

	if (*at == '#' || strncmp(at, "//", 2) == 0)
		return at + strcspn(at, "\n");
	if (strncmp(at, "/*", 2) == 0) {
		end = strstr(at + 2, "*/");
		return end ? end + 2 : at + strlen(at);
	}
	if (*at != '"')
		return at;
	for (end = at + 1; *end && *end != '"'; end++)
		if (*end == '\\' && end[1])
			end++;
	return *end ? end + 1 : end;
}

static int number_is_too_long(const char *number, size_t length)
{
	int hex = length > 1 && number[0] == '0' && (number[1] == 'x' || number[1] == 'X');
	const char *digits = hex ? number + 2 : number;

	while (*digits == '0')
		digits++;
	return hex ? strspn(digits, "0123456789abcdefABCDEF") > HEX_DIGITS
		   : strspn(digits, "0123456789") > DECIMAL_DIGITS;
}

/* Returns where the first thing stands that may not be there, or NULL; `what` then says why. */
static const char *text_trap(const char *text, const char **what)
{
	for (const char *at = text; *at;) {
		const char *end = text_skip(at);

		if (end > at) {
			at = end;
			continue;
		}
		/* An included directory makes libconfig 1.5 exit() the process: not at a reload, please. */
		if (*at == '@') {
			*what = "@include is not supported: everything goes into this one file";
			return at;
		}
		size_t word = 0;
		while (isalnum((unsigned char)at[word]) || (word && at[word] && strchr("_-*.", at[word])))
			word++;
		if (isdigit((unsigned char)*at) && number_is_too_long(at, word)) {
			*what = "number too large: no key allows more than 16777216";
			return at;
		}
		at += word ? word : 1;
	}
	return NULL;
}

static int is_word(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("_-*", c));
}

static int is_name_at(const char *text, const char *at, const char *name)
{
	size_t bytes = strlen(name);

	return (at == text || !is_word(at[-1])) && strncmp(at, name, bytes) == 0 && !is_word(at[bytes]);
}

unsigned config_text_string_line(const char *text, const char *list, unsigned list_line, int index)
{
	unsigned line = 1;
	int found = 0, depth = 0, commas = 0;

	for (const char *at = text, *end; *at; at = end) {
		end = text_skip(at);
		if (end == at)
			end++;
		if (!found)
			found = line == list_line && is_name_at(text, at, list);
		else if (*at == '"' && depth == 1 && commas == index)
			return line;
		else if (strchr("[({", *at))
			depth++;
		else if (strchr("])}", *at) && --depth == 0)
			return 0;
		else if (*at == ',' && depth == 1)
			commas++;
		for (; at < end; at++)
			line += *at == '\n';
	}
	return 0;
}

char *config_text_read(const char *path, char *error, size_t error_bytes)
{
	const char *what = "NUL byte: this is not a text file";
	unsigned line = 1;
	size_t bytes;
	char *text = text_load(path, &bytes, error, error_bytes);

	if (!text)
		return NULL;

	const char *trap = strlen(text) < bytes ? text + strlen(text) : text_trap(text, &what);
	if (!trap)
		return text;

	for (const char *at = text; at < trap; at++)
		line += *at == '\n';
	snprintf(error, error_bytes, "%s:%u: %s", path, line, what);
	free(text);
	return NULL;
}
