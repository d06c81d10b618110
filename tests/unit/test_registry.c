/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "registry.h"

#include "wire.h"

#define NOW (10000 * NSEC_PER_SEC)
#define MINUTE (60 * 1000000000ULL)
#define HOUR (3600 * NSEC_PER_SEC)

static struct registry registry;
static struct config_service entries[SERVICES_MAX];
static struct config config;
static struct listener listeners[SERVICES_MAX + 8];
static size_t listener_count;

/* ---- what is configured, and what listens ---- */

static void begin(enum config_mode mode)
{
	config = (struct config){
		.mode = mode,
		.services = entries,
		.auto_services = mode == MODE_HOST,
		.backlog = {.arm_percent = 75, .crowd_percent = 85, .disarm_percent = 25},
	};
	listener_count = 0;
}

/* "any", "192.0.2.0/24", or an address. What is not said here is 0: cookies = auto, limit = auto. */
static struct config_service *declare(const char *name, const char *at, uint16_t port)
{
	static uint16_t ports[SERVICES_MAX];
	struct config_service *entry = &entries[config.service_count];
	uint16_t *one = &ports[config.service_count];
	char text[64];
	unsigned length;

	*one = port;
	*entry = (struct config_service){.any_address = strcmp(at, "any") == 0, .port_count = 1, .ports = one};
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	if (sscanf(at, "%63[^/]/%u", text, &length) == 2) {
		entry->address = address(text);
		entry->host_bits = (uint8_t)((addr_is_v4(&entry->address) ? 32 : 128) - length);
	} else if (!entry->any_address) {
		entry->address = address(at);
	}
	config.auto_services = false;
	config.service_count++;
	return entry;
}

static struct listener *listens(const char *at, uint16_t port, uint32_t backlog)
{
	struct listener *listener = &listeners[listener_count++];
	struct addr addr = address(at);
	struct addr any = addr_unspecified(!addr_is_v4(&addr));

	*listener = (struct listener){
		.any_address = addr_equal(&addr, &any),
		.address = addr,
		.port = port,
		.serves_v4 = addr_is_v4(&addr),
		.serves_v6 = !addr_is_v4(&addr),
		.backlog = backlog,
	};
	return listener;
}

static bool update(uint64_t now_ns)
{
	return registry_update(&registry, &config, listeners, listener_count, now_ns);
}

/* The slot of the service at "any", "192.0.2.0/24" or an address; -1 if there is none. */
static int slot(const char *at, uint16_t port)
{
	char wanted[REGISTRY_ENDPOINT_BYTES + 8];
	char text[REGISTRY_ENDPOINT_BYTES];

	for (unsigned i = 0; i < registry.service_count; i++) {
		snprintf(wanted, sizeof(wanted), "%s", at);
		if (registry.services[i].in_use && registry.services[i].port == port &&
		    strcmp(registry_address(&registry.services[i], text), wanted) == 0)
			return (int)i;
	}
	return -1;
}

static struct service *service(const char *at, uint16_t port)
{
	int index = slot(at, port);

	must(index >= 0);
	return &registry.services[index];
}

/* The slot of the service that a packet to there belongs to; -1 if none. */
static int serves(const char *to, uint16_t port)
{
	struct service_map *map = service_map_new(registry.bindings, registry.binding_count);
	struct addr addr = address(to);
	int found = service_map_find(map, &addr, port);

	service_map_free(map);
	return found;
}

/* A server in the network (or the service) `slot` has answered. */
static bool found_at(const struct addr *at, uint16_t port, int network, uint64_t now_ns)
{
	struct guard_found found = {.address = *at, .port = port, .service = (uint16_t)network};

	must(network >= 0);
	return registry_found(&registry, &found, now_ns);
}

static bool found(const char *at, uint16_t port, int network, uint64_t now_ns)
{
	struct addr addr = address(at);

	return found_at(&addr, port, network, now_ns);
}

/* ---- a host ---- */

