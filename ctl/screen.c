/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "screen.h"

#include <inttypes.h>
#include <string.h>

#include "pen.h"

#define DATE_COLUMNS 11 /* "2026-11-21T" */
#define TIME_COLUMNS 8  /* "22:30:00" */
#define WIDE_COLUMNS 120
#define BAR_COLUMNS_MAX 40

/* --- head --------------------------------------------------------------------------------------------------------- */

static void uptime_draw(struct pen *pen, uint64_t seconds)
{
	uint64_t minutes = seconds / 60, hours = minutes / 60;

	if (hours >= 24)
		pen_text(pen, STYLE_PLAIN, "  up %" PRIu64 " d %" PRIu64 " h", hours / 24, hours % 24);
	else if (hours)
		pen_text(pen, STYLE_PLAIN, "  up %" PRIu64 " h %" PRIu64 " min", hours, minutes % 60);
	else
		pen_text(pen, STYLE_PLAIN, "  up %" PRIu64 " min %" PRIu64 " s", minutes, seconds % 60);
}

static void title_draw(struct pen *pen, const struct view *view)
{
	const struct screen *screen = pen->screen;
	unsigned note = (unsigned)strlen(screen->clock) + (screen->paused ? 7 : 0);
	size_t armed = 0;

	if (view->filled) {
		for (size_t i = 0; i < view->service_count; i++)
			armed += view->services[i].armed;
		pen_text(pen, STYLE_BOLD, "synmoatd %s  ", view->version);
		pen_text(pen, view->armed ? STYLE_ALARM : STYLE_GOOD,
			 view->armed ? "ARMED %zu of %zu" : "armed %zu of %zu", armed, view->service_count);
		pen_text(pen, STYLE_PLAIN, "  %s, %s", view->mode, view->policy);
		uptime_draw(pen, view->uptime_s);
	} else {
		pen_text(pen, STYLE_BOLD, "synmoatctl top");
	}
	if (pen_room(pen) > note) {
		pen->blanks += pen_room(pen) - note;
		pen_text(pen, screen->paused ? STYLE_WARN : STYLE_PLAIN, "%s%s", screen->paused ? "PAUSED " : "",
			 screen->clock);
	}
	pen_line_end(pen);
}

/* A label, and how much of it there is each second. */
static void rate_draw(struct pen *pen, const struct view *view, enum style style, const char *before, uint64_t count,
		      const char *after)
{
	if (view->rates_s > 0)
		pen_text(pen, style, "%s%.0f%s", before, (double)count / view->rates_s, after);
	else
		pen_text(pen, style, "%s-%s", before, after);
}

static enum style style_if(bool condition, enum style style)
{
	return condition ? style : STYLE_PLAIN;
}

static void rates_draw(struct pen *pen, const struct view *view)
{
	const struct view_counts *rates = &view->rates;
	bool known = view->rates_s > 0;

	rate_draw(pen, view, STYLE_BOLD, "SYN/s ", rates->received, ":");
	rate_draw(pen, view, STYLE_PLAIN, " ", rates->passed, " passed,");
	rate_draw(pen, view, style_if(known && rates->challenged, STYLE_WARN), " ", rates->challenged, " challenged,");
	rate_draw(pen, view, style_if(known && rates->refused, STYLE_WARN), " ", rates->refused, " refused,");
	rate_draw(pen, view, style_if(known && rates->unanswered, STYLE_WARN), " ", rates->unanswered, " unanswered");
	pen_line_end(pen);

	rate_draw(pen, view, STYLE_PLAIN, "handovers/s ", rates->handed_over, ",");
	rate_draw(pen, view, style_if(known && rates->handover_failed, STYLE_ALARM), " failed ", rates->handover_failed,
		  "");
	rate_draw(pen, view, style_if(known && rates->dropped, STYLE_ALARM), "  drops/s ", rates->dropped, "");
	pen_text(pen, STYLE_PLAIN, "  half-open %" PRIu64 "  sources %" PRIu64 "  bans %" PRIu64, view->half_open,
		 view->sources_known, view->bans);
	pen_line_end(pen);
}

static void head_draw(struct pen *pen, const struct view *view)
{
	title_draw(pen, view);
	if (*view->trouble)
		pen_wrapped(pen, STYLE_ALARM, view->trouble);
	if (*view->trouble && view->filled)
		pen_wrapped(pen, STYLE_WARN, "What follows is old. Trying again.");
	if (view->filled)
		rates_draw(pen, view);
}

/* --- services ----------------------------------------------------------------------------------------------------- */

enum column {
	COLUMN_NAME,
	COLUMN_ENDPOINT,
	COLUMN_STATE,
	COLUMN_RATE,
	COLUMN_DONE,
	COLUMN_BAR,
	COLUMN_NUMBERS,
	COLUMN_CHARACTER,
	COLUMN_COUNT
};

