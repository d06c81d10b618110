/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xdp: the program in the kernel, run there on any frame (BPF_PROG_TEST_RUN), in a network made for it. What it sends is
 * what the core would; what it passes is as it was. The first byte says what its maps hold. It takes root. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <sched.h>
#include <unistd.h>

#include "edge/xdp.h"
#include "fuzz.h"
#include "synmoat/challenge.h"

#define FRAME_MAX 1500
#define ETHERNET_BYTES 14
#define WEB 5

enum {
	HOLDS_CAP = 1,
	HOLDS_DENY = 2,
	HOLDS_ALLOW = 4,
	HOLDS_BAN = 8,
	HOLDS_OTHER_SECRET = 16,
	HOLDS_BEGUN = 32
};

struct cidr_lists {
	struct cidr_list allow, deny;
};

static const uint8_t mac[6] = {2, 1, 2, 3, 4, 5};
static struct xdp *xdp;
static int held = -1; /* HOLDS_*, as the maps are now */
static struct cookie_secret secret;
static struct service_learned learned[2];

/* The program is not instrumented: what it does is told to libFuzzer here. */
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t seen[256];

static struct addr web(bool v6)
{
	static const uint8_t wire[16] = {0x20, 1, 0x0d, 0xb8, [15] = 1}, v4[4] = {192, 0, 2, 1};

	return v6 ? addr_from_v6(wire) : addr_from_v4(v4);
}

/* 198.18.0.N and 2001:db8:1::N are who asks. */
static struct addr client(bool v6, uint8_t n)
{
	const uint8_t wire[16] = {0x20, 1, 0x0d, 0xb8, 0, 1, [15] = n}, v4[4] = {198, 18, 0, n};

	return v6 ? addr_from_v6(wire) : addr_from_v4(v4);
}

static void services_make(void)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct addr address = web(v6);

		learned[v6] = (struct service_learned){.mss = v6 ? 1360 : 1380,
						       .window = 28960,
						       .wscale = 6,
						       .sack = true,
						       .timestamps = true,
						       .known = LEARNED_BASE | LEARNED_WSCALE | LEARNED_SACK |
								LEARNED_TIMESTAMPS};
		must(xdp_answer_for(xdp, &address, 80, WEB, &learned[v6]) == 0);
	}
}

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerInitialize(int *count, char ***arguments)
{
	const struct xdp_setup setup = {
		.sockets = true, .ban_v4_bits = 32, .ban_v6_bits = 64, .bans_max = 16, .kernel_checks_md5 = true};
	char error[512] = "";

	(void)count;
	(void)arguments;
	if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0) {
		printf("skip: it takes root\n");
		exit(0);
	}
	xdp = xdp_open(&setup, error, sizeof(error));
	if (!xdp) {
		printf("skip: %s\n", error);
		exit(0);
	}
	must(xdp_answer_at(xdp, mac) == 0);
	services_make();
	return 0;
}

static void list_add(struct cidr_list *list, const struct addr *addr)
{
	list->entries[list->count++] = (struct cidr_entry){{*addr, 128}, true, false};
}

static void maps_hold(uint8_t what)
{
	static struct cidr_lists lists;

	if (what == held)
		return;
	held = what;
	lists.allow.count = lists.deny.count = 0;
	secret = (struct cookie_secret){.epoch = what & HOLDS_OTHER_SECRET ? 79 : 78, .keys = {{{1, 2}}, {{3, 4}}}};
	xdp_set_secret(xdp, &secret);
	xdp_set_cap(xdp, what & HOLDS_CAP ? 5 : 0);
	xdp_forget_begun(xdp);
	for (int v6 = 0; v6 < 2; v6++) {
		struct addr denied = client(v6, 1), allowed = client(v6, 2), banned = client(v6, 3);
		struct flow begun = {client(v6, 4), web(v6), 40000, 80};

		if (what & HOLDS_DENY)
			list_add(&lists.deny, &denied);
		if (what & HOLDS_ALLOW)
			list_add(&lists.allow, &allowed);
		if (what & HOLDS_BAN)
			must(xdp_ban(xdp, &banned, 1, UINT64_MAX) == 0);
		else
			xdp_unban(xdp, &banned);
		if (what & HOLDS_BEGUN)
			xdp_note_begun(xdp, &begun);
	}
	must(xdp_set_lists(xdp, &lists.allow, &lists.deny) == 0);
}

