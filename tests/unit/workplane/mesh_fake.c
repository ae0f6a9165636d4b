/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

struct fake_mesh fake_mesh;

struct mesh_question {
	char namespace[64], name[254];
	mesh_resolve_fn *fn;
	void *user;
	bool freed;
};

struct mesh_flow {
	mesh_flow_fn *fn;
	void *user;
	struct buf waiting;
	bool freed;
};

void fake_mesh_reset(struct loop *loop)
{
	fake_mesh = (struct fake_mesh){.loop = loop, .fd = -1};
}

struct service_record *fake_mesh_add(const char *namespace, const char *name, const char *pod)
{
	struct service_record *record = &fake_mesh.records[fake_mesh.record_count++];

	*record = (struct service_record){
		.namespace = (char *)(uintptr_t) namespace,
		.name = (char *)(uintptr_t)name,
		.pod = (char *)(uintptr_t)pod,
		.ready = true,
		.healthy = true,
	};
	return record;
}

static void resolve(void *user)
{
	struct mesh_question *question = user;
	const struct service_record *found[FAKE_RECORDS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < fake_mesh.record_count; i++)
		if (strcmp(fake_mesh.records[i].namespace, question->namespace) == 0 &&
		    strcmp(fake_mesh.records[i].name, question->name) == 0)
			found[count++] = &fake_mesh.records[i];
	if (!question->freed)
		question->fn(question->user, found, count, !fake_mesh.silent);
	free(question);
}

struct mesh_question *mesh_resolve(struct mesh *mesh, const char *namespace, const char *name,
				   mesh_resolve_fn *fn, void *user)
{
	struct mesh_question *question = mem_new(struct mesh_question);

	(void)mesh;
	(void)snprintf(question->namespace, sizeof(question->namespace), "%s", namespace);
	(void)snprintf(question->name, sizeof(question->name), "%s", name);
	question->fn = fn;
	question->user = user;
	loop_defer(fake_mesh.loop, resolve, question);
	return question;
}

void mesh_question_free(struct mesh_question *question)
{
	if (question)
		question->freed = true;
}

static void note(const struct mesh_order *order)
{
	char port[32];

	(void)snprintf(port, sizeof(port), "%u", order->port);
	(void)snprintf(fake_mesh.order, sizeof(fake_mesh.order), "%s/%s%s%s:%s %s",
		       order->targets[0].namespace, order->targets[0].name,
		       order->pod && *order->pod ? "/" : "", order->pod ? order->pod : "",
		       order->port_name && *order->port_name ? order->port_name : port,
		       order->protocol == SERVICE_UDP ? "udp" : "tcp");
	fake_mesh.orders++;
}

void mesh_open(struct mesh *mesh, const struct mesh_order *order, int fd)
{
	(void)mesh;
	note(order);
	(void)!write(fd, "hello", 5);
	(void)close(fd);
}

/* Every datagram comes back, doubled. */
static void bounce(void *user)
{
	struct mesh_flow *flow = user;
	struct bytes back = bytes_buf(&flow->waiting);

	if (flow->freed) {
		buf_deinit(&flow->waiting);
		free(flow);
		return;
	}
	if (back.len > 0)
		flow->fn(flow->user, &back);
	buf_clear(&flow->waiting);
}

struct mesh_flow *mesh_flow_new(struct mesh *mesh, const struct mesh_order *order, mesh_flow_fn *fn,
				void *user)
{
	struct mesh_flow *flow = mem_new(struct mesh_flow);

	(void)mesh;
	note(order);
	flow->fn = fn;
	flow->user = user;
	return flow;
}

void mesh_flow_send(struct mesh_flow *flow, struct bytes datagram)
{
	buf_append_bytes(&flow->waiting, datagram);
	buf_append_bytes(&flow->waiting, datagram);
	loop_defer(fake_mesh.loop, bounce, flow);
}

void mesh_flow_free(struct mesh_flow *flow)
{
	flow->freed = true;
	loop_defer(fake_mesh.loop, bounce, flow);
}
