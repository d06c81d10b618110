/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * malformed - packets as nobody should send them, for the tests: bounded in count and pace, the same for the same seed.
 *
 * Each starts as a SYN, or a segment without a connection, to one of the targets; then one of `kinds` spoils it: lengths,
 * options, flags, ports, addresses, fragments, chains of headers, checksums, the frame. The checksums of what is spoiled are
 * right, where they are not what is wrong: else the kernel would drop it at once. Sources are from 11.0.0.0/8 or fd99::/16,
 * unless a kind is about them. Frames leave through an AF_PACKET socket, as synflood's.
 *
 * In the end it prints a line "KIND COUNT" for each kind, and "sent COUNT".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/ether.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "frames.h"

#define BATCH 64
#define FRAME_MAX ETH_FRAME_LEN
#define TCP_BYTES 20

enum {
	FIN = 1,
	SYN = 2,
	RST = 4,
	PSH = 8,
	ACK = 16,
	URG = 32
};

struct rig {
	const char *device;
	struct ether_addr mac;
	uint64_t rate_pps, count, seed;
	int only; /* kind, or -1 */
	uint8_t target_v4[4], target_v6[16];
	bool v4, v6;
	uint16_t port;
};

struct packet {
	uint8_t data[FRAME_MAX];
	size_t ip, l4, end; /* where what starts */
	bool v6;
	uint8_t protocol;
	uint64_t dice;
	const struct rig *rig;
};

/* 0 to sides - 1 */
static uint32_t roll(struct packet *p, uint32_t sides)
{
	p->dice = mix(p->dice);
	return (uint32_t)((p->dice >> 32) % sides);
}

static void put_random(struct packet *p, uint8_t *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)roll(p, 256);
}

static uint8_t *ip_of(struct packet *p)
{
	return p->data + p->ip;
}
static uint8_t *l4_of(struct packet *p)
{
	return p->data + p->l4;
}
static uint8_t *source_of(struct packet *p)
{
	return ip_of(p) + (p->v6 ? 8 : 12);
}
static uint8_t *destination_of(struct packet *p)
{
	return ip_of(p) + (p->v6 ? 24 : 16);
}
static size_t address_bytes(const struct packet *p)
{
	return p->v6 ? 16 : 4;
}

/* ---- a packet as it should be ---- */

static void target(const struct packet *p, uint8_t *out)
{
	memcpy(out, p->v6 ? p->rig->target_v6 : p->rig->target_v4, address_bytes(p));
}

static void source(struct packet *p, uint8_t *out)
{
	if (p->v6) {
		memset(out, 0, 16);
		put32(out, 0xfd990000 | roll(p, 0x10000));
		put32(out + 4, roll(p, UINT32_MAX));
		out[15] = 1;
	} else {
		put32(out, 0x0b000001 + roll(p, 0xfffffe));
	}
}

static void ip_begin(struct packet *p, uint8_t protocol)
{
	uint8_t *ip = ip_of(p);

	put16(p->data + 12, p->v6 ? ETH_P_IPV6 : ETH_P_IP);
	p->protocol = protocol;
	p->l4 = p->ip + (p->v6 ? 40 : 20);
	p->end = p->l4;
	memset(ip, 0, p->l4 - p->ip);
	if (p->v6) {
		ip[0] = 0x60;
		ip[6] = protocol;
		ip[7] = 64;
	} else {
		ip[0] = 0x45;
		put16(ip + 4, (uint16_t)roll(p, 65536));
		ip[6] = 0x40; /* DF */
		ip[8] = 64;
		ip[9] = protocol;
	}
	source(p, source_of(p));
	target(p, destination_of(p));
}

/* The lengths that the IP header says. */
static void ip_end(struct packet *p)
{
	if (p->v6)
		put16(ip_of(p) + 4, (uint16_t)(p->end - p->ip - 40));
	else
		put16(ip_of(p) + 2, (uint16_t)(p->end - p->ip));
}

