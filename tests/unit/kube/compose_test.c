/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/deployment.h"
#include "kube/event.h"
#include "kube/node.h"
#include "kube/pod.h"
#include "kube/table.h"
#include "kube/workload.h"

#include "kube_fixture.h"

#include "kube/admit.h"
#include "kube/name.h"
#include "wire/presence.h"

#define WEB_UID "11111111-1111-4111-8111-111111111111"
#define SET_UID "33333333-3333-4333-8333-333333333333"
#define POD_UID "22222222-2222-4222-8222-222222222222"

static const char deployment[] =
	"{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'web'},"
	"'spec':{'replicas':3,'selector':{'matchLabels':{'app':'web'}},"
	"'template':{'metadata':{'labels':{'app':'web'},'annotations':{'magik.io/runtime':'crun'}},"
	"'spec':{'nodeSelector':{'disk':'ssd','kubernetes.io/arch':'arm64'},"
	"'initContainers':[{'name':'i','image':'i:1','resources':{'requests':{'memory':'1Gi'}}}],"
	"'containers':[{'name':'nginx','image':'nginx:1.25',"
	"'resources':{'requests':{'cpu':'100m','memory':'64Mi'}}},"
	"{'name':'side','image':'side:2','resources':{'limits':{'cpu':'0.2','memory':'64Mi'}}}]}}}"
	"}";

static const char single[] =
	"{'apiVersion':'v1','kind':'Pod','metadata':{'name':'one','labels':{'run':'one'}},"
	"'spec':{'containers':[{'name':'c','image':'busybox:1'}]}}";

/* An object as the records keep it. */
static json_t *stored(const char *text)
{
	struct kube_admission admission;
	struct kube_stamp stamp = {
		.resource_version = 42, .generation = 2, .created = {.ms = 1795285800000}};
	json_t *object = json_of(text);
	enum kube_resource_id id = text == single ? KUBE_PODS : KUBE_DEPLOYMENTS;
	assert_int_equal(
		kube_admit(object, kube_resource(id), "prod", KUBE_VALIDATION_STRICT, &admission),
		0);
	kube_admission_deinit(&admission);
	assert_true(uid_parse(WEB_UID, &stamp.uid));
	kube_stamp(object, &stamp);
	return object;
}

/* The ReplicaSet of a Deployment's template, as its controller stores it. */
static json_t *set_of(const json_t *object)
{
	struct kube_hash hash = kube_template_hash(kube_member(object, "spec.template"));
	struct kube_name name = kube_name_replica_set("web", &hash);
	json_t *set = json_deep_copy(object);
	json_t *metadata = json_object_get(set, "metadata");
	kube_set_string(set, "kind", "ReplicaSet");
	kube_set_string(metadata, "name", name.text);
	kube_set_string(metadata, "uid", SET_UID);
	kube_set(metadata, "labels", json_pack("{s:s}", KUBE_TEMPLATE_HASH, hash.text));
	kube_set(metadata, "annotations",
		 json_pack("{s:s, s:s, s:s}", KUBE_REVISION, "1", KUBE_OBSERVED, "2",
			   KUBE_SCALED_AT, "1795285800000"));
	kube_set(metadata, "ownerReferences",
		 json_pack("[{s:s, s:s, s:s, s:s, s:b}]", "apiVersion", "apps/v1", "kind",
			   "Deployment", "name", "web", "uid", WEB_UID, "controller", 1));
	kube_set_string(kube_member(set, "spec.template.metadata.labels"), KUBE_TEMPLATE_HASH,
			hash.text);
	return set;
}

static json_t *stored_set(void)
{
	json_t *object = stored(deployment);
	json_t *set = set_of(object);
	json_decref(object);
	return set;
}

/* The Deployment as it is shown with one set and its pods. */
static json_t *shown(const json_t *object, const json_t *set, const struct kube_pods *pods)
{
	const struct kube_set_source source = {.json = set, .pods = *pods};
	struct kube_rollout rollout;
	kube_rollout_read(object, &source, 1, (struct wall){.ms = 1795285860000}, &rollout);
	json_t *json = kube_deployment(&rollout);
	kube_rollout_deinit(&rollout);
	return json;
}

