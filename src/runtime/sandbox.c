/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sandbox: what a pod has before its first container and after its last: directories, namespaces
 * with their agent, a network link, shared memory, volumes. Everything here blocks.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "kube/dns.h"
#include "kube/reach.h"
#include "kube/workload.h"
#include "runtime/cgroup.h"
#include "runtime/egress.h"
#include "runtime/files.h"
#include "runtime/host_port.h"
#include "runtime/infra.h"
#include "runtime/pod.h"
#include "runtime/pod_front.h"
#include "runtime/rootfs.h"

enum {
	RESOLV_CONF_MAX = 64 * 1024,
};

static int make_dirs(const struct pod *pod, struct err *err)
{
	static const char *const parts[] = {"ns", "etc", "shm", "volumes", "c", "logs"};
	int r = dir_make(pod->dir, 0700);

	if (r == 0)
		r = dir_make(path_format("%s/empty", pod->pods->config.run_dir).text, 0555);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(parts); i++)
		r = dir_make(path_format("%s/%s", pod->dir, parts[i]).text, 0755);
	return r < 0 ? err_set(err, r, "make %s: %s", pod->dir, strerror(-r)) : 0;
}

/* Before anything runs in it. */
static int restrict_network(const struct pod *pod, const struct pod_net *net, struct err *err)
{
	const json_t *text = json_object_get(pod->spec->annotations, KUBE_EGRESS);
	struct kube_egress egress;

	if (!kube_egress_read(json_string_value(text), &egress))
		return err_set(err, -EINVAL, "annotation " KUBE_EGRESS " is malformed");
	return egress_restrict(net->link, &egress, err);
}

static int make_network(const struct pod *pod, struct pod_net *ret_net, struct err *err)
{
	struct path path = path_format("%s/ns/net", pod->dir);
	int netns = open(path.text, O_RDONLY | O_CLOEXEC), r;

	if (netns < 0)
		return err_set(err, -errno, "open %s: %s", path.text, strerror(errno));
	r = pod_net_create(&pod->uid, netns, ret_net, err);
	if (r == 0)
		r = restrict_network(pod, ret_net, err);
	if (r == 0)
		r = host_ports_open(ret_net, kube_pod_spec(pod->spec->root), err);
	if (r == 0)
		r = sandbox_connect_front(pod, netns, ret_net, err);
	(void)close(netns);
	return r;
}

