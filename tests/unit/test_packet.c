/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/packet.h"

#include "wire.h"

#define ROOM 512

static uint8_t packet[ROOM];
static struct segment parsed;

static struct segment full(bool v6)
{
	return (struct segment){
		.source = address(v6 ? "2001:db8:1::7" : "198.51.100.7"),
		.destination = address(v6 ? "2001:db8::1" : "192.0.2.1"),
		.source_port = 40000,
		.destination_port = 80,
		.seq = 0xfedcba98,
		.ack = 0x89abcdef,
		.flags = TCP_ACK | TCP_PSH | TCP_FIN,
		.hops = 61,
		.tos = 0xba,
		.window = 0x8001,
		.urgent = 0x0102,
		.options =
			{.mss = 1460, .wscale = 7, .sack = true, .timestamps = true, .tsval = 0xaaaaaaaa, .tsecr = 7},
		.payload = (const uint8_t *)"GET /",
		.payload_bytes = 5,
	};
}

static size_t write_full(bool v6)
{
	struct segment segment = full(v6);
	size_t bytes = segment_write(packet, ROOM, &segment);

	ck_assert_uint_eq(bytes, (v6 ? 40U : 20U) + 20 + 20 + 5);
	return bytes;
}

static void segment_is(const struct segment *is, const struct segment *expected)
{
	ck_assert(addr_equal(&is->source, &expected->source));
	ck_assert(addr_equal(&is->destination, &expected->destination));
	ck_assert_uint_eq(is->source_port, expected->source_port);
	ck_assert_uint_eq(is->destination_port, expected->destination_port);
	ck_assert_uint_eq(is->seq, expected->seq);
	ck_assert_uint_eq(is->ack, expected->ack);
	ck_assert_uint_eq(is->flags, expected->flags);
	ck_assert_uint_eq(is->hops, expected->hops);
	ck_assert_uint_eq(is->tos, expected->tos);
	ck_assert_uint_eq(is->window, expected->window);
	ck_assert_uint_eq(is->urgent, expected->urgent);
	ck_assert_uint_eq(is->options.mss, expected->options.mss);
	ck_assert_int_eq(is->options.wscale, expected->options.wscale);
	ck_assert_int_eq(is->options.sack, expected->options.sack);
	ck_assert_int_eq(is->options.timestamps, expected->options.timestamps);
	ck_assert_uint_eq(is->options.tsval, expected->options.tsval);
	ck_assert_uint_eq(is->options.tsecr, expected->options.tsecr);
	ck_assert_uint_eq(is->payload_bytes, expected->payload_bytes);
	ck_assert_int_eq(is->payload_cut, expected->payload_cut);
	if (expected->payload_bytes)
		ck_assert_mem_eq(is->payload, expected->payload, expected->payload_bytes);
}

/* ---- writing and reading ---- */

START_TEST(what_is_written_is_read_again)
{
	struct segment segment = full(_i);
	size_t bytes = write_full(_i);

	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_TCP);
	segment_is(&parsed, &segment);
}
END_TEST

START_TEST(a_bare_segment_is_read_again)
{
	struct segment segment = {
		.source = full(_i).source, .destination = full(_i).destination, .options = {.wscale = -1}};
	size_t bytes = segment_write(packet, ROOM, &segment);

	ck_assert_uint_eq(bytes, _i ? 60 : 40);
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_TCP);
	segment_is(&parsed, &segment);
}
END_TEST

START_TEST(written_checksums_are_right)
{
	struct segment segment = full(_i);

	for (unsigned payload = 0; payload <= 5; payload++) {
		size_t bytes;

		segment.payload_bytes = (uint16_t)payload;
		segment.options.timestamps = payload % 2;
		bytes = segment_write(packet, ROOM, &segment);
		if (!_i)
			ck_assert_uint_eq(wire_sum(0, packet, 20), 0xffff);
		ck_assert_uint_eq(wire_sum_upper(packet, _i ? 40 : 20, bytes - (_i ? 40 : 20), 6), 0xffff);
	}
}
END_TEST

START_TEST(one_wrong_bit_anywhere_is_a_wrong_checksum)
{
	size_t bytes = write_full(_i), header = _i ? 40 : 20;

	ck_assert(packet_sum_is_right(packet, bytes));
	for (size_t bit = header * 8; bit < bytes * 8; bit++) {
		packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
		must(!packet_sum_is_right(packet, bytes));
		packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	packet[header - 1] ^= 1; /* of the destination, which the pseudo-header has */
	ck_assert(!packet_sum_is_right(packet, bytes));
}
END_TEST

START_TEST(the_checksum_of_what_was_not_captured_is_not_judged)
{
	size_t bytes = write_full(_i);

	packet[bytes - 2] ^= 1;
	ck_assert(!packet_sum_is_right(packet, bytes));
	ck_assert(packet_sum_is_right(packet, bytes - 1));
}
END_TEST

/* What follows in another fragment is summed with it; and in the last one there is no checksum. */
START_TEST(the_checksum_of_a_fragment_is_not_judged)
{
	size_t bytes = write_full(false);

	packet[30] ^= 1;
	must(!packet_sum_is_right(packet, bytes));
	store_be16(packet + 6, 0x2000);
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_TCP);
	ck_assert(packet_sum_is_right(packet, bytes));
	store_be16(packet + 6, 1);
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_OTHER);
	ck_assert(packet_sum_is_right(packet, bytes));
}
END_TEST