START_TEST(without_services_whatever_listens_is_one)
{
	begin(MODE_HOST);
	listens("0.0.0.0", 80, 511);
	listens("192.0.2.1", 8080, 128);
	listens("2001:db8::1", 8080, 64);
	ck_assert(update(NOW));
	ck_assert_uint_eq(registry.binding_count, 3);
	ck_assert_str_eq(service("any", 80)->name, "tcp-80");
	ck_assert_str_eq(service("2001:db8::1", 8080)->name, "tcp-8080");
	ck_assert_uint_eq(service("any", 80)->limit, 511);
	ck_assert_uint_eq(service("192.0.2.1", 8080)->limit, 128);
	ck_assert_uint_eq(service("192.0.2.1", 8080)->arm_at, 96);
	ck_assert_int_eq(service("any", 80)->cookies, SERVICE_COOKIES_AUTO);
	ck_assert(service_may_be_answered_for(service("any", 80)));
	ck_assert_int_eq(serves("198.51.100.1", 80), slot("any", 80));
	ck_assert_int_eq(serves("2001:db8::1", 80), -1);
	ck_assert_int_eq(serves("192.0.2.2", 8080), -1);
	ck_assert(!update(NOW + NSEC_PER_SEC));
}
END_TEST

START_TEST(what_listens_at_loopback_is_none)
{
	begin(MODE_HOST);
	listens("127.0.0.1", 80, 511);
	listens("127.255.0.3", 80, 511);
	listens("::1", 80, 511);
	ck_assert(!update(NOW));
	ck_assert_uint_eq(registry.service_count, 0);
	declare("web", "any", 80);
	update(NOW);
	ck_assert_uint_eq(registry.binding_count, 0);
	ck_assert(!service("any", 80)->listening);
}
END_TEST

START_TEST(a_slot_is_kept_whatever_comes_and_goes_around_it)
{
	begin(MODE_HOST);
	listens("0.0.0.0", 80, 511);
	listens("0.0.0.0", 81, 511);
	update(NOW);
	service("any", 81)->learned_limit = 7;
	service("any", 81)->posture = SERVICE_ARMED;
	ck_assert_int_eq(slot("any", 81), 1);

	begin(MODE_HOST);
	listens("0.0.0.0", 82, 511);
	listens("0.0.0.0", 81, 511);
	ck_assert(update(NOW + 61 * NSEC_PER_SEC)); /* 80 is forgotten */
	ck_assert_int_eq(slot("any", 80), -1);
	ck_assert_int_eq(slot("any", 81), 1);
	update(NOW + 62 * NSEC_PER_SEC);
	listens("0.0.0.0", 83, 511);
	update(NOW + 63 * NSEC_PER_SEC); /* and its slot taken */
	ck_assert_int_eq(slot("any", 83), 0);
	ck_assert(service("any", 83)->fresh);
	ck_assert_int_eq(slot("any", 81), 1);
	ck_assert_uint_eq(service("any", 81)->learned_limit, 7);
	ck_assert_uint_eq(service("any", 81)->posture, SERVICE_ARMED);
}
END_TEST

START_TEST(a_server_may_take_a_minute_to_restart)
{
	begin(MODE_HOST);
	listens("0.0.0.0", 80, 511);
	listens("0.0.0.0", 81, 511);
	update(NOW);
	service("any", 81)->override = SERVICE_OVERRIDE_ARM;
	listener_count = 0;
	ck_assert(update(NOW + 59 * NSEC_PER_SEC)); /* nothing is bound */
	ck_assert_int_eq(slot("any", 80), 0);
	ck_assert(!service("any", 80)->listening);
	ck_assert_uint_eq(service("any", 80)->limit, 511);
	update(NOW + 60 * NSEC_PER_SEC);
	ck_assert_int_eq(slot("any", 80), -1);
	ck_assert_int_eq(slot("any", 81), 1); /* an operator's word is not forgotten */
}
END_TEST

