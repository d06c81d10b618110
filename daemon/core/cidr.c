/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/cidr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

_Static_assert(CIDR_TEXT_BYTES == INET6_ADDRSTRLEN + 4, "an address, \"/128\" and NUL");

/* ---- text ---- */

/* Decimal digits alone, no leading zero, at most `most`; -1 for anything else. */
static int parse_bits(const char *text, int most)
{
	int bits = 0;

	if (*text == '\0' || (*text == '0' && text[1] != '\0'))
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		bits = bits * 10 + (*text - '0');
		if (bits > most)
			return -1;
	}
	return bits;
}

/* An address alone, IPv4 not in its v4-mapped form: `v4` tells how it was written. */
static bool parse_addr(const char *text, struct addr *addr, bool *v4)
{
	uint8_t bytes[16];

	*v4 = inet_pton(AF_INET, text, bytes) == 1;
	if (*v4) {
		*addr = addr_from_v4(bytes);
		return true;
	}
	if (inet_pton(AF_INET6, text, bytes) != 1)
		return false;
	*addr = addr_from_v6(bytes);
	return true;
}

bool cidr_parse(const char *text, struct cidr *out, char why[CIDR_WHY_BYTES])
{
	const char *slash = strchrnul(text, '/');
	size_t address_bytes = (size_t)(slash - text);
	char address[INET6_ADDRSTRLEN];
	char meant[CIDR_TEXT_BYTES];
	struct cidr cidr;
	struct addr addr;
	int bits, most;
	bool v4;

	snprintf(why, CIDR_WHY_BYTES, "neither an address nor a network such as 192.0.2.0/24 or 2001:db8::/32");
	if (address_bytes >= sizeof(address))
		return false;
	memcpy(address, text, address_bytes);
	address[address_bytes] = '\0';
	if (!parse_addr(address, &addr, &v4))
		return false;
	if (!v4 && addr_is_v4(&addr)) {
		inet_ntop(AF_INET, addr_wire(&addr), meant, sizeof(meant));
		snprintf(why, CIDR_WHY_BYTES, "IPv4 within IPv6: write it as IPv4, %s", meant);
		return false;
	}
	most = v4 ? 128 - CIDR_V4_BITS : 128;
	bits = *slash ? parse_bits(slash + 1, most) : most;
	if (bits < 0) {
		snprintf(why, CIDR_WHY_BYTES, "the prefix length is a number from 0 to %d", most);
		return false;
	}
	cidr = cidr_of(&addr, (uint8_t)(bits + (v4 ? CIDR_V4_BITS : 0)));
	if (!addr_equal(&cidr.net, &addr)) {
		cidr_text(&cidr, meant);
		snprintf(why, CIDR_WHY_BYTES, "host bits are set: did you mean %s?", meant);
		return false;
	}
	*why = '\0';
	*out = cidr;
	return true;
}

void cidr_text(const struct cidr *cidr, char text[CIDR_TEXT_BYTES])
{
	bool v4 = cidr_is_v4(cidr);
	size_t used;

	inet_ntop(v4 ? AF_INET : AF_INET6, addr_wire(&cidr->net), text, CIDR_TEXT_BYTES);
	used = strlen(text);
	if (cidr->bits < 128)
		snprintf(text + used, CIDR_TEXT_BYTES - used, "/%d", cidr->bits - (v4 ? CIDR_V4_BITS : 0));
}

/* ---- networks ---- */

bool cidr_contains(const struct cidr *cidr, const struct addr *addr)
{
	struct addr net = addr_masked(addr, cidr->bits);

	return cidr_is_v4(cidr) == addr_is_v4(addr) && addr_equal(&net, &cidr->net);
}

static int compare(const struct cidr *one, const struct cidr *other)
{
	int order = memcmp(&one->net, &other->net, sizeof(one->net));

	return order ? order : (int)one->bits - (int)other->bits;
}

bool cidr_equal(const struct cidr *one, const struct cidr *other)
{
	return compare(one, other) == 0;
}

/* ---- lists ---- */

