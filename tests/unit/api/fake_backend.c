/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_audit.h"
#include "fake_backend.h"
#include "fake_control.h"
#include "fake_internal.h"
#include "fake_port.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/random.h>
#include <sys/time.h>

#include <jansson.h>

#include "base/list.h"
#include "base/mem.h"
#include "kube/deletion.h"
#include "kube/name.h"
#include "kube/workload.h"
#include "wire/presence.h"

static struct wall wall_now(void)
{
	struct timeval now;

	(void)gettimeofday(&now, NULL);
	return (struct wall){.ms = now.tv_sec * 1000 + now.tv_usec / 1000};
}

static uint64_t next_version(struct fake_backend *fake)
{
	uint64_t hlc = (uint64_t)wall_now().ms << 16;

	fake->version = hlc > fake->version ? hlc : fake->version + 1;
	return fake->version;
}

static struct wall fake_now(void *self)
{
	(void)self;
	return wall_now();
}

static void fake_random(void *self, void *out, size_t len)
{
	(void)self;
	assert(getrandom(out, len, 0) == (ssize_t)len);
}

static struct uid new_uid(void)
{
	uint8_t random[UID_LEN];

	fake_random(NULL, random, sizeof(random));
	return uid_from_random(random);
}

static uint64_t fake_version(void *self)
{
	const struct fake_backend *fake = self;

	return fake->version;
}

/* Objects. */

static void object_free(struct fake_object *object)
{
	list_remove(&object->link);
	free(object->json);
	free((char *)(uintptr_t)object->object.kind);
	free((char *)(uintptr_t)object->object.namespace);
	free((char *)(uintptr_t)object->object.name);
	free(object);
}

static struct fake_object *find_object(struct list *list, const char *kind, const char *namespace,
				       const char *name)
{
	list_for_each (it, list) {
		struct fake_object *object = list_entry(it, struct fake_object, link);

		if (strcmp(object->object.kind, kind) == 0 &&
		    strcmp(object->object.namespace, namespace) == 0 &&
		    strcmp(object->object.name, name) == 0)
			return object;
	}
	return NULL;
}

static struct fake_object *find_by_uid(struct list *list, const struct uid *uid)
{
	list_for_each (it, list) {
		struct fake_object *object = list_entry(it, struct fake_object, link);

		if (uid_equal(&object->object.uid, uid))
			return object;
	}
	return NULL;
}

static void fake_objects(void *self, const char *kind, const char *namespace, api_object_fn *each,
			 void *arg)
{
	struct fake_backend *fake = self;

	list_for_each (it, &fake->objects) {
		const struct fake_object *object = list_entry(it, struct fake_object, link);

		if ((!kind || strcmp(object->object.kind, kind) == 0) &&
		    (!namespace || strcmp(object->object.namespace, namespace) == 0))
			each(arg, &object->object);
	}
}

static void fake_namespaces(void *self, api_name_fn *each, void *arg)
{
	struct fake_backend *fake = self;

	list_for_each (it, &fake->objects)
		each(arg, list_entry(it, struct fake_object, link)->object.namespace);
}

struct unowned {
	api_object_fn *each;
	void *arg;
};

static void give_unowned(void *arg, const struct api_object *object)
{
	const struct unowned *unowned = arg;

	if (!kube_says_controlled(object->json))
		unowned->each(unowned->arg, object);
}

static void fake_unowned(void *self, const char *kind, const char *namespace, api_object_fn *each,
			 void *arg)
{
	fake_objects(self, kind, namespace, give_unowned, &(struct unowned){each, arg});
}

static bool give(const struct fake_object *object, api_object_fn *each, void *arg)
{
	if (object)
		each(arg, &object->object);
	return object != NULL;
}

static bool fake_object(void *self, const char *kind, const char *namespace, const char *name,
			api_object_fn *each, void *arg)
{
	struct fake_backend *fake = self;

	return give(find_object(&fake->objects, kind, namespace, name), each, arg);
}

