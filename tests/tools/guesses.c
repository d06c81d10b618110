/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guesses [FIRST COUNT] - how many of the COUNT cookies from FIRST on are right for one connection; of all 2^32 there are, if
 * nothing else is said. For a fixed secret, so that the answer is always the same. With -n in the last seconds of an epoch. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "synmoat/cookie.h"

int main(int argc, char **argv)
{
	struct cookie_secret secret = {
		.epoch = 1000,
		.keys = {{{0x243f6a8885a308d3, 0x13198a2e03707344}}, {{0xa4093822299f31d0, 0x082efa98ec4e6c89}}},
		.next = {{0x452821e638d01377, 0xbe5466cf34e90c6c}}};
	struct flow flow = {.client_port = 40000, .server_port = 80};
	struct cookie_options options;
	uint64_t first = 0, count = 1ULL << 32, right = 0;
	int at = 1;

	if (at < argc && strcmp(argv[at], "-n") == 0) {
		secret.has_next = true;
		at++;
	}
	if (at + 1 < argc) {
		first = strtoull(argv[at], NULL, 0);
		count = strtoull(argv[at + 1], NULL, 0);
	}
	memset(&flow.client, 7, sizeof(flow.client));
	memset(&flow.server, 9, sizeof(flow.server));
	for (uint64_t i = first; i < first + count; i++)
		right += cookie_check(&secret, &flow, 12345, (uint32_t)i, &options);
	printf("%" PRIu64 "\n", right);
	return 0;
}
