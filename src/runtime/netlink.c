/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/netlink.h"

#include <assert.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include "base/err.h"
#include "runtime/netns.h"

enum {
	REQUEST_MAX = 1024, /* our largest request takes a third of it */
	ANSWER_MAX = 4096,  /* one link, with its statistics, takes half of it */
};

/* Aligned as netlink messages must be. */
struct request {
	_Alignas(NLMSG_ALIGNTO) char space[REQUEST_MAX];
};

int netlink_open(struct mnl_socket **ret_socket)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);

	if (!socket)
		return err_origin(-errno);
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		int r = err_origin(-errno);

		(void)mnl_socket_close(socket);
		return r;
	}
	*ret_socket = socket;
	return 0;
}

int netlink_open_in(int netns, struct mnl_socket **ret_socket)
{
	int own, r = netns_enter(netns, &own);

	if (r < 0)
		return r;
	r = netlink_open(ret_socket);
	netns_leave(own);
	return r;
}

void netlink_close(struct mnl_socket *socket)
{
	(void)mnl_socket_close(socket);
}

static struct nlmsghdr *request_start(struct request *request, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(request->space);

	header->nlmsg_type = type;
	header->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	header->nlmsg_seq = 1;
	return header;
}

static int request_send(struct mnl_socket *socket, const struct nlmsghdr *header)
{
	char answer[ANSWER_MAX];
	ssize_t len;

	assert(header->nlmsg_len <= REQUEST_MAX);
	if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
		return err_origin(-errno);
	do {
		len = mnl_socket_recvfrom(socket, answer, sizeof(answer));
		if (len < 0)
			return err_origin(-errno);
		len = mnl_cb_run(answer, (size_t)len, 1, mnl_socket_get_portid(socket), NULL, NULL);
	} while (len > 0);
	return len < 0 ? err_origin(-errno) : 0;
}

static struct ifinfomsg *put_link(struct nlmsghdr *header, int index)
{
	struct ifinfomsg *link = mnl_nlmsg_put_extra_header(header, sizeof(*link));

	link->ifi_family = AF_UNSPEC;
	link->ifi_index = index;
	return link;
}

/*
 * No address of its own making: an automatic link-local address spends a second in duplicate
 * detection, and nobody uses it.
 */
