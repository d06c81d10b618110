/* SPDX-License-Identifier: GPL-2.0-or-later */
/* secrets: what cookies are made with. A secret of our own changes by our own clock; one that is shared with other
 * gateways by the wall clock, and its file is read again in every epoch. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "edge/vault.h"
#include "log.h"
#include "orders.h"
#include "supervisor_parts.h"

#define NSEC_PER_SEC 1000000000ULL
#define EPOCH_NS (COOKIE_EPOCH_S * NSEC_PER_SEC)
#define EPOCH_MS (COOKIE_EPOCH_S * 1000ULL)
#define NEXT_CHANGE_MS_MAX 1000
/* A new shared secret counts so many epochs after this one: time to bring the file to the other gateways. */
#define ROTATE_AHEAD_EPOCHS 5

static uint64_t unix_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void job_take_secret(struct worker *worker, void *argument)
{
	struct kept_secrets *kept = argument;

	kept->shards[worker->setup.shard].secret = kept->secret;
}

static void use(struct supervisor *supervisor, const struct cookie_secret *secret)
{
	supervisor->kept->secret = *secret;
	supervisor_call_all(supervisor, job_take_secret, supervisor->kept);
	vault_sweep_stack();
	accelerator_take_secret(supervisor); /* who checks before who makes */
}

static void tell_failed(struct supervisor *supervisor, const char *why, const char *what)
{
	struct event event;

	event_begin(&event, EVENT_SECRET_FAILED, "%s: %s stays as it is", why, what);
	event_text(&event, "error", why);
	supervisor_tell(supervisor, &event);
}

/* ---- our own ---- */

static int open_own(struct supervisor *supervisor, uint64_t now_ns)
{
	struct cookie_secret secret = {.epoch = 0};

	if (getrandom(&secret.keys, sizeof(secret.keys), 0) != sizeof(secret.keys))
		return -1;
	supervisor->epoch_due_ns = now_ns + EPOCH_NS;
	use(supervisor, &secret);
	explicit_bzero(&secret, sizeof(secret));
	return 0;
}

static int rotate_own(struct supervisor *supervisor, uint64_t now_ns)
{
	struct cookie_secret secret = supervisor->kept->secret;
	struct siphash_key fresh;

	supervisor->epoch_due_ns = now_ns + EPOCH_NS;
	if (getrandom(&fresh, sizeof(fresh), 0) != sizeof(fresh))
		return -1;
	cookie_rotate(&secret, &fresh);
	use(supervisor, &secret);
	explicit_bzero(&fresh, sizeof(fresh));
	explicit_bzero(&secret, sizeof(secret));
	return 0;
}

/* ---- shared ---- */

/* Not memcmp(): the C library's may leave what it has compared in vector registers that nothing else uses, and a core dump
 * has the registers. */
static bool same_bytes(const void *one, const void *other, size_t size)
{
	const uint8_t *a = one, *b = other;
	uint8_t different = 0;

	for (size_t i = 0; i < size; i++)
		different |= a[i] ^ b[i];
	return different == 0;
}

/* Whether another secret counts now. In a frame of its own, which is swept when it is over. */
__attribute__((noinline)) static bool derive(struct kept_secrets *kept, uint64_t at_ms)
{
	const struct cookie_secret *now = &kept->secret, *next = &kept->derived;

	kept->derived = cookie_shared(kept->masters.masters, kept->masters.count, at_ms);
	return next->epoch != now->epoch || next->has_next != now->has_next ||
	       !same_bytes(next->keys, now->keys, sizeof(next->keys));
}

static void use_shared(struct supervisor *supervisor, uint64_t at_ms)
{
	bool other = derive(supervisor->kept, at_ms);

	vault_sweep_stack();
	if (other)
		use(supervisor, &supervisor->kept->derived);
}

