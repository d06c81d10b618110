/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "face/event.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#define NSEC_PER_SEC 1000000000ULL
#define NSEC_PER_MSEC 1000000ULL

static const struct {
	char name[EVENT_NAME_BYTES];
	char message_id[33];
	enum event_level level;
	const char *help;
} kinds[EVENT_KIND_COUNT] = {
#define EVENT(id, name, message_id, level, help) [EVENT_##id] = {name, message_id, level, help},
	EVENTS(EVENT)
#undef EVENT
};

/* ---- kinds ---- */

const char *event_name(enum event_kind kind)
{
	return kinds[kind].name;
}

const char *event_message_id(enum event_kind kind)
{
	return kinds[kind].message_id;
}

const char *event_help(enum event_kind kind)
{
	return kinds[kind].help;
}

enum event_level event_level(enum event_kind kind)
{
	return kinds[kind].level;
}

const char *event_level_name(enum event_level level)
{
	switch (level) {
	case EVENT_ERROR:
		return "error";
	case EVENT_WARNING:
		return "warning";
	case EVENT_NOTICE:
		return "notice";
	case EVENT_INFO:
		break;
	}
	return "info";
}

/* ---- making one ---- */

/* How many bytes a character takes there, by the table of well-formed sequences (Unicode 3-7, RFC 3629): 0 if it is none,
 * or ends within. */
static size_t character_bytes(const unsigned char *at)
{
	size_t bytes = *at < 0x80 ? 1 : *at < 0xc2 ? 0 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : *at < 0xf5 ? 4 : 0;
	unsigned char low = *at == 0xe0 ? 0xa0 : *at == 0xf0 ? 0x90 : 0x80;
	unsigned char high = *at == 0xed ? 0x9f : *at == 0xf4 ? 0x8f : 0xbf;

	for (size_t i = 1; i < bytes; i++)
		if (at[i] < (i == 1 ? low : 0x80) || at[i] > (i == 1 ? high : 0xbf))
			return 0;
	return bytes;
}

/* C0 and C1 (U+0080 to U+009F), DEL, and what ends a line by other names (U+2028, U+2029). */
static bool is_control(const unsigned char *at, size_t bytes)
{
	return *at < ' ' || *at == 0x7f || (bytes == 2 && *at == 0xc2 && at[1] < 0xa0) ||
	       (bytes == 3 && *at == 0xe2 && at[1] == 0x80 && (at[2] & 0xfe) == 0xa8);
}

/* What does not fit is cut, but between two characters. */
static void take(char *to, size_t to_bytes, const char *from)
{
	const unsigned char *at = (const unsigned char *)from;
	size_t used = 0;

	while (*at) {
		size_t bytes = character_bytes(at);
		bool good = bytes && !is_control(at, bytes);

		if (used + (good ? bytes : 1) >= to_bytes)
			break;
		if (good)
			memcpy(to + used, at, bytes);
		else
			to[used] = '?';
		used += good ? bytes : 1;
		at += bytes ? bytes : 1;
	}
	to[used] = '\0';
}

void event_begin(struct event *event, enum event_kind kind, const char *format, ...)
{
	char text[2 * EVENT_TEXT_BYTES];
	va_list arguments;

	va_start(arguments, format);
	if (vsnprintf(text, sizeof(text), format, arguments) < 0)
		text[0] = '\0';
	va_end(arguments);
	event->kind = kind;
	event->run = event->number = event->realtime_ns = 0;
	event->field_count = 0;
	memset(event->fields, 0,
	       sizeof(event->fields)); /* it is kept whole: with nothing in it that was on the stack before */
	take(event->text, sizeof(event->text), text);
}

static void field_add(struct event *event, const char *name, const char *value, bool is_number)
{
	struct event_field *field = &event->fields[event->field_count];

	if (event->field_count == EVENT_FIELDS_MAX)
		return;
	field->name = name;
	field->is_number = is_number;
	take(field->value, sizeof(field->value), value);
	event->field_count++;
}

void event_text(struct event *event, const char *name, const char *value)
{
	field_add(event, name, value, false);
}

