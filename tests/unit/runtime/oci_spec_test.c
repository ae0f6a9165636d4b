/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci_spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "runtime/oci_env.h"
#include "runtime/pod_account.h"
#include "runtime/svid.h"

static const struct policy open_policy = {
	.any_registry = true, .privileged = true, .run_as_root = true};

static const char image_json[] =
	"{\"config\":{\"Entrypoint\":[\"/entry\"],\"Cmd\":[\"serve\"],\"User\":\"web\","
	"\"Env\":[\"PATH=/bin\",\"FROM=image\"],\"WorkingDir\":\"/srv\",\"StopSignal\":"
	"\"SIGQUIT\"}}";

/* Everything a configuration is made from, with one container of the given JSON. */
struct kit {
	struct pod_spec *pod;
	struct image_config image;
	struct image_user user;
	json_t *config;
	struct oci_inputs inputs;
	json_t *spec;
	int result;
	struct err err;
};

static struct kit *kit_new(const char *container, uint32_t uid)
{
	struct kit *kit = mem_new(struct kit);
	struct buf json = {0};

	buf_append_format(&json,
			  "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"web\",\"namespace\":\"ns\","
			  "\"uid\":\"0f7e0e48-9d0b-4c53-8a4b-5b1c4d2f6a01\"},\"spec\":{"
			  "\"containers\":[{\"name\":\"main\",\"image\":\"x\"%s}]}}",
			  container);
	if (pod_spec_parse(bytes_buf(&json), &open_policy, &kit->pod, &kit->err) < 0)
		fail_msg("%s", kit->err.text);
	buf_deinit(&json);
	assert_int_equal(image_config_parse(bytes_str(image_json), &kit->image, &kit->err), 0);
	kit->user.uid = kit->user.gid = uid;
	kit->inputs = (struct oci_inputs){
		.pod = kit->pod,
		.container = &kit->pod->containers[0],
		.image = &kit->image,
		.image_user = &kit->user,
		.facts = {.spec = kit->pod,
			  .uid = "uid",
			  .name = "web-0",
			  .hostname = "web-0",
			  .ip = "fd00::1",
			  .host_ip = "192.0.2.1",
			  .node_name = "node-a",
			  .labels = kit->pod->labels,
			  .cpu_capacity_milli = 4000,
			  .memory_capacity_bytes = 8ull << 30},
		.config = kit->config,
		.local_peer_id = "peer",
		.pod_dir = "/run/p",
		.rootfs = "/run/p/rootfs",
		.cgroup = "/g",
		.seccomp = "filter",
		.nofile_max = 20000,
		.oom_score_min = 0,
	};
	kit->result = oci_spec_build(&kit->inputs, &kit->spec, &kit->err);
	return kit;
}

static void kit_free(struct kit *kit)
{
	json_decref(kit->spec);
	image_config_deinit(&kit->image);
	(void)pod_spec_free(kit->pod);
	free(kit);
}

static json_t *at(const struct kit *kit, const char *first, const char *second)
{
	return json_object_get(json_object_get(kit->spec, first), second);
}

static void expect_args(const char *container, const char *expected)
{
	struct kit *kit = kit_new(container, 0);
	char *text;

	assert_int_equal(kit->result, 0);
	text = json_dumps(at(kit, "process", "args"), JSON_COMPACT);
	assert_string_equal(text, expected);
	free(text);
	kit_free(kit);
}

static void test_command_and_args_follow_the_table_of_kubernetes(void **state)
{
	(void)state;
	expect_args("", "[\"/entry\",\"serve\"]");
	expect_args(",\"args\":[\"a\"]", "[\"/entry\",\"a\"]");
	expect_args(",\"command\":[\"c\"]", "[\"c\"]");
	expect_args(",\"command\":[\"c\"],\"args\":[\"a\"]", "[\"c\",\"a\"]");
	expect_args(",\"command\":[\"$(A)\",\"$$(A)\",\"$(FROM)\"],\"env\":[{\"name\":\"A\","
		    "\"value\":\"b\"}]",
		    "[\"b\",\"$(A)\",\"$(FROM)\"]");
}

static bool has_text(const json_t *list, const char *text)
{
	const json_t *item;
	size_t i;

	json_array_foreach (list, i, item)
		if (strcmp(json_string_value(item), text) == 0)
			return true;
	return false;
}

static void test_the_environment_is_the_images_with_the_manifests_over_it(void **state)
{
	struct kit *kit =
		kit_new(",\"env\":[{\"name\":\"FROM\",\"value\":\"pod\"},{\"name\":\"IP\","
			"\"valueFrom\":{\"fieldRef\":{\"fieldPath\":\"status.podIP\"}}}]",
			0);
	const json_t *env = at(kit, "process", "env");

	(void)state;
	assert_int_equal(kit->result, 0);
	assert_true(has_text(env, "PATH=/bin"));
	assert_true(has_text(env, "FROM=pod"));
	assert_true(has_text(env, "IP=fd00::1"));
	assert_true(has_text(env, "HOSTNAME=web-0"));
	kit_free(kit);
}

