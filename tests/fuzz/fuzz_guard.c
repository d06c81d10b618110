/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guard: a shard's whole story. The input is a world and a sequence of packets, answers and clock steps; a model beside it
 * knows which cookies were issued, and what must be true after each step. */
#include "fuzz.h"
#include "synmoat/challenge.h"
#include "synmoat/guard.h"

#define NSEC_PER_SEC 1000000000ULL
#define NSEC_PER_MSEC 1000000ULL
#define START_NS (5000 * NSEC_PER_SEC)
#define TIMEOUT_S 30
#define CLIENTS 8 /* half of them of IPv6 */
#define PORTS 2
#define SERVERS 4 /* places in `places` */
#define STEPS_MAX 200
#define ISSUED_MAX 64
#define DUE_MAX 4096
#define HANDOVERS_MAX 4
#define HELD_MAX 20
#define MARKED 0xee

enum {
	WEB = 5,
	OLD,
	NET
}; /* the second never gets cookies; the third is a network */

struct issued {
	struct flow flow;
	uint32_t client_isn, cookie, epoch;
};

static struct service *services;
static struct service_map *map;
static struct guard guard;
static struct cookie_secret guard_secret;
static struct decision decision;
static uint64_t now_ns;
static uint8_t payload[SPLICE_PAYLOAD_BYTES + 100];
static struct issued issued[ISSUED_MAX];
static unsigned issued_count;
static struct segment last_syn; /* what syn_from() has offered */

/* ---- the world ---- */

static struct addr server_address(unsigned place, bool v6)
{
	static const uint8_t v4[SERVERS][4] = {{192, 0, 2, 1}, {192, 0, 2, 1}, {192, 0, 3, 7}, {192, 0, 9, 9}};
	static const uint8_t last[SERVERS] = {1, 1, 7, 9}, net[SERVERS] = {1, 1, 2, 9};
	uint8_t wire[16] = {0x20, 1, 0x0d, 0xb8, 0, 0, 0, net[place], [15] = last[place]};

	return v6 ? addr_from_v6(wire) : addr_from_v4(v4[place]);
}

static const uint16_t server_ports[SERVERS] = {80, 25, 443, 80}; /* web, old, in the network, nobody's */

static struct addr client_address(unsigned n)
{
	const uint8_t v4[4] = {198, 18, (uint8_t)(n / 2 % 4), (uint8_t)n};
	uint8_t v6[16] = {0x20, 1, 0x0d, 0xb8, 0, 1, 0, (uint8_t)(n / 2 % 4), [15] = (uint8_t)n};

	return n % 2 ? addr_from_v6(v6) : addr_from_v4(v4);
}

static void services_make(uint8_t kind)
{
	static const struct service_thresholds thresholds = {50, 85, 25};
	struct service_binding bindings[6];

	memset(&services[WEB], 0, 3 * sizeof(*services));
	for (unsigned i = 0; i < 6; i++)
		bindings[i] = (struct service_binding){server_address(i / 2, i % 2), server_ports[i / 2],
						       (uint16_t)(WEB + i / 2), 0};
	bindings[4].address.bytes[15] = 0;
	bindings[4].host_bits = 8;
	bindings[5].address.bytes[15] = 0;
	bindings[5].host_bits = 64;
	for (unsigned i = WEB; i <= NET; i++)
		service_set_limit(&services[i], 8, &thresholds);
	services[OLD].cookies = SERVICE_COOKIES_NEVER;
	services[OLD].patience = SERVICE_ARMS_NEVER;
	services[OLD].exempt = true;
	services[NET].host_bits = 8;
	map = service_map_new(bindings, kind & 1 ? 4 : 6);
	must(map);
}

