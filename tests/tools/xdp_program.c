/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xdp_program: bpf/synmoat.bpf.c, run by the kernel on frames that are made here (BPF_PROG_TEST_RUN), beside the core on
 * the same packets. It takes root; each test has a network of its own. CK_RUN_CASE=wire does without, in a network made
 * for it, for a user with the daemon's capabilities. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>

#include "../unit/guard_world.h"
#include "../unit/unit.h"
#include "edge/xdp.h"

#define FRAME_MAX 512
#define ETHERNET_BYTES 14
#define BANS_MAX 100

/* A SYN or ACK, as it is on the wire. */
struct frame {
	uint8_t bytes[FRAME_MAX];
	size_t ip_at, count;
};

static const uint8_t macs[12] = {2, 1, 2, 3, 4, 5, 2, 11, 12, 13, 14, 15}; /* ours, and the client's */
static struct xdp *xdp;
static bool no_conntrack; /* the program that is built without */
static bool on_gateway;

/* ---- frames ---- */

static size_t put(struct frame *frame, const void *bytes, size_t count)
{
	memcpy(frame->bytes + frame->count, bytes, count);
	frame->count += count;
	return frame->count - count;
}

static void put_ethernet(struct frame *frame, unsigned tags, bool v6)
{
	static const uint8_t outer[4] = {0x88, 0xa8, 0x01, 0x23}, inner[4] = {0x81, 0x00, 0xe0, 0x42};

	frame->count = 0;
	put(frame, macs, sizeof(macs));
	if (tags > 1)
		put(frame, outer, sizeof(outer));
	if (tags > 0)
		put(frame, inner, sizeof(inner));
	put(frame, v6 ? "\x86\xdd" : "\x08\x00", 2);
	frame->ip_at = frame->count;
}

/* IPv4 options are NOPs, IPv6 extension headers one for hops and others for the destination, all of them padding. */
static void put_ip(struct frame *frame, const struct segment *segment, unsigned extras, size_t tcp_bytes)
{
	uint8_t ip[60 + 8 * 8] = {0};

	if (addr_is_v4(&segment->source)) {
		size_t header = 20 + 4 * extras;

		memset(ip, 1, header);
		ip[0] = (uint8_t)(0x40 | header / 4);
		store_be16(ip + 2, (uint16_t)(header + tcp_bytes));
		store_be16(ip + 6, 0x4000);
		ip[8] = segment->hops;
		ip[9] = 6;
		memcpy(ip + 12, addr_wire(&segment->source), 4);
		memcpy(ip + 16, addr_wire(&segment->destination), 4);
		put(frame, ip, header);
		return;
	}
	store_be32(ip, 0x60012345);
	store_be16(ip + 4, (uint16_t)(8 * extras + tcp_bytes));
	ip[6] = extras ? 0 : 6;
	ip[7] = segment->hops;
	memcpy(ip + 8, segment->source.bytes, 16);
	memcpy(ip + 24, segment->destination.bytes, 16);
	for (unsigned i = 0; i < extras; i++)
		memcpy(ip + 40 + 8 * i, i + 1 < extras ? "\x3c\0\1\4\0\0\0\0" : "\x06\0\1\4\0\0\0\0", 8);
	put(frame, ip, 40 + 8 * extras);
}

/* With a checksum that is none: a NIC may be asked for it later. */
static void put_tcp(struct frame *frame, const struct segment *segment, const uint8_t *options, size_t option_bytes)
{
	uint8_t tcp[20] = {0};

	store_be16(tcp, segment->source_port);
	store_be16(tcp + 2, segment->destination_port);
	store_be32(tcp + 4, segment->seq);
	store_be32(tcp + 8, segment->ack);
	tcp[12] = (uint8_t)((20 + option_bytes) / 4 << 4);
	tcp[13] = segment->flags;
	store_be16(tcp + 14, segment->window);
	store_be16(tcp + 16, 0x1234);
	put(frame, tcp, sizeof(tcp));
	put(frame, options, option_bytes);
}

struct shape {
	unsigned tags, extras;
	size_t payload_bytes, padding_bytes;
};

static void frame_make(struct frame *frame, const struct segment *segment, const struct shape *shape,
		       const uint8_t *options, size_t option_bytes)
{
	static const uint8_t rest[64] = "what comes behind";

	put_ethernet(frame, shape->tags, !addr_is_v4(&segment->source));
	put_ip(frame, segment, shape->extras, 20 + option_bytes + shape->payload_bytes);
	put_tcp(frame, segment, options, option_bytes);
	put(frame, rest, shape->payload_bytes + shape->padding_bytes);
}

static void frame_of(struct frame *frame, const struct segment *segment)
{
	static const struct shape plain;
	uint8_t options[OPTIONS_BYTES_MAX];
	size_t bytes = options_write(options, &segment->options);

	frame_make(frame, segment, &plain, options, bytes);
}

/* ---- running ---- */

/* XDP_PASS and so on, of the last time; `out` is the frame afterwards. */
static int run_often(const struct frame *frame, struct frame *out, unsigned times)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->bytes, .data_size_in = (uint32_t)frame->count,
		    .data_out = out->bytes, .data_size_out = sizeof(out->bytes), .repeat = (int)times);

	ck_assert_int_eq(bpf_prog_test_run_opts(xdp_program(xdp), &opts), 0);
	out->count = opts.data_size_out;
	out->ip_at = frame->ip_at;
	return (int)opts.retval;
}

static int run(const struct frame *frame, struct frame *out)
{
	return run_often(frame, out, 1);
}

static int verdict(const struct segment *segment)
{
	struct frame frame, out;

	frame_of(&frame, segment);
	return run(&frame, &out);
}

static int verdict_of_syn(uint32_t n)
{
	struct segment syn = syn_of(n);

	return verdict(&syn);
}

static int verdict_of_ack(uint32_t n, uint32_t cookie)
{
	struct segment segment = ack_of(n, cookie);

	return verdict(&segment);
}

static struct xdp_counts counts(void)
{
	struct xdp_counts counts;

	xdp_count(xdp, WEB, &counts);
	return counts;
}

static uint64_t clock_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * NSEC_PER_SEC + (uint64_t)time.tv_nsec;
}

static uint32_t some_number;

static uint32_t some(uint32_t below)
{
	some_number = some_number * 1664525 + 1013904223;
	return (some_number >> 8) % below;
}

/* ---- what there is ---- */

static void answers(void)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct addr web = address(v6 ? "2001:db8::1" : "192.0.2.1");
		struct service_learned learned = service_learned(&services[WEB], v6);

		ck_assert_int_eq(xdp_answer_for(xdp, &web, 80, WEB, &learned), 0);
		guard.learn_at_ns[WEB][v6] = UINT64_MAX; /* nothing passes to be learned from */
	}
	xdp_set_secret(xdp, &guard_secret);
}

static void open_with(const struct xdp_setup *setup)
{
	struct xdp_setup this = *setup;
	char error[512] = "";

	if (geteuid() == 0) /* else one is made for us */
		ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	this.no_conntrack = no_conntrack;
	on_gateway = !setup->sockets;
	xdp = xdp_open(&this, error, sizeof(error));
	ck_assert_msg(xdp != NULL, "%s", error);
	ck_assert_int_eq(xdp_answer_at(xdp, macs), 0);
	guard_make();
	arm();
}