bool cidr_list_contains(const struct cidr_list *list, const struct addr *addr, struct cidr *which)
{
	bool found = false;

	for (size_t i = 0; i < list->count; i++) {
		if (!cidr_contains(&list->entries[i].cidr, addr))
			continue;
		found = true;
		if (which)
			*which = list->entries[i].cidr; /* of two that hold it the smaller comes later */
	}
	return found;
}

/* Where the network is, or would have to be. */
static size_t place(const struct cidr_list *list, const struct cidr *cidr)
{
	size_t low = 0;
	size_t high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&list->entries[middle].cidr, cidr) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct cidr_list *list, size_t at, const struct cidr *cidr)
{
	return at < list->count && cidr_equal(&list->entries[at].cidr, cidr);
}

/* The network's entry, new if need be, or NULL if there is no room for it. */
static struct cidr_entry *enter(struct cidr_list *list, const struct cidr *cidr)
{
	size_t at = place(list, cidr);
	struct cidr_entry *entry = &list->entries[at];

	if (is_at(list, at, cidr))
		return entry;
	if (list->count == CIDR_LIST_MAX)
		return NULL;
	memmove(entry + 1, entry, (list->count - at) * sizeof(*entry));
	list->count++;
	*entry = (struct cidr_entry){.cidr = *cidr};
	return entry;
}

enum cidr_change cidr_list_add(struct cidr_list *list, const struct cidr *cidr)
{
	struct cidr_entry *entry = enter(list, cidr);
	bool known;

	if (!entry)
		return CIDR_FULL;
	known = entry->configured || entry->live;
	entry->live = true;
	return known ? CIDR_UNCHANGED : CIDR_CHANGED;
}

enum cidr_change cidr_list_del(struct cidr_list *list, const struct cidr *cidr)
{
	size_t at = place(list, cidr);
	struct cidr_entry *entry = &list->entries[at];

	if (!is_at(list, at, cidr))
		return CIDR_UNKNOWN;
	if (entry->configured) {
		enum cidr_change change = entry->live ? CIDR_STILL_CONFIGURED : CIDR_CONFIGURED;

		entry->live = false;
		return change;
	}
	list->count--;
	memmove(entry, entry + 1, (list->count - at) * sizeof(*entry));
	return CIDR_CHANGED;
}

bool cidr_list_configure(struct cidr_list *list, const struct cidr *cidrs, size_t count)
{
	struct cidr_list next; /* 80 KiB of stack; the old one stays whole until all is known to fit */

	next.count = 0;
	for (size_t i = 0; i < list->count; i++)
		if (list->entries[i].live)
			next.entries[next.count++] = (struct cidr_entry){list->entries[i].cidr, .live = true};
	for (size_t i = 0; i < count; i++) {
		struct cidr_entry *entry = enter(&next, &cidrs[i]);

		if (!entry)
			return false;
		entry->configured = true;
	}
	list->count = next.count;
	memcpy(list->entries, next.entries, next.count * sizeof(next.entries[0]));
	return true;
}

/* ---- ranges ---- */

static struct addr last_of(const struct cidr *cidr)
{
	struct addr last = cidr->net;

	for (unsigned bit = cidr->bits; bit < 128; bit = (bit / 8 + 1) * 8)
		last.bytes[bit / 8] |= (uint8_t)(0xff >> (bit % 8));
	return last;
}

/* Whether nothing lies between `last` and `first`, or they overlap. */
static bool touches(const struct addr *last, const struct addr *first)
{
	struct addr next = *last;

	for (unsigned at = sizeof(next.bytes); at-- > 0;)
		if (++next.bytes[at] != 0)
			return memcmp(first, &next, sizeof(next)) <= 0;
	return true; /* behind the last address there is none */
}

size_t cidr_list_ranges(const struct cidr_list *list, bool v6, struct cidr_range *out, size_t most)
{
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++) {
		const struct cidr *cidr = &list->entries[i].cidr;
		struct addr last = last_of(cidr);

		if (cidr_is_v4(cidr) == v6)
			continue;
		if (count && touches(&out[count - 1].last, &cidr->net)) {
			if (memcmp(&last, &out[count - 1].last, sizeof(last)) > 0)
				out[count - 1].last = last;
			continue;
		}
		if (count == most)
			break;
		out[count++] = (struct cidr_range){cidr->net, last};
	}
	return count;
}
