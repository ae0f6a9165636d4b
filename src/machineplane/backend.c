/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backend: the REST gateway's questions (api/backend.h), answered from this machine's node.
 *
 * Facts of machines are kept here beyond the life of their NODE records, so that a lost machine is
 * shown as NotReady rather than not at all.
 */
#include "machineplane/fabric.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "kube/workload.h"

/* A write that waits for its keepers. */
struct pending {
	uint64_t token, version;
	api_done_fn *done;
	void *arg;
};

enum {
	FRESH_MS = 1500, /* with the time a list takes: lists are no older than 2 s */
	FRESH_MAX = 1024,
};

/* Somebody waits for what others keep. */
struct refreshing {
	api_refreshed_fn *done;
	void *arg;
	struct mono at; /* asked */
	struct buf text;
};

struct machine {
	struct node_facts facts;
	uint64_t version;
	struct wall seen;
};

/* The pods of one name, and the workload of the last of them. */
struct pod_names {
	struct uid workload;
	size_t count;
};

struct pod_name {
	struct buf key; /* "namespace/name" */
};

struct backend {
	struct fabric *fabric;
	struct map refreshing; /* token -> struct refreshing */
	struct map fresh;      /* text of a scope -> struct mono: asked for last */
	struct map unowned;    /* uid -> struct record_key: ReplicaSets and Pods without an owner */
	struct map pods;       /* "namespace/name" -> struct pod_names */
	struct map pod_names;  /* pod uid -> struct pod_name */
	struct api_backend api;
	struct map pending;  /* token -> struct pending */
	struct map machines; /* node id -> struct machine */
	uint64_t members_version;
};

static struct node *node_of(void *self)
{
	return ((struct backend *)self)->fabric->node;
}

static struct wall backend_now(void *self)
{
	return node_fabric_time(node_of(self), clock_mono());
}

static void backend_random(void *self, void *out, size_t len)
{
	entropy_fill(out, len);
}

static uint64_t backend_version(void *self)
{
	return records_clock(node_records(node_of(self)));
}

/* Of a machine outside of our pool we hear only when somebody has found it lost. */
static bool machine_lives(const struct node *node, const struct node_id *id)
{
	const struct overlay *overlay = node_overlay(node);
	struct overlay_peer peer;

	if (node_id_equal(id, node_self(node)))
		return true;
	if (!overlay_find_peer(overlay, id, &peer))
		return !overlay_is_whole(overlay);
	return peer.state == MEMBER_ALIVE || peer.state == MEMBER_SUSPECT;
}

struct addr backend_address(const struct backend *backend, const struct node_id *id)
{
	const struct machine *machine = map_get(&backend->machines, bytes_of(id->byte, ID_LEN));

	return machine ? machine->facts.addr : (struct addr){0};
}

/* Scopes: what has been brought lately is not brought again at once. */

static void scope_text(const struct api_scope *scope, struct buf *out)
{
	buf_append_format(out, "%s %s %s %s", scope->kind,
			  scope->namespace ? scope->namespace : "*",
			  scope->name ? scope->name : "*", scope->about ? scope->about : "*");
}

static bool is_fresh(const struct backend *backend, const struct api_scope *scope)
{
	struct buf text = {0};
	const struct mono *at;

	if (scope->name) /* one object is read as it is now */
		return false;
	scope_text(scope, &text);
	at = map_get(&backend->fresh, bytes_buf(&text));
	buf_deinit(&text);
	return at && !mono_reached(clock_mono(), mono_add_ms(*at, FRESH_MS));
}

static void note_fresh(struct backend *backend, const struct refreshing *refreshing)
{
	if (backend->fresh.count >= FRESH_MAX) {
		map_for_each (entry, &backend->fresh)
			free(map_remove(&backend->fresh, bytes_of(entry->key, entry->key_len)));
	}
	free(map_put(&backend->fresh, bytes_buf(&refreshing->text),
		     mem_copy(&refreshing->at, sizeof(refreshing->at))));
}