static void tcp_begin(struct packet *p, uint8_t flags, const uint8_t *options, size_t option_bytes,
		      size_t payload_bytes)
{
	uint8_t *tcp;

	ip_begin(p, IPPROTO_TCP);
	tcp = l4_of(p);
	memset(tcp, 0, TCP_BYTES);
	put16(tcp, (uint16_t)(1024 + roll(p, 64512)));
	put16(tcp + 2, p->rig->port);
	put32(tcp + 4, roll(p, UINT32_MAX));
	put32(tcp + 8, flags & ACK ? roll(p, UINT32_MAX) : 0);
	tcp[12] = (uint8_t)((TCP_BYTES + option_bytes) / 4 << 4);
	tcp[13] = flags;
	put16(tcp + 14, 64240);
	if (option_bytes)
		memcpy(tcp + TCP_BYTES, options, option_bytes);
	put_random(p, tcp + TCP_BYTES + option_bytes, payload_bytes);
	p->end = p->l4 + TCP_BYTES + option_bytes + payload_bytes;
	ip_end(p);
}

/* As a Linux client sends them: MSS 1460, SACK permitted, timestamps, window scale 7. */
static const uint8_t usual[] = {2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 1, 2, 3, 0, 0, 0, 0, 1, 3, 3, 7};

static void syn(struct packet *p)
{
	tcp_begin(p, SYN, usual, sizeof(usual), 0);
}

/* A SYN, or something else that is not of a connection. */
static void segment(struct packet *p)
{
	static const uint8_t flags[] = {SYN, SYN, SYN, ACK, PSH | ACK, RST, FIN | ACK, SYN | ACK};

	tcp_begin(p, flags[roll(p, sizeof(flags))], usual, sizeof(usual), roll(p, 3) ? 0 : roll(p, 200));
}

static void seal_l4(struct packet *p)
{
	static const struct {
		uint8_t protocol;
		uint8_t at;
	} checksums[] = {{IPPROTO_TCP, 16}, {IPPROTO_UDP, 6}, {IPPROTO_ICMP, 2}, {IPPROTO_ICMPV6, 2}};
	size_t bytes = p->end > p->l4 ? p->end - p->l4 : 0;
	uint32_t pseudo = p->protocol == IPPROTO_ICMP
				  ? 0
				  : sum(source_of(p), 2 * address_bytes(p), p->protocol + (uint32_t)bytes);

	for (size_t i = 0; i < sizeof(checksums) / sizeof(checksums[0]); i++) {
		uint8_t *checksum = l4_of(p) + checksums[i].at;

		if (checksums[i].protocol != p->protocol || bytes < checksums[i].at + 2U)
			continue;
		put16(checksum, 0);
		put16(checksum, fold(sum(l4_of(p), bytes, pseudo)));
	}
}

/* Of as many bytes as the header says that it has. */
static void seal_ip(struct packet *p)
{
	size_t bytes = (ip_of(p)[0] & 15U) * 4U;

	if (p->v6 || p->ip + bytes > FRAME_MAX)
		return;
	put16(ip_of(p) + 10, 0);
	put16(ip_of(p) + 10, fold(sum(ip_of(p), bytes, 0)));
}

static void seal(struct packet *p)
{
	seal_l4(p);
	seal_ip(p);
}

/* ---- what is wrong with it: each kind builds a packet and spoils it ---- */

static void kind_header_length(struct packet *p)
{
	segment(p);
	ip_of(p)[0] =
		(uint8_t)((roll(p, 4) ? ip_of(p)[0] & 0xf0 : roll(p, 16) << 4) | roll(p, 16)); /* and the version */
	seal(p);
}

static void kind_total_length(struct packet *p)
{
	static const uint16_t edges[] = {0, 1, 8, 19, 20, 21, 39, 40, 41, 59, 60, 61, 1500, 1501, 32768, 65535};
	uint16_t length;

	segment(p);
	length = roll(p, 2) ? edges[roll(p, sizeof(edges) / sizeof(edges[0]))]
			    : (uint16_t)(p->end - p->ip - 30 + roll(p, 60));
	put16(ip_of(p) + (p->v6 ? 4 : 2), length);
	seal(p);
}

static void kind_data_offset(struct packet *p)
{
	segment(p);
	l4_of(p)[12] = (uint8_t)(roll(p, 16) << 4 | (roll(p, 4) ? 0 : roll(p, 16)));
	seal(p);
}

