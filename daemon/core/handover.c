/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The second half of the guard: a client that has returned its cookie, and the server that does not know it yet. */
#include "core/guard_parts.h"

#define FLIGHT_SEGMENTS 10  /* what a client sends at once (RFC 6928), less the first, and a probe (RFC 8985 7) */
#define TIMESTAMPS_BYTES 12 /* of each segment, with padding (RFC 7323 A) */

/* ---- third ACK ---- */

/* The SYN that the client's third ACK stands for. Its window was scaled by then (RFC 7323 2.2); a SYN's is not. */
static void rewrite_to_syn(const struct splice *splice, struct decision *decision)
{
	uint32_t window = (uint32_t)splice->window << (splice->options.wscale > 0 ? splice->options.wscale : 0);

	guard_decide(decision, ACT_REWRITE, TREAT_HANDOVER);
	decision->segment = (struct segment){
		.source = splice->flow.client,
		.destination = splice->flow.server,
		.source_port = splice->flow.client_port,
		.destination_port = splice->flow.server_port,
		.seq = splice->client_isn,
		.flags = TCP_SYN,
		.hops = splice->hops,
		.tos = splice->tos,
		.window = (uint16_t)(window > UINT16_MAX ? UINT16_MAX : window),
		.options =
			{
				.mss = splice->options.mss,
				.wscale = splice->options.wscale,
				.sack = splice->options.sack,
				.timestamps = splice->timestamps,
				.tsval = splice->tsval,
			},
	};
}

/* Notes what the third ACK says. */
static void splice_fill(struct guard *guard, struct splice *splice, const struct segment *ack, unsigned index,
			const struct cookie_options *options, uint32_t interface)
{
	splice->service = (uint16_t)index;
	splice->retry_due = false;
	splice->data_sent = ack->payload_bytes > 0;
	splice->heard = false;
	splice->flags = ack->flags;
	splice->hops = ack->hops > HOPS_DEFAULT ? ack->hops
						: HOPS_DEFAULT; /* it was enough until here; to the server it must */
	splice->tos = ack->tos;
	splice->timestamps = ack->options.timestamps;
	splice->options = *options;
	splice->window = ack->window;
	splice->urgent = ack->urgent;
	splice->cookie = ack->ack - 1;
	splice->client_isn = ack->seq - 1;
	splice->tsval = ack->options.tsval;
	splice->interface = interface;
	splice->payload_bytes = 0;
	if (ack->payload_bytes && !ack->payload_cut && ack->payload_bytes <= SPLICE_PAYLOAD_BYTES) {
		memcpy(splice_payload(guard->splices, splice), ack->payload, ack->payload_bytes);
		splice->payload_bytes = ack->payload_bytes;
	} else if (ack->payload_bytes) {
		splice->flags &= (uint8_t)~TCP_FIN; /* what does not fit, the client sends again */
	}
}

/* A free entry for the flow: one that lingers there gives way, and one that still waits is started anew, for the client
 * has given that connection up. NULL when the table is full. */
static struct splice *splice_begin(struct guard *guard, const struct flow *flow, struct splice *old, uint64_t now_ns)
{
	if (old && old->state == SPLICE_SYN_SENT) {
		splice_enter(guard->splices, old, 0, now_ns);
		return old;
	}
	if (old)
		splice_remove(guard->splices, old);
	return splice_add(guard->splices, flow, now_ns);
}

static void ack_while_waiting(struct guard *guard, const struct segment *ack, struct splice *splice,
			      struct decision *decision)
{
	splice->data_sent |= ack->payload_bytes > 0;
	if (splice->retry_due && ack->payload_bytes == 0 && !(ack->flags & TCP_FIN)) {
		splice->retry_due = false;
		rewrite_to_syn(splice, decision);
		guard_count(guard, OUTCOME_HANDOVER_RETRIED);
	} else if (splice->held_count < SPLICE_HELD_MAX && guard->held < guard->limits.held_max) {
		guard_decide(decision, ACT_HOLD, TREAT_PLAIN);
		decision->splice = splice;
		guard_count(guard, OUTCOME_ACK_HELD);
	} else {
		guard_decide(decision, ACT_DROP, TREAT_PLAIN);
		guard_count(guard, OUTCOME_ACK_HOLD_FULL);
	}
}

