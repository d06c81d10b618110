/* SPDX-License-Identifier: GPL-2.0-or-later */
/* torrent, in the kernel: `flood` makes each frame that BPF_PROG_TEST_RUN hands it into a SYN and sends it out of the
 * interface as a driver would; `sink` sits at that interface's receiving end. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "torrent.h"

#define LAYOUTS 4

struct segment {
	struct tcphdr head;
	__be32 options[OPTIONS_MAX / 4];
};

struct layout {
	__u32 length;
	__u32 words[OPTIONS_MAX / 4]; /* host order; the TSval is filled in */
};

const volatile struct setup setup;

__u64 sent, failed;
__u64 end_ns, first_ns, last_ns; /* the last: of the last burst */
static __u64 next_ns, credit;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sunk);
} sunk SEC(".maps");

/* As systems send them, most of them Linux. */
static const struct layout layouts[LAYOUTS] = {
	{20, {0x020405b4, 0x0402080a, 0, 0, 0x01030307, 0}},          /* Linux */
	{12, {0x020405b4, 0x01030308, 0x01010402, 0, 0, 0}},          /* Windows */
	{24, {0x020405b4, 0x01030306, 0x0101080a, 0, 0, 0x04020000}}, /* macOS */
	{4, {0x020405b4, 0, 0, 0, 0, 0}},                             /* embedded things */
};

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

/* Whether the next frame may leave now. Looks at the clock once a burst. */
static __always_inline int due(void)
{
	__u64 now;

	if (sent >= setup.count)
		return 0;
	if (credit == 0) {
		now = bpf_ktime_get_ns();
		if (now >= end_ns)
			return 0;
		if (setup.burst_ns) {
			if (now < next_ns)
				return 0;
			if (now > next_ns + 4 * setup.burst_ns) /* held up: what is missed is missed */
				next_ns = now;
			next_ns += setup.burst_ns;
		}
		credit = BURST;
		if (!first_ns)
			first_ns = now;
		last_ns = now;
	}
	credit--;
	return 1;
}

/* Neighbours in a pool are strangers in their networks: nobody counts them together, by /24 or by /64. */
static __always_inline __u32 source(__u32 random)
{
	__u32 which;

	if (!setup.pool)
		return RANDOM_V4 | (random & 0x0fffffff);
	which = setup.in_turn ? (__u32)(sent % setup.pool) : random % setup.pool;
	return POOL_V4 | (which & 0xffff) << 8 | (which >> 16 & 0xff);
}

static __always_inline __u32 segment_fill(struct segment *segment, __u32 random, __u16 port, __u32 net)
{
	__u32 which = net & 4 ? 0 : net & 3; /* half and an eighth Linux, an eighth each of the others */
	const struct layout *layout = &layouts[which & (LAYOUTS - 1)];
	__u32 length = setup.acks ? 0 : layout->length;
	int i;

	segment->head.source = bpf_htons(1024 + (random >> 16) % 64512);
	segment->head.dest = bpf_htons(port);
	segment->head.seq = random * 2654435761U ^ net;
	segment->head.doff = 5 + length / 4;
	segment->head.window = bpf_htons(64240);
	if (setup.acks) {
		segment->head.ack = 1;
		segment->head.ack_seq = net * 2246822519U ^ random;
		return 0;
	}
	segment->head.syn = 1;
#pragma unroll
	for (i = 0; i < OPTIONS_MAX / 4; i++)
		segment->options[i] = bpf_htonl(layout->words[i]);
	if (which == 0)
		segment->options[2] = random;
	if (which == 2)
		segment->options[3] = random;
	return length;
}

static __always_inline void ethernet(struct ethhdr *eth, __u16 protocol)
{
	int i;

#pragma unroll
	for (i = 0; i < ETH_ALEN; i++) {
		eth->h_dest[i] = setup.to[i];
		eth->h_source[i] = setup.from[i];
	}
	eth->h_proto = bpf_htons(protocol);
}

/* The segment's checksum takes its padding in: zeros change nothing. Returns the frame's length, or 0. */
static __always_inline __u32 frame_v4(void *data, void *end, __u32 random, __u32 net, const volatile struct target *to,
				      __u16 port)
{
	struct segment segment = {};
	struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 61, .protocol = IPPROTO_TCP};
	__u32 length = sizeof(struct tcphdr) + segment_fill(&segment, random, port, net);
	struct {
		struct ethhdr eth;
		struct iphdr ip;
		struct segment segment;
	} __attribute__((packed)) *frame = data;
	__u64 sum;

	if ((void *)(frame + 1) > end)
		return 0;
	ip.tot_len = bpf_htons(sizeof(ip) + length);
	ip.id = (__u16)random;
	ip.frag_off = bpf_htons(0x4000); /* DF */
	ip.saddr = bpf_htonl(source(net));
	ip.daddr = *(const volatile __u32 *)to->address;
	ip.check = fold((__u32)bpf_csum_diff(0, 0, (__be32 *)&ip, sizeof(ip), 0));
	sum = (__u32)bpf_csum_diff(0, 0, (__be32 *)&segment, sizeof(segment), 0);
	sum += (__u64)ip.saddr + ip.daddr + bpf_htonl(IPPROTO_TCP << 16 | length);
	segment.head.check = fold(sum);
	ethernet(&frame->eth, ETH_P_IP);
	frame->ip = ip;
	frame->segment = segment;
	return sizeof(struct ethhdr) + sizeof(ip) + length;
}