/* RFC 9293 3.1: FIN is the lowest bit. */
START_TEST(flags_are_the_bits_that_they_are_on_the_wire)
{
	static const uint8_t flags[] = {TCP_FIN, TCP_SYN, TCP_RST, TCP_PSH, TCP_ACK, TCP_URG};
	struct segment segment = full(false);

	for (unsigned i = 0; i < sizeof(flags); i++) {
		segment.flags = flags[i];
		ck_assert_uint_gt(segment_write(packet, ROOM, &segment), 0);
		ck_assert_uint_eq(packet[20 + 13], 1U << i);
	}
}
END_TEST

START_TEST(ipv4_says_do_not_fragment)
{
	size_t bytes = write_full(false);

	ck_assert_uint_eq(packet[0], 0x45);
	ck_assert_uint_eq(load_be16(packet + 2), bytes);
	ck_assert_uint_eq(load_be16(packet + 6), 0x4000);
}
END_TEST

START_TEST(ipv6_has_its_traffic_class_and_no_flow_label)
{
	write_full(true);
	ck_assert_uint_eq(load_be32(packet), 0x6ba00000);
}
END_TEST

START_TEST(a_room_of_exactly_the_size_is_enough_and_one_byte_less_is_not)
{
	struct segment segment = full(_i);
	size_t bytes = write_full(_i);

	memset(packet, 0xee, ROOM);
	ck_assert_uint_eq(segment_write(packet, bytes - 1, &segment), 0);
	ck_assert_uint_eq(packet[0], 0xee);
	ck_assert_uint_eq(segment_write(packet, bytes, &segment), bytes);
	ck_assert_uint_eq(packet[bytes], 0xee);
}
END_TEST

START_TEST(a_packet_beyond_65535_bytes_is_not_written)
{
	static uint8_t payload[65535], out[70000];
	struct segment segment = full(false);

	segment.payload = payload;
	segment.payload_bytes = 65535 - 60;
	ck_assert_uint_eq(segment_write(out, sizeof(out), &segment), 65535);
	segment.payload_bytes++;
	ck_assert_uint_eq(segment_write(out, sizeof(out), &segment), 0);
}
END_TEST

START_TEST(headers_with_every_option_fit_the_largest_header)
{
	struct segment segment = full(true);

	segment.payload_bytes = 0;
	ck_assert_uint_gt(segment_write(packet, SEGMENT_HEADERS_MAX, &segment), 0);
}
END_TEST

START_TEST(a_flow_is_the_clients_view_from_both_sides)
{
	struct segment there = full(false);
	struct segment back = {
		.source = there.destination,
		.destination = there.source,
		.source_port = there.destination_port,
		.destination_port = there.source_port,
	};
	struct flow one = flow_from_client(&there), other = flow_from_server(&back);

	ck_assert_mem_eq(&one, &other, sizeof(one));
	ck_assert(addr_equal(&one.client, &there.source));
	ck_assert_uint_eq(one.client_port, 40000);
	ck_assert_uint_eq(one.server_port, 80);
}
END_TEST

/* ---- lengths ---- */

START_TEST(a_capture_cut_in_the_headers_is_malformed)
{
	size_t bytes = write_full(_i);

	for (size_t captured = 0; captured < bytes - 5; captured++)
		ck_assert_int_eq(packet_parse(packet, captured, &parsed), PACKET_MALFORMED);
}
END_TEST

START_TEST(a_capture_cut_in_the_payload_says_so)
{
	size_t bytes = write_full(_i);

	ck_assert_int_eq(packet_parse(packet, bytes - 5, &parsed), PACKET_TCP);
	ck_assert_uint_eq(parsed.payload_bytes, 0);
	ck_assert(parsed.payload_cut);
	ck_assert_int_eq(packet_parse(packet, bytes - 1, &parsed), PACKET_TCP);
	ck_assert_uint_eq(parsed.payload_bytes, 4);
	ck_assert(parsed.payload_cut);
}
END_TEST

