/* SPDX-License-Identifier: GPL-2.0-or-later */
/* preflight: what `check` says where no daemon runs that could be asked. */
#ifndef SYNMOATCTL_PREFLIGHT_H
#define SYNMOATCTL_PREFLIGHT_H

#include <stdbool.h>

/* Whether the request line asks for it; and in JSON. */
bool preflight_wanted(const char *request, bool *json);

/* Runs synmoatd -k, that beside us before that of the PATH, and says on standard error which. Returns its exit code, 0 or 1
 * (there is a fault); or -1 after saying why it could not be run. */
int preflight_run(bool json);

#endif
