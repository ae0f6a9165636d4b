/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forward: questions that are not ours to answer, put to the machine's own resolvers.
 *
 * The socket was made in the machine's network namespace. Each question goes out under a random
 * number of its own; what comes back counts only from the resolver that was asked and if it repeats
 * number and question. The next resolver is asked when one is silent.
 */
#pragma once

#include "base/attr.h"
#include "base/err.h"
#include "io/loop.h"
#include "service/dns.h"

enum {
	FORWARD_SERVERS_MAX = 3,    /* as resolv.conf has them */
	FORWARD_MAX = 256,          /* questions under way */
	FORWARD_PATIENCE_MS = 1500, /* with one resolver; */
	FORWARD_TRIES = 3,          /* so that all is over before the asker's own 5 s are */
	FORWARD_TCP_MAX = 4096,     /* what is asked for by UDP for who asks us over TCP */
};

struct forward;
struct forward_question;

/* @reply: a whole answer under a number of ours, valid within the call; empty: there is none. */
typedef void forward_fn(void *user, struct bytes reply);

/* @fd: a UDP socket that does not block, taken over. @servers: addresses, separated by commas. */
_must_use_ int forward_new(struct loop *loop, int fd, const char *servers, struct err *err,
			   struct forward **ret_forward);
void forward_free(struct forward *forward);

/* Has it anybody to ask? */
bool forward_works(const struct forward *forward);

/* @question is copied. @fn is called once, never from within this call, unless the question is
 * freed before. NULL: too many are under way, or there is nobody to ask. */
_must_use_ struct forward_question *forward_ask(struct forward *forward,
						const struct dns_question *question, bool large,
						forward_fn *fn, void *user);
void forward_question_free(struct forward_question *question);