START_TEST(a_payload_is_not_read_as_options)
{
	struct segment segment = full(_i);
	size_t bytes;

	segment.options = (struct tcp_options){.wscale = -1};
	segment.payload = (const uint8_t *)"\3\3\7\4\2";
	bytes = segment_write(packet, ROOM, &segment);
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_TCP);
	segment_is(&parsed, &segment);
}
END_TEST

START_TEST(what_follows_the_packet_is_no_payload)
{
	size_t bytes = write_full(_i);

	ck_assert_int_eq(packet_parse(packet, bytes + 6, &parsed), PACKET_TCP);
	ck_assert_uint_eq(parsed.payload_bytes, 5);
	ck_assert(!parsed.payload_cut);
}
END_TEST

START_TEST(a_total_length_that_cuts_the_tcp_header_is_malformed)
{
	size_t bytes = write_full(_i);

	for (uint16_t upper = 0; upper < 40; upper++) {
		store_be16(packet + (_i ? 4 : 2), (uint16_t)(upper + (_i ? 0 : 20)));
		ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_MALFORMED);
	}
	store_be16(packet + (_i ? 4 : 2), _i ? 40 : 60);
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_TCP);
}
END_TEST

START_TEST(an_ipv4_total_length_below_its_header_is_malformed)
{
	size_t bytes = write_full(false);

	store_be16(packet + 2, 19);
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_MALFORMED);
}
END_TEST

START_TEST(an_ipv4_header_length_below_five_words_or_past_the_end_is_malformed)
{
	size_t bytes = write_full(false);

	packet[0] = 0x44;
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_MALFORMED);
	packet[0] = 0x4f;
	ck_assert_int_eq(packet_parse(packet, 59, &parsed), PACKET_MALFORMED);
}
END_TEST

START_TEST(ipv4_options_are_stepped_over)
{
	size_t bytes = write_full(false);

	memmove(packet + 28, packet + 20, bytes - 20);
	memset(packet + 20, 1, 8);
	packet[0] = 0x47;
	store_be16(packet + 2, (uint16_t)(bytes + 8));
	ck_assert_int_eq(packet_parse(packet, bytes + 8, &parsed), PACKET_TCP);
	ck_assert_uint_eq(parsed.source_port, 40000);
	ck_assert_uint_eq(parsed.payload_bytes, 5);
}
END_TEST

START_TEST(a_tcp_header_length_below_five_words_or_past_the_end_is_malformed)
{
	size_t bytes = write_full(_i);
	uint8_t *words = packet + (_i ? 40 : 20) + 12;

	*words = 0x40;
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_MALFORMED);
	*words = 0xc0; /* 48 bytes, 45 are there */
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_MALFORMED);
	*words = 0xb0;
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_TCP);
	ck_assert_uint_eq(parsed.payload_bytes, 1);
}
END_TEST

START_TEST(another_ip_version_is_malformed)
{
	size_t bytes = write_full(false);

	for (unsigned version = 0; version < 16; version++) {
		packet[0] = (uint8_t)(version << 4 | 5);
		if (version != 4 && version != 6)
			ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_MALFORMED);
	}
}
END_TEST

START_TEST(the_unspecified_address_as_source_is_malformed)
{
	size_t bytes = write_full(true);

	memset(packet + 8, 0, 15);
	packet[23] = 1;
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_TCP);
	packet[23] = 0;
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_MALFORMED);
}
END_TEST

START_TEST(a_v4_mapped_address_on_the_wire_is_malformed)
{
	size_t bytes = write_full(true);

	memcpy(packet + (_i ? 8 : 24), addr_v4_prefix, 12);
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_MALFORMED);
}
END_TEST

START_TEST(another_protocol_is_other)
{
	size_t bytes = write_full(_i);

	packet[_i ? 6 : 9] = 17;
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_OTHER);
	ck_assert_int_eq(packet_parse(packet, _i ? 40 : 20, &parsed), PACKET_OTHER);
	store_be16(packet + (_i ? 4 : 2), _i ? 0 : 20); /* nothing behind the header */
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_OTHER);
}
END_TEST

START_TEST(a_later_ipv4_fragment_is_other_and_the_first_is_read)
{
	size_t bytes = write_full(false);

	store_be16(packet + 6, 0x2000);
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_TCP);
	store_be16(packet + 6, 0x2001);
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_OTHER);
	store_be16(packet + 6, 0x1fff);
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_OTHER);
}
END_TEST

/* ---- IPv6 extension headers ---- */

/* A full segment behind `count` extension headers of `kind`, 8 bytes each. */
static size_t write_extended(uint8_t kind, unsigned count)
{
	size_t bytes = write_full(true);

	memmove(packet + 40 + 8 * count, packet + 40, bytes - 40);
	memset(packet + 40, 0, 8 * count);
	for (unsigned i = 0; i < count; i++)
		packet[40 + 8 * i] = i + 1 < count ? kind : 6;
	packet[6] = kind;
	store_be16(packet + 4, (uint16_t)(bytes - 40 + 8 * count));
	return bytes + 8 * count;
}

