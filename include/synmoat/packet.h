/* SPDX-License-Identifier: GPL-2.0-or-later */
/* packet: the one door to packet bytes. Parsing checks every length against what was captured; nothing behind this door
 * looks at raw bytes. Numbers are in host order on this side of it. */
#ifndef SYNMOAT_PACKET_H
#define SYNMOAT_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "synmoat/addr.h"
#include "synmoat/options.h"

/* TCP flags (RFC 9293 3.1). */
enum {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
	TCP_URG = 0x20,
};

/* A TCP segment with the header fields of IP that matter to it. */
struct segment {
	struct addr source;
	struct addr destination;
	uint16_t source_port;
	uint16_t destination_port;
	uint32_t seq;
	uint32_t ack;
	uint8_t flags;
	uint8_t hops;    /* TTL or hop limit */
	uint8_t tos;     /* TOS or traffic class */
	uint16_t window; /* as on the wire, unscaled */
	uint16_t urgent; /* the pointer, whether TCP_URG is set or not */
	struct tcp_options options;
	const uint8_t *payload; /* into the caller's buffer */
	uint16_t payload_bytes; /* what was captured of it */
	bool payload_cut;       /* and more was on the wire */
};

enum packet_kind {
	PACKET_TCP,
	PACKET_ERROR, /* ICMP that quotes what it is about: types 3, 11, 12 (RFC 792), ICMPv6 types 1 to 4 (RFC 4443 3) */
	PACKET_OTHER,
	PACKET_MALFORMED, /* lengths that contradict each other or the capture */
};

/* Whether a packet that is PACKET_TCP has the right checksum; true where the capture does not tell, as of a fragment or on
 * the way by a route. */
bool packet_sum_is_right(const uint8_t *data, size_t bytes);

/* Parses an IPv4 or IPv6 packet; `segment` is set for PACKET_TCP and points into `data`. */
enum packet_kind packet_parse(const uint8_t *data, size_t bytes, struct segment *segment);

/* Largest header that segment_write() produces. */
#define SEGMENT_HEADERS_MAX (40 + 20 + OPTIONS_BYTES_MAX)

/* Writes a complete packet with checksums, DF set in IPv4. Returns its size, or 0 if `room` is too small. */
size_t segment_write(uint8_t *out, size_t room, const struct segment *segment);

/* Gives a TCP packet that packet_parse() accepted another sequence number, checksum included. */
void packet_set_seq(uint8_t *data, size_t bytes, uint32_t seq);

/* The flow whose server-to-client segment a PACKET_ERROR quotes; false if it quotes none. */
bool packet_quoted_flow(const uint8_t *data, size_t bytes, struct flow *flow);

/* Subtracts `delta` from the quoted sequence number, ICMP checksum included (RFC 1624). Only after
 * packet_quoted_flow() said yes. What may follow the quote (RFC 4884) stays as it is. */
void packet_shift_quoted_seq(uint8_t *data, size_t bytes, uint32_t delta);

static inline uint16_t load_be16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline uint32_t load_be32(const uint8_t *bytes)
{
	return (uint32_t)load_be16(bytes) << 16 | load_be16(bytes + 2);
}

static inline void store_be16(uint8_t *bytes, uint16_t value)
{
	bytes[0] = (uint8_t)(value >> 8);
	bytes[1] = (uint8_t)value;
}

static inline void store_be32(uint8_t *bytes, uint32_t value)
{
	store_be16(bytes, (uint16_t)(value >> 16));
	store_be16(bytes + 2, (uint16_t)value);
}

/* The flow of a segment that came from the client, or from the server. */
static inline struct flow flow_from_client(const struct segment *segment)
{
	return (struct flow){segment->source, segment->destination, segment->source_port, segment->destination_port};
}

static inline struct flow flow_from_server(const struct segment *segment)
{
	return (struct flow){segment->destination, segment->source, segment->destination_port, segment->source_port};
}

#endif
