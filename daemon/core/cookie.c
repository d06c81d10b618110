/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/cookie.h"

/* The common values: Ethernet, jumbo frames, tunnels and DSL, the protocol's own defaults (RFC 9293 3.7.1: 536, 1220). */
static const uint16_t mss_v4[8] = {536, 1200, 1360, 1400, 1440, 1452, 1460, 8960};
static const uint16_t mss_v6[8] = {1220, 1280, 1360, 1400, 1420, 1432, 1440, 8940};
/* 7 is what Linux offers with its default buffers, 10 with larger ones; 8 Windows, 6 BSD and macOS. */
static const int8_t wscales[8] = {-1, 0, 2, 4, 6, 7, 8, 10};

static unsigned mss_index(const uint16_t table[8], uint16_t mss)
{
	unsigned index = 7;
	while (index > 0 && table[index] > mss)
		index--;
	return index;
}

static unsigned wscale_index(int8_t wscale)
{
	unsigned index = 7;
	while (index > 0 && wscales[index] > wscale)
		index--;
	return index;
}

static uint32_t cookie_mac(const struct siphash_key *key, uint32_t epoch, const struct flow *flow, uint32_t client_isn,
			   uint8_t low)
{
	uint64_t words[6];

	memcpy(words, &flow->client, 16);
	memcpy(words + 2, &flow->server, 16);
	words[4] = (uint64_t)flow->client_port << 48 | (uint64_t)flow->server_port << 32 | client_isn;
	words[5] = (uint64_t)epoch << 8 | low;
	return (uint32_t)siphash(key, words, 6);
}

uint32_t cookie_make(const struct cookie_secret *secret, const struct flow *flow, uint32_t client_isn,
		     const struct cookie_options *options)
{
	const uint16_t *mss = addr_is_v4(&flow->client) ? mss_v4 : mss_v6;
	uint8_t low = (uint8_t)(mss_index(mss, options->mss) << 5 | wscale_index(options->wscale) << 2 |
				(options->sack ? 2U : 0U) | (secret->epoch & 1));
	uint32_t mac = cookie_mac(&secret->keys[secret->epoch & 1], secret->epoch, flow, client_isn, low);

	return (mac & 0xffffff00U) | (uint8_t)(low ^ mac >> 24);
}

bool cookie_check(const struct cookie_secret *secret, const struct flow *flow, uint32_t client_isn, uint32_t cookie,
		  struct cookie_options *options)
{
	const uint16_t *mss = addr_is_v4(&flow->client) ? mss_v4 : mss_v6;
	uint8_t low = (uint8_t)(cookie ^ cookie >> 24);
	uint32_t epoch = secret->epoch - ((secret->epoch ^ low) & 1); /* this one or the last, whichever has the bit */
	uint32_t mac = cookie_mac(&secret->keys[low & 1], epoch, flow, client_isn, low);

	if ((mac ^ cookie) & 0xffffff00U && secret->has_next && epoch != secret->epoch)
		mac = cookie_mac(&secret->next, secret->epoch + 1, flow, client_isn, low);
	if ((mac ^ cookie) & 0xffffff00U)
		return false;
	options->mss = mss[low >> 5];
	options->wscale = wscales[low >> 2 & 7];
	options->sack = low >> 1 & 1;
	return true;
}

void cookie_rotate(struct cookie_secret *secret, const struct siphash_key *fresh)
{
	secret->epoch++;
	secret->keys[secret->epoch & 1] = *fresh;
	secret->has_next = false;
}

/* ---- secrets that several hosts share ---- */

static struct siphash_key key_of(const struct cookie_master *masters, size_t count, uint32_t epoch)
{
	const struct cookie_master *master = masters;
	uint64_t first[2] = {epoch, 0}, second[2] = {epoch, 1};

	for (size_t i = 1; i < count && masters[i].from <= epoch; i++)
		master = &masters[i];
	return (struct siphash_key){{siphash(&master->key, first, 2), siphash(&master->key, second, 2)}};
}

struct cookie_secret cookie_shared(const struct cookie_master *masters, size_t count, uint64_t unix_ms)
{
	const uint64_t epoch_ms = COOKIE_EPOCH_S * 1000ULL;
	uint32_t epoch = cookie_epoch_at(unix_ms);
	struct cookie_secret secret = {
		.epoch = epoch,
		.has_next = unix_ms % epoch_ms >= epoch_ms - COOKIE_SKEW_MS - COOKIE_RENEWAL_MS,
		.next = key_of(masters, count, epoch + 1),
	};

	secret.keys[epoch & 1] = key_of(masters, count, epoch);
	secret.keys[~epoch & 1] = key_of(masters, count, epoch - 1);
	return secret;
}

uint32_t cookie_fingerprint(const struct cookie_secret *secret)
{
	static const uint64_t name =
		0x73796e6d6f6174; /* "synmoat"; of another length than what a cookie is made from */

	return (uint32_t)siphash(&secret->keys[secret->epoch & 1], &name, 1);
}
