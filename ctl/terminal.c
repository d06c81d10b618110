/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define TAKE "\x1b[?1049h\x1b[?25l\x1b[2J" /* the alternate screen, without a cursor, empty */
#define GIVE_BACK "\x1b[0m\x1b[?25h\x1b[?1049l"
#define COLUMNS_USUAL 80
#define ROWS_USUAL 24

/* There is one terminal, and exit() has to find it. */
static struct termios as_it_was;
static bool taken;

static int write_all(const char *text, size_t bytes)
{
	while (bytes) {
		ssize_t written = write(STDOUT_FILENO, text, bytes);
		struct pollfd ready = {.fd = STDOUT_FILENO, .events = POLLOUT};

		if (written < 0 && errno == EAGAIN && poll(&ready, 1, 1000) > 0)
			continue;
		if (written < 0 && errno != EINTR)
			return -1;
		if (written > 0) {
			text += written;
			bytes -= (size_t)written;
		}
	}
	return 0;
}

bool terminal_there(void)
{
	const char *name = getenv("TERM");

	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !(name && strcmp(name, "dumb") == 0);
}

void terminal_give_back(void)
{
	if (!taken)
		return;
	taken = false;
	(void)!write_all(GIVE_BACK, sizeof(GIVE_BACK) - 1);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &as_it_was);
}

int terminal_take(void)
{
	static bool registered;
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &as_it_was) != 0)
		return -1;
	if (!registered && atexit(terminal_give_back) != 0)
		return -1;
	registered = true;
	raw = as_it_was;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN); /* signals stay: ^C, ^Z */
	raw.c_iflag &= ~(tcflag_t)(IXON);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) != 0)
		return -1;
	taken = true;
	return write_all(TAKE, sizeof(TAKE) - 1);
}

void terminal_size(unsigned *columns, unsigned *rows)
{
	struct winsize size;
	bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;

	*columns = known && size.ws_col ? size.ws_col : COLUMNS_USUAL;
	*rows = known && size.ws_row ? size.ws_row : ROWS_USUAL;
}

/* Each line takes the place of an old one, which is wiped before: behind a full line the last column would be, too. Behind
 * the last line is no newline, or the screen would scroll. */
int terminal_show(const char *lines, size_t bytes)
{
	char *frame = NULL;
	size_t frame_bytes = 0;
	FILE *out = open_memstream(&frame, &frame_bytes);
	int result = -1;

	if (!out)
		return -1;
	fputs("\x1b[H\x1b[K", out);
	for (size_t i = 0; i < bytes; i++)
		if (lines[i] != '\n')
			fputc(lines[i], out);
		else if (i + 1 < bytes)
			fputs("\r\n\x1b[K", out);
	if (fclose(out) == 0)
		result = write_all(frame, frame_bytes);
	free(frame);
	return result;
}

/* Takes one key from the bytes; what we do not know is 0. */
static size_t key_parse(const char *bytes, size_t count, int *key)
{
	static const struct {
		const char *bytes;
		enum key key;
	} sequences[] = {{"\x1b[A", KEY_UP},   {"\x1bOA", KEY_UP},       {"\x1b[B", KEY_DOWN},
			 {"\x1bOB", KEY_DOWN}, {"\x1b[5~", KEY_PAGE_UP}, {"\x1b[6~", KEY_PAGE_DOWN},
			 {"\x1b[H", KEY_HOME}, {"\x1bOH", KEY_HOME},     {"\x1b[1~", KEY_HOME},
			 {"\x1b[F", KEY_LAST}, {"\x1bOF", KEY_LAST},     {"\x1b[4~", KEY_LAST}};
	size_t length = 2;

	*key = *bytes == '\x1b' ? 0 : (unsigned char)*bytes;
	if (*bytes != '\x1b' || count < 2 || (bytes[1] != '[' && bytes[1] != 'O'))
		return 1;
	for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++)
		if (strlen(sequences[i].bytes) <= count &&
		    memcmp(bytes, sequences[i].bytes, strlen(sequences[i].bytes)) == 0) {
			*key = (int)sequences[i].key;
			return strlen(sequences[i].bytes);
		}
	while (length < count && (bytes[length] < '@' || bytes[length] > '~')) /* ECMA-48 5.4: up to the final byte */
		length++;
	return length < count ? length + 1 : count;
}

int terminal_keys(int keys[TERMINAL_KEYS_MAX])
{
	char bytes[TERMINAL_KEYS_MAX];
	ssize_t got = read(STDIN_FILENO, bytes, sizeof(bytes));
	int count = 0;

	if (got <= 0)
		return got < 0 && (errno == EINTR || errno == EAGAIN) ? 0 : -1;
	for (size_t at = 0; at < (size_t)got; count++)
		at += key_parse(bytes + at, (size_t)got - at, &keys[count]);
	return count;
}
