/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cidr: networks in prefix notation (RFC 4632 3.1, RFC 4291 2.3) and lists of them: who is let past, who is refused.
 *
 * IPv4 and IPv6 never mix: ::/0 holds no IPv4 address, although IPv4 addresses are stored v4-mapped. */
#ifndef SYNMOAT_CIDR_H
#define SYNMOAT_CIDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "synmoat/addr.h"

#define CIDR_V4_BITS 96    /* what the v4-mapped form adds to an IPv4 prefix length */
#define CIDR_TEXT_BYTES 50 /* the longest IPv6 text with its NUL, and "/128" */
#define CIDR_WHY_BYTES 128

struct cidr {
	struct addr net; /* host bits are zero */
	uint8_t bits;    /* 0..128; of IPv4 CIDR_V4_BITS more than is written */
};

/* "192.0.2.0/24", "2001:db8::/32", or an address, which means itself alone. On error it returns false, `out` is as it
 * was, and `why` says what is wrong with the text and, if that can be guessed, what was meant. */
bool cidr_parse(const char *text, struct cidr *out, char why[CIDR_WHY_BYTES]);

/* As cidr_parse() takes it, without a prefix length for one address. */
void cidr_text(const struct cidr *cidr, char text[CIDR_TEXT_BYTES]);

static inline bool cidr_is_v4(const struct cidr *cidr)
{
	return addr_is_v4(&cidr->net);
}

/* The network of `bits` (as in struct cidr) that an address is in. */
static inline struct cidr cidr_of(const struct addr *addr, uint8_t bits)
{
	return (struct cidr){addr_masked(addr, bits), bits};
}

bool cidr_contains(const struct cidr *cidr, const struct addr *addr);
bool cidr_equal(const struct cidr *one, const struct cidr *other);

#define CIDR_LIST_MAX 4096

struct cidr_entry {
	struct cidr cidr;
	bool configured; /* from the configuration, */
	bool live;       /* or added since the start, or both */
};

/* All zero is an empty list. Sorted by network, a wider one before those within it. */
struct cidr_list {
	size_t count;
	struct cidr_entry entries[CIDR_LIST_MAX];
};

/* Whether the address is in one of the networks; `which`, unless NULL, is the smallest of them. For reports, not for
 * packets: it looks at every entry. */
bool cidr_list_contains(const struct cidr_list *list, const struct addr *addr, struct cidr *which);

enum cidr_change {
	CIDR_CHANGED,          /* the list holds another set of networks now */
	CIDR_UNCHANGED,        /* added before, by whatever way */
	CIDR_FULL,             /* not added */
	CIDR_CONFIGURED,       /* nothing changed: the configuration has it */
	CIDR_STILL_CONFIGURED, /* no longer live; it stays, because the configuration has it, too */
	CIDR_UNKNOWN,          /* no such entry, though a wider one may hold it */
};

/* Adds as live, and removes what was added so. */
enum cidr_change cidr_list_add(struct cidr_list *list, const struct cidr *cidr);
enum cidr_change cidr_list_del(struct cidr_list *list, const struct cidr *cidr);

/* Replaces the configured entries, in any order and with repetitions; live ones stay. False if they do not all fit: then
 * nothing has changed. */
bool cidr_list_configure(struct cidr_list *list, const struct cidr *cidrs, size_t count);

/* Both ends belong to it. */
struct cidr_range {
	struct addr first, last;
};

/* One family's networks as ranges in ascending order, with gaps between them: what an interval set of nftables takes.
 * Returns how many; with room for `list->count` of them none is left out. */
size_t cidr_list_ranges(const struct cidr_list *list, bool v6, struct cidr_range *out, size_t most);

#endif
