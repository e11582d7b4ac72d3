// SPDX-License-Identifier: Apache-2.0
#include "host/cgroup.h"

#include "base/hex.h"
#include "host/container.h"

#define COMPONENT_MAX 255
#define HASH_LENGTH 32 /* of a static pod, which has a hash of its configuration for a uid */

static bool contains(struct slice s, struct slice word)
{
	return s.n >= word.n && memmem(s.p, s.n, word.p, word.n);
}

static bool ends(struct slice s, struct slice suffix)
{
	return s.n >= suffix.n && !memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n);
}

/* The rules for ids are those of /proc/PID/cgroup. */
static struct slice id_of(struct slice component)
{
	char line[3 + COMPONENT_MAX];
	struct slice id;

	if (!component.n || component.n > COMPONENT_MAX || slice_find(component, '\n') >= 0)
		return SLICE_NONE;
	memcpy(line, "0::", 3);
	memcpy(line + 3, component.p, component.n);
	id = container_id(slice_of(line, 3 + component.n));
	return id.n ? slice_of(component.p + (id.p - line - 3), id.n) : SLICE_NONE;
}

/* Copies a uid, with dashes for the underscores that systemd's names have. How long it is, 0: it is none. */
static size_t uid_copy(char to[CGROUP_UID_MAX + 1], struct slice s)
{
	size_t n = 0;

	while (n < s.n && (hex_digit(s.p[n]) >= 0 || s.p[n] == '-' || s.p[n] == '_'))
		n++;
	if (n != CGROUP_UID_MAX && n != HASH_LENGTH)
		return 0;
	for (size_t i = 0; i < n; i++)
		to[i] = s.p[i] == '_' ? '-' : s.p[i];
	to[n] = '\0';
	return n;
}

enum pod_part { POD_NONE, POD_WHOLE, POD_PREFIX };

/* podUID, or kubepods-…-podUID.slice, behind which a runtime may have put more (:cri-containerd:ID). *uid stays if it is neither. */
static enum pod_part take_pod(struct slice component, char uid[CGROUP_UID_MAX + 1])
{
	const char *at = component.n > 4 ? memmem(component.p, component.n, "-pod", 4) : NULL;
	struct slice rest = at ? slice_from(component, (size_t)(at - component.p) + 4) :
			    slice_starts(component, SLICE("pod")) ? slice_from(component, 3) : SLICE_NONE;
	char found[CGROUP_UID_MAX + 1];
	size_t n = uid_copy(found, rest);

	rest = slice_from(rest, n);
	if (!n || (at ? !slice_starts(rest, SLICE(".slice")) : rest.n))
		return POD_NONE;
	memcpy(uid, found, n + 1);
	return at && rest.n > strlen(".slice") ? POD_PREFIX : POD_WHOLE;
}

static bool is_pods(struct slice component)
{
	return slice_eq(component, SLICE("kubepods")) || slice_eq(component, SLICE("kubepods.slice")) ||
	       ends(component, SLICE("-kubepods.slice"));
}

void cgroup_name(struct slice path, struct cgroup_name *out)
{
	struct slice component = SLICE_NONE, next;
	enum pod_part pod = POD_NONE;
	bool inside = false; /* a container of a pod: what that one runs is its own business */

	*out = (struct cgroup_name){ .kind = CGROUP_OTHER };
	while (slice_split(&path, '/', &next)) {
		if (!next.n)
			continue;
		inside |= out->uid[0] && id_of(component).n;
		component = next;
		pod = take_pod(component, out->uid);
		if (pod)
			inside = false;
	}
	if (inside)
		return;
	out->id = id_of(component);
	if (out->id.n)
		out->kind = CGROUP_CONTAINER;
	else if (contains(component, SLICE("conmon-")))
		out->kind = CGROUP_MONITOR;
	else if (pod)
		out->kind = CGROUP_POD;
	else if (is_pods(component))
		out->kind = CGROUP_PODS;
}
