/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host link: the fabric process's end of the channel to the host process.
 *
 * The host tells what this machine has and how its pods do; it is asked to start and stop pods, to
 * open logs and to sign for new admitters. When the channel ends, so does this process: the host
 * starts another.
 */
#include "machineplane/fabric.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/version.h"
#include "identity/envelope.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "kube/node_offer.h"

struct host_state {
	struct fabric *fabric;
	struct ipc_link *link;
	Magik__Ipc__Hello *hello;
	Magik__Ipc__PodList *pods; /* waits for the node */
	Magik__Ipc__ImageList *images;
	Magik__Ipc__ClaimList *claims;
	struct map revocations_told; /* by id; the value is not looked at */
	bool draining;
};

static char *text_or_empty(const char *text)
{
	return mem_strdup(text ? text : "");
}

static void container_read(const Magik__Ipc__ContainerStatus *from, struct container_status *to)
{
	const Magik__Ipc__ContainerRun *now = from->now, *last = from->last;

	to->name = text_or_empty(from->name);
	to->image = text_or_empty(from->image);
	to->image_id = text_or_empty(from->image_id);
	to->init = from->init;
	to->restarts = from->restarts;
	to->container_id = text_or_empty(now ? now->container_id : NULL);
	to->reason = text_or_empty(now ? now->reason : NULL);
	to->message = text_or_empty(now ? now->message : NULL);
	to->last_reason = text_or_empty(last ? last->reason : NULL);
	if (now) {
		to->state = (enum container_state)now->state;
		to->exit_code = now->exit_code;
		to->started_ms = now->started_at_ms;
		to->finished_ms = now->finished_at_ms;
	}
	if (last) {
		to->last_exit_code = last->exit_code;
		to->last_started_ms = last->started_at_ms;
		to->last_finished_ms = last->finished_at_ms;
	}
	to->starting = from->starting;
	to->ready = from->ready ||
		    (to->init && to->state == CONTAINER_TERMINATED && to->exit_code == 0);
}

/* Every container that is meant to run runs. */
static bool pod_is_ready(const struct presence *presence)
{
	if (presence->phase != POD_RUNNING)
		return false;
	for (size_t i = 0; i < presence->container_count; i++)
		if (!presence->containers[i].init && !presence->containers[i].ready)
			return false;
	return true;
}

/* False when the host named no valid pod: a bug there, not to be followed. */
static bool status_read(const Magik__Ipc__PodStatus *from, struct presence *to)
{
	*to = (struct presence){0};
	if (!from->pod_uid || !uid_parse(from->pod_uid, &to->pod_uid))
		return false;
	(void)(from->workload_uid && uid_parse(from->workload_uid, &to->object.uid));
	to->object.namespace = text_or_empty(from->namespace_);
	to->object.kind = text_or_empty(from->kind);
	to->object.name = text_or_empty(from->name);
	to->pod_name = text_or_empty(from->pod_name);
	to->generation = (uint64_t)from->generation;
	to->slot = from->slot;
	to->epoch = from->epoch;
	to->node_name = text_or_empty(from->node);
	to->phase = (enum pod_phase)from->phase;
	to->reason = text_or_empty(from->reason);
	to->message = text_or_empty(from->message);
	to->pod_ip = text_or_empty(from->pod_ip);
	to->host_ip = mem_strdup("");
	buf_append(&to->warrant, from->warrant.data, from->warrant.len);
	to->started_ms = from->started_at_ms;
	to->terminating = from->stopping;
	to->container_count = from->n_containers < MESSAGE_CONTAINERS_MAX
				      ? from->n_containers
				      : (size_t)MESSAGE_CONTAINERS_MAX;
	to->containers = mem_alloc(to->container_count, sizeof(*to->containers));
	for (size_t i = 0; i < to->container_count; i++)
		container_read(from->containers[i], &to->containers[i]);
	to->ready = pod_is_ready(to);
	return true;
}

