/* SPDX-License-Identifier: GPL-2.0-or-later */
/* manager: what we tell the service manager, by libsystemd: see sd_notify(3). Nothing here waits or fails; started by
 * somebody else than a manager that listens ($NOTIFY_SOCKET), all of it does nothing. */
#ifndef SYNMOAT_MANAGER_H
#define SYNMOAT_MANAGER_H

#include <stdint.h>

/* Within which time it wants to hear manager_alive() again ($WATCHDOG_USEC); 0 if it does not. */
uint64_t manager_watchdog_ns(void);

/* We protect: after the start, and when a reload is over, whatever became of it. */
void manager_ready(void);

/* A reload begins; manager_ready() ends it. */
void manager_reloading(void);

void manager_stopping(void);

/* One sentence, for `systemctl status`. */
void manager_status(const char *sentence);

void manager_alive(void);

#endif
