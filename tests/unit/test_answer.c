/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/answer.h"

#include <limits.h>

#include "unit.h"

static struct {
	struct nlmsghdr header;
	uint8_t payload[64];
} message;

static const struct nlmsghdr *answer(const void *payload, size_t bytes)
{
	memset(&message, 0xee, sizeof(message));
	message.header.nlmsg_type = NLMSG_ERROR;
	message.header.nlmsg_len = (uint32_t)(MNL_NLMSG_HDRLEN + bytes);
	memcpy(message.payload, payload, bytes);
	return &message.header;
}

static int error_of(int code)
{
	return answer_error(answer(&code, sizeof(code)));
}

START_TEST(an_error_is_what_the_kernel_says)
{
	ck_assert_int_eq(error_of(0), 0);
	ck_assert_int_eq(error_of(-ENOENT), -ENOENT);
	ck_assert_int_eq(error_of(-EPERM), -EPERM);
}
END_TEST

START_TEST(an_error_that_is_none_is_one)
{
	ck_assert_int_eq(error_of(7), -EBADMSG); /* it would be taken for a number of what was found */
	ck_assert_int_eq(error_of(-4095), -4095);
	ck_assert_int_eq(error_of(-4096), -EBADMSG); /* of no kernel; the least of all has no negative */
	ck_assert_int_eq(error_of(INT_MIN), -EBADMSG);
}
END_TEST

START_TEST(an_error_that_is_cut_off_is_not_read)
{
	for (size_t bytes = 0; bytes < sizeof(int); bytes++)
		ck_assert_int_eq(answer_error(answer("\0\0\0", bytes)), -EBADMSG);
}
END_TEST

START_TEST(a_header_is_there_or_not)
{
	ck_assert(answer_has(answer("1234", 4), 4));
	ck_assert(!answer_has(answer("1234", 4), 5));
	ck_assert(answer_has(answer("", 0), 0));
}
END_TEST

static bool names(const char *payload, size_t bytes, const char *text)
{
	_Alignas(4) uint8_t memory[64];
	struct nlattr *attr = (struct nlattr *)memory;

	memset(memory, 'x', sizeof(memory));
	attr->nla_len = (uint16_t)(MNL_ATTR_HDRLEN + bytes);
	attr->nla_type = 1;
	memcpy(memory + MNL_ATTR_HDRLEN, payload, bytes);
	return answer_names(attr, text);
}

START_TEST(a_name_is_read_to_its_end_and_no_further)
{
	ck_assert(names("vrf", 4, "vrf"));
	ck_assert(names("vrf", 3, "vrf")); /* no NUL behind it: 'x' */
	ck_assert(!names("vr", 2, "vrxx"));
	ck_assert(!names("vrf", 2, "vrf"));
	ck_assert(!names("vrfs", 5, "vrf"));
	ck_assert(!names("", 0, "vrf"));
	ck_assert(names("", 0, ""));
}
END_TEST

START_TEST(a_text_that_is_not_there_is_empty)
{
	ck_assert_str_eq(answer_text(NULL), "");
	ck_assert_str_eq(answer_text("limit"), "limit");
}
END_TEST

static Suite *suite(void)
{
	Suite *all = suite_create("answer");
	TCase *tests = tcase_create("answer");

	tcase_add_test(tests, an_error_is_what_the_kernel_says);
	tcase_add_test(tests, an_error_that_is_none_is_one);
	tcase_add_test(tests, an_error_that_is_cut_off_is_not_read);
	tcase_add_test(tests, a_header_is_there_or_not);
	tcase_add_test(tests, a_name_is_read_to_its_end_and_no_further);
	tcase_add_test(tests, a_text_that_is_not_there_is_empty);
	suite_add_tcase(all, tests);
	return all;
}

int main(void)
{
	return unit_main(suite());
}