/* Times of the host are this machine's system clock; everyone else reads fabric time. */
static void to_fabric_time(struct fabric *fabric, struct presence *presence)
{
	int64_t offset = node_fabric_time(fabric->node, clock_mono()).ms - clock_wall().ms;

	if (presence->started_ms)
		presence->started_ms += offset;
	for (size_t i = 0; i < presence->container_count; i++) {
		struct container_status *container = &presence->containers[i];
		int64_t *const times[] = {&container->started_ms, &container->finished_ms,
					  &container->last_started_ms,
					  &container->last_finished_ms};

		for (size_t k = 0; k < ARRAY_LEN(times); k++)
			if (*times[k])
				*times[k] += offset;
	}
}

static void set_host_ip(struct fabric *fabric, struct presence *presence)
{
	free(presence->host_ip);
	presence->host_ip = mem_strdup(addr_ip_text(&fabric->address).text);
}

static void pod_status(struct host_state *host, const Magik__Ipc__PodStatus *status)
{
	struct fabric *fabric = host->fabric;
	struct presence presence;

	if (!fabric->node || !status_read(status, &presence))
		return;
	to_fabric_time(fabric, &presence);
	set_host_ip(fabric, &presence);
	node_pod_status(fabric->node, clock_mono(), &presence);
	if (presence.phase == POD_GONE)
		pod_objects_release(fabric->pod_objects, &presence.pod_uid);
	presence_deinit(&presence);
}

static void take_up(struct fabric *fabric, const Magik__Ipc__PodStatus *status,
		    const struct presence *presence)
{
	struct bytes manifest = bytes_of(status->manifest.data, status->manifest.len);
	struct buf object = {0};
	struct node_note note = store_read_note(fabric->store, &presence->pod_uid, &object);

	if (status->kept)
		node_pod_kept(fabric->node, clock_mono(), presence, manifest, &note);
	else
		node_pod_recovered(fabric->node, clock_mono(), presence, manifest);
	buf_deinit(&object);
}

static void pods_recover(struct host_state *host)
{
	struct fabric *fabric = host->fabric;

	for (size_t i = 0; host->pods && i < host->pods->n_pods; i++) {
		const Magik__Ipc__PodStatus *status = host->pods->pods[i];
		struct presence presence;

		if (!status_read(status, &presence))
			continue;
		to_fabric_time(fabric, &presence);
		presence.created_ms = presence.started_ms
					      ? presence.started_ms
					      : node_fabric_time(fabric->node, clock_mono()).ms;
		set_host_ip(fabric, &presence);
		take_up(fabric, status, &presence);
		pod_objects_need(fabric->pod_objects, &presence.pod_uid,
				 bytes_of(status->manifest.data, status->manifest.len));
		presence_deinit(&presence);
	}
	if (host->pods && host->pods->n_pods)
		log_event(LOG_LEVEL_INFO, "pods-recovered", "%zu pods were found",
			  host->pods->n_pods);
	if (!host->pods)
		return;
	node_pods_known(fabric->node);
	magik__ipc__pod_list__free_unpacked(host->pods, NULL);
	host->pods = NULL;
}

static void images_tell(struct host_state *host)
{
	if (host->images && host->fabric->node)
		node_set_images(host->fabric->node, (const char *const *)host->images->names,
				host->images->n_names);
}

static void claims_tell(struct host_state *host)
{
	struct fabric *fabric = host->fabric;

	if (!host->claims || !fabric->node)
		return;
	pod_objects_claims_begin(fabric->pod_objects);
	for (size_t i = 0; i < host->claims->n_claims; i++) {
		const Magik__Ipc__Claim *claim = host->claims->claims[i];
		struct uid uid;

		if (uid_parse(claim->uid, &uid))
			pod_objects_claim(fabric->pod_objects, &uid);
	}
}

static char *api_url(const struct fabric *fabric)
{
	struct addr addr = fabric->address;
	struct buf url = {0};

	addr.port = fabric->settings.options.rest_port;
	buf_append_format(&url, "https://%s", addr_text(&addr).text);
	return buf_steal(&url);
}

static struct label label_of(const char *key, const char *value)
{
	return (struct label){.key = mem_strdup(key), .value = mem_strdup(value)};
}