static const struct xdp_setup on_host = {
	.sockets = true,
	.ban_v4_bits = 32,
	.ban_v6_bits = 64,
	.bans_max = BANS_MAX,
	.kernel_checks_md5 = true,
};

/* Both tiers, which know everything about the server; on one CPU, so that there is one bucket of each kind. */
static void both_armed(const struct xdp_setup *setup)
{
	cpu_set_t cpus;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	for (int cpu = 0, found = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &cpus) && found++)
			CPU_CLR(cpu, &cpus);
	}
	ck_assert_int_eq(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
	open_with(setup);
	learn(false);
	learn(true);
	answers();
}

static void both_gone(void)
{
	xdp_close(xdp);
	guard_drop();
}

/* ---- SYNs, and both tiers' answers ---- */

/* Whether the frame that has come back is that of the core, addressed to who has sent the SYN. */
static void is_the_cores(const struct frame *syn, const struct frame *back)
{
	uint8_t packet[SEGMENT_HEADERS_MAX];
	struct segment segment;
	size_t bytes;

	ck_assert_int_eq(packet_parse(syn->bytes + syn->ip_at, syn->count - syn->ip_at, &segment), PACKET_TCP);
	offer(&segment);
	decided(ACT_DROP, TREAT_PLAIN, SEND_TO_CLIENT);
	bytes = segment_write(packet, sizeof(packet), &decision.segment);
	ck_assert_uint_eq(back->count, syn->ip_at + bytes);
	ck_assert_mem_eq(back->bytes + back->ip_at, packet, bytes);
	ck_assert_mem_eq(back->bytes, syn->bytes + 6, 6);
	ck_assert_mem_eq(back->bytes + 6, syn->bytes, 6);
	ck_assert_mem_eq(back->bytes + 12, syn->bytes + 12, syn->ip_at - 12);
}

static void both_answer(const struct segment *segment, const struct shape *shape, const uint8_t *options, size_t bytes)
{
	struct frame frame, out;

	frame_make(&frame, segment, shape, options, bytes);
	ck_assert_int_eq(run(&frame, &out), XDP_TX);
	is_the_cores(&frame, &out);
}

static struct segment some_syn(void)
{
	struct segment syn = syn_of((some(2) ? V6 : 0) + some(60000) + PORT * some(100));

	syn.seq = some(1 << 24) << 8 | some(256);
	syn.source_port = (uint16_t)(1 + some(65535));
	syn.hops = (uint8_t)(10 + some(200));
	syn.window = (uint16_t)some(65536);
	syn.flags |= (uint8_t)(some(4) << 6); /* ECN is offered, or what looks so */
	return syn;
}

static struct shape some_shape(const struct segment *segment)
{
	bool v4 = addr_is_v4(&segment->source);

	return (struct shape){some(3), some(3) ? 0 : some(v4 ? 11 : 5), some(4) ? 0 : some(30), some(4) ? 0 : some(20)};
}

/* One option, as clients send it, or not quite. Returns its length, at most `room`. */
static size_t some_option(uint8_t *out, size_t room, unsigned kind)
{
	static const uint8_t right[5][11] = {
		{4, 2, 4, 5, 0xb4}, {3, 3, 3, 7}, {2, 4, 2}, {10, 8, 10, 1, 2, 3, 4}, {1, 1}};
	uint8_t option[11];
	size_t length = right[kind][0];

	memcpy(option, right[kind] + 1, 10);
	if (kind == 0)
		store_be16(option + 2, (uint16_t)(some(3) ? 500 + some(1000) : some(65536)));
	if (kind == 1)
		option[2] = (uint8_t)(some(8) ? some(15) : some(256));
	if (kind == 3)
		store_be32(option + 2, some(1 << 24) << 8 | some(256));
	if (length > room)
		return 0;
	memcpy(out, option, length);
	return length;
}

static size_t some_options(uint8_t out[OPTIONS_BYTES_MAX])
{
	size_t at = 0;
	unsigned count = some(8);

	for (unsigned i = 0; i < count; i++)
		at += some_option(out + at, OPTIONS_BYTES_MAX - at, some(5));
	if (some(4) == 0) { /* no option of anybody's */
		for (unsigned garbage = some(12); garbage && at < OPTIONS_BYTES_MAX; garbage--)
			out[at++] = (uint8_t)(some(3) ? some(256) : some(9));
	}
	while (at % 4)
		out[at++] = (uint8_t)some(2);
	return at;
}

START_TEST(test_xdp_answers_whatever_syn_as_the_daemon_does)
{
	both_armed(&on_host);
	some_number = (uint32_t)_i + 1;
	for (unsigned i = 0; i < 2500; i++) {
		uint8_t options[OPTIONS_BYTES_MAX];
		size_t bytes = some_options(options);
		struct segment syn = some_syn();
		struct shape shape = some_shape(&syn);
		struct tcp_options read = options_parse(options, bytes);

		if (!read.md5)
			both_answer(&syn, &shape, options, bytes);
	}
	ck_assert_uint_eq(counts().failed + counts().capped + counts().denied + counts().banned, 0);
	ck_assert_uint_gt(counts().answered, 2000);
	both_gone();
}
END_TEST

/* All orders of all subsets of MSS, window scale, SACK, timestamps: `chosen` are the options' kinds so far. */
static unsigned orders(unsigned chosen[4], unsigned count)
{
	static const struct shape plain;
	unsigned tried = 1;

	for (int v6 = 0; v6 < 2; v6++) {
		struct segment syn = syn_of((v6 ? V6 : 0) + 77);
		uint8_t options[OPTIONS_BYTES_MAX];
		size_t bytes = 0;

		for (unsigned i = 0; i < count; i++)
			bytes += some_option(options + bytes, OPTIONS_BYTES_MAX - bytes, chosen[i]);
		while (bytes % 4)
			options[bytes++] = 1;
		both_answer(&syn, &plain, options, bytes);
	}
	for (unsigned next = 0; next < 4; next++) {
		bool there = false;

		for (unsigned i = 0; i < count; i++)
			there = there || chosen[i] == next;
		if (there)
			continue;
		chosen[count] = next;
		tried += orders(chosen, count + 1);
	}
	return tried;
}

START_TEST(test_xdp_answers_every_order_of_options_as_the_daemon_does)
{
	unsigned chosen[4];

	both_armed(&on_host);
	ck_assert_uint_eq(orders(chosen, 0), 65); /* 1 + 4 + 12 + 24 + 24 */
	both_gone();
}
END_TEST

