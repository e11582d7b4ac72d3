/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Every map and knob. Maps are weak (each object carries them, the linker merges them); variables live in maps.bpf.c. */
#ifndef SPANDREL_MAPS_H
#define SPANDREL_MAPS_H

#include "bound.h"
#include "event.h"
#include "glob.h"

/* ---- maps ---- */

struct { /* records to user space; its size is set before loading */
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} ring SEC(".maps") __weak;

enum conn_flag {
	CF_NEVER = 1,	   /* its other end is the tracer */
	CF_MID = 2,	   /* older than our sight of it */
	CF_OPENED = 4,	   /* EV_OPEN was handed over */
	CF_RECV_ENDED = 8, /* reported */
	CF_SEND_ENDED = 16,
	CF_FINAL = 32,
	CF_CONNECTING = 64, /* SYN sent; nothing is known but who did it */
	CF_ABORTED = 128,   /* closed while bytes were left to read: the end is reported once they are read */
	CF_RESET = 256,	    /* and it was by a reset */
	CF_TOLD = 512,	    /* user space knows the process that uses it */
	CF_TLS = 2048,	    /* carries the ciphertext of a session that we read: its bytes are only counted */
	CF_OWN = 1024,	    /* the tracer's own end; tid is its port, which the kernel takes away before it tells of the close */
};

struct frame_dir { /* where a direction stands in its frames */
	__u64 next; /* offset of the next header's first byte; while `have`, of the one behind those bytes */
	__u64 pass; /* from here on the present frame's payload is passed over */
	__u32 framing; /* index + 1; 0: not followed */
	__u32 have; /* bytes of the next header that have come */
	union {
		__u8 header[2 * FRAME_HEADER_MAX];
		__u64 words[2 * FRAME_HEADER_MAX / 8];
	};
};

struct conn { /* of a socket, gone with it. First what every hook looks at: with the kernel's 8 bytes before it, a cache line */
	__u64 id;      /* 0: only marked as old */
	__u64 off[2];  /* bytes moved, by enum ev_dir */
	__u32 base[2]; /* TCP: sequence number of offset 0 */
	__u16 flags;
	__u8 family;   /* enum ev_family */
	__u8 role;
	__u8 tcp;      /* base[] is valid: offsets come from sequence numbers */
	__u8 last;     /* direction that moved last */
	__u8 framed;   /* began with a framing's magic: that is what it is */
	__u8 reserved;
	__u32 user;    /* a selected process that moved bytes here, and ... */
	__u32 user_at; /* ... procs_changes when that was looked up */
	__u64 prot;    /* the kernel's functions that move its bytes: others come with kTLS and sockmaps */
	__u64 turn[2]; /* where the present turn of a direction began */
	struct frame_dir frame[2];
	__u32 pid, tid; /* who connected, or used it first */
	__u32 claims;  /* threads that are about to give it its id */
	__u32 reserved2;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct conn);
} conns SEC(".maps") __weak;

#define CONNS_HASHED 16384

struct { /* the same by the socket's address, where sockets cannot have storage; removed at the socket's end (way.hashed) */
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CONNS_HASHED);
	__type(key, __u64);
	__type(value, struct conn);
} hashed SEC(".maps") __weak;

struct enter { /* of a call that has not returned: what its arguments were (kprobe) */
	__u64 sp;
	__u64 sk;
	__u64 msg;  /* or the page of sendpage */
	__u64 size; /* or where in the page */
	__u32 flags;
	__u32 what; /* enum enter_what */
};

struct enter_key {
	__u64 pid_tgid;
	__u64 dir;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct enter_key);
	__type(value, struct enter);
} enters SEC(".maps") __weak;

/* ---- TLS (session.h) ---- */

#define SESSION_NEVER U64_MAX /* as a carrier: the socket is none that may be traced */

