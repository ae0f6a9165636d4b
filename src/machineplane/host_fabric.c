/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fabric process as its keeper sees it: started again whenever it ends, told everything, and
 * believed nothing that the signatures do not bear out.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/log.h"
#include "machineplane/host_core.h"
#include "runtime/child.h"

enum {
	FABRIC_FD = 3,
	DELAY_FIRST_MS = 200,
	DELAY_MAX_MS = 10000,
	/* A process that has run for so long did not fail at start. */
	DELAY_RESET_MS = 30000,
	/* Pod uids remembered as stopped; some 100 bytes each. */
	STOPPED_MAX = 65536,
};

static char *borrow(const char *text)
{
	return (char *)(uintptr_t)text;
}

static ProtobufCBinaryData binary(struct bytes bytes)
{
	return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)bytes.ptr, .len = bytes.len};
}

static void send_message(struct host *host, enum ipc_type type, const ProtobufCMessage *body)
{
	int r = host->link ? ipc_link_send(host->link, type, body, -1) : 0;

	if (r < 0)
		log_event(LOG_LEVEL_ERROR, "ipc-send", "%s: %s", ipc_type_name(type), strerror(-r));
}

static uint64_t less(uint64_t all, uint64_t reserved)
{
	return all > reserved ? all - reserved : 0;
}

static void send_hello(struct host *host)
{
	const struct host_facts *facts = &host->facts;
	const struct host_config *config = host->config;
	char version[HOST_TEXT_MAX];
	Magik__Ipc__Capacity capacity, allocatable;
	Magik__Ipc__NodeFacts node;
	Magik__Ipc__Engine engine, *engines[] = {&engine};
	Magik__Ipc__Hello hello;

	magik__ipc__capacity__init(&capacity);
	magik__ipc__node_facts__init(&node);
	magik__ipc__engine__init(&engine);
	magik__ipc__hello__init(&hello);
	capacity.cpu_milli = facts->cpu_milli;
	capacity.memory_bytes = facts->memory_bytes;
	capacity.storage_bytes = facts->storage_bytes;
	capacity.pods = config->pods_max ? config->pods_max : HOST_PODS_MAX;
	/* init() has set the descriptor; the rest is the same but for the reservation. */
	allocatable = capacity;
	allocatable.cpu_milli = less(facts->cpu_milli, config->reserved_cpu_milli);
	allocatable.memory_bytes = less(facts->memory_bytes, config->reserved_memory_bytes);
	engine.name = borrow(host->engine->ops->name);
	engine.available = host->engine_works;
	engine.reason = host->engine_reason;
	(void)snprintf(version, sizeof(version), "%s://%s", host->engine->ops->name,
		       host->engine->ops->version(host->engine));
	node.kernel_version = borrow(facts->kernel);
	node.os_image = borrow(facts->os_image);
	node.operating_system = borrow("linux");
	node.architecture = borrow(facts->architecture);
	node.hostname = borrow(facts->hostname);
	node.runtime_version = version;
	node.machine_id = borrow(facts->machine_id);
	hello.config = binary(config->fabric_config);
	hello.capacity = &capacity;
	hello.allocatable = &allocatable;
	hello.n_engines = ARRAY_LEN(engines);
	hello.engines = engines;
	hello.facts = &node;
	hello.boot_id = borrow(facts->boot_id);
	hello.priority_max = host->policy.priority_max;
	hello.rebooted = host->rebooted;
	send_message(host, IPC_HELLO, &hello.base);
}

/* A status as a message. It borrows from the presence, and from @parts for its own pieces. */
struct status_parts {
	Magik__Ipc__PodStatus status;
	struct id_text pod_uid, workload_uid;
	Magik__Ipc__ContainerStatus containers[MESSAGE_CONTAINERS_MAX];
	Magik__Ipc__ContainerStatus *list[MESSAGE_CONTAINERS_MAX];
	Magik__Ipc__ContainerRun now[MESSAGE_CONTAINERS_MAX], last[MESSAGE_CONTAINERS_MAX];
	char *ips[1];
};

static void fill_container(const struct container_status *from, size_t i,
			   struct status_parts *parts)
{
	Magik__Ipc__ContainerStatus *to = &parts->containers[i];
	Magik__Ipc__ContainerRun *now = &parts->now[i], *last = &parts->last[i];

