/* SPDX-License-Identifier: GPL-2.0-or-later */
/* packet: what the program knows of a frame, and the one door to its bytes: as core/packet.c and core/options.c read them,
 * but that whatever is odd is none of ours. Included once. */
#ifndef SYNMOAT_BPF_PACKET_H
#define SYNMOAT_BPF_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "edge/xdp_maps.h"

#define VLAN_TAGS_MAX 2
#define EXTENSIONS_MAX 4

/* Of the TCP header's byte 13. */
enum {
	FLAG_FIN = 0x01,
	FLAG_SYN = 0x02,
	FLAG_RST = 0x04,
	FLAG_ACK = 0x10,
};

const volatile bool fragments; /* frames may be in pieces, of which only the first is seen here (Linux 5.18) */

struct packet {
	struct xdp_flow flow;
	uint32_t seq, ack;
	uint32_t ip_at, tcp_at; /* from the frame's start */
	uint32_t option_bytes;
	uint16_t client_port_be, server_port_be;
	uint8_t flags;
	bool v6;
};

struct options {
	uint32_t tsval_be;
	uint16_t mss;
	int8_t wscale;
	uint8_t offers; /* XDP_OFFER_*: no bool, which the verifier takes for any byte, and the compiler masks no more */
	bool md5, md5_seen, ao;
	uint32_t
		done; /* of their bytes. Kept in memory, of which the verifier remembers nothing: to it all turns of the
			* loop that come here are alike, and it goes on with one of them. */
};

struct vlan_tag {
	uint16_t tci_be;
	uint16_t protocol_be;
};

/* The offset of what is in the frame, 0 if that is cut off, and its protocol. */
static __always_inline uint32_t frame_parse(void *data, void *end, uint16_t *protocol_be)
{
	struct ethhdr *ethernet = data;
	uint32_t at = sizeof(*ethernet);

	if ((void *)(ethernet + 1) > end || ethernet->h_dest[0] & 1 || ethernet->h_source[0] & 1)
		return 0;
	*protocol_be = ethernet->h_proto;
#pragma unroll
	for (unsigned i = 0; i < VLAN_TAGS_MAX; i++) {
		struct vlan_tag *tag = data + at;

		if (*protocol_be != bpf_htons(ETH_P_8021Q) && *protocol_be != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(tag + 1) > end)
			return 0;
		*protocol_be = tag->protocol_be;
		at += sizeof(*tag);
	}
	return at;
}

/* Sets the addresses and where the TCP header is; returns where the packet ends by its own account, or 0. */
static __always_inline uint32_t ipv4_parse(void *data, void *end, struct packet *packet)
{
	struct iphdr *ip = data + packet->ip_at;
	uint32_t client, server;

	if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5 || ip->protocol != IPPROTO_TCP ||
	    ip->frag_off & bpf_htons(0x3fff))
		return 0;
	client = ip->saddr;
	server = ip->daddr;
	packet->flow.client[1] = (uint64_t)client << 32 | bpf_htonl(0xffff);
	packet->flow.server[1] = (uint64_t)server << 32 | bpf_htonl(0xffff);
	packet->tcp_at = packet->ip_at + ip->ihl * 4U;
	packet->v6 = false;
	return packet->ip_at + bpf_ntohs(ip->tot_len);
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "of a word, the address's last bytes are the upper ones");

static __always_inline uint32_t ipv6_parse(void *data, void *end, struct packet *packet)
{
	struct ipv6hdr *ip = data + packet->ip_at;
	uint32_t at = packet->ip_at + sizeof(*ip);
	uint8_t protocol;

	if ((void *)(ip + 1) > end || ip->version != 6)
		return 0;
	__builtin_memcpy(packet->flow.client, &ip->saddr, 16);
	__builtin_memcpy(packet->flow.server, &ip->daddr, 16);
	protocol = ip->nexthdr;
	for (unsigned i = 0; i < EXTENSIONS_MAX && (protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_DSTOPTS); i++) {
		struct ipv6_opt_hdr *extension = data + at;

		if ((void *)(extension + 1) > end)
			return 0;
		protocol = extension->nexthdr;
		at += 8 + extension->hdrlen * 8U;
	}
	packet->tcp_at = at;
	packet->v6 = true;
	return protocol == IPPROTO_TCP ? packet->ip_at + sizeof(*ip) + bpf_ntohs(ip->payload_len) : 0;
}

