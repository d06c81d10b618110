/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cookie_code: how a cookie is made and told from a guess: the one source for the daemon (cookie.h has its layout and its
 * reasons) and for the program in the kernel (bpf/). It needs what a compiler has without a C library. */
#ifndef SYNMOAT_COOKIE_CODE_H
#define SYNMOAT_COOKIE_CODE_H

#include <stdbool.h>
#include <stdint.h>

#include "synmoat/siphash.h"

/* The secrets of the current epoch and the one before, by the epoch's lowest bit. Both must be random from the start. */
struct cookie_secret {
	uint32_t epoch;
	struct siphash_key keys[2];
	bool has_next; /* others may be in the next epoch already: */
	struct siphash_key next;
};

/* What a client's SYN offered, as far as a cookie can carry it: the MSS rounded down to the table's next, the window
 * scale rounded down too, which is safe (RFC 7323 2.3: the shift is the sender's own choice; a smaller one announces less). */
struct cookie_options {
	uint16_t mss;  /* bytes */
	int8_t wscale; /* -1 = option absent */
	bool sack;
};

/* The common values: Ethernet, jumbo frames, tunnels and DSL, the protocol's own defaults (RFC 9293 3.7.1: 536, 1220). */
static const uint16_t cookie_mss_v4[8] = {536, 1200, 1360, 1400, 1440, 1452, 1460, 8960};
static const uint16_t cookie_mss_v6[8] = {1220, 1280, 1360, 1400, 1420, 1432, 1440, 8940};
/* 7 is what Linux offers with its default buffers, 10 with larger ones; 8 Windows, 6 BSD and macOS. */
static const int8_t cookie_wscales[8] = {-1, 0, 2, 4, 6, 7, 8, 10};

/* What a cookie is bound to. An address is its 16 bytes (addr.h), two words as they lie in memory. */
struct cookie_bond {
	uint64_t client[2];
	uint64_t server[2];
	uint64_t ports_isn; /* cookie_ports_isn() */
	uint64_t epoch_low; /* cookie_mac() sets it */
};
_Static_assert(sizeof(struct cookie_bond) == 48, "it is hashed as six words");

static inline uint64_t cookie_ports_isn(uint16_t client_port, uint16_t server_port, uint32_t client_isn)
{
	return (uint64_t)client_port << 48 | (uint64_t)server_port << 32 | client_isn;
}

/* The last of the table's that is not above: they ascend, and the first counts for whatever is below. */
static inline unsigned cookie_mss_index(bool v6, uint16_t mss)
{
	unsigned index = 0;

	for (unsigned i = 1; i < 8; i++)
		index += mss >= (v6 ? cookie_mss_v6[i] : cookie_mss_v4[i]);
	return index;
}

static inline unsigned cookie_wscale_index(int8_t wscale)
{
	unsigned index = 0;

	for (unsigned i = 1; i < 8; i++)
		index += wscale >= cookie_wscales[i];
	return index;
}

/* The low byte, before the MAC's upper one hides it. */
static inline uint8_t cookie_low(bool v6, const struct cookie_options *options, uint32_t epoch)
{
	return (uint8_t)(cookie_mss_index(v6, options->mss) << 5 | cookie_wscale_index(options->wscale) << 2 |
			 (options->sack ? 2U : 0U) | (epoch & 1));
}

static inline uint32_t cookie_mac(const struct siphash_key *key, uint32_t epoch, struct cookie_bond *bond, uint8_t low)
{
	bond->epoch_low = (uint64_t)epoch << 8 | low;
	return (uint32_t)siphash(key, (const uint64_t *)bond, sizeof(*bond) / sizeof(uint64_t));
}

static inline uint32_t cookie_encode(const struct cookie_secret *secret, struct cookie_bond *bond, uint8_t low)
{
	uint32_t mac = cookie_mac(&secret->keys[secret->epoch & 1], secret->epoch, bond, low);

	return (mac & 0xffffff00U) | (uint8_t)(low ^ mac >> 24);
}

static inline uint8_t cookie_low_of(uint32_t cookie)
{
	return (uint8_t)(cookie ^ cookie >> 24);
}

/* Whether it was made in this epoch or the last; or in the next, if the secret has it. */
static inline bool cookie_valid(const struct cookie_secret *secret, struct cookie_bond *bond, uint32_t cookie)
{
	uint8_t low = cookie_low_of(cookie);
	uint32_t epoch = secret->epoch - ((secret->epoch ^ low) & 1); /* this one or the last, whichever has the bit */
	uint32_t mac = cookie_mac(&secret->keys[low & 1], epoch, bond, low);

	if ((mac ^ cookie) & 0xffffff00U && secret->has_next && epoch != secret->epoch)
		mac = cookie_mac(&secret->next, secret->epoch + 1, bond, low);
	return !((mac ^ cookie) & 0xffffff00U);
}

#endif