START_TEST(a_slot_with_half_open_entries_is_nobodys)
{
	begin(MODE_HOST);
	listens("0.0.0.0", 80, 511);
	update(NOW);
	registry.services[0].half_open = 1;
	listener_count = 0;
	update(NOW + 61 * NSEC_PER_SEC);
	listens("0.0.0.0", 81, 511);
	update(NOW + 62 * NSEC_PER_SEC);
	ck_assert_int_eq(slot("any", 81), 1);
	registry.services[0].half_open = 0;
	listens("0.0.0.0", 82, 511);
	update(NOW + 63 * NSEC_PER_SEC);
	ck_assert_int_eq(slot("any", 82), 0);
}
END_TEST

/* In whatever order they are written. */
START_TEST(an_exact_address_goes_before_any)
{
	begin(MODE_HOST);
	if (_i == 0)
		declare("one", "192.0.2.1", 80);
	declare("all", "any", 80);
	if (_i == 1)
		declare("one", "192.0.2.1", 80);
	listens("192.0.2.1", 80, 128);
	listens("192.0.2.2", 80, 128);
	listens("0.0.0.0", 80, 511);
	update(NOW);
	ck_assert_int_eq(serves("192.0.2.1", 80), slot("192.0.2.1", 80));
	ck_assert_int_eq(serves("192.0.2.2", 80), slot("any", 80));
	ck_assert_int_eq(serves("192.0.2.3", 80), slot("any", 80));
	ck_assert_int_ne(slot("any", 80), slot("192.0.2.1", 80));
}
END_TEST

START_TEST(the_smallest_listener_sets_the_limit)
{
	struct listener *full;

	begin(MODE_HOST);
	declare("web", "any", 80);
	declare("fixed", "any", 81)->limit = 4096;
	declare("none", "any", 82);
	listens("0.0.0.0", 80, 511);
	listens("192.0.2.1", 80, 128);
	full = listens("192.0.2.2", 80, 256);
	listens("0.0.0.0", 81, 16);
	listens("0.0.0.0", 82, 0);
	listens("0.0.0.0", 9, 1);
	full->accept_queue_full = true;
	update(NOW);
	ck_assert_uint_eq(service("any", 80)->limit, 128);
	ck_assert(service("any", 80)->accept_queue_full);
	ck_assert_uint_eq(service("any", 80)->accept_queue_full_ns, NOW);
	ck_assert_uint_eq(service("any", 81)->limit, 4096);
	ck_assert(!service("any", 81)->accept_queue_full);
	ck_assert_uint_eq(service("any", 82)->limit, 1);
	ck_assert_int_eq(slot("any", 9), -1);

	listener_count = 0; /* all are gone: the last limit will do until they are back */
	update(NOW + 3600 * NSEC_PER_SEC);
	ck_assert_uint_eq(service("any", 80)->limit, 128);
	ck_assert(!service("any", 80)->listening && !service("any", 80)->accept_queue_full);
	ck_assert_uint_eq(service("any", 80)->accept_queue_full_ns, NOW);
}
END_TEST

START_TEST(a_service_is_bound_where_its_family_is_served)
{
	begin(MODE_HOST);
	declare("four", "192.0.2.1", 80);
	declare("six", "2001:db8::1", 80);
	declare("all", "any", 80);
	listens("::", 80, 511);
	update(NOW);
	ck_assert(!service("192.0.2.1", 80)->listening);
	ck_assert_int_eq(serves("192.0.2.1", 80), -1);
	ck_assert_int_eq(serves("2001:db8::1", 80), slot("2001:db8::1", 80));
	ck_assert_int_eq(serves("2001:db8::2", 80), slot("any", 80));
	listeners[0].serves_v4 = true; /* without IPV6_V6ONLY */
	ck_assert(update(NOW));
	ck_assert_int_eq(serves("192.0.2.1", 80), slot("192.0.2.1", 80));
	ck_assert_int_eq(serves("192.0.2.2", 80), slot("any", 80));
}
END_TEST