struct session { /* first what each of its calls looks at */
	__u64 mm;	  /* memory of the process: another program's handles are others */
	__u64 carrier;	  /* connection id of the socket, 0: not known */
	__u8 binding;	  /* enum ev_binding */
	__u8 polled;	  /* epoll watches its socket */
	__u8 alpn_len;
	__u8 reserved[5];
	struct conn conn; /* of the plaintext */
	__u64 sk;	  /* the socket it was given by descriptor: sock_number() */
	__u8 alpn[EV_ALPN_MAX];
	__u8 reserved2;
};

struct { /* also of sessions that nobody ended: the least recently used one makes room */
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SESSIONS_MAX);
	__type(key, struct session_key);
	__type(value, struct session);
} sessions SEC(".maps") __weak;

enum tls_kind { /* what the result of a call says of the plaintext that moved; 0: no call is in progress */
	TLS_COUNT = 1, /* result: bytes */
	TLS_ALL,       /* result 0: all */
	TLS_EX,	       /* result 1 or 7000: *out bytes */
	TLS_HOLE,      /* result: bytes that no buffer of ours holds */
	TLS_NOTHING,   /* none moved */
	TLS_NAME,      /* none moved; const uint8_t **buffer, unsigned *out are the protocol's name */
	TLS_SPENT,     /* what it moved was told by a call inside */
	TLS_DATUM,     /* none moved; *buffer is { pointer, length } of the protocol's name */
};

struct tls_call {
	__u64 session;
	__u64 buffer, length;
	__u64 out;	/* address of a count */
	__u64 sp;	/* stack pointer where it began */
	__u64 outer_sp; /* of the outermost of those that it is inside of (wraps) */
	__u64 carrier;	/* connection id of the socket that was used inside, 0: none */
	__u8 kind;	/* enum tls_kind; 0: none */
	__u8 dir;	/* enum ev_dir */
	__u8 wraps;	/* calls of the same session around it, whose ends tell nothing new */
	__u8 mixed;	/* more than one socket was used inside */
	__u8 polled;	/* epoll watches it */
	__u8 reserved[3];
};

struct tls_thread { /* the calls that a thread is in, as far as we know: the end of one may go unseen */
	struct tls_call now;
	struct tls_call below; /* around that one: of another session (TLS inside TLS), or about other bytes */
	__u16 sure;	       /* 1 << enum tls_kind: every end of such calls is seen */
	__u16 reserved[3];
};

struct { /* by pid_tgid */
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct tls_thread);
} tls_calls SEC(".maps") __weak;

struct { /* sock_number() → session that was given its descriptor, until the socket is used */
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct session_key);
} awaited SEC(".maps") __weak;

#define CIPHER_HEAD 24 /* bytes: of a record of TLS enough to be met once, for two of them differ in what is random */

struct cipher { /* how ciphertext begins, in a process */
	__u8 head[CIPHER_HEAD];
	__u32 tgid;
	__u32 reserved;
};

struct { /* ciphertext that a session without a socket has made in memory, → struct session_key: where it leaves is its socket */
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct cipher);
	__type(value, struct session_key);
} ciphers SEC(".maps") __weak;

struct go_frame { /* of a function that a goroutine is in: stays the same where its stack moves */
	__u64 goid;
	__u32 depth; /* bytes of stack */
	__u32 tgid;
};

struct { /* reads in progress: the one that has waited longest makes room */
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct go_frame);
	__type(value, __u64); /* its session */
} go_reads SEC(".maps") __weak;

#define TLS_SLOTS 1024	/* power of two */
#define ENDED_SLOTS 4096 /* power of two */

#define PROCS_MAX 16384

struct { /* process id → enum sel_kind bits it matches, EXCLUDED() bits of those that rule it out; absent: none */
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PROCS_MAX);
	__type(key, __u32);
	__type(value, __u32);
} procs SEC(".maps") __weak;