START_TEST(extension_headers_are_stepped_over)
{
	static const uint8_t kinds[] = {0, 43, 44, 60};

	for (unsigned count = 1; count <= 7; count++) {
		struct segment segment = full(true);
		size_t bytes = write_extended(kinds[_i], count);

		ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_TCP);
		segment_is(&parsed, &segment);
		for (size_t captured = 0; captured < bytes - 5; captured++)
			ck_assert_int_eq(packet_parse(packet, captured, &parsed), PACKET_MALFORMED);
	}
}
END_TEST

/* A first fragment, one that is still on its way by a route, and one that may have a home address; while others are. */
START_TEST(the_checksum_behind_an_extension_header_is_judged_where_it_can_be)
{
	static const struct {
		uint8_t kind, byte3; /* which says how many segments are left, or that more fragments follow */
		bool judged;
	} headers[] = {{0, 0, true}, {43, 0, true}, {43, 1, false}, {44, 0, true}, {44, 1, false}, {60, 0, false}};
	size_t bytes = write_extended(headers[_i].kind, 1);

	packet[43] = headers[_i].byte3;
	ck_assert(packet_sum_is_right(packet, bytes));
	packet[bytes - 1] ^= 1;
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_TCP);
	ck_assert_int_eq(packet_sum_is_right(packet, bytes), !headers[_i].judged);
}
END_TEST

START_TEST(a_chain_of_more_than_seven_extension_headers_is_malformed)
{
	ck_assert_int_eq(packet_parse(packet, write_extended(60, 8), &parsed), PACKET_MALFORMED);
	ck_assert_int_eq(packet_parse(packet, write_extended(60, 30), &parsed), PACKET_MALFORMED);
}
END_TEST

/* RFC 8200 4.7: what says that nothing follows, nothing follows. */
START_TEST(an_extension_header_may_end_with_the_packet)
{
	static const uint8_t kinds[] = {0, 43, 44, 60};

	write_extended(kinds[_i], 2);
	packet[48] = 59;
	store_be16(packet + 4, 16);
	ck_assert_int_eq(packet_parse(packet, 56, &parsed), PACKET_OTHER);
	ck_assert_int_eq(packet_parse(packet, 55, &parsed), PACKET_MALFORMED);
}
END_TEST

START_TEST(the_length_of_an_extension_header_counts)
{
	size_t bytes = write_extended(60, 3);

	packet[40] = 6;
	packet[41] = 2; /* one header of 24 bytes */
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_TCP);
	ck_assert_uint_eq(parsed.source_port, 40000);
	packet[41] = 255;
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_MALFORMED);
}
END_TEST

START_TEST(a_payload_length_that_ends_in_the_extension_headers_is_malformed)
{
	size_t bytes = write_extended(60, 2);

	store_be16(packet + 4, 15);
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_MALFORMED);
}
END_TEST

START_TEST(a_later_ipv6_fragment_is_other_and_the_first_is_read)
{
	size_t bytes = write_extended(44, 1);

	packet[43] = 1; /* more fragments */
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_TCP);
	packet[43] = 8;
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_OTHER);
	ck_assert_int_eq(packet_parse(packet, 48, &parsed), PACKET_OTHER); /* of which nothing more was captured */
}
END_TEST

/* Its first bytes are no header: they are the middle of one, or data. */
START_TEST(what_a_later_ipv6_fragment_holds_is_not_read_as_headers)
{
	size_t bytes = write_extended(44, 1);

	packet[40] = 60;
	packet[43] = 8;
	memset(packet + 48, 0xff, bytes - 48);
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_OTHER);
}
END_TEST

/* ---- changing the sequence number ---- */

START_TEST(a_new_sequence_number_keeps_the_checksum_right)
{
	static const uint32_t seqs[] = {0, 1, 0xffff, 0x10000, 0xffff0000, 0x7fffffff, 0xfedcba98, UINT32_MAX};
	size_t bytes = _i < 2 ? write_full(_i) : write_extended(60, 2);
	size_t header = _i < 2 ? (_i ? 40 : 20) : 56;

	for (unsigned i = 0; i < sizeof(seqs) / sizeof(seqs[0]); i++) {
		struct segment expected = full(_i);

		expected.seq = seqs[i];
		packet_set_seq(packet, bytes, seqs[i]);
		ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_TCP);
		segment_is(&parsed, &expected);
		ck_assert_uint_eq(wire_sum_upper(packet, header, bytes - header, 6), 0xffff);
	}
}
END_TEST