	magik__ipc__container_status__init(to);
	magik__ipc__container_run__init(now);
	magik__ipc__container_run__init(last);
	to->name = from->name;
	to->init = from->init;
	to->restarts = from->restarts;
	to->image = from->image;
	to->image_id = from->image_id;
	to->ready = from->ready;
	to->starting = from->starting;
	to->now = now;
	now->state = (Magik__Ipc__ContainerState)from->state;
	now->reason = from->reason;
	now->message = from->message;
	now->exit_code = from->exit_code;
	now->started_at_ms = from->started_ms;
	now->finished_at_ms = from->finished_ms;
	now->container_id = from->container_id;
	if (from->last_finished_ms > 0) {
		to->last = last;
		last->state = MAGIK__IPC__CONTAINER_STATE__CONTAINER_TERMINATED;
		last->reason = from->last_reason;
		last->exit_code = from->last_exit_code;
		last->started_at_ms = from->last_started_ms;
		last->finished_at_ms = from->last_finished_ms;
	}
	parts->list[i] = to;
}

static void fill_status(const struct presence *from, struct status_parts *parts)
{
	Magik__Ipc__PodStatus *to = &parts->status;

	magik__ipc__pod_status__init(to);
	parts->pod_uid = uid_text(&from->pod_uid);
	parts->workload_uid = uid_text(&from->object.uid);
	parts->ips[0] = from->pod_ip;
	to->pod_uid = parts->pod_uid.text;
	to->pod_name = from->pod_name;
	to->phase = (Magik__Ipc__PodPhase)from->phase;
	to->reason = from->reason;
	to->message = from->message;
	to->pod_ip = from->pod_ip;
	to->n_pod_ips = from->pod_ip[0] ? 1 : 0;
	to->pod_ips = parts->ips;
	to->started_at_ms = from->started_ms;
	to->namespace_ = from->object.namespace;
	to->workload_uid = parts->workload_uid.text;
	to->kind = from->object.kind;
	to->name = from->object.name;
	to->generation = (int64_t)from->generation;
	to->slot = from->slot;
	to->epoch = from->epoch;
	to->node = from->node_name;
	to->stopping = from->terminating;
	to->n_containers = from->container_count;
	to->containers = parts->list;
	for (size_t i = 0; i < from->container_count; i++)
		fill_container(&from->containers[i], i, parts);
}

void host_fabric_status(struct host *host, const struct presence *presence)
{
	struct status_parts *parts;

	if (!host->link)
		return;
	if (presence->phase == POD_GONE && !host->fabric_ready)
		buf_append(&host->gone_early, presence->pod_uid.byte, UID_LEN);
	parts = mem_new(struct status_parts);
	fill_status(presence, parts);
	send_message(host, IPC_POD_STATUS, &parts->status.base);
	free(parts);
}

struct pod_list {
	Magik__Ipc__PodList message;
	struct status_parts **parts;
	size_t count, cap;
};

static void add_to_list(void *ctx, const struct presence *presence, struct bytes manifest,
			bool kept)
{
	struct pod_list *list = ctx;
	struct status_parts *parts = mem_new(struct status_parts);

	/* The strings are the pods' own: they stay until the loop turns. */
	fill_status(presence, parts);
	parts->status.manifest = binary(manifest);
	parts->status.warrant = binary(bytes_buf(&presence->warrant));
	parts->status.kept = kept;
	if (list->count == list->cap) {
		list->cap = list->cap ? list->cap * 2 : 16;
		list->parts = mem_resize(list->parts, list->cap, sizeof(*list->parts));
	}
	list->parts[list->count++] = parts;
}

static void send_pods(struct host *host)
{
	struct pod_list list = {0};
	Magik__Ipc__PodStatus **statuses;

	pods_each(host->pods, add_to_list, &list);
	statuses = mem_alloc(list.count + 1, sizeof(*statuses));
	for (size_t i = 0; i < list.count; i++)
		statuses[i] = &list.parts[i]->status;
	magik__ipc__pod_list__init(&list.message);
	list.message.n_pods = list.count;
	list.message.pods = statuses;
	send_message(host, IPC_POD_LIST, &list.message.base);
	for (size_t i = 0; i < list.count; i++)
		free(list.parts[i]);
	free(list.parts);
	free(statuses);
}