/* Known kinds of options, and any, whose lengths are none, one, too long, or what they should be. */
static void kind_option_lengths(struct packet *p)
{
	static const uint8_t known[] = {0, 1, 2, 3, 4, 5, 8, 19, 28, 29, 30, 34, 69, 172, 174, 253, 254};
	uint8_t options[40];
	size_t bytes = 4 * (1 + roll(p, 10));

	memset(options, 1, sizeof(options));
	for (size_t at = 0; at + 1 < bytes;) {
		options[at] = roll(p, 5) ? known[roll(p, sizeof(known))] : (uint8_t)roll(p, 256);
		options[at + 1] =
			roll(p, 2) ? (uint8_t)(2 + roll(p, 16)) : (uint8_t)(roll(p, 4) ? roll(p, 3) : roll(p, 256));
		at += options[at + 1] > 1 ? options[at + 1] : 2U;
	}
	tcp_begin(p, roll(p, 3) ? SYN : ACK, options, bytes, 0);
	seal(p);
}

/* The same ones again, with other values; or forty random bytes. */
static void kind_option_repeats(struct packet *p)
{
	static const uint8_t of[][4] = {{2, 4, 0, 0},  {3, 3, 255, 1},   {4, 2, 4, 2},
					{1, 3, 3, 14}, {2, 4, 255, 255}, {3, 3, 0, 0}};
	uint8_t options[40];

	for (size_t at = 0; at < sizeof(options); at += 4)
		memcpy(options + at, of[roll(p, sizeof(of) / sizeof(of[0]))], 4);
	if (!roll(p, 3))
		put_random(p, options, sizeof(options));
	tcp_begin(p, roll(p, 3) ? SYN : ACK, options, sizeof(options), 0);
	seal(p);
}

/* All 256 combinations, those of the reserved bits, and urgent pointers to anywhere. */
static void kind_flags(struct packet *p)
{
	tcp_begin(p, (uint8_t)roll(p, 256), usual, roll(p, 2) ? sizeof(usual) : 0, roll(p, 2) ? 0 : roll(p, 100));
	l4_of(p)[12] |= roll(p, 2) ? 0 : (uint8_t)roll(p, 16);
	put16(l4_of(p) + 18, roll(p, 2) ? 0 : (uint16_t)roll(p, 65536));
	put16(l4_of(p) + 14, roll(p, 2) ? 0 : (uint16_t)roll(p, 65536));
	seal(p);
}

static void kind_ports(struct packet *p)
{
	uint32_t which = roll(p, 3);

	segment(p);
	if (which != 0)
		put16(l4_of(p), 0);
	if (which != 1)
		put16(l4_of(p) + 2, 0);
	seal(p);
}

static void kind_land(struct packet *p)
{
	segment(p);
	target(p, source_of(p));
	memcpy(l4_of(p), l4_of(p) + 2, 2);
	seal(p);
}

/* Addresses that are no host's: `unspecified` and loopback, multicast, broadcast, link local, mapped, documentation, class E;
 * and the far end's, and ours. */
static void martian(struct packet *p, uint8_t *out)
{
	static const char *const v4[] = {"0.0.0.0",     "0.1.2.3",     "127.0.0.1", "127.9.9.9",
					 "224.0.0.1",   "239.1.2.3",   "240.0.0.1", "255.255.255.255",
					 "169.254.7.7", "10.77.2.255", "10.77.2.0", "10.77.1.1",
					 "10.77.2.1",   "10.77.2.2",   "192.0.2.1", "192.88.99.1"};
	static const char *const v6[] = {"::",
					 "::1",
					 "ff02::1",
					 "ff0e::7",
					 "fe80::7",
					 "::ffff:10.77.1.2",
					 "::ffff:127.0.0.1",
					 "::10.77.1.2",
					 "64:ff9b::a4d:102",
					 "2002:a4d:102::1",
					 "fec0::1",
					 "fd77:1::1",
					 "fd77:2::1",
					 "fd77:2::2",
					 "100::1",
					 "fd77:2::"};

	inet_pton(p->v6 ? AF_INET6 : AF_INET, p->v6 ? v6[roll(p, 16)] : v4[roll(p, 16)], out);
}

static void kind_source(struct packet *p)
{
	if (roll(p, 2))
		syn(p);
	else
		segment(p);
	martian(p, source_of(p));
	seal(p);
}

static void kind_destination(struct packet *p)
{
	segment(p);
	martian(p, destination_of(p));
	if (!roll(p, 3))
		martian(p, source_of(p));
	seal(p);
}

/* Makes room for `bytes` behind the IP header, or the headers that are there already, and says what the next one is. */
static uint8_t *insert(struct packet *p, size_t bytes, uint8_t protocol)
{
	uint8_t *at = l4_of(p);

	memmove(at + bytes, at, p->end - p->l4);
	memset(at, 0, bytes);
	at[0] = ip_of(p)[6];
	ip_of(p)[6] = protocol;
	p->l4 += bytes;
	p->end += bytes;
	ip_end(p);
	return at;
}