struct columns {
	unsigned width[COLUMN_COUNT]; /* 0: left out */
};

/* "ARMED!": by an administrator's order. */
static const char *state_text(const struct view_service *service, char text[40])
{
	snprintf(text, 40, "%s%s", service->armed ? "ARMED" : service->state,
		 strcmp(service->override, "auto") == 0 ? "" : "!");
	return text;
}

static const char *numbers_text(const struct view_service *service, char text[48])
{
	if (service->limit)
		snprintf(text, 48, "%" PRIu64 "/%" PRIu64, service->half_open, service->limit);
	else
		snprintf(text, 48, "%" PRIu64, service->half_open);
	return text;
}

static void at_least(unsigned *width, size_t length)
{
	if (*width < length)
		*width = (unsigned)length;
}

static unsigned columns_sum(const struct columns *columns)
{
	unsigned sum = 0;

	for (enum column i = 0; i < COLUMN_COUNT; i++)
		sum += columns->width[i] ? columns->width[i] + (sum > 0) : 0;
	return sum;
}

/* What gives way first when there is no room for all, and down to which width. */
static void columns_shrink(struct columns *columns, unsigned room)
{
	static const struct {
		enum column column;
		unsigned least;
	} steps[] = {{COLUMN_ENDPOINT, 24}, {COLUMN_NAME, 16},     {COLUMN_CHARACTER, 10}, {COLUMN_NUMBERS, 0},
		     {COLUMN_STATE, 8},     {COLUMN_ENDPOINT, 14}, {COLUMN_NAME, 8},       {COLUMN_CHARACTER, 0},
		     {COLUMN_ENDPOINT, 0},  {COLUMN_DONE, 0},      {COLUMN_BAR, 0},        {COLUMN_RATE, 0}};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && columns_sum(columns) > room; i++) {
		unsigned *width = &columns->width[steps[i].column];
		unsigned excess = columns_sum(columns) - room;

		if (*width <= steps[i].least)
			continue;
		*width = steps[i].least && *width > steps[i].least + excess ? *width - excess : steps[i].least;
	}
}

/* As wide as the services need that are shown. */
static struct columns columns_fit(const struct screen *screen, const struct view_service *services, size_t count)
{
	struct columns columns = {{
		[COLUMN_NAME] = 7,
		[COLUMN_ENDPOINT] = 8,
		[COLUMN_STATE] = 8,
		[COLUMN_RATE] = 6,
		[COLUMN_DONE] = 4,
		[COLUMN_BAR] = 10,
		[COLUMN_NUMBERS] = 7,
		[COLUMN_CHARACTER] = 7,
	}};
	unsigned sum;
	char text[48];

	for (size_t i = 0; i < count; i++) {
		at_least(&columns.width[COLUMN_NAME], strlen(services[i].name));
		at_least(&columns.width[COLUMN_ENDPOINT], strlen(services[i].endpoint));
		at_least(&columns.width[COLUMN_STATE], strlen(state_text(&services[i], text)));
		at_least(&columns.width[COLUMN_NUMBERS], strlen(numbers_text(&services[i], text)));
		at_least(&columns.width[COLUMN_CHARACTER], strlen(services[i].character));
	}
	columns_shrink(&columns, screen->columns);
	sum = columns_sum(&columns);
	if (columns.width[COLUMN_BAR] && sum < screen->columns) {
		columns.width[COLUMN_BAR] += screen->columns - sum;
		if (columns.width[COLUMN_BAR] > BAR_COLUMNS_MAX)
			columns.width[COLUMN_BAR] = BAR_COLUMNS_MAX;
	}
	return columns;
}

static enum style service_style(const struct view_service *service)
{
	if (service->armed)
		return STYLE_ALARM;
	return style_if(strcmp(service->character, "calm") != 0 || strcmp(service->state, "wary") == 0, STYLE_WARN);
}

/* [####|     ]: how full the backlog is, and where the service is armed. */
static void bar_draw(struct pen *pen, unsigned width, const struct view_service *service)
{
	unsigned cells = width > 2 ? width - 2 : 0, full, mark;
	bool utf8 = pen->screen->utf8;
	enum style style = service->half_open >= service->arm_at       ? STYLE_ALARM
			   : service->half_open * 2 >= service->arm_at ? STYLE_WARN
								       : STYLE_GOOD;

	if (!width)
		return;
	if (!service->limit || !cells) {
		pen_cell(pen, STYLE_PLAIN, width, "-");
		return;
	}
	full = service->half_open >= service->limit ? cells : (unsigned)(service->half_open * cells / service->limit);
	full += full == 0 && service->half_open;
	mark = service->arm_at >= service->limit ? cells - 1 : (unsigned)(service->arm_at * cells / service->limit);
	pen_ascii(pen, STYLE_PLAIN, "[");
	for (unsigned i = 0; i < cells; i++)
		if (i == mark)
			pen_glyph(pen, STYLE_BOLD, utf8 ? "\u2502" : "|", 1);
		else if (i < full)
			pen_glyph(pen, style, utf8 ? "\u2588" : "#", 1);
		else
			pen->blanks++;
	pen_ascii(pen, STYLE_PLAIN, "]");
	pen->blanks++;
}

