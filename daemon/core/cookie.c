/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/cookie.h"

static struct cookie_bond bond_of(const struct flow *flow, uint32_t client_isn)
{
	struct cookie_bond bond = {.ports_isn = cookie_ports_isn(flow->client_port, flow->server_port, client_isn)};

	memcpy(bond.client, &flow->client, sizeof(bond.client));
	memcpy(bond.server, &flow->server, sizeof(bond.server));
	return bond;
}

uint32_t cookie_make(const struct cookie_secret *secret, const struct flow *flow, uint32_t client_isn,
		     const struct cookie_options *options)
{
	struct cookie_bond bond = bond_of(flow, client_isn);

	return cookie_encode(secret, &bond, cookie_low(!addr_is_v4(&flow->client), options, secret->epoch));
}

bool cookie_check(const struct cookie_secret *secret, const struct flow *flow, uint32_t client_isn, uint32_t cookie,
		  struct cookie_options *options)
{
	const uint16_t *mss = addr_is_v4(&flow->client) ? cookie_mss_v4 : cookie_mss_v6;
	struct cookie_bond bond = bond_of(flow, client_isn);
	uint8_t low = cookie_low_of(cookie);

	if (!cookie_valid(secret, &bond, cookie))
		return false;
	options->mss = mss[low >> 5];
	options->wscale = cookie_wscales[low >> 2 & 7];
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
