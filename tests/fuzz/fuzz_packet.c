/* SPDX-License-Identifier: GPL-2.0-or-later */
/* packet: an IP packet is read, written anew and read again; TCP options likewise. */
#include "fuzz.h"
#include "synmoat/packet.h"

static bool options_equal(const struct tcp_options *one, const struct tcp_options *other)
{
	return one->mss == other->mss && one->wscale == other->wscale && one->sack == other->sack &&
	       one->timestamps == other->timestamps && one->tsval == other->tsval && one->tsecr == other->tsecr;
}

static void options_are_sound(const struct tcp_options *options)
{
	must(options->wscale >= -1 && options->wscale <= 14);
	must(options->timestamps || (!options->tsval && !options->tsecr));
}

static void options_round_trip(const uint8_t *data, size_t bytes)
{
	uint8_t *copy = exact_copy(data, bytes);
	struct tcp_options options = options_parse(copy, bytes), again;
	uint8_t *out = malloc(OPTIONS_BYTES_MAX);
	size_t written;

	must(out);
	options_are_sound(&options);
	written = options_write(out, &options);
	must(written <= OPTIONS_BYTES_MAX && written % 4 == 0);
	again = options_parse(out, written);
	must(options_equal(&options, &again) && !again.md5 && !again.ao);
	free(out);
	free(copy);
}

static void segments_equal(const struct segment *one, const struct segment *other)
{
	must(addr_equal(&one->source, &other->source) && addr_equal(&one->destination, &other->destination));
	must(one->source_port == other->source_port && one->destination_port == other->destination_port);
	must(one->seq == other->seq && one->ack == other->ack && one->flags == other->flags);
	must(one->hops == other->hops && one->tos == other->tos && one->window == other->window);
	must(options_equal(&one->options, &other->options));
	must(one->payload_bytes == other->payload_bytes);
	must(!one->payload_bytes || memcmp(one->payload, other->payload, one->payload_bytes) == 0);
}

/* Of a packet of ours: no extension header, no IPv4 option. */
static void checksums_hold(const uint8_t *packet, size_t bytes)
{
	bool v4 = packet[0] >> 4 == 4;
	size_t header = v4 ? 20 : 40;
	uint32_t sum = (uint32_t)(6 + bytes - header);

	must(!v4 || sum_of(0, packet, header) == 0);
	sum = sum_of(sum % 0xffff, packet + (v4 ? 12 : 8), v4 ? 8 : 32);
	must(sum_of(sum, packet + header, bytes - header) == 0);
}

static void written_is_read(const struct segment *segment)
{
	size_t room = SEGMENT_HEADERS_MAX + (size_t)segment->payload_bytes;
	uint8_t *out = malloc(room), *less;
	size_t bytes = segment_write(out, room, segment);
	struct segment again;

	must(out);
	if (!bytes) { /* only what no packet can hold */
		must(room > UINT16_MAX);
		free(out);
		return;
	}
	must(bytes <= room);
	checksums_hold(out, bytes);
	must(packet_parse(out, bytes, &again) == PACKET_TCP);
	segments_equal(segment, &again);
	must(!again.payload_cut);
	less = malloc(bytes - 1);
	must(segment_write(less, bytes - 1, segment) == 0);
	free(less);
	free(out);
}

/* Its checksum stays as right, or as wrong, as it was. */
static void seq_is_set(const uint8_t *data, size_t bytes, const struct segment *segment)
{
	uint8_t *copy = exact_copy(data, bytes);
	struct segment expected = *segment, again;
	size_t changed = 0;

	expected.seq = ~(segment->seq * 0x9e3779b9U);
	packet_set_seq(copy, bytes, expected.seq);
	must(packet_parse(copy, bytes, &again) == PACKET_TCP);
	segments_equal(&expected, &again);
	for (size_t i = 0; i < bytes; i++)
		changed += copy[i] != data[i];
	must(changed <= 6);
	must(sum_of(0, copy, bytes) == sum_of(0, data, bytes));
	free(copy);
}

static void is_sound(const uint8_t *data, size_t bytes, const struct segment *segment)
{
	const uint8_t *payload = segment->payload;

	must(addr_is_v4(&segment->source) == addr_is_v4(&segment->destination));
	must(payload >= data && payload <= data + bytes);
	must(segment->payload_bytes <= (size_t)(data + bytes - payload));
	options_are_sound(&segment->options);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct segment segment;
	enum packet_kind kind = packet_parse(data, bytes, &segment);

	must(kind <= PACKET_MALFORMED);
	options_round_trip(data, bytes);
	if (kind != PACKET_TCP)
		return 0;
	is_sound(data, bytes, &segment);
	written_is_read(&segment);
	seq_is_set(data, bytes, &segment);
	return 0;
}
