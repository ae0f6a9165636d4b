/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sandbox, the agent's part: what is in front of the pod, and the agent that is handed its sockets.
 * Everything here blocks.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "kube/dns.h"
#include "kube/member.h"
#include "kube/reach.h"
#include "kube/workload.h"
#include "runtime/files.h"
#include "runtime/infra.h"
#include "runtime/pod.h"
#include "runtime/pod_account.h"
#include "runtime/pod_front.h"
#include "wire/work.h"

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
	int resolve_fd, mesh_fd, account_fd;
	struct buf resolvers, ports, machine;
	char *group_dir;
	struct buf group_epoch;
	struct id_text set;
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

static void add_more(struct infra_options *options, const char *option, const char *value)
{
	options->more[options->more_count++] = (struct infra_more){option, value};
}

/* In the machine's own network, where other agents reach it: so the mesh needs no network of its
 * own. -1: this machine does not know its address yet, or has no such address. */
static int open_mesh_socket(const char *host_ip)
{
	struct sockaddr_in four = {.sin_family = AF_INET};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	bool is_v4 = inet_pton(AF_INET, host_ip, &four.sin_addr) == 1;
	int fd, r;

	if (!is_v4 && inet_pton(AF_INET6, host_ip, &six.sin6_addr) != 1)
		return -1;
	fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	r = is_v4 ? bind(fd, (const struct sockaddr *)&four, sizeof(four))
		  : bind(fd, (const struct sockaddr *)&six, sizeof(six));
	if (r == 0)
		return fd;
	(void)close(fd);
	return -1;
}

/* "web=8080/tcp,5353/udp": what the containers declare. */
static void list_ports(const struct pod *pod, struct buf *out)
{
	const json_t *spec = kube_pod_spec(pod->spec->root), *container, *port;
	size_t i, k, count = 0;

	json_array_foreach (json_object_get(spec, "containers"), i, container)
		json_array_foreach (json_object_get(container, "ports"), k, port) {
			const char *name = kube_member_string(port, "name");
			bool udp = strcmp(kube_member_string(port, "protocol"), "UDP") == 0;
			int64_t number = kube_member_int(port, "containerPort", 0);

			if (number < 1 || number > UINT16_MAX || count++ >= WORK_PORTS_MAX)
				continue;
			buf_append_format(out, "%s%s%s%d%s", out->len > 0 ? "," : "", name,
					  *name ? "=" : "", (int)number, udp ? "/udp" : "/tcp");
		}
}

/* Who may call it, and whom it calls first. */
static void add_reach(const struct pod *pod, struct infra_options *options)
{
	const json_t *annotations = pod->spec->annotations;
	const char *allow = json_string_value(json_object_get(annotations, KUBE_ALLOW));
	const char *deny = json_string_value(json_object_get(annotations, KUBE_DENY));
	const char *prefer = json_string_value(json_object_get(annotations, KUBE_PREFER));

	if (allow)
		add_more(options, "--allow-workloads", allow);
	if (kube_reach_crosses(allow))
		add_more(options, "--allow-cross-namespace", NULL);
	if (deny)
		add_more(options, "--deny-workloads", deny);
	if (prefer)
		add_more(options, "--prefer", prefer);
}

/* Its part in the network of pods. */
static void add_mesh(const struct pod *pod, struct agent_start *start)
{
	struct infra_options *options = &start->options;

	start->mesh_fd = pod->host_ip ? open_mesh_socket(pod->host_ip) : -1;
	if (start->mesh_fd < 0)
		return;
	add_fd(options, "--mesh-fd", start->mesh_fd);
	add_more(options, "--mesh-address", pod->host_ip);
	/* Of what the pod's names name; the Pod of an ordinal is not that. */
	start->set = uid_text(&pod->group.set);
	add_more(options, "--workload-uid",
		 pod->in_group ? start->set.text : pod->spec->workload_uid);
	/* The first bytes of its id: enough to tell machines apart. */
	buf_append_format(&start->machine, "%.16s", pod->pods->peer_id);
	if (start->machine.len > 0)
		add_more(options, "--machine", buf_cstr(&start->machine));
	if (pod->pods->config.region)
		add_more(options, "--region", pod->pods->config.region);
	add_reach(pod, options);
	list_ports(pod, &start->ports);
	if (start->ports.len > 0)
		add_more(options, "--publish", buf_cstr(&start->ports));
}

/* Its part in the group of its StatefulSet, by the mesh. */
static int add_group(const struct pod *pod, struct agent_start *start, struct err *err)
{
	struct infra_options *options = &start->options;
	int r;

	if (!pod->in_group || start->mesh_fd < 0)
		return 0;
	r = pod_group_make(pod, err);
	if (r == 0)
		r = pod_account_make(pod->dir, pod->spec->namespace, err);
	if (r == 0)
		r = pod_account_open(pod->dir, &start->account_fd, err);
	if (r < 0)
		return r;
	add_fd(options, "--account-fd", start->account_fd);
	start->group_dir = pod_group_dir(pod);
	add_more(options, "--group-dir", start->group_dir);
	add_more(options, "--pod-uid", pod->uid_text);
	if (pod->group.birth)
		add_more(options, "--group-birth", NULL);
	if (pod->group.epoch > 0) {
		buf_append_format(&start->group_epoch, "%" PRIu32, pod->group.epoch);
		add_more(options, "--group-recover", buf_cstr(&start->group_epoch));
	}
	return 0;
}

static int agent_start_init(const struct pod *pod, struct agent_start *start, struct err *err)
{
	static const char *const names[_POD_FRONT_SOCKETS] = {
		[POD_FRONT_TCP] = "--front-tcp-fd",
		[POD_FRONT_UDP] = "--front-udp-fd",
		[POD_FRONT_RAW4] = "--front-raw4-fd",
		[POD_FRONT_RAW6] = "--front-raw6-fd",
	};
	/* What users name, and what the pod's certificate will: not the ReplicaSet between. */
	struct kube_origin origin = kube_origin_of(pod->spec->root);
	char *pin;
	int r;

	*start = (struct agent_start){
		.pins = path_format("%s/ns", pod->dir),
		.pid_file = path_format("%s/infra.pid", pod->dir),
		.empty = path_format("%s/empty", pod->pods->config.run_dir),
		.front = {{-1, -1, -1, -1}},
		.resolve_fd = -1,
		.mesh_fd = -1,
		.account_fd = -1,
	};
	start->options = (struct infra_options){
		.agent = pod->pods->config.agent,
		.pin_dir = start->pins.text,
		.pid_file = start->pid_file.text,
		.control_dir = pod->dir,
		.empty_dir = start->empty.text,
		.namespace = pod->spec->namespace,
		.workload = origin.name,
		.workload_kind = origin.kind,
		.pod = pod->name,
		.hostname = pod->hostname,
		.replicas = 1,
	};
	add_mesh(pod, start);
	r = add_group(pod, start, err);
	if (r < 0 || !sandbox_has_front(pod))
		return r;
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
		add_more(&start->options, "--resolvers", buf_cstr(&start->resolvers));
	return 0;
}

static void agent_start_free(struct agent_start *start)
{
	pod_front_close(&start->front);
	if (start->resolve_fd >= 0)
		(void)close(start->resolve_fd);
	if (start->mesh_fd >= 0)
		(void)close(start->mesh_fd);
	if (start->account_fd >= 0)
		(void)close(start->account_fd);
	buf_deinit(&start->resolvers);
	buf_deinit(&start->ports);
	buf_deinit(&start->machine);
	free(start->group_dir);
	buf_deinit(&start->group_epoch);
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
