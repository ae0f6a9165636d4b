/* SPDX-License-Identifier: Apache-2.0 */
/* Services and what follows from them. */
#include "kube/service.h"

#include "kube_fixture.h"

#include "kube/admit.h"
#include "kube/node_port.h"
#include "kube/status.h"

#define UID_TEXT "0f7e0e48-9d0b-4c53-8a4b-5b1c4d2f6a01"

static const char web[] =
	"{'apiVersion':'v1','kind':'Service','metadata':{'name':'web'},'spec':{'selector':{'app':"
	"'web'},'ports':[{'port':80,'targetPort':'http'}]}}";

/* @warning NULL: there is none. */
static json_t *admitted(const char *text, const char *warning)
{
	json_t *object = json_of(text), *metadata;
	struct kube_admission admission;
	int r = kube_admit(object, kube_resource(KUBE_SERVICES), "default", KUBE_VALIDATION_STRICT,
			   &admission);

	if (r)
		fail_msg("%s", kube_member_string(admission.status, "message"));
	assert_int_equal(json_array_size(admission.warnings), warning ? 1 : 0);
	if (warning && !strstr(json_string_value(json_array_get(admission.warnings, 0)), warning))
		fail_msg("%s", json_string_value(json_array_get(admission.warnings, 0)));
	metadata = json_object_get(object, "metadata");
	kube_set_string(metadata, "uid", UID_TEXT);
	kube_service_stamp(object);
	kube_admission_deinit(&admission);
	return object;
}

static void test_the_address_follows_from_the_uid(void **state)
{
	json_t *service = admitted(web, NULL), *again = json_deep_copy(service);

	(void)state;
	assert_member(service, "spec.clusterIP", "fd6d:6167:7376:4c53:8a4b:5b1c:4d2f:6a01");
	assert_member(service, "spec.type", "ClusterIP");
	kube_service_stamp(again);
	assert_true(json_equal(service, again));
	json_decref(service);
	json_decref(again);
}

static void test_a_headless_service_has_none(void **state)
{
	json_t *service = admitted("{'apiVersion':'v1','kind':'Service','metadata':{'name':'db'},"
				   "'spec':{'clusterIP':'None','selector':{'app':'db'}}}",
				   NULL);

	(void)state;
	assert_member(service, "spec.clusterIP", "None");
	json_decref(service);
}

static void test_node_ports_follow_from_the_uid_too(void **state)
{
	json_t *service = admitted("{'apiVersion':'v1','kind':'Service','metadata':{'name':'n'},"
				   "'spec':{'type':'NodePort','ports':[{'port':80}]}}",
				   NULL);
	int64_t port = kube_member_int(element(service, "spec.ports", 0), "nodePort", 0);

	(void)state;
	assert_true(port >= 30000 && port < 32768);
	json_decref(service);
}

static void test_a_node_port_leads_to_what_its_name_means(void **state)
{
	json_t *service = admitted("{'apiVersion':'v1','kind':'Service','metadata':{'name':'n'},"
				   "'spec':{'type':'NodePort','ports':[{'name':'a','port':80,"
				   "'nodePort':30080,'targetPort':'web'},{'name':'b','port':53,"
				   "'protocol':'UDP','nodePort':30053},{'name':'c','port':81,"
				   "'nodePort':30081}]}}",
				   "TCP only");
	json_t *pod = json_of("{'kind':'Pod','spec':{'containers':[{'ports':[{'name':'web',"
			      "'containerPort':8080,'protocol':'TCP'}]}]}}");

	(void)state;
	assert_int_equal(kube_service_target(kube_node_port_find(service, 30080), pod), 8080);
	assert_int_equal(kube_service_target(kube_node_port_find(service, 30081), pod), 81);
	assert_null(kube_node_port_find(service, 30053));
	assert_null(kube_node_port_find(service, 30082));
	assert_false(kube_node_port_is_local(service));
	kube_set_string(json_object_get(service, "spec"), "type", "ClusterIP");
	assert_null(kube_node_port_find(service, 30080));
	kube_set_string(json_object_get(pod, "spec"), "containers", "none");
	kube_set_string(json_object_get(service, "spec"), "type", "NodePort");
	assert_int_equal(kube_service_target(kube_node_port_find(service, 30080), pod), 0);
	json_decref(service);
	json_decref(pod);
}

static void test_the_older_service_holds_a_port(void **state)
{
	json_t *old =
		json_of("{'metadata':{'creationTimestamp':'2024-01-01T00:00:00Z','uid':'b'}}");
	json_t *new =
		json_of("{'metadata':{'creationTimestamp':'2024-01-01T00:00:01Z','uid':'a'}}");
	json_t *same =
		json_of("{'metadata':{'creationTimestamp':'2024-01-01T00:00:00Z','uid':'a'}}");

	(void)state;
	assert_true(kube_node_port_holds(old, new));
	assert_false(kube_node_port_holds(new, old));
	assert_true(kube_node_port_holds(same, old));
	assert_false(kube_node_port_holds(old, same));
	json_decref(old);
	json_decref(new);
	json_decref(same);
}

