/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zone: what a CronJob's time zone means is written into it when it is written, as the database of
 * this machine has it: all machines that may look after it count the same minutes then, whichever
 * database they have. A zone that is not known here is left without, and refused by admission.
 */
#include <string.h>

#include "api/gateway.h"
#include "io/file.h"
#include "kube/cronjob.h"
#include "kube/member.h"
#include "kube/zone.h"

static const char database[] = "/usr/share/zoneinfo";

void zone_resolve(const struct call *call, json_t *object)
{
	const char *name = kube_member_string(object, "spec.timeZone");
	json_t *metadata = json_object_get(object, "metadata");
	struct buf path = {0}, file = {0}, text = {0};

	if (call->resource->id != KUBE_CRONJOBS || !json_is_object(metadata))
		return;
	(void)json_object_del(json_object_get(metadata, "annotations"), KUBE_CRONJOB_ZONE);
	if (kube_cronjob_is_utc(object) || !kube_zone_is_name(name))
		return;
	buf_append_format(&path, "%s/%s", database, name);
	if (file_read(buf_cstr(&path), KUBE_ZONE_BYTES_MAX, &file) == 0) {
		json_t *annotations = kube_object_at(metadata, "annotations");

		base64_encode(bytes_buf(&file), &text);
		if (annotations)
			kube_set_string(annotations, KUBE_CRONJOB_ZONE, buf_cstr(&text));
	}
	buf_deinit(&path);
	buf_deinit(&file);
	buf_deinit(&text);
}