START_TEST(a_header_without_options_is_given_its_sequence_number)
{
	struct segment segment = full(_i);
	size_t header = _i ? 40 : 20;

	segment.options = (struct tcp_options){.wscale = -1};
	segment.payload_bytes = 0;
	ck_assert_uint_eq(segment_write(packet, ROOM, &segment), header + 20);
	packet_set_seq(packet, header + 20, 0x12345678);
	ck_assert_uint_eq(load_be32(packet + header + 4), 0x12345678);
	ck_assert_uint_eq(wire_sum_upper(packet, header, 20, 6), 0xffff);
}
END_TEST

START_TEST(what_is_no_whole_tcp_header_keeps_its_bytes)
{
	size_t bytes = write_full(_i);
	uint8_t before[ROOM];

	memcpy(before, packet, ROOM);
	packet_set_seq(packet, (_i ? 40 : 20) + 19, 1);
	packet_set_seq(packet, 3, 1);
	ck_assert_mem_eq(packet, before, ROOM);
	packet[_i ? 6 : 9] = before[_i ? 6 : 9] = 17;
	packet_set_seq(packet, bytes, 1);
	ck_assert_mem_eq(packet, before, ROOM);
}
END_TEST

/* An ICMP error about what the server sent to the client; `quote_bytes` of that are quoted. Returns its size. */
static size_t write_too_big(bool v6, size_t quote_bytes, struct segment *quoted)
{
	size_t header = v6 ? 40 : 20;
	uint8_t quote[ROOM];

	*quoted = full(v6);
	quoted->source = full(v6).destination;
	quoted->destination = full(v6).source;
	quoted->source_port = 80;
	quoted->destination_port = 40000;
	segment_write(quote, ROOM, quoted);

	memset(packet, 0, ROOM);
	packet[0] = v6 ? 0x60 : 0x45;
	if (v6) {
		store_be16(packet + 4, (uint16_t)(8 + quote_bytes));
		packet[6] = 58;
		memcpy(packet + 8, address("2001:db8:ffff::1").bytes, 16);
		memcpy(packet + 24, quoted->source.bytes, 16);
	} else {
		store_be16(packet + 2, (uint16_t)(28 + quote_bytes));
		packet[9] = 1;
		memcpy(packet + 12, "\xcb\0\x71\1", 4);
		memcpy(packet + 16, addr_wire(&quoted->source), 4);
	}
	packet[header] = v6 ? 2 : 3;
	packet[header + 1] = v6 ? 0 : 4;
	store_be16(packet + header + 6, 1280);
	memcpy(packet + header + 8, quote, quote_bytes);
	store_be16(packet + header + 2, (uint16_t) ~(v6 ? wire_sum_upper(packet, header, 8 + quote_bytes, 58)
							: wire_sum(0, packet + header, 8 + quote_bytes)));
	return header + 8 + quote_bytes;
}

static uint32_t icmp_sum(bool v6, size_t bytes)
{
	return v6 ? wire_sum_upper(packet, 40, bytes - 40, 58) : wire_sum(0, packet + 20, bytes - 20);
}

START_TEST(a_path_mtu_error_is_told_and_its_flow_found)
{
	struct segment quoted;
	struct flow flow, expected;
	size_t bytes = write_too_big(_i, (_i ? 40 : 20) + 8, &quoted);

	ck_assert_uint_eq(icmp_sum(_i, bytes), 0xffff);
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_ERROR);
	ck_assert(packet_quoted_flow(packet, bytes, &flow));
	expected = flow_from_server(&quoted);
	ck_assert_mem_eq(&flow, &expected, sizeof(flow));
}
END_TEST

START_TEST(every_error_that_quotes_a_segment_is_one_and_other_icmp_is_other)
{
	static const uint8_t errors[2][5] = {{3, 11, 12}, {1, 2, 3, 4}};
	size_t header = _i ? 40 : 20;
	struct segment quoted;
	struct flow flow;
	size_t bytes = write_too_big(_i, header + 8, &quoted);

	for (unsigned type = 0; type < 256; type++) {
		bool error = type && memchr(errors[_i], (int)type, 4);

		packet[header] = (uint8_t)type;
		for (unsigned code = 0; code < 256; code++) {
			packet[header + 1] = (uint8_t)code;
			must(packet_parse(packet, bytes, &parsed) == (error ? PACKET_ERROR : PACKET_OTHER));
		}
		must(!error || packet_quoted_flow(packet, bytes, &flow));
	}
	packet[header] = _i ? 2 : 3;
	packet[_i ? 6 : 9] = _i ? 1 : 58; /* the other family's ICMP */
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_OTHER);
	packet[_i ? 6 : 9] = _i ? 58 : 1;
	ck_assert_int_eq(packet_parse(packet, header + 1, &parsed), PACKET_ERROR);
	ck_assert(!packet_quoted_flow(packet, header + 1, &flow));
	ck_assert_int_eq(packet_parse(packet, header, &parsed), PACKET_OTHER);
}
END_TEST

