/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>

#include "edge/nft_facts_parts.h"

#include <libnftnl/expr.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <stddef.h>
#include <string.h>

#include "edge/answer.h"

#define WORDS 16 /* 32-bit registers */

/* What is in a register. */
enum content {
	CONTENT_OTHER,
	CONTENT_PROTOCOL,
	CONTENT_SOURCE_PORT,
	CONTENT_PORT,
	CONTENT_MARK,
	CONTENT_CT_MARK,
	CONTENT_STATE,
	CONTENT_CONSTANT,
};

struct word {
	enum content content;
	uint32_t keeps; /* of what was loaded */
	uint32_t adds;  /* then turned over */
};

struct reading {
	struct nft_facts *facts;
	uint32_t family;
	struct word words[WORDS];
};

/* nft_parse_register() (net/netfilter/nf_tables_api.c): four of 16 bytes, or sixteen of 4. */
static struct word *word_of(struct reading *reading, uint32_t reg)
{
	uint32_t word = reg >= NFT_REG32_00 ? reg - NFT_REG32_00 : (reg - NFT_REG_1) * 4;

	return &reading->words[word % WORDS];
}

static void load(struct reading *reading, uint32_t reg, enum content content)
{
	*word_of(reading, reg) = (struct word){content, UINT32_MAX, 0};
}

static uint32_t first_word(const void *data, uint32_t bytes)
{
	uint32_t value = 0;

	if (data)
		memcpy(&value, data, bytes < sizeof(value) ? bytes : sizeof(value));
	return value;
}

static uint32_t data_word(const struct nftnl_expr *expression, uint16_t attribute)
{
	uint32_t bytes = 0;
	const void *data = nftnl_expr_get(expression, attribute, &bytes);

	return first_word(data, bytes);
}

/* ---- loading ---- */

static void read_payload(struct reading *reading, const struct nftnl_expr *expression)
{
	static const struct {
		uint32_t family, base, offset, bytes;
		enum content content;
	} known[] = {
		{NFPROTO_IPV4, NFT_PAYLOAD_NETWORK_HEADER, 9, 1, CONTENT_PROTOCOL},
		{NFPROTO_IPV6, NFT_PAYLOAD_NETWORK_HEADER, 6, 1, CONTENT_PROTOCOL},
		{0, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, CONTENT_SOURCE_PORT},
		{0, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, CONTENT_PORT},
	};
	enum content content = CONTENT_OTHER;

	if (!nftnl_expr_is_set(expression, NFTNL_EXPR_PAYLOAD_DREG))
		return;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if ((!known[i].family || known[i].family == reading->family) &&
		    nftnl_expr_get_u32(expression, NFTNL_EXPR_PAYLOAD_BASE) == known[i].base &&
		    nftnl_expr_get_u32(expression, NFTNL_EXPR_PAYLOAD_OFFSET) == known[i].offset &&
		    nftnl_expr_get_u32(expression, NFTNL_EXPR_PAYLOAD_LEN) == known[i].bytes)
			content = known[i].content;
	load(reading, nftnl_expr_get_u32(expression, NFTNL_EXPR_PAYLOAD_DREG), content);
}

/* The bits that change when the register becomes the mark: all, unless it was made from that mark itself. */
static uint32_t bits_changed(const struct word *word, enum content mark)
{
	return word->content == mark ? ~word->keeps | word->adds : UINT32_MAX;
}

static void read_meta(struct reading *reading, const struct nftnl_expr *expression)
{
	uint32_t key = nftnl_expr_get_u32(expression, NFTNL_EXPR_META_KEY);

	if (nftnl_expr_is_set(expression, NFTNL_EXPR_META_DREG))
		load(reading, nftnl_expr_get_u32(expression, NFTNL_EXPR_META_DREG),
		     key == NFT_META_L4PROTO ? CONTENT_PROTOCOL
		     : key == NFT_META_MARK  ? CONTENT_MARK
					     : CONTENT_OTHER);
	else if (key == NFT_META_MARK)
		reading->facts->mark_bits |= bits_changed(
			word_of(reading, nftnl_expr_get_u32(expression, NFTNL_EXPR_META_SREG)), CONTENT_MARK);
}