/* A pod as its machine reports it; the strings are literals and never freed. */
struct report {
	struct presence presence;
	struct container_status containers[3];
	struct kube_name name;
};

static void report_init(struct report *report, const json_t *object)
{
	*report = (struct report){0};
	report->containers[0] = (struct container_status){.name = "i",
							  .image = "i:1",
							  .init = true,
							  .state = CONTAINER_TERMINATED,
							  .started_ms = 1795285800500,
							  .finished_ms = 1795285800700};
	for (int i = 1; i < 3; i++)
		report->containers[i] = (struct container_status){
			.name = i == 1 ? "nginx" : "side",
			.image = i == 1 ? "nginx:1.25" : "side:2",
			.image_id = "nginx@sha256:00",
			.container_id = "crun://abc",
			.ready = true,
			.state = CONTAINER_RUNNING,
			.started_ms = 1795285801000,
		};
	report->presence = (struct presence){
		.node_name = "n1",
		.phase = POD_RUNNING,
		.ready = true,
		.pod_ip = "fd00::1",
		.host_ip = "10.0.0.1",
		.created_ms = 1795285800200,
		.started_ms = 1795285801000,
		.containers = report->containers,
		.container_count = 3,
	};
	memset(report->presence.node.byte, 0xab, ID_LEN);
	assert_true(uid_parse(POD_UID, &report->presence.pod_uid));
	report->name = kube_name_pod(kube_member_string(object, "metadata.name"),
				     &report->presence.pod_uid);
	report->presence.pod_name = report->name.text;
}

static const char *cell(json_t *object, enum kube_resource_id id, size_t index)
{
	static char text[128];
	const struct kube_table_view view = {.now = {.ms = 1795285860000}};
	json_t *table = kube_table(kube_resource(id), object, &view);
	const json_t *row = element(table, "rows", 0);
	snprintf(text, sizeof(text), "%s",
		 json_string_value(json_array_get(json_object_get(row, "cells"), index)));
	json_decref(table);
	return text;
}

static const json_t *condition(const json_t *object, const char *type)
{
	size_t index;
	json_t *one;
	json_array_foreach (kube_member(object, "status.conditions"), index, one) {
		if (strcmp(kube_member_string(one, "type"), type) == 0)
			return one;
	}
	fail_msg("no condition %s", type);
	return NULL;
}

static void test_a_pod_of_a_deployment_is_complete(void **state)
{
	json_t *object = stored_set();
	struct report report;
	(void)state;
	report_init(&report, object);
	json_t *pod = kube_pod(object, &report.presence);
	const char *hash = kube_member_string(object, "metadata.labels.pod-template-hash");
	assert_member(pod, "kind", "Pod");
	assert_member(pod, "apiVersion", "v1");
	assert_member(pod, "metadata.name", report.name.text);
	assert_member(pod, "metadata.namespace", "prod");
	assert_member(pod, "metadata.uid", POD_UID);
	const json_t *labels = kube_member(pod, "metadata.labels");
	assert_string_equal(json_string_value(json_object_get(labels, "app")), "web");
	assert_string_equal(json_string_value(json_object_get(labels, "magik.pod_id")), POD_UID);
	assert_string_equal(json_string_value(json_object_get(labels, "magik.namespace")), "prod");
	assert_string_equal(json_string_value(json_object_get(labels, "magik.kind")), "Deployment");
	assert_string_equal(json_string_value(json_object_get(labels, "magik.name")), "web");
	assert_int_equal(json_string_length(json_object_get(labels, "magik.local_peer_id")), 64);
	assert_string_equal(
		json_string_value(json_object_get(labels, "io.kubernetes.pod.namespace")), "prod");
	assert_string_equal(json_string_value(json_object_get(labels, "app.kubernetes.io/name")),
			    "web");
	assert_string_equal(json_string_value(json_object_get(labels, "pod-template-hash")), hash);
	assert_member(pod, "spec.nodeName", "n1");
	assert_member(pod, "status.phase", "Running");
	assert_member(pod, "status.podIP", "fd00::1");
	assert_member(element(pod, "status.hostIPs", 0), "ip", "10.0.0.1");
	assert_member(pod, "status.startTime", "2026-11-21T18:30:00Z");
	assert_member(pod, "status.qosClass", "Burstable");
	assert_member(condition(pod, "Ready"), "status", "True");
	assert_member(element(pod, "status.containerStatuses", 0), "state.running.startedAt",
		      "2026-11-21T18:30:01Z");
	assert_member(element(pod, "status.initContainerStatuses", 0), "state.terminated.reason",
		      "Completed");
	json_decref(pod);
	json_decref(object);
}