/* What has a place for each of all services is made once: of three of them it is made anew. */
static void guard_make(const struct guard_limits *limits, const struct siphash_key *key)
{
	static struct guard fresh;
	static struct cap full; /* made once, too */

	if (!fresh.tallies) {
		must(guard_init(&fresh, limits, services, &guard_secret, key, now_ns) == 0);
		halfopen_free(fresh.halfopen);
		source_free(fresh.sources);
		splice_free(fresh.splices);
	}
	guard = fresh;
	guard.limits = *limits;
	guard.halfopen = halfopen_new(limits->half_open_max, key);
	guard.sources = source_new(limits->sources_max, &limits->prefixes, key);
	guard.splices = splice_new(limits->handovers_max, key);
	must(guard.halfopen && guard.sources && guard.splices);
	if (limits->replies_per_s && !full.per_s)
		cap_init(&full, limits->replies_per_s, key, now_ns);
	if (limits->replies_per_s)
		*guard.replies = full;
	else
		guard.replies->per_s = 0;
	memset(&guard.tallies[WEB], 0, 3 * sizeof(guard.tallies[0]));
	memset(&guard.learn_at_ns[WEB], 0, 3 * sizeof(guard.learn_at_ns[0]));
	memset(&guard.unheard[WEB], 0, 3 * sizeof(guard.unheard[0]));
}

static void world_make(struct input *input)
{
	struct siphash_key key = {{11, 12}};
	uint8_t kind = input_8(input), limits_kind = input_8(input);
	struct guard_limits limits = {
		.policy = {.half_open_limit = limits_kind & 1 ? 3 : 0,
			   .span_s = 10,
			   .proven_s = limits_kind & 2 ? 60 : 0,
			   .direct_half_open = 2,
			   .rate_per_s = limits_kind & 4 ? 2 : 0,
			   .rate_burst = 1 + (limits_kind >> 6),
			   .refusal = limits_kind & 8 ? POLICY_RESET : POLICY_DROP,
			   .ban_s = limits_kind & 16 ? 10 : 0},
		.handshake_timeout_s = TIMEOUT_S,
		.observe = (kind & 0xe) == 0xe,
		.kernel_checks_md5 = kind & 16,
		.half_open_max = 8,
		.sources_max = 8,
		.handovers_max = HANDOVERS_MAX,
		.replies_per_s = limits_kind & 32 ? 3 : 0,
		.held_max = HELD_MAX,
		.prefixes = {kind & 32 ? 24 : 32, kind & 32 ? 64 : 128},
	};

	services_make(kind);
	now_ns = START_NS;
	issued_count = 0;
	guard_secret = (struct cookie_secret){.epoch = 78, .keys = {{{1, 2}}, {{3, 4}}}};
	guard_make(&limits, &key);
	guard.map = map;
}

static void world_drop(void)
{
	service_map_free(map);
	halfopen_free(guard.halfopen);
	source_free(guard.sources);
	splice_free(guard.splices);
}

/* ---- what holds after every step ---- */

static unsigned place_of(const struct flow *flow)
{
	for (unsigned place = 0; place < SERVERS; place++)
		for (unsigned v6 = 0; v6 < 2; v6++) {
			struct addr address = server_address(place, v6);

			if (flow->server_port == server_ports[place] && addr_equal(&flow->server, &address))
				return place;
		}
	return SERVERS;
}

static struct flow flow_number(unsigned n)
{
	unsigned client = n % CLIENTS, place = n / CLIENTS % SERVERS;

	return (struct flow){
		.client = client_address(client),
		.server = server_address(place, client % 2),
		.client_port = (uint16_t)(40000 + n / CLIENTS / SERVERS % PORTS),
		.server_port = server_ports[place],
	};
}

static void splices_add_up(void)
{
	unsigned count = 0, held = 0;

	for (unsigned n = 0; n < CLIENTS * SERVERS * PORTS && splice_count(guard.splices); n++) {
		struct flow flow = flow_number(n);
		const struct splice *splice = splice_find(guard.splices, &flow);

		if (!splice)
			continue;
		count++;
		held += splice->held_count;
		must(memcmp(&splice->flow, &flow, sizeof(flow)) == 0);
		must(splice->state <= SPLICE_REFUSED && splice->stage < SPLICE_STAGES);
		must((splice->state == SPLICE_SYN_SENT) == (splice->stage < SPLICE_TRIES));
		must(splice->held_count <= SPLICE_HELD_MAX && splice->payload_bytes <= SPLICE_PAYLOAD_BYTES);
		must(splice->service >= WEB && splice->service <= NET && splice->service != OLD);
	}
	must(count == splice_count(guard.splices) && count <= HANDOVERS_MAX);
	must(held == guard.held && held <= HELD_MAX);
	must(splice_waiting(guard.splices) <= count);
}

