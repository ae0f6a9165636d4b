/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why not libnftables: it reads rules as text, with a parser that is not made for threads, to say
 * in the end what takes a few messages to say.
 */
#include "runtime/nft.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>

#include "base/err.h"
#include "base/mem.h"

enum {
	BATCH_MAX = 64 * 1024, /* a pod's rules with all the networks it may have: 20 KiB */
	MESSAGE_MAX = 1024,    /* one rule: half of it */
	ANSWER_MAX = 4096,
	SOURCE_AT4 = 12, /* in the header of IPv4 */
	SOURCE_AT6 = 8,  /* in that of IPv6 */
	PORT_AT = 2,     /* of the destination, in the headers of TCP and UDP */
	IP4_LEN = 4,
	IP6_LEN = 16,
};

struct nft_batch {
	_Alignas(NLMSG_ALIGNTO) char space[BATCH_MAX];
	size_t len;
	int family;
	const char *table;
	struct nlmsghdr *last; /* the one that asks for an answer */
	struct nlattr *list;   /* of the rule that is being written */
};

/* ---- messages ---- */

static struct nlmsghdr *start(struct nft_batch *batch, int type, int flags, int family,
			      int resource)
{
	struct nlmsghdr *header;
	struct nfgenmsg *generic;

	assert(batch->len + MESSAGE_MAX <= BATCH_MAX);
	header = mnl_nlmsg_put_header(batch->space + batch->len);
	header->nlmsg_type = (uint16_t)type;
	header->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	generic = mnl_nlmsg_put_extra_header(header, sizeof(*generic));
	generic->nfgen_family = (uint8_t)family;
	generic->version = NFNETLINK_V0;
	generic->res_id = htons((uint16_t)resource);
	return header;
}

static void finish(struct nft_batch *batch, const struct nlmsghdr *header)
{
	assert(header->nlmsg_len <= MESSAGE_MAX);
	batch->len += (header->nlmsg_len + NLMSG_ALIGNTO - 1) & ~(size_t)(NLMSG_ALIGNTO - 1);
}

static struct nlmsghdr *start_part(struct nft_batch *batch, int message, int flags)
{
	batch->last = start(batch, NFNL_SUBSYS_NFTABLES << 8 | message, flags, batch->family, 0);
	return batch->last;
}