START_TEST(what_finds_no_room_is_counted)
{
	char at[32];

	begin(MODE_HOST);
	for (unsigned i = 0; i < SERVICES_MAX + 5; i++) {
		snprintf(at, sizeof(at), "198.18.%u.%u", i >> 8, i & 0xff);
		listens(at, 80, 128);
	}
	update(NOW);
	ck_assert_uint_eq(registry.binding_count, SERVICES_MAX);
	ck_assert_uint_eq(registry.left_out, 5);
	declare("web", "any", 80); /* one service, as many bindings */
	update(NOW + 61 * NSEC_PER_SEC);
	ck_assert_uint_eq(registry.left_out, 1); /* the slots are free from now on */
	update(NOW + 61 * NSEC_PER_SEC);
	ck_assert_uint_eq(registry.binding_count, SERVICES_MAX);
	ck_assert_uint_eq(registry.left_out, 5);
	listener_count = 10;
	update(NOW + 62 * NSEC_PER_SEC);
	ck_assert_uint_eq(registry.left_out, 0);
	ck_assert_uint_eq(registry.binding_count, 10);
}
END_TEST

/* ---- a gateway ---- */

START_TEST(declared_services_are_bound_although_nobody_listens_here)
{
	begin(MODE_GATEWAY);
	declare("one", "192.0.2.1", 80);
	declare("net", "192.0.2.0/24", 80)->limit = 1000;
	declare("net6", "2001:db8::/64", 80);
	listens("192.0.2.9", 80, 4096);
	ck_assert(update(NOW));
	ck_assert_uint_eq(registry.binding_count, 3);
	ck_assert_int_eq(serves("192.0.2.1", 80), slot("192.0.2.1", 80));
	ck_assert_int_eq(serves("192.0.2.9", 80), slot("192.0.2.0/24", 80));
	ck_assert_int_eq(serves("2001:db8::9", 80), slot("2001:db8::/64", 80));
	ck_assert_uint_eq(service("192.0.2.1", 80)->limit, SERVICE_LIMIT_DEFAULT);
	ck_assert_uint_eq(service("192.0.2.0/24", 80)->limit, 1000);
	ck_assert_uint_eq(service("192.0.2.1", 80)->answers, SERVICE_ANSWERS_NOT_YET);
	ck_assert(!service_may_be_answered_for(service("192.0.2.1", 80)));
	ck_assert(!service_may_be_answered_for(service("192.0.2.0/24", 80)));
	service("192.0.2.1", 80)->learned_limit = 700;
	ck_assert(!update(NOW));
	ck_assert_uint_eq(service("192.0.2.1", 80)->limit, 700);
	service("192.0.2.1", 80)->learned_limit = 70;
	update(NOW);
	ck_assert_uint_eq(service("192.0.2.1", 80)->limit, SERVICE_LIMIT_DEFAULT);
}
END_TEST

START_TEST(a_found_server_is_as_its_smallest_network_says)
{
	struct config_service *inner;
	struct service *it;

	begin(MODE_GATEWAY);
	declare("wide", "192.0.0.0/16", 80)->limit = 1000;
	inner = declare("inner", "192.0.2.0/24", 80);
	inner->limit = 500;
	inner->cookies = COOKIES_ALWAYS;
	declare("other", "192.0.2.0/25", 81)->cookies = COOKIES_NEVER;
	update(NOW);
	ck_assert(found("192.0.2.7", 80, slot("192.0.2.0/24", 80), NOW));
	ck_assert(found("192.0.3.7", 80, slot("192.0.0.0/16", 80), NOW));
	ck_assert(!found("192.0.2.7", 80, slot("192.0.2.0/24", 80), NOW)); /* nothing new */
	ck_assert_int_eq(serves("192.0.2.7", 80), slot("192.0.2.0/24", 80));
	ck_assert(update(NOW));
	it = service("192.0.2.7", 80);
	ck_assert_str_eq(it->name, "inner");
	ck_assert_uint_eq(it->limit, 500);
	ck_assert_int_eq(it->cookies, SERVICE_COOKIES_ALWAYS);
	ck_assert(it->found && service_may_be_answered_for(it));
	ck_assert_str_eq(service("192.0.3.7", 80)->name, "wide");
	ck_assert_int_eq(service("192.0.3.7", 80)->cookies, SERVICE_COOKIES_AUTO);
	ck_assert_uint_eq(service("192.0.3.7", 80)->limit, 1000);
	ck_assert_int_eq(serves("192.0.2.7", 80), slot("192.0.2.7", 80));
	ck_assert(!found("192.0.2.7", 80, slot("192.0.2.0/24", 80), NOW));
	ck_assert(!update(NOW));
}
END_TEST

