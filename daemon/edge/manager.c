/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/manager.h"

#include <inttypes.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#define NSEC_PER_USEC 1000ULL
#define USEC_PER_SEC 1000000ULL

uint64_t manager_watchdog_ns(void)
{
	uint64_t within_us = 0;

	return sd_watchdog_enabled(0, &within_us) > 0 ? within_us * NSEC_PER_USEC : 0;
}

void manager_ready(void)
{
	sd_notify(0, "READY=1");
}

/* With the time: managers from systemd 253 on match it with their own request. */
void manager_reloading(void)
{
	struct timespec now;
	uint64_t now_us;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now_us = (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / NSEC_PER_USEC;
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now_us);
}

void manager_stopping(void)
{
	sd_notify(0, "STOPPING=1\nSTATUS=giving the queued packets back");
}

void manager_status(const char *sentence)
{
	sd_notifyf(0, "STATUS=%s", sentence);
}

void manager_alive(void)
{
	sd_notify(0, "WATCHDOG=1");
}