static void half_open_adds_up(void)
{
	uint32_t count = halfopen_count(guard.halfopen), listed = 0, by_service[NET + 1] = {0};
	const struct halfopen_entry *entry = halfopen_newest(guard.halfopen);

	for (; entry; entry = halfopen_older(guard.halfopen, entry), listed++) {
		must(halfopen_find(guard.halfopen, &entry->flow) == entry);
		must(entry->service >= WEB && entry->service <= NET);
		by_service[entry->service]++;
	}
	must(listed == count && count <= 8);
	for (unsigned i = WEB; i <= NET; i++)
		must(services[i].half_open == by_service[i] && services[i].posture <= SERVICE_DRAINING);
	must(source_count(guard.sources) <= 8);
	must(guard.ban_count <= GUARD_BANS_MAX && guard.found_count <= GUARD_FOUND_MAX);
}

static uint64_t syns_decided(void)
{
	uint64_t sum = 0;

	for (unsigned outcome = OUTCOME_SYN_ACCEPTED; outcome <= OUTCOME_SYN_SHED; outcome++)
		sum += guard.counters[outcome];
	return sum;
}

/* A segment of ours can be written, and is what it says. */
static void can_be_written(const struct segment *segment)
{
	static uint8_t out[SEGMENT_HEADERS_MAX + SPLICE_PAYLOAD_BYTES];
	struct segment again;
	size_t bytes = segment_write(out, sizeof(out), segment);

	must(bytes && packet_parse(out, bytes, &again) == PACKET_TCP);
	must(again.seq == segment->seq && again.ack == segment->ack && again.flags == segment->flags);
	must(again.payload_bytes == segment->payload_bytes);
	must(segment->hops > 0);
}

static bool is_server(const struct addr *address, uint16_t port)
{
	struct flow flow = {.server = *address, .server_port = port};

	return place_of(&flow) < SERVERS - 1;
}

static void decision_is_sound(void)
{
	must(decision.act <= ACT_TAKE_OVER && decision.send <= SEND_TO_SERVER);
	must(decision.treatment <= TREAT_STRAY &&
	     (decision.treatment <= TREAT_UNPROVEN || decision.treatment >= TREAT_SEEN));
	must(decision.trip >= -1 && decision.trip < SERVICES_MAX);
	must(decision.act != ACT_HOLD || decision.splice);
	must(!decision.drop_held || decision.splice);
	must(!decision.forget_flow || decision.splice);
	if (decision.act == ACT_REWRITE || decision.act == ACT_TAKE_OVER || decision.send != SEND_NOTHING)
		can_be_written(&decision.segment);
	if (decision.send == SEND_TO_CLIENT) {
		must(is_server(&decision.segment.source, decision.segment.source_port));
		must(!decision.segment.payload_bytes);
	} else if (decision.act == ACT_REWRITE || decision.act == ACT_TAKE_OVER || decision.send == SEND_TO_SERVER) {
		must(is_server(&decision.segment.destination, decision.segment.destination_port));
	}
}

static void all_adds_up(void)
{
	splices_add_up();
	half_open_adds_up();
	must(syns_decided() == guard.counters[OUTCOME_SYN_RECEIVED]);
}

/* ---- what the worker does with a decision ---- */

static void drop_held(void)
{
	if (decision.drop_held)
		guard_let_go(&guard, decision.splice);
}

static void obey(struct input *input)
{
	struct splice *splice = decision.splice;

	decision_is_sound();
	if (decision.act == ACT_HOLD) {
		must(splice->state == SPLICE_SYN_SENT);
		guard_held(&guard, splice, 1);
		return;
	}
	drop_held();
	if (decision.act != ACT_TAKE_OVER)
		return;
	must(splice->state == SPLICE_SYN_SENT);
	if (input_8(input) & 7) {
		guard_taken_over(&guard, splice, now_ns);
		must(splice->state == SPLICE_ESTABLISHED && !splice->held_count);
		return;
	}
	memset(&decision, MARKED, sizeof(decision));
	guard_take_over_failed(&guard, splice, now_ns, &decision);
	decision_is_sound();
	must(decision.send == SEND_TO_CLIENT && decision.segment.flags & TCP_RST);
	must(splice->state == SPLICE_REFUSED);
	drop_held();
}

/* ---- steps ---- */

