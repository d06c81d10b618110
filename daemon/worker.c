/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "worker.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "edge/host.h"
#include "edge/marks.h"
#include "edge/proc_text.h"

#define NSEC_PER_MSEC 1000000ULL

#define SYN_COPY_BYTES 512      /* IPv6 with extension headers, and a TCP header with all options */
#define FLOW_COPY_BYTES 0xffff  /* a third ACK's data goes on to the server by our hand */
#define SYN_QUEUE_LENGTH 32768  /* packets */
#define ARMED_QUEUE_LENGTH 8192 /* a client's SYN does not wait long behind a flood's, and a burst still fits */
#define FLOW_BATCHES_MAX 8      /* per round, so that SYNs get their turn */
#define TICK_MS 100
#define ARMING_PATIENCE_NS (100 * NSEC_PER_MSEC)

uint64_t worker_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

static void count(struct worker *worker, enum outcome outcome, uint64_t times)
{
	worker->guard.counters[outcome] += times;
}

/* ---- acting on decisions ---- */

static void send_segment(struct worker *worker, const struct decision *decision)
{
	unsigned unsent = 0;

	if (decision->send == SEND_TO_CLIENT)
		unsent = inject_to_client(&worker->inject, &decision->segment, decision->interface);
	if (decision->send == SEND_TO_SERVER) {
		inject_to_server(&worker->inject, &decision->segment);
		inject_flush_servers(&worker->inject); /* if it fails: the server asks again */
	}
	count(worker, OUTCOME_SYNACK_UNSENT, unsent);
}

static bool raise_alarm(const struct worker *worker)
{
	uint64_t one = 1;

	return write(worker->setup.alarm_fd, &one, sizeof(one)) == sizeof(one);
}

/* What a decision says beyond the packet in hand. */
static void act_on_rest(struct worker *worker, const struct decision *decision)
{
	struct splice *splice = decision->splice;

	if (decision->ban || decision->found)
		raise_alarm(worker);
	if (decision->drop_held) {
		for (unsigned i = 0; i < splice->held_count; i++)
			queue_drop(worker->flow_queue, splice->held[i]);
		guard_let_go(&worker->guard, splice);
	}
	if (decision->forget_flow)
		conntrack_delete(&worker->conntrack, &splice->flow); /* there may be none */
	send_segment(worker, decision);
}

static void take_over(struct worker *worker, const struct decision *decision)
{
	struct splice *splice = decision->splice;

	for (unsigned i = 0; i < splice->held_count; i++)
		queue_release(worker->flow_queue, splice->held[i]);
	guard_taken_over(&worker->guard, splice, worker_now_ns()); /* a batch may have been long */
}

static void take_over_failed(struct worker *worker, struct splice *splice)
{
	struct decision decision;

	guard_take_over_failed(&worker->guard, splice, worker_now_ns(), &decision);
	act_on_rest(worker, &decision);
}

static void prepare(const struct decision *decision, struct conntrack_handover *handover)
{
	const struct splice *splice = decision->splice;

	handover->splice = (struct conntrack_splice){
		.delta = decision->delta,
		.mark = (handover->entry.mark & ~MARK_BITS) | MARK_HANDED_OVER,
		.wscale = decision->wscale,
		.sack = decision->sack,
		.client_wscale = (uint8_t)splice->options.wscale,
		.server_wscale = (uint8_t)decision->server_wscale,
	};
}

