/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events: what `kubectl describe` shows of a pod's or a workload's past.
 *
 * Every machine sees every presence change, so each makes the same events by itself and keeps the
 * latest in a ring; nothing is sent for them.
 */
#include "machineplane/fabric.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/clock.h"
#include "kube/job_progress.h"
#include "kube/member.h"
#include "kube/workload.h"

enum {
	EVENTS_MAX = 1024, /* about 400 KiB; Kubernetes forgets after an hour */
};

struct entry {
	char *namespace, *kind, *name, *message, *host;
	const char *type, *reason; /* constants */
	struct uid uid;
	struct wall first, last;
	uint32_t count;
	uint64_t serial;
};

struct events {
	struct fabric *fabric;
	struct entry ring[EVENTS_MAX];
	size_t next;
	uint64_t serial;
};

struct events *events_new(struct fabric *fabric)
{
	struct events *events = mem_new(struct events);

	events->fabric = fabric;
	return events;
}

static void entry_clear(struct entry *entry)
{
	free(entry->namespace);
	free(entry->kind);
	free(entry->name);
	free(entry->message);
	free(entry->host);
	*entry = (struct entry){0};
}

void events_free(struct events *events)
{
	if (!events)
		return;
	for (size_t i = 0; i < EVENTS_MAX; i++)
		entry_clear(&events->ring[i]);
	free(events);
}

static bool same(const struct entry *entry, const struct uid *uid, const char *reason,
		 const char *message)
{
	return entry->serial && uid_equal(&entry->uid, uid) && entry->reason == reason &&
	       strcmp(entry->message, message) == 0;
}

/* About a pod, from its presence. The same again only counts up. */
static void add(struct events *events, const struct presence *pod, const char *type,
		const char *reason, const char *message)
{
	struct wall now = node_fabric_time(events->fabric->node, clock_mono());
	struct entry *entry;

	for (size_t i = 0; i < EVENTS_MAX; i++)
		if (same(&events->ring[i], &pod->pod_uid, reason, message)) {
			events->ring[i].last = now;
			events->ring[i].count++;
			return;
		}
	entry = &events->ring[events->next];
	events->next = (events->next + 1) % EVENTS_MAX;
	entry_clear(entry);
	*entry = (struct entry){
		.namespace = mem_strdup(pod->object.namespace),
		.kind = mem_strdup("Pod"),
		.name = mem_strdup(pod->pod_name),
		.message = mem_strdup(message),
		.host = mem_strdup(pod->node_name),
		.type = type,
		.reason = reason,
		.uid = pod->pod_uid,
		.first = now,
		.last = now,
		.count = 1,
		.serial = ++events->serial,
	};
}

static bool seen(const struct events *events, const struct uid *pod, const char *reason)
{
	for (size_t i = 0; i < EVENTS_MAX; i++)
		if (events->ring[i].serial && uid_equal(&events->ring[i].uid, pod) &&
		    events->ring[i].reason == reason)
			return true;
	return false;
}

static const char scheduled[] = "Scheduled", started[] = "Started", killing[] = "Killing",
		  failed[] = "Failed", back_off[] = "BackOff", oom[] = "OOMKilling",
		  conflicting[] = "ConflictingUpdate";

static void add_once(struct events *events, const struct presence *pod, const char *reason,
		     const char *message)
{
	if (!seen(events, &pod->pod_uid, reason))
		add(events, pod, "Normal", reason, message);
}

static void container_events(struct events *events, const struct presence *pod,
			     const struct container_status *container)
{
	struct buf text = {0};

	if (container->state == CONTAINER_RUNNING) {
		buf_append_format(&text, "Started container %s", container->name);
		if (!seen(events, &pod->pod_uid, started) || container->restarts)
			add(events, pod, "Normal", started, buf_cstr(&text));
	} else if (strcmp(container->reason, "CrashLoopBackOff") == 0) {
		buf_append_format(&text, "Back-off restarting failed container %s",
				  container->name);
		add(events, pod, "Warning", back_off, buf_cstr(&text));
	} else if (strcmp(container->reason, "OOMKilled") == 0) {
		buf_append_format(&text, "Container %s exceeded its memory limit", container->name);
		add(events, pod, "Warning", oom, buf_cstr(&text));
	} else if (container->state == CONTAINER_WAITING && container->message[0]) {
		buf_append_format(&text, "%s: %s", container->reason, container->message);
		add(events, pod, "Warning", failed, buf_cstr(&text));
	}
	buf_deinit(&text);
}

/* What an event is about; borrowed. */
struct subject {
	const char *namespace, *kind, *name;
	struct uid uid;
};

static const char created[] = "SuccessfulCreate", completed[] = "Completed",
		  backoff_limit[] = "BackoffLimitExceeded", deadline[] = "DeadlineExceeded";

/* A word of a controller, which this machine may hear again and again. */
static void say_once(struct events *events, const struct subject *subject, const char *type,
		     const char *reason, const char *message)
{
	struct wall now = node_fabric_time(events->fabric->node, clock_mono());
	struct entry *entry;

	for (size_t i = 0; i < EVENTS_MAX; i++)
		if (same(&events->ring[i], &subject->uid, reason, message))
			return;
	entry = &events->ring[events->next];
	events->next = (events->next + 1) % EVENTS_MAX;
	entry_clear(entry);
	*entry = (struct entry){
		.namespace = mem_strdup(subject->namespace),
		.kind = mem_strdup(subject->kind),
		.name = mem_strdup(subject->name),
		.message = mem_strdup(message),
		.host = mem_strdup(""),
		.type = type,
		.reason = reason,
		.uid = subject->uid,
		.first = now,
		.last = now,
		.count = 1,
		.serial = ++events->serial,
	};
}

