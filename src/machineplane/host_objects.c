/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects that pods name: the fabric process passes them on as they were signed, and nothing of
 * them is believed that no steward of their namespace has put its name to.
 */
#include <string.h>

#include <jansson.h>

#include "io/log.h"
#include "kube/claim.h"
#include "kube/member.h"
#include "machineplane/host_core.h"
#include "wire/message.h"

json_t *host_object_read(const struct record *record)
{
	json_t *json = json_loadb((const char *)record->value.ptr, record->value.len, 0, NULL);
	const struct object_ref *object = &record->object;
	struct uid uid;

	if (json && strcmp(kube_member_string(json, "kind"), object->kind) == 0 &&
	    strcmp(kube_member_string(json, "metadata.name"), object->name) == 0 &&
	    strcmp(kube_member_string(json, "metadata.namespace"), object->namespace) == 0 &&
	    uid_parse(kube_member_string(json, "metadata.uid"), &uid) &&
	    uid_equal(&uid, &object->uid))
		return json;
	json_decref(json);
	return NULL;
}

static void object_changed(struct host *host, const struct record *record)
{
	const struct object_ref *object = &record->object;
	json_t *json = NULL;

	if (record->key.kind == RECORD_OBJECT) {
		json = host_object_read(record);
		if (!json) {
			log_event(LOG_LEVEL_WARN, "object-refused", "%s %s/%s is not what it says",
				  object->kind, object->namespace, object->name);
			return;
		}
	}
	pods_set_config(host->pods, object->kind, object->namespace, object->name, json);
	if (record->key.kind == RECORD_TOMBSTONE && strcmp(object->kind, KUBE_CLAIM) == 0)
		pods_end_claim(host->pods, &record->key.uid);
	if (record->key.kind == RECORD_TOMBSTONE && strcmp(object->kind, "StatefulSet") == 0)
		pods_end_groups(host->pods, &record->key.uid);
	json_decref(json);
}

int host_object_verify(const struct host *host, const Magik__Ipc__Object *object,
		       struct record *ret_record, struct err *err)
{
	const struct host_hooks *hooks = &host->config->hooks;
	struct bytes chains[HOST_CHAINS_MAX];
	struct host_envelope envelope = {
		.envelope = bytes_of(object->envelope.data, object->envelope.len),
		.chains = chains,
	};

	if (!hooks->verify_object)
		return err_set(err, -EOPNOTSUPP, "nothing is verified here");
	for (size_t i = 0; i < object->n_chains && i < HOST_CHAINS_MAX; i++)
		chains[envelope.chain_count++] =
			bytes_of(object->chains[i].data, object->chains[i].len);
	return hooks->verify_object(hooks->ctx, &envelope, ret_record, err);
}

void host_object(struct host *host, const Magik__Ipc__Object *object)
{
	struct record record = {0};
	struct err err = {0};

	if (host_object_verify(host, object, &record, &err) < 0) {
		log_event(LOG_LEVEL_WARN, "object-refused", "%s", err.text);
		return;
	}
	object_changed(host, &record);
	record_deinit(&record);
}