/* All handovers whose answers have come in this batch, step by step: so each step is one system call for all. */
static void take_over_all(struct worker *worker)
{
	struct conntrack_handover handovers[CONNTRACK_BATCH];
	unsigned taken = worker->taken_count;
	bool found[CONNTRACK_BATCH];

	if (!taken)
		return;
	for (unsigned i = 0; i < taken; i++)
		handovers[i].flow = worker->taken[i].splice->flow;
	conntrack_get_all(&worker->conntrack, handovers, taken);
	for (unsigned i = 0; i < taken; i++) {
		found[i] = !handovers[i].error;
		if (found[i])
			prepare(&worker->taken[i], &handovers[i]);
	}
	conntrack_splice_all(&worker->conntrack, handovers, taken);
	for (unsigned i = 0; i < taken; i++)
		if (!handovers[i].error) /* if it fails, the server repeats its SYN-ACK to the client */
			inject_to_server(&worker->inject, &worker->taken[i].segment);
	inject_flush_servers(&worker->inject);
	worker->taken_count = 0;
	for (unsigned i = 0; i < taken; i++) {
		count(worker, OUTCOME_CONNTRACK_ERROR, handovers[i].error != 0);
		if (!handovers[i].error)
			take_over(worker, &worker->taken[i]);
		else if (found[i])
			take_over_failed(worker, worker->taken[i].splice);
		/* else the server repeats its answer */
	}
}

/* Before something is decided about a handover that is to be done in this batch. */
static const struct splice *being_taken(const struct worker *worker, const struct flow *flow)
{
	for (unsigned i = 0; i < worker->taken_count; i++)
		if (memcmp(&worker->taken[i].splice->flow, flow, sizeof(*flow)) == 0)
			return worker->taken[i].splice;
	return NULL;
}

/* Exactly one verdict, or the packet's id goes to those held. */
static void act_on_flow(struct worker *worker, struct queued *packet, const struct decision *decision)
{
	uint32_t mark = mark_treated(packet->mark, decision->treatment);
	uint8_t rewritten[SEGMENT_HEADERS_MAX];

	switch (decision->act) {
	case ACT_PASS:
		queue_pass(worker->flow_queue, packet->id, mark);
		break;
	case ACT_DROP:
		queue_drop(worker->flow_queue, packet->id);
		break;
	case ACT_HOLD:
		guard_held(&worker->guard, decision->splice, packet->id);
		return;
	case ACT_REWRITE:
		queue_pass_as(worker->flow_queue, packet->id, mark, rewritten,
			      segment_write(rewritten, sizeof(rewritten), &decision->segment));
		break;
	case ACT_RENUMBER:
		packet_set_seq(packet->data, packet->bytes, decision->seq);
		queue_pass_as(worker->flow_queue, packet->id, mark, packet->data, packet->bytes);
		break;
	case ACT_TAKE_OVER: /* of answers only: handle_answer() */
		return;
	}
	act_on_rest(worker, decision);
}

static void act_on_syn(struct worker *worker, struct queue *queue, const struct queued *packet,
		       const struct decision *decision)
{
	if (decision->act == ACT_PASS)
		queue_pass_in_order(queue, packet->id, mark_treated(packet->mark, decision->treatment));
	else
		queue_drop_in_order(queue, packet->id);
	send_segment(worker, decision);
}

/* ---- the packet line ---- */

/* An error that quotes a translated connection: the server must find its own sequence number in it, as it does when the
 * error is of this host's own making, and so about a segment not yet translated. Conntrack would translate either as if
 * it were TCP: the server gets a copy that conntrack does not see. */
static void handle_error(struct worker *worker, struct queued *packet)
{
	bool own = !packet->interface;
	struct conntrack_entry entry;
	struct flow flow;

	if (packet_quoted_flow(packet->data, packet->bytes, &flow) &&
	    conntrack_get(&worker->conntrack, &flow, true, &entry) == 0 && entry.adjusted &&
	    memcmp(&flow, &entry.reply, sizeof(flow)) == 0) {
		if (!own)
			packet_shift_quoted_seq(packet->data, packet->bytes, entry.delta);
		if (inject_untracked(&worker->inject, &flow.server, packet->data, packet->bytes)) {
			queue_drop(worker->flow_queue, packet->id);
			count(worker, OUTCOME_ICMP_TRANSLATED, 1);
			return;
		}
	}
	count(worker, OUTCOME_PACKET_PASSED, 1);
	queue_pass(worker->flow_queue, packet->id, mark_treated(packet->mark, TREAT_PLAIN));
}