/* The operator's labels, and those that Kubernetes puts on every node. */
static void set_labels(const struct fabric *fabric, const Magik__Ipc__NodeFacts *from,
		       struct node_facts *facts)
{
	const struct options *options = &fabric->settings.options;
	const char *const standard[][2] = {
		{"kubernetes.io/hostname", options->node_name},
		{"kubernetes.io/os", "linux"},
		{"kubernetes.io/arch", from->architecture},
	};
	const struct {
		bool has;
		const char *key;
	} roles[] = {
		{facts->steward, "node-role.kubernetes.io/steward"},
		{facts->admit, "node-role.kubernetes.io/admit"},
		{facts->worker, "node-role.kubernetes.io/worker"},
	};
	size_t count = 0;

	facts->labels = mem_alloc(MESSAGE_LABELS_MAX, sizeof(*facts->labels));
	for (size_t i = 0; i < ARRAY_LEN(standard); i++)
		facts->labels[count++] = label_of(standard[i][0], standard[i][1]);
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (roles[i].has)
			facts->labels[count++] = label_of(roles[i].key, "");
	for (size_t i = 0; i < options->label_count && count < MESSAGE_LABELS_MAX; i++)
		facts->labels[count++] = label_of(options->labels[i].key, options->labels[i].value);
	facts->label_count = count;
}

/* Taints and extended resources, as the operator gave them. */
static void set_offers(const struct options *options, struct node_facts *facts)
{
	facts->taints = mem_alloc(options->taint_count, sizeof(*facts->taints));
	facts->taint_count = options->taint_count;
	for (size_t i = 0; i < options->taint_count; i++)
		facts->taints[i] = (struct taint){
			.key = mem_strdup(options->taints[i].key),
			.value = mem_strdup(options->taints[i].value),
			.effect = options->taints[i].effect,
		};
	facts->resources = mem_alloc(options->resource_count, sizeof(*facts->resources));
	facts->resource_count = options->resource_count;
	for (size_t i = 0; i < options->resource_count; i++)
		facts->resources[i] = (struct resource){
			.name = mem_strdup(options->resources[i].name),
			.count = options->resources[i].count,
		};
}

/* What is promised of the CPU that is there. */
static int64_t overcommitted(const struct options *options, uint64_t cpu_milli)
{
	return (int64_t)(cpu_milli * options->overcommit / 1000);
}

static void facts_fill(const struct host_state *host, struct node_facts *facts)
{
	const struct fabric *fabric = host->fabric;
	const Magik__Ipc__Hello *hello = host->hello;
	const Magik__Ipc__NodeFacts *from = hello->facts;
	const struct grant *grant = &fabric->credentials.machine.grant;

	*facts = (struct node_facts){
		.id = *node_self(fabric->node),
		.name = mem_strdup(fabric->settings.options.node_name),
		.addr = fabric->address,
		.api_url = api_url(fabric),
		.cpu_milli = (int64_t)hello->capacity->cpu_milli,
		.memory_bytes = (int64_t)hello->capacity->memory_bytes,
		.cpu_milli_free_max =
			overcommitted(&fabric->settings.options, hello->allocatable->cpu_milli),
		.memory_bytes_free_max = (int64_t)hello->allocatable->memory_bytes,
		.pods_max = hello->allocatable->pods,
		.worker = grant_has(grant, ROLE_WORKER),
		.steward = grant_has(grant, ROLE_STEWARD),
		.admit = credentials_is_admitter(&fabric->credentials),
		.architecture = text_or_empty(from->architecture),
		.os_image = text_or_empty(from->os_image),
		.kernel = text_or_empty(from->kernel_version),
		.runtime = text_or_empty(from->runtime_version),
		.version = mem_strdup(MAGIK_VERSION),
		.boot_id = text_or_empty(hello->boot_id),
		.machine_id = text_or_empty(from->machine_id),
		.created_ms = fabric->credentials.machine.not_before.ms + CERT_BACKDATE_MS,
	};
	facts->schedulable =
		facts->worker && !fabric->settings.options.no_schedule && !host->draining;
	set_labels(fabric, from, facts);
	set_offers(&fabric->settings.options, facts);
}

