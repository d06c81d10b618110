/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xdpend DEV pass|drop - an XDP program of two instructions, native, until the end.
 *
 * `drop` is the least that any defense can cost. `pass` at the far end of a veth makes it take what is sent by XDP_TX.
 */
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

int main(int argc, char **argv)
{
	struct bpf_insn program[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_link_create_opts, native, .flags = XDP_FLAGS_DRV_MODE);
	unsigned int interface = argc == 3 ? if_nametoindex(argv[1]) : 0;
	int fd;

	if (!interface || (strcmp(argv[2], "pass") && strcmp(argv[2], "drop"))) {
		fputs("usage: xdpend DEV pass|drop\n", stderr);
		return 2;
	}
	if (!strcmp(argv[2], "drop"))
		program[0].imm = XDP_DROP;
	fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "xdpend", "GPL", program, 2, NULL);
	if (fd < 0 || bpf_link_create(fd, (int)interface, BPF_XDP, &native) < 0) {
		fprintf(stderr, "xdpend: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	puts("ready");
	fflush(stdout);
	pause();
	return 0;
}
