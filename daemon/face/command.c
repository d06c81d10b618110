/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "face/command.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WORDS_MAX 8 /* more than any command has */
#define WORD_BYTES 256
#define SHOWN_BYTES 65 /* of what was asked, in an error, with its NUL */
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

struct words {
	size_t count, at;
	char text[WORDS_MAX][WORD_BYTES];
};

struct verb_entry;

struct parser {
	struct words words;
	struct command *command;
	const struct verb_entry *verb;
	char *error;
	size_t error_bytes;
};

struct verb_entry {
	const char *words;
	const char *arguments;
	int (*parse)(struct parser *parser); /* takes them; NULL: there are none */
	bool changes;
	const char *help;
};

/* --- words -------------------------------------------------------------------------------------------------------- */

static int __attribute__((format(printf, 2, 3))) parser_fail(struct parser *parser, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(parser->error, parser->error_bytes, format, arguments);
	va_end(arguments);
	return -1;
}

/* What was asked, or as much as fits, fit for a terminal. */
static const char *shown(const char *text, char *safe, size_t safe_bytes)
{
	size_t length = strnlen(text, safe_bytes - 1);

	for (size_t i = 0; i < length; i++)
		safe[i] = isprint((unsigned char)text[i]) ? text[i] : '?';
	safe[length] = '\0';
	return safe;
}

static int words_read(struct parser *parser, const char *request)
{
	static const char blanks[] = " \t\r";
	struct words *words = &parser->words;
	size_t length;

	for (const char *word = request + strspn(request, blanks); *word; word += strspn(word, blanks)) {
		length = strcspn(word, blanks);
		if (words->count == WORDS_MAX)
			return parser_fail(parser, "more than %d words", WORDS_MAX);
		if (length >= WORD_BYTES)
			return parser_fail(parser, "a word is longer than %d bytes", WORD_BYTES - 1);
		if (length == strlen("--json") && memcmp(word, "--json", length) == 0) {
			parser->command->json = true;
		} else {
			memcpy(words->text[words->count], word, length);
			words->text[words->count++][length] = '\0';
		}
		word += length;
	}
	return 0;
}

/* NULL behind the last one. */
static const char *word_peek(const struct parser *parser)
{
	return parser->words.at < parser->words.count ? parser->words.text[parser->words.at] : NULL;
}

static const char *word_take(struct parser *parser)
{
	const char *word = word_peek(parser);

	parser->words.at += word != NULL;
	return word;
}

/* Whether the word ends the command: "json", and nothing behind it. */
static bool word_is_form(const struct parser *parser)
{
	return parser->words.at + 1 == parser->words.count && strcmp(word_peek(parser), "json") == 0;
}

/* --- arguments ---------------------------------------------------------------------------------------------------- */

/* The next word, or NULL after saying that it is missing. */
static const char *argument_take(struct parser *parser, const char *what)
{
	const char *word = word_take(parser);

	if (!word)
		parser_fail(parser, "%s: %s is missing", parser->verb->words, what);
	return word;
}

static int number_read(const char *text, unsigned low, unsigned high, unsigned *number)
{
	unsigned value = 0;

	if (!*text || strlen(text) > 9 || strspn(text, "0123456789") != strlen(text))
		return -1;
	for (; *text; text++)
		value = value * 10 + (unsigned)(*text - '0');
	if (value < low || value > high)
		return -1;
	*number = value;
	return 0;
}

static int arguments_sources(struct parser *parser)
{
	struct command *command = parser->command;
	char safe[SHOWN_BYTES];

	while (word_peek(parser) && !word_is_form(parser)) {
		const char *option = word_take(parser);
		const char *value = word_take(parser);

		if (strcmp(option, "--top") == 0) {
			if (!value || number_read(value, 1, COMMAND_TOP_MAX, &command->top) != 0)
				return parser_fail(parser, "sources: --top takes a number of 1 to %d", COMMAND_TOP_MAX);
		} else if (strcmp(option, "--by") == 0) {
			if (value && strcmp(value, "half-open") == 0)
				command->by = COMMAND_BY_HALF_OPEN;
			else if (value && strcmp(value, "challenged") == 0)
				command->by = COMMAND_BY_CHALLENGED;
			else
				return parser_fail(parser, "sources: --by takes \"half-open\" or \"challenged\"");
		} else {
			return parser_fail(parser, "sources: unknown option \"%s\": known are %s",
					   shown(option, safe, sizeof(safe)), parser->verb->arguments);
		}
	}
	return 0;
}

static int arguments_events(struct parser *parser)
{
	struct command *command = parser->command;
	char safe[SHOWN_BYTES];

	while (word_peek(parser) && !word_is_form(parser)) {
		const char *option = word_take(parser);
		const char *value;

		if (strcmp(option, "--follow") == 0) {
			command->follow = true;
		} else if (strcmp(option, "--last") == 0) {
			value = word_take(parser);
			if (!value || number_read(value, 0, COMMAND_EVENTS_MAX, &command->last) != 0)
				return parser_fail(parser, "events: --last takes a number of 0 to %d",
						   COMMAND_EVENTS_MAX);
		} else {
			return parser_fail(parser, "events: unknown option \"%s\": known are %s",
					   shown(option, safe, sizeof(safe)), parser->verb->arguments);
		}
	}
	return 0;
}

