/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/halfopen.h"

#include <stdlib.h>

#include "core/pool.h"

_Static_assert(sizeof(struct halfopen_entry) <= 64, "262,144 entries must stay within 16 MiB");

struct halfopen_table {
	struct pool pool;
	struct siphash_key key;
	uint32_t mask;
	uint32_t newest, oldest;
	uint32_t *buckets;
	struct halfopen_entry *entries; /* [1..capacity] */
};

struct halfopen_table *halfopen_new(uint32_t capacity, const struct siphash_key *key)
{
	struct halfopen_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->pool.capacity = capacity;
	table->key = *key;
	table->mask = pool_buckets(capacity) - 1;
	table->buckets = calloc((size_t)table->mask + 1, sizeof(*table->buckets));
	table->entries = calloc((size_t)capacity + 1, sizeof(*table->entries));
	if (!table->buckets || !table->entries) {
		halfopen_free(table);
		return NULL;
	}
	return table;
}

void halfopen_free(struct halfopen_table *table)
{
	if (!table)
		return;
	free(table->buckets);
	free(table->entries);
	free(table);
}

/* The link that points, or would point, to the flow's entry. */
static uint32_t *find_link(struct halfopen_table *table, const struct flow *flow)
{
	uint32_t *link = &table->buckets[flow_hash(&table->key, flow) & table->mask];

	while (*link && memcmp(&table->entries[*link].flow, flow, sizeof(*flow)) != 0)
		link = &table->entries[*link].chain;
	return link;
}

static void remove_at(struct halfopen_table *table, uint32_t *link, struct halfopen_entry *ended)
{
	uint32_t index = *link;
	struct halfopen_entry *entry = &table->entries[index];

	*ended = *entry;
	*link = entry->chain;
	*(entry->newer ? &table->entries[entry->newer].older : &table->newest) = entry->older;
	*(entry->older ? &table->entries[entry->older].newer : &table->oldest) = entry->newer;
	entry->chain = table->pool.released;
	table->pool.released = index;
	table->pool.used--;
}

static uint32_t take_free(struct halfopen_table *table)
{
	uint32_t index = table->pool.released;

	if (index)
		table->pool.released = table->entries[index].chain;
	else
		index = ++table->pool.touched;
	table->pool.used++;
	return index;
}

enum halfopen_added halfopen_add(struct halfopen_table *table, const struct flow *flow, const struct halfopen_syn *syn,
				 uint64_t now_ns, struct halfopen_entry *ended)
{
	enum halfopen_added added = HALFOPEN_NEW;
	uint32_t *link = find_link(table, flow);
	uint32_t index;

	if (*link)
		return HALFOPEN_KNOWN;
	if (table->pool.used == table->pool.capacity) {
		remove_at(table, find_link(table, &table->entries[table->oldest].flow), ended);
		link = find_link(table, flow);
		added = HALFOPEN_NEW_EVICTED;
	}
	index = take_free(table);
	table->entries[index] = (struct halfopen_entry){
		.flow = *flow,
		.service = syn->service,
		.offered = syn->offered,
		.client_isn = syn->client_isn,
		.older = table->newest,
		.since_ns = now_ns,
	};
	*link = index;
	*(table->newest ? &table->entries[table->newest].newer : &table->oldest) = index;
	table->newest = index;
	return added;
}

const struct halfopen_entry *halfopen_find(struct halfopen_table *table, const struct flow *flow)
{
	uint32_t index = *find_link(table, flow);

	return index ? &table->entries[index] : NULL;
}

bool halfopen_end(struct halfopen_table *table, const struct flow *flow, struct halfopen_entry *ended)
{
	uint32_t *link = find_link(table, flow);

	if (!*link)
		return false;
	remove_at(table, link, ended);
	return true;
}

bool halfopen_expire(struct halfopen_table *table, uint64_t deadline_ns, struct halfopen_entry *ended)
{
	const struct halfopen_entry *oldest = &table->entries[table->oldest];

	if (!table->oldest || oldest->since_ns > deadline_ns)
		return false;
	remove_at(table, find_link(table, &oldest->flow), ended);
	return true;
}

const struct halfopen_entry *halfopen_newest(const struct halfopen_table *table)
{
	return table->newest ? &table->entries[table->newest] : NULL;
}

const struct halfopen_entry *halfopen_older(const struct halfopen_table *table, const struct halfopen_entry *entry)
{
	return entry->older ? &table->entries[entry->older] : NULL;
}

uint32_t halfopen_count(const struct halfopen_table *table)
{
	return table->pool.used;
}
