/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Witness: what changes of records mean to people, noted in the journal (journal.h).
 *
 * Times and counts are those of the records, not of their arrival here: keepers that saw other
 * versions, or one twice, still tell one story. What follows from what is stored (how a Job ended)
 * is noted from that again whenever somebody reads: it is told as long as it is so.
 */
#include "node/internal.h"

#include <stdlib.h>
#include <string.h>

#include "kube/job_progress.h"
#include "kube/member.h"
#include "kube/node_port.h"
#include "kube/workload.h"

/* Of what is told: about what, by whom it was written, and when. All is borrowed. */
struct scene {
	struct uid home, about;
	struct node_id writer;
	const char *kind, *namespace, *name, *host;
	int64_t at_ms;
};

struct words {
	bool warning;
	const char *reason, *message;
	uint32_t count;
};

static char *text_of(const char *text)
{
	return (char *)(uintptr_t)text; /* a happening owns its strings, a borrowed one does not */
}

static void tell(struct node *node, const struct scene *scene, const struct words *words)
{
	struct happening what = {
		.about = scene->about,
		.kind = text_of(scene->kind),
		.namespace = text_of(scene->namespace),
		.name = text_of(scene->name),
		.warning = words->warning,
		.reason = text_of(words->reason),
		.message = text_of(words->message),
		.host = text_of(scene->host),
		.first_ms = scene->at_ms,
		.last_ms = scene->at_ms,
		.count = words->count ? words->count : 1,
	};

	if (journal_note(node->journal, node_fabric_time(node, node->last), &scene->home,
			 &scene->writer, &what))
		node->told = true;
}

/* @ms as the record says; not later than the record, nor in the far past for want of a clock. */
static int64_t time_of(int64_t ms, int64_t written_ms)
{
	return ms > 0 && ms < written_ms ? ms : written_ms;
}

static int64_t written_ms(const struct record *record)
{
	return (int64_t)(record->version.hlc >> RECORDS_HLC_SHIFT);
}

/* ---- pods ---- */

static void tell_started(struct node *node, struct scene scene,
			 const struct container_status *container)
{
	struct words words = {.reason = "Started", .count = container->restarts + 1};
	struct buf text = {0};

	buf_append_format(&text, "Started container %s", container->name);
	words.message = buf_cstr(&text);
	scene.at_ms = time_of(container->started_ms, scene.at_ms);
	tell(node, &scene, &words);
	buf_deinit(&text);
}

static void tell_trouble(struct node *node, const struct scene *scene,
			 const struct container_status *container)
{
	struct words words = {.warning = true, .count = container->restarts};
	struct buf text = {0};

	if (strcmp(container->reason, "CrashLoopBackOff") == 0) {
		words.reason = "BackOff";
		buf_append_format(&text, "Back-off restarting failed container %s",
				  container->name);
	} else if (strcmp(container->reason, "OOMKilled") == 0) {
		words.reason = "OOMKilling";
		words.count++;
		buf_append_format(&text, "Container %s exceeded its memory limit", container->name);
	} else if (container->state == CONTAINER_WAITING && container->message[0]) {
		words.reason = "Failed";
		buf_append_format(&text, "%s: %s", container->reason, container->message);
	}
	words.message = buf_cstr(&text);
	if (words.reason)
		tell(node, scene, &words);
	buf_deinit(&text);
}

/* What its probes have found; of one that runs nothing else is said. */
static void tell_probes(struct node *node, const struct scene *scene,
			const struct container_status *container)
{
	const struct words words = {
		.warning = strcmp(container->reason, "Killing") != 0,
		.reason = container->reason,
		.message = container->message,
		.count = container->restarts + 1,
	};

	if (container->reason[0] && container->message[0])
		tell(node, scene, &words);
}

static void tell_containers(struct node *node, const struct scene *scene,
			    const struct presence *pod)
{
	for (size_t i = 0; i < pod->container_count; i++) {
		if (pod->containers[i].state != CONTAINER_RUNNING) {
			tell_trouble(node, scene, &pod->containers[i]);
			continue;
		}
		tell_started(node, *scene, &pod->containers[i]);
		tell_probes(node, scene, &pod->containers[i]);
	}
}