static void service_draw(struct pen *pen, const struct columns *columns, const struct view_service *service)
{
	const unsigned *width = columns->width;
	enum style style = service_style(service);
	char text[48];

	pen_cell(pen, style, width[COLUMN_NAME], service->name);
	pen_cell(pen, STYLE_PLAIN, width[COLUMN_ENDPOINT], service->endpoint);
	pen_cell(pen, style, width[COLUMN_STATE], state_text(service, text));
	pen_number(pen, STYLE_PLAIN, width[COLUMN_RATE], service->syn_per_s);
	snprintf(text, sizeof(text), "%3" PRIu64 "%%", service->completion_percent);
	pen_cell(pen, STYLE_PLAIN, width[COLUMN_DONE], service->syn_per_s ? text : "   -");
	bar_draw(pen, width[COLUMN_BAR], service);
	pen_cell(pen, STYLE_PLAIN, width[COLUMN_NUMBERS], numbers_text(service, text));
	pen_cell(pen, style, width[COLUMN_CHARACTER], service->character);
	pen_line_end(pen);
}

static void services_head_draw(struct pen *pen, const struct columns *columns)
{
	static const char *const names[COLUMN_COUNT] = {"SERVICE", "ENDPOINT",  "STATE",   " SYN/S",
							"DONE",    "HALF-OPEN", "ENTRIES", "TRAFFIC"};

	for (enum column i = 0; i < COLUMN_COUNT; i++)
		pen_cell(pen, STYLE_BOLD, columns->width[i], names[i]);
	pen_line_end(pen);
}

/* In `rows` rows, of which the head is one, and if not all fit, where we are another. */
static size_t services_draw(struct pen *pen, const struct view *view, unsigned rows)
{
	size_t room = rows > 1 ? rows - 1 : 0, first = 0, shown;
	struct columns columns;

	if (!rows)
		return 0;
	if (view->service_count > room && room)
		room--;
	if (view->service_count > room)
		first = pen->screen->scroll > view->service_count - room ? view->service_count - room
									 : pen->screen->scroll;
	shown = view->service_count - first < room ? view->service_count - first : room;
	columns = columns_fit(pen->screen, view->services + first, shown);
	services_head_draw(pen, &columns);
	for (size_t i = 0; i < shown; i++)
		service_draw(pen, &columns, &view->services[first + i]);
	if (shown < view->service_count && rows > 1) {
		pen_text(pen, STYLE_PLAIN, "%zu to %zu of %zu services", shown ? first + 1 : 0, first + shown,
			 view->service_count);
		pen_line_end(pen);
	}
	return shown;
}

/* --- sources and events ------------------------------------------------------------------------------------------- */

static const char *notes_text(const struct view_source *source)
{
	if (source->proven)
		return source->wary ? "proven, wary" : "proven";
	return source->wary ? "wary" : "-";
}

static void sources_draw(struct pen *pen, const struct view *view, unsigned rows)
{
	unsigned width = 12;
	char title[40];

	if (!rows)
		return;
	snprintf(title, sizeof(title), "SOURCES BY %s", view->sources_by);
	for (size_t i = 0; i < view->source_count; i++)
		at_least(&width, strlen(view->sources[i].address));
	at_least(&width, strlen(title));
	if (width > pen->screen->columns / 2)
		width = pen->screen->columns / 2;
	pen_cell(pen, STYLE_BOLD, width, title);
	pen_text(pen, STYLE_BOLD, "%9s %10s %10s %10s  %s", "HALF-OPEN", "SYNS", "CHALLENGED", "COMPLETED", "NOTES");
	pen_line_end(pen);
	if (!view->source_count) {
		pen_ascii(pen, STYLE_PLAIN, "none");
		pen_line_end(pen);
	}
	for (size_t i = 0; i < view->source_count && i + 1 < rows; i++) {
		const struct view_source *source = &view->sources[i];

		pen_cell(pen, style_if(source->wary, STYLE_WARN), width, source->address);
		pen_text(pen, STYLE_PLAIN, "%9" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64 "  %s",
			 source->half_open, source->syns, source->challenged, source->completed, notes_text(source));
		pen_line_end(pen);
	}
}

