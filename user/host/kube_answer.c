// SPDX-License-Identifier: Apache-2.0
#include "host/kube_answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/scope.h"
#include "base/stats.h"
#include "host/text.h"

/* States beside those of kube_kind.h. */
enum {
	A_TYPE = KUBE_META + 1, A_VERSION, A_LIST_META, A_LIST_VERSION, A_CONTINUE, A_ITEMS,
	A_CODE, A_REASON, A_MESSAGE, A_DETAILS, A_RETRY, A_CAUSES, A_CAUSE, A_CAUSE_REASON, A_END,
};

_Static_assert((int)A_END <= (int)KUBE_FREE, "kinds have states of their own");

#define STATUS_RULES(parent)                                                                                           \
	{ parent, A_CODE, "code" }, { parent, A_REASON, "reason" }, { parent, A_MESSAGE, "message" },                  \
		{ parent, A_DETAILS, "details" }, { A_DETAILS, A_RETRY, "retryAfterSeconds" },                         \
		{ A_DETAILS, A_CAUSES, "causes" }, { A_CAUSES, A_CAUSE, "[]" }, { A_CAUSE, A_CAUSE_REASON, "reason" }

static const struct json_rule list_rules[] = {
	{ JSON_ROOT, A_LIST_META, "metadata" },	    { A_LIST_META, A_LIST_VERSION, "resourceVersion" },
	{ A_LIST_META, A_CONTINUE, "continue" },    { JSON_ROOT, A_ITEMS, "items" },
	{ A_ITEMS, KUBE_OBJECT, "[]" },		    { KUBE_OBJECT, KUBE_META, "metadata" },
	{ KUBE_META, A_VERSION, "resourceVersion" },
};

static const struct json_rule watch_rules[] = {
	{ JSON_ROOT, A_TYPE, "type" },
	{ JSON_ROOT, KUBE_OBJECT, "object" },
	{ KUBE_OBJECT, KUBE_META, "metadata" },
	{ KUBE_META, A_VERSION, "resourceVersion" },
	STATUS_RULES(KUBE_OBJECT),
};

static const struct json_rule refusal_rules[] = { STATUS_RULES(JSON_ROOT) };

static const struct json_rules envelopes[] = {
	[KUBE_LIST] = { list_rules, ARRAY_SIZE(list_rules) },
	[KUBE_WATCH] = { watch_rules, ARRAY_SIZE(watch_rules) },
	[KUBE_REFUSAL] = { refusal_rules, ARRAY_SIZE(refusal_rules) },
};

struct kube_answer {
	enum kube_ask ask;
	const struct kube_kind *kind;
	void *arg;
	struct json_path *json;
	uint64_t now;
	uint64_t object_bytes, all_bytes;
	bool listing;	/* the kind waits for the end of a list */
	bool in_object; /* an object has begun since the last one was handed on */
	bool items, more;
	int error;
	char type[16];
	char version[KUBE_VERSION_MAX], object_version[KUBE_VERSION_MAX];
	struct kube_status status;
};

static void copy(char *to, size_t size, struct slice s)
{
	to[text_clean(to, size - 1, s)] = '\0';
}

/* One that is too long cannot be asked for again. */
static void copy_version(struct kube_answer *a, char to[KUBE_VERSION_MAX], const struct json_value *v)
{
	if (v->type != JSON_STRING || v->text.n >= KUBE_VERSION_MAX)
		a->error = -EPROTO;
	else
		copy(to, KUBE_VERSION_MAX, v->text);
}

static uint32_t small_number(const struct json_value *v)
{
	uint64_t n;

	return v->type == JSON_NUMBER && slice_u64(v->text, &n) && n <= INT32_MAX ? (uint32_t)n : 0;
}

static void status_value(struct kube_status *s, uint8_t state, const struct json_value *v)
{
	if (state == A_CODE)
		s->code = small_number(v);
	else if (state == A_RETRY)
		s->retry_after = small_number(v);
	else if (state == A_REASON && v->type == JSON_STRING)
		copy(s->reason, sizeof(s->reason), v->text);
	else if (state == A_MESSAGE && v->type == JSON_STRING)
		copy(s->message, sizeof(s->message), v->text);
	else if (state == A_CAUSE_REASON)
		s->too_large |= slice_eq(v->text, SLICE("ResourceVersionTooLarge"));
}