/* RFC 4884: the quote filled up to 128 bytes, its length in words of 4 (IPv4) or 8 bytes (IPv6), and an extension. */
START_TEST(an_error_with_extensions_is_shifted_like_any_other)
{
	size_t header = _i ? 40 : 20, bytes = header + 8 + 128 + 12, icmp_bytes = bytes - header;
	struct segment quoted;
	struct flow flow, expected;
	uint8_t before[ROOM];

	write_too_big(_i, header + 20, &quoted);
	packet[header] = _i ? 3 : 11;
	packet[header + 1] = 0;
	store_be16(packet + header + 6, 0);
	packet[header + (_i ? 4 : 5)] = _i ? 16 : 32;
	memcpy(packet + header + 8 + 128, "\x20\0\xab\xcd\0\x08\x02\x0f\0\0\x05\xdc", 12);
	store_be16(packet + (_i ? 4 : 2), (uint16_t)(_i ? icmp_bytes : bytes));
	store_be16(packet + header + 2, 0);
	store_be16(packet + header + 2, (uint16_t) ~(_i ? wire_sum_upper(packet, header, icmp_bytes, 58)
							: wire_sum(0, packet + header, icmp_bytes)));
	memcpy(before, packet, ROOM);

	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_ERROR);
	ck_assert(packet_quoted_flow(packet, bytes, &flow));
	expected = flow_from_server(&quoted);
	ck_assert_mem_eq(&flow, &expected, sizeof(flow));
	packet_shift_quoted_seq(packet, bytes, 0x89abcdef);
	ck_assert_uint_eq(icmp_sum(_i, bytes), 0xffff);
	ck_assert_uint_eq(load_be32(packet + 2 * header + 12), quoted.seq - 0x89abcdef);
	memcpy(packet + header + 2, before + header + 2, 2);
	memcpy(packet + 2 * header + 12, before + 2 * header + 12, 4);
	ck_assert_mem_eq(packet, before, ROOM);
}
END_TEST

START_TEST(a_quote_without_ports_and_sequence_number_is_none)
{
	struct segment quoted;
	struct flow flow;
	size_t bytes = write_too_big(_i, (_i ? 40 : 20) + 8, &quoted);

	for (size_t captured = 0; captured < bytes; captured++)
		ck_assert(!packet_quoted_flow(packet, captured, &flow));
	ck_assert(packet_quoted_flow(packet, bytes, &flow));
}
END_TEST

START_TEST(a_quote_of_something_else_is_none)
{
	struct segment quoted;
	struct flow flow;
	size_t header = _i ? 40 : 20, bytes = write_too_big(_i, header + 8, &quoted);

	packet[header + 8 + (_i ? 6 : 9)] = 17; /* UDP */
	ck_assert(!packet_quoted_flow(packet, bytes, &flow));
	write_too_big(_i, header + 8, &quoted);
	packet[header + 8] = _i ? 0x45 : 0x60; /* the other family */
	ck_assert(!packet_quoted_flow(packet, bytes, &flow));
	write_too_big(false, 28, &quoted);
	store_be16(packet + 28 + 6, 1); /* a later fragment: no ports in it */
	ck_assert(!packet_quoted_flow(packet, 56, &flow));
}
END_TEST

START_TEST(a_quote_in_a_malformed_packet_is_none)
{
	struct segment quoted;
	struct flow flow;
	size_t header = _i ? 40 : 20, bytes = write_too_big(_i, header + 8, &quoted);

	ck_assert(packet_quoted_flow(packet, bytes, &flow));
	if (_i)
		memset(packet + 8, 0, 16); /* of the unspecified address */
	else
		store_be16(packet + 2, 19); /* less than its header */
	ck_assert_int_eq(packet_parse(packet, bytes, &parsed), PACKET_MALFORMED);
	ck_assert(!packet_quoted_flow(packet, bytes, &flow));
}
END_TEST

START_TEST(a_shifted_quote_keeps_the_checksum_right)
{
	static const uint32_t deltas[] = {0, 1, 0xffff, 0x10000, 0x80000000, 0xfedcba98, 0xfedcba99, UINT32_MAX};
	size_t header = _i ? 40 : 20;

	for (unsigned i = 0; i < sizeof(deltas) / sizeof(deltas[0]); i++) {
		struct segment quoted;
		size_t bytes = write_too_big(_i, header + 8 + (i % 2 ? 20 : 0), &quoted);

		packet_shift_quoted_seq(packet, bytes, deltas[i]);
		ck_assert_uint_eq(load_be32(packet + 2 * header + 8 + 4), 0xfedcba98 - deltas[i]);
		ck_assert_uint_eq(icmp_sum(_i, bytes), 0xffff);
	}
}
END_TEST

