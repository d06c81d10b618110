/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cookie: what has been issued is accepted, and nothing else is: whatever cookie_check() takes must come out of
 * cookie_make() for some options and one of the epochs that count. */
#include "fuzz.h"
#include "synmoat/cookie.h"

struct world {
	struct cookie_secret secret;
	struct flow flow;
	uint32_t client_isn;
};

static struct siphash_key some_key(struct input *input)
{
	uint64_t seed = input_16(input);

	return (struct siphash_key){{seed * 0x9e3779b97f4a7c15ULL, ~seed * 0xbf58476d1ce4e5b9ULL}};
}

static struct world some_world(struct input *input)
{
	uint8_t kind = input_8(input), client[16] = {0x20, 1, 0x0d, 0xb8}, server[16] = {0x20, 1, 0x0d, 0xb8};
	struct world world = {.secret = {.epoch = input_32(input)}};

	world.secret.keys[0] = some_key(input);
	world.secret.keys[1] = some_key(input);
	world.secret.next = some_key(input);
	world.secret.has_next = kind & 1;
	for (unsigned i = 12; i < 16; i++) {
		client[i] = input_8(input);
		server[i] = input_8(input);
	}
	world.flow.client = kind & 2 ? addr_from_v6(client) : addr_from_v4(client + 12);
	world.flow.server = kind & 2 ? addr_from_v6(server) : addr_from_v4(server + 12);
	world.flow.client_port = input_16(input);
	world.flow.server_port = input_16(input);
	world.client_isn = input_32(input);
	return world;
}

/* The secret as it is, or will be, in one of the epochs. */
static struct cookie_secret secret_in(const struct cookie_secret *secret, int later)
{
	struct cookie_secret other = *secret;

	other.epoch += (uint32_t)later;
	if (later > 0)
		other.keys[other.epoch & 1] = secret->next;
	return other;
}

static bool is_issued(const struct world *world, uint32_t cookie, const struct cookie_options *options)
{
	for (int later = -1; later <= (world->secret.has_next ? 1 : 0); later++) {
		struct cookie_secret secret = secret_in(&world->secret, later);

		if (cookie_make(&secret, &world->flow, world->client_isn, options) == cookie)
			return true;
	}
	return false;
}

/* All that any SYN could have been answered with: 3 epochs, 128 offers. */
static bool could_be_issued(const struct world *world, uint32_t cookie)
{
	const uint16_t *mss = addr_is_v4(&world->flow.client) ? cookie_mss_v4 : cookie_mss_v6;

	for (unsigned offer = 0; offer < 128; offer++) {
		struct cookie_options options = {mss[offer >> 4], cookie_wscales[offer >> 1 & 7], offer & 1};

		if (is_issued(world, cookie, &options))
			return true;
	}
	return false;
}

/* `closely` takes a thousand MACs: one of the questions that an input asks. */
static void judged_rightly(const struct world *world, uint32_t cookie, bool closely)
{
	struct cookie_options options = {.mss = 1, .wscale = 99};
	bool accepted = cookie_check(&world->secret, &world->flow, world->client_isn, cookie, &options);

	if (accepted)
		must(is_issued(world, cookie, &options));
	else
		must(options.mss == 1 && options.wscale == 99 && !(closely && could_be_issued(world, cookie)));
}

static void issued_is_accepted(const struct world *world, const struct cookie_options *offered, uint32_t cookie)
{
	bool v6 = !addr_is_v4(&world->flow.client);
	uint16_t least = v6 ? cookie_mss_v6[0] : cookie_mss_v4[0];
	struct cookie_options options;

	must(cookie_check(&world->secret, &world->flow, world->client_isn, cookie, &options));
	must(options.mss <= offered->mss || options.mss == least);
	must(options.wscale <= offered->wscale && (options.wscale >= 0) == (offered->wscale >= 0));
	must(options.sack == offered->sack);
}

/* Good in its epoch and the next, and no longer, but by the luck of one in 2^24, which is told from it. */
static void grows_old(const struct world *world, uint32_t cookie, bool closely, struct input *input)
{
	struct world later = *world;
	struct siphash_key fresh = some_key(input);
	struct cookie_options options;

	cookie_rotate(&later.secret, &fresh);
	must(cookie_check(&later.secret, &later.flow, later.client_isn, cookie, &options));
	fresh.words[0] ^= 0x5555;
	cookie_rotate(&later.secret, &fresh);
	judged_rightly(&later, cookie, closely);
}

/* Two hosts with the same secrets, whose clocks differ. */
static void shared(const struct world *world, struct input *input)
{
	struct cookie_master masters[3] = {
		{.key = some_key(input)}, {.key = some_key(input)}, {.key = some_key(input)}};
	struct cookie_options offered = {.mss = 1400, .wscale = 7, .sack = true}, options;
	uint64_t made_ms = input_64(input) >> 16, read_ms = made_ms + (int16_t)input_16(input) * 4;
	struct cookie_secret maker, reader;
	uint32_t cookie, made, read;

	masters[0].from = cookie_epoch_at(made_ms) - input_8(input) % 4;
	masters[1].from = masters[0].from + 1 + input_8(input) % 4;
	masters[2].from = masters[1].from + 1 + input_8(input) % 4;
	maker = cookie_shared(masters, 3, made_ms);
	reader = cookie_shared(masters, 3, read_ms);
	made = cookie_epoch_at(made_ms);
	read = cookie_epoch_at(read_ms);
	must(maker.epoch == made && reader.epoch == read);
	must(made != read || cookie_fingerprint(&maker) == cookie_fingerprint(&reader));
	cookie = cookie_make(&maker, &world->flow, world->client_isn, &offered);
	if (read == made || read == made + 1 || (read + 1 == made && reader.has_next))
		must(cookie_check(&reader, &world->flow, world->client_isn, cookie, &options));
	if (read + 1 == made && made * 64000ULL - read_ms <= COOKIE_SKEW_MS)
		must(reader.has_next);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct input input = {data, bytes};
	struct world world = some_world(&input);
	struct cookie_options offered = {.mss = input_16(&input), .wscale = (int8_t)(input_8(&input) % 16 - 1)};
	uint32_t cookie;
	uint8_t kind = input_8(&input), closely = kind >> 1 & 3;

	offered.sack = kind & 1;
	cookie = cookie_make(&world.secret, &world.flow, world.client_isn, &offered);
	issued_is_accepted(&world, &offered, cookie);
	grows_old(&world, cookie, closely == 0, &input);
	shared(&world, &input);
	judged_rightly(&world, cookie ^ input_32(&input), closely == 1);
	judged_rightly(&world, input_32(&input), closely == 2);
	world.flow.client.bytes[15] ^= input_8(&input);
	world.flow.client_port ^= input_16(&input);
	world.flow.server_port ^= input_16(&input);
	world.client_isn ^= input_32(&input);
	judged_rightly(&world, cookie, closely == 3);
	return 0;
}