static bool fake_object_by_uid(void *self, const struct uid *uid, api_object_fn *each, void *arg)
{
	struct fake_backend *fake = self;

	return give(find_by_uid(&fake->objects, uid), each, arg);
}

static void fake_family(void *self, const struct uid *uid, api_object_fn *each, void *arg)
{
	struct fake_backend *fake = self;

	list_for_each (it, &fake->objects) {
		const struct fake_object *object = list_entry(it, struct fake_object, link);

		if (memcmp(object->object.uid.byte, uid->byte, UID_HOME_LEN) == 0)
			each(arg, &object->object);
	}
}

static bool fake_pod_workload(void *self, const char *namespace, const char *name,
			      struct uid *ret_workload)
{
	struct fake_backend *fake = self;

	list_for_each (it, &fake->pods) {
		const struct presence *presence =
			&list_entry(it, const struct fake_pod, link)->presence;

		if (strcmp(presence->pod_name, name) != 0 ||
		    strcmp(presence->object.namespace, namespace) != 0)
			continue;
		*ret_workload = presence->object.uid;
		return true;
	}
	return false;
}

static bool fake_buried(void *self, const struct uid *workload, api_object_fn *each, void *arg)
{
	return give(find_by_uid(&((struct fake_backend *)self)->graves, workload), each, arg);
}

/* Events. */

static void add_event(struct fake_backend *fake, const struct fake_pod *pod, const char *reason,
		      const char *message)
{
	struct fake_event *event = mem_new(struct fake_event);
	const struct presence *presence = &pod->presence;

	event->event = (struct api_event){
		.namespace = mem_strdup(presence->object.namespace),
		.kind = "Pod",
		.name = mem_strdup(presence->pod_name),
		.uid = presence->pod_uid,
		.type = "Normal",
		.reason = reason,
		.message = message,
		.source_component = "machineplane",
		.source_host = "n1",
		.first = wall_now(),
		.last = wall_now(),
		.count = 1,
	};
	memcpy(event->event.id.byte, &(uint64_t){++fake->serial}, sizeof(uint64_t));
	list_append(&fake->events, &event->link);
	if (fake->api)
		api_events_changed(fake->api);
}

static void event_free(struct fake_event *event)
{
	list_remove(&event->link);
	free((char *)(uintptr_t)event->event.namespace);
	free((char *)(uintptr_t)event->event.name);
	free(event);
}

static void fake_events(void *self, const char *namespace, api_event_fn *each, void *arg)
{
	struct fake_backend *fake = self;

	list_for_each (it, &fake->events) {
		const struct fake_event *event = list_entry(it, struct fake_event, link);

		if (!namespace || strcmp(event->event.namespace, namespace) == 0)
			each(arg, &event->event);
	}
}

/* Pods. */

static void touched(struct fake_backend *fake, struct fake_pod *pod)
{
	pod->version = next_version(fake);
	if (fake->api)
		api_workload_changed(fake->api, &pod->presence.object.uid);
}

static void pod_free(struct fake_pod *pod)
{
	list_remove(&pod->link);
	presence_deinit(&pod->presence);
	free(pod);
}

static void add_containers(struct presence *presence, const json_t *spec)
{
	const json_t *containers = json_object_get(spec, "containers"), *container;
	size_t i;

	presence->container_count = json_array_size(containers);
	presence->containers = mem_alloc(presence->container_count, sizeof(*presence->containers));
	json_array_foreach (containers, i, container) {
		struct container_status *status = &presence->containers[i];

		status->name = mem_strdup(json_string_value(json_object_get(container, "name")));
		status->image = mem_strdup(json_string_value(json_object_get(container, "image")));
		status->image_id = mem_strdup("");
		status->container_id = mem_strdup("");
		status->reason = mem_strdup("ContainerCreating");
		status->message = mem_strdup("");
		status->last_reason = mem_strdup("");
	}
}

