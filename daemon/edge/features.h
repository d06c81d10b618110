/* SPDX-License-Identifier: GPL-2.0-or-later */
/* features: what the kernel offers of what we need, asked without a trace: nothing is made, bound, or hooked in, so that
 * packets in queues and connections pass undisturbed. A module that is missing is loaded by the question, as it would be
 * by the daemon's start. */
#ifndef SYNMOAT_FEATURES_H
#define SYNMOAT_FEATURES_H

enum feature {
	FEATURE_NFTABLES,   /* tables of family inet */
	FEATURE_QUEUE_RULE, /* a rule that leads to a queue, nft's own or that of xtables */
	FEATURE_CT,         /* the expressions that we cannot do without */
	FEATURE_FIB,
	FEATURE_LIMIT,
	FEATURE_REJECT, /* and those without which something is not counted or not answered */
	FEATURE_OBJREF,
	FEATURE_LOG,     /* a rule that logs to a group: without it all SYNs are queued */
	FEATURE_NFQUEUE, /* queues to a process */
	FEATURE_CTNETLINK,
	FEATURE_SOCK_DIAG,
	FEATURE_RAW_SOCKETS,
	FEATURE_COUNT,
};

/* 0, or -errno: -EPERM when it is not for us to ask. */
void features_probe(int results[FEATURE_COUNT]);

/* Whether the table is there, in family inet: 1, 0, or -errno. */
int features_table(const char *name);

#endif