START_TEST(test_xdp_promises_what_is_learned_and_no_more)
{
	both_armed(&on_host);
	for (unsigned offered = 0; offered < 16; offered++) {
		for (unsigned has = 0; has < 16; has++) {
			struct tcp_options server = {.mss = (uint16_t)(has & 8 ? 1380 : 0),
						     .wscale = has & 4 ? 9 : -1,
						     .sack = has & 2,
						     .timestamps = has & 1};

			for (int v6 = 0; v6 < 2; v6++) {
				atomic_store(&services[WEB].learned[v6], 0);
				if (offered)
					service_learn(&services[WEB], v6, &server, (uint16_t)(has * 4000),
						      (uint8_t)offered, 0);
			}
			answers();
			for (unsigned n = 0; n < 8; n++) {
				struct segment syn = some_syn();
				uint8_t options[OPTIONS_BYTES_MAX];
				size_t bytes = some_options(options);
				struct shape shape = some_shape(&syn);

				if (!options_parse(options, bytes).md5)
					both_answer(&syn, &shape, options, bytes);
			}
		}
	}
	both_gone();
}
END_TEST

/* ---- what is not answered ---- */

START_TEST(test_xdp_leaves_alone_what_is_of_no_service)
{
	struct segment syn;

	both_armed(&on_host);
	syn = syn_of(1);
	syn.destination_port = 81;
	ck_assert_int_eq(verdict(&syn), XDP_PASS);
	syn = syn_of(1);
	syn.destination = address("192.0.2.2");
	ck_assert_int_eq(verdict(&syn), XDP_PASS);
	syn.destination = address("192.0.2.1");
	xdp_answer_no_more(xdp, &syn.destination, 80);
	ck_assert_int_eq(verdict_of_syn(1), XDP_PASS);
	ck_assert_int_eq(verdict_of_syn(1 + V6), XDP_TX);
	ck_assert_uint_eq(counts().passed_up, 0);
	both_gone();
}
END_TEST

START_TEST(test_xdp_passes_up_other_flags)
{
	struct segment syn;

	both_armed(&on_host);
	for (unsigned flags = 0; flags < 64; flags++) {
		bool is_syn = (flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK)) == TCP_SYN;

		syn = syn_of(1);
		syn.flags = (uint8_t)flags;
		ck_assert_int_eq(verdict(&syn), is_syn ? XDP_TX : XDP_PASS);
	}
	both_gone();
}
END_TEST

START_TEST(test_xdp_passes_up_odd_sources)
{
	static const char *const odd[] = {"127.0.0.1", "0.0.0.0",         "0.1.2.3", "224.0.0.1", "239.1.1.1",
					  "240.0.0.1", "255.255.255.255", "::1",     "::",        "ff02::1"};
	static const char *const even[] = {"1.0.0.1",         "126.255.255.255", "128.0.0.1",
					   "223.255.255.255", "fe80::1",         "fc00::1"};

	both_armed(&on_host);
	for (unsigned i = 0; i < sizeof(odd) / sizeof(*odd) + sizeof(even) / sizeof(*even); i++) {
		bool is_odd = i < sizeof(odd) / sizeof(*odd);
		struct addr source = address(is_odd ? odd[i] : even[i - sizeof(odd) / sizeof(*odd)]);
		struct segment syn = syn_of(addr_is_v4(&source) ? 1 : V6 + 1);

		syn.source = source;
		ck_assert_msg(verdict(&syn) == (is_odd ? XDP_PASS : XDP_TX), "%u", i);
	}
	both_gone();
}
END_TEST

/* Sets a byte of a SYN's frame, and sees what comes of it. */
static int with_byte(uint32_t n, size_t at, uint8_t byte)
{
	struct segment syn = syn_of(n);
	struct frame frame, out;

	frame_of(&frame, &syn);
	frame.bytes[at] = byte;
	return run(&frame, &out);
}

START_TEST(test_xdp_passes_up_what_is_no_plain_packet)
{
	const size_t ip = ETHERNET_BYTES;

	both_armed(&on_host);
	ck_assert_int_eq(with_byte(1, 0, 2), XDP_TX);
	ck_assert_int_eq(with_byte(1, 0, 0xff), XDP_PASS);       /* to all */
	ck_assert_int_eq(with_byte(1, 6, 3), XDP_PASS);          /* from many */
	ck_assert_int_eq(with_byte(1, ip, 0x55), XDP_PASS);      /* IPv5 */
	ck_assert_int_eq(with_byte(1, ip, 0x44), XDP_PASS);      /* a header of 16 bytes */
	ck_assert_int_eq(with_byte(1, ip + 2, 1), XDP_PASS);     /* longer than it is */
	ck_assert_int_eq(with_byte(1, ip + 3, 40), XDP_PASS);    /* shorter than its headers */
	ck_assert_int_eq(with_byte(1, ip + 6, 0x20), XDP_PASS);  /* more fragments */
	ck_assert_int_eq(with_byte(1, ip + 7, 1), XDP_PASS);     /* a fragment */
	ck_assert_int_eq(with_byte(1, ip + 9, 17), XDP_PASS);    /* UDP */
	ck_assert_int_eq(with_byte(1, ip + 32, 0x40), XDP_PASS); /* a TCP header of 16 bytes */
	ck_assert_int_eq(with_byte(1, ip + 32, 0xf0), XDP_PASS); /* and one longer than the packet */
	ck_assert_int_eq(with_byte(V6, ip, 0x50), XDP_PASS);
	ck_assert_int_eq(with_byte(V6, ip + 4, 1), XDP_PASS);
	ck_assert_int_eq(with_byte(V6, ip + 5, 20), XDP_PASS);
	ck_assert_int_eq(with_byte(V6, ip + 6, 43), XDP_PASS); /* routing */
	ck_assert_int_eq(with_byte(V6, ip + 6, 44), XDP_PASS); /* a fragment */
	ck_assert_uint_eq(counts().answered, 1);
	both_gone();
}
END_TEST

START_TEST(test_xdp_passes_up_every_truncation)
{
	both_armed(&on_host);
	for (unsigned tags = 0; tags < 3; tags++) {
		for (unsigned kind = 0; kind < 4; kind++) {
			struct segment syn = syn_of((kind & 1 ? V6 : 0) + 1);
			struct shape shape = {.tags = tags, .extras = kind & 2};
			uint8_t options[OPTIONS_BYTES_MAX];
			size_t bytes = options_write(options, &syn.options);
			struct frame frame, out;

			frame_make(&frame, &syn, &shape, options, bytes);
			for (size_t whole = frame.count; frame.count >= ETHERNET_BYTES; frame.count--)
				ck_assert_int_eq(run(&frame, &out), frame.count < whole ? XDP_PASS : XDP_TX);
		}
	}
	both_gone();
}
END_TEST

/* Changed in a few places at random: if it is answered, then as the core does. */
START_TEST(test_xdp_survives_mutations)
{
	unsigned answered = 0;

	both_armed(&on_host);
	some_number = 4711;
	for (unsigned i = 0; i < 6000; i++) {
		struct segment syn = some_syn();
		struct shape shape = some_shape(&syn);
		uint8_t options[OPTIONS_BYTES_MAX];
		size_t bytes = some_options(options);
		struct frame frame, out;

		frame_make(&frame, &syn, &shape, options, bytes);
		for (unsigned change = some(4) + 1; change; change--)
			frame.bytes[some((uint32_t)frame.count)] = (uint8_t)some(256);
		if (run(&frame, &out) != XDP_TX)
			continue;
		is_the_cores(&frame, &out);
		answered++;
	}
	ck_assert_uint_gt(answered, 100);
	both_gone();
}
END_TEST

