/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/ruleset_parts.h"

#include <stdlib.h>
#include <string.h>

#include "synmoat/packet.h"

#define KEY_V4_BYTES 8
#define KEY_V6_BYTES 20
#define KEY_PORT_BYTES 2

_Static_assert(SERVICES_MAX <= NFT_ELEMENTS_MAX, "all bindings of a kind go in one message");

void bindings_init(struct ruleset_bindings *bindings, const char *const names[BINDINGS_SETS])
{
	bindings->port = (struct nft_set){names[0], 0, KEY_PORT_BYTES, NFT_TYPE_PORT};
	bindings->v4 = (struct nft_set){names[1], 0, KEY_V4_BYTES, TYPE_ADDR_PORT(NFT_TYPE_IPV4)};
	bindings->v6 = (struct nft_set){names[2], 0, KEY_V6_BYTES, TYPE_ADDR_PORT(NFT_TYPE_IPV6)};
	bindings->nets_v4 = (struct nft_set){names[3], 0, KEY_V4_BYTES, TYPE_ADDR_PORT(NFT_TYPE_IPV4)};
	bindings->nets_v6 = (struct nft_set){names[4], 0, KEY_V6_BYTES, TYPE_ADDR_PORT(NFT_TYPE_IPV6)};
	bindings->wanted.count = bindings->held.count = 0;
}

void bindings_build(struct ruleset *ruleset, struct ruleset_bindings *bindings)
{
	static const uint8_t fields_v4[] = {4, KEY_PORT_BYTES};
	static const uint8_t fields_v6[] = {16, KEY_PORT_BYTES};
	struct nft *nft = &ruleset->nft;

	nft_set_add(nft, &bindings->port, 0, 0, 0);
	nft_set_add(nft, &bindings->v4, 0, 0, 0);
	nft_set_add(nft, &bindings->v6, 0, 0, 0);
	bindings->held.count = 0;
	if (!ruleset->setup.gateway)
		return; /* no networks, ever */
	nft_concat_set_add(nft, &bindings->nets_v4, fields_v4, 2);
	nft_concat_set_add(nft, &bindings->nets_v6, fields_v6, 2);
}

/* ---- networks ---- */

/* One that holds another comes before it, and between them only what is within it, too. */
static int compare_nets(const void *one, const void *other)
{
	const struct service_binding *a = one;
	const struct service_binding *b = other;
	int family = addr_is_v4(&a->address) - addr_is_v4(&b->address);
	int port = a->port - b->port;
	int address = memcmp(&a->address, &b->address, sizeof(a->address));

	return family ? family : port ? port : address ? address : b->host_bits - a->host_bits;
}

static bool is_within(const struct service_binding *inner, const struct service_binding *outer)
{
	struct addr net = addr_masked(&inner->address, 128U - outer->host_bits);

	return inner->port == outer->port && addr_is_v4(&inner->address) == addr_is_v4(&outer->address) &&
	       addr_equal(&net, &outer->address);
}

/* The kernel refuses elements that overlap: of networks within each other the widest says it all. */
void bindings_want(struct ruleset_bindings *bindings, const struct service_binding *list, size_t count)
{
	struct ruleset_nets *nets = &bindings->wanted;
	size_t kept = 0;

	nets->count = 0;
	for (size_t i = 0; i < count; i++)
		if (list[i].host_bits)
			nets->nets[nets->count++] = list[i];
	if (nets->count)
		qsort(nets->nets, nets->count, sizeof(nets->nets[0]), compare_nets);
	for (size_t i = 0; i < nets->count; i++)
		if (!kept || !is_within(&nets->nets[i], &nets->nets[kept - 1]))
			nets->nets[kept++] = nets->nets[i];
	nets->count = kept;
}

bool bindings_want_nets(const struct ruleset_bindings *bindings, bool v6)
{
	for (size_t i = 0; i < bindings->wanted.count; i++)
		if (addr_is_v4(&bindings->wanted.nets[i].address) != v6)
			return true;
	return false;
}

static bool nets_are_same(const struct ruleset_nets *one, const struct ruleset_nets *other)
{
	for (size_t i = 0; i < one->count && one->count == other->count; i++)
		if (compare_nets(&one->nets[i], &other->nets[i]) != 0)
			return false;
	return one->count == other->count;
}

static void put_key(uint8_t *key, const struct addr *address, uint16_t port)
{
	unsigned address_bytes = addr_wire_bytes(address);

	memset(key + address_bytes, 0, 4);
	memcpy(key, addr_wire(address), address_bytes);
	store_be16(key + address_bytes, port);
}

static struct addr last_of(const struct service_binding *net)
{
	struct addr last = net->address;

	for (unsigned bit = 128U - net->host_bits; bit < 128; bit = (bit / 8 + 1) * 8)
		last.bytes[bit / 8] |= (uint8_t)(0xffU >> bit % 8);
	return last;
}

static void put_nets(struct nft *nft, const struct nft_set *set, const struct ruleset_nets *nets, bool v6)
{
	static uint8_t ends[SERVICES_MAX * 2 * KEY_V6_BYTES];
	size_t used = 0;

	for (size_t i = 0; i < nets->count; i++) {
		const struct service_binding *net = &nets->nets[i];
		struct addr last = last_of(net);

		if (addr_is_v4(&net->address) == v6)
			continue;
		put_key(ends + used++ * set->key_bytes, &net->address, net->port);
		put_key(ends + used++ * set->key_bytes, &last, net->port);
	}
	nft_set_flush(nft, set);
	if (used)
		nft_concat_ranges_add(nft, set, ends, used / 2);
}

/* ---- all of them ---- */

/* Addresses go in the sets of their family, the unspecified one, which stands for all of this host's, in that of ports. */
static void put_addresses(struct nft *nft, const struct ruleset_bindings *bindings, const struct service_binding *list,
			  size_t count)
{
	static uint8_t keys[3][SERVICES_MAX * KEY_V6_BYTES];
	const struct nft_set *sets[3] = {&bindings->port, &bindings->v4, &bindings->v6};
	size_t used[3] = {0};

	for (size_t i = 0; i < count; i++) {
		const struct addr *address = &list[i].address;
		bool v4 = addr_is_v4(address);
		struct addr unspecified = addr_unspecified(!v4);
		unsigned which = addr_equal(address, &unspecified) ? 0 : v4 ? 1 : 2;
		uint8_t *key = keys[which] + used[which] * sets[which]->key_bytes;

		if (list[i].host_bits)
			continue;
		used[which]++;
		if (which)
			put_key(key, address, list[i].port);
		else
			store_be16(key, list[i].port);
	}
	for (unsigned which = 0; which < 3; which++) {
		nft_set_flush(nft, sets[which]);
		if (used[which])
			nft_elements_add(nft, sets[which], keys[which], used[which], 0);
	}
}

void bindings_put(struct nft *nft, const struct ruleset_bindings *bindings, const struct service_binding *list,
		  size_t count)
{
	put_addresses(nft, bindings, list, count);
	if (nets_are_same(&bindings->wanted, &bindings->held))
		return; /* arming is not to wait for a thousand networks that stay as they are */
	put_nets(nft, &bindings->nets_v4, &bindings->wanted, false);
	put_nets(nft, &bindings->nets_v6, &bindings->wanted, true);
}

void bindings_are_put(struct ruleset_bindings *bindings)
{
	bindings->held.count = bindings->wanted.count;
	memcpy(bindings->held.nets, bindings->wanted.nets, bindings->wanted.count * sizeof(bindings->wanted.nets[0]));
}
