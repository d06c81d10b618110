/* SPDX-License-Identifier: GPL-2.0-or-later */
/* command: a line of the control socket, whatever is in it. */
#include "face/command.h"
#include "fuzz.h"

static void is_sound(const struct command *command)
{
	must(command->verb < VERB_COUNT);
	must(verb_words(command->verb) && verb_arguments(command->verb) && verb_help(command->verb));
	must(verb_changes(command->verb) == (command->verb >= VERB_ARM));
	must(memchr(command->service, '\0', sizeof(command->service)));
	must(command->verb != VERB_SOURCES || (command->top >= 1 && command->top <= COMMAND_TOP_MAX));
	must(command->by <= COMMAND_BY_CHALLENGED);
	must(command->verb != VERB_EVENTS || command->last <= COMMAND_EVENTS_MAX);
	if (command->verb >= VERB_ALLOW_ADD && command->verb <= VERB_DENY_DEL) {
		struct addr masked = addr_masked(&command->cidr.net, command->cidr.bits);

		must(command->cidr.bits <= 128 && addr_equal(&masked, &command->cidr.net));
		must(!cidr_is_v4(&command->cidr) || command->cidr.bits >= CIDR_V4_BITS);
	}
	if (command->has_destination)
		must(addr_is_v4(&command->source) == addr_is_v4(&command->destination));
}

/* It goes into a log and onto a terminal. */
static void error_is_sound(const char *error)
{
	size_t bytes = strnlen(error, COMMAND_ERROR_BYTES);

	must(bytes > 0 && bytes < COMMAND_ERROR_BYTES);
	for (size_t i = 0; i < bytes; i++)
		must(error[i] >= ' ' && error[i] <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	char *error = malloc(COMMAND_ERROR_BYTES), *request = malloc(bytes + 1), *before;
	struct command command, again;

	must(error && request);
	memcpy(request, data, bytes);
	request[bytes] = '\0';
	before = strdup(request);
	memset(&command, 0xee, sizeof(command));
	error[0] = '\0';
	if (command_parse(request, &command, error, COMMAND_ERROR_BYTES) == 0) {
		is_sound(&command);
		must(command_parse(request, &again, error, COMMAND_ERROR_BYTES) == 0);
		must(again.verb == command.verb && again.json == command.json);
		must(strcmp(again.service, command.service) == 0);
	} else {
		error_is_sound(error);
	}
	must(strcmp(request, before) == 0);
	free(before);
	free(request);
	free(error);
	return 0;
}
