/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "face/event.h"

#include <inttypes.h>
#include <jansson.h>

#include "unit.h"

#define AT_NS UINT64_C(1795300200123456789) /* 2026-11-21T22:30:00.123Z */

static struct event event;
static char line[EVENT_LINE_BYTES];
static struct event_ring ring;
static char *written;
static size_t written_bytes;

/* The line as an object, which the caller gives back. */
static json_t *parsed(const char *text)
{
	json_error_t error;
	json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	ck_assert_msg(object != NULL, "%s in %s", error.text, text);
	return object;
}

static const char *string_of(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	ck_assert_msg(value != NULL, "no string %s", key);
	return value;
}

START_TEST(each_kind_has_a_name_a_message_id_a_level_and_a_meaning_of_its_own)
{
	enum event_kind kind = (enum event_kind)_i;

	ck_assert_uint_gt(strlen(event_name(kind)), 0);
	ck_assert_uint_eq(strspn(event_name(kind), "abcdefghijklmnopqrstuvwxyz-"), strlen(event_name(kind)));
	ck_assert_uint_eq(strspn(event_message_id(kind), "0123456789abcdef"), 32);
	ck_assert_uint_eq(strlen(event_message_id(kind)), 32);
	ck_assert_uint_gt(strlen(event_help(kind)), 0);
	ck_assert(event_level(kind) >= EVENT_ERROR && event_level(kind) <= EVENT_INFO);
	for (int other = 0; other < _i; other++) {
		ck_assert_str_ne(event_name((enum event_kind)other), event_name(kind));
		ck_assert_str_ne(event_message_id((enum event_kind)other), event_message_id(kind));
	}
}
END_TEST

START_TEST(each_kind_is_a_line_and_an_object)
{
	enum event_kind kind = (enum event_kind)_i;
	char expected[256];
	json_t *object;

	event_begin(&event, kind, "service %s %d%%", "web", 7);
	event_text(&event, "service", "web");
	event_number(&event, "syns", UINT64_MAX);
	event.run = 5;
	event.number = 3;
	event.realtime_ns = AT_NS;

	event_line_text(&event, line);
	snprintf(expected, sizeof(expected), "2026-11-21T22:30:00.123Z %s: service web 7%%\n", event_name(kind));
	ck_assert_str_eq(line, expected);

	event_line_json(&event, line);
	ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
	ck_assert_ptr_nonnull(strstr(line, "\"fields\":{\"service\":\"web\",\"syns\":18446744073709551615}}"));
	*strstr(line, "18446744073709551615") = ' '; /* more than jansson's integers hold */
	object = parsed(line);
	ck_assert_int_eq(json_integer_value(json_object_get(object, "format")), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(object, "run")), 5);
	ck_assert_int_eq(json_integer_value(json_object_get(object, "number")), 3);
	ck_assert_str_eq(string_of(object, "time"), "2026-11-21T22:30:00.123Z");
	ck_assert_str_eq(string_of(object, "event"), event_name(kind));
	ck_assert_str_eq(string_of(object, "level"), event_level_name(event_level(kind)));
	ck_assert_str_eq(string_of(object, "message_id"), event_message_id(kind));
	ck_assert_str_eq(string_of(object, "text"), "service web 7%");
	ck_assert_uint_eq(json_object_size(object), 9);
	json_decref(object);
}
END_TEST

START_TEST(an_event_without_fields_is_an_object_as_well)
{
	json_t *object;

	event_begin(&event, EVENT_STOPPED, "stopped");
	event_line_json(&event, line);
	object = parsed(line);
	ck_assert_uint_eq(json_object_size(json_object_get(object, "fields")), 0);
	ck_assert(json_is_object(json_object_get(object, "fields")));
	json_decref(object);
}
END_TEST

START_TEST(quotes_and_backslashes_are_escaped)
{
	json_t *object;

	event_begin(&event, EVENT_ORDER, "%s", "say \"\\\"");
	event_text(&event, "service", "\\\"\\");
	event_line_json(&event, line);
	object = parsed(line);
	ck_assert_str_eq(string_of(object, "text"), "say \"\\\"");
	ck_assert_str_eq(string_of(json_object_get(object, "fields"), "service"), "\\\"\\");
	json_decref(object);
}
END_TEST

