/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Admit: letting machines in that show a voucher, or renew their leaf (identity/join.h).
 *
 * The host process signs the certificates of a new admitter while it has the fabric's roots; the
 * joiner waits here until it has answered.
 */
#include "machineplane/fabric.h"

#include <stdlib.h>

#include "base/mem.h"
#include "identity/join.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "machineplane/state.h"

enum {
	ADMIT_WAITING_MAX = 64, /* joiners whose certificates are being signed */
};

struct joiner {
	struct join_request request;
	struct quic_conn *conn;
	uint64_t number;
};

struct admission {
	struct joiner *waiting[ADMIT_WAITING_MAX];
	uint64_t last;
};

struct admission *admission_new(void)
{
	return mem_new(struct admission);
}

void admission_free(struct admission *admission)
{
	if (!admission)
		return;
	for (size_t i = 0; i < ADMIT_WAITING_MAX; i++)
		free(admission->waiting[i]);
	free(admission);
}

static void refuse(struct fabric *fabric, struct quic_conn *conn, const char *reason)
{
	struct buf reply = {0};
	struct addr remote = quic_conn_remote(conn);

	log_event_limited(&fabric->refusals, bytes_str(addr_text(&remote).text), LOG_LEVEL_WARN,
			  "join-refused", "%s: %s", addr_text(&remote).text, reason);
	join_refusal_build(reason, &reply);
	(void)!quic_conn_send(conn, bytes_buf(&reply));
	buf_deinit(&reply);
}

/* Ourselves first, then whoever else lives: one of them will be up when the joiner needs it. */
static size_t list_members(struct fabric *fabric, struct addr_peer_text *texts, const char **ret)
{
	struct addr_peer self = {.id = *node_self(fabric->node), .addr = fabric->address};
	struct overlay_peer peer;
	size_t position = 0, count = 0;

	texts[count] = addr_peer_text(&self);
	ret[count] = texts[count].text;
	count++;
	while (count < JOIN_MEMBERS_MAX &&
	       overlay_next_peer(node_overlay(fabric->node), &position, &peer)) {
		struct addr_peer other = {.id = peer.member->id, .addr = peer.member->addr};

		if (peer.state != MEMBER_ALIVE)
			continue;
		texts[count] = addr_peer_text(&other);
		ret[count] = texts[count].text;
		count++;
	}
	return count;
}

static void answer(struct fabric *fabric, struct joiner *joiner,
		   const struct join_intermediates *intermediates)
{
	struct addr_peer_text *texts = mem_alloc(JOIN_MEMBERS_MAX, sizeof(*texts));
	const char *members[JOIN_MEMBERS_MAX];
	struct join_answer join_answer = {
		.admitter = &fabric->credentials,
		.intermediates = intermediates,
		.now = node_fabric_time(fabric->node, clock_mono()),
		.members = members,
		.member_count = list_members(fabric, texts, members),
	};
	struct buf reply = {0};
	struct err err = {0};

	entropy_fill(join_answer.serials, sizeof(join_answer.serials));
	if (join_reply_build(&joiner->request, &join_answer, &reply, &err) != 0) {
		refuse(fabric, joiner->conn, err.text);
	} else {
		log_event(LOG_LEVEL_INFO, "admitted", "%s %s%s", joiner->request.node_name,
			  joiner->request.renewal ? "renews its certificates" : "joins",
			  intermediates ? " and may admit others" : "");
		(void)!quic_conn_send(joiner->conn, bytes_buf(&reply));
	}
	buf_deinit(&reply);
	free(texts);
}

static struct joiner **free_place(struct admission *admission)
{
	for (size_t i = 0; i < ADMIT_WAITING_MAX; i++)
		if (!admission->waiting[i])
			return &admission->waiting[i];
	return NULL;
}

void admit_serve(struct fabric *fabric, struct quic_conn *conn, struct bytes bytes)
{
	struct trust_query query = fabric_query(fabric, TRUST_JOINER);
	const struct bytes *certs;
	struct chain shown = {0};
	struct joiner *joiner = mem_new(struct joiner), **place;
	struct cert leaf;
	struct buf asked = {0};
	struct err err = {0};
	size_t count = quic_conn_peer_chain(conn, &certs);
	int outcome;

	for (size_t i = 0; i < count && i < CHAIN_CERTS_MAX; i++)
		shown.cert[shown.count++] = certs[i];
	outcome = trust_verify(&fabric->trust, &query, &shown, &leaf, &err);
	if (outcome == 0 || outcome == TRUST_E_RENEW_ONLY)
		outcome = join_request_open(bytes, &leaf, &fabric->leaf, &joiner->request, &err);
	if (outcome) {
		refuse(fabric, conn, err.text);
		free(joiner);
		return;
	}
	joiner->conn = conn;
	joiner->number = ++fabric->admission->last;
	place = free_place(fabric->admission);
	if (!joiner->request.may_be_admitter || !place) {
		answer(fabric, joiner, NULL);
		free(joiner);
		return;
	}
	*place = joiner;
	quic_conn_set_user(conn, NULL);
	state_request_build(query.now, &joiner->request.machine, joiner->request.admit, &asked);
	host_ask_issue(fabric->host, joiner->number, bytes_buf(&asked));
	buf_deinit(&asked);
}

void admit_issued(struct fabric *fabric, uint64_t number, int status, const char *error,
		  struct bytes certs)
{
	struct join_intermediates made = {0};
	struct chain chain;
	bool signed_all =
		status == 200 && chain_split(certs, &chain) && chain.count == CERT_FAMILY_COUNT;

	for (size_t i = 0; signed_all && i < CERT_FAMILY_COUNT; i++)
		buf_append_bytes(&made.cert[i], chain.cert[i]);
	for (size_t i = 0; i < ADMIT_WAITING_MAX; i++) {
		struct joiner *joiner = fabric->admission->waiting[i];

		if (!joiner || joiner->number != number)
			continue;
		fabric->admission->waiting[i] = NULL;
		if (joiner->conn)
			answer(fabric, joiner, signed_all ? &made : NULL);
		free(joiner);
	}
	if (!signed_all)
		log_event(LOG_LEVEL_DEBUG, "no-admitter", "%s", error);
	join_intermediates_deinit(&made);
}

/* A joiner that went away while its certificates were being signed. */
void admit_closed(struct admission *admission, const struct quic_conn *conn)
{
	for (size_t i = 0; i < ADMIT_WAITING_MAX; i++)
		if (admission->waiting[i] && admission->waiting[i]->conn == conn)
			admission->waiting[i]->conn = NULL;
}