static void add_pod(struct fake_backend *fake, const struct fake_object *object,
		    const struct kube_workload *workload, uint32_t slot,
		    const struct node_facts *machine)
{
	struct fake_pod *pod = mem_new(struct fake_pod);
	struct presence *presence = &pod->presence;
	json_t *json = json_loads(object->json, 0, NULL);
	bool bare = strcmp(workload->kind, "Pod") == 0;

	presence->pod_uid = new_uid();
	presence->pod_name = mem_strdup(
		bare ? workload->name : kube_name_pod(workload->name, &presence->pod_uid).text);
	presence->object.uid = object->object.uid;
	presence->object.namespace = mem_strdup(object->object.namespace);
	presence->object.kind = mem_strdup(object->object.kind);
	presence->object.name = mem_strdup(object->object.name);
	presence->generation = object->object.generation;
	presence->slot = slot;
	presence->node = machine->id;
	presence->node_name = mem_strdup(machine->name);
	presence->reason = mem_strdup("");
	presence->message = mem_strdup("");
	presence->pod_ip = mem_strdup("");
	presence->host_ip = mem_strdup("10.0.0.1");
	presence->created_ms = wall_now().ms;
	add_containers(presence, kube_pod_spec(json));
	json_decref(json);
	pod->start_ms = uv_now(fake->loop) + FAKE_START_MS;
	list_append(&fake->pods, &pod->link);
	add_event(fake, pod, "Scheduled", "Successfully assigned the pod");
	touched(fake, pod);
}

/* By its own name, or by that of the Deployment that it was made for. */
static bool is_called(const struct kube_workload *workload, const char *name)
{
	size_t len = strlen(name);

	return strncmp(workload->name, name, len) == 0 &&
	       (!workload->name[len] || workload->name[len] == '-');
}

static void place_pod(struct fake_backend *fake, const struct fake_object *object,
		      const struct kube_workload *workload, uint32_t slot)
{
	const struct node_facts *alive = &fake->machines[fake->next_machine++ % (MACHINES - 1)];
	const struct node_facts *lost = &fake->machines[MACHINES - 1];

	if (is_called(workload, "stuck"))
		return;
	if (is_called(workload, "lost") || is_called(workload, "replaced"))
		add_pod(fake, object, workload, slot, lost);
	if (!is_called(workload, "lost"))
		add_pod(fake, object, workload, slot, alive);
}

static void add_pods(struct fake_backend *fake, const struct fake_object *object, uint32_t only)
{
	json_t *json = json_loads(object->json, 0, NULL);
	struct kube_workload workload;
	struct err err;

	if (kube_workload_read(json, &workload, &err) == 0) {
		for (uint32_t i = 0; i < workload.replicas; i++) {
			if (only == UINT32_MAX || only == i)
				place_pod(fake, object, &workload, i);
		}
	}
	json_decref(json);
}

static void start_pod(struct fake_backend *fake, struct fake_pod *pod)
{
	struct presence *presence = &pod->presence;
	struct id_text uid = uid_text(&presence->pod_uid);

	pod->start_ms = 0;
	presence->phase = POD_RUNNING;
	presence->ready = true;
	presence->started_ms = wall_now().ms;
	free(presence->pod_ip);
	presence->pod_ip = mem_strdup("10.1.0.7");
	for (size_t i = 0; i < presence->container_count; i++) {
		struct container_status *status = &presence->containers[i];

		status->state = CONTAINER_RUNNING;
		status->ready = true;
		status->started_ms = presence->started_ms;
		free(status->reason);
		status->reason = mem_strdup("");
		free(status->container_id);
		status->container_id = mem_strdup(uid.text);
	}
	add_event(fake, pod, "Started", "Started all containers");
	touched(fake, pod);
}

