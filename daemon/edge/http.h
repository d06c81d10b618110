/* SPDX-License-Identifier: GPL-2.0-or-later */
/* http: the metrics over HTTP, by libmicrohttpd. GET or HEAD of /metrics, nothing else.
 *
 * It has no thread: its caller polls and serves it, and is never kept waiting. What a client can cost is bounded: there are at
 * most 16 at a time, each has one request of 8 KiB and 10 seconds from its first byte to its last, 5 of them idle; one more
 * takes the place of the oldest that has not sent its request, if all have of the oldest. It
 * listens on loopback alone, and answers only requests that name a loopback address or "localhost" as their host: so a web
 * page that lets its own name point here (DNS rebinding) cannot have a browser on this host read anything. */
#ifndef SYNMOAT_HTTP_H
#define SYNMOAT_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "synmoat/addr.h"

struct http;

struct http_page {
	const char *text; /* until the next call */
	size_t bytes;
	uint64_t made_ns; /* another one, another page */
};

/* Fills the page in; -1 when it cannot be had. */
typedef int http_page_read(void *context, struct http_page *page);

struct http_setup {
	struct addr address;
	uint16_t port;
	const char *content_type;
	http_page_read *read;
	void *context;
};

/* Binds and listens. On error it returns NULL and `error` says what is wrong. */
struct http *http_open(const struct http_setup *setup, char *error, size_t error_bytes);

/* Readable when http_serve() has something to do. */
int http_fd(const struct http *http);

/* Does what can be done now without waiting; `now_ns` is CLOCK_MONOTONIC. Returns the milliseconds until it wants to be
 * called again even if http_fd() is not readable; -1: not at all. */
int http_serve(struct http *http, uint64_t now_ns);

void http_close(struct http *http);

#endif