/* Ends a connection that the server has not heard of. */
static void refuse(const struct guard *guard, const struct segment *ack, uint32_t interface, struct decision *decision)
{
	guard_decide(decision, ACT_DROP, TREAT_PLAIN);
	if (guard->limits.policy.refusal == POLICY_DROP)
		return;
	decision->send = SEND_TO_CLIENT;
	decision->interface = interface;
	decision->segment = (struct segment){
		.source = ack->destination,
		.destination = ack->source,
		.source_port = ack->destination_port,
		.destination_port = ack->source_port,
		.seq = ack->ack,
		.ack = ack->seq + ack->payload_bytes + (ack->flags & TCP_FIN ? 1 : 0),
		.flags = TCP_RST | TCP_ACK,
		.hops = HOPS_DEFAULT,
		.options = {.wscale = -1, .timestamps = ack->options.timestamps, .tsecr = ack->options.tsval},
	};
}

/* Once, until the supervisor has taken it away; when there is no room, the next one asks for it. */
static void ban(struct guard *guard, const struct addr *net, struct decision *decision)
{
	for (unsigned i = 0; i < guard->ban_count; i++)
		if (addr_equal(&guard->bans[i], net))
			return;
	if (guard->ban_count == GUARD_BANS_MAX)
		return;
	guard->bans[guard->ban_count++] = *net;
	decision->ban = true;
	guard_count(guard, OUTCOME_SOURCE_BANNED);
}

/* Whoever returns a cookie is who he says. */
static struct source *proven_source(struct guard *guard, const struct segment *ack, uint64_t now_ns)
{
	bool evicted;
	struct source *source = source_touch(guard->sources, &ack->source, now_ns, &evicted);

	if (evicted)
		guard_count(guard, OUTCOME_SOURCE_EVICTED);
	if (!source->syns && !source->completed) /* forgotten since its SYN */
		policy_source_begins(source, now_ns);
	source_completed(guard->sources, source, now_ns);
	return source;
}

/* And so it may be refused. */
static void over_rate(struct guard *guard, const struct segment *ack, const struct source *source, uint32_t interface,
		      struct decision *decision)
{
	guard_count(guard, OUTCOME_ACK_OVER_RATE);
	refuse(guard, ack, interface, decision);
	if (guard->limits.policy.ban_s)
		ban(guard, &source->net, decision);
}

/* Whether the source may be in the middle of a handshake with us: its third ACK may be lost, and this be what follows. */
static bool holds_cookie(const struct guard *guard, const struct segment *ack, int index, uint64_t now_ns)
{
	const struct source *source = source_find(guard->sources, &ack->source);

	if (index >= 0 && now_ns < atomic_load_explicit(&guard->services[index].ahead_until_ns, memory_order_relaxed))
		return true;
	return source && source->owed && source_age_s(source->last_s, now_ns) <= guard->limits.handshake_timeout_s;
}

/* Whether it is one of the segments behind a third ACK that was lost with its data: one of its size, or of the largest that
 * the server takes, or several, before it is the ISN that its cookie was made for, whoever made it. Asked only while it may
 * be a stray as well: that many checks take longer than all else about an ACK. */
static bool follows_cookie(const struct guard *guard, const struct segment *ack, const struct flow *flow, int index,
			   uint64_t now_ns)
{
	struct cookie_options options;
	uint32_t sizes[2];

	if (index < 0 || !ack->payload_bytes ||
	    now_ns >= atomic_load_explicit(&guard->services[index].ahead_or_stray_until_ns, memory_order_relaxed))
		return false;
	sizes[0] = ack->payload_bytes;
	sizes[1] = service_learned(&guard->services[index], !addr_is_v4(&flow->client)).mss -
		   (ack->options.timestamps ? TIMESTAMPS_BYTES : 0U);
	for (unsigned i = 0; i < 2; i++)
		for (uint32_t before = 1; before <= FLIGHT_SEGMENTS; before++)
			if (cookie_check(guard->secret, flow, ack->seq - 1 - before * sizes[i], ack->ack - 1, &options))
				return true;
	return false;
}

void guard_ack(struct guard *guard, const struct segment *ack, uint32_t interface, uint64_t now_ns,
	       struct decision *decision)
{
	struct flow flow = flow_from_client(ack);
	struct splice *splice = splice_find(guard->splices, &flow);
	int index = service_map_find(guard->map, &ack->destination, ack->destination_port);
	const struct policy *policy = &guard->limits.policy;
	struct cookie_options options;
	struct source *source;
	bool wary;
	bool valid = index >= 0 && cookie_check(guard->secret, &flow, ack->seq - 1, ack->ack - 1, &options);
	bool repeated = splice && splice->cookie == ack->ack - 1;

