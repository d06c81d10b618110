/* SPDX-License-Identifier: GPL-2.0-or-later */
/* top: `synmoatctl top`, all that the daemon knows on one screen, again and again until it is told to end. */
#ifndef SYNMOAT_CTL_TOP_H
#define SYNMOAT_CTL_TOP_H

#include <stdbool.h>

/* `arguments` are "top" and what follows it. Returns an enum ctl_exit; the terminal is then as it was. */
int top_main(const char *path, bool json, int argument_count, char **arguments);

#endif