static int argument_service(struct parser *parser)
{
	static const char allowed[] = "a name, ADDRESS:PORT, [IPV6]:PORT or any:PORT";
	const char *word = argument_take(parser, "SERVICE, a name, ADDRESS:PORT, [IPV6]:PORT or any:PORT,");
	char safe[SHOWN_BYTES];

	if (!word)
		return -1;
	if (strlen(word) >= COMMAND_SERVICE_BYTES)
		return parser_fail(parser, "%s: SERVICE is longer than %d bytes: allowed is %s", parser->verb->words,
				   COMMAND_SERVICE_BYTES - 1, allowed);
	for (const char *c = word; *c; c++)
		if (!isgraph((unsigned char)*c))
			return parser_fail(parser, "%s: no service is called \"%s\": allowed is %s",
					   parser->verb->words, shown(word, safe, sizeof(safe)), allowed);
	memcpy(parser->command->service, word, strlen(word) + 1);
	return 0;
}

static int cidr_read(struct parser *parser, const char *word, struct cidr *cidr)
{
	char why[CIDR_WHY_BYTES], safe_why[CIDR_WHY_BYTES], safe[SHOWN_BYTES];

	if (cidr_parse(word, cidr, why))
		return 0;
	return parser_fail(parser, "%s: \"%s\": %s", parser->verb->words, shown(word, safe, sizeof(safe)),
			   shown(why, safe_why, sizeof(safe_why)));
}

static int argument_cidr(struct parser *parser)
{
	const char *word = argument_take(parser, "CIDR, as 192.0.2.0/24 or 2001:db8::/32,");

	return word ? cidr_read(parser, word, &parser->command->cidr) : -1;
}

static int argument_source(struct parser *parser)
{
	const char *word = argument_take(parser, "SRC, an address or a network as \"ban list\" shows it,");

	if (!word || cidr_read(parser, word, &parser->command->cidr) != 0)
		return -1;
	parser->command->source = parser->command->cidr.net;
	return 0;
}

/* "192.0.2.1:80" or "[2001:db8::1]:80". */
static int endpoint_read(const char *text, struct addr *address, uint16_t *port)
{
	char host[INET6_ADDRSTRLEN];
	bool v6 = *text == '[';
	const char *end = v6 ? strstr(text, "]:") : strrchr(text, ':');
	const char *start = text + v6;
	uint8_t wire[16];
	unsigned number;

	if (!end || (size_t)(end - start) >= sizeof(host))
		return -1;
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = '\0';
	if (inet_pton(v6 ? AF_INET6 : AF_INET, host, wire) != 1 || number_read(end + 1 + v6, 1, 65535, &number) != 0)
		return -1;
	*address = v6 ? addr_from_v6(wire) : addr_from_v4(wire);
	*port = (uint16_t)number;
	return 0;
}

static int arguments_explain(struct parser *parser)
{
	struct command *command = parser->command;
	char safe[SHOWN_BYTES];
	const char *word;

	if (argument_source(parser) != 0)
		return -1;
	word = word_peek(parser);
	if (!word || word_is_form(parser))
		return 0;
	if (endpoint_read(word_take(parser), &command->destination, &command->destination_port) != 0)
		return parser_fail(
			parser,
			"explain: \"%s\" is no DST:PORT: allowed is 192.0.2.1:80 or [2001:db8::1]:80, with a "
			"port of 1 to 65535",
			shown(word, safe, sizeof(safe)));
	if (addr_is_v4(&command->source) != addr_is_v4(&command->destination))
		return parser_fail(parser, "explain: SRC and DST must both be IPv4 or both be IPv6");
	command->has_destination = true;
	return 0;
}

/* --- verbs -------------------------------------------------------------------------------------------------------- */