struct claim_list {
	Magik__Ipc__Claim **claims;
	size_t count, cap;
};

static void add_claim(void *ctx, const struct uid *uid, const char *namespace, const char *name)
{
	struct claim_list *list = ctx;
	Magik__Ipc__Claim *claim = mem_new(Magik__Ipc__Claim);

	magik__ipc__claim__init(claim);
	claim->uid = mem_strdup(uid_text(uid).text);
	claim->namespace_ = borrow(namespace);
	claim->name = borrow(name);
	if (list->count == list->cap) {
		list->cap = list->cap ? list->cap * 2 : 16;
		list->claims = mem_resize(list->claims, list->cap, sizeof(*list->claims));
	}
	list->claims[list->count++] = claim;
}

static void add_group(void *ctx, const struct uid *set)
{
	add_claim(ctx, set, "", "");
}

void host_fabric_claims(struct host *host)
{
	struct claim_list list = {0};
	Magik__Ipc__ClaimList message;

	if (!host->link)
		return;
	pods_each_claim(host->pods, add_claim, &list);
	pods_each_group(host->pods, add_group, &list);
	magik__ipc__claim_list__init(&message);
	message.n_claims = list.count;
	message.claims = list.claims;
	send_message(host, IPC_CLAIM_LIST, &message.base);
	for (size_t i = 0; i < list.count; i++) {
		free(list.claims[i]->uid);
		free(list.claims[i]);
	}
	free(list.claims);
}

struct image_list {
	char **names;
	size_t count, cap;
};

static void add_image(void *ctx, const struct image_entry *entry)
{
	struct image_list *list = ctx;

	if (list->count == list->cap) {
		list->cap = list->cap ? list->cap * 2 : 64;
		list->names = mem_resize(list->names, list->cap, sizeof(*list->names));
	}
	list->names[list->count++] = mem_strdup(entry->name);
}

void host_fabric_images(struct host *host)
{
	struct image_list list = {0};
	Magik__Ipc__ImageList message;

	if (!host->link)
		return;
	image_store_list(host->images, add_image, &list);
	magik__ipc__image_list__init(&message);
	message.n_names = list.count;
	message.names = list.names;
	send_message(host, IPC_IMAGE_LIST, &message.base);
	for (size_t i = 0; i < list.count; i++)
		free(list.names[i]);
	free(list.names);
}

void host_fabric_drain(struct host *host)
{
	Magik__Ipc__Drain drain;

	magik__ipc__drain__init(&drain);
	send_message(host, IPC_DRAIN, &drain.base);
}

/* A start was refused, or there is nothing to stop: nothing of that pod is here. */
static void send_gone(struct host *host, const char *pod_uid, const char *reason,
		      const char *message)
{
	Magik__Ipc__PodStatus status;

	magik__ipc__pod_status__init(&status);
	status.pod_uid = borrow(pod_uid);
	status.phase = MAGIK__IPC__POD_PHASE__POD_GONE;
	status.reason = borrow(reason);
	status.message = borrow(message);
	status.node = borrow(host->config->node_name);
	send_message(host, IPC_POD_STATUS, &status.base);
}

/* What the award is compared with: whose the manifest says it is. */
static int verify(struct host *host, const Magik__Ipc__PodStart *start, struct uid *ret_uid,
		  struct err *err)
{
	struct bytes chains[HOST_CHAINS_MAX];
	struct host_award award = {
		.award = bytes_of(start->award.data, start->award.len),
		.tender = bytes_of(start->tender.data, start->tender.len),
		.chains = chains,
		.manifest = bytes_of(start->manifest.data, start->manifest.len),
		.node = host->node,
		.slot = start->slot,
		.epoch = start->epoch,
	};
	const json_t *metadata;
	json_error_t where;
	const char *uid;
	json_t *root;
	int r;

