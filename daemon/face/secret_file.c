/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "face/secret_file.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_BYTES_MAX 16384U /* of a file: its comments have room, too */
#define KEY_BYTES 16
#define KEY_DIGITS (2 * KEY_BYTES)

/* What an error is about: where, and whom to tell. */
struct about {
	const char *path;
	char *error;
	size_t error_bytes;
};

static int __attribute__((format(printf, 3, 4))) fail(const struct about *about, unsigned line, const char *format, ...)
{
	char what[512], where[16] = "";
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	if (line)
		snprintf(where, sizeof(where), ":%u", line);
	snprintf(about->error, about->error_bytes, "%s%s: %s", about->path, where, what);
	return -1;
}

static void file_clear(struct secret_file *file)
{
	explicit_bzero(file, sizeof(*file));
}

/* ---- text ---- */

static unsigned digit_value(char digit)
{
	return isdigit((unsigned char)digit) ? (unsigned)(digit - '0') : (unsigned)(tolower(digit) - 'a') + 10;
}

/* The same on hosts of either byte order: the first byte is the lowest, as SipHash's authors number them. */
static struct siphash_key key_parse(const char digits[KEY_DIGITS])
{
	struct siphash_key key = {{0, 0}};

	for (unsigned i = 0; i < KEY_BYTES; i++) {
		uint64_t byte = digit_value(digits[2 * i]) << 4 | digit_value(digits[2 * i + 1]);

		key.words[i / 8] |= byte << i % 8 * 8;
	}
	return key;
}

static void key_print(const struct siphash_key *key, char digits[KEY_DIGITS + 1])
{
	for (unsigned i = 0; i < KEY_BYTES; i++)
		sprintf(digits + 2 * i, "%02x", (unsigned)(key->words[i / 8] >> i % 8 * 8 & 0xff));
}

/* "EPOCH HEX" and blanks. */
static bool master_parse(const char *line, struct cookie_master *master)
{
	static const char hex[] = "0123456789abcdefABCDEF", decimal[] = "0123456789";
	size_t digits = strspn(line, decimal);
	uint64_t from = 0;

	if (digits < 1 || digits > 10)
		return false;
	for (size_t i = 0; i < digits; i++)
		from = from * 10 + digit_value(line[i]);
	line += digits;

	size_t blanks = strspn(line, " \t");
	line += blanks;
	if (from > UINT32_MAX || blanks == 0 || strspn(line, hex) != KEY_DIGITS ||
	    line[KEY_DIGITS + strspn(line + KEY_DIGITS, " \t\r")])
		return false;
	master->from = (uint32_t)from;
	master->key = key_parse(line);
	return true;
}

static int line_parse(const struct about *about, unsigned number, const char *line, struct secret_file *file)
{
	struct cookie_master *master = &file->masters[file->count];

	line += strspn(line, " \t\r");
	if (!*line || *line == '#')
		return 0;
	if (file->count == SECRET_MASTERS_MAX)
		return fail(about, number, "more secrets than %d: remove the oldest ones, at the top",
			    SECRET_MASTERS_MAX);
	if (!master_parse(line, master))
		return fail(about, number,
			    "no secret: allowed is an epoch in decimal and %d hexadecimal digits, or a comment after #",
			    KEY_DIGITS);
	if (file->count && master->from <= master[-1].from)
		return fail(about, number,
			    "epoch %" PRIu32 " does not come after that of the secret before, %" PRIu32
			    ": allowed is ascending order",
			    master->from, master[-1].from);
	file->count++;
	return 0;
}

#define HOW_TO_MAKE "(umask 077; echo \"0 $(od -An -N16 -tx1 /dev/urandom | tr -d ' \\n')\" >"

/* `text` ends with a NUL, and `bytes` before; it is cut into lines. */
static int text_parse(const struct about *about, char *text, size_t bytes, struct secret_file *file)
{
	unsigned number = 1;
	char *end;

	for (char *line = text; line < text + bytes; line = end + 1, number++) {
		end = strchrnul(line, '\n');
		if (!*end && end < text + bytes)
			return fail(about, number, "NUL byte: this is not a text file");
		*end = '\0';
		if (line_parse(about, number, line, file) != 0)
			return -1;
	}
	if (!file->count)
		return fail(about, 0, "no secret in it: make one by " HOW_TO_MAKE "%s)", about->path);
	return 0;
}