static bool same_masters(const struct secret_file *one, const struct secret_file *other)
{
	bool same = one->count == other->count;

	for (size_t i = 0; same && i < one->count; i++)
		same = one->masters[i].from == other->masters[i].from &&
		       same_bytes(&one->masters[i].key, &other->masters[i].key, sizeof(one->masters[i].key));
	return same;
}

/* The secrets themselves are nobody's business. */
static void tell_changed(struct supervisor *supervisor, bool changed)
{
	const struct secret_file *masters = &supervisor->kept->masters;
	uint32_t from = masters->masters[masters->count - 1].from;
	struct event event;

	event_begin(&event, EVENT_SECRET_CHANGED, "%s: %s, %u in all; the newest counts from epoch %u on",
		    supervisor->config.gateway.secret_file, changed ? "other secrets" : "can be read again",
		    (unsigned)masters->count, from);
	event_text(&event, "file", supervisor->config.gateway.secret_file);
	event_number(&event, "secrets", masters->count);
	event_number(&event, "newest_from", from);
	supervisor_tell(supervisor, &event);
}

/* The old ones stay in force when the file cannot be read. */
static void read_again(struct supervisor *supervisor, uint32_t epoch)
{
	struct kept_secrets *kept = supervisor->kept;
	char error[512];

	supervisor->masters_read = epoch;
	if (secret_file_load(supervisor->config.gateway.secret_file, &kept->read, error, sizeof(error)) == 0) {
		bool changed = !same_masters(&kept->masters, &kept->read);

		kept->masters = kept->read;
		if (changed || supervisor->said_masters)
			tell_changed(supervisor, changed);
		supervisor->said_masters = false;
	} else if (!supervisor->said_masters) {
		supervisor->said_masters = true;
		tell_failed(supervisor, error, "the shared secret");
	}
	explicit_bzero(&kept->read, sizeof(kept->read));
	vault_sweep_stack();
}

/* Until the next epoch, or until others may be in it. */
static int next_change_ms(uint64_t at_ms)
{
	uint64_t within = at_ms % EPOCH_MS;
	uint64_t others = EPOCH_MS - COOKIE_SKEW_MS - COOKIE_RENEWAL_MS;
	uint64_t left = within < others ? others - within : EPOCH_MS - within;

	return left < NEXT_CHANGE_MS_MAX ? (int)left : NEXT_CHANGE_MS_MAX;
}

/* ---- both ---- */

int secrets_refuse(const struct config *config, char *error, size_t error_bytes)
{
	static struct secret_file masters;
	int refused = 0;

	if (config->gateway.secret_file[0])
		refused = secret_file_load(config->gateway.secret_file, &masters, error, error_bytes);
	explicit_bzero(masters.masters, sizeof(masters.masters));
	vault_sweep_stack();
	return refused;
}

/* No shard yet, to take it by itself. */
static void give_to_shards(struct kept_secrets *kept)
{
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		kept->shards[i].secret = kept->secret;
}

static bool vault_made(struct supervisor *supervisor)
{
	int failed;

	supervisor->kept = vault_open(sizeof(*supervisor->kept), &failed);
	if (supervisor->kept && failed)
		log_warn("the cookie secret may be swapped out or be in a core dump: mlock: %s", strerror(failed));
	return supervisor->kept;
}

int secrets_open(struct supervisor *supervisor, const struct config *config, char *error, size_t error_bytes)
{
	uint64_t at_ms = unix_ms();

	if (!vault_made(supervisor)) {
		snprintf(error, error_bytes, "no memory for secrets: %s", strerror(errno));
		return -1;
	}
	if (config->gateway.secret_file[0]) {
		if (secret_file_load(config->gateway.secret_file, &supervisor->kept->masters, error, error_bytes) < 0)
			return -1;
		supervisor->masters_read = cookie_epoch_at(at_ms);
		use_shared(supervisor, at_ms);
		give_to_shards(supervisor->kept);
		return 0;
	}
	if (open_own(supervisor, worker_now_ns()) == 0) {
		give_to_shards(supervisor->kept);
		return 0;
	}
	snprintf(error, error_bytes, "getrandom: no secret for cookies");
	return -1;
}

