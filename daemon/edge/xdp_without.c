/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xdp_without: what there is instead of xdp.c and xdp_lists.c in a build with XDP=0. */
#include "edge/xdp.h"

#include <errno.h>
#include <stdio.h>

struct xdp *xdp_open(const struct xdp_setup *setup, char *error, size_t error_bytes)
{
	(void)setup;
	snprintf(error, error_bytes, "this synmoatd was built without XDP");
	return NULL;
}

/* The rest is for who has one. */
void xdp_close(struct xdp *xdp)
{
	(void)xdp;
}

int xdp_attach(struct xdp *xdp, uint32_t interface, enum xdp_mode mode, bool *native)
{
	(void)xdp, (void)interface, (void)mode, (void)native;
	return -EOPNOTSUPP;
}

void xdp_detach(struct xdp *xdp, uint32_t interface)
{
	(void)xdp, (void)interface;
}

void xdp_follow_addresses(struct xdp *xdp)
{
	(void)xdp;
}

bool xdp_is_taken(uint32_t interface)
{
	(void)interface;
	return false;
}

void xdp_set_secret(struct xdp *xdp, const struct cookie_secret *secret)
{
	(void)xdp, (void)secret;
}

void xdp_set_cap(struct xdp *xdp, uint32_t replies_per_s)
{
	(void)xdp, (void)replies_per_s;
}

void xdp_set_sample(struct xdp *xdp, uint32_t per_s)
{
	(void)xdp, (void)per_s;
}

int xdp_answer_for(struct xdp *xdp, const struct addr *address, uint16_t port, unsigned index,
		   const struct service_learned *learned)
{
	(void)xdp, (void)address, (void)port, (void)index, (void)learned;
	return -EOPNOTSUPP;
}

void xdp_answer_no_more(struct xdp *xdp, const struct addr *address, uint16_t port)
{
	(void)xdp, (void)address, (void)port;
}

void xdp_forget_begun(struct xdp *xdp)
{
	(void)xdp;
}

void xdp_note_begun(struct xdp *xdp, const struct flow *flow)
{
	(void)xdp, (void)flow;
}

void xdp_age(struct xdp *xdp, uint64_t now_ns)
{
	(void)xdp, (void)now_ns;
}

void xdp_note_lasting(struct xdp *xdp, const struct flow *flow, uint64_t until_ns)
{
	(void)xdp, (void)flow, (void)until_ns;
}

int xdp_set_lists(struct xdp *xdp, const struct cidr_list *allow, const struct cidr_list *deny)
{
	(void)xdp, (void)allow, (void)deny;
	return -EOPNOTSUPP;
}

int xdp_ban(struct xdp *xdp, const struct addr *nets, size_t count, uint64_t until_ns)
{
	(void)xdp, (void)nets, (void)count, (void)until_ns;
	return -EOPNOTSUPP;
}

void xdp_unban(struct xdp *xdp, const struct addr *net)
{
	(void)xdp, (void)net;
}

void xdp_count(const struct xdp *xdp, unsigned index, struct xdp_counts *counts)
{
	(void)xdp, (void)index;
	*counts = (struct xdp_counts){0};
}
