/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What differs per architecture: registers, the numbers of the system calls that move bytes, where pages are. */
#ifndef SPANDREL_ARCH_H
#define SPANDREL_ARCH_H

#include "compat.h"
#include "maps.h"

#if defined(__TARGET_ARCH_x86)

enum {
	NR_read = 0, NR_write = 1, NR_readv = 19, NR_writev = 20, NR_preadv2 = 327, NR_pwritev2 = 328,
	NR_recvfrom = 45, NR_recvmsg = 47, NR_recvmmsg = 299,
	NR_sendto = 44, NR_sendmsg = 46, NR_sendmmsg = 307,
	NR_sendfile = 40, NR_splice = 275, NR_io_uring_enter = 426, NR_mmap = 9,
};

/* The kernel's address of a page's bytes, 0 where that cannot be known. All memory is mapped in one piece, in the order of the pages. */
inline_always __u64 page_address(__u64 page)
{
	__u64 bytes = 0, pages = 0;

	if (!way.page_offset_base || !way.vmemmap_base)
		return 0;
	bpf_probe_read_kernel(&bytes, sizeof(bytes), (void *)way.page_offset_base);
	bpf_probe_read_kernel(&pages, sizeof(pages), (void *)way.vmemmap_base);
	return bytes ? bytes + ((page - pages) / bpf_core_type_size(struct page) << 12) : 0;
}

#define TS_COMPAT 2	/* thread_info.status: entered by int $0x80 or from 32-bit code */
#define X32_BIT 0x40000000

inline_always void call_get(struct call *c, struct task_struct *task)
{
	struct pt_regs *r = (struct pt_regs *)bpf_task_pt_regs(task);

	c->nr = (int)r->orig_ax;
	c->arg[0] = r->di;
	c->arg[1] = r->si;
	c->arg[2] = r->dx;
	c->arg[3] = r->r10;
	c->arg[4] = r->r8;
	c->hole = HOLE_NONE;
	if ((task->thread_info.status & TS_COMPAT) || (c->nr & X32_BIT))
		c->hole = HOLE_FOREIGN;
	else if ((long)r->ax != -38) /* −ENOSYS until the call returns: then io_uring's work is done, inside any call */
		c->hole = HOLE_IO_URING;
}

/* Of a function, in a kprobe or uprobe: its arguments from 0 on, its result, its stack. */
#define ARG0(regs) ((regs)->di)
#define ARG1(regs) ((regs)->si)
#define ARG2(regs) ((regs)->dx)
#define ARG3(regs) ((regs)->cx)
#define ARG4(regs) ((regs)->r8)
#define RESULT(regs) ((regs)->ax)
#define STACK(regs) ((regs)->sp)
#define RETURN_SIZE 8 /* what a call puts on the stack */

/* Go's own convention (src/cmd/compile/abi-internal.md): the first arguments and results, and the current goroutine. */
#define GO0(regs) ((regs)->ax)
#define GO1(regs) ((regs)->bx)
#define GO2(regs) ((regs)->cx)
#define GO3(regs) ((regs)->di)
#define GO_G(regs) ((regs)->r14)

#elif defined(__TARGET_ARCH_arm64)

enum {
	NR_read = 63, NR_write = 64, NR_readv = 65, NR_writev = 66, NR_preadv2 = 286, NR_pwritev2 = 287,
	NR_recvfrom = 207, NR_recvmsg = 212, NR_recvmmsg = 243,
	NR_sendto = 206, NR_sendmsg = 211, NR_sendmmsg = 269,
	NR_sendfile = 71, NR_splice = 76, NR_io_uring_enter = 426, NR_mmap = 222,
};

/* The kernel's map of memory begins where its configuration says, which nothing shows. */
inline_always __u64 page_address(__u64 page)
{
	return 0;
}

#define TIF_32BIT (1 << 22)

inline_always void call_get(struct call *c, struct task_struct *task)
{
	struct pt_regs *r = (struct pt_regs *)bpf_task_pt_regs(task);

	c->nr = r->syscallno;
	c->arg[0] = r->regs[0];
	c->arg[1] = r->regs[1];
	c->arg[2] = r->regs[2];
	c->arg[3] = r->regs[3];
	c->arg[4] = r->regs[4];
	c->hole = HOLE_NONE;
	if (task->thread_info.flags & TIF_32BIT)
		c->hole = HOLE_FOREIGN;
	else if (r->regs[0] != r->orig_x0) /* equal until the call returns: then io_uring's work is done, inside any call */
		c->hole = HOLE_IO_URING;
}

#define ARG0(pt) ((pt)->regs[0])
#define ARG1(pt) ((pt)->regs[1])
#define ARG2(pt) ((pt)->regs[2])
#define ARG3(pt) ((pt)->regs[3])
#define ARG4(pt) ((pt)->regs[4])
#define RESULT(pt) ((pt)->regs[0])
#define STACK(pt) ((pt)->sp)
#define RETURN_SIZE 0

#define GO0(pt) ((pt)->regs[0])
#define GO1(pt) ((pt)->regs[1])
#define GO2(pt) ((pt)->regs[2])
#define GO3(pt) ((pt)->regs[3])
#define GO_G(pt) ((pt)->regs[28])

#else
#error "bpf/arch.h has no row for this architecture"
#endif

#endif