START_TEST(a_shift_changes_nothing_else)
{
	struct segment quoted;
	size_t header = _i ? 40 : 20, bytes = write_too_big(_i, header + 20, &quoted);
	uint8_t before[ROOM];

	memcpy(before, packet, ROOM);
	packet_shift_quoted_seq(packet, bytes, 0x12345);
	memcpy(packet + header + 2, before + header + 2, 2);
	memcpy(packet + 2 * header + 12, before + 2 * header + 12, 4);
	ck_assert_mem_eq(packet, before, ROOM);
	packet_shift_quoted_seq(packet, 2 * header + 8 + 7, 0x12345); /* no whole sequence number */
	ck_assert_mem_eq(packet, before, ROOM);
}
END_TEST

/* ---- noise ---- */

static void check_tcp(uint8_t *data, size_t bytes, uint32_t seq)
{
	size_t header = data[0] >> 4 == 4 ? (data[0] & 15U) * 4 : 40;
	uint32_t sum = wire_sum(0, data, bytes) % 0xffff;
	struct segment before = parsed;

	must(parsed.payload >= data + header + 20 && parsed.payload + parsed.payload_bytes <= data + bytes);
	must(parsed.payload_cut || parsed.payload_bytes <= 65535 - 20);
	must(parsed.options.wscale >= -1 && parsed.options.wscale <= 14);
	must(addr_is_v4(&parsed.source) == (data[0] >> 4 == 4));
	must(addr_is_v4(&parsed.destination) == (data[0] >> 4 == 4));
	packet_set_seq(data, bytes, seq);
	must(packet_parse(data, bytes, &parsed) == PACKET_TCP);
	must(parsed.seq == seq && parsed.ack == before.ack && parsed.payload == before.payload);
	must(wire_sum(0, data, bytes) % 0xffff == sum);
}

static bool check_too_big(uint8_t *data, size_t bytes, uint32_t delta)
{
	uint32_t sum = wire_sum(0, data, bytes) % 0xffff;
	struct flow flow, again;

	if (!packet_quoted_flow(data, bytes, &flow))
		return false;
	must(addr_is_v4(&flow.client) == (data[0] >> 4 == 4));
	packet_shift_quoted_seq(data, bytes, delta);
	must(packet_quoted_flow(data, bytes, &again));
	must(memcmp(&flow, &again, sizeof(flow)) == 0);
	must(wire_sum(0, data, bytes) % 0xffff == sum);
	return true;
}

/* Five kinds of good packets, a few bytes of each changed, cut anywhere; in fresh memory of exact size each time, so that
 * a sanitizer sees any access outside. */
START_TEST(mutated_packets_are_read_and_changed_within_bounds)
{
	static uint8_t good[5][ROOM];
	size_t good_bytes[5];
	unsigned found[4] = {0}, quoted_found = 0;
	uint64_t seed = 7;
	struct segment quoted;

	for (unsigned i = 0; i < 5; i++) {
		good_bytes[i] = i < 2    ? write_full(i)
				: i == 2 ? write_extended(60, 3)
					 : write_too_big(i == 4, 60, &quoted);
		memcpy(good[i], packet, ROOM);
	}
	for (unsigned round = 0; round < 200000; round++) {
		unsigned kind = random_below(&seed, 5);
		size_t cut = random_below(&seed, 3) ? 0 : random_below(&seed, (uint32_t)good_bytes[kind]);
		size_t bytes = good_bytes[kind] - cut;
		uint8_t *data = malloc(bytes);
		enum packet_kind is;

		memcpy(data, good[kind], bytes);
		for (unsigned changes = random_below(&seed, 4); changes > 0; changes--)
			data[random_below(&seed, (uint32_t)bytes)] = (uint8_t)random_next(&seed);
		is = packet_parse(data, bytes, &parsed);
		must(is <= PACKET_MALFORMED);
		found[is]++;
		if (is == PACKET_TCP)
			check_tcp(data, bytes, (uint32_t)random_next(&seed));
		else if (is == PACKET_ERROR)
			quoted_found += check_too_big(data, bytes, (uint32_t)random_next(&seed));
		free(data);
	}
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_gt(found[i], 1000); /* the noise reached everything */
	ck_assert_uint_gt(quoted_found, 1000);
}
END_TEST