static bool backend_refresh(void *self, const struct api_scope *scope, api_refreshed_fn *done,
			    void *arg)
{
	struct backend *backend = self;
	struct node_scope node_scope = {scope->kind, scope->namespace, scope->name, scope->about};
	struct refreshing *refreshing;
	uint64_t token;

	if (!overlay_is_large(node_overlay(backend->fabric->node)) || is_fresh(backend, scope) ||
	    node_refresh(backend->fabric->node, clock_mono(), &node_scope, &token) != 0)
		return true;
	refreshing = mem_new(struct refreshing);
	refreshing->done = done;
	refreshing->arg = arg;
	refreshing->at = clock_mono();
	scope_text(scope, &refreshing->text);
	(void)map_put(&backend->refreshing, bytes_of(&token, sizeof(token)), refreshing);
	return false;
}

static void refreshing_end(struct refreshing *refreshing, bool complete)
{
	refreshing->done(refreshing->arg, complete);
	buf_deinit(&refreshing->text);
	free(refreshing);
}

void backend_refreshed(struct backend *backend, const struct node_effect *effect)
{
	struct refreshing *refreshing =
		map_remove(&backend->refreshing, bytes_of(&effect->token, sizeof(effect->token)));

	if (!refreshing)
		return;
	if (effect->complete)
		note_fresh(backend, refreshing);
	refreshing_end(refreshing, effect->complete);
}

static void backend_members(void *self, api_member_fn *each, void *arg)
{
	struct backend *backend = self;

	map_for_each (entry, &backend->machines) {
		struct machine *machine = entry->value;
		struct api_member member = {
			.facts = &machine->facts,
			.id = machine->facts.id,
			.alive = machine_lives(backend->fabric->node, &machine->facts.id),
			.joined = {machine->facts.created_ms},
			.version = machine->version > backend->members_version
					   ? machine->version
					   : backend->members_version,
		};

		if (member.alive)
			machine->seen = backend_now(self);
		member.seen = machine->seen;
		each(arg, &member);
	}
}

static struct api_object object_of(const struct record_item *item)
{
	const struct record *record = &item->record;

	return (struct api_object){
		.kind = record->object.kind,
		.namespace = record->object.namespace,
		.name = record->object.name,
		.uid = record->object.uid,
		.version = record->version.hlc,
		.generation = record->version.generation,
		.json = bytes_buf(&record->value),
	};
}

static void backend_objects(void *self, const char *kind, const char *namespace,
			    api_object_fn *each, void *arg)
{
	const struct records *records = node_records(node_of(self));
	bool adjoin = kind && namespace;
	const struct record_item *item;
	size_t position = 0;

	while ((item = adjoin ? records_next_in(records, kind, namespace, &position)
			      : records_next(records, RECORD_OBJECT, kind, NULL, &position))) {
		struct api_object object = object_of(item);

		if (!namespace || strcmp(namespace, object.namespace) == 0)
			each(arg, &object);
	}
}

static void backend_namespaces(void *self, api_name_fn *each, void *arg)
{
	const struct records *records = node_records(node_of(self));
	const char *name = NULL;

	while ((name = records_next_namespace(records, name)))
		each(arg, name);
}

/* Almost everything has an owner: what has none is remembered, or each creation would go through
 * all that there is. */
static void note_owner(struct backend *backend, const struct record *record, bool gone)
{
	struct bytes uid = bytes_of(record->object.uid.byte, UID_LEN);
	bool may = strcmp(record->object.kind, "ReplicaSet") == 0 ||
		   strcmp(record->object.kind, "Pod") == 0;

	if (!may)
		return;
	if (gone || kube_says_controlled(bytes_buf(&record->value)))
		free(map_remove(&backend->unowned, uid));
	else
		free(map_put(&backend->unowned, uid, mem_copy(&record->key, sizeof(record->key))));
}