/* What this machine says of itself, and what people have set for it. */
static void offer_from(const struct host_state *host, const struct node_facts *facts,
		       struct node_offer *ret_offer)
{
	const struct record_item *item = records_find(node_records(host->fabric->node), "", "Node",
						      host->fabric->settings.options.node_name);

	node_offer_init(facts, item ? bytes_buf(&item->record.value) : (struct bytes){0},
			ret_offer);
}

/* What this machine is and offers, told to the node at start and when it changes. */
static void machine_tell(struct host_state *host)
{
	struct node_facts facts;
	struct market_machine machine;
	struct node_offer offer;
	const char **engines = mem_alloc(host->hello->n_engines, sizeof(*engines));
	size_t engine_count = 0;

	for (size_t i = 0; i < host->hello->n_engines; i++)
		if (host->hello->engines[i]->available)
			engines[engine_count++] = host->hello->engines[i]->name;
	facts_fill(host, &facts);
	offer_from(host, &facts, &offer);
	machine = (struct market_machine){
		.cpu_milli = facts.cpu_milli_free_max,
		.memory_bytes = facts.memory_bytes_free_max,
		.pods_max = facts.pods_max,
		.schedulable = facts.schedulable && !offer.unschedulable && engine_count > 0,
		.labels = offer.labels,
		.label_count = offer.label_count,
		.engines = engines,
		.engine_count = engine_count,
		.architecture = facts.architecture,
		.reliability = 1000,
		.taints = offer.taints,
		.taint_count = offer.taint_count,
		.resources = facts.resources,
		.resource_count = facts.resource_count,
		.priority_limited = true,
		.priority_max = host->hello->priority_max,
	};
	node_set_machine(host->fabric->node, clock_mono(), &facts, &machine);
	node_offer_deinit(&offer);
	node_facts_deinit(&facts);
	free(engines);
}

void host_settings_changed(struct host_state *host)
{
	if (host && host->hello && host->fabric->node)
		machine_tell(host);
}

void host_member(struct host_state *host)
{
	const struct node_id *self = node_self(host->fabric->node);
	struct addr_text ip = addr_ip_text(&host->fabric->address);
	Magik__Ipc__Ready ready;

	magik__ipc__ready__init(&ready);
	ready.host_ip = ip.text;
	ready.node_id.data = (uint8_t *)mem_copy(self->byte, ID_LEN);
	ready.node_id.len = ID_LEN;
	(void)ipc_link_send(host->link, IPC_READY, &ready.base, -1);
	free(ready.node_id.data);
	host_tell_revocations(host);
	machine_tell(host);
	images_tell(host);
	claims_tell(host);
	pods_recover(host);
}

static void hello_come(struct host_state *host, struct ipc_message *message)
{
	struct fabric *fabric = host->fabric;

	if (host->hello)
		return;
	host->hello = (Magik__Ipc__Hello *)message->body;
	message->body = NULL;
	if (settings_decode(bytes_of(host->hello->config.data, host->hello->config.len),
			    &fabric->settings) != 0 ||
	    !host->hello->facts || !host->hello->capacity || !host->hello->allocatable) {
		log_event(LOG_LEVEL_ERROR, "hello", "the host process's greeting is incomplete");
		fabric_end(fabric, 1);
		return;
	}
	fabric_begin(fabric);
}

static void pods_come(struct host_state *host, struct ipc_message *message)
{
	if (host->pods)
		return;
	host->pods = (Magik__Ipc__PodList *)message->body;
	message->body = NULL;
	if (host->fabric->node)
		pods_recover(host);
}

static void images_come(struct host_state *host, struct ipc_message *message)
{
	if (host->images)
		magik__ipc__image_list__free_unpacked(host->images, NULL);
	host->images = (Magik__Ipc__ImageList *)message->body;
	message->body = NULL;
	images_tell(host);
}

static void claims_come(struct host_state *host, struct ipc_message *message)
{
	if (host->claims)
		magik__ipc__claim_list__free_unpacked(host->claims, NULL);
	host->claims = (Magik__Ipc__ClaimList *)message->body;
	message->body = NULL;
	claims_tell(host);
}

