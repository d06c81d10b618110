/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host: what the network of this host is set to, outside of the rules. */
#ifndef SYNMOAT_HOST_H
#define SYNMOAT_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Looks for what synmoat cannot work with: VRFs, and rules of nftables that assign conntrack zones. 0, or -1 and a sentence.
 * What cannot be seen, without CAP_NET_ADMIN those rules, is taken for good; so are rules
 * that are not read until `until_ns` (CLOCK_MONOTONIC; 0: whenever). */
int host_check(uint64_t until_ns, char *error, size_t error_bytes);

/* Whether some interface's packets of the family are forwarded. */
bool host_forwards(bool v6);

/* A number below /proc/sys, or -1 if there is none. */
long host_sysctl(const char *path);

/* The beginning of a file, as a string. Its bytes, or -errno. */
int host_text(const char *path, char *text, size_t text_bytes);

#endif