START_TEST(a_service_of_its_own_is_not_found)
{
	begin(MODE_GATEWAY);
	declare("one", "192.0.2.1", 80);
	declare("net", "192.0.2.0/24", 80);
	update(NOW);
	ck_assert(!found("192.0.2.1", 80, slot("192.0.2.0/24", 80), NOW));
	ck_assert(!update(NOW));
}
END_TEST

START_TEST(a_found_server_stays_as_long_as_some_network_has_it)
{
	int index;

	begin(MODE_GATEWAY);
	declare("net", "192.0.2.0/24", 80);
	update(NOW);
	found("192.0.2.5", 80, 0, NOW);
	found("192.0.2.200", 80, 0, NOW);
	update(NOW);
	index = slot("192.0.2.5", 80);
	service("192.0.2.5", 80)->posture = SERVICE_ARMED;

	begin(MODE_GATEWAY); /* narrower */
	declare("low", "192.0.2.0/25", 80)->limit = 333;
	ck_assert(update(NOW));
	ck_assert_int_eq(slot("192.0.2.5", 80), index);
	ck_assert_str_eq(service("192.0.2.5", 80)->name, "low");
	ck_assert_uint_eq(service("192.0.2.5", 80)->limit, 333);
	ck_assert_uint_eq(service("192.0.2.5", 80)->posture, SERVICE_ARMED);
	ck_assert_int_eq(slot("192.0.2.200", 80), -1);
	ck_assert_int_eq(serves("192.0.2.200", 80), -1);

	begin(MODE_GATEWAY); /* wider */
	declare("wide", "192.0.0.0/16", 80);
	update(NOW);
	ck_assert_int_eq(slot("192.0.2.5", 80), index);
	ck_assert_str_eq(service("192.0.2.5", 80)->name, "wide");
	ck_assert_uint_eq(service("192.0.2.5", 80)->limit, SERVICE_LIMIT_DEFAULT);
	ck_assert_int_eq(slot("192.0.2.200", 80), -1); /* it has to be found again */

	begin(MODE_GATEWAY); /* another port */
	declare("wide", "192.0.0.0/16", 81);
	update(NOW);
	ck_assert_int_eq(slot("192.0.2.5", 80), -1);
}
END_TEST

START_TEST(a_found_server_is_forgotten_an_hour_after_its_last_answer)
{
	begin(MODE_GATEWAY);
	declare("net", "192.0.2.0/24", 80);
	update(NOW);
	found("192.0.2.5", 80, 0, NOW);
	found("192.0.2.6", 80, 0, NOW);
	found("192.0.2.7", 80, 0, NOW);
	update(NOW);
	service_answered(service("192.0.2.6", 80), NOW + HOUR / 2);
	service("192.0.2.7", 80)->override = SERVICE_OVERRIDE_DISARM;
	update(NOW + HOUR - 1);
	ck_assert_int_ge(slot("192.0.2.5", 80), 0);
	ck_assert(update(NOW + HOUR));
	ck_assert_int_eq(slot("192.0.2.5", 80), -1);
	ck_assert_int_ge(slot("192.0.2.6", 80), 0);
	update(NOW + 3 * HOUR / 2);
	ck_assert_int_eq(slot("192.0.2.6", 80), -1);
	update(NOW + 1000 * HOUR);
	ck_assert_int_ge(slot("192.0.2.7", 80), 0);
	ck_assert_int_ge(slot("192.0.2.0/24", 80), 0);
	service("192.0.2.7", 80)->override = SERVICE_OVERRIDE_AUTO;
	update(NOW + 1000 * HOUR);
	ck_assert_int_eq(slot("192.0.2.7", 80), -1);
}
END_TEST

/* What is known of `service` stays with it. */
static void mark_known(struct service *it)
{
	service_answered(it, NOW);
	it->posture = SERVICE_ARMED;
	it->learned[0] = 12345;
	it->learned_limit = 999;
	it->override = SERVICE_OVERRIDE_ARM;
	it->fresh = false;
}

