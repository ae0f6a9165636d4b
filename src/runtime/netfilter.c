/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/netfilter.h"

#include "runtime/nft.h"

enum {
	PRIORITY = -150, /* that of mangling, before any translation of addresses */
};

static const char chain[] = "capture";

static int capture(int family, uint16_t port)
{
	struct nft_batch *batch = nft_batch_new(family, "front");

	nft_table(batch);
	nft_chain(batch, chain, "filter", NF_INET_PRE_ROUTING, PRIORITY);
	/* What is neither TCP nor UDP matches nothing of it by itself. */
	nft_rule_begin(batch, chain);
	nft_tproxy(batch, port);
	nft_rule_end(batch);
	return nft_batch_send(batch);
}

int netfilter_capture(uint16_t port)
{
	int r = capture(NFPROTO_IPV4, port);

	if (r == 0)
		(void)capture(NFPROTO_IPV6, port);
	return r;
}