struct { /* id of a directory of control groups → what that says of the processes in it and below (event.h); user space writes it */
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, CGROUPS_MAX);
	__type(key, __u64);
	__type(value, __u32);
} cgroups SEC(".maps") __weak;

struct { /* processes that user space was told of: their exec and exit concern it */
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u8);
} told SEC(".maps") __weak;

#define FILES_KNOWN 4096

struct { /* enum file_state; what is forgotten is asked again */
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FILES_KNOWN);
	__type(key, struct file_id);
	__type(value, __u32);
} files SEC(".maps") __weak;

struct { /* processes that map a file which user space was told of: their children, programs and ends concern it */
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PROCS_MAX);
	__type(key, __u32);
	__type(value, __u8);
} holders SEC(".maps") __weak;

struct { /* ends of the tracer's own connections */
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, struct own_end);
	__type(value, __u8);
} own_ends SEC(".maps") __weak;

struct { /* where the tracer listens: put there by user space, never evicted */
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, OWN_DOORS_MAX);
	__type(key, struct own_end);
	__type(value, __u8);
} own_doors SEC(".maps") __weak;

#define MMSG_UNKNOWN 0xffffffff

struct mmsg { /* how far a thread's sendmmsg or recvmmsg has come */
	__u64 vec;
	__u64 fd;
	__u32 vlen;
	__u32 next; /* index of the message that the next hook is about, or MMSG_UNKNOWN */
	__u32 ret;  /* of the one before */
	__u32 nr;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct mmsg);
} mmsgs SEC(".maps") __weak;

struct { /* enum kcount */
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KC_MAX);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps") __weak;

#define PIECE_MAX 16384 /* bytes in one record */

struct call { /* registers of the caller's system call */
	int nr;
	int hole; /* not 0: the registers are those of no native call in progress (enum ev_hole) */
	__u64 arg[5];
};

/* The user's buffer; a vector of such, in user memory or in the kernel's; the kernel's memory by address, by page. */
enum where { AT_NOWHERE, AT_BUFFER, AT_VECTOR, AT_IOVEC, AT_KVEC, AT_BVEC };

struct op { /* what every way in fills */
	__u32 size;  /* bytes moved */
	__u8 dir;    /* enum ev_dir */
	__u8 where;  /* enum where */
	__u8 hole;   /* enum ev_hole, when nowhere */
	__u8 reserved;
	__u64 addr;  /* of the buffer, or of the iovec array */
	__u64 count; /* elements */
	__u64 at;    /* bytes of the first element that come before */
	__u64 who;   /* process and thread it is done for */
	__u64 ctx;   /* execution context, 0: the thread */
	__u32 index; /* sendmmsg, recvmmsg: of the message, or MMSG_UNKNOWN */
	__u32 reserved2;
};

#define IOV_FEW 8 /* elements of a vector read at once */

struct piece { /* what is left of an operation to hand over */
	__u64 conn, off;
	__u64 ctx;
	__u64 addr;	/* of the next byte, or of the vector */
	__u64 rest;	/* bytes to capture */
	__u64 tail;	/* bytes behind them that are not captured */
	__u64 count;	/* a vector's elements */
	__u64 at;	/* bytes of element `element` that are done */
	__u32 element;
	__u32 seq;
	__u32 pid, tid;
	__u32 filled, want; /* bytes gathered for the present record, and of how many */
	__u16 flags;
	__u8 dir;
	__u8 hole;	/* of the tail */
	__u16 where;	/* enum where */
	__u16 fault;
	__u16 passed;	/* bytes before the next record that none tells of */
	__u16 unused[3];
};

struct iter { /* on the way back to where an operation's bytes begin */
	__u64 vec;  /* address of the element it stands in */
	__u64 at;   /* bytes of that element before it */
	__u64 back; /* bytes still to go back */
	__u32 n;    /* elements from there on that hold bytes of the operation */
	__u32 where;
};

#define FRAME_SKIPS 4 /* power of two */

struct frame_skip { /* bytes [from, to) are passed over */
	__u64 from, to;
};

