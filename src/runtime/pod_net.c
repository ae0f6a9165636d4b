/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/pod_net.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "runtime/netlink.h"

enum {
	/* With 110 pods among 65,000 addresses, a second try is rare already. */
	ATTEMPTS_MAX = 16,
	IP6_PREFIX_LEN = 6,
};

/* fd6d:6167:696b::/48; the letters of "magik" behind the prefix of unique local addresses. */
static const uint8_t ip6_prefix[IP6_PREFIX_LEN] = {0xfd, 0x6d, 0x61, 0x67, 0x69, 0x6b};

static const struct netlink_address gateway6 = {
	.family = AF_INET6, .bytes = {0xfe, 0x80, [15] = 1}, .prefix = 64};
static const struct netlink_address gateway4 = {
	.family = AF_INET, .bytes = {169, 254, 0, 1}, .prefix = 32};

static void uid_hash(const struct uid *pod_uid, uint8_t hash[32])
{
	int r = gnutls_hash_fast(GNUTLS_DIG_SHA256, pod_uid->byte, sizeof(pod_uid->byte), hash);

	assert(r == 0);
	(void)r;
}

static struct netlink_address plan6(const uint8_t hash[32])
{
	struct netlink_address address = {.family = AF_INET6, .prefix = 128};

	memcpy(address.bytes, ip6_prefix, IP6_PREFIX_LEN);
	memcpy(address.bytes + IP6_PREFIX_LEN, hash, 16 - IP6_PREFIX_LEN);
	return address;
}

/* RFC 3927 reserves the first and last 256 addresses of 169.254/16; the gateway is among them. */
static struct netlink_address plan4(const uint8_t hash[32], unsigned attempt)
{
	enum {
		FIRST = 256,
		COUNT = 65536 - 512,
	};
	unsigned start = (unsigned)hash[10] << 8 | hash[11];
	unsigned host = FIRST + (start + attempt * 257u) % COUNT;

	/* 169.254.169.254 is where clouds serve their metadata: never a pod. */
	if (host == (169u << 8 | 254u))
		host++;
	return (struct netlink_address){
		.family = AF_INET,
		.bytes = {169, 254, (uint8_t)(host >> 8), (uint8_t)host},
		.prefix = 32,
	};
}

struct pod_net pod_net_plan(const struct uid *pod_uid, unsigned attempt)
{
	struct netlink_address ip6, ip4;
	struct pod_net net;
	uint8_t hash[32];

	uid_hash(pod_uid, hash);
	ip6 = plan6(hash);
	ip4 = plan4(hash, attempt);
	(void)snprintf(net.link, sizeof(net.link), "mk%02x%02x%02x%02x%02x%02x", hash[0], hash[1],
		       hash[2], hash[3], hash[4], hash[5]);
	(void)inet_ntop(AF_INET6, ip6.bytes, net.ip6, sizeof(net.ip6));
	(void)inet_ntop(AF_INET, ip4.bytes, net.ip4, sizeof(net.ip4));
	return net;
}

static int configure_pod(struct mnl_socket *inside, const uint8_t hash[32], unsigned attempt,
			 bool has_ip6)
{
	const struct netlink_address any6 = {.family = AF_INET6}, any4 = {.family = AF_INET};
	struct netlink_address ip6 = plan6(hash), ip4 = plan4(hash, attempt);
	int r = netlink_link_up(inside, "eth0");

	if (r == 0)
		r = netlink_address_add(inside, "eth0", &ip4);
	if (r == 0)
		r = netlink_route_add(inside, "eth0", &any4, &gateway4);
	if (r == 0 && has_ip6)
		r = netlink_address_add(inside, "eth0", &ip6);
	if (r == 0 && has_ip6)
		r = netlink_route_add(inside, "eth0", &any6, &gateway6);
	return r;
}

/* The machine's end; *ret_has_ip6 tells whether the kernel speaks IPv6 there. */
static int configure_machine(struct mnl_socket *outside, const char *link, const uint8_t hash[32],
			     unsigned *ret_attempt, bool *ret_has_ip6)
{
	struct netlink_address ip6 = plan6(hash);
	unsigned attempt = 0;
	int r = netlink_link_up(outside, link);

	if (r == 0)
		r = netlink_address_add(outside, link, &gateway4);
	if (r < 0)
		return r;
	do {
		struct netlink_address ip4 = plan4(hash, attempt);

		r = netlink_route_add(outside, link, &ip4, NULL);
	} while (r == -EEXIST && ++attempt < ATTEMPTS_MAX);
	if (r < 0)
		return r;
	*ret_attempt = attempt;
	*ret_has_ip6 = netlink_address_add(outside, link, &gateway6) == 0;
	return *ret_has_ip6 ? netlink_route_add(outside, link, &ip6, NULL) : 0;
}

int pod_net_create(const struct uid *pod_uid, int netns, struct pod_net *ret_net, struct err *err)
{
	struct mnl_socket *outside, *inside = NULL;
	struct pod_net net = pod_net_plan(pod_uid, 0);
	bool has_ip6 = false;
	unsigned attempt = 0;
	uint8_t hash[32];
	int r;

	uid_hash(pod_uid, hash);
	r = netlink_open(&outside);
	if (r < 0)
		return err_set(err, r, "netlink: %s", strerror(-r));
	r = netlink_veth_add(outside, net.link, "eth0", netns, 0);
	if (r < 0) {
		netlink_close(outside);
		return err_set(err, r, "create link %s: %s", net.link, strerror(-r));
	}
	r = configure_machine(outside, net.link, hash, &attempt, &has_ip6);
	if (r == 0)
		r = netlink_open_in(netns, &inside);
	if (r == 0) {
		r = configure_pod(inside, hash, attempt, has_ip6);
		netlink_close(inside);
	}
	if (r < 0)
		(void)!netlink_link_remove(outside, net.link);
	netlink_close(outside);
	if (r < 0)
		return err_set(err, r, "set up link %s: %s", net.link, strerror(-r));
	*ret_net = pod_net_plan(pod_uid, attempt);
	if (!has_ip6)
		ret_net->ip6[0] = '\0';
	return 0;
}

int pod_net_remove(const struct pod_net *net, struct err *err)
{
	struct mnl_socket *outside;
	int r;

	if (net->link[0] == '\0')
		return 0;
	r = netlink_open(&outside);
	if (r == 0) {
		r = netlink_link_remove(outside, net->link);
		netlink_close(outside);
	}
	if (r < 0 && r != -ENODEV)
		return err_set(err, r, "remove link %s: %s", net->link, strerror(-r));
	return 0;
}

const char *pod_net_ip(const struct pod_net *net)
{
	return net->ip6[0] != '\0' ? net->ip6 : net->ip4;
}
