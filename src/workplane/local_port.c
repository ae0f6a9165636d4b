/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/local_port.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "io/entropy.h"
#include "quic/path.h"

enum {
	BACKLOG = 512,
	ROUNDS = 64, /* connections or datagrams taken before others have their turn */
	TALKS_MAX = 512,
	DECIMAL = 10,
	DATAGRAM_MAX = 65536,
};

struct local_port {
	struct mesh *mesh;
	struct local_port_spec spec;
	struct mesh_order order;
	int fd;
	struct loop_watch *watch;
	struct map talks; /* sender's address -> struct talk, of UDP */
	uint8_t *datagram;
};

/* One sender of datagrams. */
struct talk {
	struct local_port *port;
	struct addr from;
	struct mesh_flow *flow;
};

/* ---- what is wanted ---- */

static bool parse_local(const char *text, size_t len, struct addr *ret_addr)
{
	char local[ADDR_TEXT_MAX];
	unsigned long port;
	char *end;

	if (len == 0 || len >= sizeof(local))
		return false;
	memcpy(local, text, len);
	local[len] = '\0';
	if (addr_parse(local, ret_addr))
		return true;
	port = strtoul(local, &end, DECIMAL);
	return *end == '\0' && port >= 1 && port <= UINT16_MAX &&
	       addr_parse_ip("127.0.0.1", (uint16_t)port, ret_addr);
}

static bool parse_port(const char *text, struct local_port_spec *spec)
{
	size_t len = strcspn(text, "/");
	unsigned long port;
	char *end;

	if (text[len] && strcmp(text + len, "/tcp") != 0 && strcmp(text + len, "/udp") != 0)
		return false;
	spec->protocol = strcmp(text + len, "/udp") == 0 ? SERVICE_UDP : SERVICE_TCP;
	port = strtoul(text, &end, DECIMAL);
	if (end == text + len && port >= 1 && port <= UINT16_MAX) {
		spec->port = (uint16_t)port;
		return true;
	}
	if (len == 0 || len > WORK_PORT_NAME_MAX || (end == text + len && len > 0))
		return false;
	memcpy(spec->port_name, text, len);
	return true;
}

/* "web" or "web.shop"; a dot of a workload's own name cannot be told from that. */
static bool parse_target(const char *text, size_t len, const char *namespace,
			 struct mesh_name *ret_name)
{
	const char *dot = memchr(text, '.', len);
	size_t name_len = dot ? (size_t)(dot - text) : len;
	const char *space = dot ? dot + 1 : namespace;
	size_t space_len = dot ? len - name_len - 1 : strlen(namespace);

	if (name_len == 0 || name_len > MESSAGE_NAME_MAX || space_len == 0 ||
	    space_len > MESSAGE_NAMESPACE_MAX)
		return false;
	memcpy(ret_name->name, text, name_len);
	memcpy(ret_name->namespace, space, space_len);
	return true;
}

int local_port_parse(const char *text, const char *namespace, struct local_port_spec *ret_spec,
		     struct err *err)
{
	struct local_port_spec spec = {0};
	const char *equals = strchr(text, '=');
	const char *colon = equals ? strrchr(equals, ':') : NULL;

	if (!colon || !parse_local(text, (size_t)(equals - text), &spec.local) ||
	    !parse_target(equals + 1, (size_t)(colon - equals - 1), namespace, &spec.target) ||
	    !parse_port(colon + 1, &spec))
		return err_set(err, -EINVAL,
			       "--forward: \"%.100s\" is not [IP:]PORT=WORKLOAD[.NAMESPACE]:PORT"
			       "[/tcp|/udp]",
			       text);
	*ret_spec = spec;
	return 0;
}

/* ---- TCP ---- */

