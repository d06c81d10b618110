/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/proc_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The text behind the end of the line, NULL behind the last one. */
static const char *line_next(const char *line)
{
	const char *end = strchr(line, '\n');

	return end && end[1] ? end + 1 : NULL;
}

bool proc_capabilities(const char *status, uint64_t *effective)
{
	static const char key[] = "CapEff:";

	for (const char *line = status; line; line = line_next(line)) {
		const char *value = line + sizeof(key) - 1;
		char *end;

		if (strncmp(line, key, sizeof(key) - 1) != 0)
			continue;
		*effective = strtoull(value, &end, 16);
		return end != value;
	}
	return false;
}

unsigned proc_queues_bound(const char *text, unsigned first, unsigned last, unsigned *which)
{
	unsigned count = 0;

	/* number, port id, ... (seq_show(), net/netfilter/nfnetlink_queue.c and nfnetlink_log.c) */
	for (const char *line = text; line; line = line_next(line)) {
		char *end;
		unsigned long number = strtoul(line, &end, 10);

		if (end == line || number < first || number > last)
			continue;
		if (!count++ || number < *which)
			*which = (unsigned)number;
	}
	return count;
}

bool proc_has_line(const char *text, const char *word)
{
	size_t length = strlen(word);

	for (const char *line = text; line; line = line_next(line))
		if (strncmp(line, word, length) == 0 && (line[length] == '\n' || line[length] == '\0'))
			return true;
	return false;
}