/* Where there is no room for it, without the date and the parts of a second: "2026-11-21T22:30:00.123Z ...". */
static void event_draw(struct pen *pen, const char *event)
{
	const char *rest = strchr(event, ' ');

	if (pen->screen->columns >= WIDE_COLUMNS || !rest || rest - event < DATE_COLUMNS + TIME_COLUMNS)
		pen_ascii(pen, STYLE_PLAIN, event);
	else
		pen_text(pen, STYLE_PLAIN, "%.*s%s", TIME_COLUMNS, event + DATE_COLUMNS, rest);
}

static void events_draw(struct pen *pen, const struct view *view, unsigned rows)
{
	size_t first = rows && view->event_count + 1 > rows ? view->event_count + 1 - rows : 0;

	if (!rows)
		return;
	pen_ascii(pen, STYLE_BOLD, "LAST EVENTS");
	pen_line_end(pen);
	if (!view->event_count) {
		pen_ascii(pen, STYLE_PLAIN, "none");
		pen_line_end(pen);
	}
	for (size_t i = first; i < view->event_count; i++) {
		event_draw(pen, view->events[i]);
		pen_line_end(pen);
	}
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

enum section {
	SECTION_SERVICES,
	SECTION_SOURCES,
	SECTION_EVENTS,
	SECTION_COUNT
};

/* Shares `room` rows. Each section gets what it needs within its share, and then, in order, of what others leave; one
 * without room for its head and a row below is left out. */
static void sections_share(const unsigned need[SECTION_COUNT], unsigned room, unsigned rows[SECTION_COUNT])
{
	const unsigned share[SECTION_COUNT] = {room / 2 > 4 ? room / 2 : 4, room / 4, room / 4};
	unsigned left = room;

	for (enum section i = 0; i < SECTION_COUNT; i++) {
		rows[i] = need[i] < share[i] ? need[i] : share[i];
		if (rows[i] > left)
			rows[i] = left;
		if (rows[i] < 2)
			rows[i] = 0;
		left -= rows[i];
	}
	for (enum section i = 0; i < SECTION_COUNT; i++) {
		unsigned more = need[i] - rows[i] < left ? need[i] - rows[i] : left;

		if (rows[i] + more < 2)
			continue;
		rows[i] += more;
		left -= more;
	}
}

static size_t sections_draw(struct pen *pen, const struct view *view)
{
	const unsigned need[SECTION_COUNT] = {
		[SECTION_SERVICES] = (unsigned)view->service_count + 1,
		[SECTION_SOURCES] = (unsigned)view->source_count + 1 + !view->source_count,
		[SECTION_EVENTS] = (unsigned)view->event_count + 1 + !view->event_count,
	};
	unsigned rows[SECTION_COUNT];
	size_t shown;

	sections_share(need, pen_rows_left(pen), rows);
	shown = services_draw(pen, view, rows[SECTION_SERVICES]);
	sources_draw(pen, view, rows[SECTION_SOURCES]);
	events_draw(pen, view, rows[SECTION_EVENTS]);
	return shown;
}

static void help_draw(struct pen *pen)
{
	static const char *const lines[] = {
		"q              quit",
		"p              pause, and go on",
		"s              sources by half-open connections, or by challenges",
		"up, down, PgUp, PgDn, Home, End   scroll the services",
		"h              this, and back",
		"",
		"Services: the armed come first, then those in trouble, then the fullest.",
		"A \"!\" behind the state: an administrator said so, see synmoatctl(1).",
		"DONE is how many of the last seconds' handshakes were completed.",
		"HALF-OPEN is against the limit; at the mark in it the service is armed.",
		"All times are UTC.",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]) && pen_rows_left(pen); i++) {
		pen_ascii(pen, STYLE_PLAIN, lines[i]);
		pen_line_end(pen);
	}
}

static void keys_draw(struct pen *pen, const struct view *view)
{
	bool by_challenged = strcmp(view->sources_by, "challenged") == 0;

	while (pen_rows_left(pen))
		pen_line_end(pen);
	pen_text(pen, STYLE_BOLD, "q quit  h help  p %s  s sources by %s  arrows scroll",
		 pen->screen->paused ? "go on" : "pause", by_challenged ? "half-open" : "challenged");
	pen_line_end(pen);
}

size_t screen_draw(const struct screen *screen, const struct view *view, FILE *out)
{
	struct pen pen = {.screen = screen, .out = out};
	size_t shown = 0;

	head_draw(&pen, view);
	if (screen->help)
		help_draw(&pen);
	else if (view->filled)
		shown = sections_draw(&pen, view);
	if (screen->keys)
		keys_draw(&pen, view);
	return shown;
}
