/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nft: nftables by transactions, through libnftnl. Knows tables, sets, rules and the expressions ours are made of; what
 * the rules mean is ruleset's matter.
 *
 * nft.c       transactions: tables, chains, sets, elements, counters
 * nft_rule.c  what a rule is made of
 * nft_read.c  what the kernel has: elements, counters, others' chains and rules; what those mean: nft_others.h */
#ifndef SYNMOAT_NFT_H
#define SYNMOAT_NFT_H

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/rule.h>
#include <linux/netfilter/nf_tables.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One netlink socket; tables created with NFT_TABLE_F_OWNER live as long as it is open. Not to be open over a fork. */
struct nft {
	struct mnl_socket *socket;
	uint32_t seq;
	uint32_t set_id;
	struct mnl_nlmsg_batch *batch;
	bool overflow;       /* the transaction did not fit */
	const char *table;   /* the one that chains, sets and rules are put in */
	bool native_queue;   /* the kernel has nft's own `queue` expression */
	bool named_counters; /* and `objref`, which leads to a counter with a name */
	bool reject;         /* and `reject`, before routing, too */
	uint64_t
		until_ns; /* CLOCK_MONOTONIC: what is read longer is given up with -ETIME, and then so is `nft`; 0: never */
	_Alignas(8) char buffer[3 << 19];
};

/* What one transaction can hold: so much behind it belongs to the message that goes too far. */
#define NFT_MESSAGE_BYTES_MAX (128 << 10)
#define NFT_TRANSACTION_BYTES_MAX (sizeof(((struct nft *)0)->buffer) - NFT_MESSAGE_BYTES_MAX)

/* 0 or -errno. */
int nft_open(struct nft *nft);
void nft_close(struct nft *nft);

/* A transaction: everything between takes effect at once or not at all. nft_commit() returns 0 or the first -errno. */
void nft_begin(struct nft *nft);
int nft_commit(struct nft *nft);

/* As nft_commit(), but the kernel only checks: nothing takes effect. */
int nft_dry_run(struct nft *nft);

void nft_table_add(struct nft *nft, const char *name, uint32_t flags, bool exclusive);
void nft_table_delete(struct nft *nft, const char *name);

/* A chain without hook. */
void nft_chain_add(struct nft *nft, const char *name);
void nft_base_chain_add(struct nft *nft, const char *name, uint32_t hook, int32_t priority);

struct nft_set {
	const char *name;
	uint32_t id;
	uint32_t key_bytes;
	uint32_t key_type; /* for those who list it: NFT_TYPE_*, six bits a field */
};

/* As the nft tool numbers them (nftables, include/datatype.h). */
enum {
	NFT_TYPE_IPV4 = 7,
	NFT_TYPE_IPV6 = 8,
	NFT_TYPE_PORT = 13,
};

/* `flags` NFT_SET_*; `size` 0 = unbounded; `timeout_s` 0 = none. */
void nft_set_add(struct nft *nft, struct nft_set *set, uint32_t flags, uint32_t size, uint64_t timeout_s);
/* One whose elements are ranges of each of `count` fields, of that many bytes, each padded to words in the key. */
void nft_concat_set_add(struct nft *nft, struct nft_set *set, const uint8_t *fields_bytes, unsigned count);
void nft_set_flush(struct nft *nft, const struct nft_set *set);

/* Elements of `set->key_bytes` each, in one message; at most NFT_ELEMENTS_MAX of 20 bytes, or half as many of more: the
 * length of a netlink attribute has 16 bits. One that is there already stays as it is, but for its timeout, which kernels
 * from 6.12 on take over. To delete one that is not there fails the transaction with -ENOENT. */
#define NFT_ELEMENTS_MAX 1024
void nft_elements_add(struct nft *nft, const struct nft_set *set, const void *keys, size_t count, uint64_t timeout_s);
void nft_elements_delete(struct nft *nft, const struct nft_set *set, const void *keys, size_t count);

/* Ranges of a set with NFT_SET_INTERVAL, `ends` their first and last keys in turn, both inclusive, ascending and with
 * gaps between them; in one message, at most NFT_RANGES_MAX. */
#define NFT_RANGES_MAX (NFT_ELEMENTS_MAX / 2)
void nft_ranges_add(struct nft *nft, const struct nft_set *set, const void *ends, size_t count);

/* Elements of a set of nft_concat_set_add(), `ends` as above: of each field the first and the last value. At most
 * NFT_ELEMENTS_MAX in one message. One that overlaps another fails the transaction with -EEXIST. */
void nft_concat_ranges_add(struct nft *nft, const struct nft_set *set, const void *ends, size_t count);
#define NFT_CONCAT_RANGE_BYTES_MAX(key_bytes) (5 * 4 + 2 * (((key_bytes) + 3) & ~3))

/* What an element, or one of the two of a range, takes in a message: three attribute headers, key, and flags. */
#define NFT_ELEMENT_BYTES_MAX(key_bytes) (3 * 4 + (((key_bytes) + 3) & ~3) + 8)

/* A counter that rules refer to by nft_count(), and that stays when they go. */
void nft_counter_add(struct nft *nft, const char *name);

void nft_rules_flush(struct nft *nft, const char *chain);

/* ---- questions; outside of transactions ---- */