static void must_be_known(const struct service *it)
{
	ck_assert_uint_eq(it->posture, SERVICE_ARMED);
	ck_assert_uint_eq(it->learned[0], 12345);
	ck_assert_uint_eq(it->learned_limit, 999);
	ck_assert_int_eq(it->override, SERVICE_OVERRIDE_ARM);
	ck_assert(service_may_be_answered_for(it));
	ck_assert(!it->fresh);
}

START_TEST(a_service_that_is_named_no_more_lives_on_in_its_network)
{
	int index;

	begin(MODE_GATEWAY);
	declare("net", "192.0.2.0/24", 80);
	declare("one", "192.0.2.1", 80)->limit = 77;
	declare("lone", "198.51.100.1", 80);
	update(NOW);
	index = slot("192.0.2.1", 80);
	mark_known(service("192.0.2.1", 80));
	mark_known(service("198.51.100.1", 80));

	begin(MODE_GATEWAY);
	declare("net", "192.0.2.0/24", 80);
	update(NOW);
	ck_assert_int_eq(slot("192.0.2.1", 80), index);
	must_be_known(service("192.0.2.1", 80));
	ck_assert_str_eq(service("192.0.2.1", 80)->name, "net");
	ck_assert_uint_eq(service("192.0.2.1", 80)->limit, 999);
	ck_assert_int_eq(serves("192.0.2.1", 80), index);
	ck_assert_int_eq(slot("198.51.100.1", 80), -1); /* in no network */
}
END_TEST

START_TEST(one_that_is_named_no_more_is_forgotten_as_those_found)
{
	begin(MODE_GATEWAY);
	declare("net", "192.0.2.0/24", 80);
	declare("one", "192.0.2.1", 80);
	update(NOW);
	service_answered(service("192.0.2.1", 80), NOW);
	config.service_count = 1;
	update(NOW);
	ck_assert_int_ge(slot("192.0.2.1", 80), 0);
	update(NOW + HOUR);
	ck_assert_int_eq(slot("192.0.2.1", 80), -1);
}
END_TEST

START_TEST(a_found_server_that_is_named_stays_where_it_is)
{
	int index;

	begin(MODE_GATEWAY);
	declare("net", "192.0.2.0/24", 80);
	update(NOW);
	found("192.0.2.1", 80, 0, NOW);
	update(NOW);
	index = slot("192.0.2.1", 80);
	mark_known(service("192.0.2.1", 80));
	declare("one", "192.0.2.1", 80)->limit = 77;
	update(NOW);
	ck_assert_int_eq(slot("192.0.2.1", 80), index);
	must_be_known(service("192.0.2.1", 80));
	ck_assert_str_eq(service("192.0.2.1", 80)->name, "one");
	ck_assert_uint_eq(service("192.0.2.1", 80)->limit, 77);
	service("192.0.2.1", 80)->override = SERVICE_OVERRIDE_AUTO;
	update(NOW + 1000 * HOUR); /* the config's word does not age */
	ck_assert_int_eq(slot("192.0.2.1", 80), index);
}
END_TEST

START_TEST(a_found_server_inherits_what_an_operator_said_of_its_network)
{
	begin(MODE_GATEWAY);
	declare("wide", "192.0.0.0/16", 80);
	declare("net", "192.0.2.0/24", 80);
	update(NOW);
	service("192.0.2.0/24", 80)->override = _i ? SERVICE_OVERRIDE_DISARM : SERVICE_OVERRIDE_ARM;
	found("192.0.2.1", 80, slot("192.0.2.0/24", 80), NOW);
	found("192.0.3.1", 80, slot("192.0.0.0/16", 80), NOW);
	update(NOW);
	ck_assert_int_eq(service("192.0.2.1", 80)->override, _i ? SERVICE_OVERRIDE_DISARM : SERVICE_OVERRIDE_ARM);
	ck_assert_int_eq(service_cookies(service("192.0.2.1", 80)),
			 _i ? SERVICE_COOKIES_NEVER : SERVICE_COOKIES_ALWAYS);
	ck_assert_int_eq(service("192.0.3.1", 80)->override, SERVICE_OVERRIDE_AUTO);
}
END_TEST