static void say_created(struct events *events, const struct subject *owner, const char *what,
			const char *name)
{
	struct buf text = {0};

	buf_append_format(&text, "Created %s %s", what, name);
	say_once(events, owner, "Normal", created, buf_cstr(&text));
	buf_deinit(&text);
}

static void say_ended(struct events *events, const struct subject *job, const json_t *progress)
{
	const char *reason = kube_member_string(progress, "spec.reason");

	if (kube_member(progress, "spec.completionTime"))
		say_once(events, job, "Normal", completed, "Job completed");
	else if (strcmp(reason, backoff_limit) == 0 || strcmp(reason, deadline) == 0)
		say_once(events, job, "Warning",
			 strcmp(reason, deadline) == 0 ? deadline : backoff_limit,
			 kube_member_string(progress, "spec.message"));
}

/* Runs of CronJobs, and the ends of Jobs: from what their controllers have written. */
static void object_events(struct events *events, const struct record *record)
{
	bool is_progress = strcmp(record->object.kind, KUBE_JOB_PROGRESS) == 0;
	const json_t *owner;
	struct subject subject = {.namespace = record->object.namespace};
	json_t *json;

	if (!is_progress && strcmp(record->object.kind, "Job") != 0)
		return;
	json = json_loadb((const char *)record->value.ptr, record->value.len, 0, NULL);
	owner = kube_controller_of(json);
	subject.kind = kube_member_string(owner, "kind");
	subject.name = kube_member_string(owner, "name");
	if (owner && uid_parse(kube_member_string(owner, "uid"), &subject.uid)) {
		if (is_progress)
			say_ended(events, &subject, json);
		else
			say_created(events, &subject, "job", record->object.name);
	}
	json_decref(json);
}

void events_update_lost(struct events *events, const struct record *record, const char *message)
{
	struct wall now = node_fabric_time(events->fabric->node, clock_mono());
	struct entry *entry;

	for (size_t i = 0; i < EVENTS_MAX; i++)
		if (same(&events->ring[i], &record->key.uid, conflicting, message))
			return; /* both versions may meet here more than once */
	entry = &events->ring[events->next];
	events->next = (events->next + 1) % EVENTS_MAX;
	entry_clear(entry);
	*entry = (struct entry){
		.namespace = mem_strdup(record->object.namespace),
		.kind = mem_strdup(record->object.kind),
		.name = mem_strdup(record->object.name),
		.message = mem_strdup(message),
		.host = mem_strdup(""),
		.type = "Warning",
		.reason = conflicting,
		.uid = record->key.uid,
		.first = now,
		.last = now,
		.count = 1,
		.serial = ++events->serial,
	};
}

void events_record(struct events *events, const struct record *record, bool removed,
		   const char *last_words)
{
	struct presence pod;
	struct buf text = {0};

	if (record->key.kind == RECORD_OBJECT && !removed)
		object_events(events, record);
	if (record->key.kind != RECORD_PRESENCE || (removed && !*last_words) ||
	    presence_decode(bytes_buf(&record->value), &pod) != 0)
		return;
	if (removed) {
		add(events, &pod, "Warning", failed, last_words);
		presence_deinit(&pod);
		return;
	}
	buf_append_format(&text, "Successfully assigned %s/%s to %s", pod.object.namespace,
			  pod.pod_name, pod.node_name);
	add_once(events, &pod, scheduled, buf_cstr(&text));
	if (strcmp(pod.object.kind, "Job") == 0)
		say_created(events,
			    &(struct subject){pod.object.namespace, pod.object.kind,
					      pod.object.name, pod.object.uid},
			    "pod:", pod.pod_name);
	if (pod.terminating)
		add_once(events, &pod, killing, "Stopping its containers");
	else
		for (size_t i = 0; i < pod.container_count; i++)
			container_events(events, &pod, &pod.containers[i]);
	if (pod.phase == POD_FAILED && pod.message[0])
		add(events, &pod, "Warning", failed, pod.message);
	buf_deinit(&text);
	presence_deinit(&pod);
}

void events_each(struct events *events, const char *namespace, api_event_fn *each, void *arg)
{
	for (size_t i = 0; i < EVENTS_MAX; i++) {
		const struct entry *entry = &events->ring[(events->next + i) % EVENTS_MAX];
		struct api_event event = {
			.namespace = entry->namespace,
			.kind = entry->kind,
			.name = entry->name,
			.uid = entry->uid,
			.type = entry->type,
			.reason = entry->reason,
			.message = entry->message,
			.source_component = "machineplane",
			.source_host = entry->host,
			.first = entry->first,
			.last = entry->last,
			.count = entry->count,
			.serial = entry->serial,
		};

		if (entry->serial && (!namespace || strcmp(namespace, entry->namespace) == 0))
			each(arg, &event);
	}
}
