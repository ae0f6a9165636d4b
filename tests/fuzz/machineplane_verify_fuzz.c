/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host process judges of what the fabric process hands it: requests of pods, awards,
 * records and revocations.
 *
 * The first byte of an input chooses what it is taken for and who has signed it: nobody (then the
 * rest is an envelope that no input can forge, and must be refused), a steward who may revoke, or a
 * worker, who may neither. So what lies behind the signature is reached, too. A request is asked
 * for as its own bytes say, as a broken fabric process would.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity/envelope.h"
#include "identity/fabric.h"
#include "machineplane/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define NOW ((struct wall){.ms = INT64_C(1795000000000)})

enum {
	SIGNED_BY_NOBODY = 0,
	SIGNED_BY_STEWARD = 1,
	SIGNED_BY_WORKER = 2,
	SIGNERS = 3,
	SUBJECTS = 4,
	INPUT_MAX = 64 * 1024, /* within ENVELOPE_PAYLOAD_MAX; longer ones show nothing new */
};

/* A fabric that is the same in every run: inputs hold certificates of its users. */
static struct fabric_made made;
static struct key worker_key;
static struct buf worker_chain;
static struct cert worker;

static void make_worker(void)
{
	struct signer admit = credentials_admit(&made.credentials, CERT_FAMILY_MACHINE);
	uint8_t seed[KEY_SEED_LEN];
	struct cert_order order = {.kind = CERT_MACHINE,
				   .name = "worker",
				   .grant = {.roles = ROLE_WORKER},
				   .serial = {7},
				   .now = NOW};
	struct chain chain;
	bool sound;

	memset(seed, 9, sizeof(seed));
	worker_key = key_from_seed(seed);
	order.key = worker_key.public_key;
	sound = cert_issue(&order, &admit, &worker_chain, NULL) == 0;
	buf_append_bytes(&worker_chain, admit.cert);
	sound = sound && chain_split(bytes_buf(&worker_chain), &chain) &&
		cert_parse(chain.cert[0], &worker, NULL) == 0;
	assert(sound);
}

static void make_fabric(void)
{
	uint8_t random[FABRIC_RANDOM_LEN];
	int r;

	if (made.credentials.machine_chain.len)
		return;
	for (size_t i = 0; i < sizeof(random); i++)
		random[i] = (uint8_t)(i * 7 + i / 256);
	r = fabric_make("alpha", NOW, random, &made, NULL);
	assert(r == 0);
	make_worker();
}

/* The payload in an envelope of @signer; as it is when nobody signs. */
static void seal(unsigned signer, struct bytes payload, struct buf *out)
{
	struct envelope_seal with = {.at = NOW, .nonce = {1}};

	with.key = signer == SIGNED_BY_WORKER ? &worker_key : &made.credentials.machine_key;
	with.leaf = signer == SIGNED_BY_WORKER ? worker.hash : made.credentials.machine.hash;
	if (signer == SIGNED_BY_NOBODY)
		buf_append_bytes(out, payload);
	else
		envelope_seal(&with, payload, out);
}

static void judge_request(struct verifier *verifier, unsigned signer,
			  const struct host_envelope *envelope, struct bytes payload)
{
	struct host_request asked = {.signed_by_gateway = *envelope, .namespace = "default"};
	const char *words[] = {"id"};
	struct message said = {0};
	struct host_asker asker;
	struct err err = {0};
	bool is_request = message_decode(payload, &said) == 0 && said.type == MESSAGE_POD_REQUEST;

	asked.container = "";
	asked.command = words;
	if (is_request) {
		asked.verb = said.pod_request.verb;
		asked.node = said.pod_request.machine;
		asked.pod = said.pod_request.pod;
		asked.container = said.pod_request.container;
		asked.port = said.pod_request.port;
		asked.command_count = asked.verb == POD_VERB_EXEC;
	}
	if (verifier_request(verifier, &asked, &asker, &err) == 0) {
		assert(is_request && signer == SIGNED_BY_STEWARD);
		assert(asker.certified == (said.pod_request.user.cert_count > 0));
		assert(asker.name[0] && memchr(asker.name, 0, sizeof(asker.name)));
		assert(verifier_asker_stands(verifier, &asker));
		/* No request is carried out twice. */
		assert(verifier_request(verifier, &asked, &asker, &err) == -EACCES);
	}
	assert(err.text[0] || is_request);
	message_deinit(&said);
}

static void judge_award(struct verifier *verifier, const struct host_envelope *envelope,
			struct bytes payload)
{
	struct host_award asked = {.award = envelope->envelope,
				   .chains = envelope->chains,
				   .chain_count = envelope->chain_count,
				   .namespace = "default"};
	struct message said = {0};
	struct err err = {0};

	if (message_decode(payload, &said) == 0 && said.type == MESSAGE_AWARD) {
		asked.node = said.award.winner;
		asked.tender = bytes_buf(&said.award.tender_envelope);
		asked.manifest = bytes_buf(&said.award.manifest);
		if (said.award.assignment_count) {
			asked.pod_uid = said.award.assignments[0].pod_uid;
			asked.slot = said.award.assignments[0].slot;
			asked.epoch = said.award.assignments[0].epoch;
		}
	}
	/* The tender in it would have to be signed, and no input is. */
	assert(verifier_award(verifier, &asked, &err) == -EACCES && err.text[0]);
	message_deinit(&said);
}

static void judge_object(struct verifier *verifier, unsigned signer,
			 const struct host_envelope *envelope)
{
	struct record record;
	struct err err = {0};

	if (verifier_object(verifier, envelope, &record, &err) == 0) {
		assert(signer == SIGNED_BY_STEWARD);
		assert(record.key.kind == RECORD_OBJECT || record.key.kind == RECORD_TOMBSTONE);
		record_deinit(&record);
	} else {
		assert(err.text[0]);
	}
}

static void judge_revocation(struct verifier *verifier, unsigned signer,
			     const struct host_envelope *envelope)
{
	struct err err = {0};
	int r = verifier_revoke(verifier, envelope, &err);

	assert(r >= 0 ? signer == SIGNED_BY_STEWARD : r == -EACCES && err.text[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct verifier verifier;
	struct node_id root[CERT_FAMILY_COUNT];
	struct buf sealed = {0};
	struct bytes payload, chains[2];
	struct host_envelope envelope = {.chains = chains, .chain_count = ARRAY_LEN(chains)};
	unsigned signer;

	if (len < 2 || len > INPUT_MAX)
		return 0;
	make_fabric();
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		root[i] = made.roots.key[i].public_key;
	chains[0] = bytes_buf(&made.credentials.machine_chain);
	chains[1] = bytes_buf(&worker_chain);
	payload = bytes_of(data + 1, len - 1);
	signer = data[0] / SUBJECTS % SIGNERS;
	seal(signer, payload, &sealed);
	envelope.envelope = bytes_buf(&sealed);
	verifier_init(&verifier, root);
	switch (data[0] % SUBJECTS) {
	case 0:
		judge_request(&verifier, signer, &envelope, payload);
		break;
	case 1:
		judge_award(&verifier, &envelope, payload);
		break;
	case 2:
		judge_object(&verifier, signer, &envelope);
		break;
	default:
		judge_revocation(&verifier, signer, &envelope);
		break;
	}
	verifier_deinit(&verifier);
	buf_deinit(&sealed);
	return 0;
}