static void test_owners_lead_from_a_pod_to_its_deployment(void **state)
{
	json_t *object = stored_set();
	struct report report;
	(void)state;
	report_init(&report, object);
	json_t *pod = kube_pod(object, &report.presence);
	const json_t *owner = element(pod, "metadata.ownerReferences", 0);
	assert_member(owner, "kind", "ReplicaSet");
	assert_member(owner, "uid", SET_UID);
	assert_member(owner, "name", kube_member_string(object, "metadata.name"));
	assert_true(kube_member_true(owner, "controller"));
	assert_member(kube_controller_of(object), "kind", "Deployment");
	json_decref(pod);
	json_decref(object);
}

static void test_a_pod_keeps_a_name_label_of_its_own(void **state)
{
	json_t *object = stored_set();
	struct report report;
	(void)state;
	kube_set_string(kube_member(object, "spec.template.metadata.labels"),
			"app.kubernetes.io/name", "mine");
	report_init(&report, object);
	json_t *pod = kube_pod(object, &report.presence);
	assert_string_equal(json_string_value(json_object_get(kube_member(pod, "metadata.labels"),
							      "app.kubernetes.io/name")),
			    "mine");
	json_decref(pod);
	json_decref(object);
}

static void test_a_bare_pod_keeps_its_own_identity(void **state)
{
	json_t *object = stored(single);
	struct report report;
	(void)state;
	report_init(&report, object);
	report.presence.container_count = 0;
	report.presence.phase = POD_PENDING;
	report.presence.ready = false;
	json_t *pod = kube_pod(object, &report.presence);
	assert_member(pod, "metadata.name", "one");
	assert_member(pod, "metadata.uid", WEB_UID);
	assert_member(pod, "metadata.resourceVersion", "42");
	assert_null(kube_member(pod, "metadata.ownerReferences"));
	assert_null(json_object_get(kube_member(pod, "metadata.labels"), "pod-template-hash"));
	assert_member(element(pod, "status.containerStatuses", 0), "state.waiting.reason",
		      "ContainerCreating");
	assert_member(condition(pod, "Ready"), "reason", "ContainersNotReady");
	assert_string_equal(cell(pod, KUBE_PODS, 1), "0/1");
	assert_string_equal(cell(pod, KUBE_PODS, 2), "ContainerCreating");
	json_decref(pod);
	json_decref(object);
}

static void test_an_empty_slot_shows_as_a_pending_pod(void **state)
{
	json_t *object = stored_set();
	struct kube_pending pending = {.since = {.ms = 1795285800000},
				       .reason = "Unschedulable",
				       .message = "no machine has label disk=ssd"};
	(void)state;
	assert_true(uid_parse(POD_UID, &pending.uid));
	json_t *pod = kube_pod_pending(object, &pending);
	assert_member(pod, "status.phase", "Pending");
	assert_member(pod, "metadata.uid", POD_UID);
	assert_null(kube_member(pod, "spec.nodeName"));
	assert_member(condition(pod, "PodScheduled"), "reason", "Unschedulable");
	assert_member(condition(pod, "PodScheduled"), "message", "no machine has label disk=ssd");
	assert_string_equal(cell(pod, KUBE_PODS, 1), "0/2");
	assert_string_equal(cell(pod, KUBE_PODS, 2), "Pending");
	assert_string_equal(cell(pod, KUBE_PODS, 6), "<none>");
	json_decref(pod);
	json_decref(object);
}