static void test_an_unknown_field_is_an_error(void **state)
{
	struct kit *kit = kit_new(",\"env\":[{\"name\":\"A\",\"valueFrom\":{\"fieldRef\":{"
				  "\"fieldPath\":\"spec.nothing\"}}}]",
				  0);

	(void)state;
	assert_int_equal(kit->result, -EINVAL);
	assert_non_null(strstr(kit->err.text, "spec.nothing"));
	kit_free(kit);
}

static void test_only_root_starts_with_capabilities(void **state)
{
	struct kit *root = kit_new("", 0), *web = kit_new("", 1000);
	const json_t *of_root = at(root, "process", "capabilities");
	const json_t *of_web = at(web, "process", "capabilities");

	(void)state;
	assert_int_equal(json_array_size(json_object_get(of_root, "effective")), 11);
	assert_int_equal(json_array_size(json_object_get(of_web, "effective")), 0);
	assert_int_equal(json_array_size(json_object_get(of_web, "bounding")), 11);
	kit_free(root);
	kit_free(web);
}

static void test_capabilities_are_dropped_and_added(void **state)
{
	struct kit *kit = kit_new(",\"securityContext\":{\"capabilities\":{\"drop\":[\"ALL\"],"
				  "\"add\":[\"NET_BIND_SERVICE\"]}}",
				  0);
	const json_t *bounding = json_object_get(at(kit, "process", "capabilities"), "bounding");

	(void)state;
	assert_int_equal(json_array_size(bounding), 1);
	assert_true(has_text(bounding, "CAP_NET_BIND_SERVICE"));
	kit_free(kit);
}

static void test_the_filter_is_left_out_only_where_the_manifest_may_say_so(void **state)
{
	struct kit *plain = kit_new("", 0);
	struct kit *privileged = kit_new(",\"securityContext\":{\"privileged\":true}", 0);
	const char *key = "run.oci.seccomp_bpf_data";

	(void)state;
	assert_string_equal(json_string_value(at(plain, "annotations", key)), "filter");
	assert_non_null(at(plain, "linux", "maskedPaths"));
	assert_null(at(privileged, "annotations", key));
	assert_null(at(privileged, "linux", "maskedPaths"));
	kit_free(plain);
	kit_free(privileged);
}

static void test_pods_carry_their_labels(void **state)
{
	static const char *const keys[] = {
		"magik.pod_id",
		"magik.namespace",
		"magik.kind",
		"magik.name",
		"magik.local_peer_id",
		"io.kubernetes.pod.namespace",
		"app.kubernetes.io/name",
	};
	struct kit *kit = kit_new("", 0);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_non_null(at(kit, "annotations", keys[i]));
	kit_free(kit);
}

static void test_root_is_refused_where_it_must_not_be(void **state)
{
	struct kit *kit = kit_new(",\"securityContext\":{\"runAsNonRoot\":true}", 0);

	(void)state;
	assert_int_equal(kit->result, -EINVAL);
	assert_non_null(strstr(kit->err.text, "runAsNonRoot"));
	kit_free(kit);
}

static void test_no_more_files_than_this_process_may_give(void **state)
{
	struct kit *kit = kit_new("", 0);
	const json_t *limit = json_array_get(at(kit, "process", "rlimits"), 0);

	(void)state;
	assert_int_equal(json_integer_value(json_object_get(limit, "hard")), 20000);
	assert_int_equal(json_integer_value(json_object_get(limit, "soft")), 20000);
	kit_free(kit);
}

static void test_stop_signals_are_known_by_name_and_number(void **state)
{
	(void)state;
	assert_int_equal(image_config_signal("SIGQUIT"), 3);
	assert_int_equal(image_config_signal("TERM"), 15);
	assert_int_equal(image_config_signal("9"), 9);
	assert_int_equal(image_config_signal("0"), 0);
	assert_int_equal(image_config_signal("999"), 0);
	assert_int_equal(image_config_signal("SIGNOTHING"), 0);
	assert_int_equal(image_config_signal(""), 0);
}

static void test_a_malformed_image_is_refused(void **state)
{
	static const char *const wrong[] = {"", "[]", "{\"config\":{\"Env\":\"A=b\"}}",
					    "{\"config\":{\"Cmd\":[1]}}"};
	struct image_config config;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(image_config_parse(bytes_str(wrong[i]), &config, &err), -EINVAL);
}