START_TEST(test_xdp_passes_up_random_bytes)
{
	both_armed(&on_host);
	some_number = 815;
	for (unsigned i = 0; i < 6000; i++) {
		struct frame frame, out;

		put_ethernet(&frame, some(3), some(2));
		for (unsigned left = some(120) + 1; left; left--)
			frame.bytes[frame.count++] = (uint8_t)some(256);
		ck_assert_int_eq(run(&frame, &out), XDP_PASS);
	}
	both_gone();
}
END_TEST

static int with_options(const uint8_t *options, size_t bytes)
{
	static const struct shape plain;
	struct segment syn = syn_of(1);
	struct frame frame, out;

	frame_make(&frame, &syn, &plain, options, bytes);
	return run(&frame, &out);
}

START_TEST(test_xdp_passes_up_signed_syns_that_the_kernel_checks)
{
	static const uint8_t md5[20] = {19, 18, [18] = 1, [19] = 1}, ao[8] = {29, 8}, short_ao[4] = {29, 4};
	static const uint8_t second[24] = {19, 4, 0, 0, 19, 18, [22] = 1, [23] = 1};
	struct xdp_setup setup = on_host;

	setup.kernel_checks_md5 = _i & 1;
	setup.kernel_checks_ao = _i & 2;
	both_armed(&setup);
	ck_assert_int_eq(with_options(md5, sizeof(md5)), _i & 1 ? XDP_PASS : XDP_TX);
	ck_assert_int_eq(with_options(ao, sizeof(ao)), _i & 2 ? XDP_PASS : XDP_TX);
	ck_assert_int_eq(with_options(short_ao, sizeof(short_ao)), XDP_TX);
	ck_assert_int_eq(with_options(second, sizeof(second)), XDP_TX);
	ck_assert_uint_eq(counts().passed_up, (_i & 1) + (_i >> 1));
	both_gone();
}
END_TEST

/* ---- who is refused, and who is let past ---- */

static struct cidr_list allowed, denied;

static void lists(const char *allow, const char *deny)
{
	struct cidr cidr;
	char why[CIDR_WHY_BYTES], text[256], *at, *next;
	const char *const texts[2] = {allow, deny};
	struct cidr_list *const of[2] = {&allowed, &denied};

	for (unsigned i = 0; i < 2; i++) {
		of[i]->count = 0;
		snprintf(text, sizeof(text), "%s", texts[i]);
		for (at = strtok_r(text, " ", &next); at; at = strtok_r(NULL, " ", &next)) {
			ck_assert_msg(cidr_parse(at, &cidr, why), "%s", why);
			cidr_list_add(of[i], &cidr);
		}
	}
	ck_assert_int_eq(xdp_set_lists(xdp, &allowed, &denied), 0);
}

static int from(const char *source)
{
	struct addr client = address(source);
	struct segment syn = syn_of(addr_is_v4(&client) ? 1 : V6 + 1);

	syn.source = client;
	return verdict(&syn);
}

START_TEST(test_xdp_lets_allow_win_over_deny_over_ban)
{
	struct addr banned[3] = {address("203.0.113.1"), address("203.0.113.2"), address("203.0.113.3")};

	both_armed(&on_host);
	lists("203.0.113.1 198.51.100.0/25 2001:db8:a::/48", "203.0.113.1 203.0.113.2 198.51.100.0/24 198.51.100.7 "
							     "2001:db8::/32");
	ck_assert_int_eq(xdp_ban(xdp, banned, 3, UINT64_MAX), 0);
	ck_assert_int_eq(from("203.0.113.1"), XDP_PASS);
	ck_assert_int_eq(from("203.0.113.2"), XDP_DROP);
	ck_assert_uint_eq(counts().denied, 1);
	ck_assert_int_eq(from("203.0.113.3"), XDP_DROP);
	ck_assert_uint_eq(counts().banned, 1);
	ck_assert_int_eq(from("203.0.113.4"), XDP_TX);
	ck_assert_int_eq(from("198.51.100.7"), XDP_PASS); /* denied by itself, but in an allowed network */
	ck_assert_int_eq(from("198.51.100.8"), XDP_PASS);
	ck_assert_int_eq(from("198.51.100.128"), XDP_DROP);
	ck_assert_int_eq(from("2001:db8:a::5"), XDP_PASS);
	ck_assert_int_eq(from("2001:db8:b::5"), XDP_DROP);
	ck_assert_uint_eq(counts().denied, 3);
	ck_assert_uint_eq(counts().passed_up, 4);
	both_gone();
}
END_TEST

START_TEST(test_xdp_lists_are_replaced)
{
	both_armed(&on_host);
	lists("203.0.113.1", "203.0.113.2 198.51.100.0/24");
	lists("203.0.113.2", "203.0.113.1 203.0.113.3");
	ck_assert_int_eq(from("203.0.113.1"), XDP_DROP);
	ck_assert_int_eq(from("203.0.113.2"), XDP_PASS);
	ck_assert_int_eq(from("203.0.113.3"), XDP_DROP);
	ck_assert_int_eq(from("198.51.100.1"), XDP_TX);
	lists("", "0.0.0.0/0");
	ck_assert_int_eq(from("203.0.113.2"), XDP_DROP);
	ck_assert_int_eq(from("2001:db8::5"), XDP_TX);
	lists("", "::/0");
	ck_assert_int_eq(from("203.0.113.2"), XDP_TX);
	ck_assert_int_eq(from("2001:db8::5"), XDP_DROP);
	lists("", "");
	ck_assert_int_eq(from("203.0.113.3"), XDP_TX);
	ck_assert_int_eq(from("2001:db8::5"), XDP_TX);
	both_gone();
}
END_TEST

/* All that they may hold, in the order of who is allowed: first these, then others, while all of the denied stay. */
START_TEST(test_xdp_exchanges_full_lists)
{
	struct cidr cidr = {.bits = 128};

	both_armed(&on_host);
	for (unsigned next = 0; next < 4; next++) {
		allowed.count = denied.count = 0;
		for (unsigned i = 0; i < CIDR_LIST_MAX; i++) {
			cidr.net = host(false, (next % 2 ? CIDR_LIST_MAX : 0) + i);
			cidr_list_add(&allowed, &cidr);
			cidr.net = host(_i, 2 * CIDR_LIST_MAX + i);
			cidr_list_add(&denied, &cidr);
		}
		ck_assert_uint_eq(allowed.count, CIDR_LIST_MAX);
		ck_assert_uint_eq(denied.count, CIDR_LIST_MAX);
		ck_assert_int_eq(xdp_set_lists(xdp, &allowed, &denied), 0);
		ck_assert_int_eq(verdict_of_syn(1), next % 2 ? XDP_TX : XDP_PASS);
		ck_assert_int_eq(verdict_of_syn(CIDR_LIST_MAX + 1), next % 2 ? XDP_PASS : XDP_TX);
		ck_assert_int_eq(verdict_of_syn((_i ? V6 : 0) + 2 * CIDR_LIST_MAX + 1), XDP_DROP);
	}
	both_gone();
}
END_TEST

