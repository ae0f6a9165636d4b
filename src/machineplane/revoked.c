/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Revocations on this machine: in D/fabric/revocations (revoked_file.h), read before the
 * first connection, so that they hold after a power cut without a network. The host process is told
 * of all and keeps a set of its own. When there are new ones, whoever is connected is judged again:
 * peers, and users with their streams.
 */
#include "machineplane/fabric.h"

#include <string.h>

#include <jansson.h>

#include "io/clock.h"
#include "io/file.h"
#include "machineplane/revoked_file.h"

static void revoked_path(const struct fabric *fabric, struct buf *out)
{
	buf_append_format(out, "%s/%s/revocations", fabric->settings.options.state_dir,
			  CREDENTIALS_DIR);
}

static bool restore_one(void *arg, struct bytes envelope, struct bytes der)
{
	struct fabric *fabric = arg;
	struct message leaf = {.type = MESSAGE_LEAF};
	struct chain chain;
	bool sound = chain_split(der, &chain);

	for (size_t i = 0; sound && i < chain.count; i++)
		buf_append_bytes(&leaf.leaf.certs[leaf.leaf.cert_count++], chain.cert[i]);
	if (sound)
		sound = node_restore_revocation(fabric->node, clock_mono(), &leaf.leaf, envelope) ==
			0;
	message_deinit(&leaf);
	return sound;
}

int revoked_restore(struct fabric *fabric, struct err *err)
{
	struct buf path = {0};
	size_t bad;
	int result;

	fabric->trust.revocations = node_revocations(fabric->node);
	revoked_path(fabric, &path);
	result = revoked_file_read(buf_cstr(&path), restore_one, fabric, &bad);
	if (bad)
		log_event(LOG_LEVEL_WARN, "revocations-void",
			  "%zu lines of %s do not count: they are void, old or damaged", bad,
			  buf_cstr(&path));
	/* Without them this machine might let in who was shut out. */
	if (result && result != -ENOENT)
		(void)err_set(err, result, "%s: %s", buf_cstr(&path), strerror(-result));
	else
		result = 0;
	buf_deinit(&path);
	return result;
}

static void save(struct fabric *fabric)
{
	const struct revocation_entry *entry = NULL;
	struct buf path = {0}, content = {0};
	int result;

	while ((entry = revocations_next(node_revocations(fabric->node), entry)) != NULL)
		revoked_file_line(bytes_buf(&entry->envelope), bytes_buf(&entry->chain), &content);
	revoked_path(fabric, &path);
	result = file_write(buf_cstr(&path), bytes_buf(&content), 0600);
	if (result)
		log_event(LOG_LEVEL_ERROR, "revocations-not-written",
			  "%s: %s: they hold until this daemon ends", buf_cstr(&path),
			  strerror(-result));
	buf_deinit(&content);
	buf_deinit(&path);
}

/* Is our own certificate still good? A leaf that may only renew itself does so now. */
static void judge_self(struct fabric *fabric)
{
	struct trust_query query = fabric_query(fabric, TRUST_MESH);
	struct chain chain;
	struct err err = {0};
	int outcome;

	if (!chain_split(bytes_buf(&fabric->credentials.machine_chain), &chain))
		return;
	outcome = trust_verify(&fabric->trust, &query, &chain, NULL, &err);
	if (outcome == TRUST_E_RENEW_ONLY && fabric->renewal)
		renewal_hurry(fabric->renewal);
	else if (outcome)
		log_event(LOG_LEVEL_ERROR, "revoked",
			  "%s: no machine of the fabric talks to this one any more", err.text);
}

void revoked_changed(struct fabric *fabric)
{
	log_event(LOG_LEVEL_WARN, "revocations", "%zu are known now",
		  node_revocations(fabric->node)->count);
	save(fabric);
	host_tell_revocations(fabric->host);
	peers_judge(fabric->peers);
	if (fabric->api)
		api_users_changed(fabric->api);
	judge_self(fabric);
}

/* ---- for the magik command */

/* The subject as {"machine": 64 hex}, {"user": name} or {"serial": 32 hex}. */
static bool subject_read(const json_t *request, struct revocation *what)
{
	const char *machine = json_string_value(json_object_get(request, "machine"));
	const char *user = json_string_value(json_object_get(request, "user"));
	const char *serial = json_string_value(json_object_get(request, "serial"));

	if (machine) {
		what->kind = REVOCATION_MACHINE;
		return node_id_parse(machine, &what->machine);
	}
	if (user) {
		what->kind = REVOCATION_USER;
		what->user = (char *)(uintptr_t)user;
		return *user && strlen(user) <= CERT_NAME_MAX;
	}
	what->kind = REVOCATION_SERIAL;
	return serial && strlen(serial) == 2 * (size_t)UID_LEN &&
	       hex_decode(serial, what->serial.byte, UID_LEN);
}

static const char *revoke_subject(struct fabric *fabric, const json_t *request)
{
	static char nothing[] = "";
	const char *reason = json_string_value(json_object_get(request, "reason"));
	struct revocation what = {.user = nothing, .reason = nothing};

	if (reason)
		what.reason = (char *)(uintptr_t)reason;
	if (!subject_read(request, &what))
		return "that names no machine, user or serial";
	if (node_id_equal(&what.machine, node_self(fabric->node)))
		return "that is this machine: revoke it from another one that admits";
	switch (node_revoke(fabric->node, clock_mono(), &what)) {
	case 0:
		return NULL;
	case NODE_E_ROLE:
		return "this machine is no admitter and cannot revoke; ask one that is";
	default:
		return "the fabric's revocations take no more";
	}
}

static json_t *entry_json(const struct revocation_entry *entry)
{
	static const char *const kinds[] = {[REVOCATION_MACHINE] = "machine",
					    [REVOCATION_USER] = "user",
					    [REVOCATION_SERIAL] = "serial"};
	const struct revocation *what = &entry->what;
	char serial[2 * UID_LEN + 1];

	hex_encode(bytes_of(what->serial.byte, UID_LEN), serial);
	return json_pack("{s:s,s:s,s:I,s:s,s:s}", "kind", kinds[what->kind], "subject",
			 what->kind == REVOCATION_MACHINE ? node_id_text(&what->machine).text
			 : what->kind == REVOCATION_USER  ? what->user
							  : serial,
			 "at_ms", (json_int_t)entry->at.ms, "by", node_id_text(&entry->signer).text,
			 "reason", what->reason);
}

json_t *revoked_control(struct fabric *fabric, const json_t *request)
{
	const char *why = fabric->node ? revoke_subject(fabric, request)
				       : "this machine is not a member of a fabric yet";

	return why ? json_pack("{s:s,s:b}", "error", why, "done", 1)
		   : json_pack("{s:b}", "done", 1);
}

json_t *revoked_list(struct fabric *fabric)
{
	const struct revocation_entry *entry = NULL;
	json_t *list = json_array();

	while (fabric->node &&
	       (entry = revocations_next(node_revocations(fabric->node), entry)) != NULL)
		(void)json_array_append_new(list, entry_json(entry));
	return json_pack("{s:o,s:b}", "revocations", list, "done", 1);
}