static void stop_pod(struct fake_backend *fake, struct fake_pod *pod, bool replace)
{
	pod->presence.terminating = true;
	pod->start_ms = 0;
	/* Pods of what is called "stays" end only by force. */
	if (strncmp(pod->presence.pod_name, "stays", strlen("stays")) != 0)
		pod->stop_ms = uv_now(fake->loop) + FAKE_STOP_MS;
	pod->replace = replace;
	touched(fake, pod);
}

static bool is_dying(const struct fake_object *object)
{
	json_t *json = json_loads(object->json, 0, NULL);
	bool dying = kube_is_dying(json);

	json_decref(json);
	return dying;
}

static void end_pod(struct fake_backend *fake, struct fake_pod *pod)
{
	struct uid workload = pod->presence.object.uid;
	struct fake_object *object = find_by_uid(&fake->objects, &workload);
	uint32_t slot = pod->presence.slot;
	bool replace = pod->replace;

	pod_free(pod);
	next_version(fake);
	if (fake->api)
		api_workload_changed(fake->api, &workload);
	if (object && replace && !is_dying(object))
		add_pods(fake, object, slot);
}

static void fake_presences(void *self, const struct uid *workload, api_presence_fn *each, void *arg)
{
	struct fake_backend *fake = self;

	list_for_each (it, &fake->pods) {
		const struct fake_pod *pod = list_entry(it, struct fake_pod, link);

		if (!workload || uid_equal(&pod->presence.object.uid, workload))
			each(arg, &pod->presence, pod->version);
	}
}

/* Writes are acknowledged from the loop, as the real ones are. */

static struct fake_write *add_write(struct fake_backend *fake, api_done_fn *done, void *arg)
{
	struct fake_write *write = mem_new(struct fake_write);

	write->done = done;
	write->arg = arg;
	write->result.stored = fake->stored;
	write->result.wanted = KEEPERS;
	write->result.version = next_version(fake);
	list_append(&fake->writes, &write->link);
	return write;
}

/* Follow the new number of replicas: slots beyond it end, missing ones begin. */
static void rescale(struct fake_backend *fake, const struct fake_object *object)
{
	json_t *json = json_loads(object->json, 0, NULL);
	struct kube_workload workload;
	struct err err;
	uint32_t have = 0;

	if (kube_workload_read(json, &workload, &err) == 0) {
		list_for_each (it, &fake->pods) {
			struct fake_pod *pod = list_entry(it, struct fake_pod, link);

			if (!uid_equal(&pod->presence.object.uid, &object->object.uid))
				continue;
			if (pod->presence.slot >= workload.replicas)
				stop_pod(fake, pod, false);
			/* One on its way out makes room for another, if its slot is wanted. */
			pod->replace = pod->presence.slot < workload.replicas;
			have += pod->replace;
		}
		for (uint32_t slot = have; slot < workload.replicas; slot++)
			add_pods(fake, object, slot);
	}
	json_decref(json);
}

static void replace_object(struct fake_backend *fake, struct fake_object *object,
			   const struct api_put *put, struct api_result *result)
{
	if (put->expected_version != object->object.version) {
		(void)err_set_status(&result->err, -ESTALE, 409, "the object has been modified");
		return;
	}
	free(object->json);
	object->json = mem_copy(put->json.ptr, put->json.len);
	object->object.json = bytes_of(object->json, put->json.len);
	object->object.version = result->version;
	object->object.generation = put->generation;
	if (fake->api)
		api_workload_changed(fake->api, &put->uid);
	rescale(fake, object);
}