static void handle_answer(struct worker *worker, struct queued *packet, const struct segment *answer, uint64_t now_ns)
{
	struct flow flow = flow_from_server(answer); /* as the client sees it, for no NAT is left to be done */
	struct decision decision;

	if (being_taken(worker, &flow))
		take_over_all(worker);
	guard_answer(&worker->guard, &flow, answer, now_ns, &decision);
	if (decision.act != ACT_TAKE_OVER) {
		act_on_flow(worker, packet, &decision);
		return;
	}
	queue_drop(worker->flow_queue, packet->id);
	if (decision.found)
		raise_alarm(worker);
	worker->taken[worker->taken_count++] = decision;
	if (worker->taken_count == CONNTRACK_BATCH)
		take_over_all(worker);
}

/* What the client sends while its handover waits for the end of the batch is held; but not another connection's, nor what
 * would be its SYN once more: that one's mark would come behind the handover's, and undo it. */
static void handle_ack(struct worker *worker, struct queued *packet, const struct segment *ack, uint64_t now_ns)
{
	struct flow flow = flow_from_client(ack);
	const struct splice *taken = being_taken(worker, &flow);
	struct decision decision;

	if (taken && (taken->cookie != ack->ack - 1 || taken->retry_due))
		take_over_all(worker);
	guard_ack(&worker->guard, ack, packet->interface, now_ns, &decision);
	act_on_flow(worker, packet, &decision);
}

/* Queued before conntrack, not behind it. */
static bool from_raw(const struct queued *packet)
{
	return !packet->outgoing && (packet->mark & MARK_BITS) != MARK_FIRST_ACK;
}

/* What is made anew of a packet has a checksum that is right, and must not be of one whose own was wrong: that is malformed. */
static enum packet_kind queued_parse(const struct queued *packet, struct segment *segment)
{
	enum packet_kind kind = packet_parse(packet->data, packet->bytes, segment);

	return kind == PACKET_TCP && packet->unverified && !packet_sum_is_right(packet->data, packet->bytes)
		       ? PACKET_MALFORMED
		       : kind;
}

static void handle_flow(struct worker *worker, struct queued *packet, uint64_t now_ns)
{
	struct decision decision;
	struct segment segment;

	switch (queued_parse(packet, &segment)) {
	case PACKET_TCP:
		break;
	case PACKET_ERROR:
		handle_error(worker, packet);
		return;
	case PACKET_OTHER:
		count(worker, OUTCOME_PACKET_PASSED, 1);
		queue_pass(worker->flow_queue, packet->id, mark_treated(packet->mark, TREAT_PLAIN));
		return;
	case PACKET_MALFORMED: /* what conntrack has passed, or what no cookie can be found in */
		count(worker, OUTCOME_PACKET_MALFORMED, 1);
		queue_pass(worker->flow_queue, packet->id,
			   mark_treated(packet->mark, from_raw(packet) ? TREAT_UNPROVEN : TREAT_PLAIN));
		return;
	}
	if (packet->outgoing) {
		handle_answer(worker, packet, &segment, now_ns);
		return;
	}
	if (from_raw(packet)) {
		handle_ack(worker, packet, &segment, now_ns);
		return;
	}
	guard_first_ack(&worker->guard, &segment, now_ns, &decision);
	act_on_flow(worker, packet, &decision);
}

/* A SYN that the rules know as one, but we do not: lengths that contradict each other, or headers without end. In peace
 * the kernel may judge it; during a flood it would be the way around us. */
static void handle_odd_syn(struct worker *worker, struct queue *queue, const struct queued *packet)
{
	bool drop = false;

	for (unsigned i = 0; i < SERVICES_MAX && !worker->guard.limits.observe; i++)
		drop |= worker->guard.services[i].posture == SERVICE_ARMED;
	count(worker, OUTCOME_SYN_RECEIVED, 1);
	count(worker, OUTCOME_SYN_MALFORMED, 1);
	if (drop)
		queue_drop_in_order(queue, packet->id);
	else
		queue_pass_in_order(queue, packet->id, mark_treated(packet->mark, TREAT_SEEN));
}

