// SPDX-License-Identifier: Apache-2.0
#include "host/workload.h"

#include "base/scope.h"

#define CRON_DIGITS 8 /* minutes: from 1989 to 2160 */
#define DAY_S	    86400

static const struct workload_kind kinds[] = {
	{ "ReplicaSet", "k8s.replicaset.name", "k8s.replicaset.uid", "k8s.deployment.name" },
	{ "StatefulSet", "k8s.statefulset.name", "k8s.statefulset.uid", NULL },
	{ "DaemonSet", "k8s.daemonset.name", "k8s.daemonset.uid", NULL },
	{ "Job", "k8s.job.name", "k8s.job.uid", "k8s.cronjob.name" },
};

/* What stands before "-suffix", where something does. */
static struct slice before(struct slice name, struct slice suffix)
{
	size_t tail = suffix.n + 1;

	if (!suffix.n || name.n <= tail || name.p[name.n - tail] != '-' ||
	    !slice_eq(slice_from(name, name.n - suffix.n), suffix))
		return SLICE_NONE;
	return slice_to(name, name.n - tail);
}

static struct slice deployment_of(const struct pod *p)
{
	return before(p->owner.name, pod_label(p, SLICE("pod-template-hash")));
}

static struct slice cronjob_of(const struct pod *p)
{
	struct slice name = p->owner.name, digits;
	uint64_t minutes;
	int64_t apart;

	if (name.n <= CRON_DIGITS || p->created <= 0)
		return SLICE_NONE;
	digits = slice_from(name, name.n - CRON_DIGITS);
	if (!slice_u64(digits, &minutes))
		return SLICE_NONE;
	apart = (int64_t)(minutes * 60) - p->created;
	return apart < -DAY_S || apart > DAY_S ? SLICE_NONE : before(name, digits);
}

void workload_of(const struct pod *p, struct workload *out)
{
	*out = (struct workload){ 0 };
	if (!p->owner.name.n)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (slice_eq(p->owner.kind, slice_str(kinds[i].kind)))
			*out = (struct workload){ .kind = &kinds[i], .name = p->owner.name, .uid = p->owner.uid };
	if (out->kind && slice_eq(p->owner.kind, SLICE("ReplicaSet")))
		out->above = deployment_of(p);
	else if (out->kind && slice_eq(p->owner.kind, SLICE("Job")))
		out->above = cronjob_of(p);
}
