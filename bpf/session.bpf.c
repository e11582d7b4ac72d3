// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#define BY_READING
#include "session.h"

/* A socket was used inside this call. */
inline_always int note(struct tls_call *call, __u64 who, __u64 id, __u32 polled)
{
	struct session_key key = { .session = call->session, .tgid = who >> 32 };
	struct session *s;
	int claims;

	if (!call->kind)
		return 0;
	claims = call_uses(call, id, polled) ? CLAIM_NOTED : 0;
	s = session_find(&key);
	return s && s->carrier == id ? claims | CLAIM_CARRIED : claims;
}

checked_alone int session_nested(__u64 who, __u64 id, __u32 polled)
{
	struct tls_thread *t = bpf_map_lookup_elem(&tls_calls, &who);

	return t ? note(&t->now, who, id, polled) | note(&t->below, who, id, polled) : 0;
}

checked_alone int session_met(__u64 who, __u64 id, __u64 addr)
{
	struct cipher cipher = { .tgid = who >> 32 };
	struct session_key *key, of;
	struct session *s;

	if (bpf_probe_read_user(cipher.head, sizeof(cipher.head), (void *)addr))
		return 0;
	key = bpf_map_lookup_elem(&ciphers, &cipher);
	if (!key)
		return 0;
	of = *key;
	bpf_map_delete_elem(&ciphers, &cipher);
	s = session_find(&of);
	if (!s)
		return 0;
	session_bind(s, id, BIND_BYTES, who);
	return s->carrier == id ? CLAIM_CARRIED : 0;
}

checked_alone int session_arrives(__u64 sk, __u64 who, __u64 id)
{
	struct session_key *key = bpf_map_lookup_elem(&awaited, &sk), of;
	__u32 *awaits = &tls_awaits[(who >> 32) & (TLS_SLOTS - 1)];
	struct session *s;

	if (!key || key->tgid != who >> 32)
		return 0;
	of = *key;
	if (!bpf_map_delete_elem(&awaited, &sk))
		__sync_fetch_and_add(awaits, -1);
	s = session_find(&of);
	if (!s || s->sk != sk)
		return 0;
	session_bind(s, id, BIND_FD, who);
	return s->carrier == id ? CLAIM_CARRIED : 0;
}
