/* SPDX-License-Identifier: GPL-2.0-or-later */
/* terminal: the one on standard input and output, ours alone for a while, and then again as it was: on exit(), too.
 * Of ECMA-48 and xterm no more is used than every terminal of today has, so that no table of terminals is needed. */
#ifndef SYNMOAT_CTL_TERMINAL_H
#define SYNMOAT_CTL_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* A character, or one of these. */
enum key {
	KEY_UP = 256,
	KEY_DOWN,
	KEY_PAGE_UP,
	KEY_PAGE_DOWN,
	KEY_HOME,
	KEY_LAST,
};
#define TERMINAL_KEYS_MAX 64

/* Whether there is one; a dumb one does not count. */
bool terminal_there(void);

/* Another screen, no echo, no lines, no cursor. -1 with errno. */
int terminal_take(void);
void terminal_give_back(void);

void terminal_size(unsigned *columns, unsigned *rows);

/* Puts a frame on the screen, as many lines as it has rows, each with its newline. -1 when the terminal is gone. */
int terminal_show(const char *lines, size_t bytes);

/* What was pressed, when poll() says that something was; returns how many keys, -1 when the terminal is gone. */
int terminal_keys(int keys[TERMINAL_KEYS_MAX]);

#endif
