/* SPDX-License-Identifier: GPL-2.0-or-later */
/* event: something that happened once and that an operator wants to know: a service is armed, an attack is over. It is a
 * sentence for people and fields for programs, and goes to the log, to `events` and to whoever follows. Never made per
 * packet. Pure: the time is an argument. Whatever strings it is made of, it holds valid UTF-8 without control
 * characters: what is neither becomes "?". */
#ifndef SYNMOAT_EVENT_H
#define SYNMOAT_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define EVENT_TEXT_BYTES 576
#define EVENT_FIELDS_MAX 24
#define EVENT_NAME_BYTES 24 /* of a kind or a field, with its NUL */
#define EVENT_VALUE_BYTES 96
#define EVENT_RING 256 /* the last ones are kept */

/* syslog(3)'s, of which we use these. */
enum event_level {
	EVENT_ERROR = 3,
	EVENT_WARNING = 4,
	EVENT_NOTICE = 5,
	EVENT_INFO = 6,
};

/* EVENT(ID, name, message id, level, what it means): the message id is sd-id128(3)'s, that of systemd/synmoat.catalog
 * (journalctl -x), made once and never changed. An attack-begun of a service has one attack-ended, also when the service or
 * the daemon ends first. */
/* clang-format off */
#define EVENTS(EVENT) \
	EVENT(READY, "ready", "f1a195403099457aa5237ddfc76b9e27", EVENT_INFO, \
	      "the rules and queues are in place") \
	EVENT(STOPPING, "stopping", "fc41acf5370245288dbf324fd16f6895", EVENT_INFO, \
	      "it is going to end") \
	EVENT(STOPPED, "stopped", "3328992bde4f4904a1a551110836746b", EVENT_INFO, \
	      "it has ended: the log alone hears of it") \
	EVENT(LEFT_CLOSED, "left-closed", "a7575b68f83241229c4e0b687acc66ee", EVENT_WARNING, \
	      "it has ended, and new connections are dropped until it starts (on_exit)") \
	EVENT(RELOADED, "reloaded", "435cd318d3f841d983a06e4e66dbfe1e", EVENT_INFO, \
	      "another configuration is in force") \
	EVENT(RELOAD_FAILED, "reload-failed", "d9866656ae9249dba4b11b5c8566700b", EVENT_ERROR, \
	      "the configuration has an error, or its rules were refused") \
	EVENT(RESTART_NEEDED, "restart-needed", "15d656d8ee9741a4bd59c6046b37c694", EVENT_WARNING, \
	      "some of the new configuration does not count yet") \
	EVENT(ATTACK_BEGUN, "attack-begun", "4f43ca572a514d71a3c10c965af7aa3e", EVENT_NOTICE, \
	      "a flood of SYNs presses a service") \
	EVENT(ATTACK_CHANGED, "attack-changed", "75b14b4e1b694ab1a3dd3e584388fa1d", EVENT_NOTICE, \
	      "it has become one of another kind") \
	EVENT(ATTACK_ENDED, "attack-ended", "43a730a816a747828bdac9149e032098", EVENT_NOTICE, \
	      "it is over") \
	EVENT(PRESSED, "pressed", "ed6f0732d7f244c5a3712a9a3320e4e4", EVENT_NOTICE, \
	      "what presses a service is no flood: a slow backend, a flash crowd") \
	EVENT(RELIEVED, "relieved", "8a812d2cc252411f9b3c49d53396cd11", EVENT_INFO, \
	      "it presses no more") \
	EVENT(ARMED, "armed", "01001daa7856427e867b3803e9e5fc0b", EVENT_NOTICE, \
	      "a service gets SYN cookies from now on") \
	EVENT(DISARMED, "disarmed", "a2cfbd55775147a1af9b77c8c06b4da1", EVENT_NOTICE, \
	      "it gets none any more") \
	EVENT(ASYMMETRIC, "asymmetric", "9b900cf0d44b4edd901ffa3a95224cca", EVENT_WARNING, \
	      "the answers of a service do not come through this gateway") \
	EVENT(ANSWERS_AGAIN, "answers-again", "07cc86e7374f43fd8980193154ffda65", EVENT_INFO, \
	      "they do again") \
	EVENT(SOURCES_BANNED, "sources-banned", "9e36ee7e9b4d4c4c975c7ecce2f7c7bb", EVENT_NOTICE, \
	      "sources opened too many connections per second") \
	EVENT(SOURCES_NOT_BANNED, "sources-not-banned", "8de2810a99464275a953cfac92256150", EVENT_WARNING, \
	      "there is no room for more bans, or they were refused") \
	EVENT(RULES_REFUSED, "rules-refused", "1dcfcc173a3d4fbab278081c66d08413", EVENT_ERROR, \
	      "nftables does not take the rules; tried again every second") \
	EVENT(RULES_ACCEPTED, "rules-accepted", "8c91f799efe64c8ba6336145dfdd7b33", EVENT_INFO, \
	      "it takes them again") \
	EVENT(RULES_RESTORED, "rules-restored", "5f2bb1f3e6c94d0c8a1a47a0d7a3e9b6", EVENT_WARNING, \
	      "somebody else changed or deleted a table of ours; it is made again") \
	EVENT(SYNACK_UNSENT, "synack-unsent", "c88de34948d04017bc3ec1ad115bde3f", EVENT_WARNING, \
	      "SYN-ACKs cannot be sent: SYNs pass instead") \
	EVENT(UNTRACKED, "untracked", "be19346cd14c43f9a270a8879287c629", EVENT_WARNING, \
	      "a protected service is exempt from connection tracking") \
	EVENT(SERVICES_LEFT_OUT, "services-left-out", "862cada147a7402aa1650c499980ccc4", EVENT_WARNING, \
	      "there are more services than can be protected") \
	EVENT(HALF_OPEN_UNCOUNTED, "half-open-uncounted", "6dbb5fa511e94ddcb328e3ed33ab88ec", EVENT_WARNING, \
	      "the kernel does not tell its half-open connections") \
	EVENT(ALLOWED_PRESS, "allowed-press", "429b7c144d0d4a2e88affdbd7e903f08", EVENT_WARNING, \
	      "SYNs of allowed sources, or in their name, fill a backlog") \
	EVENT(FLOWS_UNKNOWN, "flows-unknown", "226930b27d164689a698842f92e3e1b4", EVENT_WARNING, \
	      "connections from before the start could not be entered in the rules") \
	EVENT(FORWARDING_MISSING, "forwarding-missing", "ad416d01765545f7bf54868c0158b6b7", EVENT_WARNING, \
	      "a gateway that does not forward") \
	EVENT(STRAYS_NOT_RESET, "strays-not-reset", "76f35d7905c344aab72555a801d441e7", EVENT_WARNING, \
	      "strays are dropped: the kernel cannot send RSTs") \
	EVENT(CONTROL_GROUP, "control-group", "c95a74dc96804b4ebfe92a8c672fa3cf", EVENT_WARNING, \
	      "the control socket could not be given to control.group") \
	EVENT(SECRET_CHANGED, "secret-changed", "a7837290816545c18d40512e3d7e1635", EVENT_INFO, \
	      "the shared secret's file has other secrets than before") \
	EVENT(SECRET_FAILED, "secret-failed", "35febf520b3441cf983cb7f376087e2b", EVENT_ERROR, \
	      "there is no new secret: the old one stays in force") \
	EVENT(XDP_UNAVAILABLE, "xdp-unavailable", "24cc8548013f4fcfa6563376e086ea79", EVENT_WARNING, \
	      "XDP cannot be used: all SYNs are answered from the queue") \
	EVENT(XDP_ON, "xdp-on", "85cca9a2f9fd46e2be6e1c970496b186", EVENT_NOTICE, \
	      "XDP answers the SYNs of armed services") \
	EVENT(XDP_OFF, "xdp-off", "90f42e30f1c54a96811c208872a7dc28", EVENT_INFO, \
	      "it is detached") \
	EVENT(XDP_NOT_THERE, "xdp-not-there", "5f02ff2640084747ab734770f8ffc233", EVENT_WARNING, \
	      "an interface that it is wanted on cannot have it") \
	EVENT(ORDER, "order", "d7170a92c2dd49cebf5021c84e2fa411", EVENT_INFO, \
	      "an operator has changed something") \
	EVENT(ORDER_REFUSED, "order-refused", "e34de7ad239c41f1872e9247301adf81", EVENT_WARNING, \
	      "somebody who may not has tried to")
