/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/front_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/entropy.h"

enum {
	API_PORT = 80,
	API_TLS_PORT = 443,
	PAUSE_MS = 100, /* without a descriptor left, until some connection has ended */
};

/* 198.19.255.254, as containers are told; the last address of the prefix but one. */
static const uint8_t resolver_ip[ADDR_V4_LEN] = {198, 19, 255, 254};
static const uint8_t api_ip[ADDR_V4_LEN] = {198, 19, 255, 253};

/* A connection whose Service is being looked up. */
struct arrival {
	struct list link;
	struct front *front;
	struct front_wish wish;
	struct catalog_question *question;
	int fd;
};

bool front_is_resolver(const struct addr *addr)
{
	return addr->is_v4 && addr->port == DNS_PORT &&
	       memcmp(addr->ip, resolver_ip, sizeof(resolver_ip)) == 0;
}

static bool is_api(const struct addr *addr)
{
	return addr->is_v4 && (addr->port == API_PORT || addr->port == API_TLS_PORT) &&
	       memcmp(addr->ip, api_ip, sizeof(api_ip)) == 0;
}

bool front_addr_of(const struct sockaddr_storage *from, struct addr *ret_addr)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;
	const struct sockaddr_in *four = (const struct sockaddr_in *)from;

	/* A mapped address becomes the one it stands for. */
	if (from->ss_family == AF_INET6)
		return addr_from_ip(bytes_of(&six->sin6_addr, ADDR_IP_MAX), ntohs(six->sin6_port),
				    ret_addr);
	return from->ss_family == AF_INET && addr_from_ip(bytes_of(&four->sin_addr, ADDR_V4_LEN),
							  ntohs(four->sin_port), ret_addr);
}

/* ---- wishes ---- */

static void cut(char *to, size_t size, const char *from, size_t len)
{
	(void)snprintf(to, size, "%.*s", (int)len, from);
}

/* "namespace/service" or "namespace/service/pod": as the resolver has given addresses to them. */
static void wish_of_key(const char *key, struct front_wish *wish)
{
	size_t namespace_len = strcspn(key, "/"), service_len;
	const char *service = key + namespace_len + 1;

	service_len = strcspn(service, "/");
	cut(wish->namespace, sizeof(wish->namespace), key, namespace_len);
	cut(wish->service, sizeof(wish->service), service, service_len);
	if (service[service_len] == '/')
		(void)snprintf(wish->pod, sizeof(wish->pod), "%s", service + service_len + 1);
}

bool front_wish_read(struct front *front, const struct addr *to, enum service_protocol protocol,
		     struct front_wish *ret_wish)
{
	const char *key = vip_name(front->vip, to);
	struct addr same;
	char copy[FRONT_KEY_MAX];

	*ret_wish = (struct front_wish){.to = *to, .protocol = protocol};
	if (to->is_v4 && !key)
		return false;
	if (!key)
		return true;
	(void)snprintf(copy, sizeof(copy), "%s", key);
	wish_of_key(copy, ret_wish);
	/* It is in use: it stays the name's own for a while longer. */
	(void)!vip_get(front->vip, clock_mono(), copy, (int64_t)RESOLVER_TTL_S * MS_PER_S, &same);
	return true;
}

struct catalog_question *front_wish_ask(struct front *front, const struct front_wish *wish,
					catalog_fn *fn, void *user)
{
	struct addr ip = wish->to;

	ip.port = 0;
	if (!wish->service[0])
		return catalog_get_address(front->config.catalog, &ip, fn, user);
	return catalog_get(front->config.catalog, wish->namespace, wish->service, fn, user);
}

/* The workload of that name itself, since nobody speaks of a Service. */
static bool order_workload(const struct front_wish *wish, struct front_order *made)
{
	if (!wish->service[0])
		return false;
	(void)snprintf(made->target.namespace, sizeof(made->target.namespace), "%s",
		       wish->namespace);
	(void)snprintf(made->target.name, sizeof(made->target.name), "%s", wish->service);
	made->order.targets = &made->target;
	made->order.target_count = 1;
	return true;
}

/* A Service's own address has its ports and no others; a pod's has all that the pod has. */
static bool order_port(const struct front_wish *wish, const struct catalog_service *service,
		       struct mesh_order *order)
{
	const struct names_port *port;

	if (service->kind != CATALOG_CLUSTER_IP || wish->pod[0])
		return true;
	port = catalog_port(service, wish->to.port, wish->protocol);
	if (!port)
		return false;
	order->port = port->target_number;
	order->port_name = port->target_name;
	return true;
}

bool front_order_make(const struct front *front, const struct front_wish *wish,
		      const struct catalog_service *service, struct front_order *ret_order)
{
	ret_order->target = (struct mesh_name){0};
	ret_order->order = (struct mesh_order){
		.pod = wish->pod,
		.protocol = wish->protocol,
		.port = wish->to.port,
		.preference = front->config.preference,
	};
	if (!front->config.mesh)
		return false;
	if (!service || front->config.by_hand)
		return order_workload(wish, ret_order);
	if (service->kind == CATALOG_NONE || service->kind == CATALOG_EXTERNAL_NAME ||
	    service->target_count == 0)
		return false;
	if (service->kind == CATALOG_POD)
		ret_order->order.pod = service->pod;
	ret_order->order.targets = service->targets;
	ret_order->order.target_count = service->target_count;
	return order_port(wish, service, &ret_order->order);
}