static struct segment client_segment(const struct flow *flow, struct input *input)
{
	return (struct segment){
		.source = flow->client,
		.destination = flow->server,
		.source_port = flow->client_port,
		.destination_port = flow->server_port,
		.hops = (uint8_t)(1 + input_8(input) % 64),
		.tos = 0x28,
		.window = 500,
		.options = {.wscale = -1},
	};
}

static struct tcp_options some_options(struct input *input)
{
	uint8_t kind = input_8(input), more = input_8(input);

	return (struct tcp_options){
		.mss = kind & 1 ? (uint16_t)(400 + more * 40) : 0,
		.wscale = (int8_t)(kind & 2 ? more % 15 : -1),
		.sack = kind & 4,
		.timestamps = kind & 8,
		.md5 = (kind & 0xf0) == 0xf0,
		.tsval = kind & 8 ? 5000 : 0,
	};
}

/* Numbers are few: what is guessed must not become a cookie by luck. */
static uint32_t some_isn(struct input *input, const struct flow *flow)
{
	return flow->client.bytes[15] * 1000U + input_8(input) % 4;
}

static struct flow some_flow(struct input *input)
{
	return flow_number(input_8(input) % (CLIENTS * SERVERS * PORTS));
}

static void cookie_noted(const struct segment *syn)
{
	struct issued *note = &issued[issued_count++ % ISSUED_MAX];
	struct segment *answer = &decision.segment;

	must(decision.act == ACT_DROP && answer->flags == (TCP_SYN | TCP_ACK) && answer->ack == syn->seq + 1);
	must(addr_equal(&answer->destination, &syn->source) && addr_equal(&answer->source, &syn->destination));
	must(answer->destination_port == syn->source_port && answer->source_port == syn->destination_port);
	must(!answer->options.timestamps || (syn->options.timestamps && answer->options.tsecr == syn->options.tsval));
	must(answer->options.wscale < 0 || syn->options.wscale >= 0);
	must(!answer->options.sack || syn->options.sack);
	*note = (struct issued){flow_from_client(syn), syn->seq, answer->seq, guard_secret.epoch};
}

static void syn_from(struct input *input, bool spilled)
{
	struct flow flow = some_flow(input);
	uint64_t decided = syns_decided();
	bool challenges;

	last_syn = client_segment(&flow, input);
	last_syn.flags = TCP_SYN;
	last_syn.seq = some_isn(input, &flow);
	last_syn.options = some_options(input);
	challenges = guard_challenges(&guard, &last_syn, now_ns);
	if (spilled)
		guard_spilled(&guard, &last_syn, 3, now_ns, &decision);
	else
		guard_syn(&guard, &last_syn, 3, now_ns, &decision);
	must(syns_decided() == decided + 1 && syns_decided() == guard.counters[OUTCOME_SYN_RECEIVED]);
	must(decision.act == ACT_PASS || decision.act == ACT_DROP);
	must(!spilled || decision.act == ACT_DROP);
	if (guard.limits.observe) {
		must(decision.send == SEND_NOTHING && (spilled || decision.act == ACT_PASS));
	} else if (decision.send != SEND_NOTHING) {
		must(decision.send == SEND_TO_CLIENT && place_of(&flow) != 1 && place_of(&flow) != 3);
		must(spilled || challenges);
		must(!(last_syn.options.md5 && guard.limits.kernel_checks_md5));
		cookie_noted(&last_syn);
	}
	obey(input);
}

static bool was_issued(const struct segment *ack)
{
	struct flow flow = flow_from_client(ack);

	for (unsigned i = 0; i < issued_count && i < ISSUED_MAX; i++)
		if (memcmp(&issued[i].flow, &flow, sizeof(flow)) == 0 && issued[i].client_isn == ack->seq - 1 &&
		    issued[i].cookie == ack->ack - 1 && guard_secret.epoch - issued[i].epoch <= 1)
			return true;
	return false;
}

