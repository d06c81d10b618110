/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/splice.h"

#include <stdlib.h>

#include "core/pool.h"

#define NSEC_PER_SEC 1000000000ULL

/* The kernel's own SYN retransmission doubles from one second (RFC 6298); the client has to wait no longer than 11 s. */
const uint8_t splice_stage_s[SPLICE_STAGES] = {1, 2, 4, 4, [SPLICE_LINGER] = 2};

struct stage_list {
	uint32_t newest, oldest;
};

struct splice_table {
	struct pool pool;
	struct siphash_key key;
	uint32_t mask;
	struct stage_list stages[SPLICE_STAGES];
	uint32_t lingering;
	uint32_t *buckets;
	struct splice *entries; /* [1..capacity] */
	uint8_t *payloads;      /* SPLICE_PAYLOAD_BYTES each */
};

struct splice_table *splice_new(uint32_t capacity, const struct siphash_key *key)
{
	struct splice_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->pool.capacity = capacity;
	table->key = *key;
	table->mask = pool_buckets(capacity) - 1;
	table->buckets = calloc((size_t)table->mask + 1, sizeof(*table->buckets));
	table->entries = calloc((size_t)capacity + 1, sizeof(*table->entries));
	table->payloads = calloc((size_t)capacity + 1, SPLICE_PAYLOAD_BYTES);
	if (!table->buckets || !table->entries || !table->payloads) {
		splice_free(table);
		return NULL;
	}
	return table;
}

void splice_free(struct splice_table *table)
{
	if (!table)
		return;
	free(table->buckets);
	free(table->entries);
	free(table->payloads);
	free(table);
}

static uint32_t *find_link(struct splice_table *table, const struct flow *flow)
{
	uint32_t *link = &table->buckets[flow_hash(&table->key, flow) & table->mask];

	while (*link && memcmp(&table->entries[*link].flow, flow, sizeof(*flow)) != 0)
		link = &table->entries[*link].chain;
	return link;
}

static uint32_t index_of(const struct splice_table *table, const struct splice *splice)
{
	return (uint32_t)(splice - table->entries);
}

static void stage_push(struct splice_table *table, struct splice *splice, unsigned stage, uint64_t now_ns)
{
	struct stage_list *list = &table->stages[stage];
	uint32_t index = index_of(table, splice);

	table->lingering += stage == SPLICE_LINGER;
	splice->stage = (uint8_t)stage;
	splice->deadline_ns = now_ns + splice_stage_s[stage] * NSEC_PER_SEC;
	splice->newer = 0;
	splice->older = list->newest;
	*(list->newest ? &table->entries[list->newest].newer : &list->oldest) = index;
	list->newest = index;
}

static void stage_leave(struct splice_table *table, const struct splice *splice)
{
	struct stage_list *list = &table->stages[splice->stage];

	table->lingering -= splice->stage == SPLICE_LINGER;
	*(splice->newer ? &table->entries[splice->newer].older : &list->newest) = splice->older;
	*(splice->older ? &table->entries[splice->older].newer : &list->oldest) = splice->newer;
}

struct splice *splice_find(struct splice_table *table, const struct flow *flow)
{
	uint32_t index = *find_link(table, flow);

	return index ? &table->entries[index] : NULL;
}

struct splice *splice_add(struct splice_table *table, const struct flow *flow, uint64_t now_ns)
{
	uint32_t index;

	if (table->pool.used == table->pool.capacity) {
		if (!table->stages[SPLICE_LINGER].oldest)
			return NULL;
		splice_remove(table, &table->entries[table->stages[SPLICE_LINGER].oldest]);
	}
	index = table->pool.released;
	if (index)
		table->pool.released = table->entries[index].chain;
	else
		index = ++table->pool.touched;
	table->pool.used++;
	table->entries[index] = (struct splice){.flow = *flow, .state = SPLICE_SYN_SENT};
	*find_link(table, flow) = index; /* at the end of its chain */
	stage_push(table, &table->entries[index], 0, now_ns);
	return &table->entries[index];
}

void splice_enter(struct splice_table *table, struct splice *splice, unsigned stage, uint64_t now_ns)
{
	stage_leave(table, splice);
	stage_push(table, splice, stage, now_ns);
}

void splice_remove(struct splice_table *table, struct splice *splice)
{
	uint32_t index = index_of(table, splice);

	*find_link(table, &splice->flow) = splice->chain;
	stage_leave(table, splice);
	splice->chain = table->pool.released;
	table->pool.released = index;
	table->pool.used--;
}

struct splice *splice_due(struct splice_table *table, uint64_t now_ns)
{
	for (unsigned stage = 0; stage < SPLICE_STAGES; stage++) {
		uint32_t oldest = table->stages[stage].oldest;

		if (oldest && table->entries[oldest].deadline_ns <= now_ns)
			return &table->entries[oldest];
	}
	return NULL;
}

uint32_t splice_waiting(const struct splice_table *table)
{
	return table->pool.used - table->lingering;
}

struct splice *splice_longest_waiting(struct splice_table *table)
{
	for (unsigned stage = SPLICE_TRIES - 1; stage > 0; stage--)
		if (table->stages[stage].oldest)
			return &table->entries[table->stages[stage].oldest];
	return NULL;
}

struct splice *splice_any(struct splice_table *table)
{
	for (unsigned stage = 0; stage < SPLICE_STAGES; stage++)
		if (table->stages[stage].oldest)
			return &table->entries[table->stages[stage].oldest];
	return NULL;
}

uint8_t *splice_payload(struct splice_table *table, const struct splice *splice)
{
	return table->payloads + (size_t)index_of(table, splice) * SPLICE_PAYLOAD_BYTES;
}

uint32_t splice_count(const struct splice_table *table)
{
	return table->pool.used;
}
