/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "screen.h"

#include "unit.h"
#include "view.h"

static const unsigned sizes[][2] = {{80, 24}, {40, 10}, {200, 60}, {60, 15}, {120, 3}, {1, 1}, {500, 300}};
#define SIZE_COUNT (sizeof(sizes) / sizeof(sizes[0]))

static struct view view;
static struct screen screen;
static char *frame;
static size_t frame_bytes, shown;

static void begin(void)
{
	memset(&view, 0, sizeof(view));
	screen = (struct screen){.columns = 80, .rows = 24, .keys = true, .clock = "22:41:07Z"};
}

static void end(void)
{
	free(frame);
	frame = NULL;
}

static void draw(void)
{
	FILE *out;

	free(frame);
	out = open_memstream(&frame, &frame_bytes);
	shown = screen_draw(&screen, &view, out);
	fclose(out);
}

static void says(const char *words)
{
	ck_assert_msg(strstr(frame, words) != NULL, "no \"%s\" in:\n%s", words, frame);
}

static void says_not(const char *words)
{
	ck_assert_msg(strstr(frame, words) == NULL, "\"%s\" in:\n%s", words, frame);
}

/* A service as the daemon tells it. */
static void service_write(FILE *out, const char *name, const char *address, unsigned port, bool armed,
			  const char *state, const char *character, unsigned half_open, unsigned limit, unsigned rate)
{
	fprintf(out,
		"{\"name\":\"%s\",\"address\":\"%s\",\"port\":%u,\"armed\":%s,\"state\":\"%s\",\"override\":\"auto\","
		"\"character\":\"%s\",\"half_open\":%u,\"limit\":%u,\"arm_at\":%u,\"syn_per_s\":%u,"
		"\"completion_percent\":7}",
		name, address, port, armed ? "true" : "false", state, character, half_open, limit, limit / 2, rate);
}

/* `scale` is what all counters are multiples of; syn_received is the sum of its parts. */
static void status_end(FILE *out, unsigned uptime_s, unsigned scale)
{
	fprintf(out,
		"],\"counters\":{\"syn_received\":%u,\"syn_accepted\":%u,\"syn_direct\":%u,\"syn_challenged\":%u,"
		"\"syn_denied\":%u,\"syn_capped\":%u,\"syn_unanswered\":%u,\"handed_over\":%u,\"handover_failed\":%u,"
		"\"queue_dropped\":%u},"
		"\"uptime_s\":%u}",
		140 * scale, 10 * scale, 1 * scale, 100 * scale, 20 * scale, 6 * scale, 3 * scale, 5 * scale, 3 * scale,
		4 * scale, uptime_s);
}

static FILE *status_begin(char **text, size_t *bytes)
{
	FILE *out = open_memstream(text, bytes);

	fprintf(out,
		"{\"format\":1,\"version\":\"0.1.0\",\"mode\":\"host\",\"policy\":\"enforce\",\"armed\":true,\"bans\":5,"
		"\"tables\":{\"half_open\":{\"entries\":73,\"capacity\":262144},\"sources\":{\"entries\":44,"
		"\"capacity\":65536}},\"services\":[");
	return out;
}

static void status_take(unsigned count, unsigned uptime_s, unsigned scale, double elapsed_s)
{
	char *text, name[64];
	size_t bytes;
	FILE *out = status_begin(&text, &bytes);

	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "service-%u-with-quite-a-name", i);
		service_write(out, name, i % 2 ? "2001:db8:1111:2222:3333:4444:5555:6666" : "192.0.2.1", 80 + i, i == 3,
			      i == 3 ? "armed" : "watching", i == 3 ? "random-source flood" : "calm", i == 3 ? 90 : 0,
			      128, i == 3 ? 20000 : 0);
		fputs(i + 1 < count ? "," : "", out);
	}
	status_end(out, uptime_s, scale);
	fclose(out);
	ck_assert_int_eq(view_take_status(&view, text, elapsed_s), 0);
	free(text);
}

static void sources_take(unsigned count)
{
	char *text;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	fputs("{\"format\":1,\"by\":\"half-open\",\"sources\":[", out);
	for (unsigned i = 0; i < count; i++)
		fprintf(out,
			"%s{\"address\":\"2001:db8:1111:%u::/64\",\"half_open\":%u,\"syns\":9223372036854775807,"
			"\"challenged\":4,\"completed\":2,\"proven\":true,\"wary\":true,\"idle_s\":1}",
			i ? "," : "", i, 1000 - i);
	fputs("]}", out);
	fclose(out);
	ck_assert_int_eq(view_take_sources(&view, text), 0);
	free(text);
}