/* Only an issued cookie makes a handover begin, and there is no other way to one. */
static void ack_is_judged(const struct segment *ack, struct input *input)
{
	struct flow flow = flow_from_client(ack);
	const struct splice *before = splice_find(guard.splices, &flow);
	bool known = before || halfopen_find(guard.halfopen, &flow), good = was_issued(ack);
	uint64_t valid = guard.counters[OUTCOME_ACK_COOKIE_VALID], bad = guard.counters[OUTCOME_ACK_COOKIE_INVALID];

	guard_ack(&guard, ack, 3, now_ns, &decision);
	must(decision.act == ACT_PASS || decision.act == ACT_DROP || decision.act == ACT_HOLD ||
	     decision.act == ACT_REWRITE);
	if (guard.counters[OUTCOME_ACK_COOKIE_VALID] != valid) {
		must(issued_count > ISSUED_MAX || good);
		must(decision.act == ACT_REWRITE && decision.treatment == TREAT_HANDOVER);
		must(decision.segment.flags == TCP_SYN && decision.segment.seq == ack->seq - 1);
		must(decision.segment.options.mss);
	} else if (decision.act == ACT_REWRITE) {
		must(before && before->state == SPLICE_SYN_SENT);
	}
	must(known || !good || guard.counters[OUTCOME_ACK_COOKIE_INVALID] == bad);
	must(decision.treatment != TREAT_STRAY || (decision.act == ACT_PASS && !good));
	obey(input);
}

static void ack_from(struct input *input)
{
	uint8_t which = input_8(input), off = input_8(input), kind = input_8(input);
	struct flow flow = issued_count ? issued[which % (issued_count < ISSUED_MAX ? issued_count : ISSUED_MAX)].flow
					: flow_number(which % (CLIENTS * SERVERS * PORTS));
	struct segment ack = client_segment(&flow, input);

	if (issued_count) {
		const struct issued *note = &issued[which % (issued_count < ISSUED_MAX ? issued_count : ISSUED_MAX)];

		ack.seq = note->client_isn + 1;
		ack.ack = note->cookie + 1;
	}
	if (off & 0x80)
		ack.ack ^= 1U << off % 32;
	if (off & 0x40)
		ack.seq += off % 4;
	ack.flags = (uint8_t)(TCP_ACK | (kind & 1 ? TCP_PSH : 0) | (kind & 2 ? TCP_FIN : 0));
	ack.options.timestamps = kind & 4;
	ack.options.tsval = kind & 4 ? 5100 : 0;
	ack.payload = payload;
	ack.payload_bytes = (uint16_t)(kind & 8 ? input_16(input) % sizeof(payload) : 0);
	ack.payload_cut = (kind & 0x30) == 0x30;
	ack_is_judged(&ack, input);
}

static struct segment server_segment(const struct flow *flow, struct input *input)
{
	uint8_t kind = input_8(input);

	return (struct segment){
		.source = flow->server,
		.destination = flow->client,
		.source_port = flow->server_port,
		.destination_port = flow->client_port,
		.seq = 0x40000000U + kind,
		.ack = some_isn(input, flow) + 1,
		.flags = kind & 1   ? TCP_SYN | TCP_ACK
			 : kind & 2 ? TCP_RST | TCP_ACK
			 : kind & 4 ? TCP_ACK
				    : kind >> 3,
		.hops = 64,
		.window = 28960,
		.options = {.wscale = -1},
	};
}

static void answer_from_server(struct input *input)
{
	struct flow flow = some_flow(input);
	struct splice *any = splice_any(guard.splices), *splice;
	struct segment answer;

	if (any && input_8(input) & 1)
		flow = any->flow;
	answer = server_segment(&flow, input);
	if (answer.flags & TCP_SYN)
		answer.options = some_options(input);
	splice = splice_find(guard.splices, &flow);
	if (splice && input_8(input) & 3)
		answer.ack = splice->client_isn + 1;
	guard_answer(&guard, &flow, &answer, now_ns, &decision);
	must(decision.act != ACT_HOLD && decision.act != ACT_REWRITE);
	if (decision.act == ACT_TAKE_OVER) {
		must(splice && decision.splice == splice && decision.delta == splice->cookie - answer.seq);
		must(answer.flags & TCP_SYN && answer.ack == splice->client_isn + 1);
		must(decision.segment.seq == splice->client_isn + 1 && decision.segment.ack == splice->cookie + 1);
		must(decision.segment.payload_bytes == splice->payload_bytes);
		must(!splice->payload_bytes || memcmp(decision.segment.payload, payload, splice->payload_bytes) == 0);
		must(!decision.wscale || (splice->options.wscale >= 0 && answer.options.wscale >= 0));
		must(!decision.sack || (splice->options.sack && answer.options.sack));
	} else if (decision.act == ACT_RENUMBER) {
		must(splice && decision.seq == splice->cookie + 1 && answer.flags & TCP_RST);
	}
	obey(input);
}