/* It was queued before the rules knew that cookies are sent, and so has not passed those which forget the connection that
 * its two ends may have had before: as one of that, the ACK that brings the cookie back would go past us. */
static bool came_too_early(const struct worker *worker, const struct queue *queue, const struct queued *packet,
			   const struct segment *syn, uint64_t now_ns)
{
	return queue == worker->lanes[LANE_WATCHED].queue && (packet->mark & MARK_BITS) != MARK_AGAIN &&
	       guard_challenges(&worker->guard, syn, now_ns);
}

static void handle_syn(struct worker *worker, struct queue *queue, const struct queued *packet, uint64_t now_ns)
{
	struct decision decision;
	struct segment segment;

	if (queued_parse(packet, &segment) != PACKET_TCP) {
		handle_odd_syn(worker, queue, packet);
		return;
	}
	if (came_too_early(worker, queue, packet, &segment, now_ns)) {
		queue_repeat_in_order(queue, packet->id, (packet->mark & ~MARK_BITS) | MARK_AGAIN);
		return;
	}
	guard_syn(&worker->guard, &segment, packet->interface, now_ns, &decision);
	act_on_syn(worker, queue, packet, &decision);
	if (decision.trip >= 0 && raise_alarm(worker))
		worker->arming_until_ns = now_ns + ARMING_PATIENCE_NS;
}

/* ACKs and answers, until there are no more or SYNs have waited long enough. */
static void serve_flows(struct worker *worker, uint64_t now_ns)
{
	struct queued packets[WORKER_FLOW_BATCH];

	for (unsigned batch = 0; batch < FLOW_BATCHES_MAX; batch++) {
		unsigned received = queue_receive(worker->flow_queue, packets);

		for (unsigned i = 0; i < received; i++)
			handle_flow(worker, &packets[i], now_ns);
		take_over_all(worker);
		queue_flush(worker->flow_queue);
		if (received < WORKER_FLOW_BATCH)
			return;
	}
}

/* Open when no cookie can be sent at all: SYNs pass then. Not when there is no way to those who are to get them: a flood's
 * sources would choose. */
static void flush_cookies(struct worker *worker, uint64_t now_ns)
{
	struct inject_outcome *routed = &worker->inject.routed; /* with what a full batch has sent by itself before */

	count(worker, OUTCOME_SYNACK_UNSENT, inject_flush(&worker->inject));
	if (routed->sent)
		guard_cookies_work(&worker->guard, now_ns);
	else if (routed->refused)
		guard_cookies_fail(&worker->guard, now_ns);
	*routed = (struct inject_outcome){0, 0};
}

static bool in_hand(const struct worker *worker)
{
	bool any = false;

	for (unsigned i = 0; i < WORKER_LANES; i++)
		any |= worker->lanes[i].next < worker->lanes[i].count;
	return any;
}

/* One batch of SYNs; it pauses when one of them has made its service arm, so that none passes that should not. */
static void serve_lane(struct worker *worker, struct syn_lane *lane, uint64_t now_ns)
{
	bool fresh = lane->next == lane->count; /* what is left of a batch tells nothing of the queue now */

	if (now_ns < worker->arming_until_ns)
		return;
	worker->arming_until_ns = 0;
	if (fresh) {
		lane->next = 0;
		lane->count = queue_receive(lane->queue, lane->batch);
	}
	while (lane->next < lane->count && !worker->arming_until_ns) {
		worker->syns_taken.syns[lane - worker->lanes]++;
		handle_syn(worker, lane->queue, &lane->batch[lane->next++], now_ns);
	}
	if (fresh && lane->next == lane->count && lane->count < QUEUE_BATCH_MAX)
		worker->syns_taken.empty_ns[lane - worker->lanes] = now_ns;
	flush_cookies(worker, now_ns);
	queue_flush(lane->queue);
	if (queue_is_readable(lane->queue))
		lane->served = worker->question;
}