/* ---- reading ---- */

/* As whom the service runs: systemd/sysusers.conf. */
#define SERVICE_USER "synmoat"

/* Root may look at the service's file, too: synmoatd -t. */
static bool is_trusted(uid_t owner)
{
	const struct passwd *service = NULL;

	if (geteuid() == 0)
		service = getpwnam(SERVICE_USER);
	return owner == 0 || owner == geteuid() || (service && owner == service->pw_uid);
}

/* For chown(1). */
static const char *own_name(char number[16])
{
	const struct passwd *own = getpwuid(geteuid());

	snprintf(number, 16, "%u", (unsigned)geteuid());
	return own ? own->pw_name : number;
}

/* Whoever can read it can make cookies; whoever can write it, all our cookies. */
static int trust_check(const struct about *about, int fd)
{
	struct stat status;
	char own[16];

	if (fstat(fd, &status) != 0)
		return fail(about, 0, "%s", strerror(errno));
	if (!S_ISREG(status.st_mode))
		return fail(about, 0, "not a regular file");
	if (!is_trusted(status.st_uid))
		return fail(about, 0,
			    "it belongs to user %u: a secret belongs to the user that synmoatd runs as: chown %s %s",
			    (unsigned)status.st_uid, own_name(own), about->path);
	if (status.st_mode & 077)
		return fail(about, 0, "others than its owner may read or write it (mode %04o): chmod 600 %s",
			    (unsigned)status.st_mode & 07777, about->path);
	return 0;
}

/* Returns how many bytes, at most `most`, or -1 with errno. */
static ssize_t read_whole(int fd, char *text, size_t most)
{
	size_t used = 0;
	ssize_t got = 1;

	while (used < most && got != 0) {
		got = read(fd, text + used, most - used);
		if (got < 0 && errno != EINTR)
			return -1;
		used += got > 0 ? (size_t)got : 0;
	}
	return (ssize_t)used;
}

static int descriptor_load(const struct about *about, int fd, struct secret_file *file)
{
	char text[TEXT_BYTES_MAX + 2];
	ssize_t bytes;
	int result = -1;

	if (trust_check(about, fd) != 0)
		return -1;
	bytes = read_whole(fd, text, TEXT_BYTES_MAX + 1);
	if (bytes < 0) {
		fail(about, 0, "%s", strerror(errno));
	} else if ((size_t)bytes > TEXT_BYTES_MAX) {
		fail(about, 0, "larger than %u bytes", TEXT_BYTES_MAX);
	} else {
		text[bytes] = '\0';
		result = text_parse(about, text, (size_t)bytes, file);
	}
	explicit_bzero(text, sizeof(text));
	return result;
}

int secret_file_load(const char *path, struct secret_file *file, char *error, size_t error_bytes)
{
	const struct about about = {path, error, error_bytes};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a FIFO shall not hold us up */
	char own[16];
	int result;

	file_clear(file);
	if (fd < 0 && errno == ENOENT)
		return fail(&about, 0,
			    "there is no such file: make one by " HOW_TO_MAKE
			    "%s), or copy it from the other gateways, all of which need the same",
			    path);
	if (fd < 0 && errno == EACCES)
		return fail(&about, 0, "user %s, as whom synmoatd runs, may not read it: chown %s %s", own_name(own),
			    own_name(own), path);
	if (fd < 0)
		return fail(&about, 0, "%s", strerror(errno));
	result = descriptor_load(&about, fd, file);
	close(fd);
	if (result != 0)
		file_clear(file);
	return result;
}

/* ---- writing ---- */

static void forget(struct secret_file *file, size_t first, size_t count)
{
	memmove(&file->masters[first], &file->masters[first + count],
		(file->count - first - count) * sizeof(file->masters[0]));
	file->count -= count;
	explicit_bzero(&file->masters[file->count], count * sizeof(file->masters[0]));
}