static void tell_scheduled(struct node *node, struct scene scene, const struct presence *pod)
{
	struct words words = {.reason = "Scheduled"};
	struct buf text = {0};

	buf_append_format(&text, "Successfully assigned %s/%s to %s", pod->object.namespace,
			  pod->pod_name, pod->node_name);
	words.message = buf_cstr(&text);
	scene.at_ms = time_of(pod->created_ms, scene.at_ms);
	tell(node, &scene, &words);
	buf_deinit(&text);
}

static void tell_created(struct node *node, const struct scene *owner, const char *what,
			 const char *name)
{
	struct words words = {.reason = "SuccessfulCreate"};
	struct buf text = {0};

	buf_append_format(&text, "Created %s %s", what, name);
	words.message = buf_cstr(&text);
	tell(node, owner, &words);
	buf_deinit(&text);
}

static void tell_of_job(struct node *node, const struct scene *scene, const struct presence *pod)
{
	struct scene job = *scene;

	job.about = pod->object.uid;
	job.kind = "Job";
	job.name = pod->object.name;
	job.host = "";
	job.at_ms = time_of(pod->created_ms, scene->at_ms);
	tell_created(node, &job, "pod:", pod->pod_name);
}

static void tell_pod(struct node *node, const struct scene *scene, const struct presence *pod)
{
	struct words killing = {.reason = "Killing", .message = "Stopping its containers"};
	struct words failed = {.warning = true, .reason = "Failed", .message = pod->message};

	tell_scheduled(node, *scene, pod);
	if (strcmp(pod->object.kind, "Job") == 0)
		tell_of_job(node, scene, pod);
	if (pod->terminating)
		tell(node, scene, &killing);
	else
		tell_containers(node, scene, pod);
	if (pod->phase == POD_FAILED && pod->message[0])
		tell(node, scene, &failed);
}

/* The last words of a pod that was not told to go: most often, why it was refused. */
static void tell_last_words(struct node *node, struct scene scene, const struct record *end)
{
	struct words failed = {.warning = true, .reason = "Failed"};
	struct presence gone;

	if (presence_decode(bytes_buf(&end->value), &gone) != 0)
		return;
	scene.at_ms = written_ms(end);
	failed.message = gone.message;
	if (gone.message[0])
		tell(node, &scene, &failed);
	presence_deinit(&gone);
}

/* @end: what its machine said when it was gone; NULL: it is not. */
static void see_presence(struct node *node, const struct record *record,
			 const struct node_id *writer, const struct record *end)
{
	struct presence pod;
	struct scene scene = {
		.home = record->key.uid,
		.writer = *writer,
		.kind = "Pod",
		.namespace = record->object.namespace,
		.at_ms = written_ms(record),
	};

	if (presence_decode(bytes_buf(&record->value), &pod) != 0)
		return;
	scene.about = pod.pod_uid;
	scene.name = pod.pod_name;
	scene.host = pod.node_name;
	if (end)
		tell_last_words(node, scene, end);
	else
		tell_pod(node, &scene, &pod);
	presence_deinit(&pod);
}

/* ---- objects ---- */

/* The object that controls @json, of the same home and namespace as @record. */
static bool scene_of_owner(const struct record *record, const struct node_id *writer,
			   const json_t *json, struct scene *ret_scene)
{
	const json_t *owner = kube_controller_of(json);
	struct scene scene = {
		.home = record->key.uid,
		.writer = *writer,
		.kind = kube_member_string(owner, "kind"),
		.namespace = record->object.namespace,
		.name = kube_member_string(owner, "name"),
		.host = "",
		.at_ms = written_ms(record),
	};

	if (!owner || !uid_parse(kube_member_string(owner, "uid"), &scene.about) ||
	    memcmp(scene.about.byte, record->key.uid.byte, UID_HOME_LEN) != 0)
		return false;
	*ret_scene = scene;
	return true;
}

