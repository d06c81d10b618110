/* SPDX-License-Identifier: GPL-2.0-or-later */
/* options: the TCP options of a handshake (RFC 9293 3.2, RFC 7323, RFC 2018). */
#ifndef SYNMOAT_OPTIONS_H
#define SYNMOAT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTIONS_BYTES_MAX 40

struct tcp_options {
	uint16_t mss;  /* bytes, 0 = absent */
	int8_t wscale; /* -1 = absent; at most 14 (RFC 7323 2.3) */
	bool sack;     /* SACK permitted */
	bool timestamps;
	bool md5; /* signed with TCP-MD5 (RFC 2385), or with TCP-AO (RFC 5925); read only, never written */
	bool ao;
	uint32_t tsval; /* with timestamps */
	uint32_t tsecr;
};

/* Reads `bytes` of options. What is unknown or of a wrong length is skipped or ends the reading, as Linux does
 * (tcp_parse_options); a length that runs past the end is never followed. */
struct tcp_options options_parse(const uint8_t *data, size_t bytes);

/* Writes what is present, padded to a multiple of four; returns the number of bytes, at most OPTIONS_BYTES_MAX. */
size_t options_write(uint8_t out[OPTIONS_BYTES_MAX], const struct tcp_options *options);

#endif
