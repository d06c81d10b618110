/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/service.h"

#include <stdlib.h>

#include "core/pool.h"

uint32_t service_threshold(uint32_t limit, unsigned percent)
{
	uint32_t entries = (uint32_t)((uint64_t)limit * percent / 100);
	return entries ? entries : 1;
}

void service_set_limit(struct service *service, uint32_t limit, unsigned arm_percent, unsigned disarm_percent)
{
	uint32_t arm_at = service_threshold(limit, arm_percent);
	uint32_t disarm_at = service_threshold(limit, disarm_percent);

	atomic_store_explicit(&service->limit, limit, memory_order_relaxed);
	atomic_store_explicit(&service->arm_at, limit ? arm_at : UINT32_MAX, memory_order_relaxed);
	atomic_store_explicit(&service->disarm_at, limit ? disarm_at : UINT32_MAX, memory_order_relaxed);
}

static bool calm_for(struct service *service, bool calm, uint64_t hold_ns, uint64_t now_ns)
{
	if (!calm) {
		service->calm_since_ns = 0;
		return false;
	}
	if (!service->calm_since_ns)
		service->calm_since_ns = now_ns;
	return now_ns - service->calm_since_ns >= hold_ns;
}

enum service_posture service_next(struct service *service, const struct service_timing *timing, uint32_t load,
				  uint64_t now_ns)
{
	enum service_posture posture = atomic_load_explicit(&service->posture, memory_order_relaxed);

	enum service_cookies cookies = service->untracked ? SERVICE_COOKIES_NEVER : service->cookies;
	bool trips = cookies == SERVICE_COOKIES_AUTO && load >= service->arm_at;
	bool calm = cookies == SERVICE_COOKIES_NEVER || load < service->disarm_at;
	uint64_t hold_ns = cookies == SERVICE_COOKIES_NEVER ? 0 : timing->hold_ns;

	if (cookies == SERVICE_COOKIES_ALWAYS)
		return SERVICE_ARMED;
	switch (posture) {
	case SERVICE_ARMED:
		return calm_for(service, calm, hold_ns, now_ns) ? SERVICE_DRAINING : SERVICE_ARMED;
	case SERVICE_DRAINING:
		if (trips)
			return SERVICE_ARMED;
		return now_ns - service->since_ns >= timing->drain_ns ? SERVICE_WATCHING : SERVICE_DRAINING;
	case SERVICE_WATCHING:
		break;
	}
	return trips ? SERVICE_ARMED : SERVICE_WATCHING;
}

void service_enter(struct service *service, enum service_posture posture, uint64_t now_ns)
{
	service->since_ns = now_ns;
	service->calm_since_ns = 0;
	atomic_store_explicit(&service->posture, (uint8_t)posture, memory_order_release);
}

uint8_t service_offered(const struct tcp_options *options)
{
	return (uint8_t)(LEARNED_BASE | (options->wscale >= 0 ? LEARNED_WSCALE : 0) |
			 (options->sack ? LEARNED_SACK : 0) | (options->timestamps ? LEARNED_TIMESTAMPS : 0));
}

/* One word, so that shards learn and read without a lock:
 * mss 16 | window 16 | wscale + 1, 8 | unused 16 | sack 1, timestamps 1, unused 2, known 4 */
static uint64_t learned_pack(const struct service_learned *learned)
{
	return (uint64_t)learned->mss << 48 | (uint64_t)learned->window << 32 | (uint64_t)(learned->wscale + 1) << 24 |
	       (uint64_t)learned->sack << 7 | (uint64_t)learned->timestamps << 6 | learned->known;
}

struct service_learned service_learned(const struct service *service, bool v6)
{
	uint64_t word = atomic_load_explicit(&service->learned[v6], memory_order_relaxed);

	return (struct service_learned){
		.mss = (uint16_t)(word >> 48),
		.window = (uint16_t)(word >> 32),
		.wscale = (int8_t)((int)(word >> 24 & 0xff) - 1),
		.sack = word >> 7 & 1,
		.timestamps = word >> 6 & 1,
		.known = word & 15,
	};
}

void service_learn(struct service *service, bool v6, const struct tcp_options *answer, uint16_t window, uint8_t offered)
{
	struct service_learned learned = service_learned(service, v6);

	learned.mss = answer->mss;
	learned.window = window;
	if (offered & LEARNED_WSCALE)
		learned.wscale = answer->wscale;
	if (offered & LEARNED_SACK)
		learned.sack = answer->sack;
	if (offered & LEARNED_TIMESTAMPS)
		learned.timestamps = answer->timestamps;
	learned.known |= offered | LEARNED_BASE;
	atomic_store_explicit(&service->learned[v6], learned_pack(&learned), memory_order_relaxed);
}

struct service_map {
	uint32_t mask;
	struct service_binding slots[]; /* open addressing; port 0 = empty */
};

/* Not keyed: what goes in comes from the listeners and the config alone. */
static uint32_t map_slot(const struct service_map *map, const struct addr *address, uint16_t port)
{
	uint64_t words[2];

	memcpy(words, address, sizeof(words));
	return (uint32_t)((words[0] * 31 + words[1] + port) * 0x9e3779b97f4a7c15ULL >> 40) & map->mask;
}

/* The slot that has, or would have, the binding. */
static uint32_t map_find(const struct service_map *map, const struct addr *address, uint16_t port)
{
	uint32_t slot = map_slot(map, address, port);

	while (map->slots[slot].port &&
	       (map->slots[slot].port != port || !addr_equal(&map->slots[slot].address, address)))
		slot = (slot + 1) & map->mask;
	return slot;
}

struct service_map *service_map_new(const struct service_binding *bindings, unsigned count)
{
	uint32_t slots = pool_buckets(count * 2 + 16);
	struct service_map *map = calloc(1, sizeof(*map) + slots * sizeof(map->slots[0]));

	if (!map)
		return NULL;
	map->mask = slots - 1;
	for (unsigned i = 0; i < count; i++)
		map->slots[map_find(map, &bindings[i].address, bindings[i].port)] = bindings[i];
	return map;
}

void service_map_free(struct service_map *map)
{
	free(map);
}

int service_map_find(const struct service_map *map, const struct addr *address, uint16_t port)
{
	const struct service_binding *binding = &map->slots[map_find(map, address, port)];

	if (!binding->port) {
		struct addr any = addr_unspecified(!addr_is_v4(address));
		binding = &map->slots[map_find(map, &any, port)];
	}
	return binding->port && port ? binding->service : -1;
}
