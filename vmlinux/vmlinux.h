/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The kernel's types that bpf/ uses, and of each only the fields it uses: CO-RE finds them (README.md). */
#ifndef SPANDREL_VMLINUX_H
#define SPANDREL_VMLINUX_H

typedef unsigned char __u8;
typedef signed char __s8;
typedef unsigned short __u16;
typedef short __s16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;
typedef long long __s64;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u32 __wsum;
typedef _Bool bool;
enum { false = 0, true = 1 };
#define NULL ((void *)0)

/* of the user API, stable */
enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_RINGBUF = 27,
};
enum { BPF_ANY = 0, BPF_NOEXIST = 1, BPF_EXIST = 2 };
enum { BPF_F_NO_PREALLOC = 1 };
enum { BPF_SK_STORAGE_GET_F_CREATE = 1 };
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2 };

struct iovec {
	void *iov_base;
	__u64 iov_len;
};
struct user_msghdr {
	void *msg_name;
	int msg_namelen;
	struct iovec *msg_iov;
	__u64 msg_iovlen;
	void *msg_control;
	__u64 msg_controllen;
	unsigned int msg_flags;
};
struct mmsghdr {
	struct user_msghdr msg_hdr;
	unsigned int msg_len;
};

enum bpf_func_id { BPF_FUNC_sk_storage_get = 107, BPF_FUNC_sock_from_file = 162 }; /* bpf_core_enum_value_exists() asks the kernel's */
enum iter_type { ITER_UBUF, ITER_IOVEC, ITER_BVEC, ITER_KVEC };			   /* bpf_core_enum_value(): numbers differ */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct { int counter; } atomic_t;

struct pt_regs {
#if defined(__TARGET_ARCH_x86)
	unsigned long r14, r10, r9, r8, ax, bx, cx, dx, si, di, orig_ax, sp;
#elif defined(__TARGET_ARCH_arm64)
	__u64 regs[31];
	__u64 sp;
	__u64 orig_x0;
	__s32 syscallno;
#endif
};

struct thread_info {
	unsigned long flags;
	u32 status;
};

struct ns_common { unsigned int inum; };
struct pid_namespace {
	unsigned int level;
	struct ns_common ns;
};
struct upid {
	int nr;
	struct pid_namespace *ns;
};
struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct qstr {
	u32 len;
	const unsigned char *name;
};
struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
};
struct vfsmount { struct dentry *mnt_root; };
struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};
struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};
struct fs_struct { struct path root; };
struct hlist_head;
struct list_head { struct list_head *next; };
struct file_operations;
struct super_block { u32 s_dev; };
struct timespec64 { s64 tv_sec; };
struct inode {
	u16 i_mode;
	unsigned long i_ino;
	s64 i_size;
	s64 i_mtime_sec;
	u32 i_generation;
	struct super_block *i_sb;
};
struct inode___66 { struct timespec64 i_mtime; };
struct inode___610 { struct timespec64 __i_mtime; };
struct file {
	void *private_data;
	struct path f_path;
	struct inode *f_inode;
	const struct file_operations *f_op;
	struct hlist_head *f_ep;
};
struct file___510 { struct list_head f_ep_links; };
struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};
struct files_struct {
	struct fdtable *fdt;
	unsigned int next_fd;
};
struct vm_area_struct { struct file *vm_file; };
struct vm_unmapped_area_info;

struct kernfs_node { u64 id; };
struct cgroup;
struct cgroup_root { int hierarchy_id; };
struct cgroup_subsys_state { struct cgroup *cgroup; };
struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup_root *root;
	struct cgroup *ancestors[];
};
struct cgroup___60 { u64 ancestor_ids[1]; };
struct css_set {
	struct cgroup *dfl_cgrp;
	struct cgroup_subsys_state *subsys[1]; /* by controller */
};

struct task_struct;
struct mm_struct {
	struct file *exe_file;
	struct task_struct *owner;
	unsigned long arg_start, arg_end;
};
struct signal_struct { atomic_t live; };
struct net { struct ns_common ns; };
struct nsproxy { struct net *net_ns; };
struct linux_binprm { const char *filename; };

struct task_struct {
	struct thread_info thread_info;
	unsigned int flags;
	int pid, tgid;
	struct pid *thread_pid;
	u64 start_boottime;
	char comm[16];
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct mm_struct *mm;
	struct fs_struct *fs;
	struct files_struct *files;
	struct signal_struct *signal;
	struct css_set *cgroups;
	struct nsproxy *nsproxy;
};

struct in6_addr {
	union {
		u8 u6_addr8[16];
		__be32 u6_addr32[4];
	} in6_u;
};
typedef struct { struct net *net; } possible_net_t;

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	unsigned long skc_flags;
	struct proto *skc_prot;
};
struct sk_buff_head { __u32 qlen; };
struct socket {
	struct file *file;
	struct sock *sk;
};
struct bpf_local_storage;
typedef struct { int owned; } socket_lock_t;
struct sock {
	struct sock_common __sk_common;
	socket_lock_t sk_lock;
	struct sk_buff_head sk_receive_queue;
	int sk_err;
	struct socket *sk_socket;
	u16 sk_protocol;
	u16 sk_type;
	u8 sk_shutdown;
	u32 sk_max_ack_backlog;
	struct pid *sk_peer_pid;
	struct bpf_local_storage *sk_bpf_storage;
};
struct tcp_ulp_ops;
struct inet_sock { struct sock sk; };
struct inet_connection_sock {
	struct inet_sock icsk_inet;
	const struct tcp_ulp_ops *icsk_ulp_ops;
};
struct tcp_sock {
	struct inet_connection_sock inet_conn;
	u32 copied_seq;
	u32 write_seq;
	u32 rcv_nxt, snd_nxt, snd_una;
	u64 bytes_received, bytes_acked, bytes_sent, bytes_retrans;
};

struct page { unsigned long flags; };
struct iov_iter {
	u8 iter_type;
	u64 iov_offset;
	u64 count;
	u64 nr_segs;
	const struct iovec *__iov;
};
struct iov_iter___63 { const struct iovec *iov; };
struct iov_iter___513 { unsigned int type; };
struct msghdr {
	struct iov_iter msg_iter;
	unsigned int msg_flags;
};

struct sockaddr_un {
	unsigned short sun_family;
	char sun_path[108];
};
struct unix_address {
	int len;
	struct sockaddr_un name[];
};
struct unix_sock {
	struct sock sk;
	struct unix_address *addr;
	struct sock *peer;
};

struct bpf_iter_meta {
	struct seq_file *seq;
	u64 session_id;
	u64 seq_num;
};
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};
struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	u32 fd;
	struct file *file;
};
struct bpf_iter__unix {
	struct bpf_iter_meta *meta;
	struct unix_sock *unix_sk;
	u32 uid;
};

#pragma clang attribute pop

#endif