/* The STATUS cell of a pod whose second container is as given. */
static void assert_pod_status(const struct container_status *container, const char *expected)
{
	json_t *object = stored_set();
	struct report report;
	report_init(&report, object);
	report.containers[1] = *container;
	report.containers[1].name = "nginx";
	json_t *pod = kube_pod(object, &report.presence);
	assert_string_equal(cell(pod, KUBE_PODS, 2), expected);
	json_decref(pod);
	json_decref(object);
}

static void test_the_status_column_names_the_trouble(void **state)
{
	(void)state;
	assert_pod_status(&(struct container_status){.state = CONTAINER_RUNNING, .ready = true},
			  "Running");
	assert_pod_status(&(struct container_status){.reason = "CrashLoopBackOff"},
			  "CrashLoopBackOff");
	assert_pod_status(&(struct container_status){.state = CONTAINER_TERMINATED,
						     .reason = "OOMKilled",
						     .exit_code = 137},
			  "OOMKilled");
	assert_pod_status(&(struct container_status){.state = CONTAINER_TERMINATED, .exit_code = 3},
			  "Error");
	/* One container has ended well and another runs: the pod runs. */
	assert_pod_status(&(struct container_status){.state = CONTAINER_TERMINATED}, "Running");
}

static void test_init_containers_show_in_the_status_column(void **state)
{
	json_t *object = stored_set();
	struct report report;
	(void)state;
	report_init(&report, object);
	report.presence.phase = POD_PENDING;
	report.containers[0].state = CONTAINER_RUNNING;
	json_t *pod = kube_pod(object, &report.presence);
	assert_string_equal(cell(pod, KUBE_PODS, 2), "Init:0/1");
	json_decref(pod);
	report.containers[0].state = CONTAINER_TERMINATED;
	report.containers[0].exit_code = 1;
	pod = kube_pod(object, &report.presence);
	assert_string_equal(cell(pod, KUBE_PODS, 2), "Init:Error");
	assert_member(condition(pod, "Initialized"), "status", "False");
	json_decref(pod);
	json_decref(object);
}

static void test_a_stopping_pod_is_terminating(void **state)
{
	json_t *object = stored_set();
	struct report report;
	(void)state;
	report_init(&report, object);
	report.presence.terminating = true;
	json_t *pod = kube_pod(object, &report.presence);
	assert_member(pod, "metadata.deletionTimestamp", "2026-11-21T18:30:01Z");
	assert_string_equal(cell(pod, KUBE_PODS, 2), "Terminating");
	json_decref(pod);
	json_decref(object);
}

static void test_restarts_show_when_the_last_one_was(void **state)
{
	json_t *object = stored_set();
	struct report report;
	(void)state;
	report_init(&report, object);
	report.containers[1].restarts = 2;
	report.containers[1].last_reason = "OOMKilled";
	report.containers[1].last_exit_code = 137;
	report.containers[1].last_finished_ms = 1795285815000;
	json_t *pod = kube_pod(object, &report.presence);
	assert_string_equal(cell(pod, KUBE_PODS, 3), "2 (45s ago)");
	assert_member(element(pod, "status.containerStatuses", 0), "lastState.terminated.reason",
		      "OOMKilled");
	json_decref(pod);
	json_decref(object);
}

