/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: this host's interfaces, their addresses and which of them a default route leads through, and word when any of it
 * changes: rtnetlink(7), through libmnl. Main thread only. */
#ifndef SYNMOAT_LINKS_H
#define SYNMOAT_LINKS_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "synmoat/addr.h"

#define LINKS_MAX 4096
#define LINKS_ADDRESSES_MAX 4096

struct link {
	uint32_t index;
	char name[IF_NAMESIZE];
	bool up; /* and not of loopback */
	bool ethernet;
	bool has_address; /* other than link-local */
	bool leads_out;   /* Ethernet, and a default route of the main table goes there */
	bool has_vlans;   /* interfaces that carry a tag of it, or of a bond or bridge that it is a port of */
};

/* As it was when it was read. */
struct links {
	struct link *links;
	size_t count;
	struct addr *addresses; /* local ones, not of loopback; each once */
	size_t address_count;
	bool cut; /* there was more than room */
};

/* 0 or -errno, and then `links` is as it was. Else it is replaced; all zero is an empty one. Without `routes` nothing is known to
 * lead out. However many of them there are, it takes no longer. */
int links_read(struct links *links, bool routes);
void links_free(struct links *links);

/* Whether the interface takes the tag off a packet before anybody sees it. */
bool links_strip_tags(const char *name);

/* ---- the watch ---- */

/* A socket that is readable when something may have changed, or -errno. */
int links_watch(void);

/* Takes what has come; returns whether it means that links_read() would tell another story: also when some was lost. */
bool links_changed(int watch_fd);

#endif
