/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kubernetes' defaults. Each is set only where nothing is, so that a second run changes nothing and
 * `kubectl apply` of the same manifest finds no difference.
 */
#include <string.h>

#include "kube/admit.h"
#include "kube/claim.h"
#include "kube/config.h"
#include "kube/cronjob.h"
#include "kube/daemonset.h"
#include "kube/job.h"
#include "kube/service.h"
#include "kube/member.h"
#include "kube/volume.h"

enum {
	GRACE_DEFAULT_S = 30,
	REVISION_HISTORY_DEFAULT = 10,
	PROGRESS_DEADLINE_DEFAULT_S = 600,
};

static void default_string(json_t *object, const char *key, const char *value)
{
	kube_set_missing(object, key, json_string(value));
}

static void default_int(json_t *object, const char *key, int64_t value)
{
	kube_set_missing(object, key, json_integer(value));
}

/* An image without tag and digest, or with the tag "latest", may have changed at its registry. */
static bool image_is_moving(const char *image)
{
	const char *slash = strrchr(image, '/');
	const char *tag = strchr(slash ? slash : image, ':');
	return !strchr(image, '@') && (!tag || strcmp(tag, ":latest") == 0);
}

static void default_http_get(json_t *handler)
{
	json_t *get = json_object_get(handler, "httpGet");
	if (!json_is_object(get))
		return;
	default_string(get, "path", "/");
	default_string(get, "scheme", "HTTP");
}

static void default_probe(json_t *container, const char *key)
{
	json_t *probe = json_object_get(container, key);
	if (!json_is_object(probe))
		return;
	default_int(probe, "timeoutSeconds", 1);
	default_int(probe, "periodSeconds", 10);
	default_int(probe, "successThreshold", 1);
	default_int(probe, "failureThreshold", 3);
	default_http_get(probe);
}

static void default_container(json_t *container)
{
	size_t index;
	json_t *element;
	if (!json_is_object(container))
		return;
	default_string(container, "terminationMessagePath", "/dev/termination-log");
	default_string(container, "terminationMessagePolicy", "File");
	default_string(container, "imagePullPolicy",
		       image_is_moving(kube_member_string(container, "image")) ? "Always"
									       : "IfNotPresent");
	kube_set_missing(container, "resources", json_object());
	json_array_foreach (json_object_get(container, "ports"), index, element) {
		if (json_is_object(element))
			default_string(element, "protocol", "TCP");
	}
	json_array_foreach (json_object_get(container, "env"), index, element) {
		kube_default_selectors(json_object_get(element, "valueFrom"));
	}
	default_probe(container, "livenessProbe");
	default_probe(container, "readinessProbe");
	default_probe(container, "startupProbe");
	default_http_get(kube_member(container, "lifecycle.postStart"));
	default_http_get(kube_member(container, "lifecycle.preStop"));
}

void kube_default_pod_spec(json_t *spec)
{
	size_t index;
	json_t *element;
	default_string(spec, "restartPolicy", "Always");
	default_int(spec, "terminationGracePeriodSeconds", GRACE_DEFAULT_S);
	default_string(spec, "dnsPolicy", "ClusterFirst");
	default_string(spec, "schedulerName", "default-scheduler");
	kube_set_missing(spec, "securityContext", json_object());
	json_array_foreach (json_object_get(spec, "containers"), index, element) {
		default_container(element);
	}
	json_array_foreach (json_object_get(spec, "initContainers"), index, element) {
		default_container(element);
	}
	json_array_foreach (json_object_get(spec, "volumes"), index, element) {
		kube_default_volume(element);
	}
}

/* A Pod's containers request what they are limited to, unless they say otherwise. Templates are
 * left as they are written, as Kubernetes does. */
static void default_requests(json_t *container)
{
	json_t *resources = json_object_get(container, "resources");
	json_t *limits = json_object_get(resources, "limits");
	const char *name;
	json_t *limit;
	json_object_foreach (limits, name, limit) {
		json_t *requests = kube_object_at(resources, "requests");
		if (requests)
			kube_set_missing(requests, name, json_incref(limit));
	}
}

