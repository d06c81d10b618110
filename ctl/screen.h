/* SPDX-License-Identifier: GPL-2.0-or-later */
/* screen: a view as text for a terminal. Pure. */
#ifndef SYNMOAT_CTL_SCREEN_H
#define SYNMOAT_CTL_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "view.h"

#define SCREEN_COLUMNS_MAX 500
#define SCREEN_ROWS_MAX 300

struct screen {
	unsigned columns, rows; /* at most those */
	bool utf8;              /* else plain ASCII */
	bool colour;            /* with escape sequences, else without any */
	bool keys;              /* the last line tells the keys */
	bool paused, help;
	size_t scroll; /* so many services above the first that is shown */
	char clock[16];
};

/* Writes a frame: lines of at most `columns` columns, at most `rows` of them, each with its newline. Returns how many
 * services it had room for, for who scrolls. */
size_t screen_draw(const struct screen *screen, const struct view *view, FILE *out);

#endif