/* The first one alone, tiny or without all of the TCP header; a later one that overlaps it; a last one of a packet longer than
 * packets can be. None is ever completed, but by chance: they have one of eight numbers. */
static void kind_fragments(struct packet *p)
{
	static const uint16_t offsets[] = {0, 0, 0, 1, 2, 3, 100, 8190, 8191};
	uint16_t offset = offsets[roll(p, sizeof(offsets) / sizeof(offsets[0]))];
	bool more = roll(p, 4);
	uint32_t number = roll(p, 8);

	segment(p);
	seal_l4(p);
	if (roll(p, 2)) /* so many bytes are left */
		p->end = p->l4 + 8 * roll(p, 4) + (roll(p, 4) ? 0 : roll(p, 8));
	if (p->v6) {
		uint8_t *header = insert(p, 8, IPPROTO_FRAGMENT);

		put16(header + 2, (uint16_t)(offset << 3 | more));
		put32(header + 4, number);
	} else {
		put16(ip_of(p) + 4, (uint16_t)number);
		put16(ip_of(p) + 6, (uint16_t)(offset | (more ? 0x2000 : 0) | (roll(p, 4) ? 0 : 0x8000)));
	}
	ip_end(p);
	seal_ip(p);
}

static void kind_jumbo(struct packet *p)
{
	segment(p);
	if (p->v6) { /* RFC 2675 */
		uint8_t *header = insert(p, 8, IPPROTO_HOPOPTS);

		header[2] = 0xc2;
		header[3] = roll(p, 3) ? 4 : (uint8_t)roll(p, 8);
		put32(header + 4, roll(p, 2) ? (uint32_t)(p->end - p->ip - 40) : roll(p, UINT32_MAX));
		put16(ip_of(p) + 4, roll(p, 3) ? 0 : 65535);
	} else {
		put16(ip_of(p) + 2, roll(p, 2) ? 0 : 65535);
	}
	seal(p);
}

/* IPv6: up to a dozen headers, right or wrong in their lengths; IPv4: options, likewise. */
static void kind_chain(struct packet *p)
{
	static const uint8_t headers[] = {
		IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS, IPPROTO_FRAGMENT,
		IPPROTO_AH,      IPPROTO_ESP,     IPPROTO_NONE,    IPPROTO_MH,      253};
	static const uint8_t options[] = {0, 1, 7, 68, 130, 131, 137, 148, 94, 255};
	bool right = roll(p, 2);

	segment(p);
	seal_l4(p);
	if (p->v6) {
		for (uint32_t left = 1 + roll(p, 12); left; left--) {
			uint8_t *header = insert(p, 8, right ? IPPROTO_DSTOPTS : headers[roll(p, sizeof(headers))]);

			header[1] = right ? 0 : (uint8_t)(roll(p, 3) ? roll(p, 3) : roll(p, 256));
			header[2] = right ? 1 : (uint8_t)roll(p, 256); /* PadN */
			header[3] = right ? 4 : (uint8_t)roll(p, 256);
		}
	} else {
		size_t bytes = 4 * (1 + roll(p, 10));

		memmove(l4_of(p) + bytes, l4_of(p), p->end - p->l4);
		memset(l4_of(p), 1, bytes);
		for (size_t at = 0; at + 2 < bytes; at += 3 + roll(p, 6)) {
			l4_of(p)[at] = options[roll(p, sizeof(options))];
			l4_of(p)[at + 1] = (uint8_t)(right ? 3 : roll(p, 44));
			l4_of(p)[at + 2] = (uint8_t)roll(p, 12);
		}
		p->l4 += bytes;
		p->end += bytes;
		ip_of(p)[0] = (uint8_t)(0x45 + bytes / 4);
		ip_end(p);
		seal_ip(p);
	}
	if (!roll(p, 4)) /* ends anywhere in it */
		p->end = p->ip + 20 + roll(p, (uint32_t)(p->end - p->ip - 20));
}

static void kind_checksum(struct packet *p)
{
	segment(p);
	seal(p);
	if (roll(p, 3) || p->v6)
		l4_of(p)[16 + roll(p, 2)] ^= (uint8_t)(1 + roll(p, 255));
	else
		ip_of(p)[10 + roll(p, 2)] ^= (uint8_t)(1 + roll(p, 255));
}

