/* SPDX-License-Identifier: GPL-2.0-or-later */
/* synmoat.bpf: the program that edge/xdp.h attaches.
 *
 * Theory of operation. What is no TCP to a port and address of an armed service is passed up; so is whatever is odd: the
 * kernel and the daemon have an opinion about it. Of the rest, a SYN is looked up in the lists, and then answered, as the
 * daemon would, by sending its frame back with another packet in it. An ACK passes if it is known: because it belongs to a
 * connection that the kernel knows, or returns a valid cookie; of others a few go up.
 *
 * What cannot be told is passed up, but for one thing: a SYN whose frame has been taken for an answer that then does not fit
 * is dropped, and counted (XDP_FAILED), and so is one of a known connection beyond the limit of those. The answer goes to the neighbour that the SYN has come from. */
#include <stdbool.h>
#include <stdint.h>

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "edge/xdp_maps.h"
#include "packet.h"

/* Built twice: the kernel's conntrack cannot be looked up everywhere, and who names a function that it does not lend is not
 * loaded. Where a module lends it, to name it takes CAP_SYS_ADMIN (BPF_BTF_GET_NEXT_ID). */
#ifndef XDP_CONNTRACK
#define XDP_CONNTRACK 1
#endif

/* Per CPU: they get their RST, or are the daemon's to judge. Sockets alone do not know of connections that this host forwards,
 * though somebody listens on their port here, too (DNAT to a container): these would be slowed down. Nor does conntrack, which
 * is looked up in zone 0 alone, of those that a gateway has in others. */
#define STRAY_ACKS_PER_S (XDP_CONNTRACK && sockets ? 1000 : 20000)
#define FLOWS_MAX 65536
/* Per CPU, that go up because of what is known of their connection. */
#define KNOWN_SYNS_PER_S 4096

/* ---- what user space has set ---- */

const volatile bool sockets; /* servers are this host's */
const volatile bool kernel_checks_md5, kernel_checks_ao;
const volatile uint64_t ban_mask_v4[2], ban_mask_v6[2];

struct xdp_config config;
struct xdp_marks begun;                     /* connections whose SYN the kernel has */
struct xdp_marks known[XDP_KNOWN];          /* connections that the rules may know */
struct xdp_marks noted;                     /* addresses in `bans` or `listed` */
struct xdp_bucket replies[XDP_CAP_BUCKETS]; /* of networks */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct xdp_service_key);
	__type(value, struct xdp_service);
} services SEC(".maps");

/* Hardware addresses of the interfaces: where all frames are seen, some are others'. Not by interface: a bond's members show
 * the program theirs. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, XDP_INTERFACES_MAX + 1); /* a new one comes before the old one goes */
	__type(key, uint64_t);
	__type(value, uint32_t);
} stations SEC(".maps");

/* Networks that are banned, of the size that the configuration says, and until when. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* set when loaded */
	__type(key, uint64_t[2]);
	__type(value, uint64_t);
} bans SEC(".maps");

/* Single addresses of the lists, and prefixes: enum xdp_listed. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, XDP_LISTINGS_MAX);
	__type(key, uint64_t[2]);
	__type(value, uint32_t);
} listed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, XDP_LISTINGS_MAX);
	__type(key, struct xdp_prefix);
	__type(value, uint32_t);
} prefixes SEC(".maps");

/* That have returned a cookie, or that the kernel knows: what comes right behind the ACK has to get up, too, whoever knows of
 * the connection yet. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FLOWS_MAX);
	__type(key, struct xdp_flow);
	__type(value, uint32_t);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, XDP_SERVICES);
	__type(key, uint32_t);
	__type(value, struct xdp_counters);
} counters SEC(".maps");

struct rates {
	struct xdp_bucket sample, acks, known_syns, marked_syns;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct rates);
} rates SEC(".maps");

/* ---- conntrack (net/netfilter/nf_conntrack_bpf.c) ---- */

#if XDP_CONNTRACK
struct nf_conn {
	int opaque;
};

struct bpf_ct_opts {
	int32_t netns_id;
	int32_t error;
	uint8_t l4proto;
	uint8_t dir;
	uint8_t reserved[2];
};