START_TEST(test_xdp_ends_a_ban_in_time)
{
	struct addr v4 = address("203.0.113.1"), v6 = address("2001:db8:1:2:3:4:5:6");

	both_armed(&on_host);
	ck_assert_int_eq(xdp_ban(xdp, &v4, 1, clock_ns()), 0); /* over by now */
	ck_assert_int_eq(from("203.0.113.1"), XDP_TX);
	ck_assert_int_eq(xdp_ban(xdp, &v4, 1, clock_ns() + 1000 * NSEC_PER_SEC), 0);
	ck_assert_int_eq(from("203.0.113.1"), XDP_DROP);
	xdp_unban(xdp, &v4);
	ck_assert_int_eq(from("203.0.113.1"), XDP_TX);
	ck_assert_int_eq(xdp_ban(xdp, &v6, 1, clock_ns() + 1000 * NSEC_PER_SEC), 0);
	ck_assert_int_eq(from("2001:db8:1:2::9"), XDP_DROP); /* of the same /64 */
	ck_assert_int_eq(from("2001:db8:1:3::9"), XDP_TX);
	v6 = address("2001:db8:1:2::77");
	xdp_unban(xdp, &v6);
	ck_assert_int_eq(from("2001:db8:1:2::9"), XDP_TX);
	both_gone();
}
END_TEST

START_TEST(test_xdp_bans_no_more_than_there_is_room_for)
{
	struct addr nets[BANS_MAX + 1];

	both_armed(&on_host);
	for (unsigned i = 0; i <= BANS_MAX; i++)
		nets[i] = host(false, i);
	ck_assert_int_eq(xdp_ban(xdp, nets, BANS_MAX, clock_ns() + 1000 * NSEC_PER_SEC), 0);
	ck_assert_int_eq(xdp_ban(xdp, &nets[BANS_MAX], 1, clock_ns() + 1000 * NSEC_PER_SEC), -E2BIG);
	ck_assert_int_eq(verdict_of_syn(BANS_MAX), XDP_TX);
	ck_assert_int_eq(xdp_ban(xdp, &nets[5], 1, clock_ns()), 0);
	ck_assert_int_eq(xdp_ban(xdp, &nets[BANS_MAX], 1, clock_ns() + 1000 * NSEC_PER_SEC), 0); /* in its place */
	ck_assert_int_eq(verdict_of_syn(BANS_MAX), XDP_DROP);
	ck_assert_int_eq(verdict_of_syn(5), XDP_TX);
	ck_assert_int_eq(verdict_of_syn(6), XDP_DROP);
	both_gone();
}
END_TEST

/* SYNs from so many addresses that differ in the given byte: how many are answered. */
static unsigned answered_to(bool v6, unsigned byte, unsigned count)
{
	unsigned answered = 0;

	for (unsigned i = 0; i < count; i++) {
		struct segment syn = syn_of(v6 ? V6 + 1 : 1);

		syn.source.bytes[byte] = (uint8_t)i;
		answered += verdict(&syn) == XDP_TX;
	}
	return answered;
}

START_TEST(test_xdp_caps_the_answers_to_a_network)
{
	static const unsigned last_byte[2] = {15, 6}, net_byte[2] = {14, 5}; /* IPv4 /24, IPv6 /48 */
	uint64_t began_ns = clock_ns();
	unsigned answered;

	both_armed(&on_host);
	xdp_set_cap(xdp, 5);
	answered = answered_to(_i, last_byte[_i], 200);
	ck_assert_uint_ge(answered, 5);
	ck_assert_uint_le(answered, 6 + 5 * (clock_ns() - began_ns) / NSEC_PER_SEC);
	ck_assert_uint_eq(counts().capped, 200 - answered);
	ck_assert_uint_ge(answered_to(_i, net_byte[_i], 200), 190); /* each has a bucket, but for what falls in one */
	xdp_set_cap(xdp, 0);
	ck_assert_uint_eq(answered_to(_i, last_byte[_i], 200), 200);
	both_gone();
}
END_TEST

START_TEST(test_xdp_returns_what_a_cookie_that_comes_back_has_cost)
{
	uint64_t began_ns;
	unsigned answered = 0;

	both_armed(&on_host);
	xdp_set_cap(xdp, 3);
	began_ns = clock_ns();
	for (unsigned i = 0; i < 40; i++) {
		uint32_t cookie = challenge(1 + PORT * i);

		answered += verdict_of_syn(1 + PORT * i) == XDP_TX;
		ck_assert_int_eq(verdict_of_ack(1 + PORT * i, cookie), XDP_PASS);
		ck_assert_int_eq(verdict_of_ack(1 + PORT * i, cookie), XDP_PASS);
	}
	ck_assert_uint_eq(answered, 40);
	for (unsigned i = 0; i < 40; i++) /* a cookie buys no more than it has cost */
		answered += verdict_of_syn(1) == XDP_TX;
	ck_assert_uint_le(answered, 40 + 4 + 3 * (clock_ns() - began_ns) / NSEC_PER_SEC);
	both_gone();
}
END_TEST

/* ---- what goes up although it could be answered ---- */

START_TEST(test_xdp_passes_a_sample_up)
{
	uint64_t began_ns = clock_ns();
	unsigned up = 0;

	both_armed(&on_host);
	xdp_set_sample(xdp, 20);
	for (unsigned i = 0; i < 1000; i++)
		up += verdict_of_syn(i) == XDP_PASS;
	ck_assert_uint_ge(up, 20);
	ck_assert_uint_le(up, 21 + 20 * (clock_ns() - began_ns) / NSEC_PER_SEC);
	ck_assert_uint_eq(counts().passed_up, up);
	ck_assert_uint_eq(counts().answered, 1000 - up);
	both_gone();
}
END_TEST

START_TEST(test_xdp_passes_syns_of_what_has_begun)
{
	unsigned others = 0;

	both_armed(&on_host);
	for (unsigned i = 0; i < 100; i++) {
		struct segment syn = syn_of(i + (i % 2 ? V6 : 0));
		struct flow flow = flow_from_client(&syn);

		xdp_note_begun(xdp, &flow);
	}
	for (unsigned i = 0; i < 100; i++)
		ck_assert_int_eq(verdict_of_syn(i + (i % 2 ? V6 : 0)), XDP_PASS);
	for (unsigned i = 100; i < 1100; i++)
		others += verdict_of_syn(i) == XDP_PASS;
	ck_assert_uint_le(others, 5);
	xdp_forget_begun(xdp);
	ck_assert_int_eq(verdict_of_syn(0), XDP_TX);
	both_gone();
}
END_TEST

/* ---- ports that are used again ---- */

static uint32_t nth(unsigned i)
{
	return 1 + i % 60000 + PORT * (i / 60000);
}

