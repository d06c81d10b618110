/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/service.h"

#define NSEC_PER_MSEC 1000000ULL

/* A server that answers was seen to do so within that: it is not asked again, nor does each SYN-ACK write to memory that
 * all shards read. */
#define ANSWER_STALE_NS (1000 * NSEC_PER_MSEC)
#define ANSWER_GRAIN_NS (100 * NSEC_PER_MSEC)
#define SPILLED_GRAIN_NS (100 * NSEC_PER_MSEC) /* likewise */

/* So many of the handshakes are completed while a server bears what it has. Of fewer than that many, nobody can tell. */
#define BORE_PERCENT 90
#define BORE_BEGUN_MIN 50

uint32_t service_threshold(uint32_t limit, unsigned percent)
{
	uint32_t entries = (uint32_t)((uint64_t)limit * percent / 100);
	return entries ? entries : 1;
}

void service_set_limit(struct service *service, uint32_t limit, const struct service_thresholds *thresholds)
{
	uint32_t arm_at = limit ? service_threshold(limit, thresholds->arm_percent) : UINT32_MAX;
	uint32_t crowd_at = limit ? service_threshold(limit, thresholds->crowd_percent) : UINT32_MAX;
	uint32_t disarm_at = limit ? service_threshold(limit, thresholds->disarm_percent) : UINT32_MAX;

	atomic_store_explicit(&service->limit, limit, memory_order_relaxed);
	atomic_store_explicit(&service->arm_at, arm_at, memory_order_relaxed);
	atomic_store_explicit(&service->crowd_at, crowd_at, memory_order_relaxed);
	atomic_store_explicit(&service->disarm_at, disarm_at, memory_order_relaxed);
}

enum service_cookies service_cookies(const struct service *service)
{
	if (service->untracked || !service_may_be_answered_for(service) || service->override == SERVICE_OVERRIDE_DISARM)
		return SERVICE_COOKIES_NEVER;
	return service->override == SERVICE_OVERRIDE_ARM ? SERVICE_COOKIES_ALWAYS : service->cookies;
}

uint32_t service_held(const struct service *service)
{
	int64_t held = (int64_t)atomic_load_explicit(&service->kernel_held, memory_order_relaxed) +
		       atomic_load_explicit(&service->begun_since, memory_order_relaxed);
	uint32_t half_open = atomic_load_explicit(&service->half_open, memory_order_relaxed);

	return held > half_open ? (uint32_t)held : half_open;
}

/* What we have given up the kernel goes on asking for, up to a minute, as long as that is half a backlog or less
 * (reqsk_timer_handler() in net/ipv4/inet_connection_sock.c). Only half of `arm_at` of ours at once makes that a pressure. */
static bool is_nearly_full(const struct service *service, uint32_t load)
{
	uint32_t arm_at = atomic_load_explicit(&service->arm_at, memory_order_relaxed);

	return load >= arm_at - arm_at / 2 &&
	       service_held(service) >= atomic_load_explicit(&service->crowd_at, memory_order_relaxed);
}

bool service_presses(const struct service *service, uint32_t load)
{
	return load >= atomic_load_explicit(&service->arm_at, memory_order_relaxed) || is_nearly_full(service, load);
}

bool service_crowded(const struct service *service, uint32_t load)
{
	return load >= atomic_load_explicit(&service->crowd_at, memory_order_relaxed) || is_nearly_full(service, load);
}

bool service_trips(const struct service *service, uint32_t load)
{
	if (!service_may_be_answered_for(service))
		return false;
	switch ((enum service_patience)atomic_load_explicit(&service->patience, memory_order_relaxed)) {
	case SERVICE_ARMS_AT_ONCE:
		return service_presses(service, load);
	case SERVICE_ARMS_WHEN_CROWDED:
		return service_crowded(service, load);
	case SERVICE_ARMS_NEVER:
		break;
	}
	return false;
}

void service_wary_until(struct service *service, uint64_t until_ns)
{
	if (atomic_load_explicit(&service->wary_until_ns, memory_order_relaxed) < until_ns)
		atomic_store_explicit(&service->wary_until_ns, until_ns, memory_order_relaxed);
}

void service_spilled(struct service *service, uint64_t now_ns)
{
	uint64_t before_ns = atomic_load_explicit(&service->spilled_ns, memory_order_relaxed);

	if (!before_ns || now_ns >= before_ns + SPILLED_GRAIN_NS)
		atomic_store_explicit(&service->spilled_ns, now_ns, memory_order_relaxed);
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
	enum service_cookies cookies = service_cookies(service);
	bool never = cookies == SERVICE_COOKIES_NEVER;
	bool trips = cookies == SERVICE_COOKIES_AUTO && service_trips(service, load);
	bool calm = never || (load < service->disarm_at && !trips);
	bool wary = !never && now_ns < atomic_load_explicit(&service->wary_until_ns, memory_order_relaxed);

	if (cookies == SERVICE_COOKIES_ALWAYS)
		return SERVICE_ARMED;
	switch (posture) {
	case SERVICE_ARMED:
		if (!calm_for(service, calm, never ? 0 : timing->hold_ns, now_ns))
			return SERVICE_ARMED;
		return wary ? SERVICE_WARY : SERVICE_DRAINING;
	case SERVICE_WARY:
		return trips ? SERVICE_ARMED : wary ? SERVICE_WARY : SERVICE_DRAINING;
	case SERVICE_DRAINING:
		if (trips || wary)
			return trips ? SERVICE_ARMED : SERVICE_WARY;
		return now_ns - service->since_ns >= timing->drain_ns ? SERVICE_WATCHING : SERVICE_DRAINING;
	case SERVICE_WATCHING:
		break;
	}
	return trips ? SERVICE_ARMED : wary ? SERVICE_WARY : SERVICE_WATCHING;
}

