/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/cidr.h"

#include "wire.h"

static struct cidr_list list;
static struct cidr_range ranges[CIDR_LIST_MAX];
static char why[CIDR_WHY_BYTES];

static void make(void)
{
	memset(&list, 0, sizeof(list));
}

static struct cidr net(const char *text)
{
	struct cidr cidr;

	if (!cidr_parse(text, &cidr, why))
		ck_abort_msg("%s: %s", text, why);
	return cidr;
}

static enum cidr_change add(const char *text)
{
	struct cidr cidr = net(text);

	return cidr_list_add(&list, &cidr);
}

static enum cidr_change del(const char *text)
{
	struct cidr cidr = net(text);

	return cidr_list_del(&list, &cidr);
}

static bool holds(const char *cidr, const char *text)
{
	struct cidr network = net(cidr);
	struct addr addr = address(text);

	return cidr_contains(&network, &addr);
}

static bool listed(const char *text, const char *expected)
{
	struct addr addr = address(text);
	struct cidr which;
	char found[CIDR_TEXT_BYTES];

	if (!cidr_list_contains(&list, &addr, &which))
		return false;
	cidr_text(&which, found);
	ck_assert_str_eq(found, expected);
	return true;
}

/* The n-th of many networks that do not touch. */
static struct cidr nth(bool v6, uint32_t n)
{
	struct addr addr = host(v6, 2 * n);

	return cidr_of(&addr, 128);
}

static void fill(void)
{
	for (uint32_t n = 0; n < CIDR_LIST_MAX; n++) {
		struct cidr cidr = nth(n % 2, CIDR_LIST_MAX - n);

		must(cidr_list_add(&list, &cidr) == CIDR_CHANGED);
	}
}

/* "first-last first-last" */
static void check_ranges(bool v6, const char *expected)
{
	size_t count = cidr_list_ranges(&list, v6, ranges, CIDR_LIST_MAX);
	char text[1024] = "";
	size_t used = 0;

	for (size_t i = 0; i < count; i++) {
		struct cidr first = {ranges[i].first, 128}, last = {ranges[i].last, 128};
		char from[CIDR_TEXT_BYTES], to[CIDR_TEXT_BYTES];

		cidr_text(&first, from);
		cidr_text(&last, to);
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s-%s", i ? " " : "", from, to);
	}
	ck_assert_str_eq(text, expected);
}

/* ---- text ---- */

START_TEST(a_network_reads_back_as_it_was_written)
{
	static const char *const texts[] = {"192.0.2.0/24", "0.0.0.0/0",     "10.0.0.0/8",    "192.0.2.128/31",
					    "192.0.2.1",    "2001:db8::/32", "::/0",          "2001:db8::1",
					    "::/1",         "fe80::/10",     "::fffe:0:0/95", "255.255.255.255"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct cidr cidr = net(texts[i]);
		char text[CIDR_TEXT_BYTES];

		ck_assert_str_eq(why, "");
		cidr_text(&cidr, text);
		ck_assert_str_eq(text, texts[i]);
	}
}
END_TEST

START_TEST(an_address_is_the_network_of_itself)
{
	struct cidr v4 = net("192.0.2.1"), v4_long = net("192.0.2.1/32");
	struct cidr v6 = net("2001:db8::1"), v6_long = net("2001:db8::1/128");

	ck_assert(cidr_equal(&v4, &v4_long));
	ck_assert(cidr_equal(&v6, &v6_long));
	ck_assert_uint_eq(v4.bits, 128);
}
END_TEST

START_TEST(the_bits_of_ipv4_count_from_the_mapped_96)
{
	ck_assert_uint_eq(net("0.0.0.0/0").bits, 96);
	ck_assert_uint_eq(net("192.0.2.0/24").bits, 120);
	ck_assert_uint_eq(net("::/0").bits, 0);
}
END_TEST