	if (!host->node_known || !host->config->hooks.verify_award)
		return err_set(err, -EACCES, "this machine does not know its own id yet");
	if (!uid_parse(start->pod_uid, &award.pod_uid))
		return err_set(err, -EINVAL, "malformed pod uid");
	for (size_t i = 0; i < start->n_chains && award.chain_count < HOST_CHAINS_MAX; i++)
		chains[award.chain_count++] = bytes_of(start->chains[i].data, start->chains[i].len);
	root = json_loadb((const char *)award.manifest.ptr, award.manifest.len, 0, &where);
	metadata = json_object_get(root, "metadata");
	award.namespace = json_string_value(json_object_get(metadata, "namespace"));
	uid = json_string_value(json_object_get(metadata, "uid"));
	if (!award.namespace || !uid || !uid_parse(uid, &award.workload_uid))
		r = err_set(err, -EINVAL, "malformed manifest");
	else
		r = host->config->hooks.verify_award(host->config->hooks.ctx, &award, err);
	json_decref(root);
	*ret_uid = award.pod_uid;
	return r;
}

static void on_pod_start(struct host *host, const Magik__Ipc__PodStart *start)
{
	struct err err = {0};
	struct pod_start pod = {
		.name = start->pod_name,
		.slot = start->slot,
		.epoch = start->epoch,
		.manifest = bytes_of(start->manifest.data, start->manifest.len),
		.warrant = bytes_of(start->warrant.data, start->warrant.len),
	};
	const char *reason = "AwardRefused";
	int r = verify(host, start, &pod.uid, &err);

	/* Whoever holds an old award cannot bring back what was told to go. */
	if (r == 0 && map_get(&host->stopped, bytes_of(pod.uid.byte, UID_LEN)))
		r = err_set(&err, -EACCES, "that pod has been stopped here");
	if (r == 0 && !host->engine_works)
		r = err_set(&err, -EOPNOTSUPP, "engine %s does not work here: %.180s",
			    host->engine->ops->name, host->engine_reason);
	if (r == 0) {
		reason = "PodRefused";
		r = pods_start(host->pods, &pod, &err);
	}
	if (r == 0)
		return;
	log_event(LOG_LEVEL_WARN, "pod-refused", "pod %s: %s", start->pod_uid, err.text);
	/* A pod that is here goes on; saying "gone" would be a lie. */
	if (r != -EEXIST)
		send_gone(host, start->pod_uid, reason, err.text);
}

/*
 * The fabric process's own word is enough to stop a pod, unlike to start one. Most stops follow
 * from what cannot be shown: an award that nobody has confirmed, an object that no keeper knows any
 * more, a place that is needed for what is more important, an ordinal given to another machine. And
 * who has broken that process can cut the pod off from everybody, and say that it is gone; it is
 * then placed elsewhere, just as after a stop. What a pod has left on disk is removed on its
 * steward's signature only (host_objects.c).
 */
static void on_pod_stop(struct host *host, const Magik__Ipc__PodStop *stop)
{
	struct uid uid;

	if (!uid_parse(stop->pod_uid, &uid))
		return;
	if (host->stopped.count < STOPPED_MAX)
		(void)map_put(&host->stopped, bytes_of(uid.byte, UID_LEN), host);
	log_event(LOG_LEVEL_INFO, "pod-stop", "pod %s: %s", stop->pod_uid, stop->reason);
	if (pods_stop(host->pods, &uid, stop->grace_s, stop->for_good) == -ENOENT)
		send_gone(host, stop->pod_uid, "", "");
}

static void on_pod_resume(struct host *host, const Magik__Ipc__PodResume *resume)
{
	struct uid uid;

	if (!uid_parse(resume->pod_uid, &uid))
		return;
	log_event(LOG_LEVEL_INFO, "pod-resume", "pod %s: %s", resume->pod_uid, resume->reason);
	if (pods_resume(host->pods, &uid) == -ENOENT)
		send_gone(host, resume->pod_uid, "", "");
}

