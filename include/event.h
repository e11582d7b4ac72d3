/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Everything that crosses the kernel boundary: records in the ring, the verdict slots and knobs that
 * both sides map, the kernel's counters. The kernel side knows no application protocol: a record says
 * (connection, direction, byte offset, bytes) and nothing more.
 *
 * Units: times are nanoseconds of CLOCK_BOOTTIME; offsets and sizes are bytes; ports are in host order;
 * addresses are 16 bytes, IPv4 as ::ffff:a.b.c.d. Every struct is a multiple of 8 bytes without hidden
 * padding (checked below): reserved fields are zero. The recording format (user/probe/record.h) stores
 * these structs as they are: a change here raises RECORD_VERSION there.
 */
#ifndef SPANDREL_EVENT_H
#define SPANDREL_EVENT_H

#ifndef __bpf__
#include <linux/types.h>
#endif

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* ---- records ---------------------------------------------------------------------------------- */

enum ev_type {
	EV_DATA = 1,	 /* struct ev_data: bytes moved on a connection */
	EV_OPEN = 2,	 /* struct ev_open: first sight of a connection; precedes every other record of it */
	EV_END = 3,	 /* struct ev_end: one or both directions have ended */
	EV_EXEC = 4,	 /* struct ev_exec: a selected process has a new program */
	EV_EXIT = 5,	 /* struct ev_exit: a selected process has ended */
	EV_CGROUP = 6,	 /* struct ev_cgroup: a directory of control groups was made or removed; for the selection, not recorded */
	EV_MAPPED = 7,	 /* struct ev_mapped: a selected process maps a file; stays in probe/, is not recorded */
	EV_SESSION = 8,	 /* struct ev_session: a TLS session; precedes its data, and comes again when more is known of it */
	/* made in user space, so that a recording replays exactly: */
	EV_TICK = 16,	 /* struct ev_tick: time passes, nothing else happened */
	EV_CLOCK = 17,	 /* struct ev_clock: offset from boot time to real time */
	EV_PROGRESS = 18, /* struct ev_progress: what a verdict slot says of bytes that were passed over */
	EV_LIVE = 19,	 /* struct ev_live: a sweep: UNIX connections of one namespace that still exist */
	EV_PROC = 20,	 /* facts about a process (host/), as bytes in its own format */
	EV_HOST = 21,	 /* facts about this host (host/), likewise */
	EV_POD = 22,	 /* what a container's pod says (host/), likewise, and what is not known of it yet */
	EV_OTLP = 23,	 /* struct ev_otlp: a process was seen with traces of its own making, or of others */
	EV_NAME = 24,	 /* struct ev_name: what an address was called */
};

enum ev_dir { DIR_RECV = 0, DIR_SEND = 1 };

struct ev_head {
	__u16 type;	/* enum ev_type */
	__u16 flags;
	__u32 len;	/* bytes of the record, this header included */
	__u64 time;	/* when the operation returned */
};

/* Why bytes of an operation are not in a record (enum in ev_data.hole): their count is exact, their content unknown. */
enum ev_hole {
	HOLE_NONE = 0,
	HOLE_SKIPPED,	/* a verdict asked to pass over them */
	HOLE_BUDGET,	/* no verdict yet, and the budget of this turn is used up */
	HOLE_NO_BUFFER,	/* sendfile, splice: there is no user buffer */
	HOLE_IO_URING,	/* the registers belong to another call */
	HOLE_FOREIGN,	/* registers do not describe this operation: other call, 32-bit task, other socket */
	HOLE_FAULT,	/* user memory could not be read */
	HOLE_TRUNC,	/* MSG_TRUNC: the kernel discarded the bytes */
	HOLE_UNSEEN,	/* moved by someone we do not trace, or by splice: found by the sequence numbers */
	HOLE_MAX,
};

#define EVF_SEQ 1	/* ev_data.seq is the TCP sequence number of the record's first byte */
#define EVF_POLLED 2	/* received, and an epoll instance watches the socket: its reader waits for others as well */
#define EVF_PASSED 4	/* bytes right before the record, of the same operation, were passed over and no record tells of them */

/*
 * `size` bytes at `off` of one direction; the first `cap` of them follow. size > cap: a hole of the
 * kind `hole` follows the captured bytes. One operation may become several records, offsets ascending.
 */