static void store(struct fake_backend *fake, const struct api_put *put, struct api_result *result)
{
	struct fake_object *object =
		find_object(&fake->objects, put->kind, put->namespace, put->name);

	if (object && put->create) {
		(void)err_set_status(&result->err, -EEXIST, 409, "already exists");
		return;
	}
	if (object) {
		replace_object(fake, object, put, result);
		return;
	}
	if (find_by_uid(&fake->graves, &put->uid)) {
		(void)err_set_status(&result->err, -ENOENT, 404, "it has been deleted");
		return;
	}
	object = mem_new(struct fake_object);
	object->json = mem_copy(put->json.ptr, put->json.len);
	object->object = (struct api_object){
		.kind = mem_strdup(put->kind),
		.namespace = mem_strdup(put->namespace),
		.name = mem_strdup(put->name),
		.uid = put->uid,
		.version = result->version,
		.generation = put->generation,
		.json = bytes_of(object->json, put->json.len),
	};
	list_append(&fake->objects, &object->link);
	if (fake->api)
		api_workload_changed(fake->api, &put->uid);
	add_pods(fake, object, UINT32_MAX);
}

static void fake_put(void *self, const struct api_put *put, api_done_fn *done, void *arg)
{
	struct fake_backend *fake = self;

	store(fake, put, &add_write(fake, done, arg)->result);
}

static void bury(struct fake_backend *fake, struct fake_object *object, uint64_t version)
{
	list_remove(&object->link);
	list_append(&fake->graves, &object->link);
	object->object.version = version;
	if (fake->api)
		api_workload_changed(fake->api, &object->object.uid);
	list_for_each (it, &fake->pods) {
		struct fake_pod *pod = list_entry(it, struct fake_pod, link);

		if (uid_equal(&pod->presence.object.uid, &object->object.uid))
			stop_pod(fake, pod, false);
	}
}

static void fake_dispose(void *self, const struct api_dispose *dispose, api_done_fn *done,
			 void *arg)
{
	struct fake_backend *fake = self;
	struct fake_object *object = find_by_uid(&fake->objects, &dispose->uid);
	struct fake_write *write = add_write(fake, done, arg);

	if (!object)
		(void)err_set_status(&write->result.err, -ENOENT, 404, "not found");
	else
		bury(fake, object, write->result.version);
}

/* Controllers: those of the daemon, called again and again. */

static void carry_out(struct fake_backend *fake, const struct control_step *step)
{
	struct fake_object *object = find_by_uid(&fake->objects, &step->ref.uid);
	struct api_result result = {.version = next_version(fake)};
	struct api_put put = {
		.kind = step->ref.kind,
		.namespace = step->ref.namespace,
		.name = step->ref.name,
		.uid = step->ref.uid,
		.generation = step->generation,
		.create = step->expected_hlc == 0,
		.expected_version = step->expected_hlc,
	};
	char *text;

	if (step->type == CONTROL_PUT) {
		text = json_dumps(step->json, JSON_COMPACT);
		put.json = bytes_str(text);
		store(fake, &put, &result);
		free(text);
	} else if (step->type == CONTROL_DISPOSE && object) {
		bury(fake, object, result.version);
	}
	list_for_each (it, &fake->pods) {
		struct fake_pod *pod = list_entry(it, struct fake_pod, link);

		if (step->type == CONTROL_STOP && uid_equal(&pod->presence.pod_uid, &step->pod_uid))
			stop_pod(fake, pod, true);
	}
}

static bool is_buried(const void *arg, const struct uid *uid)
{
	struct fake_backend *fake = (struct fake_backend *)(uintptr_t)arg;

	return find_by_uid(&fake->graves, uid) != NULL;
}

static void run_controllers(struct fake_backend *fake)
{
	struct control_verdict verdict = {.due = CONTROL_NEVER};
	struct fake_family family = {.now = wall_now(), .is_buried = is_buried, .buried_arg = fake};

	if (fake->controlled == fake->version && family.now.ms < fake->due.ms)
		return;
	fake->controlled = fake->version;
	list_for_each (it, &fake->objects)
		fake_family_add_object(&family, &list_entry(it, struct fake_object, link)->object);
	list_for_each (it, &fake->pods)
		fake_family_add_pod(&family, &list_entry(it, struct fake_pod, link)->presence);
	fake_family_judge(&family, &verdict);
	fake->due = verdict.due;
	for (size_t i = 0; i < verdict.count; i++)
		carry_out(fake, &verdict.steps[i]);
	control_verdict_deinit(&verdict);
	fake_family_deinit(&family);
}