static const struct {
	const char *from, *becomes;
} strings[] = {
	{"", ""},
	{"plain", "plain"},
	{"two\nlines\r\n\tand \x7f", "two?lines???and ?"},
	{"\x1b[31mred", "?[31mred"},
	{"Zürich €  \xf0\x9f\x98\x80", "Zürich €  \xf0\x9f\x98\x80"},
	{"\xc2\x85 next line", "? next line"},
	{"\xe2\x80\xa8 \xe2\x80\xa9", "? ?"},
	{"\xe2\x80\xa7 \xe2\x80\xaa", "\xe2\x80\xa7 \xe2\x80\xaa"},
	{"latin1 \xfc.", "latin1 ?."},
	{"cut \xe2\x82", "cut ??"},
	{"\xe2\x82.", "??."},
	{"long \xc0\xaf", "long ??"},
	{"\xe0\x80\xaf", "???"},
	{"surrogate \xed\xa0\x80", "surrogate ???"},
	{"beyond \xf4\x90\x80\x80", "beyond ????"},
	{"\xf5\x80\x80\x80\xff\xfe", "??????"},
	{"\x80\xbf", "??"},
};

START_TEST(what_is_no_character_or_controls_becomes_a_question_mark)
{
	json_t *object;

	event_begin(&event, EVENT_ORDER, "%s", strings[_i].from);
	event_text(&event, "service", strings[_i].from);
	ck_assert_str_eq(event.text, strings[_i].becomes);
	ck_assert_str_eq(event.fields[0].value, strings[_i].becomes);
	event_line_json(&event, line);
	object = parsed(line); /* it refuses what is no UTF-8 */
	ck_assert_str_eq(string_of(object, "text"), strings[_i].becomes);
	json_decref(object);
	event_line_text(&event, line);
	ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
}
END_TEST

START_TEST(what_is_too_long_is_cut_between_two_characters)
{
	char text[3 * EVENT_TEXT_BYTES + 1] = "";

	for (int i = 0; i < EVENT_TEXT_BYTES; i++)
		strcat(text, "€");
	event_begin(&event, EVENT_ORDER, "%s", text);
	ck_assert_uint_eq(strlen(event.text), (EVENT_TEXT_BYTES - 1) / 3 * 3);
	event_text(&event, "service", text);
	ck_assert_uint_eq(strlen(event.fields[0].value), (EVENT_VALUE_BYTES - 1) / 3 * 3);
	event_text(&event, "service", text + 3 * (EVENT_TEXT_BYTES - 1));
	ck_assert_str_eq(event.fields[1].value, "€");
}
END_TEST

START_TEST(a_field_too_many_is_left_out_and_the_longest_event_fits)
{
	char text[EVENT_TEXT_BYTES];
	json_t *object, *fields;
	char names[EVENT_FIELDS_MAX + 1][EVENT_NAME_BYTES];

	memset(text, '"', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	event_begin(&event, EVENT_HALF_OPEN_UNCOUNTED, "%s", text);
	for (int i = 0; i <= EVENT_FIELDS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "a_name_of_23_bytes___%02u", (unsigned)i % 100);
		event_text(&event, names[i], text);
	}
	event.run = event.number = event.realtime_ns = UINT64_MAX >> 1;
	event_line_json(&event, line);
	ck_assert_uint_lt(strlen(line), EVENT_LINE_BYTES);
	ck_assert_uint_gt(strlen(line), 2 * EVENT_TEXT_BYTES + EVENT_FIELDS_MAX * 2 * (EVENT_VALUE_BYTES - 1));
	object = parsed(line);
	ck_assert_str_eq(string_of(object, "text"), text);
	fields = json_object_get(object, "fields");
	ck_assert_uint_eq(json_object_size(fields), EVENT_FIELDS_MAX);
	ck_assert_uint_eq(strlen(string_of(fields, names[EVENT_FIELDS_MAX - 1])), EVENT_VALUE_BYTES - 1);
	ck_assert_ptr_null(json_object_get(fields, names[EVENT_FIELDS_MAX]));
	json_decref(object);
	event_line_text(&event, line);
	ck_assert_uint_lt(strlen(line), EVENT_LINE_BYTES);
}
END_TEST

/* ---- the last ones ---- */

static void ring_empty(void)
{
	memset(&ring, 0, sizeof(ring));
	written = NULL;
}

static void ring_done(void)
{
	free(written);
}

static void add(unsigned from, unsigned to)
{
	for (unsigned i = from; i <= to; i++) {
		const struct event *kept;

		event_begin(&event, EVENT_ORDER, "order %u", i);
		kept = event_ring_add(&ring, &event, AT_NS + i);
		ck_assert_uint_eq(kept->number, i);
		ck_assert_uint_eq(kept->realtime_ns, AT_NS + i);
		ck_assert_uint_eq(kept->run, (AT_NS + 1) / 1000000);
	}
}