void event_number(struct event *event, const char *name, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	field_add(event, name, digits, true);
}

/* ---- writing one ---- */

#define TIME_BYTES 32
/* Every character of a string may take a backslash; a field has its name, two pairs of quotes, a colon and a comma, and
 * "fields" comes after less than 512 bytes of numbers, names and keys. */
_Static_assert(512 + 2 * EVENT_TEXT_BYTES + EVENT_FIELDS_MAX * (EVENT_NAME_BYTES + 2 * EVENT_VALUE_BYTES + 6) <
		       EVENT_LINE_BYTES,
	       "every event fits in a line");

static void time_text(uint64_t realtime_ns, char text[TIME_BYTES])
{
	time_t seconds = (time_t)(realtime_ns / NSEC_PER_SEC);
	struct tm tm;
	size_t used;

	gmtime_r(&seconds, &tm);
	used = strftime(text, TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + used, TIME_BYTES - used, ".%03uZ", (unsigned)(realtime_ns % NSEC_PER_SEC / NSEC_PER_MSEC));
}

void event_line_text(const struct event *event, char line[EVENT_LINE_BYTES])
{
	char time[TIME_BYTES];

	time_text(event->realtime_ns, time);
	snprintf(line, EVENT_LINE_BYTES, "%s %s: %s\n", time, event_name(event->kind), event->text);
}

/* A string that is one of an event's: nothing else is to be escaped. Returns where it ends. */
static char *quote(char *to, const char *text)
{
	*to++ = '"';
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			*to++ = '\\';
		*to++ = *text;
	}
	*to++ = '"';
	*to = '\0';
	return to;
}

/* Without a newline. Returns where it ends. */
static char *object(const struct event *event, char *at)
{
	char time[TIME_BYTES];

	time_text(event->realtime_ns, time);
	at += sprintf(at,
		      "{\"format\":1,\"run\":%" PRIu64 ",\"number\":%" PRIu64 ",\"time\":\"%s\",\"event\":\"%s\","
		      "\"level\":\"%s\",\"message_id\":\"%s\",\"text\":",
		      event->run, event->number, time, event_name(event->kind),
		      event_level_name(event_level(event->kind)), event_message_id(event->kind));
	at = quote(at, event->text);
	at += sprintf(at, ",\"fields\":{");
	for (unsigned i = 0; i < event->field_count; i++) {
		const struct event_field *field = &event->fields[i];

		if (i)
			*at++ = ',';
		at = quote(at, field->name);
		*at++ = ':';
		at = field->is_number ? stpcpy(at, field->value) : quote(at, field->value);
	}
	return stpcpy(at, "}}");
}

void event_line_json(const struct event *event, char line[EVENT_LINE_BYTES])
{
	strcpy(object(event, line), "\n");
}

/* ---- the last ones ---- */

const struct event *event_ring_add(struct event_ring *ring, const struct event *event, uint64_t realtime_ns)
{
	struct event *kept = &ring->events[ring->count % EVENT_RING];

	if (!ring->run)
		ring->run = realtime_ns / NSEC_PER_MSEC;
	*kept = *event;
	kept->run = ring->run;
	kept->number = ++ring->count;
	kept->realtime_ns = realtime_ns;
	return kept;
}

void event_ring_write(const struct event_ring *ring, unsigned last, bool json, bool follow, FILE *out)
{
	uint64_t kept = ring->count < EVENT_RING ? ring->count : EVENT_RING;
	uint64_t shown = last < kept ? last : kept;
	bool list = json && !follow;
	char line[EVENT_LINE_BYTES];

	if (list)
		fputs("{\"format\":1,\"events\":[", out);
	else if (!shown && !follow)
		fputs("no events\n", out);
	for (uint64_t i = ring->count - shown; i < ring->count; i++) {
		const struct event *event = &ring->events[i % EVENT_RING];

		if (list && i > ring->count - shown)
			fputc(',', out);
		if (!json)
			event_line_text(event, line);
		else if (list)
			object(event, line);
		else
			event_line_json(event, line);
		fputs(line, out);
	}
	if (list)
		fputs("]}\n", out);
}