static void read_ct(struct reading *reading, const struct nftnl_expr *expression)
{
	uint32_t key = nftnl_expr_get_u32(expression, NFTNL_EXPR_CT_KEY);

	if (nftnl_expr_is_set(expression, NFTNL_EXPR_CT_DREG)) {
		load(reading, nftnl_expr_get_u32(expression, NFTNL_EXPR_CT_DREG),
		     key == NFT_CT_STATE  ? CONTENT_STATE
		     : key == NFT_CT_MARK ? CONTENT_CT_MARK
					  : CONTENT_OTHER);
	} else if (key == NFT_CT_MARK) {
		reading->facts->ct_mark_bits |= bits_changed(
			word_of(reading, nftnl_expr_get_u32(expression, NFTNL_EXPR_CT_SREG)), CONTENT_CT_MARK);
	} else if (key == NFT_CT_ZONE) {
		reading->facts->zone = true;
	}
}

static void read_bitwise(struct reading *reading, const struct nftnl_expr *expression)
{
	struct word word = *word_of(reading, nftnl_expr_get_u32(expression, NFTNL_EXPR_BITWISE_SREG));
	uint32_t mask = data_word(expression, NFTNL_EXPR_BITWISE_MASK);

	if (nftnl_expr_is_set(expression, NFTNL_EXPR_BITWISE_OP) &&
	    nftnl_expr_get_u32(expression, NFTNL_EXPR_BITWISE_OP) != NFT_BITWISE_BOOL) {
		word.content = CONTENT_OTHER;
	} else {
		word.keeps &= mask;
		word.adds = (word.adds & mask) ^ data_word(expression, NFTNL_EXPR_BITWISE_XOR);
	}
	*word_of(reading, nftnl_expr_get_u32(expression, NFTNL_EXPR_BITWISE_DREG)) = word;
}

/* ---- conditions ---- */

static void compare(struct reading *reading, const struct word *word, uint32_t operation, uint32_t value)
{
	struct nft_facts *facts = reading->facts;
	bool equal = operation == NFT_CMP_EQ;
	uint16_t port = ntohs((uint16_t)value);

	switch (word->content) {
	case CONTENT_PROTOCOL:
		facts->not_tcp |= (equal && (uint8_t)value != IPPROTO_TCP) ||
				  (operation == NFT_CMP_NEQ && (uint8_t)value == IPPROTO_TCP);
		break;
	case CONTENT_PORT:
		if (equal || operation == NFT_CMP_GTE)
			nft_facts_ports(facts, port, UINT16_MAX);
		if (equal || operation == NFT_CMP_LTE)
			nft_facts_ports(facts, 0, port);
		break;
	case CONTENT_MARK:
		facts->mark = equal;
		facts->mark_mask = word->keeps;
		facts->mark_value = value ^ word->adds;
		break;
	case CONTENT_STATE: /* `ct state a,b`: what is left under a mask is not 0 */
		facts->untracked = operation == NFT_CMP_NEQ && value == 0 && word->keeps & NF_CT_STATE_UNTRACKED_BIT;
		break;
	default:
		break;
	}
}

/* What the register holds is asked for, whichever way. */
static struct word *condition_on(struct reading *reading, uint32_t reg)
{
	struct word *word = word_of(reading, reg);

	reading->facts->conditional = true;
	reading->facts->source_port |= word->content == CONTENT_SOURCE_PORT;
	reading->facts->state |= word->content == CONTENT_STATE;
	return word;
}

static void read_range(struct reading *reading, const struct nftnl_expr *expression)
{
	const struct word *word = condition_on(reading, nftnl_expr_get_u32(expression, NFTNL_EXPR_RANGE_SREG));

	if (nftnl_expr_get_u32(expression, NFTNL_EXPR_RANGE_OP) != NFT_RANGE_EQ)
		return;
	compare(reading, word, NFT_CMP_GTE, data_word(expression, NFTNL_EXPR_RANGE_FROM_DATA));
	compare(reading, word, NFT_CMP_LTE, data_word(expression, NFTNL_EXPR_RANGE_TO_DATA));
}

/* ---- what is done ---- */

static void read_match(struct reading *reading, const struct nftnl_expr *expression)
{
	nft_facts_match(reading->facts, expression);
}

static void read_target(struct reading *reading, const struct nftnl_expr *expression)
{
	nft_facts_target(reading->facts, expression);
}

