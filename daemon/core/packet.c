/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/packet.h"

enum {
	PROTOCOL_HOPOPTS = 0,
	PROTOCOL_ICMP = 1,
	PROTOCOL_TCP = 6,
	PROTOCOL_ROUTING = 43,
	PROTOCOL_FRAGMENT = 44,
	PROTOCOL_ICMPV6 = 58,
	PROTOCOL_DSTOPTS = 60,

	IPV4_HEADER_BYTES = 20,
	IPV6_HEADER_BYTES = 40,
	TCP_HEADER_BYTES = 20,
	ICMP_HEADER_BYTES = 8,
	TCP_QUOTE_BYTES = 8, /* ports and sequence number: all that RFC 792 promises */

	ICMP_UNREACHABLE = 3, /* "fragmentation needed" (RFC 1191) is one of its codes */
	ICMP_TIME_EXCEEDED = 11,
	ICMP_PARAMETER = 12,
	ICMPV6_UNREACHABLE = 1, /* 2 is "packet too big", 3 "time exceeded" */
	ICMPV6_PARAMETER = 4,

	IPV6_EXTENSIONS_MAX = 8,
};

/* What the IP header says about the rest. */
struct ip_view {
	bool v6;
	bool fragment;    /* not the first */
	bool unsummed;    /* the checksum of what it carries is of more than is here, or of another address */
	uint8_t protocol; /* after IPv6 extension headers */
	uint8_t hops;
	uint8_t tos;
	size_t header_bytes; /* extension headers included */
	size_t total_bytes;  /* by the header's own length field */
	struct addr source;
	struct addr destination;
};

static bool ipv4_parse(const uint8_t *data, size_t bytes, struct ip_view *ip)
{
	if (bytes < IPV4_HEADER_BYTES)
		return false;
	ip->v6 = false;
	ip->header_bytes = (data[0] & 15U) * 4U;
	ip->total_bytes = load_be16(data + 2);
	ip->fragment = load_be16(data + 6) & 0x1fff;
	ip->unsummed = load_be16(data + 6) & 0x2000;
	ip->hops = data[8];
	ip->tos = data[1];
	ip->protocol = data[9];
	ip->source = addr_from_v4(data + 12);
	ip->destination = addr_from_v4(data + 16);
	return ip->header_bytes >= IPV4_HEADER_BYTES && ip->header_bytes <= bytes &&
	       ip->total_bytes >= ip->header_bytes;
}

/* The first of several fragments; on its way by a route, whose end the checksum is of; with a home address, perhaps
 * (RFC 8200 4.5, 8.1, RFC 6275 6.3). */
static bool is_of_more(uint8_t protocol, const uint8_t *extension)
{
	return (protocol == PROTOCOL_FRAGMENT && extension[3] & 1) || (protocol == PROTOCOL_ROUTING && extension[3]) ||
	       protocol == PROTOCOL_DSTOPTS;
}

/* RFC 8200 4: the chain of extension headers up to the one that carries the payload. */
static bool ipv6_parse(const uint8_t *data, size_t bytes, struct ip_view *ip)
{
	if (bytes < IPV6_HEADER_BYTES)
		return false;
	ip->v6 = true;
	ip->header_bytes = IPV6_HEADER_BYTES;
	ip->total_bytes = IPV6_HEADER_BYTES + (size_t)load_be16(data + 4);
	ip->fragment = false;
	ip->unsummed = false;
	ip->hops = data[7];
	ip->tos = (uint8_t)(load_be16(data) >> 4);
	ip->protocol = data[6];
	ip->source = addr_from_v6(data + 8);
	ip->destination = addr_from_v6(data + 24);
	if (addr_is_v4(&ip->source) || addr_is_v4(&ip->destination))
		return false; /* v4-mapped on the wire: refused by Linux too (tcp_v6_conn_request), and no IPv4 to us */
	if (addr_is_unspecified(&ip->source))
		return false; /* RFC 4291 2.5.2: of nobody who could be answered */

	for (unsigned i = 0; i < IPV6_EXTENSIONS_MAX; i++) {
		const uint8_t *extension = data + ip->header_bytes;
		size_t length;

		if (ip->protocol != PROTOCOL_HOPOPTS && ip->protocol != PROTOCOL_ROUTING &&
		    ip->protocol != PROTOCOL_DSTOPTS && ip->protocol != PROTOCOL_FRAGMENT)
			return ip->total_bytes >= ip->header_bytes;
		if (ip->header_bytes + 8 > bytes)
			return false;
		length = ip->protocol == PROTOCOL_FRAGMENT ? 8 : 8 + extension[1] * 8U;
		if (ip->protocol == PROTOCOL_FRAGMENT && load_be16(extension + 2) & 0xfff8)
			ip->fragment = true;
		ip->unsummed |= is_of_more(ip->protocol, extension);
		ip->protocol = extension[0];
		ip->header_bytes += length;
		if (ip->header_bytes > bytes)
			return false;
		if (ip->fragment)
			return true; /* what follows is not a header */
	}
	return false;
}

