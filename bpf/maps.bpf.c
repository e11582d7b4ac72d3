// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The variables that maps.h declares. Each that a hook writes has a cache line of its own. */
#include "maps.h"

const volatile struct way way = { 0 };
struct verdict verdicts[VERDICT_SLOTS] __attribute__((aligned(64)));
struct framing framings[FRAMINGS_MAX] __attribute__((aligned(64)));
struct frame_slot frame_slots[VERDICT_SLOTS] __attribute__((aligned(64)));
struct wake wake __attribute__((aligned(64)));
__u64 conn_ids __attribute__((aligned(64)));
struct knobs knobs __attribute__((aligned(64)));
__u32 procs_changes __attribute__((aligned(64)));
__u32 ready __attribute__((aligned(64)));
__u64 tls_blind[TLS_SLOTS] __attribute__((aligned(64)));
__u32 tls_threads[TLS_SLOTS] __attribute__((aligned(64)));
__u32 tls_awaits[TLS_SLOTS] __attribute__((aligned(64)));
__u64 procs_asked[TLS_SLOTS] __attribute__((aligned(64)));
__u64 conns_ended[ENDED_SLOTS] __attribute__((aligned(64)));
__u32 keep;
__u32 find __attribute__((aligned(64)));
struct identify identified;
struct whoami self;

char LICENSE[] SEC("license") = "GPL";