extern struct nf_conn *bpf_xdp_ct_lookup(struct xdp_md *ctx, struct bpf_sock_tuple *tuple, uint32_t tuple_bytes,
					 struct bpf_ct_opts *opts, uint32_t opts_bytes) __ksym;
extern void bpf_ct_release(struct nf_conn *conn) __ksym;
#endif

/* ---- notes ---- */

static __always_inline void count(const struct xdp_service *service, enum xdp_counter counter)
{
	struct xdp_counters *of = bpf_map_lookup_elem(&counters, &service->index);

	if (of)
		of->of[counter]++;
}

static __always_inline int drop(const struct xdp_service *service, enum xdp_counter why)
{
	count(service, why);
	return XDP_DROP;
}

static __always_inline int pass_up(const struct xdp_service *service)
{
	count(service, XDP_PASSED_UP);
	return XDP_PASS;
}

static __always_inline uint32_t ticks(uint64_t now_ns)
{
	return (uint32_t)(now_ns >> XDP_TICK_SHIFT);
}

/* ---- the lists ---- */

static __always_inline uint32_t listed_as(const struct packet *packet)
{
	const uint64_t *client = packet->flow.client;
	struct xdp_prefix prefix = {.bits = XDP_FAMILY_BITS + 128, .family = packet->v6 ? 6 : 4};
	uint32_t *as = NULL;

	if (config.listed && xdp_marked(&noted, xdp_mark_of(config.mark_keys, client, 2)))
		as = bpf_map_lookup_elem(&listed, client);
	if (!as && config.prefixes) {
		__builtin_memcpy(prefix.address, client, 16);
		as = bpf_map_lookup_elem(&prefixes, &prefix);
	}
	return as ? *as : XDP_UNLISTED;
}

static __always_inline bool is_banned(const struct packet *packet, uint64_t now_ns)
{
	uint64_t net[2] = {
		packet->flow.client[0] & (packet->v6 ? ban_mask_v6[0] : ban_mask_v4[0]),
		packet->flow.client[1] & (packet->v6 ? ban_mask_v6[1] : ban_mask_v4[1]),
	};
	uint64_t *until_ns;

	if (!config.banned || !xdp_marked(&noted, xdp_mark_of(config.mark_keys, net, 2)))
		return false;
	until_ns = bpf_map_lookup_elem(&bans, net);
	return until_ns && now_ns < *until_ns;
}

/* ---- SYNs ---- */

static __always_inline bool is_sample(uint64_t now_ns)
{
	uint32_t zero = 0;
	struct rates *mine = bpf_map_lookup_elem(&rates, &zero);

	return mine && config.sample_per_s && xdp_take(&mine->sample, config.sample_per_s, ticks(now_ns));
}

static __always_inline uint32_t flow_mark(const struct packet *packet)
{
	return xdp_mark_of(config.mark_keys, (const uint64_t *)&packet->flow, 5);
}

/* A packet by which the rules know the connection, or go on knowing it. */
static __always_inline void flow_mark_known(const struct packet *packet)
{
	uint32_t mark = flow_mark(packet);
	uint64_t bit = 1ULL << mark % 64;
	uint64_t *word = &known[*(volatile uint32_t *)&config.known & 1].words[mark / 64 % (XDP_MARKS / 64)];

	if (!(*word & bit))
		__sync_fetch_and_or(word, bit);
}

static __always_inline void flow_note(const struct packet *packet)
{
	uint32_t zero = 0;

	bpf_map_update_elem(&flows, &packet->flow, &zero, BPF_ANY);
	flow_mark_known(packet);
}

/* By a SYN that uses the ports again the rules forget the connection before. Were it answered here, they would take the ACK
 * for that one's. */
static __always_inline bool is_reused(const struct packet *packet)
{
	uint32_t mark = flow_mark(packet);

	return xdp_marked(&known[0], mark) || xdp_marked(&known[1], mark) || xdp_marked(&known[XDP_LASTING], mark);
}

static __always_inline bool has_begun(const struct packet *packet)
{
	const uint64_t *words = (const uint64_t *)&packet->flow;

	return config.begun && xdp_marked(&begun, xdp_mark_of(config.mark_keys, words, 5));
}

enum known {
	NOT_KNOWN,
	KNOWN,
	KNOWN_TOO_OFTEN, /* to go up */
};

