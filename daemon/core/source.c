/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/source.h"

#include <stdlib.h>

#include "core/pool.h"

#define NSEC_PER_SEC 1000000000ULL
#define SECOND_CHANCES 8 /* holders put back per eviction at the most */

_Static_assert(sizeof(struct source) <= 48, "262,144 sources must stay within 12 MiB");

struct source_table {
	struct pool pool;
	struct siphash_key key;
	uint32_t mask;
	uint32_t newest, oldest;
	uint32_t *buckets;
	struct source *entries; /* [1..capacity] */
};

struct source_table *source_new(uint32_t capacity, const struct siphash_key *key)
{
	struct source_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->pool.capacity = capacity;
	table->key = *key;
	table->mask = pool_buckets(capacity) - 1;
	table->buckets = calloc((size_t)table->mask + 1, sizeof(*table->buckets));
	table->entries = calloc((size_t)capacity + 1, sizeof(*table->entries));
	if (!table->buckets || !table->entries) {
		source_free(table);
		return NULL;
	}
	return table;
}

void source_free(struct source_table *table)
{
	if (!table)
		return;
	free(table->buckets);
	free(table->entries);
	free(table);
}

struct addr source_net(const struct addr *addr)
{
	return addr_is_v4(addr) ? *addr : addr_masked(addr, SOURCE_PREFIX_V6_BITS);
}

static uint32_t *find_link(struct source_table *table, const struct addr *net)
{
	uint64_t words[2];
	uint32_t *link;

	memcpy(words, net, sizeof(words));
	link = &table->buckets[siphash(&table->key, words, 2) & table->mask];
	while (*link && !addr_equal(&table->entries[*link].net, net))
		link = &table->entries[*link].chain;
	return link;
}

static void list_push(struct source_table *table, uint32_t index)
{
	struct source *source = &table->entries[index];

	source->newer = 0;
	source->older = table->newest;
	*(table->newest ? &table->entries[table->newest].newer : &table->oldest) = index;
	table->newest = index;
}

static void list_remove(struct source_table *table, uint32_t index)
{
	const struct source *source = &table->entries[index];

	*(source->newer ? &table->entries[source->newer].older : &table->newest) = source->older;
	*(source->older ? &table->entries[source->older].newer : &table->oldest) = source->newer;
}

/* The oldest entry that holds nothing; if the last few all hold, the one of them that holds least. */
static uint32_t pick_victim(struct source_table *table)
{
	uint32_t victim = table->oldest;

	for (unsigned i = 0; i < SECOND_CHANCES && table->entries[table->oldest].half_open; i++) {
		uint32_t holder = table->oldest;

		if (table->entries[holder].half_open < table->entries[victim].half_open)
			victim = holder;
		list_remove(table, holder);
		list_push(table, holder);
	}
	return table->entries[table->oldest].half_open ? victim : table->oldest;
}

static uint32_t take_free(struct source_table *table, bool *evicted)
{
	uint32_t index;

	*evicted = table->pool.touched == table->pool.capacity;
	if (!*evicted) {
		table->pool.used++;
		return ++table->pool.touched;
	}
	index = pick_victim(table);
	list_remove(table, index);
	uint32_t *link = find_link(table, &table->entries[index].net);
	*link = table->entries[index].chain;
	return index;
}

struct source *source_touch(struct source_table *table, const struct addr *addr, uint64_t now_ns, bool *evicted)
{
	struct addr net = source_net(addr);
	uint32_t index = *find_link(table, &net);

	*evicted = false;
	if (index) {
		list_remove(table, index);
	} else {
		index = take_free(table, evicted);
		table->entries[index] = (struct source){.net = net};
		*find_link(table, &net) = index; /* at the end of its chain */
	}
	list_push(table, index);
	table->entries[index].last_s = (uint32_t)(now_ns / NSEC_PER_SEC);
	return &table->entries[index];
}

struct source *source_find(struct source_table *table, const struct addr *addr)
{
	struct addr net = source_net(addr);
	uint32_t index = *find_link(table, &net);

	return index ? &table->entries[index] : NULL;
}

static bool heavier(const struct source *one, const struct source *other)
{
	return one->half_open != other->half_open ? one->half_open > other->half_open : one->syns > other->syns;
}

unsigned source_top(const struct source_table *table, struct source *out, unsigned most)
{
	unsigned count = 0;

	for (uint32_t index = table->newest; index; index = table->entries[index].older) {
		const struct source *source = &table->entries[index];
		unsigned at;

		if (count == most && (most == 0 || !heavier(source, &out[most - 1])))
			continue;
		if (count < most)
			count++;
		for (at = count - 1; at > 0 && heavier(source, &out[at - 1]); at--)
			out[at] = out[at - 1];
		out[at] = *source;
	}
	return count;
}

uint32_t source_count(const struct source_table *table)
{
	return table->pool.used;
}