START_TEST(the_longest_text_fits)
{
	struct cidr cidr = net("1111:2222:3333:4444:5555:6666:7777:8888/128");
	char text[CIDR_TEXT_BYTES];

	cidr_text(&cidr, text);
	ck_assert_str_eq(text, "1111:2222:3333:4444:5555:6666:7777:8888");
	cidr = net("1111:2222:3333:4444:5555:6666:255.255.255.254/127");
	cidr_text(&cidr, text);
	ck_assert_str_eq(text, "1111:2222:3333:4444:5555:6666:ffff:fffe/127");
}
END_TEST

static const struct {
	const char *text, *why;
} bad[] = {
	{"", "neither an address nor a network such as 192.0.2.0/24 or 2001:db8::/32"},
	{"/24", "neither an address nor a network such as 192.0.2.0/24 or 2001:db8::/32"},
	{"example.org", "neither an address nor a network such as 192.0.2.0/24 or 2001:db8::/32"},
	{" 192.0.2.1", "neither an address nor a network such as 192.0.2.0/24 or 2001:db8::/32"},
	{"192.0.2.0 /24", "neither an address nor a network such as 192.0.2.0/24 or 2001:db8::/32"},
	{"192.0.02.0/24", "neither an address nor a network such as 192.0.2.0/24 or 2001:db8::/32"},
	{"192.0.2/24", "neither an address nor a network such as 192.0.2.0/24 or 2001:db8::/32"},
	{"192.0.2.256", "neither an address nor a network such as 192.0.2.0/24 or 2001:db8::/32"},
	{"fe80::1%eth0", "neither an address nor a network such as 192.0.2.0/24 or 2001:db8::/32"},
	{"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb/64",
	 "neither an address nor a network such as 192.0.2.0/24 or 2001:db8::/32"},
	{"192.0.2.0/", "the prefix length is a number from 0 to 32"},
	{"192.0.2.0/33", "the prefix length is a number from 0 to 32"},
	{"192.0.2.0/024", "the prefix length is a number from 0 to 32"},
	{"0.0.0.0/00", "the prefix length is a number from 0 to 32"},
	{"192.0.2.0/+24", "the prefix length is a number from 0 to 32"},
	{"192.0.2.0/-1", "the prefix length is a number from 0 to 32"},
	{"192.0.2.0/24 ", "the prefix length is a number from 0 to 32"},
	{"192.0.2.0/24/24", "the prefix length is a number from 0 to 32"},
	{"192.0.2.0/255.255.255.0", "the prefix length is a number from 0 to 32"},
	{"192.0.2.0/4294967320", "the prefix length is a number from 0 to 32"},
	{"2001:db8::/129", "the prefix length is a number from 0 to 128"},
	{"192.0.2.1/24", "host bits are set: did you mean 192.0.2.0/24?"},
	{"192.0.2.1/0", "host bits are set: did you mean 0.0.0.0/0?"},
	{"192.0.2.1/31", "host bits are set: did you mean 192.0.2.0/31?"},
	{"2001:db8::1/64", "host bits are set: did you mean 2001:db8::/64?"},
	{"::1/0", "host bits are set: did you mean ::/0?"},
	{"::ffff:192.0.2.0/120", "IPv4 within IPv6: write it as IPv4, 192.0.2.0"},
	{"::ffff:c000:201", "IPv4 within IPv6: write it as IPv4, 192.0.2.1"},
};

START_TEST(text_that_is_no_network_is_refused_with_the_reason)
{
	struct cidr before = net("198.51.100.0/24"), out = before;

	ck_assert(!cidr_parse(bad[_i].text, &out, why));
	ck_assert_str_eq(why, bad[_i].why);
	ck_assert(cidr_equal(&out, &before));
}
END_TEST

/* ---- networks ---- */

