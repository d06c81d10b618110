/* SPDX-License-Identifier: GPL-2.0-or-later */
/* source_table: a small table of sources. */
#ifndef SYNMOAT_SOURCE_TABLE_H
#define SYNMOAT_SOURCE_TABLE_H

#include "synmoat/source.h"

#include "wire.h"

#define CAPACITY 16
#define KEPT_MAX 12    /* 3/4 */
#define PUT_BACK_MAX 8 /* SECOND_CHANCES */

static const struct siphash_key key = {{5, 6}};
static const struct source_prefixes defaults = {SOURCE_PREFIX_V4_BITS, SOURCE_PREFIX_V6_BITS};
static struct source_table *table;
static bool evicted;

static inline void table_make(void)
{
	table = source_new(CAPACITY, &defaults, &key);
	ck_assert_ptr_nonnull(table);
}

static inline void table_drop(void)
{
	source_free(table);
}

static inline struct source *touch(uint32_t n)
{
	struct addr addr = host(false, n);

	return source_touch(table, &addr, 0, &evicted);
}

static inline struct source *find(uint32_t n)
{
	struct addr addr = host(false, n);

	return source_find(table, &addr);
}

/* Seen, and its handshake completed. */
static inline struct source *prove(uint32_t n)
{
	struct source *source = touch(n);

	source_completed(table, source, 0);
	return source;
}

/* Seen again while it holds that many. */
static inline struct source *hold(uint32_t n, uint32_t half_open)
{
	touch(n)->half_open = half_open;
	return touch(n);
}

static inline void fill(uint32_t half_open)
{
	for (uint32_t n = 0; n < CAPACITY; n++)
		touch(n)->half_open = half_open;
}

#endif