static void backend_unowned(void *self, const char *kind, const char *namespace,
			    api_object_fn *each, void *arg)
{
	struct backend *backend = self;
	const struct records *records = node_records(node_of(self));

	map_for_each (entry, &backend->unowned) {
		const struct record_item *item = records_get(records, entry->value);
		struct api_object object;

		if (!item)
			continue;
		object = object_of(item);
		if (strcmp(object.kind, kind) == 0 && strcmp(object.namespace, namespace) == 0)
			each(arg, &object);
	}
}

static bool backend_object(void *self, const char *kind, const char *namespace, const char *name,
			   api_object_fn *each, void *arg)
{
	const struct record_item *item =
		records_find(node_records(node_of(self)), namespace, kind, name);
	struct api_object object;

	if (!item)
		return false;
	object = object_of(item);
	each(arg, &object);
	return true;
}

static bool backend_object_by_uid(void *self, const struct uid *uid, api_object_fn *each, void *arg)
{
	struct record_key key = {.kind = RECORD_OBJECT, .uid = *uid};
	const struct record_item *item = records_get(node_records(node_of(self)), &key);
	struct api_object object;

	if (!item)
		return false;
	object = object_of(item);
	each(arg, &object);
	return true;
}

static void backend_family(void *self, const struct uid *uid, api_object_fn *each, void *arg)
{
	const struct records *records = node_records(node_of(self));
	const struct record_item *item;
	size_t position = 0;

	while ((item = records_next(records, RECORD_OBJECT, NULL, uid, &position))) {
		struct api_object object = object_of(item);

		each(arg, &object);
	}
}

static void pod_key(const char *namespace, const char *name, struct buf *out)
{
	buf_append_format(out, "%s/%s", namespace, name);
}

static bool backend_pod_workload(void *self, const char *namespace, const char *name,
				 struct uid *ret_workload)
{
	struct backend *backend = self;
	const struct pod_names *names;
	struct buf key = {0};

	pod_key(namespace, name, &key);
	names = map_get(&backend->pods, bytes_buf(&key));
	buf_deinit(&key);
	if (names)
		*ret_workload = names->workload;
	return names != NULL;
}

/* Presences say the names of pods; several of one name (a bare Pod that was placed again) count. */
static void pod_named(struct backend *backend, const struct record *record, bool gone)
{
	struct bytes uid = bytes_of(record->key.sub.byte, UID_LEN);
	struct pod_name *known = map_get(&backend->pod_names, uid);
	struct presence presence;
	struct pod_names *names;

	if (known && gone) {
		names = map_get(&backend->pods, bytes_buf(&known->key));
		if (names && --names->count == 0)
			free(map_remove(&backend->pods, bytes_buf(&known->key)));
		(void)map_remove(&backend->pod_names, uid);
		buf_deinit(&known->key);
		free(known);
	}
	if (known || gone || presence_decode(bytes_buf(&record->value), &presence) != 0)
		return;
	known = mem_new(struct pod_name);
	pod_key(presence.object.namespace, presence.pod_name, &known->key);
	presence_deinit(&presence);
	(void)map_put(&backend->pod_names, uid, known);
	names = map_get(&backend->pods, bytes_buf(&known->key));
	if (!names) {
		names = mem_new(struct pod_names);
		(void)map_put(&backend->pods, bytes_buf(&known->key), names);
	}
	names->workload = record->key.uid;
	names->count++;
}

static void backend_presences(void *self, const struct uid *workload, api_presence_fn *each,
			      void *arg)
{
	const struct records *records = node_records(node_of(self));
	const struct record_item *item;
	size_t position = 0;

	while ((item = records_next(records, RECORD_PRESENCE, NULL, workload, &position))) {
		struct presence presence;

		if (presence_decode(bytes_buf(&item->record.value), &presence) != 0)
			continue;
		if (presence.phase != POD_GONE)
			each(arg, &presence, item->record.version.hlc);
		presence_deinit(&presence);
	}
}

