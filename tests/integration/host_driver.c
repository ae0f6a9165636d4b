/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host process without a fabric: for tests of pods and images alone.
 *
 *   host_driver STATE_DIR RUN_DIR [--drain] [--policy FILE]
 *
 * It is the real host process; only what it starts as its fabric process is a translator between
 * the channel and R/driver.sock, one JSON object a line. Awards are not judged here.
 *
 *   in:  {"start":{"uid":..,"name":..,"manifest":{..}}}  {"stop":{"uid":..,"grace":n}}
 *        {"object":{..}}  {"gone":{..}}: a ConfigMap or Secret, or what its tombstone says
 *        {"logs":{"id":n,"uid":..,"container":..,"follow":b,"tail":n,...}}
 *   out: {"hello":{..}}  {"pod":{..}}  {"images":[..]}  {"log":n,"status":n,"data":..,"end":b}
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#include "base/mem.h"
#include "io/log.h"
#include "ipc/channel.h"
#include "machineplane/host.h"
#include "wire/message.h"

enum {
	LOGS_MAX = 16,
};

struct bridge {
	struct ipc_channel *channel;
	int listener, client;
	struct buf in;
	json_t *hello, *pods, *images;
	struct {
		int fd;
		uint64_t id;
	} logs[LOGS_MAX];
};

static void say(struct bridge *bridge, json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT);

	json_decref(line);
	if (bridge->client >= 0 && text) {
		(void)!send(bridge->client, text, strlen(text), MSG_NOSIGNAL);
		(void)!send(bridge->client, "\n", 1, MSG_NOSIGNAL);
	}
	free(text);
}

static json_t *run_json(const Magik__Ipc__ContainerRun *run)
{
	if (!run)
		return json_null();
	return json_pack("{s:i,s:s,s:s,s:i,s:I,s:I,s:s}", "state", (int)run->state, "reason",
			 run->reason, "message", run->message, "exitCode", (int)run->exit_code,
			 "startedMs", (json_int_t)run->started_at_ms, "finishedMs",
			 (json_int_t)run->finished_at_ms, "containerId", run->container_id);
}

static void on_status(struct bridge *bridge, const Magik__Ipc__PodStatus *status)
{
	static const char *const phases[] = {"Pending", "Running", "Succeeded", "Failed", "Gone"};
	json_t *containers = json_object(), *pod;

	for (size_t i = 0; i < status->n_containers; i++) {
		const Magik__Ipc__ContainerStatus *c = status->containers[i];

		(void)json_object_set_new(containers, c->name,
					  json_pack("{s:o,s:o,s:i,s:s,s:b}", "now",
						    run_json(c->now), "last", run_json(c->last),
						    "restarts", (int)c->restarts, "imageId",
						    c->image_id, "init", c->init));
	}
	pod = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:b,s:o}", "uid", status->pod_uid, "name",
			status->pod_name, "phase", phases[status->phase], "reason", status->reason,
			"message", status->message, "ip", status->pod_ip, "workload", status->name,
			"epoch", (json_int_t)status->epoch, "stopping", status->stopping,
			"containers", containers);
	(void)json_object_set(bridge->pods, status->pod_uid, pod);
	say(bridge, json_pack("{s:o}", "pod", pod));
}

