/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sandbox, the agent's part: what is in front of the pod, and the agent that is handed its sockets.
 * Everything here blocks.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "kube/dns.h"
#include "runtime/files.h"
#include "runtime/infra.h"
#include "runtime/pod.h"
#include "runtime/pod_front.h"

enum {
	RESOLV_CONF_MAX = 64 * 1024,
};

/* On the heap: paths on the stack add up. */
static char *front_pin(const struct pod *pod)
{
	return mem_strdup(path_format("%s/ns/front", pod->dir).text);
}

/* Pods begun before there were fronts, and those of a kernel that cannot do it, have none. */
bool sandbox_has_front(const struct pod *pod)
{
	char *pin = front_pin(pod);
	bool has = access(pin, F_OK) == 0;

	free(pin);
	return has;
}

/* What an agent is started with, and the strings and descriptors that it is made of. */
struct agent_start {
	struct path pins, pid_file, empty;
	struct pod_front front;
	int resolve_fd;
	struct buf resolvers;
	struct infra_options options;
};

/* In the machine's own network: the resolvers are reached from there only. */
static int open_resolve_socket(void)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), off = 0;

	if (fd < 0)
		return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	return fd;
}

static void read_resolvers(const struct pod *pod, struct buf *out)
{
	struct buf machine = {0};

	/* A machine without resolvers asks none. */
	(void)!file_read(pod->pods->config.resolv_conf, RESOLV_CONF_MAX, &machine);
	kube_dns_servers(bytes_buf(&machine), out);
	buf_deinit(&machine);
}

static void add_fd(struct infra_options *options, const char *option, int fd)
{
	options->fds[options->fd_count++] = (struct infra_fd){option, fd};
}

static int agent_start_init(const struct pod *pod, struct agent_start *start, struct err *err)
{
	static const char *const names[_POD_FRONT_SOCKETS] = {
		[POD_FRONT_TCP] = "--front-tcp-fd",
		[POD_FRONT_UDP] = "--front-udp-fd",
		[POD_FRONT_RAW4] = "--front-raw4-fd",
		[POD_FRONT_RAW6] = "--front-raw6-fd",
	};
	char *pin;
	int r;

	*start = (struct agent_start){
		.pins = path_format("%s/ns", pod->dir),
		.pid_file = path_format("%s/infra.pid", pod->dir),
		.empty = path_format("%s/empty", pod->pods->config.run_dir),
		.front = {{-1, -1, -1, -1}},
		.resolve_fd = -1,
	};
	start->options = (struct infra_options){
		.agent = pod->pods->config.agent,
		.pin_dir = start->pins.text,
		.pid_file = start->pid_file.text,
		.control_dir = pod->dir,
		.empty_dir = start->empty.text,
		.namespace = pod->spec->namespace,
		.workload = pod->spec->name,
		.workload_kind = pod->spec->kind,
		.pod = pod->name,
		.hostname = pod->hostname,
		.replicas = 1,
	};
	if (!sandbox_has_front(pod))
		return 0;
	pin = front_pin(pod);
	r = pod_front_open(pin, &start->front, err);
	free(pin);
	if (r < 0)
		return r;
	for (size_t i = 0; i < _POD_FRONT_SOCKETS; i++)
		add_fd(&start->options, names[i], start->front.fds[i]);
	start->resolve_fd = open_resolve_socket();
	add_fd(&start->options, "--resolve-fd", start->resolve_fd);
	read_resolvers(pod, &start->resolvers);
	if (start->resolvers.len > 0)
		start->options.resolvers = buf_cstr(&start->resolvers);
	return 0;
}

static void agent_start_free(struct agent_start *start)
{
	pod_front_close(&start->front);
	if (start->resolve_fd >= 0)
		(void)close(start->resolve_fd);
	buf_deinit(&start->resolvers);
	free(start);
}

void sandbox_make_front(const struct pod *pod, struct err *err)
{
	char *pin = front_pin(pod);

	(void)!pod_front_create(pin, err);
	free(pin);
}

int sandbox_connect_front(const struct pod *pod, int netns, const struct pod_net *net,
			  struct err *err)
{
	char *pin;
	int r;

	if (!sandbox_has_front(pod))
		return 0;
	pin = front_pin(pod);
	r = pod_front_connect(pin, netns, net, err);
	free(pin);
	return r;
}

int sandbox_start_agent(const struct pod *pod, struct err *err)
{
	struct agent_start *start = mem_new(struct agent_start);
	pid_t pid;
	int r = agent_start_init(pod, start, err);

	if (r == 0)
		r = infra_start(&start->options, &pid, err);
	agent_start_free(start);
	return r;
}

int sandbox_restart_agent(struct pod *pod, struct err *err)
{
	struct agent_start *start = mem_new(struct agent_start);
	pid_t pid;
	int r = agent_start_init(pod, start, err);

	if (r == 0)
		r = infra_restart(&start->options, &pid, err);
	agent_start_free(start);
	return r;
}