#define NFT_ELEMENT_KEY_MAX 16
struct nft_element {
	uint8_t key[NFT_ELEMENT_KEY_MAX];
	uint64_t left_ms; /* until it times out */
};

/* What is in a set with keys of at most NFT_ELEMENT_KEY_MAX bytes, in ascending order. Returns the number, and an array
 * to free() in `out`; or -errno: -EINTR if others change nftables faster than it can be read. */
int nft_elements_read(struct nft *nft, const struct nft_set *set, struct nft_element **out);

/* The packets that named counters have counted; 0 and -EOPNOTSUPP where the kernel has none. 0 or -errno as above. */
int nft_counters_read(struct nft *nft, const char *const names[], uint64_t packets[], size_t count);

/* Everybody's chains and rules. `seen` returns 0, or -errno to give up. 0 or -errno: -EPERM without CAP_NET_ADMIN, -EINTR
 * if others changed nftables meanwhile: then forget what was seen, and try again. */
#define NFT_READ_ATTEMPTS 8
typedef int nft_chain_seen(const struct nftnl_chain *chain, void *context);
typedef int nft_rule_seen(const struct nftnl_rule *rule, void *context);
int nft_chains_read(struct nft *nft, nft_chain_seen *seen, void *context);
int nft_rules_read(struct nft *nft, nft_rule_seen *seen, void *context);

/* ---- rules: matches and actions in the order of evaluation; register 0 is theirs ---- */

struct nftnl_rule *nft_rule(struct nft *nft, const char *chain);
void nft_rule_end(struct nft *nft, struct nftnl_rule *rule);

void nft_match_incoming_loopback(struct nftnl_rule *rule);
void nft_match_family(struct nftnl_rule *rule, uint8_t nfproto);
/* The source is no host's address: one of this host's own, broadcast or multicast. */
void nft_match_odd_source(struct nftnl_rule *rule);
/* The destination is an address of this host. */
void nft_match_local_destination(struct nftnl_rule *rule);
void nft_match_protocol(struct nftnl_rule *rule, uint8_t protocol);
void nft_match_tcp_flags(struct nftnl_rule *rule, uint8_t mask, uint8_t value);
void nft_match_icmp(struct nftnl_rule *rule, uint8_t type, int code); /* code -1 = any */
void nft_match_mark(struct nftnl_rule *rule, uint32_t mask, uint32_t value, bool equal);
void nft_match_ct_mark(struct nftnl_rule *rule, uint32_t mask, uint32_t value, bool equal);
void nft_match_ct_state(struct nftnl_rule *rule, uint32_t states); /* any of */
void nft_match_ct_direction(struct nftnl_rule *rule, uint8_t direction);
void nft_match_ct_assured(struct nftnl_rule *rule);                     /* its handshake is done */
void nft_match_ipv4_fragment(struct nftnl_rule *rule, uint16_t offset); /* bytes, a multiple of 8 */

/* A field of a header into the 32-bit registers from `word` (0..15) on. */
void nft_load_payload(struct nftnl_rule *rule, enum nft_payload_bases base, uint32_t offset, uint32_t bytes,
		      unsigned word);
/* Clears the bits of word 0 and those behind it that are 0 in `mask`. */
void nft_mask(struct nftnl_rule *rule, const void *mask, uint32_t bytes);
/* The loaded key is, or is not, in the set. */
void nft_lookup(struct nftnl_rule *rule, const struct nft_set *set, bool inverted);
/* NFT_DYNSET_OP_UPDATE or _DELETE of the loaded key. */
void nft_set_change(struct nftnl_rule *rule, const struct nft_set *set, uint32_t operation);

/* mark = (mark & ~clear) | set */
void nft_set_mark(struct nftnl_rule *rule, uint32_t clear, uint32_t set);
void nft_set_ct_mark(struct nftnl_rule *rule, uint32_t clear, uint32_t set);

void nft_match_not_ethernet(struct nftnl_rule *rule); /* the interface that it came in on */
void nft_match_ipsec(struct nftnl_rule *rule);        /* it came out of a tunnel */
void nft_match_cpu(struct nftnl_rule *rule, uint32_t mask, uint32_t value);
void nft_log_to(struct nftnl_rule *rule, uint16_t group);
void nft_limit_per_second(struct nftnl_rule *rule, uint64_t rate, uint32_t burst);
/* About one segment in 16 of a connection in use; of some connections none. */
void nft_match_tcp_sample(struct nftnl_rule *rule);
void nft_notrack(struct nftnl_rule *rule);
void nft_counter(struct nftnl_rule *rule);
/* Counts in a named counter, where the kernel has them. */
void nft_count(const struct nft *nft, struct nftnl_rule *rule, const char *name);
void nft_load_ct_state(struct nftnl_rule *rule);
/* Answers with a TCP reset and drops; where the kernel cannot, it only drops. Ends the rule. */
void nft_reset(const struct nft *nft, struct nftnl_rule *rule);

/* Ends the rule: NFT_RETURN, NF_ACCEPT, NF_DROP, or NFT_JUMP, NFT_GOTO to `chain`. */
void nft_verdict(struct nftnl_rule *rule, int verdict, const char *chain);

/* To one of `count` queues from `first` on, chosen by the hash of both addresses. When nobody listens the packet passes
 * if `bypass`, else it is dropped. */
void nft_queue(struct nft *nft, struct nftnl_rule *rule, uint16_t first, uint16_t count, bool bypass);

#endif