/* Cookies of the last epoch are still good, so its secret is still needed. */
static void forget_old(struct secret_file *file, uint32_t now_epoch)
{
	while (file->count > 1 && file->masters[1].from < now_epoch)
		forget(file, 0, 1);
}

/* The first one counts before its time, too, and then must not go: what it has made would be worth nothing. */
static void forget_later(struct secret_file *file, uint32_t from_epoch)
{
	while (file->count > 1 && file->masters[file->count - 1].from >= from_epoch)
		forget(file, file->count - 1, 1);
	if (file->masters[0].from >= from_epoch)
		file->masters[0].from = 0;
}

static int write_whole(int fd, const char *text, size_t bytes)
{
	while (bytes) {
		ssize_t put = write(fd, text, bytes);

		if (put < 0 && errno != EINTR)
			return -1;
		text += put > 0 ? put : 0;
		bytes -= put > 0 ? (size_t)put : 0;
	}
	return 0;
}

static int descriptor_write(int fd, const struct secret_file *file)
{
	char text[(size_t)(SECRET_MASTERS_MAX + 1) * 64];
	char digits[KEY_DIGITS + 1];
	int result;
	size_t used = (size_t)snprintf(text, sizeof(text), "# EPOCH SECRET: see synmoat.conf(5)\n");

	for (size_t i = 0; i < file->count; i++) {
		key_print(&file->masters[i].key, digits);
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%" PRIu32 " %s\n", file->masters[i].from,
					 digits);
	}
	result = write_whole(fd, text, used);
	explicit_bzero(text, sizeof(text));
	explicit_bzero(digits, sizeof(digits));
	return result == 0 ? fsync(fd) : result;
}

/* That the new name lasts, too. If this fails, the worst is that a crash brings the old file back. */
static void directory_sync(char *path)
{
	char *slash = strrchr(path, '/');
	int fd;

	slash[slash == path] = '\0';
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)fsync(fd);
	close(fd);
}

/* `path` is absolute. mkostemp() makes the file with O_EXCL and mode 0600. */
static int file_replace(const struct about *about, char path[PATH_MAX], const struct secret_file *file)
{
	char fresh[PATH_MAX + sizeof(".XXXXXX")];
	int fd, failure = 0;

	snprintf(fresh, sizeof(fresh), "%s.XXXXXX", path);
	fd = mkostemp(fresh, O_CLOEXEC);
	if (fd < 0)
		return fail(about, 0, "cannot make a file beside it: %s: the directory has to be writable for synmoatd",
			    strerror(errno));
	if (descriptor_write(fd, file) != 0)
		failure = errno;
	if (close(fd) != 0 && !failure)
		failure = errno;
	if (!failure && rename(fresh, path) != 0)
		failure = errno;
	if (failure) {
		unlink(fresh);
		return fail(about, 0, "cannot replace it: %s", strerror(failure));
	}
	directory_sync(path);
	return 0;
}

static int fresh_append(const struct about *about, uint32_t from_epoch, struct secret_file *file)
{
	struct cookie_master *master = &file->masters[file->count];

	if (file->count == SECRET_MASTERS_MAX)
		return fail(about, 0, "it holds %d secrets that still count: wait until epoch %" PRIu32,
			    SECRET_MASTERS_MAX, file->masters[1].from + 1);
	master->from = from_epoch;
	if (getrandom(&master->key, sizeof(master->key), 0) != (ssize_t)sizeof(master->key))
		return fail(about, 0, "no random numbers: %s", strerror(errno));
	file->count++;
	return 0;
}

int secret_file_rotate(const char *path, uint32_t now_epoch, uint32_t from_epoch, struct secret_file *file, char *error,
		       size_t error_bytes)
{
	const struct about about = {path, error, error_bytes};
	char target[PATH_MAX]; /* where a symbolic link leads */

	assert(now_epoch < from_epoch);
	if (secret_file_load(path, file, error, error_bytes) != 0)
		return -1;
	forget_old(file, now_epoch);
	forget_later(file, from_epoch);
	if (fresh_append(&about, from_epoch, file) == 0) {
		if (!realpath(path, target))
			fail(&about, 0, "%s", strerror(errno));
		else if (file_replace(&about, target, file) == 0)
			return 0;
	}
	file_clear(file);
	return -1;
}