struct frames { /* on the way through an operation's frames */
	__u64 off, end;	   /* offset of the next byte, and behind the last one */
	__u64 base, left;  /* address of the next byte, bytes left of its buffer or element */
	__u64 behind;	   /* bytes to pass over in the elements to come */
	__u32 element, n;  /* next element; skips */
	__u32 magic;	   /* of a framing stood at the beginning */
	__u32 join;	   /* framing that user space has named, and */
	__u64 join_at;	   /* ... where it has found a frame */
	struct frame_dir dir;
	struct frame_skip skip[FRAME_SKIPS];
};

/*
 * Work area of one operation. It is not on the stack because the verifier follows each value there, through each turn
 * of a loop; what a map holds it takes as unknown, and is done at once.
 */
struct scratch {
	__u32 users; /* 1: it is in use (scratch.h) */
	__u32 slot;  /* its index */
	struct op op;
	struct call call;
	struct piece piece;
	struct frames frames;
	struct iovec iov[IOV_FEW]; /* elements iov_at … of the vector */
	__u64 iov_at;
	struct iter iter;
	__u8 head[sizeof(struct ev_data)]; /* a record that is put together from several elements */
	__u8 data[2 * PIECE_MAX];
};

struct { /* SCRATCH_LEVELS for each processor, set before loading; too large for a per-CPU map */
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps") __weak;

#define WALK_PATH 1024
#define WALK_AREAS (6 + SCRATCH_LEVELS) /* select.h */

struct walk { /* work area of the selectors, not on the stack for the same reason */
	__u8 path[WALK_PATH + 256]; /* written from its end */
	struct file *file; /* whose path is wanted */
	struct dentry *dentry;
	struct mount *mnt;
	__u32 pos;	  /* the path so far is path[pos …] */
	__u32 cut;	  /* it did not fit */
	__u32 kind, pattern; /* what is compared (enum sel_kind, index) */
	__u32 begin, len;    /* and with what */
	struct glob glob;
	__u32 result;
	__u32 bits;
	struct task_struct *task;
	struct cgroup *cgroup;
	__u64 tag; /* of the hierarchy, in keys of cgroups */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WALK_AREAS);
	__type(key, __u32);
	__type(value, struct walk);
} walks SEC(".maps") __weak;

/* ---- variables shared with user space ---- */

extern const volatile struct way way;

extern struct knobs knobs;
extern struct verdict verdicts[VERDICT_SLOTS];
extern struct framing framings[FRAMINGS_MAX];
extern struct frame_slot frame_slots[VERDICT_SLOTS];
extern struct wake wake;
extern __u64 conn_ids; /* the last one given */
extern __u32 procs_changes; /* what was looked up in procs before the last one may not hold any more */
extern __u32 ready;	/* sockets that existed before have been marked */
extern __u64 tls_blind[TLS_SLOTS];   /* by process id: when ciphertext was seen whose socket is not known, boot time */
extern __u32 tls_threads[TLS_SLOTS]; /* by thread id: threads that are in a call of a session. 0: none, certainly */
extern __u32 tls_awaits[TLS_SLOTS];  /* by process id: entries in awaited. 0: none of the process, certainly */
extern __u64 procs_asked[TLS_SLOTS]; /* by process id: is it selected (task.h, proc_traced())? */
extern __u64 conns_ended[ENDED_SLOTS]; /* by connection id: the last one that ended */
extern __u32 keep; /* enum sel_kind: a walk over all tasks leaves what is known of these */
extern __u32 find; /* 1: files that selected processes map are told of; 2: and each_task() lists the selected processes */
extern struct identify identified; /* question and answer of the program identify */
extern struct whoami self; /* answer of the program whoami */

inline_always void count(__u32 which, __u64 n)
{
	__u64 *c = bpf_map_lookup_elem(&counters, &which);

	if (c)
		*c += n;
}

#endif