/* The frame is shorter than what is in it, or longer, or has the name of another protocol. */
static void kind_frame(struct packet *p)
{
	segment(p);
	seal(p);
	switch (roll(p, 4)) {
	case 0:
	case 1:
		p->end = p->ip + 1 + roll(p, (uint32_t)(p->end - p->ip - 1));
		break;
	case 2:
		put_random(p, p->data + p->end, 40);
		p->end += 40;
		break;
	default:
		put16(p->data + 12, p->v6 ? ETH_P_IP : ETH_P_IPV6);
	}
}

/* To everybody, to another station; from everybody. */
static void kind_station(struct packet *p)
{
	uint8_t *at = p->data + (roll(p, 3) ? 0 : ETH_ALEN);

	segment(p);
	seal(p);
	switch (roll(p, 3)) {
	case 0:
		memset(at, 0xff, ETH_ALEN);
		break;
	case 1:
		memcpy(at, "\x01\x00\x5e\x00\x00\x01", ETH_ALEN);
		break;
	default:
		memcpy(at, "\x02\x00\x00\x00\x99\x99", ETH_ALEN);
	}
}

static void kind_vlan(struct packet *p)
{
	static const uint16_t tags[] = {ETH_P_8021Q, ETH_P_8021AD, 0x9100};
	unsigned depth = 1 + roll(p, 3);

	segment(p);
	seal(p);
	for (unsigned i = 0; i < depth; i++) {
		memmove(p->data + 16, p->data + 12, p->end - 12);
		put16(p->data + 12, tags[roll(p, 3)]);
		put16(p->data + 14, roll(p, 2) ? 0 : (uint16_t)roll(p, 65536));
		p->end += 4;
	}
	if (!roll(p, 4))
		p->end = ETH_HLEN + roll(p, 12);
}