static bool is_mounted(const json_t *mounts, const char *at)
{
	const json_t *mount;
	size_t i;

	json_array_foreach (mounts, i, mount)
		if (strcmp(json_string_value(json_object_get(mount, "destination")), at) == 0)
			return has_text(json_object_get(mount, "options"), "ro");
	return false;
}

static void test_an_application_finds_its_identity_where_it_is_asked_for(void **state)
{
	struct kit *kit =
		kit_new(",\"env\":[{\"name\":\"SPIFFE_BUNDLE_FILE\",\"value\":\"/b\"}]", 0);
	const char *file = "SPIFFE_SVID_FILE=" SVID_DIR "/svid.pem";

	(void)state;
	assert_false(has_text(at(kit, "process", "env"), file));
	assert_false(is_mounted(json_object_get(kit->spec, "mounts"), SVID_DIR));
	json_decref(kit->spec);
	kit->pod->svid = true;
	assert_int_equal(oci_spec_build(&kit->inputs, &kit->spec, &kit->err), 0);
	assert_true(has_text(at(kit, "process", "env"), file));
	assert_true(has_text(at(kit, "process", "env"), "SPIFFE_BUNDLE_FILE=/b")); /* as told */
	assert_true(is_mounted(json_object_get(kit->spec, "mounts"), SVID_DIR));
	kit_free(kit);
}

static bool account_is_mounted(struct kit *kit)
{
	assert_int_equal(kit->result, 0);
	return is_mounted(json_object_get(kit->spec, "mounts"), POD_ACCOUNT_DIR);
}

static void build_again(struct kit *kit)
{
	json_decref(kit->spec);
	kit->result = oci_spec_build(&kit->inputs, &kit->spec, &kit->err);
}

static void test_a_member_of_a_group_is_told_where_its_api_is_as_kubernetes_does(void **state)
{
	struct kit *kit = kit_new("", 0);
	const char *host = "KUBERNETES_SERVICE_HOST=198.19.255.253";

	(void)state;
	assert_false(has_text(at(kit, "process", "env"), host));
	assert_false(account_is_mounted(kit));
	kit->inputs.facts.has_account = true;
	build_again(kit);
	assert_true(has_text(at(kit, "process", "env"), host));
	assert_true(has_text(at(kit, "process", "env"), "KUBERNETES_SERVICE_PORT=443"));
	assert_true(
		has_text(at(kit, "process", "env"), "KUBERNETES_PORT=tcp://198.19.255.253:443"));
	assert_true(account_is_mounted(kit));
	/* automountServiceAccountToken: false */
	kit->pod->no_token = true;
	build_again(kit);
	assert_true(has_text(at(kit, "process", "env"), host));
	assert_false(account_is_mounted(kit));
	kit_free(kit);
}

static void test_what_a_manifest_mounts_there_itself_stays(void **state)
{
	static const char *const at_it[] = {POD_ACCOUNT_DIR, POD_ACCOUNT_DIR "/"};
	struct volume own = {.name = "own", .kind = VOLUME_HOST_PATH, .host_path = "/own"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(at_it); i++) {
		struct kit *kit = kit_new("", 0);
		struct volume_mount mount = {.volume = &own, .path = at_it[i]};
		struct volume_mount *none = kit->pod->containers[0].mounts;

		kit->inputs.facts.has_account = true;
		kit->pod->containers[0].mounts = &mount;
		kit->pod->containers[0].mount_count = 1;
		build_again(kit);
		assert_false(account_is_mounted(kit)); /* its own is no read-only one */
		mount.path = POD_ACCOUNT_DIR "-of-another";
		build_again(kit);
		assert_true(account_is_mounted(kit));
		kit->pod->containers[0].mounts = none;
		kit_free(kit);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command_and_args_follow_the_table_of_kubernetes),
		cmocka_unit_test(test_an_application_finds_its_identity_where_it_is_asked_for),
		cmocka_unit_test(
			test_a_member_of_a_group_is_told_where_its_api_is_as_kubernetes_does),
		cmocka_unit_test(test_what_a_manifest_mounts_there_itself_stays),
		cmocka_unit_test(test_the_environment_is_the_images_with_the_manifests_over_it),
		cmocka_unit_test(test_an_unknown_field_is_an_error),
		cmocka_unit_test(test_only_root_starts_with_capabilities),
		cmocka_unit_test(test_capabilities_are_dropped_and_added),
		cmocka_unit_test(test_the_filter_is_left_out_only_where_the_manifest_may_say_so),
		cmocka_unit_test(test_pods_carry_their_labels),
		cmocka_unit_test(test_root_is_refused_where_it_must_not_be),
		cmocka_unit_test(test_no_more_files_than_this_process_may_give),
		cmocka_unit_test(test_stop_signals_are_known_by_name_and_number),
		cmocka_unit_test(test_a_malformed_image_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
