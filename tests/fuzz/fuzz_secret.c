/* SPDX-License-Identifier: GPL-2.0-or-later */
/* secret: the text of a secret file, which is taken or refused, and never told. */
#include <ctype.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "face/secret_file.h"
#include "fuzz.h"

#define ERROR_BYTES 1024

static void is_sound(const struct secret_file *file)
{
	must(file->count >= 1 && file->count <= SECRET_MASTERS_MAX);
	for (size_t i = 1; i < file->count; i++)
		must(file->masters[i - 1].from < file->masters[i].from);
}

/* As long as a run of hexadecimal digits in the error is, none of a secret's is. */
static void tells_no_secret(const char *error)
{
	size_t run = 0;

	must(error[0] && strlen(error) < ERROR_BYTES);
	for (; *error; error++) {
		run = isxdigit((unsigned char)*error) ? run + 1 : 0;
		must(run < 16);
	}
}

/* The same, written by hand. */
static void text_is_the_same(const struct secret_file *file)
{
	struct secret_file again;
	char path[32], error[ERROR_BYTES], line[64];
	int fd = memfd_create("secret", MFD_CLOEXEC);

	must(fd >= 0 && fchmod(fd, 0600) == 0);
	for (size_t i = 0; i < file->count; i++) {
		int used = snprintf(line, sizeof(line), "%u ", (unsigned)file->masters[i].from);

		for (unsigned b = 0; b < 16; b++)
			used += snprintf(line + used, sizeof(line) - (size_t)used, "%02x",
					 (unsigned)(file->masters[i].key.words[b / 8] >> b % 8 * 8 & 0xff));
		line[used++] = '\n';
		must(write(fd, line, (size_t)used) == used);
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	must(secret_file_load(path, &again, error, sizeof(error)) == 0);
	must(again.count == file->count);
	must(memcmp(again.masters, file->masters, file->count * sizeof(file->masters[0])) == 0);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const struct secret_file nothing;
	struct secret_file file;
	char path[32], error[ERROR_BYTES] = "";
	int fd = memfd_create("secret", MFD_CLOEXEC);

	must(fd >= 0 && fchmod(fd, 0600) == 0 && write(fd, data, bytes) == (ssize_t)bytes);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	memset(&file, 0xee, sizeof(file));
	if (secret_file_load(path, &file, error, sizeof(error)) == 0) {
		is_sound(&file);
		text_is_the_same(&file);
	} else {
		tells_no_secret(error);
		must(memcmp(&file, &nothing, sizeof(file)) == 0);
	}
	close(fd);
	return 0;
}