/* The CronJob that made the Job has seen it end. */
static void tell_saw(struct node *node, const struct scene *job, bool completed)
{
	struct record_key key = {.kind = RECORD_OBJECT, .uid = job->about};
	const struct record_item *item = records_get(node->records, &key);
	struct words words = {.reason = "SawCompletedJob"};
	struct buf text = {0};
	struct scene cronjob;
	json_t *json;

	if (!item)
		return;
	json = json_loadb((const char *)item->record.value.ptr, item->record.value.len, 0, NULL);
	if (scene_of_owner(&item->record, &item->writer, json, &cronjob) &&
	    strcmp(cronjob.kind, "CronJob") == 0) {
		cronjob.at_ms = job->at_ms;
		buf_append_format(&text, "Saw completed job: %s, condition: %s", job->name,
				  completed ? "Complete" : "Failed");
		words.message = buf_cstr(&text);
		tell(node, &cronjob, &words);
	}
	buf_deinit(&text);
	json_decref(json);
}

static void tell_end(struct node *node, struct scene job, const json_t *progress)
{
	int64_t completed_ms = kube_member_int(progress, "spec.completionTime", 0);
	int64_t failed_ms = kube_member_int(progress, "spec.failedTime", 0);
	struct words words = {.reason = "Completed", .message = "Job completed"};

	if (!completed_ms && !failed_ms)
		return;
	if (!completed_ms)
		words = (struct words){
			.warning = true,
			.reason = kube_member_string(progress, "spec.reason"),
			.message = kube_member_string(progress, "spec.message"),
		};
	job.at_ms = time_of(completed_ms ? completed_ms : failed_ms, job.at_ms);
	tell(node, &job, &words);
	tell_saw(node, &job, completed_ms != 0);
}

/* ---- node ports ---- */

/* In a large fabric keepers note; all others have copies, of whatever they look at. */
static bool is_keeper(const struct node *node, const struct uid *home)
{
	struct contact keepers[RECORDS_KEEPERS];
	size_t count;

	if (!node_index_is_used(node))
		return true;
	count = records_nearest(node->records, home, keepers, RECORDS_KEEPERS);
	for (size_t i = 0; i < count; i++)
		if (node_id_equal(&keepers[i].id, &node->config.self.id))
			return true;
	return false;
}

static void tell_clash(struct node *node, const struct record_item *loser,
		       const struct record_item *holder, const struct record *latest, int64_t port)
{
	const struct object_ref *object = &loser->record.object, *other = &holder->record.object;
	struct words words = {.warning = true, .reason = "PortAlreadyAllocated"};
	struct scene scene = {
		.home = loser->record.key.uid,
		.about = loser->record.key.uid,
		.writer = loser->writer,
		.kind = object->kind,
		.namespace = object->namespace,
		.name = object->name,
		.host = "",
		.at_ms = written_ms(latest),
	};
	struct buf text = {0};

	if (!is_keeper(node, &loser->record.key.uid))
		return;
	buf_append_format(&text,
			  "Node port %d belongs to the older Service %s/%s: on no machine does it "
			  "lead to this one",
			  (int)port, other->namespace, other->name);
	words.message = buf_cstr(&text);
	tell(node, &scene, &words);
	buf_deinit(&text);
}

static void see_clashes(struct node *node, const struct record_item *item, const json_t *service,
			const struct record_item *other, const json_t *others)
{
	bool holds = kube_node_port_holds(service, others);
	const json_t *port;
	size_t index;

	json_array_foreach (kube_member(service, "spec.ports"), index, port) {
		int64_t number = kube_member_int(port, "nodePort", 0);

		if (number > 0 && number <= KUBE_NODE_PORT_MAX &&
		    kube_node_port_find(service, (uint16_t)number) &&
		    kube_node_port_find(others, (uint16_t)number))
			tell_clash(node, holds ? other : item, holds ? item : other, &item->record,
				   number);
	}
}

static json_t *read_json(const struct record *record)
{
	return json_loadb((const char *)record->value.ptr, record->value.len, 0, NULL);
}

/* What machines that did not hear each other have given twice, is told of the younger Service. */
static void see_service(struct node *node, const struct record_item *item)
{
	json_t *service = read_json(&item->record);
	const struct record_item *other;
	size_t position = 0;

	while (kube_has_node_ports(service) &&
	       (other = records_next(node->records, RECORD_OBJECT, "Service", NULL, &position))) {
		json_t *others;

		if (uid_equal(&other->record.key.uid, &item->record.key.uid))
			continue;
		others = read_json(&other->record);
		see_clashes(node, item, service, other, others);
		json_decref(others);
	}
	json_decref(service);
}