static void drain_comes(struct host_state *host)
{
	host->draining = true;
	if (!host->fabric->node)
		return;
	machine_tell(host);
	node_leave_pods(host->fabric->node, clock_mono());
}

/* An agent asks for a certificate, or misses a sibling. */
static void agent_comes(struct fabric *fabric, const struct ipc_message *message)
{
	if (message->type == IPC_LEAF_LOOK)
		pod_leaves_look(fabric->pod_leaves, (const Magik__Ipc__LeafLook *)message->body);
	else
		pod_sibling_missed(fabric, (const Magik__Ipc__SiblingMissed *)message->body);
}

static void on_message(void *owner, struct ipc_message *message)
{
	struct host_state *host = owner;
	struct fabric *fabric = host->fabric;
	const Magik__Ipc__IssueReply *issued;
	const Magik__Ipc__StreamReply *opened;

	if (fabric->ending)
		return; /* what it would be told to is being taken down */
	switch (message->type) {
	case IPC_HELLO:
		hello_come(host, message);
		break;
	case IPC_POD_STATUS:
		pod_status(host, (const Magik__Ipc__PodStatus *)message->body);
		break;
	case IPC_POD_LIST:
		pods_come(host, message);
		break;
	case IPC_IMAGE_LIST:
		images_come(host, message);
		break;
	case IPC_CLAIM_LIST:
		claims_come(host, message);
		break;
	case IPC_ISSUE_REPLY:
		issued = (const Magik__Ipc__IssueReply *)message->body;
		admit_issued(fabric, issued->request_id, (int)issued->status, issued->error,
			     bytes_of(issued->content.data, issued->content.len));
		break;
	case IPC_STREAM_REPLY:
		opened = (const Magik__Ipc__StreamReply *)message->body;
		streams_opened(fabric->streams, opened->request_id, (int)opened->status,
			       opened->error, message->fd);
		message->fd = -1;
		break;
	case IPC_DRAIN:
		drain_comes(host);
		break;
	case IPC_NAME_LOOK:
		names_look(fabric->names, (const Magik__Ipc__NameLook *)message->body);
		break;
	case IPC_LEAF_LOOK:
	case IPC_SIBLING_MISSED:
		agent_comes(fabric, message);
		break;
	case IPC_CHECK_RUN:
	case IPC_CHECK_DONE:
	case IPC_LEAF_ASK:
	case IPC_AGENT_REVOCATIONS:
	case IPC_SIBLING_SILENT:
	case IPC_LEAF_FOUND:
	case IPC_POD_IDENTITY:
	case IPC_NAME_ASK:
	case IPC_NAME_TOLD:
	case IPC_POD_READY:
	case IPC_GROUP_STATE:
	case IPC_NAME_FOUND:
	case IPC_READY:
	case IPC_ISSUE_REQUEST:
	case IPC_POD_START:
	case IPC_OBJECT:
	case IPC_REVOCATION:
	case IPC_POD_STOP:
	case IPC_POD_RESUME:
	case IPC_LOGS_OPEN:
	case IPC_EXEC_OPEN:
	case IPC_PORT_OPEN:
	case IPC_USAGE_OPEN:
	case IPC_INGRESS_OPEN:
		break;
	}
}

/* The host process ends, or drops us: either way there is nothing to do here without it. */
static void on_closed(void *owner, int why)
{
	struct host_state *host = owner;

	ipc_link_close(host->link);
	host->link = NULL;
	fabric_end(host->fabric, why == IPC_E_CLOSED ? 0 : 1);
}

struct host_state *host_state_new(struct fabric *fabric, int fd, struct err *err)
{
	struct host_state *host = mem_new(struct host_state);
	struct ipc_handler handler = {
		.on_message = on_message, .on_closed = on_closed, .owner = host};
	int result;

