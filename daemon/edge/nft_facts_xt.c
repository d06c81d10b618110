/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/nft_facts_parts.h"

#include <linux/netfilter/xt_CONNMARK.h>
#include <linux/netfilter/xt_CT.h>
#include <linux/netfilter/xt_MARK.h>
#include <linux/netfilter/xt_NFQUEUE.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <stddef.h>
#include <string.h>

#include "edge/answer.h"

void nft_facts_ports(struct nft_facts *facts, uint16_t first, uint16_t last)
{
	if (first > facts->port_first)
		facts->port_first = first;
	if (last < facts->port_last)
		facts->port_last = last;
}

void nft_facts_queues(struct nft_facts *facts, uint16_t first, uint16_t count)
{
	facts->queues = true;
	facts->queue_first = first;
	facts->queue_last = (uint16_t)(first + (count ? count - 1 : 0));
}

void nft_facts_match(struct nft_facts *facts, const struct nftnl_expr *expression)
{
	const char *name = answer_text(nftnl_expr_get_str(expression, NFTNL_EXPR_MT_NAME));
	uint32_t bytes = 0;
	const void *data = nftnl_expr_get(expression, NFTNL_EXPR_MT_INFO, &bytes);

	if (strcmp(name, "comment") == 0)
		return;
	facts->conditional = true;
	facts->not_tcp |= strcmp(name, "udp") == 0 || strcmp(name, "icmp") == 0 || strcmp(name, "icmp6") == 0;
	facts->state |= strcmp(name, "conntrack") == 0 || strcmp(name, "state") == 0;
	facts->rate |= strcmp(name, "limit") == 0 || strcmp(name, "hashlimit") == 0;
	if (strcmp(name, "mark") == 0 && data && bytes >= sizeof(struct xt_mark_mtinfo1)) {
		struct xt_mark_mtinfo1 mark;

		memcpy(&mark, data, sizeof(mark));
		facts->mark = !mark.invert;
		facts->mark_mask = mark.mask;
		facts->mark_value = mark.mark;
	} else if (strcmp(name, "tcp") == 0 && data && bytes >= sizeof(struct xt_tcp)) {
		struct xt_tcp tcp;

		memcpy(&tcp, data, sizeof(tcp));
		facts->source_port |= tcp.spts[0] != 0 || tcp.spts[1] != UINT16_MAX;
		if (!(tcp.invflags & XT_TCP_INV_DSTPT))
			nft_facts_ports(facts, tcp.dpts[0], tcp.dpts[1]);
	}
}

/* `data` is of `bytes`, which may be less than the struct: of older revisions, that begin alike. */
#define TARGET_COPY(target, data, bytes) memcpy(&(target), data, (bytes) < sizeof(target) ? (bytes) : sizeof(target))

static void target_ct(struct nft_facts *facts, const void *data, uint32_t bytes)
{
	struct xt_ct_target_info info = {.zone = 0};

	if (bytes < offsetof(struct xt_ct_target_info, ct_events)) /* every revision begins so */
		return;
	memcpy(&info, data, offsetof(struct xt_ct_target_info, ct_events));
	facts->notrack |= (info.flags & XT_CT_NOTRACK) != 0;
	facts->zone |= info.zone || info.flags & (XT_CT_ZONE_DIR_ORIG | XT_CT_ZONE_DIR_REPL | XT_CT_ZONE_MARK);
}

static void target_connmark(struct nft_facts *facts, const void *data, uint32_t bytes)
{
	struct xt_connmark_tginfo1 info = {.mode = XT_CONNMARK_SET};

	TARGET_COPY(info, data, bytes);
	if (info.mode == XT_CONNMARK_RESTORE)
		facts->mark_bits |= info.nfmask;
	else
		facts->ct_mark_bits |= info.ctmask | (info.mode == XT_CONNMARK_SET ? info.ctmark : 0);
}

void nft_facts_target(struct nft_facts *facts, const struct nftnl_expr *expression)
{
	const char *name = answer_text(nftnl_expr_get_str(expression, NFTNL_EXPR_TG_NAME));
	uint32_t bytes = 0;
	const void *data = nftnl_expr_get(expression, NFTNL_EXPR_TG_INFO, &bytes);

	facts->synproxy |= strcmp(name, "SYNPROXY") == 0;
	facts->notrack |= strcmp(name, "NOTRACK") == 0;
	facts->drops |= strcmp(name, "REJECT") == 0 || strcmp(name, "DROP") == 0;
	if (!data)
		return;
	if (strcmp(name, "NFQUEUE") == 0) {
		struct xt_NFQ_info_v3 info = {0};

		if (!nftnl_expr_get_u32(expression, NFTNL_EXPR_TG_REV) && bytes > sizeof(info.queuenum))
			bytes = sizeof(info.queuenum);
		TARGET_COPY(info, data, bytes);
		nft_facts_queues(facts, info.queuenum, info.queues_total);
	} else if (strcmp(name, "CT") == 0) {
		target_ct(facts, data, bytes);
	} else if (strcmp(name, "CONNMARK") == 0) {
		target_connmark(facts, data, bytes);
	} else if (strcmp(name, "MARK") == 0 && bytes >= sizeof(struct xt_mark_tginfo2)) {
		struct xt_mark_tginfo2 info;

		memcpy(&info, data, sizeof(info));
		facts->mark_bits |= info.mask | info.mark;
	}
}