static void events_take(unsigned count)
{
	char line[800], text[VIEW_EVENTS_MAX * 2 * 40] = "";

	for (unsigned i = 0; i < count; i++) {
		snprintf(line, sizeof(line), "2026-11-21T22:30:%02u.123Z event number %u\n", i % 60, i);
		strcat(text, line);
	}
	view_take_events(&view, text);
}

/* Columns: escape sequences take none, and a UTF-8 character one. */
static void fits(void)
{
	unsigned rows = 0, columns = 0;

	for (const char *c = frame; *c; c++) {
		if (*c == '\n') {
			ck_assert_msg(columns <= screen.columns, "row %u has %u columns of %u", rows, columns,
				      screen.columns);
			rows++;
			columns = 0;
		} else if (*c == '\x1b') {
			ck_assert(screen.colour);
			c += strcspn(c, "m");
		} else {
			ck_assert(screen.utf8 || (*c & 0x80) == 0);
			columns += (*c & 0xc0) != 0x80;
		}
	}
	ck_assert_uint_eq(columns, 0);
	ck_assert_msg(rows <= screen.rows, "%u rows of %u", rows, screen.rows);
	if (screen.keys)
		ck_assert_uint_eq(rows, screen.rows);
}

START_TEST(a_frame_is_never_larger_than_the_screen)
{
	static const unsigned counts[] = {0, 1, 5, 100, VIEW_SERVICES_MAX};

	screen.columns = sizes[_i][0];
	screen.rows = sizes[_i][1];
	for (size_t many = 0; many < sizeof(counts) / sizeof(counts[0]); many++)
		for (unsigned form = 0; form < 32; form++) {
			begin();
			screen.columns = sizes[_i][0];
			screen.rows = sizes[_i][1];
			screen.utf8 = form & 1;
			screen.colour = form & 2;
			screen.keys = form & 4;
			screen.help = form & 8;
			screen.paused = form & 1;
			screen.scroll = counts[many];
			if (form & 16)
				snprintf(view.trouble, sizeof(view.trouble), "%0200d no daemon at a rather long path",
					 1);
			if (counts[many] || !(form & 16)) {
				status_take(counts[many], 1, 1, 0);
				sources_take(counts[many] > 50 ? 50 : counts[many]);
				events_take(counts[many] > 50 ? 50 : counts[many]);
			}
			draw();
			fits();
		}
}
END_TEST

START_TEST(the_screen_of_an_attack_tells_what_an_operator_looks_for)
{
	char *text;
	size_t bytes;
	FILE *out = status_begin(&text, &bytes);

	service_write(out, "mail", "any", 25, false, "watching", "calm", 0, 511, 0);
	fputc(',', out);
	service_write(out, "web", "192.0.2.1", 80, true, "armed", "random-source flood", 96, 128, 20000);
	status_end(out, 8000, 1);
	fclose(out);
	ck_assert_int_eq(view_take_status(&view, text, 0), 0);
	free(text);
	sources_take(3);
	events_take(2);
	draw();
	fits();
	says("synmoatd 0.1.0  ARMED 1 of 2  host, enforce  up 2 h 13 min");
	says("22:41:07Z\n");
	says("web     192.0.2.1:80 ARMED     20000   7% [####|#  ] 96/128  random-source flood\n");
	says("mail    any:25       watching      0    - [   |    ] 0/511   calm\n");
	ck_assert(strstr(frame, "web ") < strstr(frame, "mail ")); /* the armed one first */
	says("SOURCES BY half-open");
	says("2001:db8:1111:0::/64      1000 9223372036854775807          4          2  proven");
	says("\n22:30:01 event number 1\n");
	says_not("2026-11-21");
	says("bans 5");
}
END_TEST

START_TEST(rates_are_differences_over_time)
{
	status_take(1, 10, 100, 0);
	draw();
	says("SYN/s -: - passed, - challenged, - refused, - unanswered");
	status_take(1, 12, 300, 2);
	draw();
	says("SYN/s 14000: 1100 passed, 10000 challenged, 2000 refused, 900 unanswered");
	says("handovers/s 500, failed 300  drops/s 400");
	status_take(1, 14, 300, 2);
	draw();
	says("SYN/s 0: 0 passed,");
}
END_TEST

START_TEST(a_daemon_that_was_restarted_has_no_rates_yet)
{
	status_take(1, 1000, 100, 0);
	status_take(1, 1, 200, 1); /* more was counted, but since a later start */
	draw();
	says("SYN/s -:");
	status_take(1, 2, 199, 1);
	draw();
	says("SYN/s -:");
	status_take(1, 3, 200, 1);
	draw();
	says("SYN/s 140:");
}
END_TEST