void service_enter(struct service *service, enum service_posture posture, uint64_t now_ns)
{
	service->since_ns = now_ns;
	service->calm_since_ns = 0;
	atomic_store_explicit(&service->posture, (uint8_t)posture, memory_order_release);
}

/* ---- behind this host ---- */

static bool is_behind(const struct service *service)
{
	return atomic_load_explicit(&service->behind, memory_order_relaxed);
}

static enum service_answers answers_of(const struct service *service)
{
	return atomic_load_explicit(&service->answers, memory_order_relaxed);
}

/* Written only when it is another: shards read it for every SYN. */
static void set_answers(struct service *service, enum service_answers answers)
{
	if (answers_of(service) != answers)
		atomic_store_explicit(&service->answers, (uint8_t)answers, memory_order_relaxed);
}

/* Whether no SYN-ACK has come for so long. Another shard's clock reading may be a little later than `now_ns`. */
static bool silent_for(const struct service *service, uint64_t span_ns, uint64_t now_ns)
{
	uint64_t answered_ns = atomic_load_explicit(&service->answered_ns, memory_order_relaxed);

	return !answered_ns || now_ns >= answered_ns + span_ns;
}

void service_answered(struct service *service, uint64_t now_ns)
{
	if (!is_behind(service))
		return;
	set_answers(service, SERVICE_ANSWERS);
	if (silent_for(service, ANSWER_GRAIN_NS, now_ns))
		atomic_store_explicit(&service->answered_ns, now_ns, memory_order_relaxed);
	if (atomic_load_explicit(&service->unanswered, memory_order_relaxed))
		atomic_store_explicit(&service->unanswered, 0, memory_order_relaxed);
}

void service_refused(struct service *service, uint64_t now_ns)
{
	if (is_behind(service) && !service->host_bits && silent_for(service, SERVICE_REFUSAL_NS, now_ns))
		set_answers(service, SERVICE_REFUSES);
}

void service_unanswered(struct service *service, uint64_t now_ns)
{
	if (!is_behind(service) || service->host_bits)
		return;
	if (atomic_fetch_add_explicit(&service->unanswered, 1, memory_order_relaxed) + 1 >= SERVICE_SILENT_HANDOVERS &&
	    silent_for(service, SERVICE_SILENCE_NS, now_ns))
		set_answers(service, SERVICE_ANSWERS_ELSEWHERE);
}

bool service_may_be_answered_for(const struct service *service)
{
	return !is_behind(service) || (!service->host_bits && answers_of(service) == SERVICE_ANSWERS);
}

bool service_answer_is_stale(const struct service *service, uint64_t now_ns)
{
	return is_behind(service) && answers_of(service) == SERVICE_ANSWERS &&
	       silent_for(service, ANSWER_STALE_NS, now_ns);
}

uint32_t service_learned_limit(const struct service *service)
{
	return service->learned_limit > SERVICE_LIMIT_DEFAULT ? service->learned_limit : SERVICE_LIMIT_DEFAULT;
}

bool service_bore(struct service *service, uint32_t half_open, uint32_t begun, uint32_t completed)
{
	uint32_t before = service_learned_limit(service);

	if (!is_behind(service) || service->configured_limit || begun < BORE_BEGUN_MIN ||
	    (uint64_t)completed * 100 < (uint64_t)begun * BORE_PERCENT)
		return false;
	if (half_open > service->learned_limit)
		service->learned_limit = half_open;
	return service_learned_limit(service) > before;
}

/* ---- options ---- */

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

bool service_is_unscaled(const struct service *service, bool v6, uint64_t now_ns)
{
	return now_ns < atomic_load_explicit(&service->unscaled_until_ns[v6], memory_order_relaxed);
}

struct service_learned service_announced(const struct service *service, bool v6, uint64_t now_ns)
{
	struct service_learned learned = service_learned(service, v6);

	if (service_is_unscaled(service, v6, now_ns))
		learned.wscale = -1;
	return learned;
}

void service_learn(struct service *service, bool v6, const struct tcp_options *answer, uint16_t window, uint8_t offered,
		   uint64_t now_ns)
{
	struct service_learned learned = service_learned(service, v6);

	if (service->host_bits)
		return;
	learned.mss = answer->mss;
	learned.window = window;
	if (offered & learned.known & LEARNED_WSCALE && answer->wscale < learned.wscale)
		atomic_store_explicit(&service->unscaled_until_ns[v6], now_ns + SERVICE_UNSCALED_NS,
				      memory_order_relaxed);
	if (offered & LEARNED_WSCALE)
		learned.wscale = answer->wscale;
	if (offered & LEARNED_SACK)
		learned.sack = answer->sack;
	if (offered & LEARNED_TIMESTAMPS)
		learned.timestamps = answer->timestamps;
	learned.known |= offered | LEARNED_BASE;
	atomic_store_explicit(&service->learned[v6], learned_pack(&learned), memory_order_relaxed);
}