static Suite *packet_suite(void)
{
	Suite *suite = suite_create("packet");
	TCase *segments = tcase_create("segments");
	TCase *lengths = tcase_create("lengths");
	TCase *extensions = tcase_create("extensions");
	TCase *changes = tcase_create("changes");

	suite_add_tcase(suite, segments);
	tcase_add_loop_test(segments, what_is_written_is_read_again, 0, 2);
	tcase_add_loop_test(segments, a_bare_segment_is_read_again, 0, 2);
	tcase_add_loop_test(segments, written_checksums_are_right, 0, 2);
	tcase_add_loop_test(segments, one_wrong_bit_anywhere_is_a_wrong_checksum, 0, 2);
	tcase_add_loop_test(segments, the_checksum_of_what_was_not_captured_is_not_judged, 0, 2);
	tcase_add_test(segments, the_checksum_of_a_fragment_is_not_judged);
	tcase_add_test(segments, flags_are_the_bits_that_they_are_on_the_wire);
	tcase_add_test(segments, ipv4_says_do_not_fragment);
	tcase_add_test(segments, ipv6_has_its_traffic_class_and_no_flow_label);
	tcase_add_loop_test(segments, a_room_of_exactly_the_size_is_enough_and_one_byte_less_is_not, 0, 2);
	tcase_add_test(segments, a_packet_beyond_65535_bytes_is_not_written);
	tcase_add_test(segments, headers_with_every_option_fit_the_largest_header);
	tcase_add_test(segments, a_flow_is_the_clients_view_from_both_sides);

	suite_add_tcase(suite, lengths);
	tcase_add_loop_test(lengths, a_capture_cut_in_the_headers_is_malformed, 0, 2);
	tcase_add_loop_test(lengths, a_capture_cut_in_the_payload_says_so, 0, 2);
	tcase_add_loop_test(lengths, a_payload_is_not_read_as_options, 0, 2);
	tcase_add_loop_test(lengths, what_follows_the_packet_is_no_payload, 0, 2);
	tcase_add_loop_test(lengths, a_total_length_that_cuts_the_tcp_header_is_malformed, 0, 2);
	tcase_add_test(lengths, an_ipv4_total_length_below_its_header_is_malformed);
	tcase_add_test(lengths, an_ipv4_header_length_below_five_words_or_past_the_end_is_malformed);
	tcase_add_test(lengths, ipv4_options_are_stepped_over);
	tcase_add_loop_test(lengths, a_tcp_header_length_below_five_words_or_past_the_end_is_malformed, 0, 2);
	tcase_add_test(lengths, another_ip_version_is_malformed);
	tcase_add_test(lengths, the_unspecified_address_as_source_is_malformed);
	tcase_add_loop_test(lengths, a_v4_mapped_address_on_the_wire_is_malformed, 0, 2);
	tcase_add_loop_test(lengths, another_protocol_is_other, 0, 2);
	tcase_add_test(lengths, a_later_ipv4_fragment_is_other_and_the_first_is_read);
	tcase_add_test(lengths, mutated_packets_are_read_and_changed_within_bounds);

	suite_add_tcase(suite, extensions);
	tcase_add_loop_test(extensions, extension_headers_are_stepped_over, 0, 4);
	tcase_add_loop_test(extensions, the_checksum_behind_an_extension_header_is_judged_where_it_can_be, 0, 6);
	tcase_add_test(extensions, a_chain_of_more_than_seven_extension_headers_is_malformed);
	tcase_add_loop_test(extensions, an_extension_header_may_end_with_the_packet, 0, 4);
	tcase_add_test(extensions, the_length_of_an_extension_header_counts);
	tcase_add_test(extensions, a_payload_length_that_ends_in_the_extension_headers_is_malformed);
	tcase_add_test(extensions, a_later_ipv6_fragment_is_other_and_the_first_is_read);
	tcase_add_test(extensions, what_a_later_ipv6_fragment_holds_is_not_read_as_headers);

	suite_add_tcase(suite, changes);
	tcase_add_loop_test(changes, a_new_sequence_number_keeps_the_checksum_right, 0, 3);
	tcase_add_loop_test(changes, a_header_without_options_is_given_its_sequence_number, 0, 2);
	tcase_add_loop_test(changes, what_is_no_whole_tcp_header_keeps_its_bytes, 0, 2);
	tcase_add_loop_test(changes, a_path_mtu_error_is_told_and_its_flow_found, 0, 2);
	tcase_add_loop_test(changes, every_error_that_quotes_a_segment_is_one_and_other_icmp_is_other, 0, 2);
	tcase_add_loop_test(changes, an_error_with_extensions_is_shifted_like_any_other, 0, 2);
	tcase_add_loop_test(changes, a_quote_without_ports_and_sequence_number_is_none, 0, 2);
	tcase_add_loop_test(changes, a_quote_of_something_else_is_none, 0, 2);
	tcase_add_loop_test(changes, a_quote_in_a_malformed_packet_is_none, 0, 2);
	tcase_add_loop_test(changes, a_shifted_quote_keeps_the_checksum_right, 0, 2);
	tcase_add_loop_test(changes, a_shift_changes_nothing_else, 0, 2);
	return suite;
}

int main(void)
{
	return unit_main(packet_suite());
}