static void on_value(void *arg, uint8_t state, struct slice key, const struct json_value *v)
{
	struct kube_answer *a = arg;

	if (state >= KUBE_FREE && a->in_object)
		a->kind->value(a->arg, state, key, v);
	else if (state == A_TYPE && v->type == JSON_STRING)
		copy(a->type, sizeof(a->type), v->text);
	else if (state == A_VERSION)
		copy_version(a, a->object_version, v);
	else if (state == A_LIST_VERSION)
		copy_version(a, a->version, v);
	else if (state == A_CONTINUE)
		a->more = v->text.n > 0;
	else if (state == A_ITEMS)
		a->items = v->type == JSON_NULL; /* an empty list, as older servers write it */
	else
		status_value(&a->status, state, v);
}

static void on_open(void *arg, uint8_t state, struct slice key)
{
	struct kube_answer *a = arg;

	if (state == KUBE_OBJECT) {
		a->in_object = true;
		a->object_version[0] = '\0';
		a->kind->begin(a->arg);
	} else if (state == A_ITEMS) {
		a->items = true;
	} else if (state >= KUBE_FREE && a->in_object) {
		a->kind->open(a->arg, state, key);
	}
}

static void put(struct kube_answer *a)
{
	a->kind->put(a->arg, slice_str(a->object_version), a->now);
}

/* An event of a watch is complete. */
static int take_event(struct kube_answer *a)
{
	if (!a->in_object)
		return -EPROTO;
	if (!strcmp(a->type, "ERROR"))
		return -ECANCELED;
	if (!strcmp(a->type, "ADDED")) {
		stat_inc(kube_added);
		put(a);
	} else if (!strcmp(a->type, "MODIFIED")) {
		stat_inc(kube_modified);
		put(a);
	} else if (!strcmp(a->type, "DELETED")) {
		stat_inc(kube_deleted);
		a->kind->remove(a->arg, a->now);
	} else if (!strcmp(a->type, "BOOKMARK")) {
		stat_inc(kube_bookmarks);
	} else {
		return -EPROTO;
	}
	if (a->object_version[0])
		memcpy(a->version, a->object_version, sizeof(a->version));
	return 0;
}

static void on_close(void *arg, uint8_t state)
{
	struct kube_answer *a = arg;

	if (state >= KUBE_FREE && a->in_object) {
		a->kind->close(a->arg, state);
	} else if (state == KUBE_OBJECT && a->ask == KUBE_LIST) {
		stat_inc(kube_listed);
		put(a);
		a->in_object = false;
		a->object_bytes = 0;
	} else if (state == JSON_ROOT && a->ask == KUBE_WATCH) {
		if (!a->error)
			a->error = take_event(a);
		a->in_object = false;
		a->type[0] = '\0';
		a->object_bytes = 0;
	}
}

struct kube_answer *kube_answer_new(enum kube_ask ask, const struct kube_kind *kind, void *arg)
{
	struct kube_answer *a = calloc(1, sizeof(*a));
	struct json_rules rules[2] = { envelopes[ask] };

	if (!a)
		return NULL;
	if (kind)
		rules[1] = kind->rules;
	a->ask = ask;
	a->kind = kind;
	a->arg = arg;
	a->json = json_path_new(rules, &(struct json_sink){ .open = on_open, .close = on_close, .value = on_value, .arg = a });
	if (!a->json) {
		free(a);
		return NULL;
	}
	a->listing = ask == KUBE_LIST;
	if (a->listing)
		kind->list_begin(arg);
	return a;
}

void kube_answer_free(struct kube_answer *a)
{
	if (!a)
		return;
	if (a->listing)
		a->kind->list_abort(a->arg);
	json_path_free(a->json);
	free(a);
}

int kube_answer_feed(struct kube_answer *a, struct slice data, uint64_t now)
{
	int r;

	if (a->error)
		return a->error;
	a->now = now;
	a->object_bytes += data.n;
	a->all_bytes += data.n;
	r = json_path_feed(a->json, data);
	if (!a->error)
		a->error = r;
	if (!a->error && (a->object_bytes > KUBE_OBJECT_MAX || (a->ask == KUBE_LIST && a->all_bytes > KUBE_LIST_MAX)))
		a->error = -E2BIG;
	return a->error;
}

/* What names no version cannot be watched from; what has more behind it is not all. */
int kube_answer_end(struct kube_answer *a, uint64_t now)
{
	if (a->error)
		return a->error;
	if (json_path_end(a->json))
		return -EPROTO;
	if (a->ask != KUBE_LIST)
		return 0;
	if (!a->items || a->more || !a->version[0])
		return -EPROTO;
	a->listing = false;
	a->kind->list_end(a->arg, now);
	return 0;
}

const char *kube_answer_version(const struct kube_answer *a)
{
	return a->listing ? "" : a->version;
}

const struct kube_status *kube_answer_status(const struct kube_answer *a)
{
	return &a->status;
}
