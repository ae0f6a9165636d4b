/* SPDX-License-Identifier: Apache-2.0 */
#include "machineplane/ingress.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "io/log.h"
#include "kube/member.h"
#include "kube/node_port.h"
#include "kube/service.h"

enum {
	BACKLOG = 512,
	ACCEPTS = 64,         /* connections taken before others have their turn */
	REPLICAS_MAX = 1024,  /* of one port: any of them will do */
	GATHER_MS = 20,       /* a rollout changes many pods at once */
	AGAIN_MS = 5 * 1000,  /* a port that somebody else holds is tried again */
	LOOK_MS = 30 * 1000,  /* in a fabric where nobody tells of what others keep */
	GATES_MAX = 1024,     /* ports listened at: a descriptor each */
	ORDER_TEXT_MAX = 600, /* "shop/web" twice */
};

/* One port of this machine. */
struct gate {
	uint16_t port;
	json_t *service; /* whose it is */
	int fd;          /* -1: not listening */
	struct loop_watch *watch;
	struct ingress *ingress;
	struct ingress_replica *replicas;
	size_t count;
	bool has_local; /* one of them is here */
	bool wanted;    /* while Services are gone through */
	bool clashes;   /* said so already, of this and another Service */
	bool busy;      /* likewise, that somebody else listens there */
};

struct ingress {
	struct fabric *fabric;
	struct map gates; /* port -> struct gate */
	struct loop_timer *timer;
	bool set; /* the timer, to what has changed */
	bool looking;
	struct mono looked;
	struct ingress_visits visits;
};

static void survey(void *user);

struct ingress *ingress_new(struct fabric *fabric)
{
	struct ingress *ingress = mem_new(struct ingress);

	ingress->fabric = fabric;
	map_init(&ingress->gates, entropy_u64());
	ingress->timer = loop_timer_new(fabric->loop, survey, ingress);
	ingress_visits_init(&ingress->visits, fabric);
	/* What was kept over a restart is there without having changed. */
	loop_timer_set(ingress->timer, mono_add_ms(clock_mono(), GATHER_MS));
	return ingress;
}

static struct bytes key_of(const uint16_t *port)
{
	return bytes_of(port, sizeof(*port));
}

static void gate_close(struct gate *gate)
{
	loop_watch_free(gate->watch);
	gate->watch = NULL;
	if (gate->fd >= 0)
		(void)close(gate->fd);
	gate->fd = -1;
}

static void gate_free(struct gate *gate)
{
	gate_close(gate);
	json_decref(gate->service);
	free(gate->replicas);
	free(gate);
}

void ingress_free(struct ingress *ingress)
{
	if (!ingress)
		return;
	map_for_each (entry, &ingress->gates)
		gate_free(entry->value);
	map_deinit(&ingress->gates);
	ingress_visits_deinit(&ingress->visits);
	loop_timer_free(ingress->timer);
	free(ingress);
}

/* ---- connections ---- */

static bool is_here(const struct gate *gate, const struct ingress_replica *replica)
{
	return node_id_equal(&replica->machine, node_self(gate->ingress->fabric->node));
}

/* Some of the replicas, from a random one on; of a local port, those of this machine. */
static void choose(const struct gate *gate, struct ingress_order *order)
{
	bool local = kube_node_port_is_local(gate->service);
	size_t first = gate->count ? (size_t)(entropy_u64() % gate->count) : 0;

	for (size_t i = 0; i < gate->count && order->count < INGRESS_TRIES_MAX; i++) {
		const struct ingress_replica *replica = &gate->replicas[(first + i) % gate->count];

		if (!local || is_here(gate, replica))
			order->tries[order->count++] = *replica;
	}
}

