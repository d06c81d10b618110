/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/vault.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STACK_SWEPT_BYTES 32768 /* more than reading the secret's file takes */

static size_t page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t whole_pages(size_t bytes)
{
	return (bytes + page_bytes() - 1) / page_bytes() * page_bytes();
}

void *vault_open(size_t bytes, int *error)
{
	size_t page = page_bytes(), inside = whole_pages(bytes);
	char *outside = mmap(NULL, inside + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int failed;

	if (outside == MAP_FAILED)
		return NULL;
	if (mprotect(outside + page, inside, PROT_READ | PROT_WRITE) != 0) {
		failed = errno;
		munmap(outside, inside + 2 * page);
		errno = failed;
		return NULL;
	}
	*error = 0; /* one that fails does not spare us the others */
	if (madvise(outside + page, inside, MADV_DONTDUMP) != 0)
		*error = errno;
	if (madvise(outside + page, inside, MADV_WIPEONFORK) != 0)
		*error = errno;
	if (mlock(outside + page, inside) != 0)
		*error = errno;
	return outside + page;
}

void vault_close(void *vault, size_t bytes)
{
	if (!vault)
		return;
	explicit_bzero(vault, bytes);
	munmap((char *)vault - page_bytes(), whole_pages(bytes) + 2 * page_bytes());
}

int vault_hide(const void *secret, size_t bytes)
{
	uintptr_t first = (uintptr_t)secret / page_bytes() * page_bytes();
	uintptr_t end = (uintptr_t)secret + bytes;

	return madvise((void *)first, end - first, MADV_DONTDUMP) == 0 ? 0 : errno;
}

__attribute__((noinline)) void vault_sweep_stack(void)
{
	char below[STACK_SWEPT_BYTES];

	explicit_bzero(below, sizeof(below));
}