static void bar_is(unsigned half_open, unsigned limit, const char *bar)
{
	char *text;
	size_t bytes;
	FILE *out = status_begin(&text, &bytes);

	service_write(out, "web", "192.0.2.1", 80, false, "watching", "random-source flood", half_open, limit, 0);
	status_end(out, 1, 1);
	fclose(out);
	ck_assert_int_eq(view_take_status(&view, text, 0), 0);
	free(text);
	draw();
	says(bar);
}

START_TEST(a_bar_fills_up_to_the_limit_and_marks_where_the_service_is_armed)
{
	bar_is(0, 100, " [    |   ] 0/100");
	bar_is(1, 100, " [#   |   ] 1/100");
	bar_is(40, 100, " [### |   ] 40/100");
	bar_is(50, 100, " [####|   ] 50/100");
	bar_is(75, 100, " [####|#  ] 75/100");
	bar_is(100, 100, " [####|###] 100/100");
	bar_is(4000000, 100, "[####|###");
	bar_is(5, 0, " -  "); /* nobody listens: there is no limit */
}
END_TEST

START_TEST(only_a_terminal_that_knows_utf8_gets_it)
{
	screen.utf8 = true;
	bar_is(75, 100, " [\u2588\u2588\u2588\u2588\u2502\u2588  ] 75/100");
}
END_TEST

START_TEST(long_names_are_cut_and_the_cut_is_marked)
{
	status_take(4, 1, 1, 0);
	screen.columns = 60;
	draw();
	fits();
	says("~ ");
	says("service~ ");
	says(" ARMED ");
	says_not("with-quite");
	screen.columns = 200;
	draw();
	says("service-3-with-quite-a-name [2001:db8:1111:2222:3333:4444:5555:6666]:83 ARMED");
	says_not("~");
}
END_TEST

START_TEST(services_are_scrolled)
{
	status_take(100, 1, 1, 0);
	draw();
	ck_assert_uint_gt(shown, 5);
	says("service-3-");
	says("1 to ");
	says(" of 100 services\n");
	screen.scroll = 95;
	draw();
	says_not("service-3-");
	says("to 100 of 100 services\n");
	screen.scroll = VIEW_SERVICES_MAX;
	draw();
	says("to 100 of 100 services\n");
	says("service-99");
}
END_TEST

START_TEST(the_most_urgent_come_first)
{
	static const char *const order[] = {"armed", "flood", "wary", "full", "busy", "calm-a", "calm-b"};
	char *text;
	size_t bytes;
	FILE *out = status_begin(&text, &bytes);

	service_write(out, "calm-b", "any", 1, false, "watching", "calm", 0, 100, 0);
	fputc(',', out);
	service_write(out, "calm-a", "any", 2, false, "not listening", "calm", 0, 0, 0);
	fputc(',', out);
	service_write(out, "busy", "any", 3, false, "watching", "calm", 0, 100, 10);
	fputc(',', out);
	service_write(out, "full", "any", 4, false, "watching", "calm", 60, 100, 1);
	fputc(',', out);
	service_write(out, "flood", "any", 5, false, "watching", "few-source flood", 1, 100, 1);
	fputc(',', out);
	service_write(out, "wary", "any", 6, false, "wary", "calm", 1, 100, 1);
	fputc(',', out);
	service_write(out, "armed", "any", 7, true, "armed", "calm", 0, 100, 0);
	status_end(out, 1, 1);
	fclose(out);
	ck_assert_int_eq(view_take_status(&view, text, 0), 0);
	free(text);
	ck_assert_uint_eq(view.service_count, 7);
	for (size_t i = 0; i < 7; i++)
		ck_assert_str_eq(view.services[i].name, order[i]);
}
END_TEST

START_TEST(colours_are_told_by_escape_sequences_and_change_nothing_else)
{
	char *plain, *bare;
	size_t used = 0;

	status_take(4, 1, 1, 0);
	sources_take(2);
	events_take(2);
	draw();
	says_not("\x1b");
	plain = strdup(frame);
	screen.colour = true;
	draw();
	says("\x1b[1;31mARMED");
	bare = strdup(frame);
	for (const char *c = frame; *c; c++)
		if (*c == '\x1b')
			c += strcspn(c, "m");
		else
			bare[used++] = *c;
	bare[used] = '\0';
	ck_assert_str_eq(bare, plain);
	free(bare);
	free(plain);
}
END_TEST

START_TEST(what_comes_from_outside_cannot_steer_the_terminal)
{
	ck_assert_int_eq(view_take_status(&view,
					  "{\"format\":1,\"version\":\"\\u001b[2J\",\"services\":[{\"name\":"
					  "\"w\\u009b\\u00e9b\\n\\u0007\",\"state\":\"\\u001b]0;x\",\"port\":1}]}",
					  0),
			 0);
	ck_assert_int_eq(view_take_sources(&view, "{\"format\":1,\"sources\":[{\"address\":\"\\u001bc\"}]}"), 0);
	view_take_events(&view, "2026-11-21T22:30:00Z armed \x1b[2J \xc3\xa9\n");
	draw();
	fits();
	says_not("\x1b");
	says("w??b??");
	says("armed ?[2J ?\n");
}
END_TEST