static void fake_pod_stop(void *self, const struct uid *uid, int64_t grace_s, const char *author,
			  api_done_fn *done, void *arg)
{
	struct fake_backend *fake = self;

	(void)author;
	list_for_each (it, &fake->pods) {
		struct fake_pod *pod = list_entry(it, struct fake_pod, link);

		if (!uid_equal(&pod->presence.pod_uid, uid))
			continue;
		stop_pod(fake, pod, true);
		if (grace_s == 0)
			pod->stop_ms = uv_now(fake->loop) + 1;
	}
	(void)add_write(fake, done, arg);
}

/* There is nowhere else to go: it stops. */
static void fake_pod_evict(void *self, const struct uid *uid, const char *author, api_done_fn *done,
			   void *arg)
{
	fake_pod_stop(self, uid, -1, author, done, arg);
}

/* Logs and ports. */

static void log_free(struct api_stream *log)
{
	list_remove(&log->link);
	buf_deinit(&log->echo);
	free(log);
}

static struct api_stream *fake_stream_open(void *self, const struct api_stream_request *request,
					   const struct api_stream_sink *sink, void *arg)
{
	const struct api_log_options *options = &request->log;
	struct fake_backend *fake = self;
	struct api_stream *log = mem_new(struct api_stream);

	log->fake = fake;
	log->sink = sink;
	log->arg = arg;
	log->options = *options;
	log->port = request->port;
	(void)snprintf(log->container, sizeof(log->container), "%s", request->container);
	if (options->tail_lines >= 0 && options->tail_lines < FAKE_LOG_LINES)
		log->line = FAKE_LOG_LINES - (int)options->tail_lines;
	list_for_each (it, &fake->pods) {
		const struct fake_pod *pod = list_entry(it, struct fake_pod, link);

		if (uid_equal(&pod->presence.pod_uid, &request->pod) &&
		    strcmp(pod->presence.pod_name, FAKE_ENDLESS_POD) == 0)
			log->endless = true;
	}
	list_append(&fake->logs, &log->link);
	return log;
}

static void fake_stream_resume(void *self, struct api_stream *log)
{
	(void)self;
	log->paused = false;
}

static void fake_stream_close(void *self, struct api_stream *log)
{
	(void)self;
	log_free(log);
}

static void log_endless(struct api_stream *log)
{
	char piece[ENDLESS_PIECE];

	memset(piece, 'x', sizeof(piece));
	for (int i = 0; i < 64 && !log->paused; i++)
		log->paused = !log->sink->data(log->arg, bytes_of(piece, sizeof(piece)));
}

/* All lines there are, then one per tick when following. */
static void log_step(struct api_stream *log)
{
	struct buf line = {0};
	struct err none = {0};

	if (!log->begun) {
		log->begun = true;
		log->sink->begin(log->arg);
	}
	if (log->endless) {
		log_endless(log);
		return;
	}
	do {
		if (log->line >= FAKE_LOG_LINES && !log->options.follow)
			break;
		buf_append_format(&line, "%s%s line %d\n",
				  log->options.timestamps ? "2026-01-01T00:00:00Z " : "",
				  log->container, ++log->line);
	} while (log->line < FAKE_LOG_LINES);
	if (line.len)
		log->paused = !log->sink->data(log->arg, bytes_buf(&line));
	buf_deinit(&line);
	if (!log->options.follow) {
		log->sink->end(log->arg, &none);
		log_free(log);
	}
}

/* Documents, counters, users. */

static bool fake_document(void *self, enum api_document which, const char *id, struct buf *json)
{
	(void)self;
	if ((which == API_DOCUMENT_TENDER || which == API_DOCUMENT_DISPOSAL) &&
	    !strstr(id, "known"))
		return false;
	buf_append_format(json, "{\"document\":%d,\"id\":\"%s\"}\n", (int)which, id ? id : "");
	return true;
}

