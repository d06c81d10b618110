/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/service.h"

#include "wire.h"

static struct service_map *map;

static void map_drop(void)
{
	service_map_free(map);
	map = NULL;
}

/* "192.0.2.0/24", port 80: binding to `service`; without a length, one address. */
static struct service_binding net(const char *text, uint16_t port, uint16_t service)
{
	char addr[64];
	unsigned length = 0;
	bool is_net = sscanf(text, "%63[^/]/%u", addr, &length) == 2;
	struct service_binding binding = {.address = address(addr), .port = port, .service = service};

	if (is_net)
		binding.host_bits = (uint8_t)((addr_is_v4(&binding.address) ? 32 : 128) - length);
	return binding;
}

static int find(const char *text, uint16_t port)
{
	struct addr addr = address(text);

	return service_map_find(map, &addr, port);
}

/* Whatever comes first. */
static void make(struct service_binding *bindings, unsigned count, bool backwards)
{
	for (unsigned i = 0; backwards && i < count / 2; i++) {
		struct service_binding kept = bindings[i];

		bindings[i] = bindings[count - 1 - i];
		bindings[count - 1 - i] = kept;
	}
	map = service_map_new(bindings, count);
	ck_assert_ptr_nonnull(map);
}

START_TEST(the_smallest_network_that_has_the_address_counts)
{
	struct service_binding bindings[] = {
		net("10.1.2.3", 80, 1),     net("10.1.2.0/24", 80, 2),     net("10.1.2.128/25", 80, 3),
		net("10.1.0.0/16", 80, 4),  net("10.0.0.0/8", 80, 5),      net("10.1.2.254/31", 80, 6),
		net("2001:db8::1", 80, 11), net("2001:db8::/64", 80, 12),  net("2001:db8::/48", 80, 13),
		net("2001::/16", 80, 14),   net("2001:db8::8/127", 80, 15)};

	make(bindings, 11, _i);
	ck_assert_int_eq(find("10.1.2.3", 80), 1);
	ck_assert_int_eq(find("10.1.2.4", 80), 2);
	ck_assert_int_eq(find("10.1.2.127", 80), 2);
	ck_assert_int_eq(find("10.1.2.128", 80), 3);
	ck_assert_int_eq(find("10.1.2.253", 80), 3);
	ck_assert_int_eq(find("10.1.2.254", 80), 6);
	ck_assert_int_eq(find("10.1.2.255", 80), 6);
	ck_assert_int_eq(find("10.1.3.0", 80), 4);
	ck_assert_int_eq(find("10.2.0.0", 80), 5);
	ck_assert_int_eq(find("11.0.0.0", 80), -1);
	ck_assert_int_eq(find("2001:db8::1", 80), 11);
	ck_assert_int_eq(find("2001:db8::2", 80), 12);
	ck_assert_int_eq(find("2001:db8::9", 80), 15);
	ck_assert_int_eq(find("2001:db8:0:1::", 80), 13);
	ck_assert_int_eq(find("2001:db9::", 80), 14);
	ck_assert_int_eq(find("2002::", 80), -1);
}
END_TEST

START_TEST(a_network_goes_before_any_address_and_after_an_exact_one)
{
	struct service_binding bindings[] = {net("0.0.0.0", 80, 1), net("10.0.0.0/8", 80, 2), net("10.0.0.0", 80, 3),
					     net("::", 80, 4), net("2001:db8::/32", 80, 5)};

	make(bindings, 5, _i);
	ck_assert_int_eq(find("192.0.2.1", 80), 1);
	ck_assert_int_eq(find("10.0.0.1", 80), 2);
	ck_assert_int_eq(find("10.0.0.0", 80), 3); /* and not the network that begins with it */
	ck_assert_int_eq(find("2001:db9::", 80), 4);
	ck_assert_int_eq(find("2001:db8::", 80), 5);
}
END_TEST