void secrets_close(struct supervisor *supervisor)
{
	vault_close(supervisor->kept, sizeof(*supervisor->kept));
	supervisor->kept = NULL;
}

int secrets_tick(struct supervisor *supervisor, uint64_t now_ns)
{
	uint64_t at_ms = unix_ms();

	if (supervisor->kept->masters.count) {
		if (supervisor->masters_read != cookie_epoch_at(at_ms))
			read_again(supervisor, cookie_epoch_at(at_ms));
		use_shared(supervisor, at_ms);
		return next_change_ms(at_ms);
	}
	if (now_ns >= supervisor->epoch_due_ns && rotate_own(supervisor, now_ns) < 0)
		tell_failed(supervisor, "getrandom", "the cookie secret");
	return NEXT_CHANGE_MS_MAX;
}

/* Whoever holds a cookie made with a secret of our own can use it no more once a shared one counts, and the other way
 * round. */
void secrets_reload(struct supervisor *supervisor, uint64_t now_ns)
{
	uint64_t at_ms = unix_ms();

	supervisor->said_masters = false;
	if (supervisor->config.gateway.secret_file[0]) {
		read_again(supervisor, cookie_epoch_at(at_ms));
		if (supervisor->kept->masters.count)
			use_shared(supervisor, at_ms);
	} else if (supervisor->kept->masters.count) {
		explicit_bzero(supervisor->kept->masters.masters, sizeof(supervisor->kept->masters.masters));
		supervisor->kept->masters.count = 0;
		if (open_own(supervisor, now_ns) < 0)
			tell_failed(supervisor, "getrandom", "the cookie secret");
	}
}

/* ---- orders ---- */

int supervisor_secret_rotate(struct supervisor *supervisor, char *message, size_t bytes)
{
	const char *path = supervisor->config.gateway.secret_file;
	uint32_t epoch = cookie_epoch_at(unix_ms());
	uint32_t from = epoch + ROTATE_AHEAD_EPOCHS;
	struct kept_secrets *kept = supervisor->kept;

	if (!kept->masters.count) {
		if (rotate_own(supervisor, worker_now_ns()) < 0) {
			snprintf(message, bytes, "getrandom: the cookie secret stays as it is");
			return -1;
		}
		snprintf(message, bytes, "a new secret from now on; cookies made before the last change are refused");
		return 0;
	}
	if (secret_file_rotate(path, epoch, from, &kept->read, message, bytes) < 0)
		return -1;
	kept->masters = kept->read;
	explicit_bzero(&kept->read, sizeof(kept->read));
	tell_changed(supervisor, true);
	use_shared(supervisor, unix_ms());
	snprintf(message, bytes, "a new secret from epoch %u on, in %llu s: bring %s to the other gateways until then",
		 from, (unsigned long long)((from * EPOCH_MS - unix_ms()) / 1000), path);
	return 0;
}

void supervisor_epoch_read(const struct supervisor *supervisor, struct report_epoch *epoch)
{
	const struct secret_file *masters = &supervisor->kept->masters;
	uint64_t now_ns = worker_now_ns();
	uint64_t own_left_ns = supervisor->epoch_due_ns > now_ns ? supervisor->epoch_due_ns - now_ns : 0;

	*epoch = (struct report_epoch){
		.shared = masters->count,
		.epoch = supervisor->kept->secret.epoch,
		.left_s = (unsigned)(masters->count ? (EPOCH_MS - unix_ms() % EPOCH_MS) / 1000
						    : own_left_ns / NSEC_PER_SEC),
		.fingerprint = cookie_fingerprint(&supervisor->kept->secret),
		.next_from = masters->count ? masters->masters[masters->count - 1].from : 0,
	};
}
