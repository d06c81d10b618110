/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pen: writes a frame line by line, from left to right. Nothing gets past its right and its lower edge. */
#ifndef SYNMOAT_CTL_PEN_H
#define SYNMOAT_CTL_PEN_H

#include <stdint.h>
#include <stdio.h>

#include "screen.h"

enum style {
	STYLE_PLAIN,
	STYLE_BOLD,
	STYLE_GOOD,
	STYLE_WARN,
	STYLE_ALARM,
};

struct pen {
	const struct screen *screen;
	FILE *out;
	unsigned row, column;
	unsigned blanks; /* before the next text: none is written at a line's end */
};

unsigned pen_room(const struct pen *pen);      /* columns left in this line */
unsigned pen_rows_left(const struct pen *pen); /* but for the one with the keys */

/* Text is ASCII. */
void pen_ascii(struct pen *pen, enum style style, const char *text);
void pen_text(struct pen *pen, enum style style, const char *format, ...) __attribute__((format(printf, 3, 4)));
void pen_glyph(struct pen *pen, enum style style, const char *glyph, unsigned count); /* one that takes a column */

/* `width` columns and a blank, or nothing if that is 0; what is longer is cut, and the cut marked. */
void pen_cell(struct pen *pen, enum style style, unsigned width, const char *text);
void pen_number(struct pen *pen, enum style style, unsigned width, uint64_t number);

void pen_line_end(struct pen *pen);
void pen_wrapped(struct pen *pen, enum style style, const char *text); /* as many lines as it takes */

#endif