struct ev_data {
	struct ev_head h;
	__u64 conn;	/* connection id, never reused while the tracer runs */
	__u64 off;	/* offset of the first byte in its direction, from the connection's beginning */
	__u64 ctx;	/* execution context that moved the bytes; thread id where nothing better is known */
	__u32 pid;	/* process (thread group) and thread that moved them, initial namespace */
	__u32 tid;
	__u32 size;
	__u32 cap;
	__u32 seq;
	__u8 dir;	/* enum ev_dir */
	__u8 hole;	/* enum ev_hole */
	__u16 passed;	/* EVF_PASSED: how many they were; 0: not known */
	__u8 data[];
};

enum ev_family { FAM_INET = 1, FAM_INET6 = 2, FAM_UNIX = 3 };
enum ev_role { ROLE_UNKNOWN = 0, ROLE_CLIENT = 1, ROLE_SERVER = 2 };	/* who connected */

#define EVF_MID 1	/* the connection is older than our sight of it: the first bytes may be inside a message */
#define EV_PATH_MAX 108

struct ev_open {
	struct ev_head h;
	__u64 conn;
	__u64 self_key;	/* UNIX: opaque key of this socket and of its peer's; 0 if none */
	__u64 peer_key;
	__u64 start[2];	/* offset of the first byte that will be reported, by enum ev_dir */
	__u32 pid;
	__u32 tid;
	__u32 netns;	/* inode of the network namespace */
	__u16 lport;
	__u16 rport;
	__u8 laddr[16];
	__u8 raddr[16];
	__u8 family;	/* enum ev_family; a mapped address is FAM_INET */
	__u8 role;	/* enum ev_role */
	__u8 path_len;	/* UNIX: bytes of path; an abstract name begins with NUL */
	__u8 reserved;
	__u8 path[EV_PATH_MAX];
};

#define EVF_RESET 1	/* by RST, or aborted */
#define EVF_FINAL 2	/* nothing more comes of this connection */

struct ev_end {
	struct ev_head h;
	__u64 conn;
	__u64 off[2];	/* bytes moved in each direction, holes included */
	__u32 pid;	/* who ended it, 0 if not in a process's context */
	__u8 dirs;	/* bit 1 << enum ev_dir for each direction that ended */
	__u8 reserved[3];
};

/*
 * A TLS session is a connection of its own, whose bytes are the plaintext: EV_DATA and EV_END speak of `conn` as of any other. Its
 * socket's connection, the carrier, gives no data once it is known. EVF_MID: the session is older than our sight of it.
 */
enum ev_binding { /* how the carrier was found */
	BIND_NONE,
	BIND_NESTED, /* the library used the socket inside a call of the session */
	BIND_FD,     /* the session was given the socket's descriptor */
	BIND_BYTES,  /* ciphertext that the session wrote into memory was met again at the socket */
	BIND_MAX,
};

#define EV_ALPN_MAX 15

struct ev_session {
	struct ev_head h;
	__u64 conn;	/* connection id, from the same counter as the sockets' */
	__u64 carrier;	/* connection id of the socket, 0: not known (yet) */
	__u64 start[2];	/* offset of the first plaintext byte that will be reported, by enum ev_dir */
	__u32 pid;
	__u32 tid;
	__u8 binding;	/* enum ev_binding */
	__u8 alpn_len;	/* bytes of alpn, 0: not seen */
	__u8 alpn[EV_ALPN_MAX];
	__u8 reserved[7];
};

#define EV_EXE_MAX 256
#define EV_ARGS_MAX 512

struct ev_exec {
	struct ev_head h;
	__u64 start;	/* start time of the process */
	__u64 cgroup;	/* id of its v2 cgroup */
	__u32 pid;
	__u32 ppid;
	__u16 exe_len;	/* the executable's path, as /proc/PID/exe shows it, the tail if it is longer */
	__u16 args_len;	/* the first bytes of the arguments, separated by NUL */
	__u32 reserved;
	__u8 comm[16];
	__u8 exe[EV_EXE_MAX];
	__u8 args[EV_ARGS_MAX];
};

struct ev_exit {
	struct ev_head h;
	__u32 pid;
	__u32 reserved;
};

/* A file as the kernel knows it: what is in it can have changed only where one of these has. */
struct file_id {
	__u64 ino;
	__u64 size;
	__u64 mtime;	/* s */
	__u32 dev;	/* of the superblock, as the kernel numbers it */
	__u32 generation;
};