static void refuse(const char *text, const char *word)
{
	json_t *object = json_of(text);
	struct kube_admission admission;

	assert_int_equal(kube_admit(object, kube_resource(KUBE_SERVICES), "default",
				    KUBE_VALIDATION_STRICT, &admission),
			 KUBE_ADMIT_E_REFUSED);
	if (!strstr(kube_member_string(admission.status, "message"), word))
		fail_msg("%s", kube_member_string(admission.status, "message"));
	kube_admission_deinit(&admission);
	json_decref(object);
}

static void test_mistakes_are_named(void **state)
{
	(void)state;
	refuse("{'apiVersion':'v1','kind':'Service','metadata':{'name':'n'},'spec':{}}",
	       "spec.ports");
	refuse("{'apiVersion':'v1','kind':'Service','metadata':{'name':'n'},'spec':{'ports':[{"
	       "'port':1},{'port':2}]}}",
	       "ports[0].name");
	refuse("{'apiVersion':'v1','kind':'Service','metadata':{'name':'n'},'spec':{'type':"
	       "'ExternalName'}}",
	       "externalName");
	refuse("{'apiVersion':'v1','kind':'Service','metadata':{'name':'n'},'spec':{'clusterIP':"
	       "'x','ports':[{'port':1}]}}",
	       "clusterIP");
	refuse("{'apiVersion':'v1','kind':'Service','metadata':{'name':'n'},'spec':{'type':"
	       "'NodePort','ports':[{'port':1,'nodePort':8080}]}}",
	       "30000-32767");
}

/* Two pods of the Service, one of them not ready, and one of another app. */
struct scene {
	json_t *service, *front, *other;
	struct presence pods[3];
	struct kube_backend backends[3];
};

static void scene_init(struct scene *scene)
{
	static const char workload[] =
		"{'kind':'ReplicaSet','spec':{'template':{'metadata':{'labels':{'app':'%s'}},'spec'"
		":{'containers':[{'ports':[{'name':'http','containerPort':8080,'protocol':'TCP'}]}]"
		"}}}}";
	static const char *const ips[] = {"fd00::1", "fd00::2", "fd00::3"};
	char text[512];

	*scene = (struct scene){.service = admitted(web, NULL)};
	snprintf(text, sizeof(text), workload, "web");
	scene->front = json_of(text);
	snprintf(text, sizeof(text), workload, "other");
	scene->other = json_of(text);
	for (size_t i = 0; i < 3; i++) {
		scene->pods[i] = (struct presence){
			.object.namespace = (char *)(uintptr_t) "default",
			.pod_name = (char *)(uintptr_t) "pod",
			.node_name = (char *)(uintptr_t) "node",
			.pod_ip = (char *)(uintptr_t)ips[i],
			.phase = POD_RUNNING,
			.ready = i != 1,
		};
		scene->backends[i] =
			(struct kube_backend){&scene->pods[i], i < 2 ? scene->front : scene->other};
	}
}

static void scene_deinit(struct scene *scene)
{
	json_decref(scene->service);
	json_decref(scene->front);
	json_decref(scene->other);
}

static void test_endpoints_are_the_ready_pods_that_are_selected(void **state)
{
	struct scene scene;
	json_t *endpoints;
	const json_t *subset;

	(void)state;
	scene_init(&scene);
	endpoints = kube_endpoints(scene.service, scene.backends, 3);
	subset = element(endpoints, "subsets", 0);
	assert_int_equal(json_array_size(json_object_get(subset, "addresses")), 1);
	assert_member(element(subset, "addresses", 0), "ip", "fd00::1");
	assert_member(element(subset, "notReadyAddresses", 0), "ip", "fd00::2");
	assert_int_equal(kube_member_int(element(subset, "ports", 0), "port", 0), 8080);
	json_decref(endpoints);
	scene_deinit(&scene);
}

static void test_slices_tell_the_conditions_of_each_pod(void **state)
{
	struct scene scene;
	const json_t *slice;
	json_t *slices;

	(void)state;
	scene_init(&scene);
	slices = kube_endpoint_slices(scene.service, scene.backends, 3);
	assert_int_equal(json_array_size(slices), 1);
	slice = json_array_get(slices, 0);
	assert_int_equal(json_array_size(json_object_get(slice, "endpoints")), 2);
	assert_true(kube_member_true(element(slice, "endpoints", 0), "conditions.ready"));
	assert_false(kube_member_true(element(slice, "endpoints", 1), "conditions.ready"));
	assert_string_equal(json_string_value(json_object_get(kube_member(slice, "metadata.labels"),
							      "kubernetes.io/service-name")),
			    "web");
	json_decref(slices);
	slices = kube_endpoint_slices(scene.service, scene.backends + 2, 1);
	assert_int_equal(json_array_size(slices), 1); /* an empty one */
	json_decref(slices);
	scene_deinit(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_address_follows_from_the_uid),
		cmocka_unit_test(test_a_headless_service_has_none),
		cmocka_unit_test(test_node_ports_follow_from_the_uid_too),
		cmocka_unit_test(test_a_node_port_leads_to_what_its_name_means),
		cmocka_unit_test(test_the_older_service_holds_a_port),
		cmocka_unit_test(test_mistakes_are_named),
		cmocka_unit_test(test_endpoints_are_the_ready_pods_that_are_selected),
		cmocka_unit_test(test_slices_tell_the_conditions_of_each_pod),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