static void read_immediate(struct reading *reading, const struct nftnl_expr *expression)
{
	uint32_t reg = nftnl_expr_get_u32(expression, NFTNL_EXPR_IMM_DREG);
	int verdict = (int)nftnl_expr_get_u32(expression, NFTNL_EXPR_IMM_VERDICT);

	if (reg != NFT_REG_VERDICT) {
		load(reading, reg, CONTENT_CONSTANT);
		return;
	}
	reading->facts->accepts |= verdict == NF_ACCEPT;
	reading->facts->drops |= verdict == NF_DROP;
}

static void read_queue(struct reading *reading, const struct nftnl_expr *expression)
{
	if (nftnl_expr_is_set(expression, NFTNL_EXPR_QUEUE_NUM)) /* else from a map, whose values are not known here */
		nft_facts_queues(reading->facts, nftnl_expr_get_u16(expression, NFTNL_EXPR_QUEUE_NUM),
				 nftnl_expr_get_u16(expression, NFTNL_EXPR_QUEUE_TOTAL));
}

static void read_compare(struct reading *reading, const struct nftnl_expr *expression)
{
	const struct word *word = condition_on(reading, nftnl_expr_get_u32(expression, NFTNL_EXPR_CMP_SREG));

	compare(reading, word, nftnl_expr_get_u32(expression, NFTNL_EXPR_CMP_OP),
		data_word(expression, NFTNL_EXPR_CMP_DATA));
}

static void read_lookup(struct reading *reading, const struct nftnl_expr *expression)
{
	condition_on(reading, nftnl_expr_get_u32(expression, NFTNL_EXPR_LOOKUP_SREG));
}

static void read_notrack(struct reading *reading, const struct nftnl_expr *expression)
{
	(void)expression;
	reading->facts->notrack = true;
}

static void read_synproxy(struct reading *reading, const struct nftnl_expr *expression)
{
	(void)expression;
	reading->facts->synproxy = true;
}

static void read_reject(struct reading *reading, const struct nftnl_expr *expression)
{
	(void)expression;
	reading->facts->drops = true;
}

static void read_limit(struct reading *reading, const struct nftnl_expr *expression)
{
	(void)expression;
	reading->facts->conditional = reading->facts->rate = true;
}

/* A set that packets are added to, with a limit for each element. */
static void read_dynset(struct reading *reading, const struct nftnl_expr *expression)
{
	bool rate = nftnl_expr_is_set(expression, NFTNL_EXPR_DYNSET_EXPR) ||
		    nftnl_expr_is_set(expression, NFTNL_EXPR_DYNSET_EXPRESSIONS);

	reading->facts->conditional |= rate;
	reading->facts->rate |= rate;
}

static void read_nothing(struct reading *reading, const struct nftnl_expr *expression)
{
	(void)reading;
	(void)expression;
}

static int expression_seen(struct nftnl_expr *expression, void *context)
{
	static const struct {
		const char *name;
		void (*read)(struct reading *reading, const struct nftnl_expr *expression);
	} known[] = {
		{"payload", read_payload}, {"meta", read_meta},           {"ct", read_ct},
		{"bitwise", read_bitwise}, {"cmp", read_compare},         {"range", read_range},
		{"lookup", read_lookup},   {"match", read_match},         {"target", read_target},
		{"queue", read_queue},     {"immediate", read_immediate}, {"notrack", read_notrack},
		{"reject", read_reject},   {"synproxy", read_synproxy},   {"limit", read_limit},
		{"connlimit", read_limit}, {"dynset", read_dynset},       {"counter", read_nothing},
		{"log", read_nothing},
	};
	const char *name = answer_text(nftnl_expr_get_str(expression, NFTNL_EXPR_NAME));
	struct reading *reading = context;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(name, known[i].name) == 0) {
			known[i].read(reading, expression);
			return 0;
		}
	reading->facts->conditional = true;
	return 0;
}

void nft_facts_read(const struct nftnl_rule *rule, struct nft_facts *facts)
{
	struct reading reading = {facts, nftnl_rule_get_u32(rule, NFTNL_RULE_FAMILY), {{0}}};

	*facts = (struct nft_facts){.port_last = UINT16_MAX};
	nftnl_expr_foreach((struct nftnl_rule *)rule, expression_seen, &reading);
}
