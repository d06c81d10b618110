/* SPDX-License-Identifier: GPL-2.0-or-later */
/* accelerator_parts: what accelerator.c (life, services), accelerator_numbers.c (what is counted), accelerator_known.c (secret,
 * lists, limits), accelerator_ports.c (interfaces) and accelerator_said.c (what is told of it) ask of each other. */
#ifndef SYNMOAT_ACCELERATOR_PARTS_H
#define SYNMOAT_ACCELERATOR_PARTS_H

#include "accelerator.h"
#include "supervisor_parts.h"

struct xdp *accelerator_load(const struct config *config, char *why_not, size_t bytes);

/* After a start in the middle. */
void accelerator_take_bans(struct supervisor *supervisor);

/* Reads what interfaces there are, if that may have changed, and chooses among them. */
void ports_refresh(struct supervisor *supervisor, uint64_t now_ns);

/* Attaches it wherever it is wanted and can be, or nowhere. */
void ports_follow(struct supervisor *supervisor, bool wanted, uint64_t now_ns);

/* Which interfaces the configuration means; returns how many, of at most `most`. */
size_t ports_choose(const struct config *config, const struct links *links, const struct link **chosen, size_t most);

/* Whether an interface cannot be used, as far as that can be told without a try. */
enum port_trouble port_trouble_of(const struct link *link);

/* In words, and what can be done about it. */
void port_trouble_text(const char *name, enum port_trouble trouble, int error, char *text, size_t bytes);

/* Whether a service is armed that it could answer for. */
bool accelerator_is_wanted(const struct supervisor *supervisor);

bool links_know(const struct links *links, const char *name);

void accelerator_tell_unavailable(struct supervisor *supervisor);
void accelerator_tell_on(struct supervisor *supervisor);
void accelerator_tell_off(struct supervisor *supervisor, const char *why);
void accelerator_tell_trouble(struct supervisor *supervisor, const struct accelerator_port *port);

/* Those that xdp.interfaces names and that are not there, once each time they go. */
void accelerator_tell_missing(struct supervisor *supervisor);

#endif