static __always_inline __u32 frame_v6(void *data, void *end, __u32 random, __u32 net, const volatile struct target *to,
				      __u16 port)
{
	struct segment segment = {};
	struct ipv6hdr ip = {.version = 6, .nexthdr = IPPROTO_TCP, .hop_limit = 61};
	__u32 length = sizeof(struct tcphdr) + segment_fill(&segment, random, port, net);
	struct {
		struct ethhdr eth;
		struct ipv6hdr ip;
		struct segment segment;
	} __attribute__((packed)) *frame = data;
	__u64 sum;
	int i;

	if ((void *)(frame + 1) > end)
		return 0;
	ip.payload_len = bpf_htons(length);
	ip.saddr.in6_u.u6_addr32[0] = bpf_htonl((setup.pool ? POOL_V6 : RANDOM_V6) << 16);
	ip.saddr.in6_u.u6_addr32[1] = bpf_htonl(source(net)); /* a /64 each */
	ip.saddr.in6_u.u6_addr32[3] = bpf_htonl(1);
	sum = bpf_htonl(length) + (__u64)bpf_htonl(IPPROTO_TCP);
#pragma unroll
	for (i = 0; i < 4; i++) {
		ip.daddr.in6_u.u6_addr32[i] = ((const volatile __u32 *)to->address)[i];
		sum += (__u64)ip.saddr.in6_u.u6_addr32[i] + ip.daddr.in6_u.u6_addr32[i];
	}
	sum += (__u32)bpf_csum_diff(0, 0, (__be32 *)&segment, sizeof(segment), 0);
	segment.head.check = fold(sum);
	ethernet(&frame->eth, ETH_P_IPV6);
	frame->ip = ip;
	frame->segment = segment;
	return sizeof(struct ethhdr) + sizeof(ip) + length;
}

SEC("xdp") int flood(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const volatile struct target *to;
	__u32 random, net, which, length;
	__u16 port;

	if (!due())
		return XDP_DROP;
	random = bpf_get_prandom_u32();
	net = bpf_get_prandom_u32();
	which = setup.targets > 1 ? (random >> 8) % setup.targets : 0;
	if (which >= TARGETS_MAX)
		return XDP_DROP;
	to = &setup.target[which];
	port = to->port + (to->ports > 1 ? (random >> 4) % to->ports : 0);
	length = to->v6 ? frame_v6(data, end, random, net, to, port) : frame_v4(data, end, random, net, to, port);
	if (!length || bpf_xdp_adjust_tail(ctx, (int)length - FRAME_MAX)) {
		failed++;
		return XDP_DROP;
	}
	sent++;
	return (int)bpf_redirect(setup.interface, 0);
}

static __always_inline int ours_v4(__be32 address)
{
	__u32 at = bpf_ntohl(address);

	return at >> 28 == RANDOM_V4 >> 28 || at >> 24 == POOL_V4 >> 24;
}

static __always_inline int ours_v6(__be16 prefix)
{
	return prefix == bpf_htons(RANDOM_V6) || prefix == bpf_htons(POOL_V6);
}

/* `protocol` at `transport`, which came for one of our sources. */
static __always_inline int swallow(__u8 protocol, void *transport, void *end)
{
	struct tcphdr *tcp = transport;
	__u32 zero = 0;
	struct sunk *count = bpf_map_lookup_elem(&sunk, &zero);

	if (!count)
		return XDP_DROP;
	if (protocol != IPPROTO_TCP || (void *)(tcp + 1) > end)
		count->others++;
	else if (tcp->syn && tcp->ack)
		count->synacks++;
	else if (tcp->rst)
		count->rsts++;
	else
		count->others++;
	return XDP_DROP;
}

SEC("xdp") int sink(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *v4 = (void *)(eth + 1);
	struct ipv6hdr *v6 = (void *)(eth + 1);

	if ((void *)(eth + 1) > end)
		return XDP_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_IP) && (void *)(v4 + 1) <= end && v4->ihl == 5 && ours_v4(v4->daddr))
		return swallow(v4->protocol, v4 + 1, end);
	if (eth->h_proto == bpf_htons(ETH_P_IPV6) && (void *)(v6 + 1) <= end && ours_v6(v6->daddr.in6_u.u6_addr16[0]))
		return swallow(v6->nexthdr, v6 + 1, end);
	return XDP_PASS;
}

const char license_text[] SEC("license") = "GPL";