static void on_message(struct bridge *bridge, struct ipc_message *message)
{
	const void *body = message->body;

	if (message->type == IPC_HELLO) {
		const Magik__Ipc__Hello *hello = body;

		bridge->hello = json_pack("{s:{s:I,s:I,s:s,s:b,s:s}}", "hello", "cpuMilli",
					  (json_int_t)hello->allocatable->cpu_milli, "memory",
					  (json_int_t)hello->allocatable->memory_bytes, "runtime",
					  hello->facts->runtime_version, "engineWorks",
					  hello->engines[0]->available, "engineReason",
					  hello->engines[0]->reason);
	} else if (message->type == IPC_POD_STATUS) {
		on_status(bridge, body);
	} else if (message->type == IPC_POD_LIST) {
		const Magik__Ipc__PodList *list = body;

		for (size_t i = 0; i < list->n_pods; i++)
			on_status(bridge, list->pods[i]);
	} else if (message->type == IPC_IMAGE_LIST) {
		const Magik__Ipc__ImageList *list = body;

		json_decref(bridge->images);
		bridge->images = json_array();
		for (size_t i = 0; i < list->n_names; i++)
			(void)json_array_append_new(bridge->images, json_string(list->names[i]));
		say(bridge, json_pack("{s:O}", "images", bridge->images));
	} else if (message->type == IPC_STREAM_REPLY) {
		const Magik__Ipc__StreamReply *reply = body;

		if (message->fd < 0)
			say(bridge, json_pack("{s:I,s:i,s:s,s:b}", "log",
					      (json_int_t)reply->request_id, "status",
					      (int)reply->status, "error", reply->error, "end", 1));
		for (size_t i = 0; message->fd >= 0 && i < LOGS_MAX; i++)
			if (bridge->logs[i].fd < 0) {
				bridge->logs[i].fd = message->fd;
				bridge->logs[i].id = reply->request_id;
				message->fd = -1;
			}
	}
}

static char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return (char *)(uintptr_t)(text ? text : "");
}

static int64_t number_of(const json_t *object, const char *key, int64_t initial)
{
	const json_t *value = json_object_get(object, key);

	return value ? json_integer_value(value) : initial;
}

static void start_pod(struct bridge *bridge, const json_t *request)
{
	char *manifest = json_dumps(json_object_get(request, "manifest"), JSON_COMPACT);
	Magik__Ipc__PodStart start;

	magik__ipc__pod_start__init(&start);
	start.pod_uid = text_of(request, "uid");
	start.pod_name = text_of(request, "name");
	start.epoch = 7;
	start.manifest.data = (uint8_t *)manifest;
	start.manifest.len = strlen(manifest);
	(void)!ipc_send(bridge->channel, IPC_POD_START, &start.base, -1);
	free(manifest);
}

static void stop_pod(struct bridge *bridge, const json_t *request)
{
	Magik__Ipc__PodStop stop;

	magik__ipc__pod_stop__init(&stop);
	stop.pod_uid = text_of(request, "uid");
	stop.grace_s = number_of(request, "grace", -1);
	(void)!ipc_send(bridge->channel, IPC_POD_STOP, &stop.base, -1);
}

/* Unsigned: the bytes of the object stand where its envelope would. */
static void send_object(struct bridge *bridge, const json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT);
	Magik__Ipc__Object object;

	magik__ipc__object__init(&object);
	object.envelope.data = (uint8_t *)text;
	object.envelope.len = strlen(text);
	(void)!ipc_send(bridge->channel, IPC_OBJECT, &object.base, -1);
	free(text);
}

static void open_logs(struct bridge *bridge, const json_t *request)
{
	Magik__Ipc__StreamAsker asker;
	Magik__Ipc__LogsOpen open;

	magik__ipc__logs_open__init(&open);
	open.request_id = (uint64_t)number_of(request, "id", 0);
	open.pod_uid = text_of(request, "uid");
	open.container = text_of(request, "container");
	open.follow = json_is_true(json_object_get(request, "follow"));
	open.previous = json_is_true(json_object_get(request, "previous"));
	open.timestamps = json_is_true(json_object_get(request, "timestamps"));
	open.tail_lines = number_of(request, "tail", -1);
	open.limit_bytes = number_of(request, "limit", 0);
	open.since_ms = number_of(request, "since", 0);
	magik__ipc__stream_asker__init(&asker);
	open.asker = &asker; /* nobody has signed: it is believed here */
	(void)!ipc_send(bridge->channel, IPC_LOGS_OPEN, &open.base, -1);
}