static void test_a_deployment_counts_its_pods(void **state)
{
	json_t *object = stored(deployment);
	json_t *set = set_of(object);
	struct report ready, starting, stopping;
	(void)state;
	report_init(&ready, set);
	report_init(&starting, set);
	report_init(&stopping, set);
	starting.presence.ready = false;
	starting.presence.phase = POD_PENDING;
	stopping.presence.terminating = true;
	const struct presence *list[] = {&ready.presence, &ready.presence, &starting.presence,
					 &stopping.presence};
	const struct kube_pods pods = {.pods = list, .count = 4};
	const struct kube_counts counts = kube_pods_count(&pods, 0, (struct wall){0});
	json_t *json = shown(object, set, &pods);
	assert_int_equal(kube_member_int(json, "status.observedGeneration", 0), 2);
	assert_int_equal(kube_member_int(json, "status.replicas", 0), 3);
	assert_int_equal(kube_member_int(json, "status.updatedReplicas", 0), 3);
	assert_int_equal(kube_member_int(json, "status.readyReplicas", 0), 2);
	assert_int_equal(kube_member_int(json, "status.unavailableReplicas", 0), 1);
	assert_member(condition(json, "Available"), "status", "False");
	assert_member(condition(json, "Progressing"), "reason", "ReplicaSetUpdated");
	assert_string_equal(json_string_value(json_object_get(
				    kube_member(json, "metadata.annotations"), KUBE_REVISION)),
			    "1");
	assert_string_equal(cell(json, KUBE_DEPLOYMENTS, 1), "2/3");
	assert_string_equal(cell(json, KUBE_DEPLOYMENTS, 2), "3");
	assert_string_equal(cell(json, KUBE_DEPLOYMENTS, 5), "nginx,side");
	assert_string_equal(cell(json, KUBE_DEPLOYMENTS, 6), "nginx:1.25,side:2");
	assert_string_equal(cell(json, KUBE_DEPLOYMENTS, 7), "app=web");
	json_decref(json);
	json = kube_replica_set(set, &counts);
	assert_int_equal(kube_member_int(json, "status.replicas", 0), 3);
	assert_int_equal(kube_member_int(json, "status.readyReplicas", 0), 2);
	assert_null(json_object_get(kube_member(json, "metadata.annotations"), KUBE_OBSERVED));
	json_decref(json);
	json_decref(set);
	json_decref(object);
}

static void test_a_complete_deployment_says_so(void **state)
{
	json_t *object = stored(deployment);
	json_t *set = set_of(object);
	struct report report;
	(void)state;
	report_init(&report, set);
	const struct presence *list[] = {&report.presence, &report.presence, &report.presence};
	const struct kube_pods pods = {.pods = list, .count = 3};
	json_t *json = shown(object, set, &pods);
	assert_member(condition(json, "Available"), "status", "True");
	assert_member(condition(json, "Progressing"), "reason", "NewReplicaSetAvailable");
	assert_member(condition(json, "Progressing"), "lastUpdateTime", "2026-11-21T18:30:01Z");
	assert_null(kube_member(json, "status.unavailableReplicas"));
	json_decref(json);
	json_decref(set);
	json_decref(object);
}

static void test_what_has_not_been_carried_out_is_not_observed(void **state)
{
	json_t *object = stored(deployment);
	json_t *set = set_of(object);
	const struct kube_pods none = {0};
	(void)state;
	kube_set_int(kube_member(object, "metadata"), "generation", 3);
	json_t *json = shown(object, set, &none);
	assert_int_equal(kube_member_int(json, "status.observedGeneration", 0), 2);
	json_decref(json);
	/* Another template: the set is an old one, whatever it says. */
	kube_set_int(kube_member(object, "metadata"), "generation", 2);
	kube_set_string(kube_member(object, "spec.template.metadata.labels"), "tier", "front");
	json = shown(object, set, &none);
	assert_int_equal(kube_member_int(json, "status.observedGeneration", 0), 1);
	assert_null(kube_member(json, "status.updatedReplicas"));
	json_decref(json);
	json_decref(set);
	json_decref(object);
}

static void test_a_rollout_that_does_not_move_is_past_its_deadline(void **state)
{
	json_t *object = stored(deployment);
	json_t *set = set_of(object);
	const struct kube_pods none = {0};
	(void)state;
	kube_set_int(kube_member(object, "spec"), "progressDeadlineSeconds", 60);
	json_t *json = shown(object, set, &none);
	assert_member(condition(json, "Progressing"), "status", "False");
	assert_member(condition(json, "Progressing"), "reason", "ProgressDeadlineExceeded");
	json_decref(json);
	kube_set_int(kube_member(object, "spec"), "progressDeadlineSeconds", 61);
	json = shown(object, set, &none);
	assert_member(condition(json, "Progressing"), "status", "True");
	json_decref(json);
	json_decref(set);
	json_decref(object);
}