enum mapped_what {
	MAPPED_FILE = 1, /* is about to map `file` */
	MAPPED_EXEC,	 /* has a new program, `file`: what it mapped before is gone */
	MAPPED_FORK,	 /* has a child, which maps what it maps */
	MAPPED_EXIT,
	MAPPED_ALL,	 /* is selected from now on: what it maps already is to be looked at */
	MAPPED_BLIND,	 /* has TLS sessions that use no socket in their calls: what is enciphered is to be seen too */
};

/* What is known of a file: it decides who tells of it. */
enum file_state {
	FILE_ASKED = 1,	/* user space was told and has not answered: everyone who maps it is told of */
	FILE_PLAIN,	/* nothing of interest: nobody is */
	FILE_TLS,	/* everyone is, so that it is known when the last one goes */
};

#define EVF_UNTRACKED 1	/* ev_mapped: the end of this process will not be told */

#define EV_MAPPED_PATH 512

struct ev_mapped {
	struct ev_head h;
	struct file_id file;
	__u32 pid;	/* initial namespace */
	__u32 nr;	/* the same as the reader's namespace numbers it; 0: it is not there */
	__u32 child;	/* MAPPED_FORK: its process id, initial namespace */
	__u16 what;	/* enum mapped_what */
	__u16 path_len;
	__u8 path[];	/* of the file, as far as its mounts go; none where it is too long */
};

#define EVF_GONE 1	/* removed */
#define EV_CGROUP_PATH 1024

struct ev_cgroup {
	struct ev_head h;
	__u64 id;	/* of its directory: the inode's number */
	__u32 hierarchy; /* 0: v2; else knobs.hierarchy */
	__u16 path_len;
	__u16 reserved;
	__u8 path[EV_CGROUP_PATH]; /* from the hierarchy's root */
};

struct ev_tick {
	struct ev_head h;
};

struct ev_clock {
	struct ev_head h;
	__s64 offset;	/* real time = boot time + offset */
};

struct ev_progress {
	struct ev_head h;
	__u64 conn;
	__u64 seen[2];	/* offset up to which bytes were moved, by enum ev_dir */
	__u64 time;	/* of the last of them */
};

struct ev_live {
	struct ev_head h;
	__u32 netns;
	__u32 count;
	__u64 conn[];
};

#define EVF_AWAITED 1	/* EV_POD: the pod is not known yet: until `time` its spans wait for it */

struct ev_blob {	/* EV_PROC, EV_HOST, EV_POD */
	struct ev_head h;
	__u32 pid;
	__u32 size;
	__u8 data[];	/* padded to 8 */
};

enum otlp_role { OTLP_SENDS = 1, OTLP_RECEIVES = 2 };

struct ev_otlp {	/* only where that matters: not when processes are selected one by one */
	struct ev_head h;
	__u32 pid;
	__u32 role;	/* enum otlp_role bits that are new */
};

struct ev_name {
	struct ev_head h;
	__u8 addr[16];
	__u64 at;	 /* time that was asked about */
	__u16 port;
	__u16 name_len;	 /* of the service, and ... */
	__u16 space_len; /* ... of its namespace behind it */
	__u16 reserved;
	__u8 text[];
};

/* ---- shared memory ---------------------------------------------------------------------------- */

#define VERDICT_SLOTS 16384	/* power of two; slot = conn & (VERDICT_SLOTS − 1) */

/*
 * User space writes all but seen*, `conn` last; the kernel uses a slot only when `conn` is its own.
 * A collision means "no verdict". OFF is skip_to = ~0 in both directions.
 */
struct verdict {
	__u64 conn;		/* with VERDICT_FRAMED where a frame slot has something to say as well */
	__u64 skip_to[2];	/* bytes below this offset are only counted; the operation that reaches it gives a record */
	__u64 grant_to[2];	/* bytes below this offset are captured whatever the budget says */
	__u64 seen[2];		/* the kernel: offset reached while passing over */
	__u64 seen_time;	/* the kernel: when */
};

#define VERDICT_FRAMED (1ULL << 63)

/*
 * How a protocol cuts its stream into frames: a header of fixed size that tells the length and type of what follows. Numbers only:
 * the kernel follows them and passes over payload of the types that nobody reads.
 */
#define FRAMINGS_MAX 4		/* power of two */
#define FRAME_HEADER_MAX 16	/* power of two */
#define FRAME_MAGIC_WORDS 3

union frame_magic {
	__u8 bytes[8 * FRAME_MAGIC_WORDS];
	__u64 words[FRAME_MAGIC_WORDS];
};

