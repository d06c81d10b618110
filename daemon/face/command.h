/* SPDX-License-Identifier: GPL-2.0-or-later */
/* command: what one line of the control socket asks for. Pure: what is named in it may not exist.
 *
 * Words are parted by blanks: the verb's, then its arguments in order. "--json" may stand anywhere, "json" at the end
 * (where an argument must still come it is taken for that: "arm json" is about a service of this name). */
#ifndef SYNMOAT_COMMAND_H
#define SYNMOAT_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "synmoat/addr.h"
#include "synmoat/cidr.h"

#define COMMAND_TOP_DEFAULT 50
#define COMMAND_TOP_MAX 1000
#define COMMAND_EVENTS_DEFAULT 20
#define COMMAND_EVENTS_MAX 256
#define COMMAND_SERVICE_BYTES 128
#define COMMAND_ERROR_BYTES 512 /* no error is longer */

/* Those from VERB_ARM on change something. */
enum verb {
	VERB_STATUS,
	VERB_SERVICES,
	VERB_SOURCES,
	VERB_EXPLAIN,
	VERB_ALLOW_LIST,
	VERB_DENY_LIST,
	VERB_BAN_LIST,
	VERB_EVENTS,
	VERB_METRICS,
	VERB_CHECK,
	VERB_CONFIG_SHOW,
	VERB_SECRET_SHOW_EPOCH,
	VERB_VERSION,
	VERB_HELP,
	VERB_ARM,
	VERB_DISARM,
	VERB_AUTO,
	VERB_ALLOW_ADD,
	VERB_ALLOW_DEL,
	VERB_DENY_ADD,
	VERB_DENY_DEL,
	VERB_BAN_LIFT,
	VERB_SECRET_ROTATE,
	VERB_RELOAD,
	VERB_COUNT
};

enum command_order {
	COMMAND_BY_HALF_OPEN,
	COMMAND_BY_CHALLENGED,
};

struct command {
	enum verb verb;
	bool json;
	unsigned top; /* sources: 1..COMMAND_TOP_MAX */
	enum command_order by;
	unsigned last; /* events: so many of those that were, 0..COMMAND_EVENTS_MAX */
	bool follow;   /* events: and all to come */
	char service
		[COMMAND_SERVICE_BYTES]; /* a name, "ADDRESS:PORT", "[ADDRESS]:PORT" or "any:PORT", as it was given */
	struct cidr
		cidr; /* CIDR, or SRC as it was given: how long a source's prefix is, is a matter of configuration */
	struct addr source; /* SRC's address */
	bool has_destination;
	struct addr destination; /* of the source's family */
	uint16_t destination_port;
};

/* On error it returns -1, `error` holds what is wrong and what is allowed, printable whatever was asked, and of the command
 * only `json` counts: that is how to say it. */
int command_parse(const char *request, struct command *command, char *error, size_t error_bytes);

bool verb_changes(enum verb verb);

/* "ban lift", "SRC" (may be empty), and a sentence about it. */
const char *verb_words(enum verb verb);
const char *verb_arguments(enum verb verb);
const char *verb_help(enum verb verb);

#endif
