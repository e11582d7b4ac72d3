// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Where a process maps a file: inside mmap() by the tracepoint vm_unmapped_area and the caller's registers, or in the function that
 * every mapping passes, where that can be probed.
 */
#include "call.h"
#include "mapped.h"

#define PROT_READ 1
#define MAP_PRIVATE 2
#define MAP_TYPE 15
#define MAP_FIXED 0x10
#define MAP_ANONYMOUS 0x20
#define MAP_FIXED_NOREPLACE 0x100000

/* ---- what is told ---- */

inline_always void mapped_path(struct ev_mapped *e, __u32 area)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);
	__u64 begin = file_path(area), n;

	if (!w || w->cut || begin >= WALK_PATH || begin < WALK_PATH - EV_MAPPED_PATH)
		return;
	n = WALK_PATH - begin;
	begin = BOUND(begin, WALK_PATH);
	n = BOUND(n, EV_MAPPED_PATH);
	if (!bpf_probe_read_kernel(e->path, n, w->path + begin))
		e->path_len = n;
}

inline_always void mapped_fill(struct ev_mapped *e, const struct file_id *id, __u32 what, __u32 tgid)
{
	__u16 flags = mapped_hold(tgid) ? 0 : EVF_UNTRACKED;

	head_fill(&e->h, EV_MAPPED, flags, sizeof(*e));
	e->file = *id;
	e->pid = tgid;
	e->nr = task_nr(current_task());
	e->child = 0;
	e->what = what;
	e->path_len = 0;
}

/* User space knows the file: its path is not needed. */
inline_always bool tell_known(const struct file_id *id, __u32 what, __u32 tgid)
{
	struct ev_mapped *e = bpf_ringbuf_reserve(&ring, sizeof(*e), 0);

	if (!e)
		return false;
	mapped_fill(e, id, what, tgid);
	emit_submit(e);
	return true;
}

/* It has to be looked at, and soon: the process is about to use it. */
inline_always bool tell_unknown(const struct file_id *id, __u32 what, __u32 tgid, __u32 area)
{
	struct ev_mapped *e = bpf_ringbuf_reserve(&ring, sizeof(*e) + EV_MAPPED_PATH, 0);

	if (!e)
		return false;
	mapped_fill(e, id, what, tgid);
	mapped_path(e, area);
	e->h.len = sizeof(*e) + EV_MAPPED_PATH;
	bpf_ringbuf_submit(e, BPF_RB_FORCE_WAKEUP);
	return true;
}

checked_alone int mapped_tell(__u32 what, __u32 area)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);
	__u32 tgid = bpf_get_current_pid_tgid() >> 32, asked = FILE_ASKED, *state;
	struct file_id id = { 0 };
	bool told;

	if (!w || !file_identify(w->file, &id))
		return 0;
	state = bpf_map_lookup_elem(&files, &id);
	if (state && *state == FILE_PLAIN && !(what == MAPPED_EXEC && mapped_holds(tgid)))
		return 0;
	if (!state)
		bpf_map_update_elem(&files, &id, &asked, BPF_NOEXIST);
	told = state && *state != FILE_ASKED ? tell_known(&id, what, tgid) : tell_unknown(&id, what, tgid, area);
	if (told)
		return 0;
	count(KC_MISSED_MAPPED, 1);
	if (!state)
		bpf_map_delete_elem(&files, &id);
	return 0;
}

/* ---- mmap() by its registers ---- */

inline_always struct file *file_of(struct task_struct *task, __u64 fd)
{
	struct fdtable *fdt = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(fdt, fd), *file = NULL;

	if ((__u32)fd < BPF_CORE_READ(fdt, max_fds))
		bpf_probe_read_kernel(&file, sizeof(file), files + (__u32)fd);
	return file;
}

/*
 * Programs and libraries are mapped privately. A library whose segments want more than a page's alignment is mapped over a
 * reservation, with MAP_FIXED, which does not come here; its reservation does, while its file is the one that was opened last.
 */
inline_always struct file *file_to_be_mapped(struct task_struct *task, const struct call *c)
{
	__u64 prot = c->arg[2], flags = c->arg[3];

	if (c->hole || c->nr != NR_mmap || (flags & MAP_TYPE) != MAP_PRIVATE)
		return NULL;
	if (!(flags & MAP_ANONYMOUS))
		return prot & PROT_READ ? file_of(task, c->arg[4]) : NULL;
	if (flags != (MAP_PRIVATE | MAP_ANONYMOUS) || prot)
		return NULL;
	return file_of(task, BPF_CORE_READ(task, files, next_fd) - 1);
}

checked_alone int mapped_blind(__u32 tgid)
{
	__u8 *holds = bpf_map_lookup_elem(&holders, &tgid);

	if (!holds || (*holds & HOLDS_BLIND))
		return 0;
	if (mapped_note(MAPPED_BLIND, current_task(), 0, 0))
		*holds |= HOLDS_BLIND;
	return 0;
}

SEC("tp_btf/vm_unmapped_area")
int BPF_PROG(on_unmapped_area, unsigned long address, struct vm_unmapped_area_info *info)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file *file;
	struct call c;

	if (!find || !proc_selected(task->tgid))
		return 0;
	call_get(&c, task);
	file = file_to_be_mapped(task, &c);
	if (file && walk_to_file(file, AREA_MAP))
		mapped_tell(MAPPED_FILE, AREA_MAP);
	return 0;
}

/* ---- every mapping ---- */

inline_always int mapping(struct file *file, __u64 prot, __u64 flags)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	if (!find || !file || !(prot & PROT_READ) || (flags & MAP_TYPE) != MAP_PRIVATE || !proc_selected(tgid))
		return 0;
	if (walk_to_file(file, AREA_MAP))
		mapped_tell(MAPPED_FILE, AREA_MAP);
	return 0;
}

SEC("fentry/security_mmap_file")
int BPF_PROG(fentry_mmap_file, struct file *file, unsigned long prot, unsigned long flags)
{
	return mapping(file, prot, flags);
}

SEC("kprobe")
int enter_mmap_file(struct pt_regs *regs)
{
	return mapping((struct file *)ARG0(regs), ARG1(regs), ARG2(regs));
}

/* ---- asked by the reader about itself ---- */

static long note_mapped(struct task_struct *task, struct vm_area_struct *vma, void *unused)
{
	struct file *file = BPF_CORE_READ(vma, vm_file);

	if (file && file_identify(file, &identified.real))
		identified.found |= 2;
	return 0;
}

inline_always void identify_fd(struct task_struct *task)
{
	struct file *file = file_of(task, identified.fd);

	identified.found = file && file_identify(file, &identified.file) ? 1 : 0;
}

SEC("raw_tp")
int identify(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();

	identify_fd(task);
	if (identified.address)
		bpf_find_vma(task, identified.address, note_mapped, NULL, 0);
	return 0;
}

/* The same where a mapping cannot be asked for (before 5.17). */
SEC("raw_tp")
int identify_file(void *ctx)
{
	identify_fd(current_task());
	return 0;
}