static void on_line(struct bridge *bridge, const char *text, size_t len)
{
	json_error_t where;
	json_t *line = json_loadb(text, len, 0, &where);

	if (json_object_get(line, "start"))
		start_pod(bridge, json_object_get(line, "start"));
	if (json_object_get(line, "stop"))
		stop_pod(bridge, json_object_get(line, "stop"));
	if (json_object_get(line, "object") || json_object_get(line, "gone"))
		send_object(bridge, line);
	if (json_object_get(line, "logs"))
		open_logs(bridge, json_object_get(line, "logs"));
	json_decref(line);
}

static void read_client(struct bridge *bridge)
{
	char chunk[2048];
	ssize_t got = recv(bridge->client, chunk, sizeof(chunk), 0);
	const uint8_t *feed;

	if (got <= 0) {
		(void)close(bridge->client);
		bridge->client = -1;
		buf_clear(&bridge->in);
		return;
	}
	buf_append(&bridge->in, chunk, (size_t)got);
	while (bridge->in.len > 0 &&
	       (feed = memchr(bridge->in.ptr, '\n', bridge->in.len)) != NULL) {
		size_t len = (size_t)(feed - bridge->in.ptr);

		on_line(bridge, (const char *)bridge->in.ptr, len);
		buf_consume(&bridge->in, len + 1);
	}
}

static void accept_client(struct bridge *bridge)
{
	const char *uid;
	json_t *pod;
	int fd = accept4(bridge->listener, NULL, NULL, SOCK_CLOEXEC);

	if (bridge->client >= 0)
		(void)close(bridge->client);
	bridge->client = fd;
	say(bridge, json_incref(bridge->hello));
	say(bridge, json_pack("{s:O}", "images", bridge->images));
	json_object_foreach (bridge->pods, uid, pod)
		say(bridge, json_pack("{s:O}", "pod", pod));
}

static void read_log(struct bridge *bridge, size_t i)
{
	char chunk[2048];
	ssize_t got = read(bridge->logs[i].fd, chunk, sizeof(chunk));
	json_int_t id = (json_int_t)bridge->logs[i].id;

	if (got > 0) {
		say(bridge,
		    json_pack("{s:I,s:s%,s:b}", "log", id, "data", chunk, (size_t)got, "end", 0));
		return;
	}
	(void)close(bridge->logs[i].fd);
	bridge->logs[i].fd = -1;
	say(bridge, json_pack("{s:I,s:i,s:b}", "log", id, "status", 200, "end", 1));
}

static int listen_at(const char *run_dir)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/driver.sock", run_dir);
	(void)unlink(address.sun_path);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 4) < 0)
		abort();
	return fd;
}

static int bridge_end(struct bridge *bridge)
{
	(void)ipc_channel_free(bridge->channel);
	json_decref(bridge->hello);
	json_decref(bridge->pods);
	json_decref(bridge->images);
	buf_deinit(&bridge->in);
	return EXIT_SUCCESS;
}