/* Marks may be another connection's: beyond the limit only a SYN is dropped whose own connection is known, another answered.
 * Each has a limit of its own, so that who finds marks that are set does not use up that of those who use a port again. */
static __always_inline enum known is_known(const struct packet *packet, uint64_t now_ns)
{
	uint32_t zero = 0;
	struct rates *mine = bpf_map_lookup_elem(&rates, &zero);
	bool surely;

	if (!mine || !(has_begun(packet) || is_reused(packet)))
		return NOT_KNOWN;
	surely = bpf_map_lookup_elem(&flows, &packet->flow);
	if (xdp_take(surely ? &mine->known_syns : &mine->marked_syns, KNOWN_SYNS_PER_S, ticks(now_ns)))
		return KNOWN;
	return surely ? KNOWN_TOO_OFTEN : NOT_KNOWN;
}

/* A network's bucket: core/cap.c. */
static __always_inline struct xdp_bucket *replies_to(const struct packet *packet)
{
	uint64_t net[2] = {packet->flow.client[0], packet->flow.client[1] & bpf_cpu_to_be64(0xffffffffffffff00)};

	if (packet->v6) {
		net[0] &= bpf_cpu_to_be64(0xffffffffffff0000);
		net[1] = 0;
	}
	return &replies[siphash(&config.cap_key, net, 2) % XDP_CAP_BUCKETS];
}

/* Another CPU that takes a token at the same moment leaves none for us: that errs on the side of fewer replies. */
static __always_inline bool may_reply(const struct packet *packet, uint64_t now_ns)
{
	union {
		struct xdp_bucket bucket;
		uint64_t word;
	} before, after;
	struct xdp_bucket *bucket;

	if (!config.cap_per_s)
		return true;
	bucket = replies_to(packet);
	before.word = *(volatile uint64_t *)bucket;
	after = before;
	if (!xdp_take(&after.bucket, config.cap_per_s, ticks(now_ns)))
		return false;
	return __sync_val_compare_and_swap((uint64_t *)bucket, before.word, after.word) == before.word;
}

/* A cookie has come back: core/cap.h. */
static __always_inline void reply_was_wanted(const struct packet *packet)
{
	struct xdp_bucket *bucket = replies_to(packet);

	if (config.cap_per_s && bucket->tokens + XDP_TOKEN <= config.cap_per_s * XDP_TOKEN)
		bucket->tokens += XDP_TOKEN;
}

static __always_inline bool is_to_us(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	uint64_t station = 0;

	if (data + sizeof(struct ethhdr) > end)
		return false;
	__builtin_memcpy(&station, data, ETH_ALEN);
	return bpf_map_lookup_elem(&stations, &station);
}

static __always_inline const struct cookie_secret *secret_now(void)
{
	return &config.secrets[*(volatile uint32_t *)&config.secret % XDP_SECRETS];
}

static __always_inline void bond_of(const struct packet *packet, uint32_t client_isn, struct cookie_bond *bond)
{
	__builtin_memcpy(bond, &packet->flow, sizeof(packet->flow));
	bond->ports_isn |= client_isn;
}

static __always_inline uint16_t fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Bounds are checked of a pointer and what is derived from it: the compiler is not to derive anew from where that came. */
#define keep_together(pointer) asm volatile("" : "+r"(pointer))

/* What differs from client to client. */
struct reply {
	uint32_t address[4]; /* IPv4: the last of them */
	uint32_t isn_be, ack_be, tsecr_be;
	uint16_t port_be;
};

/* Writes over the SYN, whose frame has the right size by now. False if it has not. */
static __always_inline bool reply_write(struct xdp_md *ctx, uint32_t ip_at, const struct xdp_answer *answer,
					const struct reply *reply, bool v6)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const unsigned ip = v6 ? 10 : 5, tcp = ip + 5;
	uint32_t *out = data + (ip_at & 31); /* as the verifier knows no longer */
	uint16_t *halves;
	uint16_t *frame = data;
	uint64_t sum = (uint64_t)answer->tcp_sum + reply->port_be + reply->isn_be + reply->ack_be + reply->address[3];

	keep_together(out);
	halves = (uint16_t *)out;
	if (data + sizeof(struct ethhdr) > end || (void *)(out + tcp) > end)
		return false;