static void on_connection(void *user, int events)
{
	struct local_port *port = user;

	(void)events;
	for (int i = 0; i < ROUNDS; i++) {
		int fd = accept4(port->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
		mesh_open(port->mesh, &port->order, fd);
	}
}

/* ---- UDP ---- */

static struct bytes talk_key(const struct addr *from)
{
	return bytes_of(from, sizeof(*from));
}

static void talk_free(struct talk *talk)
{
	(void)map_remove(&talk->port->talks, talk_key(&talk->from));
	mesh_flow_free(talk->flow);
	free(talk);
}

static void on_answer(void *user, const struct bytes *datagram)
{
	struct talk *talk = user;
	union quic_sockaddr to;
	socklen_t len = sockaddr_from_addr(&talk->from, &to);

	if (datagram) {
		(void)sendto(talk->port->fd, datagram->ptr, datagram->len,
			     MSG_DONTWAIT | MSG_NOSIGNAL, &to.any, len);
		return;
	}
	talk->flow = NULL;
	talk_free(talk);
}

static struct talk *talk_of(struct local_port *port, const struct addr *from)
{
	struct talk *talk = map_get(&port->talks, talk_key(from));

	if (talk || port->talks.count >= TALKS_MAX)
		return talk;
	talk = mem_new(struct talk);
	talk->port = port;
	talk->from = *from;
	(void)map_put(&port->talks, talk_key(from), talk);
	talk->flow = mesh_flow_new(port->mesh, &port->order, on_answer, talk);
	if (talk->flow)
		return talk;
	talk_free(talk);
	return NULL;
}

static void on_datagram(void *user, int events)
{
	struct local_port *port = user;

	(void)events;
	for (int i = 0; i < ROUNDS; i++) {
		union quic_sockaddr name;
		socklen_t name_len = sizeof(name);
		struct addr from = {0};
		ssize_t len = recvfrom(port->fd, port->datagram, DATAGRAM_MAX, MSG_DONTWAIT,
				       &name.any, &name_len);
		struct talk *talk;

		if (len < 0)
			return;
		if (!sockaddr_to_addr(&name.any, &from))
			continue;
		talk = talk_of(port, &from);
		if (talk)
			mesh_flow_send(talk->flow, bytes_of(port->datagram, (size_t)len));
	}
}

/* ---- life ---- */

static int open_socket(struct local_port *port)
{
	bool udp = port->spec.protocol == SERVICE_UDP;
	union quic_sockaddr name;
	socklen_t len = sockaddr_from_addr(&port->spec.local, &name);

	port->fd = socket(name.any.sa_family,
			  (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (port->fd < 0)
		return err_origin(-errno);
	(void)setsockopt(port->fd, SOL_SOCKET, SO_REUSEADDR, &(int){!udp}, sizeof(int));
	if (bind(port->fd, &name.any, len) < 0 || (!udp && listen(port->fd, BACKLOG) < 0))
		return err_origin(-errno);
	return 0;
}

int local_port_new(struct loop *loop, struct mesh *mesh, const struct local_port_spec *spec,
		   enum pick_preference preference, struct err *err, struct local_port **ret_port)
{
	struct local_port *port = mem_new(struct local_port);
	bool udp = spec->protocol == SERVICE_UDP;
	int r;

	port->mesh = mesh;
	port->spec = *spec;
	port->order = (struct mesh_order){
		.targets = &port->spec.target,
		.target_count = 1,
		.protocol = spec->protocol,
		.port = spec->port,
		.port_name = port->spec.port_name,
		.preference = preference,
	};
	map_init(&port->talks, entropy_u64());
	port->datagram = udp ? mem_alloc(1, DATAGRAM_MAX) : NULL;
	r = open_socket(port);
	if (r == 0)
		r = loop_watch_new(loop, port->fd, LOOP_READABLE, udp ? on_datagram : on_connection,
				   port, &port->watch);
	if (r < 0) {
		(void)err_set(err, r, "listen at %s: %s", addr_text(&spec->local).text,
			      strerror(-r));
		local_port_free(port);
		return r;
	}
	mesh_keep_port(mesh, spec->local.port);
	*ret_port = port;
	return 0;
}

void local_port_free(struct local_port *port)
{
	if (!port)
		return;
	map_for_each (entry, &port->talks)
		talk_free(entry->value);
	map_deinit(&port->talks);
	loop_watch_free(port->watch);
	if (port->fd >= 0)
		(void)close(port->fd);
	free(port->datagram);
	free(port);
}