struct framing {
	__u32 protocol;	/* framings of one protocol differ in what they pass over only */
	__u32 header;	/* bytes of a frame's header */
	__u32 len_at;	/* where in it the length stands, */
	__u32 len_size;	/* ... in so many bytes, at most 4, */
	__u32 little;	/* ... 1: the lowest first */
	__s32 adjust;	/* length + adjust bytes follow the header */
	__u32 max;	/* a frame with more payload is none: this is no such stream */
	__u32 type_at;	/* where in the header the type stands, one byte */
	__u32 keep;	/* of a payload that is passed over, bytes at its beginning to capture all the same */
	__u32 worth;	/* a payload that is longer by less is captured whole */
	__u64 pass[4];	/* bit per type: its payload is passed over */
	__u32 magic_len; /* what the side that asks sends before its first frame: so many bytes; 0: there is no such sign */
	__u32 first;	/* type of the other side's first frame */
	union frame_magic magic, mask; /* these, and all ones where there are any */
};

/* What user space knows of a connection's frames; same index as the verdict slots. */
struct frame_slot {
	__u64 conn;
	__u64 at[2];	/* offset where a frame begins, by enum ev_dir; of use while nothing has passed behind it. 0: not known */
	__u32 framing;	/* index + 1: may be passed over; 0: not (any more) */
	__u32 followed;	/* the kernel: 1 << enum ev_dir for each direction that it follows */
};

/*
 * Budget: bytes captured of one direction since the other one last moved (a turn). Heads come at the
 * beginning of a turn, so this bounds what is copied of a body before user space has answered.
 */
#define SCRATCH_LEVELS 3 /* work areas of a processor, for hooks that preempt each other */
#define TURN_BUDGET (68 * 1024)

#define SEL_MAX 16	/* patterns, cgroups or process ids of one kind */
#define SEL_GLOB_MAX 120

/* SEL_KUBE: what Kubernetes and container runtimes call things; user space decides it for each control group (map cgroups). */
enum sel_kind { SEL_PID = 1, SEL_EXE = 2, SEL_COMM = 4, SEL_CGROUP = 8, SEL_PORT = 16, SEL_KUBE = 32 };

/*
 * Keys of the map cgroups: a directory's id, with CGROUP_V1 in the one v1 hierarchy that is looked at. Values: SEL_KUBE where the
 * selectors match, EXCLUDED(SEL_KUBE) where they rule it out, and CGROUP_DECIDED unless that is for want of knowledge.
 */
#define CGROUP_V1 (1ULL << 63)
#define CGROUP_DECIDED 1u
#define CGROUPS_MAX 8192
#define EXCLUDED(kind) ((kind) << 8)

struct sel_glob {
	__u8 len;
	__u8 last;	/* match against the last path component only */
	__u8 exclude;
	__u8 reserved[5];
	__u8 pat[SEL_GLOB_MAX];
};

struct sel_id {
	__u64 id;	/* process id, or cgroup id */
	__u32 level;	/* cgroup: depth in the hierarchy, root 0 */
	__u32 exclude;
};

#define OWN_DOORS_MAX 128

struct own_end { /* of the tracer itself: one end of a connection, or where it listens */
	__u8 addr[16];
	__u32 netns; /* of loopback addresses; others are the same wherever they are dialled: 0 */
	__u32 port;
};

/* Written before attaching and again at SIGHUP (then followed by a walk over all tasks). */
struct knobs {
	__u32 need;	/* enum sel_kind bits that must all match; 0: every process */
	__u32 check;	/* enum sel_kind bits (need or exclusions) for which a process must be looked up */
	__u32 port_need;	/* 1: a connection must match port_bits */
	__u32 port_exclude;	/* 1: a connection must not match port_not */
	__u32 self;	/* our own process id, initial namespace */
	__u32 netns;	/* our own network namespace */
	__u32 n_exe, n_comm, n_cgroup, n_pid;
	__u32 subsys;	 /* a controller whose v1 hierarchy is looked at for SEL_KUBE, too: its number in the kernel, + 1; 0: none */
	__u32 hierarchy; /* its number in /proc/cgroups */
	__u64 key;	/* secret that makes socket keys opaque */
	struct sel_glob exe[SEL_MAX];
	struct sel_glob comm[SEL_MAX];
	struct sel_id cgroup[SEL_MAX];
	struct sel_id pid[SEL_MAX];
	__u8 port_bits[8192];	/* bit per port */
	__u8 port_not[8192];
};