static void test_portions_are_rounded_as_kubernetes_does(void **state)
{
	json_t *quarter = json_string("25%"), *number = json_integer(3), *text = json_string("x");
	(void)state;
	assert_int_equal(kube_portion(quarter, 10, true), 3);
	assert_int_equal(kube_portion(quarter, 10, false), 2);
	assert_int_equal(kube_portion(number, 10, true), 3);
	assert_int_equal(kube_portion(text, 10, true), 0);
	assert_int_equal(kube_portion(NULL, 10, true), 0);
	json_decref(quarter);
	json_decref(number);
	json_decref(text);
}

static void test_a_scale_answers_for_a_deployment(void **state)
{
	json_t *object = stored(deployment);
	json_t *scale = kube_scale(object, 2);
	(void)state;
	assert_member(scale, "kind", "Scale");
	assert_member(scale, "apiVersion", "autoscaling/v1");
	assert_member(scale, "metadata.name", "web");
	assert_int_equal(kube_member_int(scale, "spec.replicas", 0), 3);
	assert_int_equal(kube_member_int(scale, "status.replicas", 0), 2);
	assert_member(scale, "status.selector", "app=web");
	json_decref(scale);
	json_decref(object);
}

static void test_a_node_shows_the_machines_facts(void **state)
{
	struct label labels[] = {{.key = "disk", .value = "ssd"}};
	struct taint taints[] = {{"dedicated", "db", TAINT_NO_EXECUTE},
				 {"old", "", TAINT_PREFER_NO_SCHEDULE}};
	struct resource resource = {"vendor.example/gpu", 2};
	struct node_facts facts = {
		.name = "n1",
		.labels = labels,
		.label_count = 1,
		.taints = taints,
		.taint_count = 2,
		.resources = &resource,
		.resource_count = 1,
		.cpu_milli = 4000,
		.memory_bytes = 8LL << 30,
		.cpu_milli_free_max = 3500,
		.memory_bytes_free_max = 7LL << 30,
		.schedulable = true,
		.worker = true,
		.steward = true,
		.architecture = "amd64",
		.os_image = "Debian GNU/Linux 12 (bookworm)",
		.kernel = "6.1.0",
		.runtime = "crun://1.8.1",
		.version = "v0.1.0",
		.created_ms = 1795285800000,
	};
	struct kube_node_view view = {.is_ready = true, .last_heard = {.ms = 1795285860000}};
	(void)state;
	assert_true(addr_parse("10.0.0.1:7000", &facts.addr));
	json_t *node = kube_node(&facts, &view);
	assert_member(condition(node, "Ready"), "status", "True");
	assert_json_equal(kube_member(node, "status.capacity"),
			  "{'cpu':'4','memory':'8Gi','pods':'110','vendor.example/gpu':'2'}");
	assert_json_equal(kube_member(node, "status.allocatable"),
			  "{'cpu':'3500m','memory':'7Gi','pods':'110','vendor.example/gpu':'2'}");
	assert_json_equal(kube_member(node, "spec.taints"),
			  "[{'key':'dedicated','value':'db','effect':'NoExecute'},"
			  "{'key':'old','effect':'PreferNoSchedule'}]");
	assert_string_equal(cell(node, KUBE_NODES, 1), "Ready");
	assert_string_equal(cell(node, KUBE_NODES, 2), "steward,worker");
	assert_string_equal(cell(node, KUBE_NODES, 3), "60s");
	assert_string_equal(cell(node, KUBE_NODES, 5), "10.0.0.1");
	json_decref(node);
	view.is_ready = false;
	facts.schedulable = false;
	node = kube_node(&facts, &view);
	assert_member(condition(node, "Ready"), "status", "Unknown");
	assert_string_equal(cell(node, KUBE_NODES, 1), "NotReady,SchedulingDisabled");
	json_decref(node);
}