/* A connection that the rules know for a minute: whatever the program has seen since. On a gateway without conntrack, too. */
START_TEST(test_xdp_passes_syns_of_known_connections)
{
	struct xdp_setup setup = on_host;

	setup.sockets = !_i;
	no_conntrack = _i;
	both_armed(&setup);
	xdp_age(xdp, XDP_KNOWN_NS);
	for (unsigned i = 0; i < 70000; i++)
		ck_assert_int_eq(verdict_of_ack(nth(i), challenge(nth(i))), XDP_PASS);
	for (unsigned i = 0; i < 1000; i++)
		ck_assert_int_eq(verdict_of_syn(nth(i)), XDP_PASS);
	both_gone();
}
END_TEST

static void send_often(const struct segment *segment, unsigned times);

/* SYNs of a connection that is known, and such as only have its mark. */
START_TEST(test_xdp_passes_no_rate_of_known_syns)
{
	struct segment syn = syn_of(1), other = syn_of(2);
	struct flow flow = flow_from_client(&other);
	uint64_t began_ns = clock_ns(), seconds;

	both_armed(&on_host);
	ck_assert_int_eq(verdict_of_ack(1, challenge(1)), XDP_PASS);
	xdp_note_begun(xdp, &flow);
	send_often(&syn, 40000);
	seconds = (clock_ns() - began_ns) / NSEC_PER_SEC + 1;
	ck_assert_uint_ge(counts().passed_up, 4096);
	ck_assert_uint_le(counts().passed_up, 4096 + 4096 * seconds);
	ck_assert_uint_eq(counts().failed, 40000 - counts().passed_up);
	ck_assert_int_eq(verdict(&other), XDP_PASS);
	ck_assert_uint_eq(counts().answered, 0);
	both_gone();
}
END_TEST

START_TEST(test_xdp_answers_syns_that_have_a_mark_beyond_a_limit)
{
	struct segment syn = syn_of(2);
	struct flow flow = flow_from_client(&syn);
	unsigned answered = 0;

	both_armed(&on_host);
	ck_assert_int_eq(verdict_of_ack(1, challenge(1)), XDP_PASS);
	xdp_note_begun(xdp, &flow);
	for (unsigned i = 0; i < 40000; i++)
		answered += verdict(&syn) == XDP_TX;
	ck_assert_uint_gt(answered, 0);
	ck_assert_uint_eq(counts().answered, answered);
	ck_assert_uint_ge(counts().passed_up, 4096);
	ck_assert_uint_eq(counts().failed, 0);
	ck_assert_int_eq(verdict_of_syn(1), XDP_PASS);
	both_gone();
}
END_TEST

START_TEST(test_xdp_remembers_a_connection_since_its_last_packet)
{
	uint32_t cookies[3];

	both_armed(&on_host);
	xdp_age(xdp, XDP_KNOWN_NS);
	for (unsigned i = 0; i < 3; i++) {
		cookies[i] = challenge(i);
		ck_assert_int_eq(verdict_of_ack(i, cookies[i]), XDP_PASS);
	}
	xdp_age(xdp, 2 * XDP_KNOWN_NS - 1); /* too early */
	xdp_age(xdp, 2 * XDP_KNOWN_NS);
	ck_assert_int_eq(verdict_of_syn(0), XDP_PASS);
	ck_assert_int_eq(verdict_of_ack(1, cookies[1]), XDP_PASS);
	xdp_age(xdp, 3 * XDP_KNOWN_NS);
	ck_assert_int_eq(verdict_of_syn(0), XDP_TX);
	ck_assert_int_eq(verdict_of_syn(1), XDP_PASS);
	ck_assert_int_eq(verdict_of_syn(2), XDP_TX);
	xdp_age(xdp, 4 * XDP_KNOWN_NS);
	ck_assert_int_eq(verdict_of_syn(1), XDP_TX);
	both_gone();
}
END_TEST

START_TEST(test_xdp_remembers_lasting_connections)
{
	both_armed(&on_host);
	for (unsigned v6 = 0; v6 <= V6; v6 += V6) {
		struct segment syn = syn_of(v6 + 1);
		struct flow flow = flow_from_client(&syn);

		xdp_note_lasting(xdp, &flow, 1000 * XDP_KNOWN_NS);
	}
	for (unsigned i = 1; i < 1000; i++)
		xdp_age(xdp, i * XDP_KNOWN_NS);
	ck_assert_int_eq(verdict_of_syn(1), XDP_PASS);
	ck_assert_int_eq(verdict_of_syn(V6 + 1), XDP_PASS);
	ck_assert_int_eq(verdict_of_syn(2), XDP_TX);
	xdp_age(xdp, 1000 * XDP_KNOWN_NS);
	ck_assert_int_eq(verdict_of_syn(1), XDP_TX);
	both_gone();
}
END_TEST

/* ---- ACKs ---- */

/* Per second and CPU, of nobody's. */
static unsigned strays_per_s(void)
{
	return no_conntrack || on_gateway ? 20000 : 1000;
}

static void send_often(const struct segment *segment, unsigned times)
{
	struct frame frame, out;

	frame_of(&frame, segment);
	run_often(&frame, &out, times);
}

/* Sends ACKs of nobody, four times their limit. Returns how many were dropped. One at a time is the quicker way for
 * few: the kernel waits a grace period before it repeats (bpf_dispatcher_change_prog(), kernel/bpf/dispatcher.c). */
static unsigned use_up_strays(void)
{
	struct segment stray = ack_of(50000, 12345);
	uint64_t before = counts().bad_ack;

	for (unsigned i = 0; i < 4000; i++)
		verdict_of_ack(50000 + i, i * 7919);
	send_often(&stray, 4 * strays_per_s() - 4000 + 1);
	return (unsigned)(counts().bad_ack - before);
}

/* Whether such an ACK is known: however often it comes, it is not dropped. */
static bool knows(const struct segment *segment)
{
	uint64_t before = counts().bad_ack;

	send_often(segment, 2 * strays_per_s());
	return counts().bad_ack == before;
}

static bool is_known(uint32_t n, uint32_t cookie)
{
	struct segment segment = ack_of(n, cookie);

	return knows(&segment);
}

START_TEST(test_xdp_drops_acks_of_nobody_beyond_a_limit)
{
	uint64_t began_ns = clock_ns(), before;
	unsigned dropped, seen = 0;

	no_conntrack = _i;
	both_armed(&on_host);
	dropped = use_up_strays();
	ck_assert_uint_le(dropped, 3 * strays_per_s() + 1);
	ck_assert_uint_ge(dropped + 2 + strays_per_s() * (clock_ns() - began_ns) / NSEC_PER_SEC, 3 * strays_per_s());
	ck_assert_uint_gt(dropped, 0);
	before = counts().bad_ack;
	for (unsigned i = 0; i < 1000; i++)
		seen += verdict_of_ack(i, i) == XDP_DROP;
	ck_assert_uint_eq(counts().bad_ack - before, seen);
	both_gone();
}
END_TEST