	/* Of a SYN that passed to the kernel. Anybody can send such an ACK: conntrack looks at its number first, and then it
	 * comes to guard_first_ack(). */
	if (!splice && halfopen_find(guard->halfopen, &flow)) {
		guard_count(guard, OUTCOME_PACKET_PASSED);
		guard_decide(decision, ACT_PASS, TREAT_PLAIN);
		return;
	}
	if (splice && splice->state == SPLICE_SYN_SENT && (repeated || !valid)) {
		ack_while_waiting(guard, ack, splice, decision);
		return;
	}
	if (splice && splice->state == SPLICE_ESTABLISHED && splice->client_isn == ack->seq - 1) {
		guard_count(guard, OUTCOME_ACK_AFTER_HANDOVER);
		guard_decide(decision, ACT_PASS, TREAT_PLAIN);
		return;
	}
	if (!valid || repeated) {
		bool stray = !splice && !holds_cookie(guard, ack, index, now_ns) &&
			     !follows_cookie(guard, ack, &flow, index, now_ns);

		guard_count(guard, OUTCOME_ACK_COOKIE_INVALID);
		guard_decide(decision, ACT_PASS, stray ? TREAT_STRAY : TREAT_UNPROVEN);
		return;
	}
	source = proven_source(guard, ack, now_ns);
	wary = policy_wary(
		policy, source,
		policy_limit(policy, atomic_load_explicit(&guard->services[index].arm_at, memory_order_relaxed)),
		now_ns);
	if (!policy_returned(policy, source, now_ns) && !guard->limits.observe) {
		over_rate(guard, ack, source, interface, decision);
		return;
	}
	splice = splice_begin(guard, &flow, splice, now_ns);
	if (!splice) { /* the client's retransmission tries again */
		guard_count(guard, OUTCOME_HANDOVER_TABLE_FULL);
		guard_decide(decision, ACT_DROP, TREAT_PLAIN);
		return;
	}
	splice_fill(guard, splice, ack, (unsigned)index, &options, interface);
	splice->begun_ns = now_ns;
	rewrite_to_syn(splice, decision);
	decision->splice = splice;
	decision->drop_held = splice->held_count > 0; /* of the connection that was given up */
	tally_cookie_returned(&guard->tallies[index], !wary, now_ns);
	cap_return(guard->replies, &flow.client);
	guard_count(guard, OUTCOME_ACK_COOKIE_VALID);
}

void guard_held(struct guard *guard, struct splice *splice, uint32_t id)
{
	splice->held[splice->held_count++] = id;
	guard->held++;
}

void guard_let_go(struct guard *guard, struct splice *splice)
{
	guard->held -= splice->held_count;
	splice->held_count = 0;
}

/* ---- the server's answer ---- */

/* A segment to the client in place of the server, which the client believes to be past its SYN-ACK. */
static struct segment server_segment(const struct splice *splice, uint8_t flags, uint32_t seq)
{
	return (struct segment){
		.source = splice->flow.server,
		.destination = splice->flow.client,
		.source_port = splice->flow.server_port,
		.destination_port = splice->flow.client_port,
		.seq = seq,
		.ack = splice->client_isn + 1,
		.flags = flags,
		.hops = HOPS_DEFAULT,
		.window = WINDOW_ANNOUNCED,
		.options = {.wscale = -1, .timestamps = splice->timestamps, .tsecr = splice->tsval},
	};
}

/* A segment to the server in place of the client. */
static struct segment client_segment(const struct splice *splice, uint8_t flags, uint32_t seq, uint32_t ack)
{
	return (struct segment){
		.source = splice->flow.client,
		.destination = splice->flow.server,
		.source_port = splice->flow.client_port,
		.destination_port = splice->flow.server_port,
		.seq = seq,
		.ack = ack,
		.flags = flags,
		.hops = splice->hops,
		.tos = splice->tos,
		.window = splice->window,
		.options = {.wscale = -1},
	};
}

/* A server in a network is to be a service of its own: told as a ban is. */
static void found(struct guard *guard, const struct flow *flow, unsigned network, struct decision *decision)
{
	for (unsigned i = 0; i < guard->found_count; i++)
		if (guard->found[i].port == flow->server_port && addr_equal(&guard->found[i].address, &flow->server))
			return;
	if (guard->found_count == GUARD_FOUND_MAX)
		return;
	guard->found[guard->found_count++] = (struct guard_found){flow->server, flow->server_port, (uint16_t)network};
	decision->found = true;
}

/* A SYN-ACK has come by. Call when all else is decided. */
static void server_answered(struct guard *guard, const struct flow *flow, unsigned index, uint64_t now_ns,
			    struct decision *decision)
{
	struct service *service = &guard->services[index];

