/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/proc_text.h"

#include "unit.h"

START_TEST(capabilities_in_effect_are_those_of_their_line)
{
	uint64_t effective = 0;

	ck_assert(proc_capabilities("Name:\tx\nCapInh:\t0000000000000001\nCapPrm:\t0000000000000002\n"
				    "CapEff:\t0000000000003000\nCapBnd:\t000001ffffffffff\n",
				    &effective));
	ck_assert_uint_eq(effective, 0x3000);
	ck_assert(proc_capabilities("CapEff:\t000001ffffffffff", &effective));
	ck_assert_uint_eq(effective, 0x1ffffffffff);
}
END_TEST

START_TEST(capabilities_that_are_not_told_are_not_known)
{
	uint64_t effective;

	ck_assert(!proc_capabilities("", &effective));
	ck_assert(!proc_capabilities("Name:\tCapEff:\nCapBnd:\t1\n", &effective));
	ck_assert(!proc_capabilities("CapEff:", &effective));
	ck_assert(!proc_capabilities("CapEff:\tnone\n", &effective));
}
END_TEST

/* As the kernel writes them. */
#define QUEUES \
	"   99  12345     0 2 65535     0     0        0  1\n" \
	"  102  12345     0 2 65535     0     0        0  1\n" \
	"  101 -54321     0 2 65535     0     0        0  1\n" \
	"65535  12345     0 2 65535     0     0        0  1\n"

START_TEST(queues_bound_are_counted_within_the_range_alone)
{
	unsigned which = 0;

	ck_assert_uint_eq(proc_queues_bound(QUEUES, 100, 103, &which), 2);
	ck_assert_uint_eq(which, 101);
	ck_assert_uint_eq(proc_queues_bound(QUEUES, 99, 99, &which), 1);
	ck_assert_uint_eq(which, 99);
	ck_assert_uint_eq(proc_queues_bound(QUEUES, 65000, 65535, &which), 1);
	ck_assert_uint_eq(which, 65535);
	ck_assert_uint_eq(proc_queues_bound(QUEUES, 103, 65534, &which), 0);
	ck_assert_uint_eq(proc_queues_bound(QUEUES, 0, 98, &which), 0);
}
END_TEST

START_TEST(queues_of_an_empty_or_odd_text_are_none)
{
	unsigned which;

	ck_assert_uint_eq(proc_queues_bound("", 0, 65535, &which), 0);
	ck_assert_uint_eq(proc_queues_bound("\n\nqueue\n", 0, 65535, &which), 0);
}
END_TEST

START_TEST(a_line_is_found_whole)
{
	ck_assert(proc_has_line("DNAT\nCT\nNFQUEUE\n", "CT"));
	ck_assert(proc_has_line("CT\n", "CT"));
	ck_assert(proc_has_line("DNAT\nCT", "CT"));
	ck_assert(!proc_has_line("CTX\nXCT\n", "CT"));
	ck_assert(!proc_has_line("C\nT\n", "CT"));
	ck_assert(!proc_has_line("", "CT"));
}
END_TEST

static Suite *proc_text_suite(void)
{
	Suite *suite = suite_create("proc_text");
	TCase *all = tcase_create("all");

	suite_add_tcase(suite, all);
	tcase_add_test(all, capabilities_in_effect_are_those_of_their_line);
	tcase_add_test(all, capabilities_that_are_not_told_are_not_known);
	tcase_add_test(all, queues_bound_are_counted_within_the_range_alone);
	tcase_add_test(all, queues_of_an_empty_or_odd_text_are_none);
	tcase_add_test(all, a_line_is_found_whole);
	return suite;
}

int main(void)
{
	return unit_main(proc_text_suite());
}
