/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/source.h"

#include <stdlib.h>

#include "core/pool.h"

#define NSEC_PER_SEC 1000000000ULL
#define SECOND_CHANCES 8 /* holders put back each time at the most */
#define V4_MAPPED_BITS 96

struct source_list {
	uint32_t newest, oldest;
	uint32_t count;
};

struct source_table {
	struct pool pool;
	struct source_prefixes prefixes;
	struct siphash_key key;
	uint32_t mask;
	uint32_t kept_max; /* less than the capacity: in a full table `once` is never empty */
	struct source_list once, kept;
	uint32_t *buckets;
	void *memory;           /* of the entries */
	struct source *entries; /* [1..capacity], each in a cache line of its own */
};

struct source_table *source_new(uint32_t capacity, const struct source_prefixes *prefixes,
				const struct siphash_key *key)
{
	struct source_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->pool.capacity = capacity;
	table->prefixes = *prefixes;
	table->key = *key;
	table->mask = pool_buckets(capacity) - 1;
	table->kept_max = (uint32_t)((uint64_t)capacity * 3 / 4);
	table->buckets = calloc((size_t)table->mask + 1, sizeof(*table->buckets));
	table->memory = calloc((size_t)capacity + 2, sizeof(*table->entries)); /* "none", and room to align */
	if (!table->buckets || !table->memory) {
		source_free(table);
		return NULL;
	}
	table->entries = (struct source *)((char *)table->memory + -(uintptr_t)table->memory % sizeof(struct source));
	return table;
}

void source_free(struct source_table *table)
{
	if (!table)
		return;
	free(table->buckets);
	free(table->memory);
	free(table);
}

struct addr source_net(const struct source_table *table, const struct addr *addr)
{
	return addr_masked(addr, addr_is_v4(addr) ? V4_MAPPED_BITS + table->prefixes.v4_bits : table->prefixes.v6_bits);
}

/* ---- chains ---- */

static uint32_t *find_bucket(struct source_table *table, const struct addr *net)
{
	uint64_t words[2];

	memcpy(words, net, sizeof(words));
	return &table->buckets[siphash(&table->key, words, 2) & table->mask];
}

/* The link that points to the network's entry, or the chain's end. */
static uint32_t *find_link(struct source_table *table, uint32_t *bucket, const struct addr *net)
{
	uint32_t *link = bucket;

	while (*link && !addr_equal(&table->entries[*link].net, net))
		link = &table->entries[*link].chain;
	return link;
}

/* ---- lists ---- */

static struct source_list *list_of(struct source_table *table, const struct source *source)
{
	return source->kept ? &table->kept : &table->once;
}

static void list_push(struct source_table *table, uint32_t index)
{
	struct source *source = &table->entries[index];
	struct source_list *list = list_of(table, source);

	source->newer = 0;
	source->older = list->newest;
	*(list->newest ? &table->entries[list->newest].newer : &list->oldest) = index;
	list->newest = index;
	list->count++;
}

static void list_remove(struct source_table *table, uint32_t index)
{
	const struct source *source = &table->entries[index];
	struct source_list *list = list_of(table, source);

	*(source->newer ? &table->entries[source->newer].older : &list->newest) = source->older;
	*(source->older ? &table->entries[source->older].newer : &list->oldest) = source->newer;
	list->count--;
}

/* To the head of one of the lists. */
static void list_move(struct source_table *table, uint32_t index, bool kept)
{
	list_remove(table, index);
	table->entries[index].kept = kept;
	list_push(table, index);
}

/* The oldest entry that holds fewer than `spared` connections; if the last few all hold as many, the one of them that
 * holds least. Those are put back. */
static uint32_t list_last(struct source_table *table, const struct source_list *list, uint32_t spared)
{
	uint32_t lightest = list->oldest;

	for (unsigned i = 0; i < SECOND_CHANCES && table->entries[list->oldest].half_open >= spared; i++) {
		uint32_t holder = list->oldest;

		if (table->entries[holder].half_open < table->entries[lightest].half_open)
			lightest = holder;
		list_move(table, holder, table->entries[holder].kept);
	}
	return table->entries[list->oldest].half_open >= spared ? lightest : list->oldest;
}

static void keep(struct source_table *table, uint32_t index)
{
	list_move(table, index, true);
	if (table->kept.count > table->kept_max)
		list_move(table, list_last(table, &table->kept, SOURCE_HEAVY), false);
}