	service_answered(service, now_ns);
	guard->unheard[index] = 0;
	if (service->host_bits && service_map_find(guard->map, &flow->server, flow->server_port) == (int)index)
		found(guard, flow, index, decision);
}

static void splice_refused(struct guard *guard, struct splice *splice, uint64_t now_ns, struct decision *decision)
{
	splice->state = SPLICE_REFUSED;
	splice_enter(guard->splices, splice, SPLICE_LINGER, now_ns);
	decision->splice = splice;
	decision->drop_held = true;
}

/* Ends the client's side; RFC 9293 3.10.7.4 has it take a RST only at exactly the next sequence number. */
void guard_reset_client(struct guard *guard, struct splice *splice, uint64_t now_ns, struct decision *decision)
{
	splice_refused(guard, splice, now_ns, decision);
	decision->send = SEND_TO_CLIENT;
	decision->segment = server_segment(splice, TCP_RST | TCP_ACK, splice->cookie + 1);
	decision->interface = splice->interface;
	decision->forget_flow = true;
	guard_count(guard, OUTCOME_HANDOVER_FAILED);
}

static void answer_take_over(struct guard *guard, struct splice *splice, const struct segment *answer, uint64_t now_ns,
			     struct decision *decision)
{
	struct service *service = &guard->services[splice->service];
	bool v6 = !addr_is_v4(&answer->source);
	struct tcp_options offered = {
		.wscale = splice->options.wscale,
		.sack = splice->options.sack,
		.timestamps = splice->timestamps,
	};

	service_learn(service, v6, &answer->options, answer->window, service_offered(&offered), now_ns);
	guard_decide(decision, ACT_DROP, TREAT_PLAIN);
	if (splice->options.wscale >= 0 && (answer->options.wscale < 0 || service_is_unscaled(service, v6, now_ns))) {
		/* The listener scales less than the client was told, so the client would overrun every window, or both
		 * would take each other's for tiny ones. Only clients that were challenged before such a change meet
		 * this: the next are told no scale, and a while later the new one. */
		guard_reset_client(guard, splice, now_ns, decision);
		return;
	}
	guard_decide(decision, ACT_TAKE_OVER, TREAT_PLAIN);
	decision->splice = splice;
	decision->delta = splice->cookie - answer->seq;
	decision->wscale = splice->options.wscale >= 0 && answer->options.wscale >= 0;
	decision->server_wscale = answer->options.wscale;
	decision->sack = splice->options.sack && answer->options.sack;
	decision->segment = client_segment(splice, splice->flags, splice->client_isn + 1, splice->cookie + 1);
	decision->segment.urgent = splice->urgent;
	decision->segment.payload = splice_payload(guard->splices, splice);
	decision->segment.payload_bytes = splice->payload_bytes;
	if (splice->timestamps && answer->options.timestamps) {
		decision->segment.options.timestamps = true;
		decision->segment.options.tsval = splice->tsval;
		decision->segment.options.tsecr = answer->options.tsval;
	}
}

static void answer_to_splice(struct guard *guard, struct splice *splice, const struct segment *answer, uint64_t now_ns,
			     struct decision *decision)
{
	bool acks_syn = answer->flags & TCP_ACK && answer->ack == splice->client_isn + 1;

	splice->heard = true;
	if (answer->flags & TCP_RST && acks_syn) {
		guard_decide(decision, ACT_RENUMBER, TREAT_PLAIN);
		decision->seq = splice->cookie + 1;
		splice_refused(guard, splice, now_ns, decision);
		service_refused(&guard->services[splice->service], now_ns);
		guard_count(guard, OUTCOME_HANDOVER_REFUSED);
	} else if (answer->flags & TCP_SYN && acks_syn) {
		answer_take_over(guard, splice, answer, now_ns, decision);
		server_answered(guard, &splice->flow, splice->service, now_ns, decision);
	} else if (answer->flags & TCP_ACK && !(answer->flags & TCP_RST)) {
		/* A connection of old on these ports still lives at the server, which asks whether the SYN is meant
		 * (RFC 5961 4). The client, in SYN-SENT, would say so with a RST (RFC 9293 3.5.1); the retry follows. */
		guard_decide(decision, ACT_DROP, TREAT_PLAIN);
		decision->send = SEND_TO_SERVER;
		decision->segment = client_segment(splice, TCP_RST, answer->ack, 0);
	} else {
		guard_decide(decision, ACT_PASS, TREAT_PLAIN);
		guard_count(guard, OUTCOME_PACKET_PASSED);
	}
}