static void answer_spilled(struct worker *worker, const struct spilled *packet, const struct segment *syn,
			   uint64_t now_ns)
{
	struct decision decision;

	guard_spilled(&worker->guard, syn, packet->interface, now_ns, &decision);
	if (decision.send == SEND_TO_CLIENT && packet->link)
		count(worker, OUTCOME_SYNACK_UNSENT,
		      inject_back(&worker->inject, &decision.segment, packet->interface, packet->link));
	else
		send_segment(worker, &decision);
}

/* What has spilled is answered a message at a time, so that ACKs get between. */
static void serve_spill(struct worker *worker, uint64_t now_ns)
{
	struct spilled packets[SPILL_BATCH];
	struct segment syns[SPILL_BATCH];
	bool known[SPILL_BATCH];
	unsigned received = worker->spill ? spill_receive(worker->spill, packets) : 0;

	worker->syns_taken.syns[ACCOUNT_SPILL] += received;
	if (!received)
		worker->syns_taken.empty_ns[ACCOUNT_SPILL] = now_ns;
	for (unsigned i = 0; i < received; i++) {
		known[i] = packet_parse(packets[i].data, packets[i].bytes, &syns[i]) == PACKET_TCP;
		if (known[i])
			guard_spilled_soon(&worker->guard, &syns[i]);
		count(worker, OUTCOME_SYN_RECEIVED, !known[i]);
		count(worker, OUTCOME_SYN_MALFORMED, !known[i]);
	}
	for (unsigned i = 0; i < received; i++)
		if (known[i])
			answer_spilled(worker, &packets[i], &syns[i], now_ns);
	if (received) {
		count(worker, OUTCOME_SYNACK_UNSENT, inject_flush_back(&worker->inject));
		flush_cookies(worker, now_ns);
	}
}

static void serve_due(struct worker *worker, uint64_t now_ns)
{
	struct decision decision;

	while (guard_due(&worker->guard, now_ns, &decision))
		act_on_rest(worker, &decision);
	count(worker, OUTCOME_SYNACK_UNSENT, inject_flush(&worker->inject));
	queue_flush(worker->flow_queue);
}

static void run_job(struct worker *worker)
{
	worker_job *job = atomic_load_explicit(&worker->job, memory_order_acquire);
	uint64_t raised;

	(void)!read(worker->wake_fd, &raised, sizeof(raised));
	if (atomic_exchange_explicit(&worker->go_on, false, memory_order_acquire))
		worker->arming_until_ns = 0;
	if (!job)
		return;
	job(worker, worker->job_argument);
	atomic_store_explicit(&worker->job, NULL, memory_order_release);
	sem_post(&worker->job_done);
}

/* Sleeps until there is something to do. Returns false when the worker is to stop. */
static bool wait_for_work(struct worker *worker)
{
	struct pollfd fds[] = {
		{.fd = worker->wake_fd, .events = POLLIN},
		{.fd = queue_fd(worker->flow_queue), .events = POLLIN},
		{.fd = worker->arming_until_ns ? -1 : queue_fd(worker->lanes[LANE_WATCHED].queue), .events = POLLIN},
		{.fd = worker->arming_until_ns ? -1 : queue_fd(worker->lanes[LANE_ARMED].queue), .events = POLLIN},
		{.fd = worker->spill ? spill_fd(worker->spill) : -1, .events = POLLIN},
	};

	poll(fds, sizeof(fds) / sizeof(fds[0]), in_hand(worker) && !worker->arming_until_ns ? 0 : TICK_MS);
	return !atomic_load_explicit(&worker->stop, memory_order_acquire);
}