	host->fabric = fabric;
	map_init(&host->revocations_told, entropy_u64());
	result =
		ipc_link_new(loop_uv(fabric->loop), fd, IPC_FABRIC, IPC_HOST, handler, &host->link);
	if (result == 0)
		return host;
	(void)err_set(err, result, "host process: %s", strerror(-result));
	map_deinit(&host->revocations_told);
	free(host);
	return NULL;
}

void host_state_free(struct host_state *host)
{
	if (!host)
		return;
	ipc_link_close(host->link);
	if (host->hello)
		magik__ipc__hello__free_unpacked(host->hello, NULL);
	if (host->pods)
		magik__ipc__pod_list__free_unpacked(host->pods, NULL);
	if (host->images)
		magik__ipc__image_list__free_unpacked(host->images, NULL);
	if (host->claims)
		magik__ipc__claim_list__free_unpacked(host->claims, NULL);
	map_deinit(&host->revocations_told);
	free(host);
}

/* The chain with which the host can check an envelope: its issuer's, leaf first. */
static ProtobufCBinaryData issuer_chain(struct fabric *fabric, struct bytes bytes)
{
	struct node_trust trust = fabric_node_trust(fabric);
	struct envelope envelope;
	struct buf chain = {0};
	struct leaf leaf;
	ProtobufCBinaryData data = {0};

	if (envelope_parse(bytes, &envelope) == 0 &&
	    trust.ops->leaf_get(trust.self, &envelope.issuer, &leaf))
		for (size_t i = 0; i < leaf.cert_count; i++) {
			buf_append_bytes(&chain, bytes_buf(&leaf.certs[i]));
			buf_deinit(&leaf.certs[i]);
		}
	data.len = chain.len;
	data.data = (uint8_t *)buf_steal(&chain);
	return data;
}

/* protobuf-c has no const: these structs are only read while they are packed. */
static ProtobufCBinaryData binary(struct bytes bytes)
{
	return (ProtobufCBinaryData){.len = bytes.len, .data = (uint8_t *)(uintptr_t)bytes.ptr};
}

void host_start(struct host_state *host, const struct award *award, struct bytes envelope)
{
	ProtobufCBinaryData chain = issuer_chain(host->fabric, envelope);

	for (size_t i = 0; i < award->assignment_count; i++) {
		const struct assignment *assignment = &award->assignments[i];
		struct id_text uid = uid_text(&assignment->pod_uid);
		Magik__Ipc__PodStart start;
		int result = -ENOTCONN;

		magik__ipc__pod_start__init(&start);
		start.award = binary(envelope);
		start.tender = binary(bytes_buf(&award->tender_envelope));
		start.n_chains = 1;
		start.chains = &chain;
		start.manifest = binary(bytes_buf(&award->manifest));
		start.pod_uid = uid.text;
		start.pod_name = assignment->pod_name;
		start.slot = assignment->slot;
		start.epoch = assignment->epoch;
		start.warrant = binary(bytes_buf(&assignment->warrant));
		/* Whoever is shown the warrant, however late, asks us for who signed it. */
		store_keep_issuer(host->fabric->store, bytes_buf(&assignment->warrant));
		if (host->link)
			result = ipc_link_send(host->link, IPC_POD_START, &start.base, -1);
		if (result)
			node_pod_refused(host->fabric->node, clock_mono(), &assignment->pod_uid,
					 "the host process cannot be reached");
		else
			pod_objects_need(host->fabric->pod_objects, &assignment->pod_uid,
					 bytes_buf(&award->manifest));
	}
	free(chain.data);
}

void host_tell_object(struct host_state *host, struct bytes envelope)
{
	ProtobufCBinaryData chain = issuer_chain(host->fabric, envelope);
	Magik__Ipc__Object object;

	magik__ipc__object__init(&object);
	object.envelope = binary(envelope);
	object.n_chains = 1;
	object.chains = &chain;
	if (host->link)
		(void)ipc_link_send(host->link, IPC_OBJECT, &object.base, -1);
	free(chain.data);
}

bool host_has_rebooted(const struct host_state *host)
{
	return host->hello && host->hello->rebooted;
}