/* A network and 1023 servers in it. */
static void fill(void)
{
	struct addr at;

	begin(MODE_GATEWAY);
	declare("net", "198.18.0.0/15", 80);
	update(NOW);
	for (uint32_t i = 0; i < SERVICES_MAX - 1; i++) {
		at = host(false, i);
		must(found_at(&at, 80, 0, NOW));
	}
	update(NOW);
}

START_TEST(a_server_that_finds_no_room_is_told_of)
{
	fill();
	ck_assert_uint_eq(registry.binding_count, SERVICES_MAX);
	ck_assert_uint_eq(registry.found_left_out_ns, 0);
	ck_assert(!found("198.19.0.1", 80, 0, NOW + 5));
	ck_assert_uint_eq(registry.found_left_out_ns, NOW + 5);
	ck_assert(!update(NOW + 6));
	ck_assert_uint_eq(registry.found_left_out_ns, NOW + 5);
	ck_assert_int_eq(slot("198.19.0.1", 80), -1);
	ck_assert_int_eq(serves("198.19.0.1", 80), 0); /* it is the network's, as before */
	ck_assert_uint_eq(registry.left_out, 0);       /* nobody else is left out */

	for (unsigned i = 1; i < SERVICES_MAX; i++) /* all but one answer on */
		if (i != 500)
			service_answered(&registry.services[i], NOW + HOUR / 2);
	update(NOW + HOUR);
	ck_assert(found("198.19.0.1", 80, 0, NOW + HOUR));
	update(NOW + HOUR);
	ck_assert_int_eq(slot("198.19.0.1", 80), 500);
}
END_TEST

START_TEST(one_that_is_found_again_needs_no_room)
{
	struct addr at = host(false, 3);

	fill();
	ck_assert(!found_at(&at, 80, 0, NOW));
	ck_assert_uint_eq(registry.found_left_out_ns, 0);
}
END_TEST

START_TEST(a_declared_service_takes_the_room_of_a_found_one)
{
	fill();
	for (unsigned i = 1; i < SERVICES_MAX; i++)
		service_answered(&registry.services[i], NOW + (i == 500 ? MINUTE : 2 * MINUTE));
	declare("more", "203.0.113.1", 80);
	update(NOW + 2 * MINUTE);
	ck_assert_uint_eq(registry.left_out, 0);
	ck_assert_int_eq(slot("203.0.113.1", 80), 500); /* that has been silent longest */
}
END_TEST

START_TEST(a_found_one_gives_way_to_another_after_a_minute_of_silence)
{
	fill();
	for (unsigned i = 1; i < SERVICES_MAX; i++)
		service_answered(&registry.services[i], NOW + (i == 500 ? MINUTE : 2 * MINUTE));
	ck_assert(!found("198.19.0.1", 80, 0, NOW + 2 * MINUTE - 1));
	ck_assert(found("198.19.0.1", 80, 0, NOW + 2 * MINUTE));
	update(NOW + 2 * MINUTE);
	ck_assert_int_eq(slot("198.19.0.1", 80), 500);
	ck_assert(!found("198.19.0.2", 80, 0, NOW + 2 * MINUTE));
}
END_TEST

/* Neither one that is armed, nor one with half-open entries, nor one that an operator has given an order. */
START_TEST(a_declared_service_that_finds_no_room_is_counted)
{
	fill();
	for (unsigned i = 1; i < SERVICES_MAX; i++) {
		struct service *busy = &registry.services[i];

		busy->override = i % 3 == 0 ? SERVICE_OVERRIDE_DISARM : SERVICE_OVERRIDE_AUTO;
		busy->half_open = i % 3 == 1;
		busy->posture = i % 3 == 2 ? SERVICE_ARMED : SERVICE_WATCHING;
	}
	declare("more", "203.0.113.1", 80);
	update(NOW + 2 * MINUTE);
	ck_assert_uint_eq(registry.left_out, 1);
	ck_assert_int_eq(slot("203.0.113.1", 80), -1);
}
END_TEST

