/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config_text: the bytes of a configuration file, for what libconfig 1.5 does not tell: it misreads some of them in
 * silence, and gives the last string of a list the line of the bracket behind it. */
#ifndef SYNMOAT_CONFIG_TEXT_H
#define SYNMOAT_CONFIG_TEXT_H

#include <stddef.h>

#define CONFIG_TEXT_MAX_BYTES (1U << 20)

/* Returns the file's text, which the caller frees, or NULL with "FILE[:LINE]: what is wrong" in `error`. */
char *config_text_read(const char *path, char *error, size_t error_bytes);

/* The line on which the string begins that is element `index` of the list or array named `list`, whose name is on
 * `list_line`; 0 if there is none. */
unsigned config_text_string_line(const char *text, const char *list, unsigned list_line, int index);

#endif