static bool ip_parse(const uint8_t *data, size_t bytes, struct ip_view *ip)
{
	if (bytes < 1)
		return false;
	switch (data[0] >> 4) {
	case 4:
		return ipv4_parse(data, bytes, ip);
	case 6:
		return ipv6_parse(data, bytes, ip);
	default:
		return false;
	}
}

static enum packet_kind tcp_parse(const uint8_t *data, size_t bytes, const struct ip_view *ip, struct segment *segment)
{
	const uint8_t *tcp = data + ip->header_bytes;
	size_t captured = (bytes < ip->total_bytes ? bytes : ip->total_bytes) - ip->header_bytes;
	size_t wire = ip->total_bytes - ip->header_bytes;
	size_t header;

	if (captured < TCP_HEADER_BYTES)
		return PACKET_MALFORMED;
	header = (tcp[12] >> 4) * 4U;
	if (header < TCP_HEADER_BYTES || header > captured)
		return PACKET_MALFORMED;

	*segment = (struct segment){
		.source = ip->source,
		.destination = ip->destination,
		.source_port = load_be16(tcp),
		.destination_port = load_be16(tcp + 2),
		.seq = load_be32(tcp + 4),
		.ack = load_be32(tcp + 8),
		.flags = tcp[13],
		.hops = ip->hops,
		.tos = ip->tos,
		.window = load_be16(tcp + 14),
		.urgent = load_be16(tcp + 18),
		.options = options_parse(tcp + TCP_HEADER_BYTES, header - TCP_HEADER_BYTES),
		.payload = tcp + header,
		.payload_bytes = (uint16_t)(captured - header),
		.payload_cut = captured < wire,
	};
	return PACKET_TCP;
}

/* Redirects quote something, too, but no connection suffers from what they say, and they are for hosts on our own link. */
static bool is_icmp_error(const struct ip_view *ip, uint8_t type)
{
	if (ip->v6)
		return ip->protocol == PROTOCOL_ICMPV6 && type >= ICMPV6_UNREACHABLE && type <= ICMPV6_PARAMETER;
	return ip->protocol == PROTOCOL_ICMP &&
	       (type == ICMP_UNREACHABLE || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETER);
}

enum packet_kind packet_parse(const uint8_t *data, size_t bytes, struct segment *segment)
{
	struct ip_view ip;

	if (!ip_parse(data, bytes, &ip))
		return PACKET_MALFORMED;
	if (ip.fragment)
		return PACKET_OTHER;
	if (ip.protocol == PROTOCOL_TCP)
		return tcp_parse(data, bytes, &ip, segment);
	if (ip.header_bytes < bytes && is_icmp_error(&ip, data[ip.header_bytes]))
		return PACKET_ERROR;
	return PACKET_OTHER;
}

/* RFC 1071: the sum in 16-bit big-endian words; fold and complement when all is added. */
static uint64_t checksum_add(uint64_t sum, const uint8_t *data, size_t bytes)
{
	size_t at = 0;

	for (; at + 4 <= bytes; at += 4)
		sum += load_be32(data + at);
	if (at + 2 <= bytes) {
		sum += load_be16(data + at);
		at += 2;
	}
	if (at < bytes)
		sum += (uint64_t)data[at] << 8;
	return sum;
}

static uint16_t checksum_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* RFC 1624: the checksum after a 32-bit field changed. */
static uint16_t checksum_replace(uint16_t checksum, uint32_t old, uint32_t new)
{
	uint64_t sum = (uint16_t)~checksum;

	sum += (uint16_t) ~(old >> 16);
	sum += (uint16_t)~old;
	sum += (new >> 16) + (new & 0xffff);
	return checksum_fold(sum);
}

/* RFC 9293 3.1: with a pseudo-header of the addresses. 0 when what is there has the right one. */
static uint16_t tcp_sum(const struct addr *source, const struct addr *destination, const uint8_t *tcp, size_t bytes)
{
	uint64_t sum = PROTOCOL_TCP + bytes;

	sum = checksum_add(sum, addr_wire(source), addr_wire_bytes(source));
	sum = checksum_add(sum, addr_wire(destination), addr_wire_bytes(destination));
	return checksum_fold(checksum_add(sum, tcp, bytes));
}

static size_t ip_write(uint8_t *out, const struct segment *segment, size_t tcp_bytes)
{
	bool v4 = addr_is_v4(&segment->source);
	size_t header = v4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;

	memset(out, 0, header);
	if (v4) {
		out[0] = 0x45;
		out[1] = segment->tos;
		store_be16(out + 2, (uint16_t)(header + tcp_bytes));
		store_be16(out + 6, 0x4000); /* DF */
		out[8] = segment->hops;
		out[9] = PROTOCOL_TCP;
		memcpy(out + 12, addr_wire(&segment->source), 4);
		memcpy(out + 16, addr_wire(&segment->destination), 4);
		store_be16(out + 10, checksum_fold(checksum_add(0, out, header)));
	} else {
		store_be16(out, (uint16_t)(0x6000 | segment->tos << 4));
		store_be16(out + 4, (uint16_t)tcp_bytes);
		out[6] = PROTOCOL_TCP;
		out[7] = segment->hops;
		memcpy(out + 8, segment->source.bytes, 16);
		memcpy(out + 24, segment->destination.bytes, 16);
	}
	return header;
}