static void put_mark(struct nft_batch *batch, int type)
{
	finish(batch, start(batch, type, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
}

struct nft_batch *nft_batch_new(int family, const char *table)
{
	struct nft_batch *batch = mem_new(struct nft_batch);

	batch->family = family;
	batch->table = table;
	put_mark(batch, NFNL_MSG_BATCH_BEGIN);
	return batch;
}

/* The last message asks for an answer; one that fails has one in any case, which comes first. */
static int converse(struct mnl_socket *socket, const struct nft_batch *batch)
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

int nft_batch_send(struct nft_batch *batch)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	int r = socket ? 0 : err_origin(-errno);

	assert(batch->last);
	batch->last->nlmsg_flags |= NLM_F_ACK;
	put_mark(batch, NFNL_MSG_BATCH_END);
	if (r == 0 && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
		r = err_origin(-errno);
	if (r == 0)
		r = converse(socket, batch);
	if (socket)
		(void)mnl_socket_close(socket);
	free(batch);
	return r;
}

/* ---- tables and chains ---- */

void nft_table(struct nft_batch *batch)
{
	struct nlmsghdr *header = start_part(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE);

	mnl_attr_put_strz(header, NFTA_TABLE_NAME, batch->table);
	finish(batch, header);
}

void nft_table_remove(struct nft_batch *batch)
{
	struct nlmsghdr *header = start_part(batch, NFT_MSG_DELTABLE, 0);

	mnl_attr_put_strz(header, NFTA_TABLE_NAME, batch->table);
	finish(batch, header);
}

void nft_chain(struct nft_batch *batch, const char *chain, const char *type, int hook, int priority)
{
	struct nlmsghdr *header = start_part(batch, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	struct nlattr *place;

	mnl_attr_put_strz(header, NFTA_CHAIN_TABLE, batch->table);
	mnl_attr_put_strz(header, NFTA_CHAIN_NAME, chain);
	place = mnl_attr_nest_start(header, NFTA_CHAIN_HOOK);
	mnl_attr_put_u32(header, NFTA_HOOK_HOOKNUM, htonl((uint32_t)hook));
	mnl_attr_put_u32(header, NFTA_HOOK_PRIORITY, htonl((uint32_t)priority));
	mnl_attr_nest_end(header, place);
	mnl_attr_put_u32(header, NFTA_CHAIN_POLICY, htonl(NF_ACCEPT));
	mnl_attr_put_strz(header, NFTA_CHAIN_TYPE, type);
	finish(batch, header);
}

void nft_chain_flush(struct nft_batch *batch, const char *chain)
{
	struct nlmsghdr *header = start_part(batch, NFT_MSG_DELRULE, 0);

	mnl_attr_put_strz(header, NFTA_RULE_TABLE, batch->table);
	mnl_attr_put_strz(header, NFTA_RULE_CHAIN, chain);
	finish(batch, header);
}

void nft_chain_remove(struct nft_batch *batch, const char *chain)
{
	struct nlmsghdr *header;

	nft_chain_flush(batch, chain);
	header = start_part(batch, NFT_MSG_DELCHAIN, 0);
	mnl_attr_put_strz(header, NFTA_CHAIN_TABLE, batch->table);
	mnl_attr_put_strz(header, NFTA_CHAIN_NAME, chain);
	finish(batch, header);
}

/* ---- rules ---- */

void nft_rule_begin(struct nft_batch *batch, const char *chain)
{
	struct nlmsghdr *header = start_part(batch, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);

	mnl_attr_put_strz(header, NFTA_RULE_TABLE, batch->table);
	mnl_attr_put_strz(header, NFTA_RULE_CHAIN, chain);
	batch->list = mnl_attr_nest_start(header, NFTA_RULE_EXPRESSIONS);
}

void nft_rule_end(struct nft_batch *batch)
{
	mnl_attr_nest_end(batch->last, batch->list);
	finish(batch, batch->last);
}

/* One part of a rule. */
struct part {
	struct nlattr *all, *data;
};

static struct part part_begin(struct nft_batch *batch, const char *name)
{
	struct part part = {.all = mnl_attr_nest_start(batch->last, NFTA_LIST_ELEM)};

	mnl_attr_put_strz(batch->last, NFTA_EXPR_NAME, name);
	part.data = mnl_attr_nest_start(batch->last, NFTA_EXPR_DATA);
	return part;
}

static void part_end(struct nft_batch *batch, struct part part)
{
	mnl_attr_nest_end(batch->last, part.data);
	mnl_attr_nest_end(batch->last, part.all);
}

static void put_number(struct nft_batch *batch, int type, unsigned number)
{
	mnl_attr_put_u32(batch->last, (uint16_t)type, htonl(number));
}

static void put_value(struct nft_batch *batch, int type, const void *value, size_t len)
{
	struct nlattr *data = mnl_attr_nest_start(batch->last, (uint16_t)type);

	mnl_attr_put(batch->last, NFTA_DATA_VALUE, len, value);
	mnl_attr_nest_end(batch->last, data);
}

/* Register 1 is equal to that, or is not. */
static void compare(struct nft_batch *batch, bool equal, const void *value, size_t len)
{
	struct part part = part_begin(batch, "cmp");

	put_number(batch, NFTA_CMP_SREG, NFT_REG_1);
	put_number(batch, NFTA_CMP_OP, equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
	put_value(batch, NFTA_CMP_DATA, value, len);
	part_end(batch, part);
}

/* Of register 1 only the bits of @mask are left. */
static void mask_with(struct nft_batch *batch, const uint8_t *mask, size_t len)
{
	static const uint8_t zeroes[IP6_LEN];
	struct part part = part_begin(batch, "bitwise");

	put_number(batch, NFTA_BITWISE_SREG, NFT_REG_1);
	put_number(batch, NFTA_BITWISE_DREG, NFT_REG_1);
	put_number(batch, NFTA_BITWISE_LEN, (unsigned)len);
	put_value(batch, NFTA_BITWISE_MASK, mask, len);
	put_value(batch, NFTA_BITWISE_XOR, zeroes, len);
	part_end(batch, part);
}

static void load_meta(struct nft_batch *batch, unsigned key)
{
	struct part part = part_begin(batch, "meta");

	put_number(batch, NFTA_META_KEY, key);
	put_number(batch, NFTA_META_DREG, NFT_REG_1);
	part_end(batch, part);
}

static void load_header(struct nft_batch *batch, unsigned offset, unsigned len)
{
	struct part part = part_begin(batch, "payload");

	put_number(batch, NFTA_PAYLOAD_DREG, NFT_REG_1);
	put_number(batch, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
	put_number(batch, NFTA_PAYLOAD_OFFSET, offset);
	put_number(batch, NFTA_PAYLOAD_LEN, len);
	part_end(batch, part);
}

void nft_interface(struct nft_batch *batch, enum nft_side side, const char *name)
{
	char padded[IFNAMSIZ] = {0};
	size_t len = strlen(name);
	bool begins = len > 0 && name[len - 1] == '*';

	assert(len < sizeof(padded));
	memcpy(padded, name, begins ? len - 1 : len);
	load_meta(batch, side == NFT_SOURCE ? NFT_META_IIFNAME : NFT_META_OIFNAME);
	compare(batch, true, padded, begins ? len - 1 : sizeof(padded));
}

void nft_address(struct nft_batch *batch, enum nft_side side, const uint8_t *ip, unsigned prefix,
		 bool lies)
{
	bool is_v4 = batch->family == NFPROTO_IPV4;
	size_t len = is_v4 ? IP4_LEN : IP6_LEN;
	unsigned source = is_v4 ? SOURCE_AT4 : SOURCE_AT6;
	uint8_t mask[IP6_LEN] = {0}, network[IP6_LEN];

	for (size_t i = 0; i < len; i++) {
		unsigned bits = prefix > 8 * i ? prefix - 8 * (unsigned)i : 0;

		mask[i] = bits >= 8 ? 0xff : (uint8_t)(0xff00u >> bits);
		network[i] = ip[i] & mask[i];
	}
	load_header(batch, side == NFT_SOURCE ? source : source + (unsigned)len, (unsigned)len);
	if (prefix < 8 * len)
		mask_with(batch, mask, len);
	compare(batch, lies, network, len);
}

void nft_protocol(struct nft_batch *batch, uint8_t protocol)
{
	load_meta(batch, NFT_META_L4PROTO);
	compare(batch, true, &protocol, sizeof(protocol));
}

void nft_port(struct nft_batch *batch, uint16_t port)
{
	uint16_t bytes = htons(port);
	struct part part = part_begin(batch, "payload");

	put_number(batch, NFTA_PAYLOAD_DREG, NFT_REG_1);
	put_number(batch, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
	put_number(batch, NFTA_PAYLOAD_OFFSET, PORT_AT);
	put_number(batch, NFTA_PAYLOAD_LEN, sizeof(bytes));
	part_end(batch, part);
	compare(batch, true, &bytes, sizeof(bytes));
}

void nft_is_ours(struct nft_batch *batch)
{
	uint32_t local = RTN_LOCAL;
	struct part part = part_begin(batch, "fib");

	put_number(batch, NFTA_FIB_DREG, NFT_REG_1);
	put_number(batch, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	put_number(batch, NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
	part_end(batch, part);
	compare(batch, true, &local, sizeof(local));
}

/* Any of @bits is set in what is known of the packet's conversation. */
static void conversation(struct nft_batch *batch, unsigned key, uint32_t bits)
{
	uint32_t none = 0;
	struct part part = part_begin(batch, "ct");

	put_number(batch, NFTA_CT_KEY, key);
	put_number(batch, NFTA_CT_DREG, NFT_REG_1);
	part_end(batch, part);
	mask_with(batch, (const uint8_t *)&bits, sizeof(bits));
	compare(batch, false, &none, sizeof(none));
}

void nft_established(struct nft_batch *batch)
{
	conversation(batch, NFT_CT_STATE,
		     NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED));
}

void nft_redirected(struct nft_batch *batch)
{
	conversation(batch, NFT_CT_STATUS, IPS_DST_NAT);
}

void nft_verdict(struct nft_batch *batch, int verdict)
{
	struct part part = part_begin(batch, "immediate");
	struct nlattr *value, *code;

	put_number(batch, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	value = mnl_attr_nest_start(batch->last, NFTA_IMMEDIATE_DATA);
	code = mnl_attr_nest_start(batch->last, NFTA_DATA_VERDICT);
	put_number(batch, NFTA_VERDICT_CODE, (unsigned)verdict);
	mnl_attr_nest_end(batch->last, code);
	mnl_attr_nest_end(batch->last, value);
	part_end(batch, part);
}

void nft_masquerade(struct nft_batch *batch)
{
	part_end(batch, part_begin(batch, "masq"));
}

static void load_value(struct nft_batch *batch, unsigned to, const void *value, size_t len)
{
	struct part part = part_begin(batch, "immediate");

	put_number(batch, NFTA_IMMEDIATE_DREG, to);
	put_value(batch, NFTA_IMMEDIATE_DATA, value, len);
	part_end(batch, part);
}

void nft_redirect(struct nft_batch *batch, const uint8_t *ip, uint16_t port)
{
	uint16_t bytes = htons(port);
	struct part part;

	load_value(batch, NFT_REG_1, ip, batch->family == NFPROTO_IPV4 ? IP4_LEN : IP6_LEN);
	load_value(batch, NFT_REG_2, &bytes, sizeof(bytes));
	part = part_begin(batch, "nat");
	put_number(batch, NFTA_NAT_TYPE, NFT_NAT_DNAT);
	put_number(batch, NFTA_NAT_FAMILY, (unsigned)batch->family);
	put_number(batch, NFTA_NAT_REG_ADDR_MIN, NFT_REG_1);
	put_number(batch, NFTA_NAT_REG_PROTO_MIN, NFT_REG_2);
	part_end(batch, part);
}

void nft_tproxy(struct nft_batch *batch, uint16_t port)
{
	uint16_t bytes = htons(port);
	struct part part;

	load_value(batch, NFT_REG_1, &bytes, sizeof(bytes));
	part = part_begin(batch, "tproxy");
	put_number(batch, NFTA_TPROXY_FAMILY, (unsigned)batch->family);
	put_number(batch, NFTA_TPROXY_REG_PORT, NFT_REG_1);
	part_end(batch, part);
}