START_TEST(a_network_of_all_addresses_has_those_of_its_family_alone)
{
	struct service_binding bindings[] = {net("0.0.0.0/0", 80, 1), net("::/0", 81, 2), net("0.0.0.0/0", 82, 3),
					     net("::/0", 82, 4)};

	make(bindings, 4, _i);
	ck_assert_int_eq(find("192.0.2.1", 80), 1);
	ck_assert_int_eq(find("0.0.0.0", 80), 1);
	ck_assert_int_eq(find("255.255.255.255", 80), 1);
	ck_assert_int_eq(find("2001:db8::1", 80), -1);
	ck_assert_int_eq(find("192.0.2.1", 81), -1);
	ck_assert_int_eq(find("2001:db8::1", 81), 2);
	ck_assert_int_eq(find("::", 81), 2);
	ck_assert_int_eq(find("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 81), 2);
	ck_assert_int_eq(find("192.0.2.1", 82), 3);
	ck_assert_int_eq(find("2001:db8::1", 82), 4);
}
END_TEST

START_TEST(all_addresses_as_a_network_go_before_any)
{
	struct service_binding bindings[] = {net("0.0.0.0", 80, 1), net("0.0.0.0/0", 80, 2), net("::", 80, 3),
					     net("::/0", 80, 4)};

	make(bindings, 4, _i);
	ck_assert_int_eq(find("192.0.2.1", 80), 2);
	ck_assert_int_eq(find("2001:db8::1", 80), 4);
	ck_assert_int_eq(find("0.0.0.0", 80), 1); /* which is no destination */
}
END_TEST

START_TEST(the_families_networks_of_one_size_are_told_apart)
{
	/* v4-mapped, the first four bytes of an IPv4 address stand where these IPv6 ones have theirs. */
	struct service_binding bindings[] = {net("10.1.2.0/24", 80, 1), net("::ff:a01:200/120", 80, 2),
					     net("::a01:200/120", 80, 3), net("::fffe:0:0/95", 81, 4)};

	make(bindings, 4, _i);
	ck_assert_int_eq(find("10.1.2.9", 80), 1);
	ck_assert_int_eq(find("::ff:a01:209", 80), 2);
	ck_assert_int_eq(find("::a01:209", 80), 3);
	ck_assert_int_eq(find("10.1.2.9", 81), -1); /* though the bits of ::ffff:0:0 are in it */
	ck_assert_int_eq(find("::fffe:1:2", 81), 4);
}
END_TEST

START_TEST(one_network_is_another_service_on_each_port)
{
	struct service_binding bindings[] = {net("10.0.0.0/8", 80, 1), net("10.0.0.0/8", 443, 2),
					     net("10.1.0.0/16", 443, 3)};

	make(bindings, 3, _i);
	ck_assert_int_eq(find("10.1.2.3", 80), 1); /* the smaller one is of another port */
	ck_assert_int_eq(find("10.1.2.3", 443), 3);
	ck_assert_int_eq(find("10.2.2.3", 443), 2);
	ck_assert_int_eq(find("10.2.2.3", 25), -1);
	ck_assert_int_eq(find("10.2.2.3", 0), -1);
}
END_TEST

START_TEST(of_several_bindings_of_one_network_the_last_counts)
{
	struct service_binding bindings[] = {net("10.0.0.0/8", 80, 1), net("10.0.0.0/9", 80, 2),
					     net("10.0.0.0/8", 80, 3)};

	make(bindings, 3, false);
	ck_assert_int_eq(find("10.128.0.1", 80), 3);
	ck_assert_int_eq(find("10.1.0.1", 80), 2);
}
END_TEST

START_TEST(networks_of_every_size_nest)
{
	struct service_binding bindings[160];
	struct addr v4 = address("10.85.170.85"), v6 = address("2a55:aaaa:5555:aaaa:5555:aaaa:5555:aaaa");
	unsigned count = 0;

	for (unsigned host_bits = 1; host_bits <= 128; host_bits++) {
		if (host_bits <= 32)
			bindings[count++] = (struct service_binding){addr_masked(&v4, 128 - host_bits), 80,
								     (uint16_t)host_bits, (uint8_t)host_bits};
		bindings[count++] = (struct service_binding){addr_masked(&v6, 128 - host_bits), 80,
							     (uint16_t)(100 + host_bits), (uint8_t)host_bits};
	}
	make(bindings, count, _i);
	for (unsigned bit = 0; bit < 128; bit++) { /* the first one that is another's */
		struct addr other = v6;

		other.bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		must(service_map_find(map, &other, 80) == (int)(100 + 128 - bit));
		other = v4;
		other.bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		if (bit >= 96)
			must(service_map_find(map, &other, 80) == (int)(128 - bit));
	}
	must(service_map_find(map, &v4, 80) == 1);
	must(service_map_find(map, &v6, 80) == 101);
}
END_TEST

/* By comparing with each binding in turn. */
static int find_slowly(const struct service_binding *bindings, unsigned count, const struct addr *addr, uint16_t port)
{
	int found = -1;
	unsigned best = 129;

	for (unsigned i = 0; i < count; i++) {
		struct addr masked = addr_masked(addr, 128U - bindings[i].host_bits);

		if (bindings[i].port == port && addr_is_v4(&bindings[i].address) == addr_is_v4(addr) &&
		    addr_equal(&masked, &bindings[i].address) && bindings[i].host_bits <= best) {
			best = bindings[i].host_bits;
			found = bindings[i].service;
		}
	}
	return found;
}

START_TEST(as_many_networks_as_there_are_services_are_found)
{
	static struct service_binding bindings[SERVICES_MAX];
	uint64_t seed = 3;
	unsigned hits = 0;

	for (unsigned i = 0; i < SERVICES_MAX; i++) {
		struct addr addr = host(i % 2, random_below(&seed, 2000));
		uint8_t host_bits = (uint8_t)random_below(&seed, i % 2 ? 100 : 24);

		bindings[i] = (struct service_binding){addr_masked(&addr, 128U - host_bits),
						       (uint16_t)(80 + random_below(&seed, 2)), (uint16_t)i, host_bits};
	}
	make(bindings, SERVICES_MAX, false);
	for (uint32_t n = 0; n < 8000; n++) {
		struct addr addr = host(n % 2, n / 2);

		for (uint16_t port = 79; port <= 81; port++) {
			int found = service_map_find(map, &addr, port);

			must(found == find_slowly(bindings, SERVICES_MAX, &addr, port));
			hits += found >= 0;
		}
	}
	ck_assert_uint_gt(hits, 4000);
}
END_TEST

static Suite *service_map_suite(void)
{
	Suite *suite = suite_create("service_map");
	TCase *networks = tcase_create("networks");

	suite_add_tcase(suite, networks);
	tcase_add_checked_fixture(networks, NULL, map_drop);
	tcase_add_loop_test(networks, the_smallest_network_that_has_the_address_counts, 0, 2);
	tcase_add_loop_test(networks, a_network_goes_before_any_address_and_after_an_exact_one, 0, 2);
	tcase_add_loop_test(networks, a_network_of_all_addresses_has_those_of_its_family_alone, 0, 2);
	tcase_add_loop_test(networks, all_addresses_as_a_network_go_before_any, 0, 2);
	tcase_add_loop_test(networks, the_families_networks_of_one_size_are_told_apart, 0, 2);
	tcase_add_loop_test(networks, one_network_is_another_service_on_each_port, 0, 2);
	tcase_add_test(networks, of_several_bindings_of_one_network_the_last_counts);
	tcase_add_loop_test(networks, networks_of_every_size_nest, 0, 2);
	tcase_add_test(networks, as_many_networks_as_there_are_services_are_found);
	return suite;
}

int main(void)
{
	return unit_main(service_map_suite());
}