static void on_issue(struct host *host, const Magik__Ipc__IssueRequest *request)
{
	const struct host_hooks *hooks = &host->config->hooks;
	Magik__Ipc__IssueReply reply;
	struct buf content = {0};
	struct err err = {0};
	int r = hooks->issue
			? hooks->issue(hooks->ctx,
				       bytes_of(request->content.data, request->content.len),
				       &content, &err)
			: err_set_status(&err, -EOPNOTSUPP, 403, "this machine issues nothing");

	magik__ipc__issue_reply__init(&reply);
	reply.request_id = request->request_id;
	reply.status = r == 0 ? 200 : err.status ? err.status : 500;
	if (r != 0)
		reply.error = err.text;
	else
		reply.content = binary(bytes_buf(&content));
	send_message(host, IPC_ISSUE_REPLY, &reply.base);
	buf_deinit(&content);
}

static void tell_again(void *ctx, const struct presence *presence, struct bytes manifest, bool kept)
{
	(void)manifest;
	(void)kept;
	host_fabric_status(ctx, presence);
}

/* Until it is ready, the fabric process keeps the list of pods and nothing else: what has changed
 * since then is told again. */
static void tell_what_changed(struct host *host)
{
	struct uid uid;

	host->fabric_ready = true;
	for (size_t at = 0; at + UID_LEN <= host->gone_early.len; at += UID_LEN) {
		memcpy(uid.byte, host->gone_early.ptr + at, UID_LEN);
		send_gone(host, uid_text(&uid).text, "Lost", "gone while this machine started");
	}
	buf_clear(&host->gone_early);
	pods_each(host->pods, tell_again, host);
}

static void on_ready(struct host *host, const Magik__Ipc__Ready *ready)
{
	const struct host_hooks *hooks = &host->config->hooks;
	struct node_id node;
	struct err err = {0};

	if (ready->node_id.len != ID_LEN)
		return;
	tell_what_changed(host);
	memcpy(node.byte, ready->node_id.data, ID_LEN);
	if (hooks->know_node && hooks->know_node(hooks->ctx, &node, &err) < 0) {
		log_event(LOG_LEVEL_ERROR, "node-refused", "%s: %s", node_id_text(&node).text,
			  err.text);
		return;
	}
	host->node = node;
	host->node_known = true;
	pods_set_peer(host->pods, &host->node);
	pods_set_host_ip(host->pods, ready->host_ip);
	host_svids_link(host);
}

void host_fabric_message(struct host *host, const struct ipc_message *message)
{
	const void *body = message->body;

	switch (message->type) {
	case IPC_READY:
		on_ready(host, body);
		break;
	case IPC_ISSUE_REQUEST:
		on_issue(host, body);
		break;
	case IPC_POD_START:
		on_pod_start(host, body);
		break;
	case IPC_POD_STOP:
		on_pod_stop(host, body);
		break;
	case IPC_OBJECT:
		host_object(host, body);
		break;
	case IPC_REVOCATION:
		host_revocation(host, body);
		break;
	case IPC_POD_RESUME:
		on_pod_resume(host, body);
		break;
	case IPC_LOGS_OPEN:
		host_logs_open(host, body);
		break;
	case IPC_EXEC_OPEN:
		host_exec_open(host, body);
		break;
	case IPC_PORT_OPEN:
		host_port_open(host, body);
		break;
	case IPC_USAGE_OPEN:
		host_usage_open(host, body);
		break;
	case IPC_INGRESS_OPEN:
		host_ingress_open(host, body);
		break;
	case IPC_NAME_FOUND:
		host_name_found(host, body);
		break;
	case IPC_LEAF_FOUND:
		host_leaf_found(host, body);
		break;
	case IPC_LEAF_ASK:
	case IPC_AGENT_REVOCATIONS:
	case IPC_SIBLING_SILENT:
	case IPC_SIBLING_MISSED:
	case IPC_LEAF_LOOK:
	case IPC_POD_IDENTITY:
	case IPC_HELLO:
	case IPC_ISSUE_REPLY:
	case IPC_POD_STATUS:
	case IPC_POD_LIST:
	case IPC_STREAM_REPLY:
	case IPC_IMAGE_LIST:
	case IPC_CLAIM_LIST:
	case IPC_DRAIN:
	case IPC_CHECK_RUN:
	case IPC_CHECK_DONE:
	case IPC_NAME_ASK:
	case IPC_NAME_TOLD:
	case IPC_POD_READY:
	case IPC_GROUP_STATE:
	case IPC_NAME_LOOK:
	default:
		break; /* the channel lets only the fabric's messages through */
	}
}