static int bridge_run(int fd)
{
	struct bridge bridge = {.client = -1, .listener = -1};
	struct ipc_message message;
	Magik__Ipc__Ready ready;
	uint8_t id[ID_LEN] = {1};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < LOGS_MAX; i++)
		bridge.logs[i].fd = -1;
	bridge.channel = ipc_channel_new(fd, IPC_FABRIC, IPC_HOST);
	bridge.pods = json_object();
	bridge.images = json_array();
	magik__ipc__ready__init(&ready);
	ready.node_id.data = id;
	ready.node_id.len = sizeof(id);
	(void)!ipc_send(bridge.channel, IPC_READY, &ready.base, -1);
	for (;;) {
		struct pollfd fds[3 + LOGS_MAX] = {{.fd = fd, .events = POLLIN},
						   {.fd = bridge.listener, .events = POLLIN},
						   {.fd = bridge.client, .events = POLLIN}};
		int r;

		for (size_t i = 0; i < LOGS_MAX; i++)
			fds[3 + i] = (struct pollfd){.fd = bridge.logs[i].fd, .events = POLLIN};
		if (ipc_flush(bridge.channel) != 0)
			return bridge_end(&bridge);
		if (ipc_wants_write(bridge.channel))
			fds[0].events |= POLLOUT;
		(void)poll(fds, 3 + LOGS_MAX, -1);
		while ((r = ipc_receive(bridge.channel, &message)) == 0) {
			if (message.type == IPC_HELLO) {
				const Magik__Ipc__Hello *hello = (const void *)message.body;
				char *run_dir = mem_copy(hello->config.data, hello->config.len);

				bridge.listener = listen_at(run_dir);
				free(run_dir);
			}
			on_message(&bridge, &message);
			ipc_message_deinit(&message);
		}
		if (r != IPC_E_AGAIN)
			return bridge_end(&bridge);
		for (size_t i = 0; i < LOGS_MAX; i++)
			if (fds[3 + i].revents && bridge.logs[i].fd >= 0)
				read_log(&bridge, i);
		if (fds[1].revents)
			accept_client(&bridge);
		if (fds[2].revents && bridge.client == fds[2].fd)
			read_client(&bridge);
	}
}

static int believe(void *ctx, const struct host_award *award, struct err *err)
{
	(void)ctx;
	(void)award;
	(void)err;
	return 0;
}

/* What send_object() has sent. */
static int believe_object(void *ctx, const struct host_envelope *envelope,
			  struct record *ret_record, struct err *err)
{
	json_t *line =
		json_loadb((const char *)envelope->envelope.ptr, envelope->envelope.len, 0, NULL);
	const json_t *object = json_object_get(line, "object");
	const json_t *metadata;
	char *text;

	(void)ctx;
	(void)err;
	ret_record->key.kind = object ? RECORD_OBJECT : RECORD_TOMBSTONE;
	if (!object)
		object = json_object_get(line, "gone");
	metadata = json_object_get(object, "metadata");
	ret_record->object = (struct object_ref){
		.namespace = mem_strdup(text_of(metadata, "namespace")),
		.kind = mem_strdup(text_of(object, "kind")),
		.name = mem_strdup(text_of(metadata, "name")),
	};
	(void)!uid_parse(text_of(metadata, "uid"), &ret_record->object.uid);
	text = json_dumps(object, JSON_COMPACT);
	buf_append_str(&ret_record->value, text);
	free(text);
	json_decref(line);
	return 0;
}

static int believe_request(void *ctx, const struct host_request *request,
			   struct host_asker *ret_asker, struct err *err)
{
	(void)ctx;
	(void)request;
	(void)err;
	*ret_asker = (struct host_asker){.name = "test"};
	return 0;
}

int main(int argc, char **argv)
{
	struct host_config config = {
		.node_name = "test-node",
		.hooks = {.verify_award = believe,
			  .verify_object = believe_object,
			  .verify_request = believe_request},
	};
	struct log_config log = {.node = "test-node", .process = "host", .min = LOG_LEVEL_INFO};
	struct err err = {0};
	int r;

	if (argc == 3 && strcmp(argv[1], "--fabric-process") == 0)
		return bridge_run((int)strtol(argv[2], NULL, 10));
	if (argc < 3)
		return EXIT_FAILURE;
	config.state_dir = argv[1];
	config.run_dir = argv[2];
	config.workplane = getenv("WORKPLANE");
	for (int i = 3; i < argc; i++) {
		if (strcmp(argv[i], "--drain") == 0)
			config.drain = true;
		if (strcmp(argv[i], "--policy") == 0 && i + 1 < argc)
			config.policy_file = argv[++i];
	}
	config.fabric_config = bytes_str(config.run_dir);
	log_init(&log);
	r = host_run(&config, &err);
	if (r < 0)
		(void)fprintf(stderr, "host_driver: %s\n", err.text);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
