/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#define LOG_LINE_BYTES 1024

static bool to_journal; /* set once by log_open(), before any thread starts */

void log_open(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat status;

	/* The variable is inherited even by a process whose stderr was redirected: systemd.exec(5) asks to compare. */
	to_journal = stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
		     fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

static void __attribute__((format(printf, 3, 0)))
log_line(int priority, const char *word, const char *format, va_list arguments)
{
	char line[LOG_LINE_BYTES];
	size_t used = (size_t)(to_journal ? snprintf(line, sizeof(line), "<%d>", priority)
					  : snprintf(line, sizeof(line), "synmoatd: %s", word));
	int wanted = vsnprintf(line + used, sizeof(line) - used, format, arguments);

	if (wanted < 0)
		return;
	for (char *c = line + used; *c; c++) /* one call is one line, whatever a string from outside contains */
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	used += strlen(line + used);
	line[used++] = '\n'; /* over the terminator: write() needs none */

	/* One write, so that lines of several threads do not mix. There is nobody to tell when it fails. */
	ssize_t written = write(STDERR_FILENO, line, used);
	(void)written;
}

void log_info(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	log_line(LOG_INFO, "", format, arguments);
	va_end(arguments);
}

void log_warn(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	log_line(LOG_WARNING, "warning: ", format, arguments);
	va_end(arguments);
}

void log_error(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	log_line(LOG_ERR, "error: ", format, arguments);
	va_end(arguments);
}