static bool backend_buried(void *self, const struct uid *workload, api_object_fn *each, void *arg)
{
	const struct record_item *item = records_buried(node_records(node_of(self)), workload);
	struct api_object object;

	if (!item)
		return false;
	object = object_of(item);
	each(arg, &object);
	return true;
}

struct event_reader {
	api_event_fn *each;
	void *arg;
};

static void show_event(void *arg, const struct happening *what, const struct uid *id)
{
	const struct event_reader *reader = arg;
	struct api_event event = {
		.namespace = what->namespace,
		.kind = what->kind,
		.name = what->name,
		.uid = what->about,
		.type = what->warning ? "Warning" : "Normal",
		.reason = what->reason,
		.message = what->message,
		.source_component = "machineplane",
		.source_host = what->host,
		.first = {what->first_ms},
		.last = {what->last_ms},
		.count = what->count,
		.id = *id,
	};

	reader->each(reader->arg, &event);
}

static void backend_events(void *self, const char *namespace, api_event_fn *each, void *arg)
{
	struct event_reader reader = {each, arg};

	node_journal_each(node_of(self), clock_mono(), namespace, show_event, &reader);
}

/* What this machine has sent to others, by type of message. */
static void traffic_counters(struct fabric *fabric, api_counter_fn *each, void *arg)
{
	for (enum message_type i = MESSAGE_NONE + 1; i < MESSAGE_TYPE_COUNT; i++) {
		struct node_traffic traffic = node_traffic(fabric->node, i);
		const char *type = message_type_name(i);
		struct buf name = {0};

		buf_append_format(&name, "magik_sent_%s_total", type);
		each(arg, buf_cstr(&name), "messages of this type sent", "counter",
		     traffic.messages);
		buf_clear(&name);
		buf_append_format(&name, "magik_sent_%s_bytes_total", type);
		each(arg, buf_cstr(&name), "bytes of messages of this type sent", "counter",
		     traffic.bytes);
		buf_deinit(&name);
	}
}