/* Errors that quote what we never sent, what is no packet, or nothing. */
static void kind_icmp(struct packet *p)
{
	static const uint8_t types_v4[] = {3, 3, 3, 4, 5, 11, 12, 13, 0, 255};
	static const uint8_t types_v6[] = {1, 2, 2, 3, 4, 128, 137, 0, 127, 255};
	size_t quoted = p->v6 ? 40 : 20;
	uint8_t *quote;

	ip_begin(p, p->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	memset(l4_of(p), 0, 8);
	l4_of(p)[0] = p->v6 ? types_v6[roll(p, 10)] : types_v4[roll(p, 10)];
	l4_of(p)[1] = (uint8_t)(roll(p, 3) ? 4 : roll(p, 16));
	put16(l4_of(p) + 6, roll(p, 2) ? 1280 : (uint16_t)roll(p, 65536));
	quote = l4_of(p) + 8;
	memset(quote, 0, quoted);
	quote[0] = p->v6 ? 0x60 : 0x45;
	put16(quote + (p->v6 ? 4 : 2), (uint16_t)(p->v6 ? 20 : 40));
	quote[p->v6 ? 6 : 9] = IPPROTO_TCP;
	target(p, quote + (p->v6 ? 8 : 12));
	memcpy(quote + (p->v6 ? 24 : 16), source_of(p), address_bytes(p));
	put_random(p, quote + quoted, 20);
	put16(quote + quoted, p->rig->port);
	if (!roll(p, 2))
		put_random(p, quote + roll(p, (uint32_t)quoted), 20);
	p->end = p->l4 + 8 + (roll(p, 2) ? quoted + 20 : roll(p, (uint32_t)quoted + 20));
	ip_end(p);
	seal(p);
}

static void kind_stray(struct packet *p)
{
	static const uint8_t flags[] = {ACK, ACK, PSH | ACK, FIN | ACK, RST | ACK, RST, SYN | ACK, URG | ACK};

	tcp_begin(p, flags[roll(p, sizeof(flags))], usual, 0, roll(p, 2) ? 0 : roll(p, 1400));
	seal(p);
}

static void kind_syn_with_data(struct packet *p)
{
	uint8_t options[28] = {2, 4, 5, 0xb4, 34, 10}; /* TCP Fast Open, RFC 7413: a cookie, an odd one, or a request */

	put_random(p, options + 6, 8);
	options[5] = (uint8_t)(roll(p, 2) ? 10 : 2 + roll(p, 22));
	memset(options + 4 + options[5], 1, sizeof(options) - 4U - options[5]);
	tcp_begin(p, SYN, options, sizeof(options), roll(p, 1400));
	seal(p);
}

/* TCP-MD5 (RFC 2385) and TCP-AO (RFC 5925), whole, short and both. */
static void kind_signed(struct packet *p)
{
	uint8_t options[40];
	size_t at = 0;

	memset(options, 1, sizeof(options));
	if (roll(p, 2)) {
		options[0] = 19;
		options[1] = (uint8_t)(roll(p, 2) ? 18 : 2 + roll(p, 20));
		at = options[1];
	}
	if (!at || roll(p, 2)) {
		options[at] = 29;
		options[at + 1] = (uint8_t)(roll(p, 2) ? 16 : 2 + roll(p, 16));
	}
	tcp_begin(p, roll(p, 3) ? SYN : ACK, options, sizeof(options), 0);
	seal(p);
}

/* Other protocols to the same port, with lengths of their own. */
static void kind_protocol(struct packet *p)
{
	static const uint8_t protocols[] = {IPPROTO_UDP, IPPROTO_UDP,  IPPROTO_UDPLITE, IPPROTO_SCTP, IPPROTO_DCCP,
					    IPPROTO_GRE, IPPROTO_IPIP, IPPROTO_IPV6,    255,          2};

	ip_begin(p, protocols[roll(p, sizeof(protocols))]);
	put_random(p, l4_of(p), 60);
	put16(l4_of(p) + 2, p->rig->port);
	p->end = p->l4 + roll(p, 60);
	if (roll(p, 2))
		put16(l4_of(p) + 4, (uint16_t)(p->end - p->l4));
	ip_end(p);
	seal(p);
}

/* Up to four bits, anywhere behind the addresses of the frame. */
static void kind_bits(struct packet *p)
{
	segment(p);
	for (unsigned left = 1 + roll(p, 4); left; left--)
		p->data[p->ip + roll(p, (uint32_t)(p->end - p->ip))] ^= (uint8_t)(1 << roll(p, 8));
	if (roll(p, 4))
		seal(p);
}

/* Random bytes behind a good IP header, or alone. */
static void kind_noise(struct packet *p)
{
	size_t bytes = roll(p, 200);

	ip_begin(p, IPPROTO_TCP);
	put_random(p, l4_of(p), bytes);
	if (bytes > 4 && roll(p, 4))
		put16(l4_of(p) + 2, p->rig->port);
	if (bytes > 14 && roll(p, 2))
		l4_of(p)[13] = SYN;
	p->end = p->l4 + bytes;
	ip_end(p);
	seal(p);
	if (!roll(p, 4))
		put_random(p, ip_of(p), p->end - p->ip);
}

static const struct {
	const char *name;
	void (*build)(struct packet *);
} kinds[] = {
	{"header-length", kind_header_length},
	{"total-length", kind_total_length},
	{"data-offset", kind_data_offset},
	{"option-lengths", kind_option_lengths},
	{"option-repeats", kind_option_repeats},
	{"flags", kind_flags},
	{"ports", kind_ports},
	{"land", kind_land},
	{"source", kind_source},
	{"destination", kind_destination},
	{"fragments", kind_fragments},
	{"jumbo", kind_jumbo},
	{"chain", kind_chain},
	{"checksum", kind_checksum},
	{"frame", kind_frame},
	{"station", kind_station},
	{"vlan", kind_vlan},
	{"icmp", kind_icmp},
	{"stray", kind_stray},
	{"syn-with-data", kind_syn_with_data},
	{"signed", kind_signed},
	{"protocol", kind_protocol},
	{"bits", kind_bits},
	{"noise", kind_noise},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* ---- out with it ---- */

/* The n-th: kinds take turns, and the families after each round. */
static size_t kind_of(const struct rig *rig, uint64_t n)
{
	return rig->only >= 0 ? (size_t)rig->only : n % KINDS;
}

static void build(const struct rig *rig, uint64_t n, struct packet *p)
{
	p->rig = rig;
	p->dice = mix(rig->seed) ^ mix(n);
	p->v6 = rig->v6 && (!rig->v4 || (rig->only >= 0 ? n : n / KINDS) % 2);
	p->ip = ETH_HLEN;
	memcpy(p->data, &rig->mac, ETH_ALEN);
	memcpy(p->data + ETH_ALEN, "\x02\x00\x00\x00\x02\x02", ETH_ALEN);
	kinds[kind_of(rig, n)].build(p);
}

/* Sends at most BATCH; returns how many left, 0 when the device's queue is full. */
static unsigned batch_send(const struct rig *rig, int fd, uint64_t first, unsigned n, struct packet packets[BATCH])
{
	struct mmsghdr msgs[BATCH] = {0};
	struct iovec iov[BATCH];
	int sent;

	for (unsigned i = 0; i < n; i++) {
		build(rig, first + i, &packets[i]);
		iov[i] = (struct iovec){packets[i].data, packets[i].end};
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	sent = sendmmsg(fd, msgs, n, 0);
	if (sent >= 0)
		return (unsigned)sent;
	if (errno == ENOBUFS || errno == EAGAIN || errno == EINTR)
		return 0;
	fprintf(stderr, "malformed: %s, packet %llu: %s\n", kinds[kind_of(rig, first)].name, (unsigned long long)first,
		strerror(errno));
	exit(1);
}

static uint64_t run(const struct rig *rig, int fd)
{
	static struct packet packets[BATCH];
	uint64_t start = now_ns(), sent = 0;

	while (sent < rig->count && !interrupted) {
		uint64_t due = (now_ns() - start + TICK_NS) * rig->rate_pps / NSEC_PER_SEC;
		struct timespec tick = {.tv_nsec = TICK_NS};
		unsigned n = 0;

		if (due > rig->count)
			due = rig->count;
		if (due > sent)
			n = batch_send(rig, fd, sent, due - sent < BATCH ? (unsigned)(due - sent) : BATCH, packets);
		sent += n;
		if (n < BATCH)
			clock_nanosleep(CLOCK_MONOTONIC, 0, &tick, NULL);
	}
	for (size_t i = 0; i < KINDS; i++)
		printf("%s %llu\n", kinds[i].name,
		       (unsigned long long)(rig->only < 0            ? sent / KINDS + (i < sent % KINDS)
					    : (size_t)rig->only == i ? sent
								     : 0));
	printf("sent %llu in %.2f s\n", (unsigned long long)sent, (double)(now_ns() - start) / NSEC_PER_SEC);
	return sent;
}

static _Noreturn void usage(void)
{
	fprintf(stderr,
		"usage: malformed -i DEV -m NEXT_HOP_MAC [-n COUNT] [-r RATE_PPS] [-s SEED] [-k KIND] PORT ADDR [ADDR]\n"
		"       one address of each family at most; kinds:");
	for (size_t i = 0; i < KINDS; i++)
		fprintf(stderr, " %s", kinds[i].name);
	fprintf(stderr, "\n");
	exit(2);
}

static uint64_t number(const char *text, uint64_t max)
{
	char *end;
	unsigned long long v = strtoull(text, &end, 10);

	if (end == text || *end || v == 0 || v > max)
		usage();
	return v;
}

static int kind_named(const char *name)
{
	for (size_t i = 0; i < KINDS; i++)
		if (!strcmp(kinds[i].name, name))
			return (int)i;
	usage();
}

static void parse_target(struct rig *rig, const char *text)
{
	if (inet_pton(AF_INET, text, rig->target_v4) == 1)
		rig->v4 = true;
	else if (inet_pton(AF_INET6, text, rig->target_v6) == 1)
		rig->v6 = true;
	else
		usage();
}

int main(int argc, char **argv)
{
	struct rig rig = {.rate_pps = 100000, .count = 1000000, .seed = 1, .only = -1};
	const char *mac = "";
	int opt;

	while ((opt = getopt(argc, argv, "i:m:n:r:s:k:")) != -1) {
		switch (opt) {
		case 'i':
			rig.device = optarg;
			break;
		case 'm':
			mac = optarg;
			break;
		case 'n':
			rig.count = number(optarg, UINT32_MAX);
			break;
		case 'r':
			rig.rate_pps = number(optarg, 10000000);
			break;
		case 's':
			rig.seed = number(optarg, UINT32_MAX);
			break;
		case 'k':
			rig.only = kind_named(optarg);
			break;
		default:
			usage();
		}
	}
	if (argc - optind < 2 || !rig.device || !ether_aton_r(mac, &rig.mac))
		usage();
	rig.port = (uint16_t)number(argv[optind], UINT16_MAX);
	for (int i = optind + 1; i < argc; i++)
		parse_target(&rig, argv[i]);

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	return run(&rig, packet_socket(rig.device)) == 0;
}