static void fill_hosts(const struct pod *pod, const struct pod_net *net, struct buf *hosts)
{
	const char *hostname = pod->hostname;

	buf_append_str(hosts, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n");
	if (net->ip6[0])
		buf_append_format(hosts, "%s\t%s\n", net->ip6, hostname);
	buf_append_format(hosts, "%s\t%s\n", net->ip4, hostname);
	kube_dns_host_aliases(kube_pod_spec(pod->spec->root), hosts);
}

static void fill_resolv(const struct pod *pod, struct buf *resolv)
{
	struct kube_dns dns = {.pod = kube_pod_spec(pod->spec->root),
			       .namespace = pod->spec->namespace};
	struct buf machine = {0};

	if (sandbox_has_front(pod))
		dns.resolver = POD_FRONT_RESOLVER;
	/* A machine without resolvers gives its pods none. */
	(void)!file_read(pod->pods->config.resolv_conf, RESOLV_CONF_MAX, &machine);
	dns.machine = bytes_buf(&machine);
	kube_dns_resolv_conf(&dns, resolv);
	buf_deinit(&machine);
}

static int replace_etc(const struct pod *pod, const char *name, const struct buf *text)
{
	return file_replace(path_format("%s/etc/%s", pod->dir, name).text, bytes_buf(text), 0644);
}

static int write_etc(const struct pod *pod, const struct pod_net *net, struct err *err)
{
	struct buf hosts = {0}, name = {0}, resolv = {0};
	int r;

	fill_hosts(pod, net, &hosts);
	buf_append_format(&name, "%s\n", pod->hostname);
	fill_resolv(pod, &resolv);
	r = replace_etc(pod, "hosts", &hosts);
	if (r == 0)
		r = replace_etc(pod, "hostname", &name);
	if (r == 0)
		r = replace_etc(pod, "resolv.conf", &resolv);
	buf_deinit(&hosts);
	buf_deinit(&name);
	buf_deinit(&resolv);
	return r < 0 ? err_set(err, r, "write %s/etc: %s", pod->dir, strerror(-r)) : 0;
}

/* Two versions of as many objects as a volume may have sources, each of 1 MiB at most. */
static const char projected_options[] = "mode=755,size=128m";

static int mount_tmpfs(const char *path, const char *options, struct err *err)
{
	if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
		return err_set(err, -errno, "mount %s: %s", path, strerror(errno));
	return 0;
}

static int make_shm(const struct pod *pod, struct err *err)
{
	return mount_tmpfs(path_format("%s/shm", pod->dir).text, "mode=1777,size=64m", err);
}

/* Everyone may write to an emptyDir, as in Kubernetes; with an fsGroup its files belong to that. */
static int own_volume(const struct pod *pod, const char *path, struct err *err)
{
	if (chmod(path, pod->spec->fs_group == POD_ID_UNSET ? 0777 : 02777) < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (pod->spec->fs_group != POD_ID_UNSET &&
	    chown(path, (uid_t)-1, (gid_t)pod->spec->fs_group) < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

/* Judge where the path truly leads: a link may have been put there since the policy was written. */
static int check_host_path(const struct pod *pod, const struct volume *volume, struct err *err)
{
	char *real = realpath(volume->host_path, NULL);
	int r = 0;

	if (!real)
		return err_set(err, -errno, "hostPath %.100s: %s", volume->host_path,
			       strerror(errno));
	if (!policy_allows_host_path(pod->pods->config.policy, real))
		r = err_set(err, -EACCES, "hostPath %.100s leads to %.60s, which is forbidden",
			    volume->host_path, real);
	free(real);
	return r;
}

static int make_volumes(const struct pod *pod, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < pod->spec->volume_count; i++) {
		const struct volume *volume = &pod->spec->volumes[i];
		struct path path = path_format("%s/volumes/%s", pod->dir, volume->name);
		struct path size = path_format("mode=777");

		if (volume->kind == VOLUME_HOST_PATH) {
			r = check_host_path(pod, volume, err);
			continue;
		}
		if (volume->kind == VOLUME_CLAIM)
			continue; /* pod_claims.c: when a steward has said that it is here */
		r = dir_make(path.text, 0755);
		if (r < 0)
			return err_set(err, r, "make %s: %s", path.text, strerror(-r));
		if (volume->size_bytes > 0)
			size = path_format("mode=777,size=%lld", (long long)volume->size_bytes);
		if (volume->kind == VOLUME_PROJECTED) {
			if (volume->in_memory)
				r = mount_tmpfs(path.text, projected_options, err);
			continue;
		}
		if (volume->kind == VOLUME_MEMORY)
			r = mount_tmpfs(path.text, size.text, err);
		if (r == 0)
			r = own_volume(pod, path.text, err);
	}
	return r;
}

int sandbox_make(struct pod *pod, struct pod_net *ret_net, struct err *err)
{
	struct pod_net net = {0};
	struct err without = {0};
	int r = make_dirs(pod, err);

	/* What the kernel cannot do is no reason to refuse the pod: it has no names then. */
	if (r == 0)
		sandbox_make_front(pod, &without);
	if (r == 0)
		r = sandbox_start_agent(pod, err);
	if (r == 0)
		r = make_network(pod, &net, err);
	if (r == 0)
		r = write_etc(pod, &net, err);
	if (r == 0)
		r = make_shm(pod, err);
	if (r == 0)
		r = make_volumes(pod, err);
	*ret_net = net;
	if (r == 0 && without.code)
		*err = without;
	return r;
}

static void unmount(const char *path)
{
	/* Not mounted, or never made: as it should be. */
	(void)umount2(path, MNT_DETACH);
}

/*
 * Everything is removed as far as possible; what could not be is named. Nothing of it depends on
 * how far the making came.
 */
int sandbox_close(struct pod *pod, struct err *err)
{
	struct path pins = path_format("%s/ns", pod->dir);
	struct pod_net net = pod_net_plan(&pod->uid, 0);
	int r = 0, one;

	for (size_t i = 0; i < pod->spec->container_count; i++)
		for (uint32_t run = pod->containers[i].run;; run--) {
			one = container_run_remove(&pod->containers[i], run, err);
			r = one < 0 ? one : r;
			/* The present run, and one before it whose end was being recorded. */
			if (run == 0 || run + 1 == pod->containers[i].run)
				break;
		}
	unmount(path_format("%s/shm", pod->dir).text);
	for (size_t i = 0; i < pod->spec->volume_count; i++)
		if (pod->spec->volumes[i].kind == VOLUME_MEMORY || pod->spec->volumes[i].in_memory)
			unmount(path_format("%s/volumes/%s", pod->dir, pod->spec->volumes[i].name)
					.text);
	if (json_object_get(pod->spec->annotations, KUBE_EGRESS))
		egress_release(net.link);
	host_ports_close(&net, kube_pod_spec(pod->spec->root));
	one = pod_net_remove(&net, err);
	r = one < 0 ? one : r;
	infra_kill(path_format("%s/infra.pid", pod->dir).text);
	one = infra_unpin(pins.text, err);
	r = one < 0 ? one : r;
	cgroup_remove_above(path_format("%s/any", pod->cgroup).text);
	one = tree_remove(path_format("%s/volumes", pod->dir).text);
	if (one < 0)
		r = err_set(err, one, "remove %s/volumes: %s", pod->dir, strerror(-one));
	return r;
}

int sandbox_remove(struct pod *pod, struct err *err)
{
	int r = sandbox_close(pod, err), one = tree_remove(pod->dir);

	if (one < 0)
		r = err_set(err, one, "remove %s: %s", pod->dir, strerror(-one));
	return r;
}