static void quic_counters(struct fabric *fabric, api_counter_fn *each, void *arg)
{
	const struct quic_stats *stats = quic_endpoint_stats(quic_socket_endpoint(fabric->socket));
	const struct peers_counts *counts = peers_counts(fabric->peers);
	const struct {
		const char *name, *help, *type;
		uint64_t value;
	} rows[] = {
		{"magik_quic_bytes_in_total", "bytes received", "counter", stats->bytes_in},
		{"magik_quic_bytes_out_total", "bytes sent", "counter", stats->bytes_out},
		{"magik_quic_connections", "connections now", "gauge", stats->conns},
		{"magik_quic_datagrams_in_total", "datagrams received", "counter",
		 stats->datagrams_in},
		{"magik_quic_datagrams_out_total", "datagrams sent", "counter",
		 stats->datagrams_out},
		{"magik_quic_dials_total", "connections begun here", "counter", counts->dialled},
		{"magik_quic_dials_failed_total", "connections that did not open", "counter",
		 counts->failed},
		{"magik_quic_half_open", "handshakes under way that others began", "gauge",
		 stats->half_open},
		{"magik_quic_over_limit_total", "connections over a limit", "counter",
		 stats->over_limit},
		{"magik_quic_packets_lost_total", "packets that could not be sent", "counter",
		 counts->lost},
		{"magik_quic_retries_total", "addresses that had to be proved", "counter",
		 stats->retries_sent},
		{"magik_quic_handshakes_accepted_total", "handshakes", "counter",
		 stats->handshakes_accepted},
		{"magik_quic_handshakes_dialled_total", "handshakes", "counter",
		 stats->handshakes_dialled},
		{"magik_quic_handshakes_refused_total", "certificates we refused", "counter",
		 stats->refused_by_us},
		{"magik_quic_handshakes_refused_by_peer_total", "our certificate was refused",
		 "counter", stats->refused_by_peer},
		{"magik_quic_guarded_total", "hostile packets turned away", "counter",
		 stats->guard_hello + stats->guard_early + stats->guard_glitch},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		each(arg, rows[i].name, rows[i].help, rows[i].type, rows[i].value);
}

static void backend_counters(void *self, api_counter_fn *each, void *arg)
{
	struct fabric *fabric = ((struct backend *)self)->fabric;
	const struct records *records = node_records(fabric->node);

	for (enum node_counter i = 0; i < NODE_COUNTER_COUNT; i++) {
		struct buf name = {0};

		buf_append_format(&name, "magik_%s_total", node_counter_name(i));
		each(arg, buf_cstr(&name), "messages and decisions of this machine", "counter",
		     node_counter(fabric->node, i));
		buf_deinit(&name);
	}
	each(arg, "magik_members", "machines alive, this one included", "gauge",
	     overlay_alive_count(node_overlay(fabric->node)));
	each(arg, "magik_objects", "objects known here", "gauge",
	     records_count(records, RECORD_OBJECT));
	each(arg, "magik_pods", "pods known here", "gauge",
	     records_count(records, RECORD_PRESENCE));
	traffic_counters(fabric, each, arg);
	quic_counters(fabric, each, arg);
}

/* Machines that take writes, for a client that asked one that does not. */
static void steward_names(struct backend *backend, struct buf *out)
{
	map_for_each (entry, &backend->machines) {
		const struct machine *machine = entry->value;

		if (machine->facts.steward &&
		    machine_lives(backend->fabric->node, &machine->facts.id))
			buf_append_format(out, "%s%s", out->len ? ", " : "", machine->facts.name);
	}
}

static void result_text(struct backend *backend, int outcome, const struct object_ref *object,
			struct err *err)
{
	struct buf names = {0};

	switch (outcome) {
	case NODE_E_EXISTS:
		(void)err_set_status(err, -EEXIST, 409, "%s \"%s\" already exists", object->kind,
				     object->name);
		return;
	case NODE_E_CONFLICT:
		(void)err_set_status(err, -ESTALE, 409,
				     "the object has been modified; please apply your changes to "
				     "the latest version and try again");
		return;
	case NODE_E_NOT_FOUND:
		(void)err_set_status(err, -ENOENT, 404, "%s \"%s\" not found", object->kind,
				     object->name);
		return;
	case NODE_E_ROLE:
		steward_names(backend, &names);
		(void)err_set_status(err, -EACCES, 403,
				     "this machine is no steward of namespace \"%s\" and takes no "
				     "writes; stewards: %s",
				     object->namespace, buf_cstr(&names));
		buf_deinit(&names);
		return;
	default:
		(void)err_set_status(err, -ENOSPC, 507, "no room for another record");
	}
}

/* The outcome of starting a write: wait for the keepers, or answer now. */
static void settle(struct backend *backend, int outcome, const struct object_ref *object,
		   const struct pending *pending)
{
	struct api_result result = {0};
	struct pending *kept;

	if (outcome == 0) {
		kept = mem_new(struct pending);
		*kept = *pending;
		(void)map_put(&backend->pending, bytes_of(&kept->token, sizeof(kept->token)), kept);
	} else {
		result_text(backend, outcome, object, &result.err);
		pending->done(pending->arg, &result);
	}
}

void backend_put_done(struct backend *backend, const struct node_effect *effect)
{
	struct pending *pending =
		map_remove(&backend->pending, bytes_of(&effect->token, sizeof(effect->token)));
	/* A quorum is what was asked for; the rest follows by itself. */
	struct api_result result = {
		.stored = effect->quorum ? effect->keepers : effect->stored,
		.wanted = effect->keepers,
	};

	if (!pending)
		return;
	result.version = pending->version;
	if (effect->conflict)
		result_text(backend, NODE_E_CONFLICT, NULL, &result.err);
	else if (effect->stored == 0)
		(void)err_set_status(&result.err, -EIO, 503,
				     "no machine could store the object; try again");
	pending->done(pending->arg, &result);
	free(pending);
}

/* The strings are borrowed from the caller's const ones and only read. */
static struct object_ref ref_of(const struct uid *uid, const char *namespace, const char *kind,
				const char *name)
{
	return (struct object_ref){
		.uid = *uid,
		.namespace = (char *)(uintptr_t) namespace,
		.kind = (char *)(uintptr_t)kind,
		.name = (char *)(uintptr_t)name,
	};
}

static void audit(const char *verb, const struct object_ref *object, const char *author)
{
	log_event(LOG_LEVEL_INFO, "audit", "%s %s %s %s/%s", author, verb, object->kind,
		  object->namespace, object->name);
}

static void backend_put(void *self, const struct api_put *put, api_done_fn *done, void *arg)
{
	struct backend *backend = self;
	struct object_ref object = ref_of(&put->uid, put->namespace, put->kind, put->name);
	struct node_put node_put_ = {
		.object = &object,
		.generation = put->generation,
		.json = put->json,
		.expected_hlc = put->create ? 0 : put->expected_version,
	};
	struct pending pending = {.done = done, .arg = arg};
	int outcome;

	audit("puts", &object, put->author);
	outcome = node_put(backend->fabric->node, clock_mono(), &node_put_, &pending.token,
			   &pending.version);
	settle(backend, outcome, &object, &pending);
}

static uint32_t grace_of(int64_t grace_s)
{
	return grace_s < 0 || grace_s > UINT32_MAX ? NODE_GRACE_OF_MANIFEST : (uint32_t)grace_s;
}

static void backend_dispose(void *self, const struct api_dispose *dispose, api_done_fn *done,
			    void *arg)
{
	struct backend *backend = self;
	struct object_ref object =
		ref_of(&dispose->uid, dispose->namespace, dispose->kind, dispose->name);
	struct pending pending = {.done = done, .arg = arg};
	struct uid none = {0};
	int outcome;

	audit("deletes", &object, dispose->author);
	outcome = node_dispose(backend->fabric->node, clock_mono(), &object, &none,
			       grace_of(dispose->grace_s), &pending.token);
	pending.version = backend_version(self);
	settle(backend, outcome, &object, &pending);
}

static const struct record_item *find_pod(const struct records *records, const struct uid *pod)
{
	const struct record_item *item;
	size_t position = 0;

	while ((item = records_next(records, RECORD_PRESENCE, NULL, NULL, &position)))
		if (uid_equal(&item->record.key.sub, pod))
			return item;
	return NULL;
}

static void backend_pod_stop(void *self, const struct uid *pod, int64_t grace_s, const char *author,
			     api_done_fn *done, void *arg)
{
	struct backend *backend = self;
	const struct record_item *item = find_pod(node_records(node_of(self)), pod);
	struct pending pending = {.done = done, .arg = arg};
	struct object_ref object = {.kind = (char[]){"Pod"}, .name = (char[]){""}};
	int outcome;

	if (!item) {
		settle(backend, NODE_E_NOT_FOUND, &object, &pending);
		return;
	}
	object_ref_copy(&item->record.object, &object);
	audit("stops a pod of", &object, author);
	outcome = node_dispose(backend->fabric->node, clock_mono(), &object, pod, grace_of(grace_s),
			       &pending.token);
	pending.version = backend_version(self);
	settle(backend, outcome, &object, &pending);
	object_ref_deinit(&object);
}

static void backend_pod_evict(void *self, const struct uid *pod, const char *author,
			      api_done_fn *done, void *arg)
{
	struct backend *backend = self;
	const struct record_item *item = find_pod(node_records(node_of(self)), pod);
	struct api_result result = {0};

	if (item)
		audit("evicts a pod of", &item->record.object, author);
	if (node_evict(backend->fabric->node, clock_mono(), pod) != 0)
		(void)err_set_status(&result.err, -ENOENT, 404, "the pod is gone");
	done(arg, &result);
}

static struct api_stream *backend_stream_open(void *self, const struct api_stream_request *request,
					      const struct api_stream_sink *sink, void *arg)
{
	return streams_open(((struct backend *)self)->fabric->streams, request, sink, arg);
}

static bool backend_stream_write(void *self, struct api_stream *stream, struct bytes bytes)
{
	return streams_write(stream, bytes);
}

static void backend_stream_finish(void *self, struct api_stream *stream)
{
	streams_finish(stream);
}

static void backend_stream_resume(void *self, struct api_stream *stream)
{
	streams_resume(stream);
}

static void backend_stream_close(void *self, struct api_stream *stream)
{
	streams_close(stream);
}

static bool backend_document(void *self, enum api_document which, const char *id, struct buf *json)
{
	return document_write(((struct backend *)self)->fabric, which, id, json);
}

static bool backend_ready(void *self, struct err *err)
{
	return true;
}

static int backend_verify_user(void *self, const struct bytes *chain, size_t count,
			       struct api_user *ret_user, struct err *err)
{
	struct fabric *fabric = ((struct backend *)self)->fabric;
	struct trust_query query = fabric_query(fabric, TRUST_REST_USER);
	struct chain shown = {0};
	struct cert leaf;
	int outcome;

	for (size_t i = 0; i < count && i < CHAIN_CERTS_MAX; i++)
		shown.cert[shown.count++] = chain[i];
	outcome = trust_verify(&fabric->trust, &query, &shown, &leaf, err);
	if (outcome) {
		log_event_limited(&fabric->refusals, chain[0], LOG_LEVEL_WARN, "user-refused", "%s",
				  err->text);
		return outcome;
	}
	*ret_user = (struct api_user){.group_count = leaf.group_count};
	memcpy(ret_user->name, leaf.name, sizeof(leaf.name));
	for (size_t i = 0; i < leaf.group_count; i++)
		memcpy(ret_user->groups[i], leaf.groups[i], sizeof(leaf.groups[i]));
	return 0;
}

static bool backend_audit_ready(void *self, struct err *err)
{
	return audit_log_ready(((struct backend *)self)->fabric->audit, err);
}

static void backend_audit(void *self, struct bytes line)
{
	audit_log_write(((struct backend *)self)->fabric->audit, line);
}

static const struct api_backend_ops ops = {
	.now = backend_now,
	.random = backend_random,
	.version = backend_version,
	.refresh = backend_refresh,
	.members = backend_members,
	.objects = backend_objects,
	.namespaces = backend_namespaces,
	.unowned = backend_unowned,
	.family = backend_family,
	.object = backend_object,
	.object_by_uid = backend_object_by_uid,
	.pod_workload = backend_pod_workload,
	.presences = backend_presences,
	.buried = backend_buried,
	.events = backend_events,
	.counters = backend_counters,
	.put = backend_put,
	.dispose = backend_dispose,
	.pod_evict = backend_pod_evict,
	.pod_stop = backend_pod_stop,
	.stream_open = backend_stream_open,
	.stream_write = backend_stream_write,
	.stream_finish = backend_stream_finish,
	.stream_resume = backend_stream_resume,
	.stream_close = backend_stream_close,
	.document = backend_document,
	.ready = backend_ready,
	.verify_user = backend_verify_user,
	.audit_ready = backend_audit_ready,
	.audit = backend_audit,
};

struct backend *backend_new(struct fabric *fabric)
{
	struct backend *backend = mem_new(struct backend);

	backend->fabric = fabric;
	backend->api = (struct api_backend){.ops = &ops, .self = backend};
	map_init(&backend->refreshing, 1);
	map_init(&backend->fresh, 1);
	map_init(&backend->unowned, 1);
	map_init(&backend->pods, 1);
	map_init(&backend->pod_names, 1);
	map_init(&backend->pending, 1);
	map_init(&backend->machines, 1);
	return backend;
}

void backend_free(struct backend *backend)
{
	if (!backend)
		return;
	map_for_each (entry, &backend->pending)
		free(entry->value);
	map_for_each (pod, &backend->pods)
		free(pod->value);
	map_for_each (fresh, &backend->fresh)
		free(fresh->value);
	map_for_each (waiting, &backend->refreshing) {
		struct refreshing *refreshing = waiting->value;

		buf_deinit(&refreshing->text);
		free(refreshing);
	}
	map_for_each (one, &backend->unowned)
		free(one->value);
	map_deinit(&backend->unowned);
	map_deinit(&backend->fresh);
	map_deinit(&backend->refreshing);
	map_for_each (named, &backend->pod_names) {
		struct pod_name *name = named->value;

		buf_deinit(&name->key);
		free(name);
	}
	map_deinit(&backend->pods);
	map_deinit(&backend->pod_names);
	map_for_each (known, &backend->machines) {
		struct machine *machine = known->value;

		node_facts_deinit(&machine->facts);
		free(machine);
	}
	map_deinit(&backend->pending);
	map_deinit(&backend->machines);
	free(backend);
}

const struct api_backend *backend_api(struct backend *backend)
{
	return &backend->api;
}

/* Every write that is still open fails: the gateway waits for each before it closes. */
void backend_fail_pending(struct backend *backend)
{
	struct api_result result = {0};

	(void)err_set_status(&result.err, -ESHUTDOWN, 503, "this machine is shutting down");
	map_for_each (entry, &backend->pending) {
		struct pending *pending =
			map_remove(&backend->pending, bytes_of(entry->key, entry->key_len));

		pending->done(pending->arg, &result);
		free(pending);
	}
	map_for_each (waiting, &backend->refreshing)
		refreshing_end(
			map_remove(&backend->refreshing, bytes_of(waiting->key, waiting->key_len)),
			false);
}

static void machine_learn(struct backend *backend, const struct record *record)
{
	struct node_facts facts;
	struct machine *machine;
	struct bytes key;

	if (node_facts_decode(bytes_buf(&record->value), &facts) != 0)
		return;
	/* The record's key is its writer; the value may say what it likes. */
	memcpy(facts.id.byte, record->key.uid.byte, UID_LEN);
	memcpy(facts.id.byte + UID_LEN, record->key.sub.byte, UID_LEN);
	key = bytes_of(facts.id.byte, ID_LEN);
	machine = map_get(&backend->machines, key);
	if (!machine) {
		machine = mem_new(struct machine);
		(void)map_put(&backend->machines, key, machine);
	}
	node_facts_deinit(&machine->facts);
	machine->facts = facts;
	machine->version = record->version.hlc;
	machine->seen = backend_now(backend);
}

void backend_events_changed(struct backend *backend)
{
	if (backend->fabric->api)
		api_events_changed(backend->fabric->api);
}

void backend_changed(struct backend *backend, const struct node_effect *effect)
{
	const struct record *record = effect->record;
	struct api *api = backend->fabric->api;

	switch (record->key.kind) {
	case RECORD_NODE:
		if (effect->change == RECORDS_ADDED || effect->change == RECORDS_MODIFIED)
			machine_learn(backend, record);
		if (api)
			api_members_changed(api);
		return;
	case RECORD_TOMBSTONE:
		if (api)
			api_workload_changed(api, &record->key.uid);
		return;
	case RECORD_PRESENCE:
		pod_named(backend, record,
			  effect->change == RECORDS_REMOVED || effect->change == RECORDS_DROPPED ||
				  record->gone);
		if (api)
			api_workload_changed(api, &record->object.uid);
		return;
	case RECORD_OBJECT:
		note_owner(backend, record,
			   effect->change == RECORDS_REMOVED || effect->change == RECORDS_DROPPED);
		if (api)
			api_workload_changed(api, &record->object.uid);
		return;
	case RECORD_NONE:
		return;
	}
}

void backend_members_changed(struct backend *backend)
{
	backend->members_version = backend_version(backend);
	if (backend->fabric->api)
		api_members_changed(backend->fabric->api);
}
