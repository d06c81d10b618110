/* SPDX-License-Identifier: GPL-2.0-or-later */
/* outcome: every way a packet or a connection can end here, one name each.
 *
 * The enum is the counter's index, the key in `synmoatctl status --json` and the word in tests. Each SYN received is
 * accounted for by `syn_received` and exactly one of the other syn_* outcomes, or waits to be: see account.h. */
#ifndef SYNMOAT_OUTCOME_H
#define SYNMOAT_OUTCOME_H

/* OUTCOME(id, name, what it counts) */
#define OUTCOMES(OUTCOME) \
	OUTCOME(SYN_RECEIVED, "syn_received", "SYNs seen for a protected service") \
	OUTCOME(SYN_ACCEPTED, "syn_accepted", "SYNs passed to the kernel, half-open now") \
	OUTCOME(SYN_RETRANSMITTED, "syn_retransmitted", "SYNs of a handshake already counted, passed") \
	OUTCOME(SYN_DIRECT, "syn_direct", "SYNs of proven sources to an armed service, passed to the kernel") \
	OUTCOME(SYN_CHALLENGED, "syn_challenged", "SYNs answered with a cookie (observe: would have been)") \
	OUTCOME(SYN_SOURCE_CHALLENGED, "syn_source_challenged", "so answered on account of their source alone") \
	OUTCOME(SYN_ALLOWED, "syn_allowed", "SYNs of allowed sources, passed by the kernel's own rule") \
	OUTCOME(SYN_DENIED, "syn_denied", "SYNs of denied sources, dropped there (observe: would have been)") \
	OUTCOME(SYN_BANNED, "syn_banned", "SYNs of banned sources, dropped there (observe: would have been)") \
	OUTCOME(SYN_CAPPED, "syn_capped", "SYNs left without an answer to spare a bystander") \
	OUTCOME(SYN_UNANSWERED, "syn_unanswered", "SYNs dropped by the XDP program, which could not make its answer") \
	OUTCOME(SYN_TO_LEARN, "syn_to_learn", "SYNs of an armed service passed to learn from the server's answer") \
	OUTCOME(SYN_UNFOUND, "syn_unfound", "SYNs into a network, to a server that has not answered yet, passed") \
	OUTCOME(SYN_SIGNED, "syn_signed", "SYNs with a signature for the kernel to check (TCP-MD5, TCP-AO), passed") \
	OUTCOME(SYN_UNKNOWN, "syn_unknown", "SYNs to no service any more, passed") \
	OUTCOME(SYN_MALFORMED, "syn_malformed", "SYNs that could not be parsed, or have a wrong checksum, dropped while armed") \
	OUTCOME(SYN_SHED, "syn_shed", "SYNs beyond the queue's rate that no cookie may answer, dropped") \
	OUTCOME(SYN_ODD_SOURCE, "syn_odd_source", "SYNs to armed services from what is no host's address, dropped") \
	OUTCOME(SYN_OVERRUN, "syn_overrun", "SYNs dropped unseen, for a queue or the spill had no room") \
	OUTCOME(SYN_UNSEEN, "syn_unseen", "SYNs passed unseen, for a queue had no room (on_overload)") \
	OUTCOME(SYNACK_UNSENT, "synack_unsent", "cookies and resets to clients that could not be sent") \
	OUTCOME(ACK_COOKIE_VALID, "ack_cookie_valid", "third ACKs with a valid cookie") \
	OUTCOME(ACK_COOKIE_INVALID, "ack_cookie_invalid", "ACKs without one, left to conntrack") \
	OUTCOME(ACK_SHED, "ack_shed", "ACKs without one dropped by the XDP program, beyond its limit") \
	OUTCOME(STRAY_RESET, "stray_reset", "segments of connections that nobody knows, answered with a RST") \
	OUTCOME(ACK_OVER_RATE, "ack_over_rate", "third ACKs with a valid cookie refused for their source's rate") \
	OUTCOME(ACK_HELD, "ack_held", "packets held until the server answered") \
	OUTCOME(ACK_HOLD_FULL, "ack_hold_full", "packets dropped for lack of room to hold them") \
	OUTCOME(ACK_AFTER_HANDOVER, "ack_after_handover", "packets of a handed-over connection, passed") \
	OUTCOME(HANDED_OVER, "handed_over", "connections handed to the kernel") \
	OUTCOME(HANDOVER_FAILED, "handover_failed", "handovers that ended in a RST or were given up") \
	OUTCOME(HANDOVER_REFUSED, "handover_refused", "handovers the server answered with RST") \
	OUTCOME(HANDOVER_TABLE_FULL, "handover_table_full", "third ACKs dropped for lack of room") \
	OUTCOME(HANDOVER_RETRIED, "handover_retried", "rewritten SYNs sent again through the client") \
	OUTCOME(HALF_OPEN_COMPLETED, "half_open_completed", "half-open entries ended by an ACK") \
	OUTCOME(HALF_OPEN_RESET, "half_open_reset", "half-open entries ended by a RST") \
	OUTCOME(HALF_OPEN_EXPIRED, "half_open_expired", "half-open entries ended by the timeout") \
	OUTCOME(HALF_OPEN_UNTRACKED, "half_open_untracked", "handshakes that notrack rules hide from conntrack") \
	OUTCOME(HALF_OPEN_EVICTED, "half_open_evicted", "oldest half-open entries that gave way in a full table") \
	OUTCOME(SOURCE_BANNED, "source_banned", "bans for exceeding the rate limit") \
	OUTCOME(SOURCE_EVICTED, "source_evicted", "sources that gave way in a full table") \
	OUTCOME(OPTIONS_LEARNED, "options_learned", "SYN-ACKs of a server read for its options") \
	OUTCOME(ICMP_TRANSLATED, "icmp_translated", "ICMP errors translated to the server's sequence space") \
	OUTCOME(PACKET_PASSED, "packet_passed", "queued packets that needed nothing, passed") \
	OUTCOME(PACKET_MALFORMED, "packet_malformed", "queued packets that could not be parsed, or have a wrong checksum") \
	OUTCOME(CONNTRACK_ERROR, "conntrack_error", "requests to conntrack that failed") \
	OUTCOME(VERDICT_ERROR, "verdict_error", "verdicts that the kernel did not take") \
	OUTCOME(QUEUE_DROPPED, "queue_dropped", "packets the kernel dropped because a queue was full")

enum outcome {
#define OUTCOME(id, name, help) OUTCOME_##id,
	OUTCOMES(OUTCOME)
#undef OUTCOME
	OUTCOME_COUNT
};

const char *outcome_name(enum outcome outcome);
const char *outcome_help(enum outcome outcome);

#endif
