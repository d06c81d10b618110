/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config_text: the bytes of a configuration file, refused where libconfig 1.5 would misread them in silence. */
#ifndef SYNMOAT_CONFIG_TEXT_H
#define SYNMOAT_CONFIG_TEXT_H

#include <stddef.h>

#define CONFIG_TEXT_MAX_BYTES (1U << 20)

/* Returns the file's text, which the caller frees, or NULL with "FILE[:LINE]: what is wrong" in `error`. */
char *config_text_read(const char *path, char *error, size_t error_bytes);

#endif