/* Progress is that packets leave the queues: a round that leaves one of them alone is no answer. */
static void answer(struct worker *worker)
{
	for (unsigned i = 0; i < WORKER_LANES; i++)
		if (worker->lanes[i].served != worker->question)
			return;
	if (queue_is_readable(worker->flow_queue))
		atomic_store_explicit(&worker->answered, worker->question, memory_order_release);
}

static void *worker_run(void *argument)
{
	struct worker *worker = argument;

	while (wait_for_work(worker)) {
		uint64_t now_ns = worker_now_ns();

		worker->question = atomic_load_explicit(&worker->asked, memory_order_acquire);
		run_job(worker);
		serve_flows(worker, now_ns);
		for (unsigned i = 0; i < WORKER_LANES; i++)
			serve_lane(worker, &worker->lanes[i], now_ns);
		serve_spill(worker, now_ns);
		serve_due(worker, now_ns);
		answer(worker);
	}
	return NULL;
}

/* ---- life ---- */

void worker_blank(struct worker *worker)
{
	for (unsigned i = 0; i < WORKER_LANES; i++)
		worker->lanes[i] = (struct syn_lane){.queue = NULL};
	worker->spill = NULL;
	worker->flow_queue = NULL;
	worker->taken_count = 0;
	worker->wake_fd = -1;
	worker->conntrack.socket = NULL;
	inject_blank(&worker->inject);
}

/* ACKs that do not fit are dropped in any case: TCP sends them again, while the kernel would answer an unproven one with a
 * RST. Returns the number of the queue that cannot be opened, or -1. */
static int open_queues(struct worker *worker)
{
	const struct worker_setup *setup = &worker->setup;
	struct queue_setup flow = {setup->flow_queue, FLOW_COPY_BYTES, WORKER_FLOW_QUEUE_LENGTH, false,
				   WORKER_FLOW_BATCH};

	for (unsigned i = 0; i < WORKER_LANES; i++) {
		uint32_t length = i == LANE_ARMED ? ARMED_QUEUE_LENGTH : SYN_QUEUE_LENGTH;
		struct queue_setup syn = {setup->syn_queues[i], SYN_COPY_BYTES, length, setup->pass_when_full[i],
					  QUEUE_BATCH_MAX};

		worker->lanes[i].queue = queue_open(&syn);
		if (!worker->lanes[i].queue)
			return syn.number;
	}
	worker->flow_queue = queue_open(&flow);
	return worker->flow_queue ? -1 : flow.number;
}

/* Without it all SYNs are queued. */
static void open_spill(struct worker *worker)
{
	if (!worker->setup.spill)
		return;
	worker->spill = spill_open(worker->setup.spill_group);
	worker->spill_errno = errno;
	if (!worker->spill || inject_open_back(&worker->inject) == 0)
		return;
	worker->spill_errno = errno;
	spill_close(worker->spill);
	worker->spill = NULL;
}

static bool may_bind_queues(void)
{
	char status[4096];
	uint64_t effective;

	return host_text("/proc/self/status", status, sizeof(status)) >= 0 && proc_capabilities(status, &effective) &&
	       (effective & 1ULL << CAP_NET_ADMIN);
}

/* To the kernel it is EPERM as well when another has the queue (nfnetlink_queue.c, nfqnl_recv_config()). */
static void say_no_queue(int number, char *error, size_t error_bytes)
{
	int failure = errno;

	if (failure != EPERM && failure != EBUSY)
		snprintf(error, error_bytes, "queue %d: %s", number, strerror(failure));
	else if (failure == EBUSY || may_bind_queues())
		snprintf(error, error_bytes,
			 "queue %d: another process has it: is another synmoatd running in this network namespace?",
			 number);
	else
		snprintf(error, error_bytes, "queue %d: not permitted: CAP_NET_ADMIN is missing (run as root)", number);
}