/* Written before the programs are loaded: the verifier knows the values, and what they exclude is not looked at. */
struct way {
	__u32 hashed;	 /* connections are found by the socket's address: hooks may not give sockets storage (before 5.11; kprobes) */
	__u32 registers; /* socktp: the bytes are found by the caller's registers */
	__u32 kprobe;
	__u32 io_kthreads; /* io_uring works in threads of the kernel (before 5.12) */
	/* addresses of the kernel's variables, 0 where they are hidden from us */
	__u64 tcp_prot, tcpv6_prot;
	__u64 page_offset_base, vmemmap_base;
	__u64 socket_file_ops;
};

/* The reader sets `idle` before it sleeps; the kernel wakes it for the next record only then, and clears it. */
struct wake {
	__u32 idle;
	__u32 reserved;
};

#define SESSIONS_MAX 4096 /* TLS sessions that the kernel keeps; the one that was used least lately makes room */

struct session_key { /* ... by */
	__u64 session; /* the library's handle */
	__u32 tgid;    /* process id in the initial namespace */
	__u32 reserved;
};

/* What a program run by the reader says of a descriptor and a mapping of the reader. */
struct identify {
	__u64 address;	/* asked: an address in the mapping, or 0 */
	__u32 fd;	/* asked */
	__u32 found;	/* bit 0: `file` is valid, bit 1: `real` is */
	struct file_id file; /* what the descriptor leads to, as ev_mapped would tell of it */
	struct file_id real; /* what is mapped there: below an overlay, the file of the layer */
};

/* What a program run by the reader says of the reader; namespaces by inode number. */
struct whoami {
	__u32 tgid;	/* process id in the initial namespace */
	__u32 netns;
	__u32 pidns;
	__u32 pid_level;	/* depth of that namespace, 0 the initial one */
	__u64 root_dentry;	/* our root: paths end there, as they do in /proc */
	__u64 root_mnt;
};

/* ---- the kernel's counters (per CPU) ------------------------------------------------------------ */

enum kcount {
	KC_MISSED_DATA = 0,	/* records not handed over: the ring was full */
	KC_MISSED_OPEN,
	KC_MISSED_END,
	KC_MISSED_PROC,
	KC_NO_STORAGE,		/* connections without state: out of memory */
	KC_PATH_TOO_LONG,	/* executable or pattern matching gave up: process decided by what was read */
	KC_PROCS_FULL,		/* a selected process could not be remembered */
	KC_RACES,		/* sequence numbers went backwards: two threads on one socket */
	KC_LAYERED,		/* connections whose bytes pass other functions than TCP's own: kTLS, sockmap */
	KC_MISSED_MAPPED,	/* records of mapped files, and of the ends of processes that map them */
	KC_MISSED_RETURN,	/* kprobe: operations whose return was not seen */
	KC_MISSED_SESSION,	/* sessions not handed over: the ring was full */
	KC_SESSIONS,		/* TLS sessions made, */
	KC_SESSIONS_ENDED,	/* ... and taken out of the table when they ended; what is missing was evicted or is in it */
	KC_NO_SESSION,		/* TLS calls without a session: no memory */
	KC_TLS_UNFINISHED,	/* TLS calls whose return was not seen */
	KC_HOLE_BYTES,		/* + enum ev_hole: bytes counted but not captured */
	KC_MAX = KC_HOLE_BYTES + HOLE_MAX,
};

#pragma GCC diagnostic pop

_Static_assert(sizeof(struct ev_head) == 16, "ev_head");
_Static_assert(sizeof(struct ev_data) == 64, "ev_data");
_Static_assert(sizeof(struct ev_open) == 16 + 40 + 12 + 4 + 32 + 4 + EV_PATH_MAX, "ev_open");
_Static_assert(sizeof(struct ev_end) == 48, "ev_end");
_Static_assert(sizeof(struct ev_mapped) == 64, "ev_mapped");
_Static_assert(sizeof(struct ev_session) == 16 + 32 + 8 + 24, "ev_session");
_Static_assert(sizeof(struct ev_exec) % 8 == 0, "ev_exec");
_Static_assert(sizeof(struct ev_cgroup) == 32 + EV_CGROUP_PATH, "ev_cgroup");
_Static_assert(sizeof(struct verdict) == 64, "verdict: one cache line");
_Static_assert(sizeof(struct frame_slot) == 32, "frame_slot: two to a cache line");

#endif
