/* SPDX-License-Identifier: GPL-2.0-or-later */
/* icmp: errors that quote a translated connection, as worker.c has them. The input is an offset, then the packet. */
#include "fuzz.h"
#include "synmoat/packet.h"

static bool flow_is(const uint8_t *data, size_t bytes, const struct flow *expected)
{
	struct flow flow;

	return packet_quoted_flow(data, bytes, &flow) && memcmp(&flow, expected, sizeof(flow)) == 0;
}

/* The four bytes of the number and the two of the checksum, which stays as right as it was. */
static void only_the_number_changes(const uint8_t *before, const uint8_t *after, size_t bytes, uint32_t delta)
{
	size_t first = bytes, last = 0, changed = 0;

	for (size_t i = 0; i < bytes; i++)
		if (before[i] != after[i]) {
			changed++;
			first = i < first ? i : first;
			last = i;
		}
	must(changed <= 6);
	must(delta || !changed || changed <= 2); /* 0 and 0xffff */
	must(sum_of(0, before, bytes) == sum_of(0, after, bytes));
	if (!delta || !changed)
		return;
	for (size_t at = last < 3 ? 0 : last - 3; at <= last && at + 4 <= bytes; at++)
		if (at % 4 == 0 && load_be32(after + at) == load_be32(before + at) - delta)
			return;
	must(!"the number is less by the offset");
}

static void number_of_changes(const uint8_t *one, const uint8_t *other, size_t bytes, size_t most)
{
	size_t changed = 0;

	for (size_t i = 0; i < bytes; i++)
		changed += one[i] != other[i];
	must(changed <= most);
}

static void is_translated(const uint8_t *data, size_t bytes, uint32_t delta, const struct flow *flow)
{
	uint8_t *copy = exact_copy(data, bytes);
	struct segment segment;

	must(addr_is_v4(&flow->client) == addr_is_v4(&flow->server));
	packet_shift_quoted_seq(copy, bytes, delta);
	only_the_number_changes(data, copy, bytes, delta);
	must(packet_parse(copy, bytes, &segment) == PACKET_ERROR);
	must(flow_is(copy, bytes, flow));
	packet_shift_quoted_seq(copy, bytes, 0 - delta);
	number_of_changes(data, copy, bytes, 2);
	must(sum_of(0, data, bytes) == sum_of(0, copy, bytes));
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct input input = {data, bytes};
	uint32_t delta = input_32(&input);
	struct segment segment;
	struct flow flow;
	uint8_t *copy;

	copy = exact_copy(input.at, input.left);
	if (!packet_quoted_flow(copy, input.left, &flow)) {
		packet_shift_quoted_seq(copy, input.left, delta);
		must(input.left == 0 || memcmp(copy, input.at, input.left) == 0);
	} else if (packet_parse(copy, input.left, &segment) == PACKET_ERROR) {
		is_translated(copy, input.left, delta, &flow);
	}
	free(copy);
	return 0;
}