/* clang-format on */

enum event_kind {
#define EVENT(id, name, message_id, level, help) EVENT_##id,
	EVENTS(EVENT)
#undef EVENT
	EVENT_KIND_COUNT
};

struct event_field {
	const char *name; /* lower case, as a key; a journal's field is SYNMOAT_ and that in upper case */
	bool is_number;   /* then `value` is decimal */
	char value[EVENT_VALUE_BYTES];
};

struct event {
	enum event_kind kind;
	uint64_t run;         /* which run of the daemon: its start in Unix milliseconds */
	uint64_t number;      /* 1, 2, ... since then */
	uint64_t realtime_ns; /* CLOCK_REALTIME */
	char text[EVENT_TEXT_BYTES];
	unsigned field_count;
	struct event_field fields[EVENT_FIELDS_MAX];
};

const char *event_name(enum event_kind kind);
const char *event_message_id(enum event_kind kind);
const char *event_help(enum event_kind kind);
enum event_level event_level(enum event_kind kind);
const char *event_level_name(enum event_level level);

/* An event with a sentence and no fields yet. */
void event_begin(struct event *event, enum event_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* `name` is not copied. What does not fit is cut; a field too many is left out. */
void event_text(struct event *event, const char *name, const char *value);
void event_number(struct event *event, const char *name, uint64_t value);

/* Room for one in either form. */
#define EVENT_LINE_BYTES 8192

/* One line each, with its newline: "2026-11-21T22:30:00.123Z armed: service web ...", and an object with "format":1. They
 * always fit. */
void event_line_text(const struct event *event, char line[EVENT_LINE_BYTES]);
void event_line_json(const struct event *event, char line[EVENT_LINE_BYTES]);

/* ---- the last ones ---- */

/* All zero bytes is an empty one. */
struct event_ring {
	uint64_t run;
	uint64_t count; /* ever added */
	struct event events[EVENT_RING];
};

/* Keeps a copy, which has its number and time, and returns it: good until EVENT_RING more have been added. */
const struct event *event_ring_add(struct event_ring *ring, const struct event *event, uint64_t realtime_ns);

/* The last `last` of them, the oldest first: lines, or as JSON one object with a list; as JSON lines if `follow`. */
void event_ring_write(const struct event_ring *ring, unsigned last, bool json, bool follow, FILE *out);

#endif