const char *host_runtime(const struct host_state *host)
{
	const char *runtime = host->hello ? host->hello->facts->runtime_version : NULL;

	return runtime ? runtime : "";
}

void host_stop(struct host_state *host, const struct uid *pod_uid, uint32_t grace_s,
	       const char *reason, bool for_good)
{
	struct id_text uid = uid_text(pod_uid);
	char *text = mem_strdup(reason);
	Magik__Ipc__PodStop stop;

	magik__ipc__pod_stop__init(&stop);
	stop.pod_uid = uid.text;
	stop.grace_s = grace_s == NODE_GRACE_OF_MANIFEST ? -1 : (int64_t)grace_s;
	stop.reason = text;
	stop.for_good = for_good;
	if (host->link)
		(void)ipc_link_send(host->link, IPC_POD_STOP, &stop.base, -1);
	free(text);
}

void host_resume(struct host_state *host, const struct uid *pod_uid, const char *reason)
{
	struct id_text uid = uid_text(pod_uid);
	char *text = mem_strdup(reason);
	Magik__Ipc__PodResume resume;

	magik__ipc__pod_resume__init(&resume);
	resume.pod_uid = uid.text;
	resume.reason = text;
	if (host->link)
		(void)ipc_link_send(host->link, IPC_POD_RESUME, &resume.base, -1);
	free(text);
}

void host_ask_issue(struct host_state *host, uint64_t request, struct bytes content)
{
	Magik__Ipc__IssueRequest ask;

	magik__ipc__issue_request__init(&ask);
	ask.request_id = request;
	ask.content = binary(content);
	if (host->link)
		(void)ipc_link_send(host->link, IPC_ISSUE_REQUEST, &ask.base, -1);
}

/* protobuf-c has no const: the strings are only read while they are packed. */
static char *text(const char *string)
{
	return (char *)(uintptr_t)(string ? string : "");
}

static int ask_log(struct host_state *host, uint64_t number,
		   const struct api_stream_request *request, Magik__Ipc__StreamAsker *asker)
{
	const struct api_log_options *options = &request->log;
	struct id_text uid = uid_text(&request->pod);
	int64_t offset = clock_wall().ms - node_fabric_time(host->fabric->node, clock_mono()).ms;
	Magik__Ipc__LogsOpen ask;

	magik__ipc__logs_open__init(&ask);
	ask.request_id = number;
	ask.pod_uid = uid.text;
	ask.container = text(request->container);
	ask.follow = options->follow;
	ask.previous = options->previous;
	ask.timestamps = options->timestamps;
	ask.tail_lines = options->tail_lines;
	ask.limit_bytes = options->limit_bytes < 0 ? 0 : options->limit_bytes;
	ask.since_ms = options->since.ms ? options->since.ms + offset : 0;
	ask.asker = asker;
	return ipc_link_send(host->link, IPC_LOGS_OPEN, &ask.base, -1);
}

static int ask_exec(struct host_state *host, uint64_t number,
		    const struct api_stream_request *request, Magik__Ipc__StreamAsker *asker)
{
	struct id_text uid = uid_text(&request->pod);
	Magik__Ipc__ExecOpen ask;

	magik__ipc__exec_open__init(&ask);
	ask.request_id = number;
	ask.pod_uid = uid.text;
	ask.container = text(request->container);
	if (request->kind == API_STREAM_EXEC) {
		ask.command = (char **)(uintptr_t)request->command;
		ask.n_command = request->command_count;
	}
	ask.in = request->in;
	ask.out = request->out;
	ask.err = request->err;
	ask.tty = request->is_tty;
	ask.asker = asker;
	return ipc_link_send(host->link, IPC_EXEC_OPEN, &ask.base, -1);
}

static int ask_port(struct host_state *host, uint64_t number,
		    const struct api_stream_request *request, Magik__Ipc__StreamAsker *asker)
{
	struct id_text uid = uid_text(&request->pod);
	Magik__Ipc__PortOpen ask;

	magik__ipc__port_open__init(&ask);
	ask.request_id = number;
	ask.pod_uid = uid.text;
	ask.port = request->port;
	ask.asker = asker;
	return ipc_link_send(host->link, IPC_PORT_OPEN, &ask.base, -1);
}