static void test_an_event_points_at_its_object(void **state)
{
	json_t *object = stored(single);
	struct kube_event event = {
		.involved = object,
		.reason = "Scheduled",
		.message = "awarded to n1",
		.count = 2,
		.first = {.ms = 1795285800000},
		.last = {.ms = 1795285830000},
		.component = "machineplane",
		.host = "n1",
	};
	(void)state;
	assert_true(uid_parse(POD_UID, &event.uid));
	json_t *json = kube_event(&event);
	assert_member(json, "involvedObject.uid", WEB_UID);
	assert_member(json, "involvedObject.kind", "Pod");
	assert_member(json, "metadata.namespace", "prod");
	assert_member(json, "metadata.name", "one.22222222-2222");
	assert_member(json, "type", "Normal");
	assert_string_equal(cell(json, KUBE_EVENTS, 0), "30s");
	assert_string_equal(cell(json, KUBE_EVENTS, 3), "pod/one");
	json_decref(json);
	json_decref(object);
}

static void test_a_workload_names_what_the_market_needs(void **state)
{
	json_t *object = stored_set();
	struct kube_workload workload;
	struct requirements needs;
	struct err err;
	(void)state;
	assert_int_equal(kube_workload_read(object, &workload, &err), 0);
	assert_int_equal(workload.replicas, 3);
	assert_int_equal(workload.generation, 2);
	assert_string_equal(workload.namespace, "prod");
	assert_int_equal(workload.priority.value, 0);
	assert_int_equal(kube_needs_read(object, &needs, &err), 0);
	assert_int_equal(needs.cpu_milli, 300);
	/* The init container needs more memory than the two others together. */
	assert_int_equal(needs.memory_bytes, 1LL << 30);
	assert_int_equal(needs.label_count, 1);
	assert_string_equal(needs.labels[0].key, "disk");
	assert_string_equal(needs.architecture, "arm64");
	assert_string_equal(needs.engine, "crun");
	requirements_deinit(&needs);
	json_decref(object);
}

static void test_a_foreign_object_is_no_workload(void **state)
{
	static const char *const objects[] = {
		"{}",
		"[]",
		"{'kind':'Pod'}",
		"{'kind':'Pod','metadata':{'name':'a','uid':'x'},'spec':{}}",
		"{'kind':'Service','metadata':{'name':'a','uid':'" WEB_UID "'},'spec':{}}",
		"{'kind':'ReplicaSet','metadata':{'name':'a','uid':'" WEB_UID
		"'},'spec':{'replicas':-1,'template':{'spec':{}}}}",
		"{'kind':'Pod','metadata':{'name':'a','uid':'" WEB_UID
		"'},'spec':{'priorityClassName':'none'}}",
	};
	struct kube_workload workload;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
		json_t *object = json_of(objects[i]);
		if (kube_workload_read(object, &workload, NULL) == 0)
			fail_msg("accepted: %s", objects[i]);
		json_decref(object);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_pod_of_a_deployment_is_complete),
		cmocka_unit_test(test_owners_lead_from_a_pod_to_its_deployment),
		cmocka_unit_test(test_a_pod_keeps_a_name_label_of_its_own),
		cmocka_unit_test(test_a_bare_pod_keeps_its_own_identity),
		cmocka_unit_test(test_an_empty_slot_shows_as_a_pending_pod),
		cmocka_unit_test(test_the_status_column_names_the_trouble),
		cmocka_unit_test(test_init_containers_show_in_the_status_column),
		cmocka_unit_test(test_a_stopping_pod_is_terminating),
		cmocka_unit_test(test_restarts_show_when_the_last_one_was),
		cmocka_unit_test(test_a_deployment_counts_its_pods),
		cmocka_unit_test(test_a_complete_deployment_says_so),
		cmocka_unit_test(test_what_has_not_been_carried_out_is_not_observed),
		cmocka_unit_test(test_a_rollout_that_does_not_move_is_past_its_deadline),
		cmocka_unit_test(test_portions_are_rounded_as_kubernetes_does),
		cmocka_unit_test(test_a_scale_answers_for_a_deployment),
		cmocka_unit_test(test_a_node_shows_the_machines_facts),
		cmocka_unit_test(test_an_event_points_at_its_object),
		cmocka_unit_test(test_a_workload_names_what_the_market_needs),
		cmocka_unit_test(test_a_foreign_object_is_no_workload),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
