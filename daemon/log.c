/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "edge/journal.h"

#define LOG_LINE_BYTES 1024

static bool to_journal; /* set once by log_open(), before any thread starts */
static int journal_fd = -1;
static atomic_uint lost; /* lines */

void log_open(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat status;

	/* The variable is inherited even by a process whose stderr was redirected: systemd.exec(5) asks to compare. */
	to_journal = stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
		     fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
	if (to_journal)
		journal_fd = journal_open();
}

/* The journal's stream is a socket (systemd.exec(5)), and a line goes into it whole or not at all: unix_stream_sendmsg()
 * splits what is larger. Nobody waits for a journald that hangs. */
static bool journal_takes(const char *line, size_t bytes)
{
	return send(STDERR_FILENO, line, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/* One write, so that lines of several threads do not mix. There is nobody to tell when it fails. */
static void log_write(const char *line, size_t bytes)
{
	char words[96];
	unsigned count;

	if (!to_journal) {
		ssize_t written = write(STDERR_FILENO, line, bytes);
		(void)written;
		return;
	}
	count = atomic_exchange(&lost, 0);
	if (count) {
		int used = snprintf(words, sizeof(words), "<%d>%u lines were lost: the journal did not take them\n",
				    LOG_WARNING, count);

		if (journal_takes(words, (size_t)used))
			count = 0;
	}
	count += !journal_takes(line, bytes);
	if (count)
		atomic_fetch_add(&lost, count);
}

static const char *word_of(int priority)
{
	return priority <= LOG_ERR ? "error: " : priority == LOG_WARNING ? "warning: " : "";
}

static void __attribute__((format(printf, 2, 0))) log_line(int priority, const char *format, va_list arguments)
{
	char line[LOG_LINE_BYTES];
	size_t used = (size_t)(to_journal ? snprintf(line, sizeof(line), "<%d>", priority)
					  : snprintf(line, sizeof(line), "synmoatd: %s", word_of(priority)));
	int wanted = vsnprintf(line + used, sizeof(line) - used, format, arguments);

	if (wanted < 0)
		return;
	for (char *c = line + used; *c; c++) /* one call is one line, whatever a string from outside contains */
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	used += strlen(line + used);
	line[used++] = '\n'; /* over the terminator: write() needs none */

	log_write(line, used);
}

void log_info(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	log_line(LOG_INFO, format, arguments);
	va_end(arguments);
}

void log_warn(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	log_line(LOG_WARNING, format, arguments);
	va_end(arguments);
}

void log_error(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	log_line(LOG_ERR, format, arguments);
	va_end(arguments);
}

/* ---- events ---- */

static void __attribute__((format(printf, 2, 3))) log_at(int priority, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	log_line(priority, format, arguments);
	va_end(arguments);
}

#define OWN_FIELDS 7 /* that every event has */
#define PREFIX "SYNMOAT_"
#define NAME_BYTES (sizeof(PREFIX) + EVENT_NAME_BYTES)

static void journal_name(const char *name, char text[NAME_BYTES])
{
	size_t used = (size_t)snprintf(text, NAME_BYTES, PREFIX "%s", name);

	for (size_t i = 0; i < used && text[i]; i++)
		text[i] = (char)toupper((unsigned char)text[i]);
}

/* 0 or -errno. */
static int log_to_journal(const struct event *event)
{
	char priority[2] = {(char)('0' + event_level(event->kind)), '\0'};
	char number[24], run[24];
	char names[EVENT_FIELDS_MAX][NAME_BYTES];
	struct journal_field fields[OWN_FIELDS + EVENT_FIELDS_MAX] = {
		{"MESSAGE", event->text},
		{"MESSAGE_ID", event_message_id(event->kind)},
		{"PRIORITY", priority},
		{"SYSLOG_IDENTIFIER", "synmoatd"},
		{PREFIX "EVENT", event_name(event->kind)},
		{PREFIX "NUMBER", number},
		{PREFIX "RUN", run},
	};

	_Static_assert(512 + EVENT_TEXT_BYTES + EVENT_FIELDS_MAX * (NAME_BYTES + EVENT_VALUE_BYTES + 2) <
			       JOURNAL_ENTRY_BYTES,
		       "every event fits in an entry");
	snprintf(number, sizeof(number), "%llu", (unsigned long long)event->number);
	snprintf(run, sizeof(run), "%llu", (unsigned long long)event->run);
	for (unsigned i = 0; i < event->field_count; i++) {
		journal_name(event->fields[i].name, names[i]);
		fields[OWN_FIELDS + i] = (struct journal_field){names[i], event->fields[i].value};
	}
	return journal_send(journal_fd, JOURNAL_SOCKET, fields, OWN_FIELDS + event->field_count);
}

void log_event(const struct event *event)
{
	if (journal_fd < 0 || log_to_journal(event) != 0)
		log_at((int)event_level(event->kind), "%s", event->text);
}
