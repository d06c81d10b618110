/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config_file: a configuration in a file of its own, that is read or refused; and the defaults. */
#ifndef SYNMOAT_CONFIG_FILE_H
#define SYNMOAT_CONFIG_FILE_H

#include "face/config.h"

#include <arpa/inet.h>

#include "unit.h"

#define ROOT_KEYS \
	"mode, policy, on_overload, on_exit, services, allow, deny, gateway, backlog, sources, rate_limit, reflection, " \
	"tables, queues, accelerator, xdp, control, metrics"

/* A gateway needs services. */
#define BEHIND "services = ( { name = \"web\"; address = \"192.0.2.0/24\"; ports = [80]; } );\n"

static char path[] = "/tmp/synmoat-config-XXXXXX";
static char error[1024];
static struct config config;

static inline void file_make(void)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static inline void file_remove(void)
{
	unlink(path);
}

static inline int load_bytes(const char *text, size_t bytes)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(text, 1, bytes, file), bytes);
	fclose(file);
	error[0] = '\0';
	return config_load(&config, path, error, sizeof(error));
}

static inline void accepts(const char *text)
{
	int result = load_bytes(text, strlen(text));

	ck_assert_msg(result == 0, "%s", error);
}

/* `what` is the error without its "FILE:". */
static inline void refuses(const char *text, const char *what)
{
	char expected[1024];

	snprintf(expected, sizeof(expected), "%s:%s", path, what);
	ck_assert_int_eq(load_bytes(text, strlen(text)), -1);
	ck_assert_str_eq(error, expected);
	ck_assert_ptr_null(config.services);
	ck_assert_ptr_null(config.allow);
	ck_assert_ptr_null(config.deny);
}

static inline struct addr literal(const char *text)
{
	uint8_t wire[16];

	if (inet_pton(AF_INET, text, wire) == 1)
		return addr_from_v4(wire);
	ck_assert_int_eq(inet_pton(AF_INET6, text, wire), 1);
	return addr_from_v6(wire);
}

static inline void check_defaults(const struct config *checked)
{
	ck_assert_int_eq(checked->mode, MODE_HOST);
	ck_assert_int_eq(checked->policy, POLICY_ENFORCE);
	ck_assert_int_eq(checked->on_overload, UNSEEN_PASS);
	ck_assert_int_eq(checked->on_exit, UNSEEN_PASS);
	ck_assert(checked->auto_services);
	ck_assert_uint_eq(checked->service_count, 0);
	ck_assert_ptr_null(checked->allow);
	ck_assert_uint_eq(checked->allow_count, 0);
	ck_assert_ptr_null(checked->deny);
	ck_assert_uint_eq(checked->deny_count, 0);
	ck_assert_uint_eq(checked->backlog.arm_percent, 50);
	ck_assert_uint_eq(checked->backlog.crowd_percent, 85);
	ck_assert_uint_eq(checked->backlog.disarm_percent, 25);
	ck_assert_uint_eq(checked->backlog.hold_s, 10);
	ck_assert_uint_eq(checked->backlog.handshake_timeout_s, 30);
	ck_assert_uint_eq(checked->sources.half_open_limit, 64);
	ck_assert_uint_eq(checked->sources.prefix_v4, 32);
	ck_assert_uint_eq(checked->sources.prefix_v6, 64);
	ck_assert_uint_eq(checked->sources.proven_s, 600);
	ck_assert_uint_eq(checked->sources.direct_half_open, 8);
	ck_assert_uint_eq(checked->rate_limit.connections_per_s, 0);
	ck_assert_uint_eq(checked->rate_limit.burst, 100);
	ck_assert_int_eq(checked->rate_limit.action, ACTION_DROP);
	ck_assert_uint_eq(checked->rate_limit.ban_s, 0);
	ck_assert_uint_eq(checked->reflection.unanswered_per_s, 2000);
	ck_assert_uint_eq(checked->tables.half_open, 262144);
	ck_assert_uint_eq(checked->tables.sources, 262144);
	ck_assert_uint_eq(checked->tables.handovers, 16384);
	ck_assert_uint_eq(checked->tables.bans, 65536);
	ck_assert_uint_eq(checked->queues.shards, 0);
	ck_assert_uint_eq(checked->queues.first, 16384);
	ck_assert_int_eq(checked->queues.spill, SPILL_ANSWER);
	ck_assert_str_eq(checked->control_socket, "/run/synmoat/control.sock");
	ck_assert(!checked->has_control_group);
	ck_assert_str_eq(checked->control_group, "");
	ck_assert_int_eq(checked->control_access, ACCESS_GROUP);
	ck_assert_str_eq(checked->metrics.listen, "");
}

#endif