static void on_connection(void *user, int events)
{
	struct gate *gate = user;

	(void)events;
	for (int i = 0; i < ACCEPTS; i++) {
		struct ingress_order order = {
			.namespace = kube_member_string(gate->service, "metadata.namespace"),
			.service = kube_member_string(gate->service, "metadata.name"),
			.port = gate->port,
		};
		int fd = accept4(gate->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		choose(gate, &order);
		ingress_visit(&gate->ingress->visits, fd, &order);
	}
}

/* ---- listening ---- */

static int open_socket(uint16_t port)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
	int flags = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, on = 1, off = 0, r;
	int fd = socket(AF_INET6, flags, 0);
	bool has_six = fd >= 0;

	if (!has_six)
		fd = socket(AF_INET, flags, 0);
	if (fd < 0)
		return err_origin(-errno);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (has_six)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	r = has_six ? bind(fd, (const struct sockaddr *)&six, sizeof(six))
		    : bind(fd, (const struct sockaddr *)&four, sizeof(four));
	if (r == 0)
		r = listen(fd, BACKLOG);
	if (r == 0)
		return fd;
	r = err_origin(-errno);
	(void)close(fd);
	return r;
}

static void gate_open(struct gate *gate)
{
	int r = 0;

	if (gate->fd >= 0)
		return;
	gate->fd = open_socket(gate->port);
	if (gate->fd >= 0)
		r = loop_watch_new(gate->ingress->fabric->loop, gate->fd, LOOP_READABLE,
				   on_connection, gate, &gate->watch);
	else
		r = gate->fd;
	if (r == 0) {
		gate->busy = false;
		return;
	}
	gate_close(gate);
	if (!gate->busy)
		log_event(LOG_LEVEL_WARN, "node-port-busy", "port %u: %s", gate->port,
			  strerror(-r));
	gate->busy = true;
}

/* ---- which ports ---- */

/* Keepers of records need no clash to be told to them: each machine sees the same two Services. */
static void tell_clash(struct gate *gate, const json_t *other)
{
	const json_t *loser = other;
	char text[ORDER_TEXT_MAX];

	if (gate->clashes)
		return;
	gate->clashes = true;
	(void)snprintf(text, sizeof(text), "%.250s/%.250s",
		       kube_member_string(loser, "metadata.namespace"),
		       kube_member_string(loser, "metadata.name"));
	log_event(LOG_LEVEL_WARN, "node-port-clash",
		  "port %u is %.250s's: it does not lead to Service %s", gate->port,
		  kube_member_string(gate->service, "metadata.name"), text);
}

static void gate_give(struct gate *gate, json_t *service)
{
	json_decref(gate->service);
	gate->service = json_incref(service);
	gate->wanted = true;
}

static void want(struct ingress *ingress, json_t *service, uint16_t port)
{
	struct gate *gate = map_get(&ingress->gates, key_of(&port));
	json_t *before;

	if (!gate && ingress->gates.count >= GATES_MAX)
		return;
	if (!gate) {
		gate = mem_new(struct gate);
		gate->ingress = ingress;
		gate->port = port;
		gate->fd = -1;
		(void)map_put(&ingress->gates, key_of(&port), gate);
	}
	if (!gate->wanted) {
		gate_give(gate, service);
	} else if (kube_node_port_holds(service, gate->service)) {
		before = json_incref(gate->service);
		gate_give(gate, service);
		tell_clash(gate, before);
		json_decref(before);
	} else {
		tell_clash(gate, service);
	}
}

static void look_at_service(void *arg, const struct api_object *object)
{
	static const char says[] = "\"nodePort\"";
	struct ingress *ingress = arg;
	const json_t *port;
	json_t *service;
	size_t index;

	/* Most have none, and need not be read. */
	if (!memmem(object->json.ptr, object->json.len, says, sizeof(says) - 1))
		return;
	service = json_loadb((const char *)object->json.ptr, object->json.len, 0, NULL);
	json_array_foreach (kube_member(service, "spec.ports"), index, port) {
		int64_t number = kube_member_int(port, "nodePort", 0);

		if (number >= KUBE_NODE_PORT_MIN && number <= KUBE_NODE_PORT_MAX &&
		    kube_node_port_find(service, (uint16_t)number))
			want(ingress, service, (uint16_t)number);
	}
	json_decref(service);
}

/* ---- which pods ---- */

struct pod_sight {
	struct ingress *ingress;
	const struct presence *presence;
};

static void gate_add(struct gate *gate, const struct presence *presence)
{
	struct ingress_replica replica = {presence->pod_uid, presence->node};

	if (gate->count >= REPLICAS_MAX)
		return;
	gate->replicas = mem_resize(gate->replicas, gate->count + 1, sizeof(*gate->replicas));
	gate->replicas[gate->count++] = replica;
	gate->has_local = gate->has_local || is_here(gate, &replica);
}