static void fake_counters(void *self, api_counter_fn *each, void *arg)
{
	(void)self;
	each(arg, "magik_tenders_total", "Tenders opened.", "counter", 7);
}

static bool fake_ready(void *self, struct err *err)
{
	(void)self;
	(void)err;
	return true;
}

static int fake_verify_user(void *self, const struct bytes *chain, size_t count,
			    struct api_user *ret_user, struct err *err)
{
	const struct fake_backend *fake = self;

	assert(count > 0);
	if (!fake_pki_verify(fake->pki, chain[0], ret_user->name, ret_user->groups[0],
			     API_USER_NAME_MAX))
		return err_set(err, -EKEYREJECTED, "the client certificate is not valid here");
	ret_user->group_count = *ret_user->groups[0] != 0;
	return 0;
}

static void fake_members(void *self, api_member_fn *each, void *arg)
{
	struct fake_backend *fake = self;

	for (int i = 0; i < MACHINES; i++) {
		struct api_member member = {
			.facts = &fake->machines[i],
			.id = fake->machines[i].id,
			.alive = i < MACHINES - 1,
			.joined = {.ms = fake->machines[i].created_ms},
			.seen = {.ms = fake->machines[i].created_ms},
			.version = (uint64_t)fake->machines[i].created_ms << 16,
		};

		each(arg, &member);
	}
}

static void machine_init(struct fake_backend *fake, int i)
{
	struct node_facts *facts = &fake->machines[i];
	char name[16];

	(void)snprintf(name, sizeof(name), "n%d", i + 1);
	fake->labels[i] = (struct label){.key = mem_strdup("zone"), .value = mem_strdup("here")};
	memset(facts->id.byte, i + 1, ID_LEN);
	facts->name = mem_strdup(name);
	facts->api_url = mem_strdup("https://127.0.0.1:3000");
	facts->labels = &fake->labels[i];
	facts->label_count = 1;
	facts->cpu_milli = facts->cpu_milli_free_max = 4000;
	facts->memory_bytes = facts->memory_bytes_free_max = (int64_t)8 << 30;
	facts->pods_max = 110;
	facts->schedulable = true;
	facts->steward = facts->worker = true;
	facts->architecture = mem_strdup("amd64");
	facts->os_image = mem_strdup("Debian GNU/Linux 12 (bookworm)");
	facts->kernel = mem_strdup("6.1.0");
	facts->runtime = mem_strdup("crun://1.8");
	facts->version = mem_strdup("0.1.0");
	facts->boot_id = mem_strdup("boot");
	facts->machine_id = mem_strdup("machine");
	facts->created_ms = wall_now().ms;
}

static void machine_deinit(struct node_facts *facts)
{
	free(facts->labels->key);
	free(facts->labels->value);
	free(facts->name);
	free(facts->api_url);
	free(facts->architecture);
	free(facts->os_image);
	free(facts->kernel);
	free(facts->runtime);
	free(facts->version);
	free(facts->boot_id);
	free(facts->machine_id);
}

/* Time. */

static void finish_writes(struct fake_backend *fake)
{
	while (!fake->hold && !list_is_empty(&fake->writes)) {
		struct fake_write *write = list_first(&fake->writes, struct fake_write, link);

		list_remove(&write->link);
		write->done(write->arg, &write->result);
		free(write);
	}
}

static void on_tick(uv_timer_t *timer)
{
	struct fake_backend *fake = timer->data;
	uint64_t now = uv_now(fake->loop);

	finish_writes(fake);
	list_for_each_safe (it, &fake->pods) {
		struct fake_pod *pod = list_entry(it, struct fake_pod, link);

		if (pod->start_ms && now >= pod->start_ms)
			start_pod(fake, pod);
		if (pod->stop_ms && now >= pod->stop_ms)
			end_pod(fake, pod);
	}
	list_for_each_safe (it, &fake->logs) {
		struct api_stream *log = list_entry(it, struct api_stream, link);

		if (log->paused)
			continue;
		if (!log->port)
			log_step(log);
		else if (!fake_port_step(log))
			log_free(log);
	}
	run_controllers(fake);
}