static void on_message(void *owner, struct ipc_message *message)
{
	host_fabric_message(owner, message);
}

static void close_link(struct host *host)
{
	ipc_link_close(host->link);
	host->link = NULL;
	host_logs_close_all(host);
	host_exec_close_all(host);
	host_usage_close_all(host);
	host->links++;
}

static void on_closed(void *owner, int why)
{
	struct host *host = owner;

	if (why == IPC_E_PROTOCOL)
		log_event(LOG_LEVEL_ERROR, "ipc-protocol",
			  "the fabric process broke the rules of its channel");
	close_link(host);
	/* Without its channel it is of no use. */
	if (host->fabric_pid > 0 && why != IPC_E_CLOSED)
		(void)kill(host->fabric_pid, SIGKILL);
}

static void on_timer(void *user)
{
	host_fabric_start(user);
}

static void start_again(struct host *host)
{
	int64_t lived_ms = mono_since_us(clock_mono(), host->fabric_started) / US_PER_MS;

	if (host->ending)
		return;
	if (lived_ms >= DELAY_RESET_MS || host->fabric_delay_ms == 0)
		host->fabric_delay_ms = DELAY_FIRST_MS;
	log_event(LOG_LEVEL_WARN, "fabric-ended",
		  "the fabric process has ended; pods are untouched; next start in %lld ms",
		  (long long)host->fabric_delay_ms);
	if (!host->fabric_timer)
		host->fabric_timer = loop_timer_new(host->loop, on_timer, host);
	loop_timer_set(host->fabric_timer, mono_add_ms(clock_mono(), host->fabric_delay_ms));
	host->fabric_delay_ms *= 2;
	if (host->fabric_delay_ms > DELAY_MAX_MS)
		host->fabric_delay_ms = DELAY_MAX_MS;
}

static void on_fabric_ended(void *user)
{
	struct host *host = user;

	process_watch_free(host->fabric_watch);
	host->fabric_watch = NULL;
	host->fabric_pid = 0;
	if (host->link)
		close_link(host);
	start_again(host);
}

static int spawn(struct host *host, struct err *err)
{
	const char *argv[] = {"/proc/self/exe", "--fabric-process", "3", NULL};
	struct ipc_handler handler = {on_message, on_closed, host};
	struct child_fd fd = {.theirs = FABRIC_FD};
	/* Without a session of its own it could type into the terminal that root started us from.
	 */
	struct child_options options = {.argv = argv,
					.env = (const char *const *)environ,
					.fds = &fd,
					.fd_count = 1,
					.own_session = true};
	int host_fd, fabric_fd;
	int r = ipc_pair(&host_fd, &fabric_fd);

	if (r < 0)
		return err_set(err, r, "socketpair: %s", strerror(-r));
	fd.ours = fabric_fd;
	r = child_spawn(&options, &host->fabric_pid, err);
	(void)close(fabric_fd);
	if (r < 0) {
		(void)close(host_fd);
		return r;
	}
	r = process_watch_new(host->loop, host->fabric_pid, on_fabric_ended, host,
			      &host->fabric_watch);
	if (r == 0)
		r = ipc_link_new(loop_uv(host->loop), host_fd, IPC_HOST, IPC_FABRIC, handler,
				 &host->link);
	if (r < 0) {
		(void)kill(host->fabric_pid, SIGKILL);
		return err_set(err, r, "watch the fabric process: %s", strerror(-r));
	}
	return 0;
}

void host_fabric_start(struct host *host)
{
	struct err err = {0};

	host->fabric_started = clock_mono();
	host->fabric_pid = 0;
	host->fabric_ready = false;
	buf_clear(&host->gone_early);
	if (spawn(host, &err) < 0) {
		log_event(LOG_LEVEL_ERROR, "fabric-start", "%s", err.text);
		if (!host->fabric_watch)
			start_again(host);
		return;
	}
	send_hello(host);
	send_pods(host);
	host_fabric_claims(host);
	host_fabric_images(host);
	if (host->draining)
		host_fabric_drain(host);
}

void host_fabric_end(struct host *host)
{
	loop_timer_free(host->fabric_timer);
	host->fabric_timer = NULL;
	if (host->link)
		close_link(host);
}