START_TEST(an_answer_that_is_not_understood_is_a_trouble)
{
	static const struct {
		const char *answer, *trouble;
	} bad[] = {{"", "not understood"},
		   {"nonsense\n", "not understood"},
		   {"{\"services\":[]}\n", "not understood"},
		   {"{\"format\":2,\"services\":[]}\n", "not understood"},
		   {"{\"format\":1}\n", "not understood"},
		   {"{\"format\":1,\"error\":\"out of memory\"}\n", "the daemon says: out of memory"},
		   {"error: too many clients, try again\n", "error: too many clients, try again"}};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin();
		ck_assert_int_eq(view_take_status(&view, bad[i].answer, 0), -1);
		ck_assert_int_eq(view_take_sources(&view, bad[i].answer), -1);
		draw();
		says(bad[i].trouble);
		says_not("SERVICE");
	}
}
END_TEST

START_TEST(a_daemon_that_went_away_is_told_above_what_is_old)
{
	status_take(4, 1, 1, 0);
	strcpy(view.trouble, "no daemon at /run/synmoat/control.sock (Connection refused): start it (systemctl start "
			     "synmoat), or name its socket with -s");
	draw();
	fits();
	says("no daemon at /run/synmoat/control.sock (Connection refused): start it (systemctl\nstart synmoat), or");
	says("What follows is old. Trying again.");
	says(" ARMED ");
}
END_TEST

START_TEST(events_are_lines_with_a_time_and_the_last_of_them)
{
	view_take_events(&view, "error: unknown request \"events\"\n");
	ck_assert_uint_eq(view.event_count, 0);
	view_take_events(&view, "2026-11-21T22:30:00Z armed\nsomething else\n2026-11-21T22:30:01Z disarmed");
	ck_assert_uint_eq(view.event_count, 2);
	ck_assert_str_eq(view.events[1], "2026-11-21T22:30:01Z disarmed");
	events_take(VIEW_EVENTS_MAX + 10);
	ck_assert_uint_eq(view.event_count, VIEW_EVENTS_MAX);
	ck_assert_str_eq(view.events[0] + 25, "event number 10");
	status_take(1, 1, 1, 0);
	draw();
	fits();
	says("event number 59\n");
	says_not("event number 10\n");
	screen.columns = 200;
	draw();
	says("2026-11-21T22:30:59.123Z event number 59\n");
}
END_TEST

START_TEST(help_and_pause_are_told)
{
	status_take(4, 1, 1, 0);
	screen.help = true;
	screen.paused = true;
	draw();
	fits();
	says("PAUSED 22:41:07Z");
	says("p go on");
	says("quit\n");
	says_not("SERVICE");
}
END_TEST

static Suite *screen_suite(void)
{
	Suite *suite = suite_create("screen");
	TCase *frames = tcase_create("frames"), *views = tcase_create("views");

	suite_add_tcase(suite, frames);
	tcase_set_timeout(frames, 30);
	tcase_add_checked_fixture(frames, begin, end);
	tcase_add_loop_test(frames, a_frame_is_never_larger_than_the_screen, 0, SIZE_COUNT);
	tcase_add_test(frames, the_screen_of_an_attack_tells_what_an_operator_looks_for);
	tcase_add_test(frames, rates_are_differences_over_time);
	tcase_add_test(frames, a_daemon_that_was_restarted_has_no_rates_yet);
	tcase_add_test(frames, a_bar_fills_up_to_the_limit_and_marks_where_the_service_is_armed);
	tcase_add_test(frames, only_a_terminal_that_knows_utf8_gets_it);
	tcase_add_test(frames, long_names_are_cut_and_the_cut_is_marked);
	tcase_add_test(frames, services_are_scrolled);
	tcase_add_test(frames, colours_are_told_by_escape_sequences_and_change_nothing_else);
	tcase_add_test(frames, help_and_pause_are_told);

	suite_add_tcase(suite, views);
	tcase_add_checked_fixture(views, begin, end);
	tcase_add_test(views, the_most_urgent_come_first);
	tcase_add_test(views, what_comes_from_outside_cannot_steer_the_terminal);
	tcase_add_test(views, an_answer_that_is_not_understood_is_a_trouble);
	tcase_add_test(views, a_daemon_that_went_away_is_told_above_what_is_old);
	tcase_add_test(views, events_are_lines_with_a_time_and_the_last_of_them);
	return suite;
}

int main(void)
{
	return unit_main(screen_suite());
}