#pragma unroll
	for (unsigned i = 0; i < 3; i++) { /* the MAC addresses */
		uint16_t half = frame[i];

		frame[i] = frame[3 + i];
		frame[3 + i] = half;
	}
#pragma unroll
	for (unsigned i = 0; i < tcp; i++)
		out[i] = answer->words[i];
#pragma unroll
	for (unsigned i = tcp; i < tcp + 5; i++) {
		if (i >= answer->count)
			break;
		if ((void *)(out + i + 1) > end)
			return false;
		out[i] = i == answer->tsecr_at ? reply->tsecr_be : answer->words[i];
	}
	if (answer->tsecr_at)
		sum += reply->tsecr_be;
	if (v6) {
#pragma unroll
		for (unsigned i = 0; i < 4; i++)
			out[6 + i] = reply->address[i];
		sum += (uint64_t)reply->address[0] + reply->address[1] + reply->address[2];
	} else {
		out[4] = reply->address[3];
		halves[5] = fold((uint64_t)answer->ip_sum + reply->address[3]);
	}
	halves[2 * ip + 1] = reply->port_be;
	out[ip + 1] = reply->isn_be;
	out[ip + 2] = reply->ack_be;
	halves[2 * ip + 8] = fold(sum);
	return true;
}

static __always_inline int answer_syn(struct xdp_md *ctx, uint32_t bytes, const struct packet *packet,
				      const struct options *options, const struct xdp_service *service)
{
	const struct xdp_answer *answer = &service->answers[options->offers % XDP_OFFERS];
	const struct cookie_secret *secret = secret_now();
	struct cookie_options carried = {
		.mss = options->mss,
		.wscale = answer->wscale ? options->wscale : -1,
		.sack = answer->sack,
	};
	uint32_t wanted = packet->ip_at + answer->count * 4U;
	struct cookie_bond bond;
	struct reply reply = {
		.port_be = packet->client_port_be,
		.ack_be = bpf_htonl(packet->seq + 1),
		.tsecr_be = options->tsval_be,
	};

	bond_of(packet, packet->seq, &bond);
	reply.isn_be = bpf_htonl(cookie_encode(secret, &bond, cookie_low(packet->v6, &carried, secret->epoch)));
	__builtin_memcpy(reply.address, packet->flow.client, 16);
	if (wanted != bytes && bpf_xdp_adjust_tail(ctx, (int)wanted - (int)bytes))
		return drop(service, XDP_FAILED);
	if (!(packet->v6 ? reply_write(ctx, packet->ip_at, answer, &reply, true)
			 : reply_write(ctx, packet->ip_at, answer, &reply, false)))
		return drop(service, XDP_FAILED);
	count(service, XDP_ANSWERED);
	return XDP_TX;
}

static __always_inline int syn(struct xdp_md *ctx, uint32_t bytes, const struct packet *packet,
			       const struct xdp_service *service)
{
	uint32_t as = listed_as(packet);
	struct options options = {.wscale = -1};
	uint64_t now_ns = bpf_ktime_get_ns();
	enum known known;

	if (as == XDP_ALLOWED || frame_bytes(ctx, bytes) != bytes)
		return pass_up(service);
	if (as == XDP_DENIED)
		return drop(service, XDP_DENIED_SYN);
	if (is_banned(packet, now_ns))
		return drop(service, XDP_BANNED);
	if (packet->option_bytes &&
	    options_parse(ctx, packet->tcp_at + sizeof(struct tcphdr), packet->option_bytes, &options))
		return pass_up(service);
	if ((options.md5 && kernel_checks_md5) || (options.ao && kernel_checks_ao) || is_sample(now_ns))
		return pass_up(service);
	known = is_known(packet, now_ns);
	if (known == KNOWN || !is_to_us(ctx))
		return pass_up(service);
	if (known == KNOWN_TOO_OFTEN)
		return drop(service, XDP_FAILED);
	if (!may_reply(packet, now_ns))
		return drop(service, XDP_CAPPED);
	return answer_syn(ctx, bytes, packet, &options, service);
}

/* ---- ACKs ---- */

