/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verbs: one control request: parsed, permitted, and handed to whoever can answer it or do it. */
#include <stdlib.h>

#include "face/command.h"
#include "face/config_show.h"
#include "face/control.h"
#include "face/report.h"
#include "orders.h"
#include "synmoat/version.h"

#define MESSAGE_BYTES 512
#define REFUSED_EVERY_NS (60 * UINT64_C(1000000000))

static const char *policy_name(const struct supervisor *supervisor)
{
	return supervisor->config.policy == POLICY_OBSERVE ? "observe" : "enforce";
}

/* Whether it is as long as a source is: an address, or the network that it counts under. Says so if not. */
static bool source_check(const struct supervisor *supervisor, const struct command *command, FILE *out)
{
	bool v4 = cidr_is_v4(&command->cidr);
	unsigned prefix = v4 ? supervisor->config.sources.prefix_v4 : supervisor->config.sources.prefix_v6;
	char text[CIDR_TEXT_BYTES];

	if (command->cidr.bits == 128 || command->cidr.bits == prefix + (v4 ? CIDR_V4_BITS : 0))
		return true;
	cidr_text(&command->cidr, text);
	report_error(command->json, out, "%s: %s is no source: allowed is an address or a network of /%u",
		     verb_words(command->verb), text, prefix);
	return false;
}

/* ---- asking: each array is allocated by whom we ask, and ours to free; -1 when there is no memory for it ---- */

static void answer_explain(struct supervisor *supervisor, const struct command *command, FILE *out)
{
	const struct addr *destination = command->has_destination ? &command->destination : NULL;
	struct report_verdict *verdicts = NULL;
	char source[CIDR_TEXT_BYTES];
	int count;

	if (!source_check(supervisor, command, out))
		return;
	cidr_text(&command->cidr, source);
	count = supervisor_explain(supervisor, &command->source, destination, command->destination_port, &verdicts);
	if (count < 0)
		report_error(command->json, out, "out of memory");
	else
		report_explain(source, policy_name(supervisor), verdicts, (size_t)count, command->json, out);
	free(verdicts);
}

static void answer_list(struct supervisor *supervisor, const struct command *command, FILE *out)
{
	bool allow = command->verb == VERB_ALLOW_LIST;
	struct report_cidr *cidrs = NULL;
	int count = supervisor_list_read(supervisor, allow, &cidrs);

	if (count < 0)
		report_error(command->json, out, "out of memory");
	else
		report_cidrs(allow ? "allow" : "deny", cidrs, (size_t)count, command->json, out);
	free(cidrs);
}

static void answer_bans(struct supervisor *supervisor, const struct command *command, FILE *out)
{
	struct report_ban *bans = NULL;
	int count = supervisor_bans_read(supervisor, &bans);

	if (count < 0)
		report_error(command->json, out, "out of memory");
	else
		report_bans(bans, (size_t)count, command->json, out);
	free(bans);
}

static void answer_epoch(const struct supervisor *supervisor, const struct command *command, FILE *out)
{
	struct report_epoch epoch;

	supervisor_epoch_read(supervisor, &epoch);
	report_epoch(&epoch, command->json, out);
}

static void answer_version(const struct command *command, FILE *out)
{
	const struct report version = {.version = SYNMOAT_VERSION};

	report_version(&version, command->json, out);
}

static void answer_metrics(struct supervisor *supervisor, const struct command *command, FILE *out)
{
	const struct metrics_words *words = supervisor_metrics(supervisor, command->json);

	if (words)
		fwrite(words->text, 1, words->bytes, out);
	else
		report_error(command->json, out, "out of memory");
}

static enum control_then answer_events(const struct supervisor *supervisor, const struct command *command, FILE *out)
{
	event_ring_write(&supervisor->events, command->last, command->json, command->follow, out);
	if (!command->follow)
		return CONTROL_CLOSE;
	return command->json ? CONTROL_FOLLOW_JSON : CONTROL_FOLLOW_TEXT;
}

/* ---- changing ---- */

