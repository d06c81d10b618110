/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/options.h"

#include "synmoat/packet.h"

enum {
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_MSS = 2,
	OPTION_WSCALE = 3,
	OPTION_SACK_PERMITTED = 4,
	OPTION_TIMESTAMPS = 8,
	OPTION_MD5 = 19,
	OPTION_AO = 29,
};

#define WSCALE_MAX 14

static void take_option(struct tcp_options *options, const uint8_t *option, uint8_t length)
{
	if (option[0] == OPTION_MSS && length == 4) {
		options->mss = load_be16(option + 2);
	} else if (option[0] == OPTION_WSCALE && length == 3) {
		options->wscale = (int8_t)(option[2] > WSCALE_MAX ? WSCALE_MAX : option[2]);
	} else if (option[0] == OPTION_SACK_PERMITTED && length == 2) {
		options->sack = true;
	} else if (option[0] == OPTION_TIMESTAMPS && length == 10) {
		options->timestamps = true;
		options->tsval = load_be32(option + 2);
		options->tsecr = load_be32(option + 6);
	} else if (option[0] == OPTION_AO && length > 4) {
		options->ao = true;
	}
}

struct tcp_options options_parse(const uint8_t *data, size_t bytes)
{
	struct tcp_options options = {.wscale = -1};
	bool md5_seen = false;
	size_t at = 0;

	while (at < bytes && data[at] != OPTION_END) {
		if (data[at] == OPTION_NOP) {
			at++;
			continue;
		}
		if (at + 1 >= bytes || data[at + 1] < 2 || data[at + 1] > bytes - at)
			break;
		if (data[at] == OPTION_MD5 && !md5_seen) { /* Linux before 6.7 looks at the first alone */
			md5_seen = true;
			options.md5 = data[at + 1] == 18;
		}
		take_option(&options, data + at, data[at + 1]);
		at += data[at + 1];
	}
	return options;
}

/* The layout is Linux's own (tcp_options_write): a server's SYN-ACK and ours look alike. */
size_t options_write(uint8_t out[OPTIONS_BYTES_MAX], const struct tcp_options *options)
{
	size_t at = 0;

	if (options->mss) {
		out[at++] = OPTION_MSS;
		out[at++] = 4;
		store_be16(out + at, options->mss);
		at += 2;
	}
	if (options->timestamps || options->sack) {
		if (!options->timestamps) {
			out[at++] = OPTION_NOP;
			out[at++] = OPTION_NOP;
		}
		out[at++] = options->sack ? OPTION_SACK_PERMITTED : OPTION_NOP;
		out[at++] = options->sack ? 2 : OPTION_NOP;
	}
	if (options->timestamps) {
		out[at++] = OPTION_TIMESTAMPS;
		out[at++] = 10;
		store_be32(out + at, options->tsval);
		store_be32(out + at + 4, options->tsecr);
		at += 8;
	}
	if (options->wscale >= 0) {
		out[at++] = OPTION_NOP;
		out[at++] = OPTION_WSCALE;
		out[at++] = 3;
		out[at++] = (uint8_t)options->wscale;
	}
	return at;
}