static void write_ring(unsigned last, bool json, bool follow)
{
	FILE *out;

	free(written);
	out = open_memstream(&written, &written_bytes);
	event_ring_write(&ring, last, json, follow, out);
	fclose(out);
}

/* Whether the lines are orders `from` to `to`, as text or as objects. */
static void check_lines(bool json, unsigned from, unsigned to)
{
	char *at = written;

	for (unsigned i = from; i <= to; i++) {
		char expected[128], *end = strchr(at, '\n');

		ck_assert_ptr_nonnull(end);
		*end = '\0';
		if (json) {
			json_t *object = parsed(at);

			ck_assert_int_eq(json_integer_value(json_object_get(object, "number")), i);
			json_decref(object);
		} else {
			snprintf(expected, sizeof(expected), "2026-11-21T22:30:00.123Z order: order %u", i);
			ck_assert_str_eq(at, expected);
		}
		at = end + 1;
	}
	ck_assert_str_eq(at, "");
}

START_TEST(the_ring_keeps_the_last_ones_in_their_order)
{
	add(1, 3);
	write_ring(20, false, false);
	check_lines(false, 1, 3);
	write_ring(2, false, false);
	check_lines(false, 2, 3);
	add(4, EVENT_RING);
	write_ring(EVENT_RING, false, false);
	check_lines(false, 1, EVENT_RING);
	add(EVENT_RING + 1, 3 * EVENT_RING + 7);
	write_ring(EVENT_RING, true, true);
	check_lines(true, 2 * EVENT_RING + 8, 3 * EVENT_RING + 7);
	write_ring(1, false, true);
	check_lines(false, 3 * EVENT_RING + 7, 3 * EVENT_RING + 7);
}
END_TEST

START_TEST(as_json_they_are_one_object)
{
	json_t *object, *events, *item;
	size_t i;

	for (unsigned count = 0; count <= 3; count += 1 + count) {
		memset(&ring, 0, sizeof(ring));
		add(1, count);
		write_ring(20, true, false);
		object = parsed(written);
		ck_assert_int_eq(json_integer_value(json_object_get(object, "format")), 1);
		events = json_object_get(object, "events");
		ck_assert_uint_eq(json_array_size(events), count);
		json_array_foreach(events, i, item)
			ck_assert_uint_eq(json_integer_value(json_object_get(item, "number")), i + 1);
		json_decref(object);
	}
}
END_TEST

START_TEST(none_is_said_so_but_not_to_a_follower)
{
	write_ring(20, false, false);
	ck_assert_str_eq(written, "no events\n");
	write_ring(20, false, true);
	ck_assert_str_eq(written, "");
	write_ring(20, true, true);
	ck_assert_str_eq(written, "");
	add(1, 2);
	write_ring(0, false, true);
	ck_assert_str_eq(written, "");
}
END_TEST

static Suite *event_suite(void)
{
	Suite *suite = suite_create("event");
	TCase *one = tcase_create("one"), *last = tcase_create("last");

	suite_add_tcase(suite, one);
	tcase_add_loop_test(one, each_kind_has_a_name_a_message_id_a_level_and_a_meaning_of_its_own, 0,
			    EVENT_KIND_COUNT);
	tcase_add_loop_test(one, each_kind_is_a_line_and_an_object, 0, EVENT_KIND_COUNT);
	tcase_add_test(one, an_event_without_fields_is_an_object_as_well);
	tcase_add_test(one, quotes_and_backslashes_are_escaped);
	tcase_add_loop_test(one, what_is_no_character_or_controls_becomes_a_question_mark, 0,
			    sizeof(strings) / sizeof(strings[0]));
	tcase_add_test(one, what_is_too_long_is_cut_between_two_characters);
	tcase_add_test(one, a_field_too_many_is_left_out_and_the_longest_event_fits);

	suite_add_tcase(suite, last);
	tcase_add_checked_fixture(last, ring_empty, ring_done);
	tcase_add_test(last, the_ring_keeps_the_last_ones_in_their_order);
	tcase_add_test(last, as_json_they_are_one_object);
	tcase_add_test(last, none_is_said_so_but_not_to_a_follower);
	return suite;
}

int main(void)
{
	return unit_main(event_suite());
}
