/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is made at the start when there is no memory for one part of it: the n-th calloc() gives none. The linker puts
 * ours in its place (--wrap). That nothing is left behind is the address sanitizer's to see. */
#include "synmoat/guard.h"

#include "wire.h"

#include "core/pool.h"
#include "synmoat/halfopen.h"
#include "synmoat/source.h"
#include "synmoat/splice.h"

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

static unsigned callocs;
static unsigned none_at; /* 0 = all are given */

void *__wrap_calloc(size_t count, size_t size)
{
	return ++callocs == none_at ? NULL : __real_calloc(count, size);
}

static const struct siphash_key key = {{1, 2}};
static const struct source_prefixes single_hosts = {SOURCE_PREFIX_V4_BITS, SOURCE_PREFIX_V6_BITS};
static struct service services[SERVICES_MAX];

static void refuse(unsigned nth)
{
	callocs = 0;
	none_at = nth;
}

static bool halfopen_made(void)
{
	struct halfopen_table *table = halfopen_new(64, &key);

	halfopen_free(table);
	return table;
}

static bool source_made(void)
{
	struct source_table *table = source_new(64, &single_hosts, &key);

	source_free(table);
	return table;
}

static bool splice_made(void)
{
	struct splice_table *table = splice_new(64, &key);

	splice_free(table);
	return table;
}

static bool map_made(void)
{
	struct service_binding binding = {address("192.0.2.1"), 80, 1, 0};
	struct service_map *map = service_map_new(&binding, 1);

	service_map_free(map);
	return map;
}

static bool guard_made(void)
{
	static const struct cookie_secret secret = {.epoch = 78, .keys = {{{1, 2}}, {{3, 4}}}};
	struct guard_limits limits = {
		.policy = {.span_s = 10, .rate_burst = 1},
		.handshake_timeout_s = 30,
		.half_open_max = 64,
		.sources_max = 64,
		.handovers_max = 4,
		.held_max = 10,
		.prefixes = single_hosts,
	};
	struct guard guard;
	int code = guard_init(&guard, &limits, services, &secret, &key, NSEC_PER_SEC);

	if (code == 0)
		guard_free(&guard);
	return code == 0;
}

static const struct {
	bool (*made)(void);
	unsigned parts; /* what each needs memory for */
} makers[] = {
	{halfopen_made, 3},          {source_made, 3}, {splice_made, 4}, {map_made, 1},
	{guard_made, 3 + 3 + 4 + 4}, /* its tables; the cap, the tallies and two arrays by service */
};

START_TEST(whatever_part_finds_no_memory_the_whole_is_refused)
{
	for (unsigned nth = 1; nth <= makers[_i].parts; nth++) {
		refuse(nth);
		ck_assert_msg(!makers[_i].made(), "part %u", nth);
	}
}
END_TEST

START_TEST(with_memory_for_all_parts_it_is_made)
{
	refuse(0);
	ck_assert(makers[_i].made());
	ck_assert_uint_eq(callocs, makers[_i].parts);
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("no memory");
	TCase *tcase = tcase_create("parts");

	tcase_add_loop_test(tcase, whatever_part_finds_no_memory_the_whole_is_refused, 0,
			    sizeof(makers) / sizeof(makers[0]));
	tcase_add_loop_test(tcase, with_memory_for_all_parts_it_is_made, 0, sizeof(makers) / sizeof(makers[0]));
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return unit_main(suite());
}
