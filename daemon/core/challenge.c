/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/challenge.h"

/* RFC 9293 3.7.1, RFC 8200 5: the segment everybody must take. */
#define MSS_DEFAULT_V4 536
#define MSS_DEFAULT_V6 1220
/* Announced before the server's own is known: Ethernet's. The path or the client's MTU limits it further. */
#define MSS_ANNOUNCED_V4 1460
#define MSS_ANNOUNCED_V6 1440

/* TSval 0 makes a client forget about PAWS until the server's own clock is heard (RFC 7323 5.5 has it compare with nothing
 * yet; Linux and BSD take ts_recent 0 so). */
void challenge_answer(const struct segment *syn, const struct service_learned *learned, struct segment *answer,
		      struct cookie_options *carried)
{
	bool v6 = !addr_is_v4(&syn->source);
	bool wscale = syn->options.wscale >= 0 && learned->wscale >= 0;

	*carried = (struct cookie_options){
		.mss = syn->options.mss ? syn->options.mss : (v6 ? MSS_DEFAULT_V6 : MSS_DEFAULT_V4),
		.wscale = (int8_t)(wscale ? syn->options.wscale : -1),
		.sack = syn->options.sack && learned->sack,
	};
	*answer = (struct segment){
		.source = syn->destination,
		.destination = syn->source,
		.source_port = syn->destination_port,
		.destination_port = syn->source_port,
		.ack = syn->seq + 1,
		.flags = TCP_SYN | TCP_ACK,
		.hops = HOPS_DEFAULT,
		.window = learned->known ? learned->window : WINDOW_ANNOUNCED,
		.options =
			{
				.mss = learned->known ? learned->mss : (v6 ? MSS_ANNOUNCED_V6 : MSS_ANNOUNCED_V4),
				.wscale = (int8_t)(wscale ? learned->wscale : -1),
				.sack = carried->sack,
				.timestamps = syn->options.timestamps && learned->timestamps,
				.tsval = 0,
				.tsecr = syn->options.tsval,
			},
	};
}