static void default_pod(json_t *object)
{
	static const char *const lists[] = {"containers", "initContainers"};
	json_t *spec = kube_object_at(object, "spec");
	if (!spec)
		return;
	kube_default_pod_spec(spec);
	kube_set_missing(spec, "enableServiceLinks", json_true());
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		size_t index;
		json_t *container;
		json_array_foreach (json_object_get(spec, lists[i]), index, container) {
			default_requests(container);
		}
	}
}

static void default_strategy(json_t *strategy)
{
	default_string(strategy, "type", "RollingUpdate");
	if (strcmp(kube_member_string(strategy, "type"), "RollingUpdate") != 0)
		return;
	json_t *rolling = kube_object_at(strategy, "rollingUpdate");
	if (!rolling)
		return;
	default_string(rolling, "maxUnavailable", "25%");
	default_string(rolling, "maxSurge", "25%");
}

/* What every kind with replicas and a pod template has. */
static void default_replicas(json_t *spec)
{
	json_t *template = kube_object_at(spec, "template");
	json_t *pod_spec = template ? kube_object_at(template, "spec") : NULL;
	default_int(spec, "replicas", 1);
	if (pod_spec)
		kube_default_pod_spec(pod_spec);
}

static void default_deployment(json_t *object)
{
	json_t *spec = kube_object_at(object, "spec");
	json_t *metadata = kube_object_at(object, "metadata");
	if (!spec)
		return;
	default_replicas(spec);
	default_int(spec, "revisionHistoryLimit", REVISION_HISTORY_DEFAULT);
	default_int(spec, "progressDeadlineSeconds", PROGRESS_DEADLINE_DEFAULT_S);
	json_t *strategy = kube_object_at(spec, "strategy");
	if (strategy)
		default_strategy(strategy);
	/* `rollout undo` replaces all annotations by a JSON patch, which fails where none are. */
	if (metadata)
		(void)kube_object_at(metadata, "annotations");
}

static void default_claims(json_t *spec)
{
	json_t *retention = kube_object_at(spec, "persistentVolumeClaimRetentionPolicy");
	json_t *claim;
	size_t index;
	if (retention) {
		default_string(retention, "whenDeleted", "Retain");
		default_string(retention, "whenScaled", "Retain");
	}
	json_array_foreach (json_object_get(spec, "volumeClaimTemplates"), index, claim) {
		kube_default_claim_spec(json_object_get(claim, "spec"));
	}
}

static void default_statefulset(json_t *object)
{
	json_t *spec = kube_object_at(object, "spec");
	if (!spec)
		return;
	default_replicas(spec);
	default_string(spec, "podManagementPolicy", "OrderedReady");
	default_int(spec, "revisionHistoryLimit", REVISION_HISTORY_DEFAULT);
	default_claims(spec);
	json_t *strategy = kube_object_at(spec, "updateStrategy");
	if (!strategy)
		return;
	default_string(strategy, "type", "RollingUpdate");
	if (strcmp(kube_member_string(strategy, "type"), "RollingUpdate") != 0)
		return;
	json_t *rolling = kube_object_at(strategy, "rollingUpdate");
	if (rolling)
		default_int(rolling, "partition", 0);
}

static void default_replica_set(json_t *object)
{
	json_t *spec = kube_object_at(object, "spec");
	if (spec)
		default_replicas(spec);
}

void kube_default(json_t *object, const struct kube_resource *resource)
{
	if (resource->id == KUBE_PODS)
		default_pod(object);
	else if (resource->id == KUBE_DEPLOYMENTS)
		default_deployment(object);
	else if (resource->id == KUBE_JOBS)
		kube_default_job(object);
	else if (resource->id == KUBE_SERVICES)
		kube_default_service(object);
	else if (resource->id == KUBE_DAEMONSETS)
		kube_default_daemonset(object);
	else if (resource->id == KUBE_CRONJOBS)
		kube_default_cronjob(object);
	else if (resource->id == KUBE_PERSISTENTVOLUMECLAIMS)
		kube_default_claim_spec(json_object_get(object, "spec"));
	else if (resource->id == KUBE_SECRETS)
		kube_default_secret(object);
	else if (resource->id == KUBE_PRIORITYCLASSES)
		default_string(object, "preemptionPolicy", "PreemptLowerPriority");
	else if (resource->id == KUBE_REPLICASETS)
		default_replica_set(object);
	else if (resource->id == KUBE_STATEFULSETS)
		default_statefulset(object);
}