START_TEST(a_network_holds_its_first_and_last_address_and_no_neighbour)
{
	ck_assert(holds("192.0.2.64/26", "192.0.2.64"));
	ck_assert(holds("192.0.2.64/26", "192.0.2.127"));
	ck_assert(!holds("192.0.2.64/26", "192.0.2.63"));
	ck_assert(!holds("192.0.2.64/26", "192.0.2.128"));
	ck_assert(holds("2001:db8::/33", "2001:db8::"));
	ck_assert(holds("2001:db8::/33", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"));
	ck_assert(!holds("2001:db8::/33", "2001:db8:8000::"));
	ck_assert(!holds("2001:db8::/33", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff"));
}
END_TEST

START_TEST(zero_bits_hold_one_whole_family_and_none_of_the_other)
{
	ck_assert(holds("0.0.0.0/0", "0.0.0.0"));
	ck_assert(holds("0.0.0.0/0", "255.255.255.255"));
	ck_assert(!holds("0.0.0.0/0", "::"));
	ck_assert(!holds("0.0.0.0/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
	ck_assert(holds("::/0", "::"));
	ck_assert(holds("::/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
	ck_assert(!holds("::/0", "0.0.0.0"));
	ck_assert(!holds("::/0", "192.0.2.1"));
	ck_assert(!holds("::/64", "192.0.2.1"));
}
END_TEST

START_TEST(all_bits_hold_one_address)
{
	ck_assert(holds("192.0.2.1/32", "192.0.2.1"));
	ck_assert(!holds("192.0.2.1/32", "192.0.2.0"));
	ck_assert(holds("2001:db8::1/128", "2001:db8::1"));
	ck_assert(!holds("2001:db8::1/128", "2001:db8::"));
}
END_TEST

START_TEST(networks_that_differ_in_length_alone_are_not_equal)
{
	struct cidr wide = net("192.0.2.0/24"), narrow = net("192.0.2.0/25"), v4 = net("0.0.0.0/0"), v6 = net("::/0");

	ck_assert(cidr_equal(&wide, &wide));
	ck_assert(!cidr_equal(&wide, &narrow));
	ck_assert(!cidr_equal(&v4, &v6));
}
END_TEST

/* ---- lists ---- */

START_TEST(an_empty_list_holds_nobody)
{
	ck_assert(!listed("192.0.2.1", ""));
	ck_assert_uint_eq(cidr_list_ranges(&list, false, ranges, CIDR_LIST_MAX), 0);
	ck_assert_uint_eq(cidr_list_ranges(&list, true, ranges, CIDR_LIST_MAX), 0);
}
END_TEST

START_TEST(the_smallest_network_that_holds_an_address_is_named)
{
	add("10.1.0.0/16");
	add("10.0.0.0/8");
	add("10.1.2.3");
	add("10.1.2.0/24");
	add("0.0.0.0/0");
	add("::/0");
	ck_assert(listed("10.1.2.3", "10.1.2.3"));
	ck_assert(listed("10.1.2.4", "10.1.2.0/24"));
	ck_assert(listed("10.1.3.4", "10.1.0.0/16"));
	ck_assert(listed("10.2.3.4", "10.0.0.0/8"));
	ck_assert(listed("11.2.3.4", "0.0.0.0/0"));
	ck_assert(listed("2001:db8::1", "::/0"));
}
END_TEST

START_TEST(who_holds_an_address_need_not_be_asked_for)
{
	struct addr addr = address("192.0.2.1");

	add("192.0.2.0/24");
	ck_assert(cidr_list_contains(&list, &addr, NULL));
}
END_TEST

START_TEST(entries_are_sorted_a_wider_one_before_those_within_it)
{
	static const char *const sorted[] = {"::/0", "10.0.0.0/8", "10.0.0.0/24", "10.0.1.0/24", "2001:db8::/32"};

	add("2001:db8::/32");
	add("10.0.1.0/24");
	add("10.0.0.0/24");
	add("::/0");
	add("10.0.0.0/8");
	ck_assert_uint_eq(list.count, 5);
	for (size_t i = 0; i < list.count; i++) {
		char text[CIDR_TEXT_BYTES];

		cidr_text(&list.entries[i].cidr, text);
		ck_assert_str_eq(text, sorted[i]);
	}
}
END_TEST

START_TEST(an_entry_added_twice_is_there_once)
{
	ck_assert_int_eq(add("192.0.2.0/24"), CIDR_CHANGED);
	ck_assert_int_eq(add("192.0.2.0/24"), CIDR_UNCHANGED);
	ck_assert_int_eq(add("192.0.2.0/25"), CIDR_CHANGED);
	ck_assert_uint_eq(list.count, 2);
}
END_TEST

START_TEST(an_entry_removed_is_gone_and_those_around_it_stay)
{
	add("192.0.2.0/24");
	add("192.0.2.1");
	add("192.0.2.2");
	ck_assert_int_eq(del("192.0.2.1"), CIDR_CHANGED);
	ck_assert_int_eq(del("192.0.2.1"), CIDR_UNKNOWN);
	ck_assert_uint_eq(list.count, 2);
	ck_assert(listed("192.0.2.1", "192.0.2.0/24"));
	ck_assert(listed("192.0.2.2", "192.0.2.2"));
}
END_TEST

START_TEST(part_of_an_entry_cannot_be_removed)
{
	add("192.0.2.0/24");
	ck_assert_int_eq(del("192.0.2.1"), CIDR_UNKNOWN);
	ck_assert_int_eq(del("192.0.0.0/16"), CIDR_UNKNOWN);
	ck_assert_uint_eq(list.count, 1);
}
END_TEST

START_TEST(the_last_entry_can_be_removed_from_a_full_list)
{
	fill();
	struct cidr last = list.entries[CIDR_LIST_MAX - 1].cidr;

	ck_assert_int_eq(cidr_list_del(&list, &last), CIDR_CHANGED);
	ck_assert_int_eq(cidr_list_del(&list, &last), CIDR_UNKNOWN);
	ck_assert_uint_eq(list.count, CIDR_LIST_MAX - 1);
}
END_TEST

START_TEST(a_full_list_takes_no_more_and_keeps_what_it_has)
{
	fill();
	ck_assert_int_eq(add("192.0.2.0/24"), CIDR_FULL);
	ck_assert_uint_eq(list.count, CIDR_LIST_MAX);
	for (uint32_t n = 0; n < CIDR_LIST_MAX; n++) {
		struct cidr cidr = nth(n % 2, CIDR_LIST_MAX - n);

		must(cidr_list_contains(&list, &cidr.net, NULL));
		must(cidr_list_add(&list, &cidr) == CIDR_UNCHANGED);
	}
}
END_TEST

START_TEST(a_configured_entry_cannot_be_removed)
{
	struct cidr cidr = net("192.0.2.0/24");

	ck_assert(cidr_list_configure(&list, &cidr, 1));
	ck_assert_int_eq(del("192.0.2.0/24"), CIDR_CONFIGURED);
	ck_assert(listed("192.0.2.1", "192.0.2.0/24"));
}
END_TEST

START_TEST(a_configured_entry_that_was_also_added_goes_when_both_are_gone)
{
	struct cidr cidr = net("192.0.2.0/24");

	ck_assert(cidr_list_configure(&list, &cidr, 1));
	ck_assert_int_eq(add("192.0.2.0/24"), CIDR_UNCHANGED);
	ck_assert(list.entries[0].configured && list.entries[0].live);
	ck_assert(cidr_list_configure(&list, NULL, 0));
	ck_assert(!list.entries[0].configured && list.entries[0].live);
	ck_assert_int_eq(del("192.0.2.0/24"), CIDR_CHANGED);
	ck_assert_uint_eq(list.count, 0);

	ck_assert(cidr_list_configure(&list, &cidr, 1));
	add("192.0.2.0/24");
	ck_assert_int_eq(del("192.0.2.0/24"), CIDR_STILL_CONFIGURED);
	ck_assert_int_eq(del("192.0.2.0/24"), CIDR_CONFIGURED);
	ck_assert(cidr_list_configure(&list, NULL, 0));
	ck_assert_uint_eq(list.count, 0);
}
END_TEST

START_TEST(a_new_configuration_replaces_the_old_and_spares_what_was_added)
{
	struct cidr before[] = {net("192.0.2.0/24"), net("198.51.100.0/24")};
	struct cidr after[] = {net("203.0.113.0/24"), net("198.51.100.0/24"), net("203.0.113.0/24")};

	ck_assert(cidr_list_configure(&list, before, 2));
	add("2001:db8::/32");
	ck_assert(cidr_list_configure(&list, after, 3));
	ck_assert_uint_eq(list.count, 3);
	ck_assert(!listed("192.0.2.1", ""));
	ck_assert(listed("198.51.100.1", "198.51.100.0/24"));
	ck_assert(listed("203.0.113.1", "203.0.113.0/24"));
	ck_assert(listed("2001:db8::1", "2001:db8::/32"));
}
END_TEST

START_TEST(a_configuration_that_does_not_fit_changes_nothing)
{
	static struct cidr many[CIDR_LIST_MAX];
	struct cidr kept = net("192.0.2.0/24");

	ck_assert(cidr_list_configure(&list, &kept, 1));
	add("2001:db8::/32");
	for (uint32_t n = 0; n < CIDR_LIST_MAX; n++)
		many[n] = nth(false, n);
	ck_assert(!cidr_list_configure(&list, many, CIDR_LIST_MAX));
	ck_assert_uint_eq(list.count, 2);
	ck_assert(listed("192.0.2.1", "192.0.2.0/24") && list.entries[0].configured);
	ck_assert(listed("2001:db8::1", "2001:db8::/32") && list.entries[1].live);

	ck_assert(cidr_list_configure(&list, many, CIDR_LIST_MAX - 1));
	ck_assert_uint_eq(list.count, CIDR_LIST_MAX);
}
END_TEST

START_TEST(a_full_list_can_be_configured_again)
{
	static struct cidr many[CIDR_LIST_MAX];

	for (uint32_t n = 0; n < CIDR_LIST_MAX; n++)
		many[n] = nth(n % 2, n);
	ck_assert(cidr_list_configure(&list, many, CIDR_LIST_MAX));
	ck_assert(cidr_list_configure(&list, many, CIDR_LIST_MAX));
	ck_assert_uint_eq(list.count, CIDR_LIST_MAX);
}
END_TEST

/* ---- ranges ---- */

START_TEST(neighbours_become_one_range)
{
	add("10.0.0.128/25");
	add("10.0.0.0/25");
	add("10.0.1.0/24");
	add("2001:db8:0:1::/64");
	add("2001:db8::/64");
	check_ranges(false, "10.0.0.0-10.0.1.255");
	check_ranges(true, "2001:db8::-2001:db8:0:1:ffff:ffff:ffff:ffff");
}
END_TEST

START_TEST(a_gap_of_one_address_parts_two_ranges)
{
	add("10.0.0.0");
	add("10.0.0.2");
	add("2001:db8::");
	add("2001:db8::2");
	check_ranges(false, "10.0.0.0-10.0.0.0 10.0.0.2-10.0.0.2");
	check_ranges(true, "2001:db8::-2001:db8:: 2001:db8::2-2001:db8::2");
}
END_TEST

START_TEST(what_lies_within_another_adds_no_range)
{
	add("10.0.0.0/8");
	add("10.0.0.0/24");
	add("10.200.0.0/16");
	add("10.200.3.4");
	add("10.255.255.255");
	add("11.0.0.0");
	check_ranges(false, "10.0.0.0-11.0.0.0");
}
END_TEST

START_TEST(a_whole_family_is_one_range_and_none_of_the_other)
{
	add("0.0.0.0/0");
	check_ranges(false, "0.0.0.0-255.255.255.255");
	check_ranges(true, "");
	add("::/0");
	check_ranges(false, "0.0.0.0-255.255.255.255");
	check_ranges(true, "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	del("0.0.0.0/0");
	check_ranges(false, "");
}
END_TEST

START_TEST(what_comes_after_a_whole_family_lies_within_it)
{
	add("0.0.0.0/0");
	add("192.0.2.0/24");
	add("255.255.255.255");
	add("::/0");
	add("::");
	add("ffff::/16");
	add("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	check_ranges(false, "0.0.0.0-255.255.255.255");
	check_ranges(true, "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}
END_TEST

START_TEST(two_halves_are_a_whole_family)
{
	add("128.0.0.0/1");
	add("0.0.0.0/1");
	add("8000::/1");
	add("::/1");
	check_ranges(false, "0.0.0.0-255.255.255.255");
	check_ranges(true, "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}
END_TEST

START_TEST(the_last_address_is_a_range_like_any_other)
{
	add("255.255.255.255");
	add("255.255.255.0/25");
	add("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	add("ffff::");
	check_ranges(false, "255.255.255.0-255.255.255.127 255.255.255.255-255.255.255.255");
	check_ranges(true,
		     "ffff::-ffff:: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}
END_TEST

START_TEST(the_ranges_of_both_families_are_apart_where_they_touch_in_storage)
{
	add("::fffe:0:0/96");
	add("0.0.0.0");
	add("255.255.255.255");
	add("::1:0:0:0");
	check_ranges(false, "0.0.0.0-0.0.0.0 255.255.255.255-255.255.255.255");
	check_ranges(true, "::fffe:0:0-::fffe:ffff:ffff ::1:0:0:0-::1:0:0:0");
}
END_TEST

START_TEST(a_full_list_has_as_many_ranges_as_entries)
{
	fill();
	ck_assert_uint_eq(cidr_list_ranges(&list, false, ranges, CIDR_LIST_MAX), CIDR_LIST_MAX / 2);
	ck_assert_uint_eq(cidr_list_ranges(&list, true, ranges, CIDR_LIST_MAX), CIDR_LIST_MAX / 2);
	for (size_t i = 1; i < CIDR_LIST_MAX / 2; i++)
		must(memcmp(&ranges[i - 1].last, &ranges[i].first, sizeof(struct addr)) < 0);
}
END_TEST

START_TEST(no_more_ranges_are_written_than_there_is_room_for)
{
	add("10.0.0.0");
	add("10.0.0.2");
	add("10.0.0.4");
	memset(ranges, 0, sizeof(ranges));
	ck_assert_uint_eq(cidr_list_ranges(&list, false, ranges, 2), 2);
	ck_assert(!addr_is_v4(&ranges[2].first));
	ck_assert_uint_eq(cidr_list_ranges(&list, false, ranges, 0), 0);
}
END_TEST

/* Against the plainest way to say it: an address is in a range if and only if it is in a network. */
START_TEST(an_address_is_in_a_range_if_it_is_in_a_network)
{
	uint64_t random = 7;

	for (unsigned round = 0; round < 200; round++) {
		make();
		for (unsigned n = 0; n < 12; n++) {
			uint8_t wire[4] = {10, 0, 0, (uint8_t)random_below(&random, 256)};
			struct addr addr = addr_from_v4(wire);
			struct cidr cidr = cidr_of(&addr, (uint8_t)(122 + random_below(&random, 7)));

			cidr_list_add(&list, &cidr);
		}
		size_t count = cidr_list_ranges(&list, false, ranges, CIDR_LIST_MAX);

		for (unsigned last = 0; last < 256; last++) {
			uint8_t wire[4] = {10, 0, 0, (uint8_t)last};
			struct addr addr = addr_from_v4(wire);
			bool within = false;

			for (size_t i = 0; i < count; i++)
				within |= memcmp(&ranges[i].first, &addr, sizeof(addr)) <= 0 &&
					  memcmp(&ranges[i].last, &addr, sizeof(addr)) >= 0;
			must(within == cidr_list_contains(&list, &addr, NULL));
		}
	}
}
END_TEST

static void add_tests_of_lists(TCase *lists)
{
	tcase_add_checked_fixture(lists, make, NULL);
	tcase_add_test(lists, an_empty_list_holds_nobody);
	tcase_add_test(lists, the_smallest_network_that_holds_an_address_is_named);
	tcase_add_test(lists, who_holds_an_address_need_not_be_asked_for);
	tcase_add_test(lists, entries_are_sorted_a_wider_one_before_those_within_it);
	tcase_add_test(lists, an_entry_added_twice_is_there_once);
	tcase_add_test(lists, an_entry_removed_is_gone_and_those_around_it_stay);
	tcase_add_test(lists, part_of_an_entry_cannot_be_removed);
	tcase_add_test(lists, the_last_entry_can_be_removed_from_a_full_list);
	tcase_add_test(lists, a_full_list_takes_no_more_and_keeps_what_it_has);
	tcase_add_test(lists, a_configured_entry_cannot_be_removed);
	tcase_add_test(lists, a_configured_entry_that_was_also_added_goes_when_both_are_gone);
	tcase_add_test(lists, a_new_configuration_replaces_the_old_and_spares_what_was_added);
	tcase_add_test(lists, a_configuration_that_does_not_fit_changes_nothing);
	tcase_add_test(lists, a_full_list_can_be_configured_again);
}

static void add_tests_of_ranges(TCase *in_ranges)
{
	tcase_add_checked_fixture(in_ranges, make, NULL);
	tcase_add_test(in_ranges, neighbours_become_one_range);
	tcase_add_test(in_ranges, a_gap_of_one_address_parts_two_ranges);
	tcase_add_test(in_ranges, what_lies_within_another_adds_no_range);
	tcase_add_test(in_ranges, a_whole_family_is_one_range_and_none_of_the_other);
	tcase_add_test(in_ranges, what_comes_after_a_whole_family_lies_within_it);
	tcase_add_test(in_ranges, two_halves_are_a_whole_family);
	tcase_add_test(in_ranges, the_last_address_is_a_range_like_any_other);
	tcase_add_test(in_ranges, the_ranges_of_both_families_are_apart_where_they_touch_in_storage);
	tcase_add_test(in_ranges, a_full_list_has_as_many_ranges_as_entries);
	tcase_add_test(in_ranges, no_more_ranges_are_written_than_there_is_room_for);
	tcase_add_test(in_ranges, an_address_is_in_a_range_if_it_is_in_a_network);
}

static Suite *cidr_suite(void)
{
	Suite *suite = suite_create("cidr");
	TCase *text = tcase_create("text");
	TCase *networks = tcase_create("networks");
	TCase *lists = tcase_create("lists");
	TCase *in_ranges = tcase_create("ranges");

	suite_add_tcase(suite, text);
	tcase_add_test(text, a_network_reads_back_as_it_was_written);
	tcase_add_test(text, an_address_is_the_network_of_itself);
	tcase_add_test(text, the_bits_of_ipv4_count_from_the_mapped_96);
	tcase_add_test(text, the_longest_text_fits);
	tcase_add_loop_test(text, text_that_is_no_network_is_refused_with_the_reason, 0, sizeof(bad) / sizeof(bad[0]));

	suite_add_tcase(suite, networks);
	tcase_add_test(networks, a_network_holds_its_first_and_last_address_and_no_neighbour);
	tcase_add_test(networks, zero_bits_hold_one_whole_family_and_none_of_the_other);
	tcase_add_test(networks, all_bits_hold_one_address);
	tcase_add_test(networks, networks_that_differ_in_length_alone_are_not_equal);

	suite_add_tcase(suite, lists);
	add_tests_of_lists(lists);
	suite_add_tcase(suite, in_ranges);
	add_tests_of_ranges(in_ranges);
	return suite;
}

int main(void)
{
	return unit_main(cidr_suite());
}
