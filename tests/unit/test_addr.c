/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/addr.h"

#include "synmoat/service.h"
#include "wire.h"

START_TEST(an_ipv4_address_is_stored_v4_mapped)
{
	struct addr addr = address("192.0.2.1"), mapped = address("::ffff:192.0.2.1");

	ck_assert(addr_is_v4(&addr));
	ck_assert(addr_equal(&addr, &mapped));
	ck_assert_uint_eq(addr_wire_bytes(&addr), 4);
	ck_assert_mem_eq(addr_wire(&addr), "\xc0\0\2\1", 4);
}
END_TEST

START_TEST(an_ipv6_address_keeps_its_16_bytes)
{
	struct addr addr = address("2001:db8::1");

	ck_assert(!addr_is_v4(&addr));
	ck_assert_uint_eq(addr_wire_bytes(&addr), 16);
	ck_assert_ptr_eq(addr_wire(&addr), addr.bytes);
	ck_assert_mem_eq(addr.bytes, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
}
END_TEST

START_TEST(an_ipv4_compatible_address_is_no_ipv4)
{
	struct addr compatible = address("::192.0.2.1"), near = address("::fffe:192.0.2.1");

	ck_assert(!addr_is_v4(&compatible));
	ck_assert(!addr_is_v4(&near));
}
END_TEST

START_TEST(addresses_that_differ_in_one_bit_are_not_equal)
{
	struct addr one = address("2001:db8::1");

	for (unsigned bit = 0; bit < 128; bit++) {
		struct addr other = one;

		other.bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
		ck_assert(!addr_equal(&one, &other));
	}
}
END_TEST

START_TEST(a_mask_keeps_exactly_its_bits)
{
	struct addr ones;

	memset(&ones, 0xff, sizeof(ones));
	for (unsigned prefix = 0; prefix <= 128; prefix++) {
		struct addr net = addr_masked(&ones, prefix);

		for (unsigned bit = 0; bit < 128; bit++)
			must((net.bytes[bit / 8] >> (7 - bit % 8) & 1) == (bit < prefix));
	}
}
END_TEST

START_TEST(a_mask_of_ipv4_is_counted_from_the_mapped_96_bits)
{
	struct addr addr = address("192.0.2.255"), net = address("192.0.2.128");
	struct addr masked = addr_masked(&addr, 96 + 25);

	ck_assert(addr_equal(&masked, &net));
}
END_TEST

START_TEST(the_unspecified_addresses_of_both_families_differ)
{
	struct addr v4 = addr_unspecified(false), v6 = addr_unspecified(true);
	struct addr zero_v4 = address("0.0.0.0"), zero_v6 = address("::");

	ck_assert(addr_equal(&v4, &zero_v4));
	ck_assert(addr_equal(&v6, &zero_v6));
	ck_assert(!addr_equal(&v4, &v6));
}
END_TEST

static Suite *addr_suite(void)
{
	Suite *suite = suite_create("addr");
	TCase *addr = tcase_create("addr");

	suite_add_tcase(suite, addr);
	tcase_add_test(addr, an_ipv4_address_is_stored_v4_mapped);
	tcase_add_test(addr, an_ipv6_address_keeps_its_16_bytes);
	tcase_add_test(addr, an_ipv4_compatible_address_is_no_ipv4);
	tcase_add_test(addr, addresses_that_differ_in_one_bit_are_not_equal);
	tcase_add_test(addr, a_mask_keeps_exactly_its_bits);
	tcase_add_test(addr, a_mask_of_ipv4_is_counted_from_the_mapped_96_bits);
	tcase_add_test(addr, the_unspecified_addresses_of_both_families_differ);
	return suite;
}

int main(void)
{
	return unit_main(addr_suite());
}
