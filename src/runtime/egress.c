/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/egress.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "runtime/nft.h"

enum {
	PRIORITY_ARRIVAL = -150, /* before addresses are translated, when conversations are known */
	PRIORITY_FILTER = 0,
	PRIORITY_SOURCE = 100, /* that of translating sources */
};

static const char table[] = "magik";
static const char guard[] = "magik-guard";
static const char links[] = "mk*"; /* of all pods */
static const char forward_file[] = "/proc/sys/net/ipv4/ip_forward";

/* Pods' addresses: pod_net.c. */
static const uint8_t pods4[] = {169, 254, 0, 0};
static const uint8_t pods6[16] = {0xfd, 0x6d, 0x61, 0x67, 0x69, 0x6b};
/* What neighbours say to each other, without which not even the way out is found. */
static const uint8_t neighbours6[16] = {0xff, 0x02};
static const uint8_t gateway6[16] = {0xfe, 0x80, [15] = 1};

enum {
	PODS4_BITS = 16,
	PODS6_BITS = 48,
	NEIGHBOURS6_BITS = 16,
	IP6_BITS = 128,
};

static void put_source(struct nft_batch *batch, int family, bool of_pods)
{
	bool is_v4 = family == NFPROTO_IPV4;

	nft_address(batch, NFT_SOURCE, is_v4 ? pods4 : pods6, is_v4 ? PODS4_BITS : PODS6_BITS,
		    of_pods);
}

/* A rule about links: from those of pods, to those of pods. */
static void begin(struct nft_batch *batch, bool from, bool to)
{
	nft_rule_begin(batch, "forward");
	if (from)
		nft_interface(batch, NFT_SOURCE, links);
	if (to)
		nft_interface(batch, NFT_DESTINATION, links);
}

static void end(struct nft_batch *batch, int verdict)
{
	nft_verdict(batch, verdict);
	nft_rule_end(batch);
}

static void put_forward(struct nft_batch *batch, int family)
{
	nft_chain(batch, "forward", "filter", NF_INET_FORWARD, PRIORITY_FILTER);
	nft_chain_flush(batch, "forward");
	begin(batch, true, false);
	put_source(batch, family, false); /* in another's name */
	end(batch, NF_DROP);
	begin(batch, true, true);
	end(batch, NF_DROP);
	begin(batch, true, false);
	end(batch, NF_ACCEPT);
	begin(batch, false, true);
	nft_established(batch);
	end(batch, NF_ACCEPT);
	begin(batch, false, true);
	nft_redirected(batch); /* by host_port.c */
	end(batch, NF_ACCEPT);
	begin(batch, false, true);
	end(batch, NF_DROP);
}

static int enable(int family)
{
	struct nft_batch *batch = nft_batch_new(family, table);

	nft_table(batch);
	put_forward(batch, family);
	nft_chain(batch, "source", "nat", NF_INET_POST_ROUTING, PRIORITY_SOURCE);
	nft_chain_flush(batch, "source");
	nft_rule_begin(batch, "source");
	put_source(batch, family, true);
	nft_masquerade(batch);
	nft_rule_end(batch);
	return nft_batch_send(batch);
}

/* Nothing is passed on for others than pods. */
static int enable_guard(void)
{
	struct nft_batch *batch = nft_batch_new(NFPROTO_IPV4, guard);

	nft_table(batch);
	nft_chain(batch, "forward", "filter", NF_INET_FORWARD, PRIORITY_FILTER);
	nft_chain_flush(batch, "forward");
	begin(batch, true, false);
	end(batch, NF_ACCEPT);
	begin(batch, false, true);
	end(batch, NF_ACCEPT);
	begin(batch, false, false);
	end(batch, NF_DROP);
	return nft_batch_send(batch);
}

/* Pass packets on, unless this machine does so already. */
static int forward(void)
{
	int fd = open(forward_file, O_RDWR | O_CLOEXEC), r = 0;
	char now = '0';

	if (fd < 0)
		return err_origin(-errno);
	if (read(fd, &now, 1) != 1)
		r = err_origin(-EIO);
	if (r == 0 && now == '0') {
		r = enable_guard();
		if (r == 0 && pwrite(fd, "1", 1, 0) != 1)
			r = err_origin(-errno);
	}
	(void)close(fd);
	return r;
}

