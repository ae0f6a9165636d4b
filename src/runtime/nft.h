/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nft: rules of the kernel's packet filter, written as the messages that it takes.
 *
 * A batch is made for one family and one table of it, in the network namespace of the thread that
 * sends it, and takes effect all together or not at all. What is said to be made may be there
 * already. A rule is what must hold, one part after the other, and then what is done.
 *
 *   nft_rule_begin(batch, "chain"); nft_interface(...); nft_verdict(...); nft_rule_end(batch);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <netinet/in.h>

#include <linux/netfilter.h>

#include "base/attr.h"

enum nft_side {
	NFT_SOURCE,
	NFT_DESTINATION,
};

struct nft_batch;

/* @family: NFPROTO_IPV4 or NFPROTO_IPV6; @table is borrowed. */
struct nft_batch *nft_batch_new(int family, const char *table);
/* Send it and free it: 0, or -errno of the kernel. */
_must_use_ int nft_batch_send(struct nft_batch *batch);

/* The table itself. */
void nft_table(struct nft_batch *batch);
/* It goes with all that is in it; -ENOENT if it is not there. */
void nft_table_remove(struct nft_batch *batch);
/* A chain of @type ("filter", "nat") at hook NF_INET_*; what no rule decides is accepted. */
void nft_chain(struct nft_batch *batch, const char *chain, const char *type, int hook,
	       int priority);
/* All of its rules go; it must be there. */
void nft_chain_flush(struct nft_batch *batch, const char *chain);
/* It goes with its rules; -ENOENT if it is not there. */
void nft_chain_remove(struct nft_batch *batch, const char *chain);

void nft_rule_begin(struct nft_batch *batch, const char *chain);
void nft_rule_end(struct nft_batch *batch);

/* ---- what must hold ---- */

/* The packet comes from, or goes to, a link of that name; "mk*": one that begins so. */
void nft_interface(struct nft_batch *batch, enum nft_side side, const char *name);
/* An address of the family, 4 or 16 bytes, lies in @prefix bits of @ip; or it does not. */
void nft_address(struct nft_batch *batch, enum nft_side side, const uint8_t *ip, unsigned prefix,
		 bool lies);
/* IPPROTO_*. */
void nft_protocol(struct nft_batch *batch, uint8_t protocol);
/* The port of TCP or UDP; to be said after nft_protocol(). */
void nft_port(struct nft_batch *batch, uint16_t port);
/* Its destination is an address of this namespace's own. */
void nft_is_ours(struct nft_batch *batch);
/* It belongs to a conversation that was let through before. */
void nft_established(struct nft_batch *batch);
/* nft_redirect() has led its conversation elsewhere. */
void nft_redirected(struct nft_batch *batch);

/* ---- what is done ---- */

/* NF_ACCEPT: other chains are asked as well; NF_DROP. */
void nft_verdict(struct nft_batch *batch, int verdict);
/* Its source becomes the address of the link that it leaves by. */
void nft_masquerade(struct nft_batch *batch);
/* Its destination becomes that address of the family, and @port. */
void nft_redirect(struct nft_batch *batch, const uint8_t *ip, uint16_t port);
/* To the transparent socket that is bound to @port. */
void nft_tproxy(struct nft_batch *batch, uint16_t port);