static __always_inline uint32_t tuple_of(const struct packet *packet, struct bpf_sock_tuple *tuple)
{
	const uint32_t *client = (const uint32_t *)packet->flow.client, *server = (const uint32_t *)packet->flow.server;

	if (packet->v6) {
		__builtin_memcpy(tuple->ipv6.saddr, client, 16);
		__builtin_memcpy(tuple->ipv6.daddr, server, 16);
		tuple->ipv6.sport = packet->client_port_be;
		tuple->ipv6.dport = packet->server_port_be;
		return sizeof(tuple->ipv6);
	}
	tuple->ipv4.saddr = client[3];
	tuple->ipv4.daddr = server[3];
	tuple->ipv4.sport = packet->client_port_be;
	tuple->ipv4.dport = packet->server_port_be;
	return sizeof(tuple->ipv4);
}

static __always_inline bool socket_knows(struct xdp_md *ctx, struct bpf_sock_tuple *tuple, uint32_t bytes)
{
	struct bpf_sock *socket = bpf_skc_lookup_tcp(ctx, tuple, bytes, BPF_F_CURRENT_NETNS, 0);
	bool known;

	if (!socket)
		return false;
	known = socket->state != BPF_TCP_LISTEN;
	bpf_sk_release(socket);
	return known;
}

static __always_inline bool conntrack_knows(struct xdp_md *ctx, struct bpf_sock_tuple *tuple, uint32_t bytes)
{
#if XDP_CONNTRACK
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP};
	struct nf_conn *conn = bpf_xdp_ct_lookup(ctx, tuple, bytes, &opts, sizeof(opts));

	if (!conn)
		return false;
	bpf_ct_release(conn);
	return true;
#else
	(void)ctx, (void)tuple, (void)bytes;
	return false;
#endif
}

static __always_inline bool kernel_knows(struct xdp_md *ctx, const struct packet *packet)
{
	struct bpf_sock_tuple tuple = {};

	tuple_of(packet, &tuple);
	if (packet->v6)
		return (sockets && socket_knows(ctx, &tuple, sizeof(tuple.ipv6))) ||
		       conntrack_knows(ctx, &tuple, sizeof(tuple.ipv6));
	return (sockets && socket_knows(ctx, &tuple, sizeof(tuple.ipv4))) ||
	       conntrack_knows(ctx, &tuple, sizeof(tuple.ipv4));
}

static __always_inline int ack(struct xdp_md *ctx, const struct packet *packet, const struct xdp_service *service)
{
	struct cookie_bond bond;
	struct rates *mine;
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(&flows, &packet->flow)) {
		flow_mark_known(packet);
		return XDP_PASS;
	}
	if (kernel_knows(ctx, packet)) {
		flow_note(packet);
		return XDP_PASS;
	}
	bond_of(packet, packet->seq - 1, &bond);
	if (cookie_valid(secret_now(), &bond, packet->ack - 1)) {
		flow_note(packet);
		reply_was_wanted(packet);
		return XDP_PASS;
	}
	if (!sockets && !XDP_CONNTRACK) /* nobody to ask; the rules have a limit of their own */
		return XDP_PASS;
	mine = bpf_map_lookup_elem(&rates, &zero);
	if (!mine || xdp_take(&mine->acks, STRAY_ACKS_PER_S, ticks(bpf_ktime_get_ns())))
		return XDP_PASS;
	return drop(service, XDP_BAD_ACK);
}

SEC("xdp")
int synmoat_xdp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct packet packet = {};
	struct xdp_service_key key = {};
	struct xdp_service *service;
	uint16_t port;

	if (!packet_parse(ctx, data, end, &packet))
		return XDP_PASS;
	port = bpf_ntohs(packet.server_port_be);
	if (!(config.ports[port / 64] >> port % 64 & 1))
		return XDP_PASS;
	key.address[0] = packet.flow.server[0];
	key.address[1] = packet.flow.server[1];
	key.port_be = packet.server_port_be;
	service = bpf_map_lookup_elem(&services, &key);
	if (!service || is_odd(&packet))
		return XDP_PASS;
	if ((packet.flags & (FLAG_FIN | FLAG_SYN | FLAG_RST | FLAG_ACK)) == FLAG_SYN)
		return syn(ctx, end - data, &packet, service);
	if ((packet.flags & (FLAG_SYN | FLAG_RST | FLAG_ACK)) == FLAG_ACK)
		return ack(ctx, &packet, service);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
