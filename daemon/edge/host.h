/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host: what the network of this host is set to, outside of the rules. */
#ifndef SYNMOAT_HOST_H
#define SYNMOAT_HOST_H

#include <stdbool.h>
#include <stddef.h>

/* Looks for what synmoat cannot work with: VRFs, and rules of nftables that assign conntrack zones. 0, or -1 and a sentence.
 * What cannot be seen, without CAP_NET_ADMIN those rules, is taken for good. */
int host_check(char *error, size_t error_bytes);

/* Whether some interface's packets of the family are forwarded. */
bool host_forwards(bool v6);

/* A number below /proc/sys, or -1 if there is none. */
long host_sysctl(const char *path);

#endif
