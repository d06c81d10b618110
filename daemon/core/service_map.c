/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "core/pool.h"
#include "synmoat/service.h"

#define ADDRESS_BITS 128

/* The sizes of networks of one family that there are, by their host bits, the smallest network first. One address is
 * none of them. */
struct sizes {
	uint8_t count;
	uint8_t host_bits[ADDRESS_BITS];
};

struct service_map {
	struct sizes sizes[2]; /* IPv4, IPv6 */
	uint32_t mask;
	struct service_binding slots[]; /* open addressing; port 0 = empty */
};

/* Not keyed: what goes in comes from the listeners and the config alone. */
static uint32_t map_slot(const struct service_map *map, const struct addr *address, uint8_t host_bits, uint16_t port)
{
	uint64_t words[2];

	memcpy(words, address, sizeof(words));
	words[1] += (uint32_t)host_bits << 16 | port;
	return (uint32_t)((words[0] * 31 + words[1]) * 0x9e3779b97f4a7c15ULL >> 40) & map->mask;
}

/* The slot that has, or would have, the binding. */
static uint32_t map_find(const struct service_map *map, const struct addr *address, uint8_t host_bits, uint16_t port)
{
	uint32_t slot = map_slot(map, address, host_bits, port);

	while (map->slots[slot].port && (map->slots[slot].port != port || map->slots[slot].host_bits != host_bits ||
					 !addr_equal(&map->slots[slot].address, address)))
		slot = (slot + 1) & map->mask;
	return slot;
}

/* Keeps them in order. */
static void sizes_add(struct sizes *sizes, uint8_t host_bits)
{
	unsigned at = 0;

	while (at < sizes->count && sizes->host_bits[at] < host_bits)
		at++;
	if (!host_bits || (at < sizes->count && sizes->host_bits[at] == host_bits))
		return;
	memmove(sizes->host_bits + at + 1, sizes->host_bits + at, sizes->count - at);
	sizes->host_bits[at] = host_bits;
	sizes->count++;
}

struct service_map *service_map_new(const struct service_binding *bindings, unsigned count)
{
	uint32_t slots = pool_buckets(count * 2 + 16);
	struct service_map *map = calloc(1, sizeof(*map) + slots * sizeof(map->slots[0]));

	if (!map)
		return NULL;
	map->mask = slots - 1;
	for (unsigned i = 0; i < count; i++) {
		const struct service_binding *binding = &bindings[i];

		sizes_add(&map->sizes[!addr_is_v4(&binding->address)], binding->host_bits);
		map->slots[map_find(map, &binding->address, binding->host_bits, binding->port)] = *binding;
	}
	return map;
}

void service_map_free(struct service_map *map)
{
	free(map);
}

/* A v4-mapped address cut to an IPv6 prefix would be no IPv4 address any more, nor is there an IPv4 network in an IPv6
 * one: so each family is looked for among its own sizes. */
int service_map_find(const struct service_map *map, const struct addr *address, uint16_t port)
{
	bool v6 = !addr_is_v4(address);
	const struct sizes *sizes = &map->sizes[v6];
	const struct service_binding *binding = &map->slots[map_find(map, address, 0, port)];
	struct addr any = addr_unspecified(v6);

	for (unsigned i = 0; i < sizes->count && !binding->port; i++) {
		struct addr net = addr_masked(address, ADDRESS_BITS - sizes->host_bits[i]);

		binding = &map->slots[map_find(map, &net, sizes->host_bits[i], port)];
	}
	if (!binding->port)
		binding = &map->slots[map_find(map, &any, 0, port)];
	return binding->port ? binding->service : -1;
}