/* A SYN-ACK that nobody here waits for: to a SYN from before our start, or repeated. It tells that there is a server, even
 * when its backlog is full and it answers no new SYN. */
static void answer_unasked(struct guard *guard, const struct flow *flow, const struct segment *answer, uint64_t now_ns,
			   struct decision *decision)
{
	int index = service_map_find(guard->map, &flow->server, flow->server_port);

	guard_count(guard, OUTCOME_PACKET_PASSED);
	if (index >= 0 && answer->flags & TCP_SYN && answer->flags & TCP_ACK)
		server_answered(guard, flow, (unsigned)index, now_ns, decision);
}

void guard_answer(struct guard *guard, const struct flow *flow, const struct segment *answer, uint64_t now_ns,
		  struct decision *decision)
{
	struct splice *splice = splice_find(guard->splices, flow);
	const struct halfopen_entry *entry;
	struct halfopen_entry ended;

	if (splice && splice->state == SPLICE_SYN_SENT) {
		answer_to_splice(guard, splice, answer, now_ns, decision);
		return;
	}
	guard_decide(decision, ACT_PASS, TREAT_PLAIN);
	entry = halfopen_find(guard->halfopen, flow);
	if (!entry) {
		answer_unasked(guard, flow, answer, now_ns, decision);
	} else if (answer->flags & TCP_RST && answer->flags & TCP_ACK && answer->ack == entry->client_isn + 1) {
		/* Refused. A RST without ACK is for an ACK that nobody waits for, perhaps forged (RFC 9293 3.10.7.1). */
		halfopen_end(guard->halfopen, flow, &ended);
		guard_half_open_ended(guard, &ended, OUTCOME_HALF_OPEN_RESET, now_ns);
		service_refused(&guard->services[ended.service], now_ns);
	} else if (answer->flags & TCP_SYN && answer->flags & TCP_ACK) {
		service_learn(&guard->services[entry->service], !addr_is_v4(&answer->source), &answer->options,
			      answer->window, entry->offered, now_ns);
		guard_count(guard, OUTCOME_OPTIONS_LEARNED);
		server_answered(guard, flow, entry->service, now_ns, decision);
	}
}

void guard_taken_over(struct guard *guard, struct splice *splice, uint64_t now_ns)
{
	splice->state = SPLICE_ESTABLISHED;
	guard_let_go(guard, splice);
	splice_enter(guard->splices, splice, SPLICE_LINGER, now_ns);
	latency_add(&guard->handover_latency, splice->begun_ns, now_ns);
	guard_count(guard, OUTCOME_HANDED_OVER);
}

void guard_take_over_failed(struct guard *guard, struct splice *splice, uint64_t now_ns, struct decision *decision)
{
	guard_decide(decision, ACT_DROP, TREAT_PLAIN);
	guard_reset_client(guard, splice, now_ns, decision);
}

/* ---- time ---- */

/* Whoever sends cookies back faster than a silent server takes them must not keep others out: when there is little room left,
 * those that have been asked for again end early. */
static struct splice *pressed_out(struct guard *guard)
{
	bool full = splice_waiting(guard->splices) >= guard->limits.handovers_max - guard->limits.handovers_max / 4 ||
		    guard->held > guard->limits.held_max - guard->limits.held_max / 4;

	return full ? splice_longest_waiting(guard->splices) : NULL;
}

bool guard_handover_due(struct guard *guard, uint64_t now_ns, struct decision *decision)
{
	struct splice *splice = pressed_out(guard);

	if (splice) {
		guard_decide(decision, ACT_DROP, TREAT_PLAIN);
		guard_reset_client(guard, splice, now_ns, decision);
		return true;
	}

	while ((splice = splice_due(guard->splices, now_ns))) {
		guard_decide(decision, ACT_DROP, TREAT_PLAIN);
		if (splice->stage == SPLICE_LINGER) {
			splice_remove(guard->splices, splice);
			continue;
		}
		if (splice->stage == SPLICE_TRIES - 1) {
			if (splice->data_sent && !splice->heard)
				service_unanswered(&guard->services[splice->service], now_ns);
			guard_reset_client(guard, splice, now_ns, decision);
			return true;
		}
		splice_enter(guard->splices, splice, splice->stage + 1U, now_ns);
		splice->retry_due = true;
		decision->splice = splice;
		decision->send = SEND_TO_CLIENT;
		decision->segment = server_segment(splice, TCP_ACK, splice->cookie);
		decision->interface = splice->interface;
		return true;
	}
	return false;
}