static const struct verb_entry verbs[] = {
	[VERB_STATUS] = {"status", "", NULL, false,
			 "what is protected, with which thresholds, whether armed, and the main counters"},
	[VERB_SERVICES] =
		{"services", "", NULL, false,
		 "every protected address and port, what is sent to it and what was learned about its server"},
	[VERB_SOURCES] = {"sources", "[--top N] [--by half-open|challenged]", arguments_sources, false,
			  "the sources that hold most half-open connections, or were challenged most"},
	[VERB_EXPLAIN] = {"explain", "SRC [DST:PORT]", arguments_explain, false,
			  "what a SYN from there would meet now, and why"},
	[VERB_ALLOW_LIST] = {"allow list", "", NULL, false, "the networks that are always let past"},
	[VERB_DENY_LIST] = {"deny list", "", NULL, false, "the networks that are refused"},
	[VERB_BAN_LIST] = {"ban list", "", NULL, false, "the sources that are refused for a while"},
	[VERB_EVENTS] = {"events", "[--last N] [--follow]", arguments_events, false,
			 "what happened lately, and with --follow what happens from now on"},
	[VERB_METRICS] = {"metrics", "", NULL, false, "all numbers, as Prometheus reads them"},
	[VERB_CHECK] = {"check", "", NULL, false, "whether this host lets synmoatd do what it is told to"},
	[VERB_CONFIG_SHOW] = {"config show", "", NULL, false, "the configuration in force, defaults included"},
	[VERB_SECRET_SHOW_EPOCH] = {"secret show-epoch", "", NULL, false,
				    "which secret makes the cookies now, by its fingerprint"},
	[VERB_VERSION] = {"version", "", NULL, false, "the version of the running daemon"},
	[VERB_HELP] = {"help", "", NULL, false, "this list"},
	[VERB_ARM] = {"arm", "SERVICE", argument_service, true, "let the service get SYN cookies until told otherwise"},
	[VERB_DISARM] = {"disarm", "SERVICE", argument_service, true, "let it get none until told otherwise"},
	[VERB_AUTO] = {"auto", "SERVICE", argument_service, true, "let its load decide again"},
	[VERB_ALLOW_ADD] = {"allow add", "CIDR", argument_cidr, true, "let a network past until the daemon ends"},
	[VERB_ALLOW_DEL] = {"allow del", "CIDR", argument_cidr, true, "take back what was added"},
	[VERB_DENY_ADD] = {"deny add", "CIDR", argument_cidr, true, "refuse a network until the daemon ends"},
	[VERB_DENY_DEL] = {"deny del", "CIDR", argument_cidr, true, "take back what was added"},
	[VERB_BAN_LIFT] = {"ban lift", "SRC", argument_source, true, "end a source's ban"},
	[VERB_SECRET_ROTATE] = {"secret rotate", "", NULL, true, "add a fresh secret to the file that gateways share"},
	[VERB_RELOAD] = {"reload", "", NULL, true, "read the configuration file again"},
};
_Static_assert(LENGTH(verbs) == VERB_COUNT, "every verb has its entry");

bool verb_changes(enum verb verb)
{
	return verbs[verb].changes;
}

const char *verb_words(enum verb verb)
{
	return verbs[verb].words;
}

const char *verb_arguments(enum verb verb)
{
	return verbs[verb].arguments;
}

const char *verb_help(enum verb verb)
{
	return verbs[verb].help;
}

/* Takes the words of the verb if they come next. */
static bool verb_take(struct parser *parser, const char *words)
{
	const char *second = strchr(words, ' ');
	size_t first_length = second ? (size_t)(second - words) : strlen(words);
	const struct words *asked = &parser->words;

	if (asked->count < 1U + (second != NULL) || strlen(asked->text[0]) != first_length ||
	    memcmp(asked->text[0], words, first_length) != 0 || (second && strcmp(asked->text[1], second + 1) != 0))
		return false;
	parser->words.at = 1U + (second != NULL);
	return true;
}

static int verb_fail(struct parser *parser, const char *request)
{
	char known[COMMAND_ERROR_BYTES - 160] = "", safe[SHOWN_BYTES];
	size_t used = 0;

	for (size_t i = 0; i < VERB_COUNT && used < sizeof(known); i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "", verbs[i].words);
	return parser_fail(parser, "unknown request \"%s\": known are %s, each also followed by \"json\"",
			   shown(request, safe, sizeof(safe)), known);
}

/* After words_read(). An error is told in the form that was asked for, although its words are not understood. */
static bool words_want_json(const struct parser *parser)
{
	size_t count = parser->words.count;

	return parser->command->json || (count && strcmp(parser->words.text[count - 1], "json") == 0);
}

static int request_parse(struct parser *parser, const char *request)
{
	struct command *command = parser->command;
	enum verb verb = 0;
	char safe[SHOWN_BYTES];

	while (verb < VERB_COUNT && !verb_take(parser, verbs[verb].words))
		verb++;
	if (verb == VERB_COUNT)
		return verb_fail(parser, request);
	command->verb = verb;
	parser->verb = &verbs[verb];
	if (parser->verb->parse && parser->verb->parse(parser) != 0)
		return -1;
	if (word_peek(parser) && word_is_form(parser)) {
		command->json = true;
		word_take(parser);
	}
	if (word_peek(parser))
		return parser_fail(parser, "%s: \"%s\" is one word too many: allowed is %s%s%s [json]",
				   parser->verb->words, shown(word_peek(parser), safe, sizeof(safe)),
				   parser->verb->words, *parser->verb->arguments ? " " : "", parser->verb->arguments);
	return 0;
}

int command_parse(const char *request, struct command *command, char *error, size_t error_bytes)
{
	struct parser parser = {.command = command, .error = error, .error_bytes = error_bytes};

	*command = (struct command){
		.top = COMMAND_TOP_DEFAULT,
		.by = COMMAND_BY_HALF_OPEN,
		.last = COMMAND_EVENTS_DEFAULT,
	};
	if (words_read(&parser, request) == 0 && request_parse(&parser, request) == 0)
		return 0;
	command->json = words_want_json(&parser);
	return -1;
}