size_t segment_write(uint8_t *out, size_t room, const struct segment *segment)
{
	uint8_t options[OPTIONS_BYTES_MAX];
	size_t option_bytes = options_write(options, &segment->options);
	size_t tcp_bytes = TCP_HEADER_BYTES + option_bytes + segment->payload_bytes;
	size_t header = addr_is_v4(&segment->source) ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
	uint8_t *tcp;

	if (header + tcp_bytes > room || header + tcp_bytes > UINT16_MAX)
		return 0;
	tcp = out + ip_write(out, segment, tcp_bytes);
	store_be16(tcp, segment->source_port);
	store_be16(tcp + 2, segment->destination_port);
	store_be32(tcp + 4, segment->seq);
	store_be32(tcp + 8, segment->ack);
	tcp[12] = (uint8_t)((TCP_HEADER_BYTES + option_bytes) / 4 << 4);
	tcp[13] = segment->flags;
	store_be16(tcp + 14, segment->window);
	store_be16(tcp + 16, 0); /* checksum */
	store_be16(tcp + 18, segment->urgent);
	memcpy(tcp + TCP_HEADER_BYTES, options, option_bytes);
	if (segment->payload_bytes)
		memcpy(tcp + TCP_HEADER_BYTES + option_bytes, segment->payload, segment->payload_bytes);

	store_be16(tcp + 16, tcp_sum(&segment->source, &segment->destination, tcp, tcp_bytes));
	return header + tcp_bytes;
}

bool packet_sum_is_right(const uint8_t *data, size_t bytes)
{
	struct ip_view ip;

	if (!ip_parse(data, bytes, &ip) || ip.fragment || ip.unsummed || ip.protocol != PROTOCOL_TCP ||
	    ip.total_bytes > bytes)
		return true;
	return tcp_sum(&ip.source, &ip.destination, data + ip.header_bytes, ip.total_bytes - ip.header_bytes) == 0;
}

void packet_set_seq(uint8_t *data, size_t bytes, uint32_t seq)
{
	struct ip_view ip;
	uint8_t *tcp;

	if (!ip_parse(data, bytes, &ip) || ip.protocol != PROTOCOL_TCP || ip.header_bytes + TCP_HEADER_BYTES > bytes)
		return;
	tcp = data + ip.header_bytes;
	store_be16(tcp + 16, checksum_replace(load_be16(tcp + 16), load_be32(tcp + 4), seq));
	store_be32(tcp + 4, seq);
}

/* Where the quoted packet and, in it, the quoted TCP header start. */
static bool quote_find(const uint8_t *data, size_t bytes, size_t *icmp_at, size_t *tcp_at, struct ip_view *quoted)
{
	struct ip_view ip;
	size_t quote_at;

	if (!ip_parse(data, bytes, &ip) || ip.header_bytes + ICMP_HEADER_BYTES > bytes)
		return false;
	*icmp_at = ip.header_bytes;
	quote_at = ip.header_bytes + ICMP_HEADER_BYTES;
	if (!ip_parse(data + quote_at, bytes - quote_at, quoted) || quoted->v6 != ip.v6 || quoted->fragment ||
	    quoted->protocol != PROTOCOL_TCP)
		return false;
	*tcp_at = quote_at + quoted->header_bytes;
	return *tcp_at + TCP_QUOTE_BYTES <= bytes;
}

bool packet_quoted_flow(const uint8_t *data, size_t bytes, struct flow *flow)
{
	struct ip_view quoted;
	size_t icmp_at;
	size_t tcp_at;

	if (!quote_find(data, bytes, &icmp_at, &tcp_at, &quoted))
		return false;
	*flow = (struct flow){
		.client = quoted.destination,
		.server = quoted.source,
		.client_port = load_be16(data + tcp_at + 2),
		.server_port = load_be16(data + tcp_at),
	};
	return true;
}

void packet_shift_quoted_seq(uint8_t *data, size_t bytes, uint32_t delta)
{
	struct ip_view quoted;
	size_t icmp_at;
	size_t tcp_at;
	uint32_t seq;

	if (!quote_find(data, bytes, &icmp_at, &tcp_at, &quoted))
		return;
	seq = load_be32(data + tcp_at + 4);
	store_be16(data + icmp_at + 2, checksum_replace(load_be16(data + icmp_at + 2), seq, seq - delta));
	store_be32(data + tcp_at + 4, seq - delta);
}