/* As the Service was signed: the host process believes nobody else's word. */
static int ask_ingress(struct host_state *host, uint64_t number,
		       const struct api_stream_request *request)
{
	const struct record_item *item = records_find(
		node_records(host->fabric->node), request->namespace, "Service", request->service);
	struct id_text uid = uid_text(&request->pod);
	Magik__Ipc__IngressOpen ask;
	Magik__Ipc__Object service;
	ProtobufCBinaryData chain;
	int result;

	if (!item)
		return err_origin(-ENOENT);
	magik__ipc__object__init(&service);
	magik__ipc__ingress_open__init(&ask);
	chain = issuer_chain(host->fabric, bytes_buf(&item->envelope));
	service.envelope = binary(bytes_buf(&item->envelope));
	service.n_chains = 1;
	service.chains = &chain;
	ask.request_id = number;
	ask.pod_uid = uid.text;
	ask.node_port = request->port;
	ask.service = &service;
	result = ipc_link_send(host->link, IPC_INGRESS_OPEN, &ask.base, -1);
	free(chain.data);
	return result;
}

static int ask_usage(struct host_state *host, uint64_t number,
		     const struct api_stream_request *request)
{
	Magik__Ipc__UsageOpen ask;

	magik__ipc__usage_open__init(&ask);
	ask.request_id = number;
	ask.namespace_ = text(request->namespace);
	ask.containers = request->namespace != NULL;
	return ipc_link_send(host->link, IPC_USAGE_OPEN, &ask.base, -1);
}

static int ask_signed(struct host_state *host, uint64_t number,
		      const struct api_stream_request *request, Magik__Ipc__StreamAsker *asker)
{
	switch (request->kind) {
	case API_STREAM_LOG:
		return ask_log(host, number, request, asker);
	case API_STREAM_EXEC:
	case API_STREAM_ATTACH:
		return ask_exec(host, number, request, asker);
	case API_STREAM_PORT:
		return ask_port(host, number, request, asker);
	case API_STREAM_INGRESS:
		return ask_ingress(host, number, request);
	case API_STREAM_USAGE:
		return ask_usage(host, number, request);
	case _API_STREAM_KIND_COUNT:
	default:
		return err_origin(-EINVAL);
	}
}

int host_ask_stream(struct host_state *host, uint64_t number,
		    const struct api_stream_request *request, struct bytes envelope)
{
	Magik__Ipc__StreamAsker asker;
	int result;

	if (!host->link)
		return err_origin(-ENOTCONN);
	magik__ipc__stream_asker__init(&asker);
	asker.request = binary(envelope);
	asker.chain = issuer_chain(host->fabric, envelope);
	result = ask_signed(host, number, request, &asker);
	free(asker.chain.data);
	return result;
}

/* The host process knows each one after the first time. */
void host_tell_revocations(struct host_state *host)
{
	const struct revocation_entry *entry = NULL;

	while (host->link &&
	       (entry = revocations_next(node_revocations(host->fabric->node), entry)) != NULL) {
		Magik__Ipc__Revocation message;

		if (map_get(&host->revocations_told, bytes_of(entry->id.byte, ID_LEN)))
			continue;
		magik__ipc__revocation__init(&message);
		message.envelope = binary(bytes_buf(&entry->envelope));
		message.chain = binary(bytes_buf(&entry->chain));
		if (ipc_link_send(host->link, IPC_REVOCATION, &message.base, -1) == 0)
			(void)map_put(&host->revocations_told, bytes_of(entry->id.byte, ID_LEN),
				      host);
	}
}

void host_tell_name(struct host_state *host, const Magik__Ipc__NameFound *found)
{
	if (host && host->link)
		(void)!ipc_link_send(host->link, IPC_NAME_FOUND, &found->base, -1);
}

void host_tell_leaf(struct host_state *host, const Magik__Ipc__LeafFound *found)
{
	if (host && host->link)
		(void)!ipc_link_send(host->link, IPC_LEAF_FOUND, &found->base, -1);
}
