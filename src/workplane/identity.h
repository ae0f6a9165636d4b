/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identity: who this pod's agent is. It makes its key itself, when it starts; the key never leaves
 * the process and is never written down. What a steward has signed for it comes by way of the host
 * process, with the root to judge others by, fabric time, and where other agents are.
 *
 *   ASKING --certificate--> HOLDING --from half of its life on--> ASKING (the old one is still
 * held) ASKING --refused, or no answer--> ASKING, later: after 0.5 s, doubling up to a minute
 *
 * Nothing here follows this machine's own clock: fabric time is the monotonic clock plus an offset
 * that is told, and told again when it changes. An agent that was asleep, or that no steward has
 * answered for a week, goes on where it was.
 */
#pragma once

#include "base/addr.h"
#include "base/err.h"
#include "identity/key.h"
#include "io/loop.h"
#include "workplane/serve.h"

struct identity;

enum {
	IDENTITY_CHECK_MS = 3600 * 1000, /* fabric time may step: look again this often */
	IDENTITY_CONTACTS_MAX = 8,
};

/* What has been told; all borrowed. */
struct identity_news {
	const struct key *key;
	struct bytes chain; /* concatenated DER, leaf first; empty: nothing new */
	struct bytes root;  /* DER */
	int64_t offset_ms;  /* of fabric time to the monotonic clock */
	const struct addr_peer *contacts;
	size_t contact_count;
};

/* 0, or a negative errno with a sentence: the certificate will not do, another one is asked for. */
typedef int identity_fn(void *user, const struct identity_news *news, struct err *err);

/* @namespace and @pod are copied. @port: at which others reach us, at the machine's address; 0:
 * not.
 */
struct identity *identity_new(struct loop *loop, struct serve *serve, const char *namespace,
			      const char *pod, uint16_t port, identity_fn *fn, void *user);
void identity_free(struct identity *identity); /* wipes the key; NULL is accepted */