START_TEST(test_xdp_passes_acks_with_the_daemons_cookie)
{
	struct siphash_key fresh = {{99, 98}};

	no_conntrack = _i;
	both_armed(&on_host);
	for (uint32_t v6 = 0; v6 <= V6; v6 += V6) {
		uint32_t cookie = challenge(1 + v6), old = challenge(2 + v6), older = challenge(3 + v6);

		ck_assert_uint_gt(use_up_strays(), 0);
		ck_assert(is_known(1 + v6, cookie));
		ck_assert(is_known(1 + v6, 12345)); /* what comes behind it */
		ck_assert(!is_known(2 + v6, old ^ 0x100));
		cookie_rotate(&guard_secret, &fresh);
		xdp_set_secret(xdp, &guard_secret);
		ck_assert(is_known(2 + v6, old));
		cookie_rotate(&guard_secret, &fresh);
		xdp_set_secret(xdp, &guard_secret);
		ck_assert(!is_known(3 + v6, older));
	}
	both_gone();
}
END_TEST

START_TEST(test_xdp_passes_acks_of_others_who_are_in_the_next_epoch)
{
	struct cookie_secret here, next;
	uint32_t cookie;

	no_conntrack = _i;
	both_armed(&on_host);
	here = guard_secret;
	next = here;
	here.next = (struct siphash_key){{55, 56}};
	cookie_rotate(&next, &here.next);
	guard_secret = next;
	cookie = challenge(1);
	xdp_set_secret(xdp, &here);
	ck_assert_uint_gt(use_up_strays(), 0);
	ck_assert(!is_known(1, cookie));
	here.has_next = true;
	xdp_set_secret(xdp, &here);
	ck_assert(is_known(1, cookie));
	both_gone();
}
END_TEST

/* Of a real connection, of which the frames are made up. */
START_TEST(test_xdp_passes_acks_of_the_hosts_connections)
{
	struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(80)}, client;
	socklen_t bytes = sizeof(client);
	int listener, connection;
	struct segment segment;

	no_conntrack = _i;
	both_armed(&on_host);
	ck_assert_int_eq(system("ip link set lo up && ip addr add 192.0.2.1/32 dev lo"), 0);
	inet_pton(AF_INET, "192.0.2.1", &server.sin_addr);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	connection = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&server, sizeof(server)), 0);
	ck_assert_int_eq(listen(listener, 8), 0);
	ck_assert_uint_gt(use_up_strays(), 0); /* although somebody listens */
	ck_assert(!is_known(1, 1));
	ck_assert_int_eq(connect(connection, (struct sockaddr *)&server, sizeof(server)), 0);
	ck_assert_int_eq(getsockname(connection, (struct sockaddr *)&client, &bytes), 0);
	segment = ack_of(1, 1);
	segment.source = address("192.0.2.1");
	segment.source_port = ntohs(client.sin_port);
	ck_assert(knows(&segment));
	close(connection);
	close(listener);
	both_gone();
}
END_TEST

/* Where the kernel lends conntrack's look-up; where not, the rules see to ACKs of nobody. */
START_TEST(test_xdp_passes_acks_that_a_gateways_conntrack_knows)
{
	struct xdp_setup gateway = on_host;
	struct segment segment = ack_of(1, 1);
	bool lent = system("cat /sys/kernel/btf/vmlinux /sys/kernel/btf/nf_conntrack 2>/dev/null | "
			   "grep -qa bpf_xdp_ct_lookup") == 0 &&
		    !_i;
	char command[256];

	gateway.sockets = false;
	no_conntrack = _i;
	both_armed(&gateway);
	segment.source = address("203.0.113.9");
	ck_assert_int_eq(use_up_strays() > 0, lent);
	if (lent) {
		ck_assert(!is_known(1, 1));
		snprintf(command, sizeof(command),
			 "conntrack -I -p tcp -s 203.0.113.9 -d 192.0.2.1 --sport %u --dport 80 --state ESTABLISHED "
			 "--timeout 600 >/dev/null 2>&1",
			 segment.source_port);
		ck_assert_int_eq(system(command), 0);
	}
	ck_assert(knows(&segment));
	both_gone();
}
END_TEST

START_TEST(test_xdp_counts_by_service)
{
	struct addr other = address("192.0.2.9");
	struct service_learned learned = {.wscale = -1};
	struct segment syn = syn_of(1);
	struct xdp_counts of_other;

	both_armed(&on_host);
	ck_assert_int_eq(xdp_answer_for(xdp, &other, 443, SERVICES_MAX - 1, &learned), 0);
	syn.destination = other;
	syn.destination_port = 443;
	ck_assert_int_eq(verdict(&syn), XDP_TX);
	ck_assert_int_eq(verdict_of_syn(2), XDP_TX);
	ck_assert_int_eq(verdict_of_syn(3), XDP_TX);
	xdp_count(xdp, SERVICES_MAX - 1, &of_other);
	ck_assert_uint_eq(of_other.answered, 1);
	ck_assert_uint_eq(counts().answered, 2);
	both_gone();
}
END_TEST

/* ---- interfaces ---- */

/* Two ends of a wire, in this network: what is sent into x0 comes out of x1. */
static uint32_t wire_up(void)
{
	if (geteuid() != 0) /* no network of our own */
		(void)!system("ip link del x0 2>/dev/null");
	ck_assert_int_eq(system("ip link add x0 type veth peer name x1 && ip link set x0 up && ip link set x1 up"), 0);
	return if_nametoindex("x1");
}

/* As a packet socket has it, which gets the outer tag besides. */
static void untag(struct frame *frame)
{
	if (frame->ip_at == ETHERNET_BYTES)
		return;
	frame->count -= 4;
	memmove(frame->bytes + 12, frame->bytes + 16, frame->count - 12);
}

/* Sends the frame into x0; returns whether `back` is what has come out of it. */
static bool comes_back(const struct frame *frame, struct frame *back)
{
	struct sockaddr_ll x0 = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex("x0")};
	struct timeval patience = {.tv_sec = 5};
	int end = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)), one = 1;
	uint8_t bytes[FRAME_MAX];
	ssize_t count;

	ck_assert_int_eq(bind(end, (struct sockaddr *)&x0, sizeof(x0)), 0);
	ck_assert_int_eq(setsockopt(end, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	ck_assert_int_eq(setsockopt(end, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)), 0);
	untag(back);
	ck_assert_int_eq(send(end, frame->bytes, frame->count, 0), (ssize_t)frame->count);
	do {
		count = recv(end, bytes, sizeof(bytes), 0);
	} while (count > 0 && ((size_t)count != back->count || memcmp(bytes, back->bytes, back->count) != 0));
	close(end);
	return count > 0;
}

START_TEST(test_xdp_sends_its_answers_back_where_the_syns_come_from)
{
	static const struct shape plain, tagged = {.tags = 2};
	uint8_t options[OPTIONS_BYTES_MAX];
	struct frame frame, back;
	bool native = true;
	uint32_t x1;

	no_conntrack = _i;
	both_armed(&on_host);
	x1 = wire_up();
	ck_assert_int_eq(xdp_attach(xdp, x1, XDP_MODE_AUTO, &native), 0);
	ck_assert(!native);
	for (unsigned i = 0; i < 4; i++) {
		struct segment syn = syn_of(i & 1 ? V6 + 1 : 1);
		size_t bytes = options_write(options, &syn.options);

		frame_make(&frame, &syn, i & 2 ? &tagged : &plain, options, bytes);
		ck_assert_int_eq(run(&frame, &back), XDP_TX);
		ck_assert(comes_back(&frame, &back));
	}
	ck_assert_uint_eq(counts().answered, 8);
	both_gone();
}
END_TEST