static void put_no_automatic_address(struct nlmsghdr *header)
{
	struct nlattr *family = mnl_attr_nest_start(header, IFLA_AF_SPEC);
	struct nlattr *inet6 = mnl_attr_nest_start(header, AF_INET6);

	mnl_attr_put_u8(header, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(header, inet6);
	mnl_attr_nest_end(header, family);
}

int netlink_veth_add(struct mnl_socket *socket, const char *name, const char *peer, int netns,
		     uint32_t mtu)
{
	struct request request;
	struct nlmsghdr *header = request_start(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	struct nlattr *info, *data, *other;

	(void)put_link(header, 0);
	mnl_attr_put_strz(header, IFLA_IFNAME, name);
	if (mtu > 0)
		mnl_attr_put_u32(header, IFLA_MTU, mtu);
	info = mnl_attr_nest_start(header, IFLA_LINKINFO);
	mnl_attr_put_strz(header, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(header, IFLA_INFO_DATA);
	other = mnl_attr_nest_start(header, VETH_INFO_PEER);
	(void)put_link(header, 0);
	mnl_attr_put_strz(header, IFLA_IFNAME, peer);
	if (mtu > 0)
		mnl_attr_put_u32(header, IFLA_MTU, mtu);
	mnl_attr_put_u32(header, IFLA_NET_NS_FD, (uint32_t)netns);
	mnl_attr_nest_end(header, other);
	mnl_attr_nest_end(header, data);
	mnl_attr_nest_end(header, info);
	return request_send(socket, header);
}

/* if_nametoindex() asks in the thread's namespace, which need not be the socket's. */
static int on_link(const struct nlmsghdr *header, void *ctx)
{
	const struct ifinfomsg *link = mnl_nlmsg_get_payload(header);
	int *index = ctx;

	*index = link->ifi_index;
	return MNL_CB_OK;
}

static int link_index(struct mnl_socket *socket, const char *name, int *ret_index)
{
	char answer[ANSWER_MAX];
	struct request request;
	struct nlmsghdr *header = mnl_nlmsg_put_header(request.space);
	ssize_t len;

	header->nlmsg_type = RTM_GETLINK;
	header->nlmsg_flags = NLM_F_REQUEST;
	header->nlmsg_seq = 1;
	(void)put_link(header, 0);
	mnl_attr_put_strz(header, IFLA_IFNAME, name);
	if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
		return err_origin(-errno);
	*ret_index = 0;
	len = mnl_socket_recvfrom(socket, answer, sizeof(answer));
	if (len < 0 || mnl_cb_run(answer, (size_t)len, 1, mnl_socket_get_portid(socket), on_link,
				  ret_index) < 0)
		return err_origin(-errno);
	return *ret_index > 0 ? 0 : err_origin(-ENODEV);
}

int netlink_link_up(struct mnl_socket *socket, const char *name)
{
	struct request request;
	struct nlmsghdr *header;
	struct ifinfomsg *link;
	int index, r;

	r = link_index(socket, name, &index);
	if (r < 0)
		return r;
	/* In a request of its own, because a kernel without IPv6 refuses it. */
	header = request_start(&request, RTM_NEWLINK, 0);
	(void)put_link(header, index);
	put_no_automatic_address(header);
	(void)request_send(socket, header);
	header = request_start(&request, RTM_NEWLINK, 0);
	link = put_link(header, index);
	link->ifi_flags = IFF_UP;
	link->ifi_change = IFF_UP;
	return request_send(socket, header);
}

int netlink_link_remove(struct mnl_socket *socket, const char *name)
{
	struct request request;
	struct nlmsghdr *header = request_start(&request, RTM_DELLINK, 0);

	(void)put_link(header, 0);
	mnl_attr_put_strz(header, IFLA_IFNAME, name);
	return request_send(socket, header);
}

static size_t address_len(const struct netlink_address *address)
{
	return address->family == AF_INET ? 4 : 16;
}

int netlink_address_add(struct mnl_socket *socket, const char *name,
			const struct netlink_address *address)
{
	struct request request;
	struct nlmsghdr *header;
	struct ifaddrmsg *message;
	int index, r;

	r = link_index(socket, name, &index);
	if (r < 0)
		return r;
	header = request_start(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
	message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
	message->ifa_family = (uint8_t)address->family;
	message->ifa_prefixlen = address->prefix;
	message->ifa_index = (uint32_t)index;
	message->ifa_scope = RT_SCOPE_UNIVERSE;
	/* Duplicates are impossible on a link with two ends, both of them ours. */
	message->ifa_flags = address->family == AF_INET6 ? IFA_F_NODAD : 0;
	mnl_attr_put(header, IFA_LOCAL, address_len(address), address->bytes);
	mnl_attr_put(header, IFA_ADDRESS, address_len(address), address->bytes);
	return request_send(socket, header);
}

static int route_add(struct mnl_socket *socket, const char *name, const struct netlink_address *to,
		     const struct netlink_address *via, uint8_t table)
{
	struct request request;
	struct nlmsghdr *header;
	struct rtmsg *route;
	int index, r;

	r = link_index(socket, name, &index);
	if (r < 0)
		return r;
	header = request_start(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
	route = mnl_nlmsg_put_extra_header(header, sizeof(*route));
	route->rtm_family = (uint8_t)to->family;
	route->rtm_dst_len = to->prefix;
	route->rtm_table = table;
	route->rtm_protocol = RTPROT_STATIC;
	route->rtm_type = RTN_UNICAST;
	route->rtm_scope = via || to->family == AF_INET6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	if (to->prefix > 0)
		mnl_attr_put(header, RTA_DST, address_len(to), to->bytes);
	mnl_attr_put_u32(header, RTA_OIF, (uint32_t)index);
	if (via) {
		/* The gateway is on this link whatever its addresses say. */
		route->rtm_flags = RTNH_F_ONLINK;
		mnl_attr_put(header, RTA_GATEWAY, address_len(via), via->bytes);
	}
	return request_send(socket, header);
}

int netlink_route_add(struct mnl_socket *socket, const char *name, const struct netlink_address *to,
		      const struct netlink_address *via)
{
	return route_add(socket, name, to, via, RT_TABLE_MAIN);
}

int netlink_exception_add(struct mnl_socket *socket, const char *name,
			  const struct netlink_address *to, const struct netlink_address *via)
{
	return route_add(socket, name, to, via, RT_TABLE_LOCAL);
}

int netlink_local_add(struct mnl_socket *socket, const struct netlink_address *to)
{
	struct request request;
	struct nlmsghdr *header;
	struct rtmsg *route;
	int index, r;

	r = link_index(socket, "lo", &index);
	if (r < 0)
		return r;
	header = request_start(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
	route = mnl_nlmsg_put_extra_header(header, sizeof(*route));
	route->rtm_family = (uint8_t)to->family;
	route->rtm_dst_len = to->prefix;
	route->rtm_table = RT_TABLE_LOCAL;
	route->rtm_protocol = RTPROT_STATIC;
	route->rtm_type = RTN_LOCAL;
	route->rtm_scope = RT_SCOPE_HOST;
	mnl_attr_put(header, RTA_DST, address_len(to), to->bytes);
	mnl_attr_put_u32(header, RTA_OIF, (uint32_t)index);
	return request_send(socket, header);
}
