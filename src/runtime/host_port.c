/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/host_port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kube/member.h"
#include "runtime/nft.h"

enum {
	PRIORITY_DESTINATION = -100, /* that of translating destinations */
	PORTS_MAX = 32,              /* of one pod: more the market takes from nobody */
	NAME_MAX_LEN = 32,           /* of a chain: a link's and more */
	IP4_BITS = 32,
};

static const char table[] = "magik";

/* From outside, and from the machine itself. */
static const struct {
	const char *name;
	int hook;
} ways[] = {{"in", NF_INET_PRE_ROUTING}, {"out", NF_INET_LOCAL_OUT}};

struct name {
	char text[NAME_MAX_LEN];
};

static struct name chain_of(const struct pod_net *net, size_t way)
{
	struct name name;

	(void)snprintf(name.text, sizeof(name.text), "%s-%s", net->link, ways[way].name);
	return name;
}

/* The address of the machine that is meant; any of them if none is named. */
static void put_place(struct nft_batch *batch, const char *host_ip)
{
	struct in_addr address;

	if (inet_pton(AF_INET, host_ip, &address) == 1 && address.s_addr != INADDR_ANY)
		nft_address(batch, NFT_DESTINATION, (const uint8_t *)&address, IP4_BITS, true);
	else
		nft_is_ours(batch);
}

static bool is_wanted(const json_t *port)
{
	int64_t outside = kube_member_int(port, "hostPort", 0);
	int64_t inside = kube_member_int(port, "containerPort", 0);
	const char *protocol = kube_member_string(port, "protocol");

	return outside > 0 && outside <= UINT16_MAX && inside > 0 && inside <= UINT16_MAX &&
	       !strchr(kube_member_string(port, "hostIP"), ':') &&
	       (!*protocol || strcmp(protocol, "TCP") == 0 || strcmp(protocol, "UDP") == 0);
}

static void put_port(struct nft_batch *batch, const char *chain, const json_t *port,
		     const uint8_t *pod)
{
	bool udp = strcmp(kube_member_string(port, "protocol"), "UDP") == 0;

	nft_rule_begin(batch, chain);
	nft_protocol(batch, udp ? IPPROTO_UDP : IPPROTO_TCP);
	nft_port(batch, (uint16_t)kube_member_int(port, "hostPort", 0));
	put_place(batch, kube_member_string(port, "hostIP"));
	nft_redirect(batch, pod, (uint16_t)kube_member_int(port, "containerPort", 0));
	nft_rule_end(batch);
}

/* Does the machine listen there itself? What belongs to its own programs no pod takes away. */
static bool is_taken(const json_t *port)
{
	bool udp = strcmp(kube_member_string(port, "protocol"), "UDP") == 0;
	struct sockaddr_in any = {.sin_family = AF_INET};
	int fd = socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0), on = 1;
	bool taken;

	if (fd < 0)
		return false;
	any.sin_port = htons((uint16_t)kube_member_int(port, "hostPort", 0));
	/* A connection that has ended there is in nobody's way. */
	if (!udp)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	taken = bind(fd, (const struct sockaddr *)&any, sizeof(any)) < 0 && errno == EADDRINUSE;
	(void)close(fd);
	return taken;
}

static int check_free(const json_t *spec, struct err *err)
{
	const json_t *container, *port;
	size_t i, k;

	json_array_foreach (json_object_get(spec, "containers"), i, container)
		json_array_foreach (json_object_get(container, "ports"), k, port)
			if (is_wanted(port) && is_taken(port))
				return err_set(err, -EADDRINUSE,
					       "hostPort %d: the machine itself listens there",
					       (int)kube_member_int(port, "hostPort", 0));
	return 0;
}

/* Write a rule for each that is wanted, if there is a @batch; how many there are. */
static size_t each_port(const json_t *spec, struct nft_batch *batch, const char *chain,
			const uint8_t *pod)
{
	const json_t *container, *port;
	size_t i, k, count = 0;

	json_array_foreach (json_object_get(spec, "containers"), i, container)
		json_array_foreach (json_object_get(container, "ports"), k, port) {
			if (!is_wanted(port) || count == PORTS_MAX)
				continue;
			count++;
			if (batch)
				put_port(batch, chain, port, pod);
		}
	return count;
}

int host_ports_open(const struct pod_net *net, const json_t *spec, struct err *err)
{
	struct nft_batch *batch;
	uint8_t pod[4];
	int r;

	if (each_port(spec, NULL, NULL, NULL) == 0)
		return 0;
	r = check_free(spec, err);
	if (r < 0)
		return r;
	if (inet_pton(AF_INET, net->ip4, pod) != 1)
		return err_set(err, -EINVAL, "hostPort: the pod has no address");
	batch = nft_batch_new(NFPROTO_IPV4, table);
	nft_table(batch);
	for (size_t way = 0; way < ARRAY_LEN(ways); way++) {
		struct name chain = chain_of(net, way);

		nft_chain(batch, chain.text, "nat", ways[way].hook, PRIORITY_DESTINATION);
		nft_chain_flush(batch, chain.text);
		(void)each_port(spec, batch, chain.text, pod);
	}
	r = nft_batch_send(batch);
	return r < 0 ? err_set(err, r, "hostPort: %s", strerror(-r)) : 0;
}

void host_ports_close(const struct pod_net *net, const json_t *spec)
{
	struct nft_batch *batch;

	if (each_port(spec, NULL, NULL, NULL) == 0)
		return;
	batch = nft_batch_new(NFPROTO_IPV4, table);
	for (size_t way = 0; way < ARRAY_LEN(ways); way++)
		nft_chain_remove(batch, chain_of(net, way).text);
	(void)!nft_batch_send(batch); /* -ENOENT: they were not made */
}