static void see_object(struct node *node, const struct record *record, const struct node_id *writer)
{
	bool is_progress = strcmp(record->object.kind, KUBE_JOB_PROGRESS) == 0;
	struct scene owner;
	json_t *json;

	if (!is_progress && strcmp(record->object.kind, "Job") != 0)
		return;
	json = json_loadb((const char *)record->value.ptr, record->value.len, 0, NULL);
	if (scene_of_owner(record, writer, json, &owner)) {
		if (is_progress)
			tell_end(node, owner, json);
		else
			tell_created(node, &owner, "job", record->object.name);
	}
	json_decref(json);
}

static uint64_t created_hlc(const struct record *record)
{
	return record->created_hlc ? record->created_hlc : record->version.hlc;
}

/* Of two objects of one name the younger one was deleted: the other one tells. */
static void see_name_lost(struct node *node, const struct record *lost)
{
	struct record_key key = {.kind = RECORD_TOMBSTONE, .uid = lost->key.uid};
	const struct object_ref *object = &lost->object;
	const struct record_item *first =
		records_find(node->records, object->namespace, object->kind, object->name);
	const struct record_item *end = records_get(node->records, &key);
	struct words words = {.warning = true, .reason = "NameTaken"};
	struct buf text = {0};
	struct scene scene;

	if (!first || !end || created_hlc(&first->record) >= created_hlc(lost) ||
	    !is_keeper(node, &first->record.key.uid))
		return;
	scene = (struct scene){
		.home = first->record.key.uid,
		.about = first->record.key.uid,
		.writer = end->writer,
		.kind = object->kind,
		.namespace = object->namespace,
		.name = object->name,
		.host = "",
		.at_ms = written_ms(&end->record),
	};
	buf_append_format(&text,
			  "The name was given twice while machines did not hear each other; the "
			  "younger object, %s, was deleted",
			  uid_text(&lost->key.uid).text);
	words.message = buf_cstr(&text);
	tell(node, &scene, &words);
	buf_deinit(&text);
}

/* ---- changes ---- */

void node_witness(struct node *node, const struct record_item *item, enum records_change change,
		  const struct record_item *end)
{
	const struct record *record = &item->record;
	bool here = change == RECORDS_ADDED || change == RECORDS_MODIFIED;
	bool ended = change == RECORDS_REMOVED && end && end->record.gone;

	if (!node->journal || !is_keeper(node, &record->key.uid))
		return;
	if (record->key.kind == RECORD_PRESENCE && (here || ended))
		see_presence(node, record, &item->writer, ended ? &end->record : NULL);
	else if (record->key.kind == RECORD_OBJECT && here &&
		 strcmp(record->object.kind, "Service") == 0)
		see_service(node, item);
	else if (record->key.kind == RECORD_OBJECT && here)
		see_object(node, record, &item->writer);
	else if (record->key.kind == RECORD_OBJECT && change == RECORDS_REMOVED)
		see_name_lost(node, record);
}

void node_witness_lost(struct node *node, const struct record_item *loser, const char *text)
{
	const struct record *record = &loser->record;
	struct scene scene = {
		.home = record->key.uid,
		.about = record->key.uid,
		.writer = loser->writer,
		.kind = record->object.kind,
		.namespace = record->object.namespace,
		.name = record->object.name,
		.host = "",
		.at_ms = written_ms(record),
	};
	struct words words = {.warning = true, .reason = "ConflictingUpdate", .message = text};

	if (node->journal)
		tell(node, &scene, &words);
}

void node_witness_stored(struct node *node)
{
	const struct record_item *item;
	size_t position = 0;

	while ((item = records_next(node->records, RECORD_OBJECT, KUBE_JOB_PROGRESS, NULL,
				    &position)))
		if (is_keeper(node, &item->record.key.uid))
			see_object(node, &item->record, &item->writer);
}