static const struct api_backend_ops fake_ops = {
	.now = fake_now,
	.random = fake_random,
	.version = fake_version,
	.members = fake_members,
	.refresh = fake_refresh,
	.objects = fake_objects,
	.namespaces = fake_namespaces,
	.unowned = fake_unowned,
	.family = fake_family,
	.object = fake_object,
	.object_by_uid = fake_object_by_uid,
	.pod_workload = fake_pod_workload,
	.presences = fake_presences,
	.buried = fake_buried,
	.events = fake_events,
	.counters = fake_counters,
	.put = fake_put,
	.dispose = fake_dispose,
	.pod_evict = fake_pod_evict,
	.pod_stop = fake_pod_stop,
	.stream_open = fake_stream_open,
	.stream_write = fake_port_write,
	.stream_finish = fake_port_finish,
	.stream_resume = fake_stream_resume,
	.stream_close = fake_stream_close,
	.document = fake_document,
	.ready = fake_ready,
	.verify_user = fake_verify_user,
	.audit_ready = fake_audit_ready,
	.audit = fake_audit,
};

struct fake_backend *fake_backend_new(uv_loop_t *loop, const struct fake_pki *pki)
{
	struct fake_backend *fake = mem_new(struct fake_backend);

	fake->loop = loop;
	fake->pki = pki;
	fake->stored = KEEPERS;
	list_init(&fake->objects);
	list_init(&fake->graves);
	list_init(&fake->pods);
	list_init(&fake->events);
	list_init(&fake->writes);
	list_init(&fake->logs);
	next_version(fake);
	for (int i = 0; i < MACHINES; i++)
		machine_init(fake, i);
	(void)uv_timer_init(loop, &fake->tick);
	fake->tick.data = fake;
	(void)uv_timer_start(&fake->tick, on_tick, TICK_MS, TICK_MS);
	return fake;
}

static void on_closed(uv_handle_t *handle)
{
	struct fake_backend *fake = handle->data;

	list_for_each_safe (it, &fake->objects)
		object_free(list_entry(it, struct fake_object, link));
	list_for_each_safe (it, &fake->graves)
		object_free(list_entry(it, struct fake_object, link));
	list_for_each_safe (it, &fake->pods)
		pod_free(list_entry(it, struct fake_pod, link));
	list_for_each_safe (it, &fake->events)
		event_free(list_entry(it, struct fake_event, link));
	assert(list_is_empty(&fake->writes));
	assert(list_is_empty(&fake->logs));
	for (int i = 0; i < MACHINES; i++)
		machine_deinit(&fake->machines[i]);
	free(fake);
}

void fake_backend_close(struct fake_backend *fake)
{
	uv_close((uv_handle_t *)&fake->tick, on_closed);
}

struct api_backend fake_backend_table(struct fake_backend *fake)
{
	return (struct api_backend){.ops = &fake_ops, .self = fake};
}

void fake_backend_attach(struct fake_backend *fake, struct api *api)
{
	fake->api = api;
}

void fake_backend_set_stored(struct fake_backend *fake, unsigned stored)
{
	fake->stored = stored;
}

void fake_backend_hold_writes(struct fake_backend *fake, bool hold)
{
	fake->hold = hold;
}

size_t fake_backend_object_count(const struct fake_backend *fake)
{
	size_t count = 0;

	list_for_each (it, &fake->objects)
		count++;
	return count;
}

size_t fake_backend_open_logs(const struct fake_backend *fake)
{
	size_t count = 0;

	list_for_each (it, &fake->logs)
		count++;
	return count;
}