static size_t ip_offset(const uint8_t *frame, size_t bytes)
{
	size_t at = ETHERNET_BYTES;

	for (unsigned tags = 0; tags < 2 && at + 4 <= bytes; tags++) {
		uint16_t type = load_be16(frame + at - 2);

		if (type == ETH_P_8021Q || type == ETH_P_8021AD)
			at += 4;
	}
	return at;
}

/* The core's answer, to who has asked, over the way that it came. */
static void is_the_cores(const uint8_t *frame, size_t bytes, const uint8_t *out, size_t out_bytes)
{
	size_t ip = ip_offset(frame, bytes), count;
	uint8_t expected[SEGMENT_HEADERS_MAX];
	struct cookie_options carried;
	struct segment syn, answer;
	struct flow flow;
	bool v6;

	must(packet_parse(frame + ip, bytes - ip, &syn) == PACKET_TCP);
	must((syn.flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK)) == TCP_SYN);
	v6 = !addr_is_v4(&syn.source);
	flow = (struct flow){web(v6), web(v6), 80, 80};
	must(addr_equal(&syn.destination, &flow.server) && syn.destination_port == 80);
	challenge_answer(&syn, &learned[v6], &answer, &carried);
	flow = flow_from_client(&syn);
	answer.seq = cookie_make(&secret, &flow, syn.seq, &carried);
	count = segment_write(expected, sizeof(expected), &answer);
	must(out_bytes == ip + count);
	must(memcmp(out + ip, expected, count) == 0);
	must(memcmp(out, frame + 6, 6) == 0 && memcmp(out + 6, frame, 6) == 0);
	must(memcmp(out + 12, frame + 12, ip - 12) == 0);
	must(!(syn.options.md5) && memcmp(frame, mac, 6) == 0 && !(frame[6] & 1));
}

static uint64_t dropped(const struct xdp_counts *before, const struct xdp_counts *now)
{
	return now->capped - before->capped + now->denied - before->denied + now->banned - before->banned +
	       now->bad_ack - before->bad_ack + now->failed - before->failed;
}

static void tell_libfuzzer(int verdict, const struct xdp_counts *before, const struct xdp_counts *now)
{
	unsigned what = (unsigned)verdict << 4;

	what |= now->passed_up != before->passed_up ? 1 : 0;
	what |= now->capped != before->capped ? 2 : now->denied != before->denied ? 3 : 0;
	what |= now->banned != before->banned ? 4 : now->bad_ack != before->bad_ack ? 8 : 0;
	seen[what % sizeof(seen)]++;
}

static void is_judged(const uint8_t *frame, size_t bytes)
{
	static uint8_t out[4096];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (uint32_t)bytes, .data_out = out,
		    .data_size_out = sizeof(out), .repeat = 1);
	struct xdp_counts before, now;

	xdp_count(xdp, WEB, &before);
	must(bpf_prog_test_run_opts(xdp_program(xdp), &opts) == 0);
	xdp_count(xdp, WEB, &now);
	tell_libfuzzer((int)opts.retval, &before, &now);
	switch (opts.retval) {
	case XDP_PASS:
		must(opts.data_size_out == bytes && memcmp(out, frame, bytes) == 0);
		must(now.answered == before.answered && !dropped(&before, &now));
		break;
	case XDP_TX:
		must(now.answered == before.answered + 1 && !dropped(&before, &now));
		is_the_cores(frame, bytes, out, opts.data_size_out);
		break;
	default: /* never anything else, and never without a reason */
		must(opts.retval == XDP_DROP && dropped(&before, &now) == 1);
		must(now.capped == before.capped || held & HOLDS_CAP);
		must(now.denied == before.denied || held & HOLDS_DENY);
		must(now.banned == before.banned || held & HOLDS_BAN);
		break;
	}
}

/* It is to reach what it is about: as the input has it, or with what every frame to a service begins with. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static uint8_t frame[FRAME_MAX];
	struct segment segment;
	uint8_t kind;
	size_t ip;

	if (bytes < 1 + ETHERNET_BYTES || bytes > FRAME_MAX)
		return 0;
	kind = data[0];
	bytes--;
	memcpy(frame, data + 1, bytes);
	if (kind & 64)
		memcpy(frame, mac, sizeof(mac));
	maps_hold(kind & 63);
	ip = ip_offset(frame, bytes);
	seen[255] += packet_parse(frame + ip, bytes > ip ? bytes - ip : 0, &segment) == PACKET_TCP;
	is_judged(frame, bytes);
	return 0;
}