/* ---- text ---- */

START_TEST(endpoints_are_written_as_they_are_configured)
{
	static const struct {
		const char *at, *endpoint;
	} cases[] = {
		{"any", "any:80"},
		{"192.0.2.1", "192.0.2.1:80"},
		{"192.0.2.0/24", "192.0.2.0/24:80"},
		{"0.0.0.0/0", "0.0.0.0/0:80"},
		{"2001:db8::1", "[2001:db8::1]:80"},
		{"2001:db8::/64", "[2001:db8::/64]:80"},
		{"2001:db8::2/127", "[2001:db8::2/127]:80"},
	};
	char text[REGISTRY_ENDPOINT_BYTES];

	begin(_i == 0 ? MODE_HOST : MODE_GATEWAY);
	declare("it", cases[_i].at, 80);
	update(NOW);
	ck_assert_str_eq(registry_endpoint(&registry.services[0], text), cases[_i].endpoint);
	ck_assert_str_eq(registry_address(&registry.services[0], text), cases[_i].at);
}
END_TEST

START_TEST(the_longest_endpoint_fits)
{
	char text[REGISTRY_ENDPOINT_BYTES];

	begin(MODE_GATEWAY);
	declare("it", "2001:db8:1111:2222:3333:4444:5555:6660/127", 65535);
	update(NOW);
	ck_assert_str_eq(registry_endpoint(&registry.services[0], text),
			 "[2001:db8:1111:2222:3333:4444:5555:6660/127]:65535");
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("registry");
	TCase *on_host = tcase_create("host");
	TCase *gateway = tcase_create("gateway");
	TCase *text = tcase_create("text");

	tcase_add_test(on_host, without_services_whatever_listens_is_one);
	tcase_add_test(on_host, what_listens_at_loopback_is_none);
	tcase_add_test(on_host, a_slot_is_kept_whatever_comes_and_goes_around_it);
	tcase_add_test(on_host, a_server_may_take_a_minute_to_restart);
	tcase_add_test(on_host, a_slot_with_half_open_entries_is_nobodys);
	tcase_add_loop_test(on_host, an_exact_address_goes_before_any, 0, 2);
	tcase_add_test(on_host, the_smallest_listener_sets_the_limit);
	tcase_add_test(on_host, a_service_is_bound_where_its_family_is_served);
	tcase_add_test(on_host, what_finds_no_room_is_counted);
	tcase_add_test(gateway, declared_services_are_bound_although_nobody_listens_here);
	tcase_add_test(gateway, a_found_server_is_as_its_smallest_network_says);
	tcase_add_test(gateway, a_service_of_its_own_is_not_found);
	tcase_add_test(gateway, a_found_server_stays_as_long_as_some_network_has_it);
	tcase_add_test(gateway, a_found_server_is_forgotten_an_hour_after_its_last_answer);
	tcase_add_test(gateway, a_service_that_is_named_no_more_lives_on_in_its_network);
	tcase_add_test(gateway, one_that_is_named_no_more_is_forgotten_as_those_found);
	tcase_add_test(gateway, a_found_server_that_is_named_stays_where_it_is);
	tcase_add_loop_test(gateway, a_found_server_inherits_what_an_operator_said_of_its_network, 0, 2);
	tcase_add_test(gateway, a_server_that_finds_no_room_is_told_of);
	tcase_add_test(gateway, one_that_is_found_again_needs_no_room);
	tcase_add_test(gateway, a_declared_service_takes_the_room_of_a_found_one);
	tcase_add_test(gateway, a_found_one_gives_way_to_another_after_a_minute_of_silence);
	tcase_add_test(gateway, a_declared_service_that_finds_no_room_is_counted);
	tcase_add_loop_test(text, endpoints_are_written_as_they_are_configured, 0, 7);
	tcase_add_test(text, the_longest_endpoint_fits);
	suite_add_tcase(suite, on_host);
	suite_add_tcase(suite, gateway);
	suite_add_tcase(suite, text);
	return suite;
}

int main(void)
{
	return unit_main(suite());
}
