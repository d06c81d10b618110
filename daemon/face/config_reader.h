/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config_reader: a tree of settings, read by a table. Every key is a row of it: how it is read, its range, its default.
 * One walk, reader_section(), serves the file's root, each section and each service, so that an unknown key is answered
 * with the known ones everywhere. libconfig is seen by config*.c alone. */
#ifndef SYNMOAT_CONFIG_READER_H
#define SYNMOAT_CONFIG_READER_H

#include <libconfig.h>
#include <stdbool.h>
#include <stddef.h>

struct reader {
	const char *file;
	const char *text; /* of the file */
	char *error;      /* the first one, "FILE:LINE: ..."; the caller's */
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

/* These three write the error, with the line of `setting`, and return -1. */
int __attribute__((format(printf, 3, 4)))
reader_fail(struct reader *reader, const config_setting_t *setting, const char *format, ...);

/* `backlog.arm_percent is "50": ` and why that is wrong, or, so that wrong type and wrong value read alike, what is
 * allowed: `allowed is 1 to 100 percent`. */
int reader_blame(struct reader *reader, const config_setting_t *setting, const char *why);
int reader_refuse(struct reader *reader, const config_setting_t *setting, const char *allowed);

/* The ways to read a row. They return 0, or -1 with the error written; `target` is then half read. */
int reader_number(struct reader *reader, const config_setting_t *setting, const struct key *key, void *target);
int reader_word(struct reader *reader, const config_setting_t *setting, const struct key *key, void *target);
int reader_section(struct reader *reader, const config_setting_t *section, const struct key *key, void *target);

/* For rows that are read in a way of their own. */
bool setting_in_range(const config_setting_t *setting, unsigned low, unsigned high);
const char *setting_string(const config_setting_t *setting); /* "" when it is no string */
bool text_is_printable(const char *text); /* UTF-8 without control characters: what JSON and a terminal take */
int setting_count(const config_setting_t *setting); /* of a list's or array's elements; -1 when it is neither */

/* The file's root, a section with all the rows there are. */
const struct key *config_keys(void);

#endif