/* ---- connections ---- */

/* The application sees a reset, as from a host where nobody listens. */
static void refuse(struct front *front, int fd)
{
	struct linger at_once = {.l_onoff = 1};

	front->stats.refused++;
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	(void)close(fd);
}

static void arrival_free(struct arrival *arrival)
{
	list_remove(&arrival->link);
	arrival->front->stats.waiting--;
	catalog_question_free(arrival->question);
	free(arrival);
}

static void on_service(void *user, const struct catalog_service *service)
{
	struct arrival *arrival = user;
	struct front *front = arrival->front;
	struct front_order made;
	int fd = arrival->fd;

	arrival->question = NULL;
	if (front_order_make(front, &arrival->wish, service, &made))
		mesh_open(front->config.mesh, &made.order, fd);
	else
		refuse(front, fd);
	arrival_free(arrival);
}

static void arrive(struct front *front, int fd, const struct addr *to)
{
	struct catalog_question *asked;
	struct arrival *arrival;
	struct front_wish wish;

	if (front->stats.waiting >= FRONT_WAITING_MAX ||
	    !front_wish_read(front, to, SERVICE_TCP, &wish)) {
		refuse(front, fd);
		return;
	}
	arrival = mem_new(struct arrival);
	arrival->front = front;
	arrival->wish = wish;
	arrival->fd = fd;
	list_append(&front->arrivals, &arrival->link);
	front->stats.waiting++;
	asked = front_wish_ask(front, &arrival->wish, on_service, arrival);
	/* NULL: it has been answered, and the arrival is gone. */
	if (asked)
		arrival->question = asked;
}

static void take(struct front *front, int fd)
{
	struct sockaddr_storage own = {0};
	socklen_t len = sizeof(own);
	struct addr to;

	front->stats.connections++;
	if (getsockname(fd, (struct sockaddr *)&own, &len) < 0 || !front_addr_of(&own, &to))
		refuse(front, fd);
	else if (front_is_resolver(&to))
		front_dns_accept(front, fd);
	else if (is_api(&to) && front->config.on_api)
		front->config.on_api(front->config.api_user, fd);
	else
		arrive(front, fd, &to);
}

static void on_resume(void *user)
{
	struct front *front = user;

	loop_watch_set(front->tcp, LOOP_READABLE);
}

static void on_connection(void *user, int events)
{
	struct front *front = user;

	(void)events;
	for (int i = 0; i < FRONT_TURN_MAX; i++) {
		int fd = accept4(front->config.tcp_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			take(front, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			loop_watch_set(front->tcp, 0);
			loop_timer_set(front->pause, mono_add_ms(clock_mono(), PAUSE_MS));
			return;
		}
		/* One that has ended before it was taken is none. */
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

static int start(struct front *front, struct err *err)
{
	int r = loop_watch_new(front->config.loop, front->config.tcp_fd, LOOP_READABLE,
			       on_connection, front, &front->tcp);

	if (r < 0)
		return err_set(err, r, "watch connections to virtual addresses: %s", strerror(-r));
	return front_udp_start(front, err);
}

int front_new(const struct front_config *config, struct err *err, struct front **ret_front)
{
	struct front *front = mem_new(struct front);
	struct resolver_config names = {
		.namespace = config->namespace,
		.mesh = config->mesh,
		.catalog = config->catalog,
		.forward = config->forward,
		.by_hand = config->by_hand,
		.has_v6 = config->raw6_fd != FRONT_FD_NONE,
	};
	int r;

	front->config = *config;
	front->vip = vip_new(VIP_MAX, entropy_u64());
	names.vip = front->vip;
	front->resolver = resolver_new(&names);
	front->pause = loop_timer_new(config->loop, on_resume, front);
	list_init(&front->arrivals);
	list_init(&front->dns);
	list_init(&front->udp_questions);
	map_init(&front->flows, entropy_u64());
	r = start(front, err);
	if (r < 0) {
		front_free(front);
		return r;
	}
	*ret_front = front;
	return 0;
}

void front_free(struct front *front)
{
	const int *fds;

	if (!front)
		return;
	fds = (const int[]){front->config.tcp_fd, front->config.udp_fd, front->config.raw4_fd,
			    front->config.raw6_fd};
	list_for_each_safe (it, &front->arrivals) {
		struct arrival *arrival = list_entry(it, struct arrival, link);

		(void)close(arrival->fd);
		arrival_free(arrival);
	}
	front_dns_stop(front);
	front_udp_stop(front);
	resolver_free(front->resolver);
	loop_watch_free(front->tcp);
	loop_timer_free(front->pause);
	map_deinit(&front->flows);
	vip_free(front->vip);
	for (size_t i = 0; i < 4; i++)
		if (fds[i] != FRONT_FD_NONE)
			(void)close(fds[i]);
	free(front);
}

void front_stats(const struct front *front, struct front_stats *ret_stats)
{
	*ret_stats = front->stats;
	ret_stats->flows = front->flows.count;
}