static int change(struct supervisor *supervisor, const struct command *command, char *message, size_t bytes)
{
	switch (command->verb) {
	case VERB_ARM:
		return supervisor_override(supervisor, command->service, SERVICE_OVERRIDE_ARM, message, bytes);
	case VERB_DISARM:
		return supervisor_override(supervisor, command->service, SERVICE_OVERRIDE_DISARM, message, bytes);
	case VERB_AUTO:
		return supervisor_override(supervisor, command->service, SERVICE_OVERRIDE_AUTO, message, bytes);
	case VERB_ALLOW_ADD:
	case VERB_ALLOW_DEL:
		return supervisor_list_change(supervisor, true, command->verb == VERB_ALLOW_ADD, &command->cidr,
					      message, bytes);
	case VERB_DENY_ADD:
	case VERB_DENY_DEL:
		return supervisor_list_change(supervisor, false, command->verb == VERB_DENY_ADD, &command->cidr,
					      message, bytes);
	case VERB_BAN_LIFT:
		return supervisor_ban_lift(supervisor, &command->source, message, bytes);
	case VERB_SECRET_ROTATE:
		return supervisor_secret_rotate(supervisor, message, bytes);
	case VERB_RELOAD:
		return supervisor_reload(supervisor, message, bytes);
	default:
		snprintf(message, bytes, "%s changes nothing", verb_words(command->verb));
		return -1;
	}
}

/* Anybody who may connect can ask for it as often as he likes: the log does not hear of each. */
static void refuse(struct supervisor *supervisor, const struct control_peer *peer, const struct command *command,
		   FILE *out)
{
	uint64_t now_ns = worker_now_ns();
	struct event event;

	report_error(command->json, out, "not permitted: '%s' is for root and for the control group (synmoat.conf(5))",
		     verb_words(command->verb));
	supervisor->orders_refused++;
	if (supervisor->refused_said_ns && now_ns - supervisor->refused_said_ns < REFUSED_EVERY_NS)
		return;
	supervisor->refused_said_ns = now_ns;
	event_begin(&event, EVENT_ORDER_REFUSED,
		    "control: %s refused (uid=%u pid=%d), which makes %llu since the start", verb_words(command->verb),
		    (unsigned)peer->uid, (int)peer->pid, (unsigned long long)supervisor->orders_refused);
	event_text(&event, "order", verb_words(command->verb));
	event_number(&event, "uid", peer->uid);
	event_number(&event, "pid", (uint64_t)peer->pid);
	event_number(&event, "refused", supervisor->orders_refused);
	supervisor_tell(supervisor, &event);
}

static void answer_change(struct supervisor *supervisor, const struct control_peer *peer, const struct command *command,
			  FILE *out)
{
	char message[MESSAGE_BYTES] = "";
	struct event event;

	if (!peer->may_change) {
		refuse(supervisor, peer, command, out);
		return;
	}
	if (command->verb == VERB_BAN_LIFT && !source_check(supervisor, command, out))
		return;
	if (change(supervisor, command, message, sizeof(message)) != 0) {
		report_error(command->json, out, "%s: %s", verb_words(command->verb), message);
		return;
	}
	event_begin(&event, EVENT_ORDER, "control: %s (uid=%u pid=%d): %s", verb_words(command->verb),
		    (unsigned)peer->uid, (int)peer->pid, message);
	event_text(&event, "order", verb_words(command->verb));
	event_number(&event, "uid", peer->uid);
	event_number(&event, "pid", (uint64_t)peer->pid);
	event_text(&event, "done", message);
	supervisor_tell(supervisor, &event);
	report_done(message, command->json, out);
}

enum control_then supervisor_answer(struct supervisor *supervisor, const struct control_peer *peer, const char *request,
				    FILE *out)
{
	char error[COMMAND_ERROR_BYTES];
	struct command command;

	if (command_parse(request, &command, error, sizeof(error)) != 0) {
		report_error(command.json, out, "%s", error);
		return CONTROL_CLOSE;
	}
	if (verb_changes(command.verb)) {
		answer_change(supervisor, peer, &command, out);
		return CONTROL_CLOSE;
	}
	switch (command.verb) {
	case VERB_EXPLAIN:
		answer_explain(supervisor, &command, out);
		break;
	case VERB_ALLOW_LIST:
	case VERB_DENY_LIST:
		answer_list(supervisor, &command, out);
		break;
	case VERB_BAN_LIST:
		answer_bans(supervisor, &command, out);
		break;
	case VERB_METRICS:
		answer_metrics(supervisor, &command, out);
		break;
	case VERB_EVENTS:
		return answer_events(supervisor, &command, out);
	case VERB_CHECK:
		supervisor_check(supervisor, command.json, out);
		break;
	case VERB_CONFIG_SHOW:
		config_show(&supervisor->config, command.json, out);
		break;
	case VERB_SECRET_SHOW_EPOCH:
		answer_epoch(supervisor, &command, out);
		break;
	case VERB_VERSION:
		answer_version(&command, out);
		break;
	case VERB_HELP:
		report_help(command.json, out);
		break;
	default: /* status, services, sources */
		supervisor_report(supervisor, &command, out);
	}
	return CONTROL_CLOSE;
}