int worker_open(struct worker *worker, const struct worker_setup *setup, char *error, size_t error_bytes)
{
	int failed;
	int number;

	worker->setup = *setup;
	if (inject_open(&worker->inject) < 0) {
		snprintf(error, error_bytes, "raw socket: %s%s", strerror(errno),
			 errno == EPERM ? ": CAP_NET_RAW is needed (run as root)" : "");
		return -1;
	}
	failed = conntrack_open(&worker->conntrack);
	if (failed) {
		snprintf(error, error_bytes, "conntrack: %s", strerror(-failed));
		worker_close(worker);
		return -1;
	}
	number = open_queues(worker);
	if (number >= 0) {
		say_no_queue(number, error, error_bytes);
		worker_close(worker);
		return -1;
	}
	open_spill(worker);
	worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->wake_fd < 0) {
		snprintf(error, error_bytes, "eventfd: %s", strerror(errno));
		worker_close(worker);
		return -1;
	}
	sem_init(&worker->job_done, 0, 0);
	return 0;
}

int worker_start(struct worker *worker)
{
	char name[16]; /* the kernel takes no more */
	int error = pthread_create(&worker->thread, NULL, worker_run, worker);

	if (error)
		return error;
	snprintf(name, sizeof(name), "synmoat/%u", worker->setup.shard % 1000);
	pthread_setname_np(worker->thread, name);
	return 0;
}

static void wake(struct worker *worker)
{
	uint64_t one = 1;

	if (write(worker->wake_fd, &one, sizeof(one)) < 0)
		return; /* it has been raised before: that wakes, too */
}

void worker_go_on(struct worker *worker)
{
	atomic_store_explicit(&worker->go_on, true, memory_order_release);
	wake(worker);
}

void worker_ask(struct worker *worker)
{
	atomic_fetch_add_explicit(&worker->asked, 1, memory_order_release);
	wake(worker);
}

bool worker_has_answered(const struct worker *worker)
{
	return atomic_load_explicit(&worker->answered, memory_order_acquire) ==
	       atomic_load_explicit(&worker->asked, memory_order_relaxed);
}

void worker_call(struct worker *worker, worker_job *job, void *argument)
{
	worker->job_argument = argument;
	atomic_store_explicit(&worker->job, job, memory_order_release);
	wake(worker);
	while (sem_wait(&worker->job_done) < 0)
		;
}

static void drain_queue(struct queue *queue)
{
	struct queued packets[QUEUE_BATCH_MAX];
	unsigned received;

	while ((received = queue_receive(queue, packets)) > 0)
		for (unsigned i = 0; i < received; i++)
			queue_release(queue, packets[i].id);
}

/* After the thread has ended. */
static void drain(struct worker *worker)
{
	struct splice *splice;

	for (unsigned i = 0; i < WORKER_LANES; i++) {
		struct syn_lane *lane = &worker->lanes[i];

		while (lane->next < lane->count)
			queue_release(lane->queue, lane->batch[lane->next++].id);
		drain_queue(lane->queue);
	}
	drain_queue(worker->flow_queue);
	while ((splice = splice_any(worker->guard.splices))) {
		struct decision decision;

		if (splice->state == SPLICE_SYN_SENT) {
			guard_take_over_failed(&worker->guard, splice, worker_now_ns(), &decision);
			act_on_rest(worker, &decision);
		}
		splice_remove(worker->guard.splices, splice);
	}
	inject_flush(&worker->inject);
	for (unsigned i = 0; i < WORKER_LANES; i++)
		queue_flush(worker->lanes[i].queue);
	queue_flush(worker->flow_queue);
}

void worker_stop(struct worker *worker)
{
	atomic_store_explicit(&worker->stop, true, memory_order_release);
	wake(worker);
	pthread_join(worker->thread, NULL);
	drain(worker);
}

void worker_close(struct worker *worker)
{
	for (unsigned i = 0; i < WORKER_LANES; i++)
		queue_close(worker->lanes[i].queue);
	spill_close(worker->spill);
	queue_close(worker->flow_queue);
	conntrack_close(&worker->conntrack);
	inject_close(&worker->inject);
	if (worker->wake_fd >= 0)
		close(worker->wake_fd);
	worker_blank(worker);
}