static void first_ack(struct input *input)
{
	struct flow flow = some_flow(input);
	const struct halfopen_entry *entry = halfopen_newest(guard.halfopen);
	struct segment ack;

	if (entry && input_8(input) & 1)
		flow = entry->flow;
	ack = client_segment(&flow, input);
	ack.flags = input_8(input) & 0x17;
	ack.seq = some_isn(input, &flow) + 1;
	ack.options.timestamps = input_8(input) & 1;
	guard_first_ack(&guard, &ack, now_ns, &decision);
	must(decision.act == ACT_PASS || (decision.act == ACT_DROP && ack.flags & TCP_SYN));
	obey(input);
}

static void what_is_due(struct input *input)
{
	unsigned count = 0;

	memset(&decision, MARKED, sizeof(decision));
	while (guard_due(&guard, now_ns, &decision)) {
		must(decision.act == ACT_DROP && decision.send == SEND_TO_CLIENT && decision.splice);
		must(++count < DUE_MAX);
		obey(input);
		memset(&decision, MARKED, sizeof(decision));
	}
	must(!splice_due(guard.splices, now_ns));
}

static void time_passes(struct input *input)
{
	uint8_t step = input_8(input);

	now_ns += step < 128 ? step * 10 * NSEC_PER_MSEC : (step - 127) * NSEC_PER_SEC;
	what_is_due(input);
}

static void posture_changes(struct input *input)
{
	uint8_t kind = input_8(input);

	service_enter(&services[kind & 16 ? NET : WEB], kind % 4, now_ns);
}

static void secret_ages(struct input *input)
{
	struct siphash_key fresh = {{input_8(input), 0x77}};

	fresh.words[1] += (uint64_t)guard_secret.epoch << 8; /* as different as random ones */
	cookie_rotate(&guard_secret, &fresh);
}

static void supervisor_takes(void)
{
	guard.ban_count = 0;
	guard.found_count = 0;
}

static void step(struct input *input)
{
	static const struct tcp_options server = {.mss = 1380, .wscale = 6, .sack = true, .timestamps = true};
	uint8_t kind = input_8(input);

	memset(&decision, MARKED, sizeof(decision));
	switch (kind % 16) {
	case 0:
	case 1:
	case 2:
		syn_from(input, false);
		break;
	case 3:
		syn_from(input, true);
		break;
	case 4:
	case 5:
	case 6:
		ack_from(input);
		break;
	case 7:
	case 8:
		answer_from_server(input);
		break;
	case 9:
		first_ack(input);
		break;
	case 10:
	case 11:
		time_passes(input);
		break;
	case 12:
		posture_changes(input);
		break;
	case 13:
		secret_ages(input);
		break;
	case 14:
		service_learn(&services[kind & 16 ? NET : WEB], kind & 32, &server, 28960, kind >> 4, now_ns);
		break;
	default:
		if (kind & 16)
			guard_cookies_fail(&guard, now_ns);
		else
			supervisor_takes();
		break;
	}
}

/* Whatever was, in the end there is nothing left of it. */
static void all_ends(void)
{
	struct input nothing = {NULL, 0};

	for (unsigned i = 0; i < 16; i++) {
		now_ns += 5 * NSEC_PER_SEC;
		what_is_due(&nothing);
	}
	must(splice_count(guard.splices) == 0 && guard.held == 0);
	must(halfopen_count(guard.halfopen) == 0);
	all_adds_up();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct input input = {data, bytes};

	if (!services) {
		services = calloc(SERVICES_MAX, sizeof(*services));
		must(services);
		for (size_t i = 0; i < sizeof(payload); i++)
			payload[i] = (uint8_t)(i * 7);
	}
	world_make(&input);
	for (unsigned i = 0; i < STEPS_MAX && input.left; i++) {
		step(&input);
		half_open_adds_up();
		if (i % 4 == 3) /* what it takes the most time to see */
			splices_add_up();
	}
	all_ends();
	world_drop();
	return 0;
}