/* ---- entries ---- */

static uint32_t take_free(struct source_table *table, bool *evicted)
{
	const struct addr *net;
	uint32_t index;
	uint32_t *link;

	*evicted = table->pool.touched == table->pool.capacity;
	if (!*evicted) {
		table->pool.used++;
		return ++table->pool.touched;
	}
	index = list_last(table, &table->once, 1);
	list_remove(table, index);
	net = &table->entries[index].net;
	link = find_link(table, find_bucket(table, net), net);
	*link = table->entries[index].chain;
	return index;
}

struct source *source_touch(struct source_table *table, const struct addr *addr, uint64_t now_ns, bool *evicted)
{
	struct addr net = source_net(table, addr);
	uint32_t *bucket = find_bucket(table, &net);
	uint32_t index = *find_link(table, bucket, &net);
	struct source *source = &table->entries[index];

	*evicted = false;
	if (!index) {
		index = take_free(table, evicted);
		source = &table->entries[index];
		*source = (struct source){.net = net, .chain = *bucket};
		*bucket = index;
		list_push(table, index);
	} else if (source->proven_s || source->half_open >= SOURCE_HEAVY) {
		keep(table, index);
	} else if (!source->kept) {
		list_move(table, index, false);
	}
	source->last_s = (uint32_t)(now_ns / NSEC_PER_SEC);
	return source;
}

struct source *source_find(struct source_table *table, const struct addr *addr)
{
	struct addr net = source_net(table, addr);
	uint32_t index = *find_link(table, find_bucket(table, &net), &net);

	return index ? &table->entries[index] : NULL;
}

void source_soon(struct source_table *table, const struct addr *addr)
{
	struct addr net = source_net(table, addr);

	__builtin_prefetch(find_bucket(table, &net));
}

void source_completed(struct source_table *table, struct source *source, uint64_t now_ns)
{
	uint32_t now_s = (uint32_t)(now_ns / NSEC_PER_SEC);

	source->completed += source->completed < UINT32_MAX;
	source->proven_s = now_s ? now_s : 1;
	keep(table, (uint32_t)(source - table->entries));
}

/* ---- reports ---- */

static uint32_t weight_of(const struct source *source, enum source_order order)
{
	return order == SOURCE_BY_HALF_OPEN ? source->half_open : source->challenged;
}

static bool heavier(const struct source *one, const struct source *other, enum source_order order)
{
	uint32_t weight = weight_of(one, order);
	uint32_t other_weight = weight_of(other, order);

	return weight != other_weight ? weight > other_weight : one->syns > other->syns;
}

/* `heap` but for its entry `at`, which may be too heavy for its place: the lightest is on top. */
static void sink(struct source *heap, unsigned count, unsigned at, enum source_order order)
{
	struct source source = heap[at];
	unsigned child;

	for (; (child = 2 * at + 1) < count; at = child) {
		if (child + 1 < count && heavier(&heap[child], &heap[child + 1], order))
			child++;
		if (!heavier(&source, &heap[child], order))
			break;
		heap[at] = heap[child];
	}
	heap[at] = source;
}

unsigned source_top(const struct source_table *table, struct source *out, unsigned most, enum source_order order)
{
	unsigned count = 0;

	for (uint32_t index = 1; index <= table->pool.touched && most > 0; index++) {
		const struct source *source = &table->entries[index];

		if (count < most) {
			out[count++] = *source;
			for (unsigned at = count / 2; count == most && at-- > 0;)
				sink(out, count, at, order);
		} else if (heavier(source, &out[0], order)) {
			out[0] = *source;
			sink(out, count, 0, order);
		}
	}
	source_sort(out, count, order);
	return count;
}

static int by_half_open(const void *one, const void *other)
{
	return heavier(one, other, SOURCE_BY_HALF_OPEN) ? -1 : heavier(other, one, SOURCE_BY_HALF_OPEN);
}

static int by_challenged(const void *one, const void *other)
{
	return heavier(one, other, SOURCE_BY_CHALLENGED) ? -1 : heavier(other, one, SOURCE_BY_CHALLENGED);
}

void source_sort(struct source *sources, unsigned count, enum source_order order)
{
	qsort(sources, count, sizeof(*sources), order == SOURCE_BY_HALF_OPEN ? by_half_open : by_challenged);
}

uint32_t source_count(const struct source_table *table)
{
	return table->pool.used;
}
