/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pen.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

unsigned pen_room(const struct pen *pen)
{
	unsigned at = pen->column + pen->blanks;

	return pen->row < pen->screen->rows && at < pen->screen->columns ? pen->screen->columns - at : 0;
}

static void pen_style(struct pen *pen, enum style style)
{
	static const char *const codes[] = {
		[STYLE_PLAIN] = "",        [STYLE_BOLD] = "\x1b[1m",     [STYLE_GOOD] = "\x1b[32m",
		[STYLE_WARN] = "\x1b[33m", [STYLE_ALARM] = "\x1b[1;31m",
	};

	if (pen->screen->colour)
		fputs(codes[style], pen->out);
}

/* Begins with what was left blank. Returns how many of `columns` there is room for. */
static unsigned pen_open(struct pen *pen, enum style style, unsigned columns)
{
	if (columns > pen_room(pen))
		columns = pen_room(pen);
	if (!columns)
		return 0;
	fprintf(pen->out, "%*s", (int)pen->blanks, "");
	pen->column += pen->blanks + columns;
	pen->blanks = 0;
	pen_style(pen, style);
	return columns;
}

static void pen_shut(struct pen *pen, enum style style)
{
	if (style != STYLE_PLAIN && pen->screen->colour)
		fputs("\x1b[0m", pen->out);
}

void pen_ascii(struct pen *pen, enum style style, const char *text)
{
	unsigned columns = pen_open(pen, style, (unsigned)strlen(text));

	if (columns) {
		fwrite(text, 1, columns, pen->out);
		pen_shut(pen, style);
	}
}

void pen_glyph(struct pen *pen, enum style style, const char *glyph, unsigned count)
{
	unsigned columns = pen_open(pen, style, count);

	if (!columns)
		return;
	for (; columns; columns--)
		fputs(glyph, pen->out);
	pen_shut(pen, style);
}

void pen_text(struct pen *pen, enum style style, const char *format, ...)
{
	char text[SCREEN_COLUMNS_MAX + 1];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	pen_ascii(pen, style, text);
}

void pen_cell(struct pen *pen, enum style style, unsigned width, const char *text)
{
	unsigned length = (unsigned)strlen(text);

	if (!width)
		return;
	if (length <= width) {
		pen_ascii(pen, style, text);
		pen->blanks += width - length + 1;
		return;
	}
	pen_text(pen, style, "%.*s~", (int)width - 1, text);
	pen->blanks += 1;
}

void pen_number(struct pen *pen, enum style style, unsigned width, uint64_t number)
{
	if (!width)
		return;
	pen_text(pen, style, "%*" PRIu64, (int)width, number);
	pen->blanks += 1;
}

void pen_line_end(struct pen *pen)
{
	if (pen->row < pen->screen->rows) {
		fputc('\n', pen->out);
		pen->row++;
	}
	pen->column = pen->blanks = 0;
}

void pen_wrapped(struct pen *pen, enum style style, const char *text)
{
	while (*text && pen->screen->columns) {
		size_t length = strlen(text), room = pen->screen->columns;

		if (length > room) {
			length = room;
			while (length && text[length] != ' ')
				length--;
			if (!length)
				length = room;
		}
		pen_text(pen, style, "%.*s", (int)length, text);
		pen_line_end(pen);
		text += length + strspn(text + length, " ");
	}
}

unsigned pen_rows_left(const struct pen *pen)
{
	unsigned taken = pen->row + (pen->screen->keys ? 1 : 0);

	return pen->screen->rows > taken ? pen->screen->rows - taken : 0;
}