/* Of all the frame. */
static __always_inline uint32_t frame_bytes(struct xdp_md *ctx, uint32_t seen_bytes)
{
	return fragments ? (uint32_t)bpf_xdp_get_buff_len(ctx) : seen_bytes;
}

/* Whether it is a TCP packet whose lengths are all right. */
static __always_inline bool packet_parse(struct xdp_md *ctx, void *data, void *end, struct packet *packet)
{
	uint16_t protocol_be = 0;
	uint32_t ends_at, bytes = end - data;
	struct tcphdr *tcp;

	packet->ip_at = frame_parse(data, end, &protocol_be);
	if (!packet->ip_at)
		return false;
	if (protocol_be == bpf_htons(ETH_P_IP))
		ends_at = ipv4_parse(data, end, packet);
	else if (protocol_be == bpf_htons(ETH_P_IPV6))
		ends_at = ipv6_parse(data, end, packet);
	else
		return false;
	tcp = data + packet->tcp_at;
	if ((ends_at > bytes && ends_at > frame_bytes(ctx, bytes)) || (void *)(tcp + 1) > end || tcp->doff < 5 ||
	    packet->tcp_at + tcp->doff * 4U > ends_at)
		return false;
	packet->seq = bpf_ntohl(tcp->seq);
	packet->ack = bpf_ntohl(tcp->ack_seq);
	packet->client_port_be = tcp->source;
	packet->server_port_be = tcp->dest;
	packet->flags = ((uint8_t *)tcp)[13];
	packet->option_bytes = tcp->doff * 4U - sizeof(*tcp);
	packet->flow.ports = cookie_ports_isn(bpf_ntohs(tcp->source), bpf_ntohs(tcp->dest), 0);
	return true;
}

/* A source that nobody may have: the kernel has its rules about it. */
static __always_inline bool is_odd(const struct packet *packet)
{
	const uint8_t *client = (const uint8_t *)packet->flow.client;
	const uint64_t *words = packet->flow.client;

	if (!packet->client_port_be)
		return true;
	if (!packet->v6)
		return !client[12] || client[12] == 127 || client[12] >= 224;
	return client[0] == 0xff || !words[0]; /* multicast; unspecified, loopback, v4-mapped */
}

/* The options of core/options.h that matter here, read as options_parse() does. A function of its own, which the verifier
 * looks at once. */
__attribute__((noinline)) int options_parse(struct xdp_md *ctx, uint32_t at, uint32_t bytes, struct options *options)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (!options || at > 10000 || bytes > 40)
		return -1;
	data += at;
	for (unsigned i = 0; i < 40; i++) {
		uint32_t done = *(volatile uint32_t *)&options->done;
		uint8_t *option = data + done;
		uint8_t length;

		if (done >= bytes || done >= 40 || (void *)(option + 1) > end || option[0] == 0)
			break;
		if (option[0] == 1) {
			options->done++;
			continue;
		}
		if (done + 1 >= bytes || (void *)(option + 2) > end)
			break;
		length = option[1];
		if (length < 2 || done + length > bytes || (void *)(option + length) > end)
			break;
		if (option[0] == 2 && length == 4 && (void *)(option + 4) <= end) {
			options->mss = (uint16_t)(option[2] << 8 | option[3]);
		} else if (option[0] == 3 && length == 3 && (void *)(option + 3) <= end) {
			options->wscale = (int8_t)(option[2] > 14 ? 14 : option[2]);
			options->offers |= XDP_OFFER_WSCALE;
		} else if (option[0] == 4 && length == 2) {
			options->offers |= XDP_OFFER_SACK;
		} else if (option[0] == 8 && length == 10 && (void *)(option + 10) <= end) {
			options->offers |= XDP_OFFER_TIMESTAMPS;
			__builtin_memcpy(&options->tsval_be, option + 2, 4);
		} else if (option[0] == 19 && !options->md5_seen) { /* as core/options.c has it */
			options->md5_seen = true;
			options->md5 = length == 18;
		} else if (option[0] == 29 && length > 4) {
			options->ao = true;
		}
		options->done = done + length;
	}
	return 0;
}

#endif
