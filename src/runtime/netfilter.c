/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why not libnftables: it reads rules as text, with a parser that is not made for threads, to say
 * in the end what takes three messages to say.
 */
#include "runtime/netfilter.h"

#include <arpa/inet.h>
#include <errno.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "base/err.h"

enum {
	BATCH_MAX = 1024, /* five messages, half of it */
	ANSWER_MAX = 4096,
	PRIORITY = -150, /* that of mangling, before any translation of addresses */
};

static const char table[] = "front";
static const char chain[] = "capture";

/* Messages that take effect all together or not at all. */
struct batch {
	_Alignas(NLMSG_ALIGNTO) char space[BATCH_MAX];
	size_t len;
};

static struct nlmsghdr *start(struct batch *batch, int type, int flags, int family, int resource)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(batch->space + batch->len);
	struct nfgenmsg *generic;

	header->nlmsg_type = (uint16_t)type;
	header->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	generic = mnl_nlmsg_put_extra_header(header, sizeof(*generic));
	generic->nfgen_family = (uint8_t)family;
	generic->version = NFNETLINK_V0;
	generic->res_id = htons((uint16_t)resource);
	return header;
}

static void finish(struct batch *batch, const struct nlmsghdr *header)
{
	batch->len += (header->nlmsg_len + NLMSG_ALIGNTO - 1) & ~(size_t)(NLMSG_ALIGNTO - 1);
}

static struct nlmsghdr *start_part(struct batch *batch, int message, int flags, int family)
{
	return start(batch, NFNL_SUBSYS_NFTABLES << 8 | message, NLM_F_CREATE | flags, family, 0);
}

static void put_mark(struct batch *batch, int type)
{
	finish(batch, start(batch, type, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
}

static void put_table(struct batch *batch, int family)
{
	struct nlmsghdr *header = start_part(batch, NFT_MSG_NEWTABLE, 0, family);

	mnl_attr_put_strz(header, NFTA_TABLE_NAME, table);
	finish(batch, header);
}

static void put_chain(struct batch *batch, int family)
{
	struct nlmsghdr *header = start_part(batch, NFT_MSG_NEWCHAIN, 0, family);
	struct nlattr *hook;

	mnl_attr_put_strz(header, NFTA_CHAIN_TABLE, table);
	mnl_attr_put_strz(header, NFTA_CHAIN_NAME, chain);
	hook = mnl_attr_nest_start(header, NFTA_CHAIN_HOOK);
	mnl_attr_put_u32(header, NFTA_HOOK_HOOKNUM, htonl(NF_INET_PRE_ROUTING));
	mnl_attr_put_u32(header, NFTA_HOOK_PRIORITY, htonl((uint32_t)PRIORITY));
	mnl_attr_nest_end(header, hook);
	mnl_attr_put_u32(header, NFTA_CHAIN_POLICY, htonl(NF_ACCEPT));
	mnl_attr_put_strz(header, NFTA_CHAIN_TYPE, "filter");
	finish(batch, header);
}

/* Into register 1: the port, as it travels. */
static void put_port(struct nlmsghdr *header, uint16_t port)
{
	struct nlattr *part = mnl_attr_nest_start(header, NFTA_LIST_ELEM), *data, *value;
	uint16_t bytes = htons(port);

	mnl_attr_put_strz(header, NFTA_EXPR_NAME, "immediate");
	data = mnl_attr_nest_start(header, NFTA_EXPR_DATA);
	mnl_attr_put_u32(header, NFTA_IMMEDIATE_DREG, htonl(NFT_REG_1));
	value = mnl_attr_nest_start(header, NFTA_IMMEDIATE_DATA);
	mnl_attr_put(header, NFTA_DATA_VALUE, sizeof(bytes), &bytes);
	mnl_attr_nest_end(header, value);
	mnl_attr_nest_end(header, data);
	mnl_attr_nest_end(header, part);
}

static void put_proxy(struct nlmsghdr *header, int family)
{
	struct nlattr *part = mnl_attr_nest_start(header, NFTA_LIST_ELEM), *data;

	mnl_attr_put_strz(header, NFTA_EXPR_NAME, "tproxy");
	data = mnl_attr_nest_start(header, NFTA_EXPR_DATA);
	mnl_attr_put_u32(header, NFTA_TPROXY_FAMILY, htonl((uint32_t)family));
	mnl_attr_put_u32(header, NFTA_TPROXY_REG_PORT, htonl(NFT_REG_1));
	mnl_attr_nest_end(header, data);
	mnl_attr_nest_end(header, part);
}

/* The expression takes what is neither TCP nor UDP for no match by itself. */
static void put_rule(struct batch *batch, int family, uint16_t port)
{
	struct nlmsghdr *header =
		start_part(batch, NFT_MSG_NEWRULE, NLM_F_APPEND | NLM_F_ACK, family);
	struct nlattr *list;

	mnl_attr_put_strz(header, NFTA_RULE_TABLE, table);
	mnl_attr_put_strz(header, NFTA_RULE_CHAIN, chain);
	list = mnl_attr_nest_start(header, NFTA_RULE_EXPRESSIONS);
	put_port(header, port);
	put_proxy(header, family);
	mnl_attr_nest_end(header, list);
	finish(batch, header);
}

/* The last message asks for an answer; one that fails has one in any case, which comes first. */
static int batch_send(struct mnl_socket *socket, const struct batch *batch)
{
	char answer[ANSWER_MAX];
	ssize_t len;

	if (mnl_socket_sendto(socket, batch->space, batch->len) < 0)
		return err_origin(-errno);
	do {
		len = mnl_socket_recvfrom(socket, answer, sizeof(answer));
		if (len < 0)
			return err_origin(-errno);
		len = mnl_cb_run(answer, (size_t)len, 0, mnl_socket_get_portid(socket), NULL, NULL);
	} while (len > 0);
	return len < 0 ? err_origin(-errno) : 0;
}

static int capture(int family, uint16_t port)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	struct batch batch = {.len = 0};
	int r = 0;

	if (!socket)
		return err_origin(-errno);
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
		r = err_origin(-errno);
	put_mark(&batch, NFNL_MSG_BATCH_BEGIN);
	put_table(&batch, family);
	put_chain(&batch, family);
	put_rule(&batch, family, port);
	put_mark(&batch, NFNL_MSG_BATCH_END);
	if (r == 0)
		r = batch_send(socket, &batch);
	(void)mnl_socket_close(socket);
	return r;
}

int netfilter_capture(uint16_t port)
{
	int r = capture(NFPROTO_IPV4, port);

	if (r == 0)
		(void)capture(NFPROTO_IPV6, port);
	return r;
}