/* A frame to another, which an interface sees if it is to see all, or a switch does not know where to. */
START_TEST(test_xdp_answers_only_at_its_interfaces_addresses)
{
	uint32_t x1;
	bool native;

	both_armed(&on_host);
	ck_assert_int_eq(with_byte(1, 5, 6), XDP_PASS);
	ck_assert_int_eq(with_byte(1, 0, 6), XDP_PASS);
	ck_assert_uint_eq(counts().passed_up, 2);
	x1 = wire_up();
	ck_assert_int_eq(system("ip link set x1 address 02:01:02:03:04:06"), 0);
	ck_assert_int_eq(xdp_attach(xdp, x1, XDP_MODE_AUTO, &native), 0);
	ck_assert_int_eq(with_byte(1, 5, 6), XDP_TX);
	ck_assert_int_eq(system("ip link set x1 address 02:01:02:03:04:07"), 0);
	xdp_follow_addresses(xdp);
	ck_assert_int_eq(with_byte(1, 5, 6), XDP_PASS);
	ck_assert_int_eq(with_byte(1, 5, 7), XDP_TX);
	xdp_detach(xdp, x1);
	ck_assert_int_eq(with_byte(1, 5, 7), XDP_PASS);
	both_gone();
}
END_TEST

static bool has_a_program(void)
{
	return system("ip link show dev x1 | grep -q xdp") == 0;
}

START_TEST(test_xdp_respects_a_program_that_is_there)
{
	struct xdp *other;
	char error[512];
	bool native;
	uint32_t x1;

	both_armed(&on_host);
	x1 = wire_up();
	other = xdp_open(&on_host, error, sizeof(error));
	ck_assert_int_eq(xdp_attach(other, x1, XDP_MODE_GENERIC, &native), 0);
	ck_assert_int_eq(xdp_attach(xdp, x1, XDP_MODE_GENERIC, &native), -EBUSY);
	ck_assert_int_eq(xdp_attach(xdp, x1, XDP_MODE_NATIVE, &native), -EBUSY);
	ck_assert_int_eq(xdp_attach(xdp, x1, XDP_MODE_AUTO, &native), -EBUSY);
	xdp_detach(xdp, x1);
	ck_assert(has_a_program());
	xdp_close(other);
	ck_assert(!has_a_program());
	ck_assert_int_eq(xdp_attach(xdp, x1, XDP_MODE_NATIVE, &native), 0);
	ck_assert(native);
	xdp_detach(xdp, x1);
	ck_assert(!has_a_program());
	both_gone();
}
END_TEST

START_TEST(test_xdp_outlives_its_interface)
{
	bool native;
	uint32_t x1;

	both_armed(&on_host);
	x1 = wire_up();
	ck_assert_int_eq(xdp_attach(xdp, x1, XDP_MODE_AUTO, &native), 0);
	ck_assert_int_eq(system("ip link del x0"), 0);
	ck_assert_int_eq(xdp_attach(xdp, x1, XDP_MODE_AUTO, &native), -ENODEV);
	xdp_detach(xdp, x1);
	x1 = wire_up();
	ck_assert_int_eq(xdp_attach(xdp, x1, XDP_MODE_AUTO, &native), 0);
	ck_assert(has_a_program());
	both_gone();
}
END_TEST

static Suite *suite(void)
{
	Suite *all = suite_create("xdp_program");
	TCase *tests = tcase_create("xdp_program");
	TCase *wire = tcase_create("wire"); /* which takes no more than the daemon has */

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, test_xdp_answers_whatever_syn_as_the_daemon_does, 0, 4);
	tcase_add_test(tests, test_xdp_answers_every_order_of_options_as_the_daemon_does);
	tcase_add_test(tests, test_xdp_promises_what_is_learned_and_no_more);
	tcase_add_test(tests, test_xdp_leaves_alone_what_is_of_no_service);
	tcase_add_test(tests, test_xdp_passes_up_other_flags);
	tcase_add_test(tests, test_xdp_passes_up_odd_sources);
	tcase_add_test(tests, test_xdp_passes_up_what_is_no_plain_packet);
	tcase_add_test(tests, test_xdp_passes_up_every_truncation);
	tcase_add_test(tests, test_xdp_survives_mutations);
	tcase_add_test(tests, test_xdp_passes_up_random_bytes);
	tcase_add_loop_test(tests, test_xdp_passes_up_signed_syns_that_the_kernel_checks, 0, 4);
	tcase_add_test(tests, test_xdp_lets_allow_win_over_deny_over_ban);
	tcase_add_test(tests, test_xdp_lists_are_replaced);
	tcase_add_loop_test(tests, test_xdp_exchanges_full_lists, 0, 2);
	tcase_add_test(tests, test_xdp_ends_a_ban_in_time);
	tcase_add_test(tests, test_xdp_bans_no_more_than_there_is_room_for);
	tcase_add_loop_test(tests, test_xdp_caps_the_answers_to_a_network, 0, 2);
	tcase_add_test(tests, test_xdp_returns_what_a_cookie_that_comes_back_has_cost);
	tcase_add_test(tests, test_xdp_passes_a_sample_up);
	tcase_add_test(tests, test_xdp_passes_syns_of_what_has_begun);
	tcase_add_loop_test(tests, test_xdp_passes_syns_of_known_connections, 0, 2);
	tcase_add_test(tests, test_xdp_passes_no_rate_of_known_syns);
	tcase_add_test(tests, test_xdp_answers_syns_that_have_a_mark_beyond_a_limit);
	tcase_add_test(tests, test_xdp_remembers_a_connection_since_its_last_packet);
	tcase_add_test(tests, test_xdp_remembers_lasting_connections);
	tcase_add_loop_test(tests, test_xdp_drops_acks_of_nobody_beyond_a_limit, 0, 2);
	tcase_add_loop_test(tests, test_xdp_passes_acks_with_the_daemons_cookie, 0, 2);
	tcase_add_loop_test(tests, test_xdp_passes_acks_of_others_who_are_in_the_next_epoch, 0, 2);
	tcase_add_loop_test(tests, test_xdp_passes_acks_of_the_hosts_connections, 0, 2);
	tcase_add_loop_test(tests, test_xdp_passes_acks_that_a_gateways_conntrack_knows, 0, 2);
	tcase_add_test(tests, test_xdp_counts_by_service);
	tcase_add_test(tests, test_xdp_answers_only_at_its_interfaces_addresses);
	tcase_add_test(tests, test_xdp_respects_a_program_that_is_there);
	tcase_add_test(tests, test_xdp_outlives_its_interface);
	suite_add_tcase(all, tests);
	tcase_set_timeout(wire, 60);
	tcase_add_loop_test(wire, test_xdp_sends_its_answers_back_where_the_syns_come_from, 0, 2);
	suite_add_tcase(all, wire);
	return all;
}

int main(void)
{
	return unit_main(suite());
}
