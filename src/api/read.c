/* SPDX-License-Identifier: Apache-2.0 */
/* Reading: get and list. Both compose afresh, so they show every write this machine has seen. */
#include <stdlib.h>
#include <string.h>

#include "api/compose.h"
#include "api/gateway.h"

struct filter {
	struct kube_selector labels, fields;
};

static void filter_deinit(struct filter *filter)
{
	kube_selector_deinit(&filter->labels);
	kube_selector_deinit(&filter->fields);
}

static bool filter_parse(struct call *call, struct filter *filter)
{
	struct err err = {0};

	if (kube_label_selector_parse(url_param(&call->url, "labelSelector"), &filter->labels,
				      &err) == 0 &&
	    kube_field_selector_parse(url_param(&call->url, "fieldSelector"), &filter->fields,
				      &err) == 0)
		return true;
	filter_deinit(filter);
	call_fail_err(call, &err);
	return false;
}

void verb_get(struct call *call)
{
	json_t *object =
		compose_one(&call->api->backend, call->resource->id, call->namespace, call->name);

	if (!object) {
		call_not_found(call);
		return;
	}
	call_respond_stored(call, 200, object);
}

void verb_list(struct call *call)
{
	struct compose_query query = {.namespace = call->namespace};
	struct filter filter = {0};
	struct composed composed;
	json_t *list, *items;

	if (!filter_parse(call, &filter))
		return;
	query.name = kube_field_selector_name(&filter.fields);
	/* First the version, then the state: both are taken in the same turn of the loop. */
	list = kube_list_new(call->resource, changes_log(call->api, call->resource->id)->stamp);
	items = json_object_get(list, "items");
	compose(&call->api->backend, call->resource->id, &query, &composed);
	for (size_t i = 0; i < composed.count; i++) {
		json_t *object = composed.items[i].object;

		if (kube_label_selector_matches(&filter.labels, object) &&
		    kube_field_selector_matches(&filter.fields, object))
			(void)json_array_append(items, object);
	}
	composed_deinit(&composed);
	filter_deinit(&filter);
	call_respond_object(call, 200, list);
}