static void look_at_workload(void *arg, const struct api_object *object)
{
	const struct pod_sight *sight = arg;
	const char *namespace = sight->presence->object.namespace;
	json_t *workload = json_loadb((const char *)object->json.ptr, object->json.len, 0, NULL);

	map_for_each (entry, &sight->ingress->gates) {
		struct gate *gate = entry->value;

		if (strcmp(kube_member_string(gate->service, "metadata.namespace"), namespace) ==
			    0 &&
		    kube_service_selects(gate->service, workload))
			gate_add(gate, sight->presence);
	}
	json_decref(workload);
}

static bool is_any_in(const struct ingress *ingress, const char *namespace)
{
	map_for_each (entry, &ingress->gates) {
		const struct gate *gate = entry->value;

		if (strcmp(kube_member_string(gate->service, "metadata.namespace"), namespace) == 0)
			return true;
	}
	return false;
}

static void look_at_pod(void *arg, const struct presence *presence, uint64_t version)
{
	struct ingress *ingress = arg;
	const struct api_backend *backend = backend_api(ingress->fabric->backend);
	struct pod_sight sight = {ingress, presence};

	(void)version;
	if (presence->ready && !presence->terminating && presence->phase == POD_RUNNING &&
	    is_any_in(ingress, presence->object.namespace))
		(void)backend->ops->object_by_uid(backend->self, &presence->object.uid,
						  look_at_workload, &sight);
}

/* ---- all of it ---- */

static void forget_unwanted(struct ingress *ingress)
{
	map_for_each (entry, &ingress->gates) {
		struct gate *gate = entry->value;

		if (gate->wanted)
			continue;
		(void)map_remove(&ingress->gates, bytes_of(entry->key, entry->key_len));
		gate_free(gate);
	}
}

static void on_refreshed(void *arg, bool complete)
{
	struct ingress *ingress = arg;

	(void)complete;
	ingress->looking = false;
	loop_timer_set(ingress->timer, clock_mono());
}

/* In a large fabric, bring here what others keep, now and then. */
static void look_around(struct ingress *ingress)
{
	const struct api_backend *backend = backend_api(ingress->fabric->backend);
	struct api_scope scope = {.kind = "Service"};

	if (ingress->looking || !overlay_is_large(node_overlay(ingress->fabric->node)) ||
	    !mono_reached(clock_mono(), mono_add_ms(ingress->looked, LOOK_MS)))
		return;
	ingress->looked = clock_mono();
	ingress->looking = !backend->ops->refresh(backend->self, &scope, on_refreshed, ingress);
}

static void survey(void *user)
{
	struct ingress *ingress = user;
	const struct api_backend *backend = backend_api(ingress->fabric->backend);
	bool busy = false;

	ingress->set = false;
	loop_timer_set(ingress->timer, mono_add_ms(clock_mono(), AGAIN_MS));
	if (!ingress->fabric->node || ingress->fabric->ending)
		return;
	look_around(ingress);
	map_for_each (entry, &ingress->gates) {
		struct gate *gate = entry->value;

		gate->wanted = gate->has_local = false;
		gate->count = 0;
	}
	backend->ops->objects(backend->self, "Service", NULL, look_at_service, ingress);
	forget_unwanted(ingress);
	if (ingress->gates.count > 0)
		backend->ops->presences(backend->self, NULL, look_at_pod, ingress);
	map_for_each (entry, &ingress->gates) {
		struct gate *gate = entry->value;

		if (gate->has_local || !kube_node_port_is_local(gate->service))
			gate_open(gate);
		else
			gate_close(gate);
		busy = busy || gate->busy;
	}
	loop_timer_set(ingress->timer, mono_add_ms(clock_mono(), busy ? AGAIN_MS : LOOK_MS));
}

void ingress_changed(struct ingress *ingress, const struct record *record)
{
	bool relevant =
		ingress && ((record->key.kind == RECORD_PRESENCE && ingress->gates.count > 0) ||
			    strcmp(record->object.kind, "Service") == 0);

	if (!relevant || ingress->set)
		return;
	ingress->set = true;
	loop_timer_set(ingress->timer, mono_add_ms(clock_mono(), GATHER_MS));
}
