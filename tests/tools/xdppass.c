/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xdppass: an XDP program that lets everything pass, on an interface until this process ends: another's program, or what a
 * veth's other end needs to take what XDP sends. */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static long bpf(enum bpf_cmd command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

int main(int argc, char **argv)
{
	static const struct bpf_insn program[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr;
	long fd;

	if (argc != 3 || (strcmp(argv[2], "native") != 0 && strcmp(argv[2], "generic") != 0)) {
		fputs("usage: xdppass DEV native|generic\n", stderr);
		return 2;
	}
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_XDP;
	attr.insns = (uintptr_t)program;
	attr.insn_cnt = sizeof(program) / sizeof(program[0]);
	attr.license = (uintptr_t) "GPL";
	fd = bpf(BPF_PROG_LOAD, &attr);
	if (fd >= 0) {
		memset(&attr, 0, sizeof(attr));
		attr.link_create.prog_fd = (uint32_t)fd;
		attr.link_create.target_ifindex = if_nametoindex(argv[1]);
		attr.link_create.attach_type = BPF_XDP;
		attr.link_create.flags = argv[2][0] == 'n' ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
		fd = bpf(BPF_LINK_CREATE, &attr);
	}
	if (fd < 0) {
		fprintf(stderr, "xdppass: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	puts("there");
	fflush(stdout);
	pause();
	return 0;
}