int egress_enable(struct err *err)
{
	int r = enable(NFPROTO_IPV4);

	if (r == 0)
		(void)!enable(NFPROTO_IPV6); /* without IPv6 there is nothing to be passed on */
	if (r == 0)
		r = forward();
	return r < 0 ? err_set(err, r, "pass on what pods send: %s", strerror(-r)) : 0;
}

static bool has_links(void)
{
	struct if_nameindex *all = if_nameindex();
	bool found = !all; /* who cannot look takes nothing away */

	for (const struct if_nameindex *one = all; !found && one->if_index != 0; one++)
		found = strncmp(one->if_name, links, strlen(links) - 1) == 0;
	if (all)
		if_freenameindex(all);
	return found;
}

static int remove_table(int family, const char *name)
{
	struct nft_batch *batch = nft_batch_new(family, name);

	nft_table_remove(batch);
	return nft_batch_send(batch);
}

void egress_disable(void)
{
	int fd;

	if (has_links())
		return;
	(void)!remove_table(NFPROTO_IPV4, table);
	(void)!remove_table(NFPROTO_IPV6, table);
	fd = open(forward_file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	/* The guard is there where we have begun to pass things on. */
	if (remove_table(NFPROTO_IPV4, guard) == 0)
		(void)!pwrite(fd, "0", 1, 0);
	(void)close(fd);
}

/* ---- one pod ---- */

/* Packets that come by @link, or by none: the end of a chain decides. */
static void arrive(struct nft_batch *batch, const char *link)
{
	nft_rule_begin(batch, link);
	nft_interface(batch, NFT_SOURCE, link);
}

static void put_neighbours(struct nft_batch *batch, const char *link)
{
	arrive(batch, link);
	nft_protocol(batch, IPPROTO_ICMPV6);
	nft_address(batch, NFT_DESTINATION, neighbours6, NEIGHBOURS6_BITS, true);
	end(batch, NF_ACCEPT);
	arrive(batch, link);
	nft_protocol(batch, IPPROTO_ICMPV6);
	nft_address(batch, NFT_DESTINATION, gateway6, IP6_BITS, true);
	end(batch, NF_ACCEPT);
}

static int restrict_family(int family, const char *link, const struct kube_egress *egress)
{
	struct nft_batch *batch = nft_batch_new(family, table);

	nft_table(batch);
	nft_chain(batch, link, "filter", NF_INET_PRE_ROUTING, PRIORITY_ARRIVAL);
	nft_chain_flush(batch, link);
	arrive(batch, link);
	nft_established(batch);
	end(batch, NF_ACCEPT);
	if (family == NFPROTO_IPV6)
		put_neighbours(batch, link);
	for (size_t i = 0; i < egress->count; i++) {
		const struct kube_network *network = &egress->list[i];

		if (network->ip.is_v4 != (family == NFPROTO_IPV4))
			continue;
		arrive(batch, link);
		nft_address(batch, NFT_DESTINATION, addr_ip(&network->ip).ptr, network->prefix,
			    true);
		end(batch, NF_ACCEPT);
	}
	arrive(batch, link);
	end(batch, NF_DROP);
	return nft_batch_send(batch);
}

int egress_restrict(const char *link, const struct kube_egress *egress, struct err *err)
{
	int r = egress->all ? 0 : restrict_family(NFPROTO_IPV4, link, egress);

	if (r == 0 && !egress->all) {
		r = restrict_family(NFPROTO_IPV6, link, egress);
		if (r == -EAFNOSUPPORT || r == -EOPNOTSUPP)
			r = 0; /* without IPv6 nothing is reached by it */
	}
	return r < 0 ? err_set(err, r, "restrict what the pod reaches: %s", strerror(-r)) : 0;
}

static void release(int family, const char *link)
{
	struct nft_batch *batch = nft_batch_new(family, table);

	nft_chain_remove(batch, link);
	(void)!nft_batch_send(batch); /* -ENOENT: it was not restricted */
}

void egress_release(const char *link)
{
	release(NFPROTO_IPV4, link);
	release(NFPROTO_IPV6, link);
}
