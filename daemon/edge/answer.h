/* SPDX-License-Identifier: GPL-2.0-or-later */
/* answer: what a netlink message says, as far as it is long enough to say it. */
#ifndef SYNMOAT_ANSWER_H
#define SYNMOAT_ANSWER_H

#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define ANSWER_ERRNO_MAX 4095 /* MAX_ERRNO, include/linux/err.h */

/* Of an NLMSG_ERROR: 0 (it is an acknowledgement) or -errno, which comes first in struct nlmsgerr. */
static inline int answer_error(const struct nlmsghdr *header)
{
	const int *code = mnl_nlmsg_get_payload(header);

	return mnl_nlmsg_get_payload_len(header) >= sizeof(*code) && *code <= 0 && *code >= -ANSWER_ERRNO_MAX
		       ? *code
		       : -EBADMSG;
}

/* Whether the header of `bytes` that its kind of message begins with is there. */
static inline bool answer_has(const struct nlmsghdr *header, size_t bytes)
{
	return mnl_nlmsg_get_payload_len(header) >= bytes;
}

/* libnftnl gives NULL for a name that is not there. */
static inline const char *answer_text(const char *text)
{
	return text ? text : "";
}

/* Whether it holds that text. Only the kernel's word says that there is a NUL behind. */
static inline bool answer_names(const struct nlattr *attr, const char *text)
{
	size_t bytes = strlen(text);

	return strnlen(mnl_attr_get_str(attr), mnl_attr_get_payload_len(attr)) == bytes &&
	       memcmp(mnl_attr_get_str(attr), text, bytes) == 0;
}

#endif
