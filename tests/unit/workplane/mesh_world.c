/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_world.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/entropy.h"

enum {
	WAIT_MS = 5000,
	STEP_MS = 20,
};

struct pods *pods_new(uint32_t seed)
{
	struct pods *pods = mem_new(struct pods);
	uint8_t random[FABRIC_RANDOM_LEN];
	struct err err = {0};

	pods->loop = loop_new();
	pods->seed = seed;
	entropy_fill(random, sizeof(random));
	assert_int_equal(fabric_make("alpha", clock_wall(), random, &pods->fabric, &err), 0);
	return pods;
}

void pods_free(struct pods *pods)
{
	loop_free(pods->loop);
	fabric_made_deinit(&pods->fabric);
	free(pods);
}

struct buf pods_issue(struct pods *pods, const struct node_id *key, const char *path)
{
	const struct credentials *machine = &pods->fabric.credentials;
	struct cert_order order = {
		.kind = CERT_POD,
		.key = *key,
		.machine = *key, /* each on a machine of its own; keys tell them apart */
		.pod_path = path,
		.now = clock_wall()};
	struct signer steward = {.key = &machine->steward_key};
	struct chain chain;
	struct buf leaf = {0};
	struct err err = {0};

	entropy_fill(order.serial, sizeof(order.serial));
	assert_true(chain_split(bytes_buf(&machine->steward_chain), &chain));
	steward.cert = chain.cert[0];
	assert_int_equal(cert_issue(&order, &steward, &leaf, &err), 0);
	buf_append_bytes(&leaf, bytes_buf(&machine->steward_chain));
	return leaf;
}

/* A port that is free now, and (NULL: it is closed) the socket that has it. */
static uint16_t free_port(int *ret_fd)
{
	struct sockaddr_in name = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(name);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
	if (ret_fd)
		*ret_fd = fd;
	else
		(void)close(fd);
	return ntohs(name.sin_port);
}

struct pod pod_new(struct pods *pods, const struct pod_config *config, const struct pod *contact)
{
	struct mesh_config mesh = {
		.socket_fd = MESH_FD_NONE,
		.namespace = config->namespace,
		.kind = config->stateful ? "StatefulSet" : "Deployment",
		.workload = config->workload,
		.pod = config->pod,
		.ordinal = config->stateful ? config->ordinal : SERVICE_NO_ORDINAL,
		.policy = config->policy,
		.ports = config->ports,
		.port_count = config->port_count,
	};
	struct mesh_identity identity;
	uint8_t seed[KEY_SEED_LEN];
	struct pod pod;
	char path[600];
	struct err err = {0};
	struct buf chain;

	entropy_fill(seed, sizeof(seed));
	pod.key = key_from_seed(seed);
	assert_true(addr_parse_ip(
		"127.0.0.1", free_port(config->inherited ? &mesh.socket_fd : NULL), &mesh.address));
	pod.addr = mesh.address;
	if (config->inherited)
		mesh.address.port = 0; /* the socket's */
	(void)snprintf(path, sizeof(path), "ns/%s/%s/%s/%s", config->namespace,
		       config->stateful ? "statefulset" : "deployment", config->workload,
		       config->pod);
	chain = pods_issue(pods, &pod.key.public_key, path);
	assert_int_equal(mesh_new(pods->loop, &mesh, &err, &pod.mesh), 0);
	mesh_set_time(pod.mesh, clock_wall().ms - clock_mono().us / US_PER_MS);
	if (contact) {
		struct addr_peer peer = {contact->key.public_key, contact->addr};

		mesh_add_contacts(pod.mesh, &peer, 1);
	}
	mesh_set_ready(pod.mesh, true, true);
	identity = (struct mesh_identity){
		&pod.key, bytes_buf(&chain),
		bytes_buf(&pods->fabric.credentials.root[CERT_FAMILY_WORKLOAD - 1])};
	if (mesh_set_identity(pod.mesh, &identity, &err) != 0)
		fail_msg("%s", err.text);
	buf_deinit(&chain);
	return pod;
}

void pods_until(struct pods *pods, bool (*is_true)(void *user), void *user)
{
	struct mono give_up = mono_add_ms(clock_mono(), WAIT_MS);
	bool never = false;

	while (!is_true(user)) {
		assert_false(mono_reached(clock_mono(), give_up));
		(void)loop_run_until(pods->loop, &never, mono_add_ms(clock_mono(), STEP_MS));
	}
}

void pair_of_sockets(int ret_pair[2])
{
	struct sockaddr_in name = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(name);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(listener >= 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&name, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&name, &len), 0);
	ret_pair[1] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(ret_pair[1], (struct sockaddr *)&name, len), 0);
	ret_pair[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(ret_pair[0] >= 0);
	assert_int_equal(fcntl(ret_pair[1], F_SETFL, O_NONBLOCK), 0);
	(void)close(listener);
}
