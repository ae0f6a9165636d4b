/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/convert.h"

#include <string.h>

#include "kube/member.h"

/* autoscaling/v1 knows one measure, the use of processors, by a member of its own. */
static const char cpu_target[] = "targetCPUUtilizationPercentage";

static json_t *cpu_metric(json_t *percentage)
{
	json_t *metric = json_object(), *resource = json_object(), *target = json_object();
	kube_set_string(target, "type", "Utilization");
	kube_set(target, "averageUtilization", json_incref(percentage));
	kube_set_string(resource, "name", "cpu");
	kube_set(resource, "target", target);
	kube_set_string(metric, "type", "Resource");
	kube_set(metric, "resource", resource);
	return metric;
}

static void autoscaler_to_v2(json_t *spec)
{
	json_t *percentage = json_object_get(spec, cpu_target);
	json_t *metrics;
	if (!percentage)
		return;
	metrics = json_array();
	kube_push(metrics, cpu_metric(percentage));
	kube_set_missing(spec, "metrics", metrics);
	(void)json_object_del(spec, cpu_target); /* it is there */
}

static void autoscaler_to_v1(json_t *spec)
{
	size_t index;
	json_t *metric;
	json_array_foreach (json_object_get(spec, "metrics"), index, metric) {
		json_t *percentage = kube_member(metric, "resource.target.averageUtilization");
		if (percentage && strcmp(kube_member_string(metric, "resource.name"), "cpu") == 0)
			kube_set(spec, cpu_target, json_incref(percentage));
	}
	(void)json_object_del(spec, "metrics");  /* it may not be there */
	(void)json_object_del(spec, "behavior"); /* it may not be there */
}

void kube_convert(json_t *object, const struct kube_resource *resource)
{
	json_t *spec = json_object_get(object, "spec");
	if (strcmp(kube_member_string(object, "apiVersion"), resource->api_version) == 0 ||
	    strcmp(kube_member_string(object, "kind"), resource->kind) != 0)
		return;
	if (resource->id == KUBE_HORIZONTALPODAUTOSCALERS)
		autoscaler_to_v2(spec);
	else if (resource->id == KUBE_HORIZONTALPODAUTOSCALERS_V1)
		autoscaler_to_v1(spec);
	else
		return;
	kube_set_string(object, "apiVersion", resource->api_version);
}
