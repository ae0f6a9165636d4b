/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/pod_spec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "kube/manifest.h"
#include "runtime/files.h"
#include "runtime/svid.h"

#define META                                                                         \
	"\"metadata\":{\"name\":\"web\",\"namespace\":\"default\",\"generation\":3," \
	"\"uid\":\"0f7e0e48-9d0b-4c53-8a4b-5b1c4d2f6a01\"}"
#define POD(spec) "{\"kind\":\"Pod\"," META ",\"spec\":" spec "}"
#define ONE(more) POD("{\"containers\":[{\"name\":\"main\",\"image\":\"nginx\"" more "}]}")

static const struct policy strict = {.any_registry = true};

static int parse(const char *json, const struct policy *policy, struct pod_spec **ret_spec,
		 struct err *err)
{
	return pod_spec_parse(bytes_str(json), policy, ret_spec, err);
}

static void test_a_deployment_gives_its_template(void **state)
{
	struct pod_spec *spec;
	struct err err = {0};

	(void)state;
	assert_int_equal(
		parse("{\"kind\":\"Deployment\"," META ",\"spec\":{\"replicas\":3,\"template\":{"
		      "\"metadata\":{\"labels\":{\"app.kubernetes.io/name\":\"shop\"}},"
		      "\"spec\":{\"initContainers\":[{\"name\":\"first\",\"image\":\"a:1\"}],"
		      "\"containers\":[{\"name\":\"main\",\"image\":\"nginx\",\"command\":[\"x\"],"
		      "\"resources\":{\"requests\":{\"cpu\":\"100m\"},\"limits\":{\"memory\":"
		      "\"64Mi\"}"
		      "}}]}}}}",
		      &strict, &spec, &err),
		0);
	assert_string_equal(spec->kind, "Deployment");
	assert_string_equal(spec->app_label, "shop");
	assert_int_equal(spec->generation, 3);
	assert_int_equal(spec->container_count, 2);
	assert_int_equal(spec->init_count, 1);
	assert_true(spec->containers[0].init);
	assert_int_equal(spec->containers[0].pull, PULL_IF_NOT_PRESENT);
	assert_int_equal(spec->containers[1].pull, PULL_ALWAYS);
	assert_int_equal(spec->containers[1].resources.cpu_request_milli, 100);
	assert_int_equal(spec->containers[1].resources.memory_limit_bytes, 64 << 20);
	assert_int_equal(spec->grace_s, POD_GRACE_S_DEFAULT);
	assert_int_equal(spec->restart, RESTART_ALWAYS);
	(void)pod_spec_free(spec);
}

static void expect_refused(const char *json, int code, const char *word)
{
	struct pod_spec *spec;
	struct err err = {0};

	if (parse(json, &strict, &spec, &err) != code)
		fail_msg("expected %d: %s: %s", code, err.text, json);
	if (!strstr(err.text, word))
		fail_msg("\"%s\" does not name %s", err.text, word);
}

static void test_what_would_weaken_isolation_is_refused(void **state)
{
	(void)state;
	expect_refused(POD("{\"hostNetwork\":true,\"containers\":[]}"), -EOPNOTSUPP, "hostNetwork");
	expect_refused(POD("{\"hostPID\":true,\"containers\":[]}"), -EOPNOTSUPP, "hostPID");
	expect_refused(ONE(",\"securityContext\":{\"privileged\":true}"), -EACCES, "privileged");
	expect_refused(ONE(",\"securityContext\":{\"capabilities\":{\"add\":[\"SYS_ADMIN\"]}}"),
		       -EACCES, "SYS_ADMIN");
	expect_refused(ONE(",\"securityContext\":{\"capabilities\":{\"add\":[\"ALL\"]}}"), -EACCES,
		       "ALL");
	expect_refused(ONE(",\"securityContext\":{\"seccompProfile\":{\"type\":\"Unconfined\"}}"),
		       -EACCES, "seccomp");
	expect_refused(POD("{\"volumes\":[{\"name\":\"v\",\"hostPath\":{\"path\":\"/\"}}],"
			   "\"containers\":[{\"name\":\"a\",\"image\":\"b\"}]}"),
		       -EACCES, "hostPath");
}

static void test_what_cannot_be_kept_is_refused(void **state)
{
	(void)state;
	expect_refused(POD("{\"volumes\":[{\"name\":\"v\",\"nfs\":{}}],\"containers\":[]}"),
		       -EOPNOTSUPP, "of this kind");
	expect_refused(ONE(",\"env\":[{\"name\":\"A\",\"valueFrom\":{\"otherRef\":{}}}]"),
		       -EOPNOTSUPP, "valueFrom");
	expect_refused(ONE(",\"resources\":{\"limits\":{\"hugepages-2Mi\":1}}"), -EOPNOTSUPP,
		       "hugepages-2Mi");
	expect_refused(ONE(",\"resources\":{\"limits\":{\"memory\":\"1Ki\"}}"), -EINVAL, "memory");
}

#define PART_OF(part)                                                           \
	POD("{\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}],\"containers\":[{" \
	    "\"name\":\"a\",\"image\":\"b\",\"volumeMounts\":[{\"name\":\"v\"," \
	    "\"mountPath\":\"/x\"," part "}]}]}")

static void test_names_that_would_become_paths_are_checked(void **state)
{
	(void)state;
	expect_refused(POD("{\"containers\":[{\"name\":\"../x\",\"image\":\"b\"}]}"), -EINVAL,
		       "name");
	expect_refused(POD("{\"containers\":[{\"name\":\"a\",\"image\":\"b\"},"
			   "{\"name\":\"a\",\"image\":\"b\"}]}"),
		       -EINVAL, "one name");
	expect_refused(POD("{\"volumes\":[{\"name\":\"../v\",\"emptyDir\":{}}],\"containers\":[]}"),
		       -EINVAL, "volumes");
	expect_refused(ONE(",\"workingDir\":\"/a/../b\""), -EINVAL, "workingDir");
	expect_refused(ONE(",\"envFrom\":[{}]"), -EINVAL, "envFrom");
	expect_refused(ONE(",\"env\":[{\"name\":\"A\",\"valueFrom\":{\"secretKeyRef\":{\"key\":"
			   "\"k\",\"name\":\"../x\"}}}]"),
		       -EINVAL, "name");
	expect_refused(PART_OF("\"subPath\":\"../y\""), -EINVAL, "subPath");
	expect_refused(PART_OF("\"subPath\":\"y/../..\""), -EINVAL, "subPath");
	expect_refused(PART_OF("\"subPath\":\"/y\""), -EINVAL, "subPath");
	expect_refused(PART_OF("\"subPathExpr\":\"../$(A)\""), -EINVAL, "subPathExpr");
	expect_refused(PART_OF("\"subPath\":\"y\",\"subPathExpr\":\"$(A)\""), -EINVAL, "subPath");
}

#define MOUNT_AT(path)                                                          \
	POD("{\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}],\"containers\":[{" \
	    "\"name\":\"a\",\"image\":\"b\",\"volumeMounts\":[{\"name\":\"v\"," \
	    "\"mountPath\":\"" path "\"}]}]}")

/* Engines write to files there on a container's behalf, before it has given anything up. */
static void test_nothing_is_mounted_or_begun_in_proc(void **state)
{
	(void)state;
	expect_refused(MOUNT_AT("/proc"), -EOPNOTSUPP, "/proc");
	expect_refused(MOUNT_AT("/./proc/"), -EOPNOTSUPP, "/proc");
	expect_refused(MOUNT_AT("//proc/self/attr"), -EOPNOTSUPP, "/proc");
	expect_refused(ONE(",\"workingDir\":\"/proc/self/fd/9\""), -EOPNOTSUPP, "/proc");
	expect_refused(MOUNT_AT("/x/.."), -EINVAL, "volumeMounts");
}

/* What is kept in memory for each pod is bounded, whoever wrote it. */
static void test_a_manifest_of_too_many_values_is_refused(void **state)
{
	struct policy policy = {.any_registry = true};
	struct buf manifest = {0};
	struct pod_spec *spec;
	struct err err;

	(void)state;
	buf_append_str(&manifest, "{\"a\":[0");
	for (size_t i = 0; i < KUBE_MANIFEST_NODES_MAX; i++)
		buf_append_str(&manifest, ",[]");
	buf_append_str(&manifest, "]}");
	assert_int_equal(pod_spec_parse(bytes_buf(&manifest), &policy, &spec, &err), -EINVAL);
	assert_non_null(strstr(err.text, "number of its values"));
	while (manifest.len <= KUBE_MANIFEST_MAX)
		buf_append_str(&manifest, "                ");
	assert_int_equal(pod_spec_parse(bytes_buf(&manifest), &policy, &spec, &err), -EINVAL);
	assert_non_null(strstr(err.text, "length"));
	buf_deinit(&manifest);
}

static void test_what_is_no_object_is_refused(void **state)
{
	(void)state;
	expect_refused("", -EINVAL, "manifest");
	expect_refused("[]", -EINVAL, "manifest");
	expect_refused("{\"kind\":\"Pod\"}", -EINVAL, "metadata");
	expect_refused(POD("{}"), -EINVAL, "containers");
	expect_refused(POD("{\"containers\":[]}"), -EINVAL, "containers");
	expect_refused(POD("{\"containers\":[{\"name\":\"a\"}]}"), -EINVAL, "image");
	expect_refused(ONE(",\"command\":\"x\""), -EINVAL, "command");
	expect_refused(ONE(",\"securityContext\":{\"runAsUser\":-5}"), -EINVAL, "runAsUser");
}

static void write_policy(char *path, const char *json)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(file_replace(path, bytes_str(json), 0600), 0);
}

static void test_the_local_policy_opens_what_it_names(void **state)
{
	char path[] = "/tmp/policy-test-XXXXXX";
	struct policy policy;
	struct pod_spec *spec;
	struct err err = {0};

	(void)state;
	write_policy(path, "{\"privileged\":true,\"hostPath\":[\"/srv/data\"],"
			   "\"registries\":[\"docker.io\"]}");
	assert_int_equal(policy_load(path, &policy, &err), 0);
	assert_true(policy_allows_host_path(&policy, "/srv/data"));
	assert_true(policy_allows_host_path(&policy, "/srv/data/x"));
	assert_false(policy_allows_host_path(&policy, "/srv/database"));
	assert_false(policy_allows_host_path(&policy, "/srv"));
	assert_int_equal(
		parse(ONE(",\"securityContext\":{\"privileged\":true}"), &policy, &spec, &err), 0);
	(void)pod_spec_free(spec);
	assert_int_equal(parse(POD("{\"containers\":[{\"name\":\"a\",\"image\":\"ghcr.io/x\"}]}"),
			       &policy, &spec, &err),
			 -EACCES);
	assert_non_null(strstr(err.text, "ghcr.io"));
	policy_deinit(&policy);
	(void)unlink(path);
}

static void test_the_local_policy_bounds_priorities(void **state)
{
	static const char critical[] =
		POD("{\"priorityClassName\":\"system-node-critical\",\"containers\":"
		    "[{\"name\":\"a\",\"image\":\"b\"}]}");
	char path[] = "/tmp/policy-test-XXXXXX";
	struct policy policy;
	struct pod_spec *spec;
	struct err err = {0};

	(void)state;
	assert_int_equal(policy_load(NULL, &policy, &err), 0);
	assert_int_equal(parse(critical, &policy, &spec, &err), -EACCES);
	assert_non_null(strstr(err.text, "priority"));
	write_policy(path, "{\"priorityMax\":2000001000}");
	assert_int_equal(policy_load(path, &policy, &err), 0);
	assert_int_equal(parse(critical, &policy, &spec, &err), 0);
	(void)pod_spec_free(spec);
	policy_deinit(&policy);
	(void)unlink(path);
}

static void test_a_priority_limit_that_is_no_number_is_an_error(void **state)
{
	char path[] = "/tmp/policy-test-XXXXXX";
	struct policy policy;
	struct err err = {0};

	(void)state;
	write_policy(path, "{\"priorityMax\":99999999999}");
	assert_int_equal(policy_load(path, &policy, &err), -EINVAL);
	assert_non_null(strstr(err.text, "priorityMax"));
	(void)unlink(path);
}

static void test_a_capability_is_allowed_without_all_privileges(void **state)
{
	char path[] = "/tmp/policy-test-XXXXXX";
	struct policy policy;
	struct pod_spec *spec;
	struct err err = {0};

	(void)state;
	write_policy(path, "{\"capabilities\":[\"SYS_PTRACE\"]}");
	assert_int_equal(policy_load(path, &policy, &err), 0);
	assert_int_equal(parse(ONE(",\"securityContext\":{\"capabilities\":{\"add\":"
				   "[\"SYS_PTRACE\"]}}"),
			       &policy, &spec, &err),
			 0);
	(void)pod_spec_free(spec);
	assert_int_equal(parse(ONE(",\"securityContext\":{\"capabilities\":{\"add\":"
				   "[\"SYS_ADMIN\"]}}"),
			       &policy, &spec, &err),
			 -EACCES);
	assert_non_null(strstr(err.text, "SYS_ADMIN is forbidden by this machine's local policy"));
	policy_deinit(&policy);
	(void)unlink(path);
}

static void test_root_may_be_denied_in_containers(void **state)
{
	char path[] = "/tmp/policy-test-XXXXXX";
	struct policy policy;
	struct pod_spec *spec;
	struct err err = {0};

	(void)state;
	write_policy(path, "{\"runAsRoot\":false}");
	assert_int_equal(policy_load(path, &policy, &err), 0);
	assert_int_equal(parse(ONE(",\"securityContext\":{\"runAsUser\":0}"), &policy, &spec, &err),
			 -EACCES);
	assert_int_equal(parse(ONE(""), &policy, &spec, &err), 0);
	assert_true(spec->containers[0].security.run_as_non_root);
	(void)pod_spec_free(spec);
	policy_deinit(&policy);
	(void)unlink(path);
}

static void test_images_are_allowed_by_the_beginning_of_their_names(void **state)
{
	char path[] = "/tmp/policy-test-XXXXXX";
	struct policy policy;
	struct err err = {0};

	(void)state;
	write_policy(path, "{\"registries\":[\"docker.io/library/\",\"ghcr.io\"]}");
	assert_int_equal(policy_load(path, &policy, &err), 0);
	assert_true(policy_allows_image(&policy, "docker.io/library/nginx:1"));
	assert_false(policy_allows_image(&policy, "docker.io/libraryx/nginx:1"));
	assert_false(policy_allows_image(&policy, "docker.io/someone/nginx:1"));
	assert_true(policy_allows_image(&policy, "ghcr.io/a/b@sha256:00"));
	assert_false(policy_allows_image(&policy, "ghcr.io.evil.org/a:1"));
	policy_deinit(&policy);
	(void)unlink(path);
}

static void test_a_wrong_policy_is_named_with_its_line(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"{\n \"privileged\": false,\n \"hostPaths\": []\n}", "line 3: unknown key"},
		{"{\n \"privileged\": 1\n}", "line 2: privileged must be true or false"},
		{"{\n \"hostNetwork\": true\n}", "line 2: hostNetwork cannot be allowed"},
		{"{\n \"privileged\": false\n", "line 3"},
		{"[]", "must be an object"},
	};
	struct policy policy;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char path[] = "/tmp/policy-test-XXXXXX";

		write_policy(path, rows[i].text);
		assert_int_equal(policy_load(path, &policy, &err), -EINVAL);
		if (!strstr(err.text, rows[i].says))
			fail_msg("\"%s\" does not say \"%s\"", err.text, rows[i].says);
		(void)unlink(path);
	}
}

static void test_a_policy_that_others_can_write_is_refused(void **state)
{
	char path[] = "/tmp/policy-test-XXXXXX";
	struct policy policy;
	struct err err = {0};

	(void)state;
	write_policy(path, "{\"privileged\":true,\"hostNetwork\":false,\"devices\":[]}");
	assert_int_equal(policy_load(path, &policy, &err), 0);
	policy_deinit(&policy);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(policy_load(path, &policy, &err), -EPERM);
	(void)unlink(path);
}

static void test_a_misspelt_policy_is_an_error(void **state)
{
	char path[] = "/tmp/policy-test-XXXXXX";
	struct policy policy;
	struct err err = {0};

	(void)state;
	write_policy(path, "{\"priviledged\":true}");
	assert_int_equal(policy_load(path, &policy, &err), -EINVAL);
	assert_non_null(strstr(err.text, "priviledged"));
	assert_int_equal(policy_load("/no/such/file", &policy, &err), -ENOENT);
	(void)unlink(path);
}

#define SVID_POD(spec)                                                                         \
	"{\"kind\":\"Pod\",\"metadata\":{\"name\":\"web\",\"namespace\":\"default\","          \
	"\"uid\":\"0f7e0e48-9d0b-4c53-8a4b-5b1c4d2f6a01\",\"annotations\":{\"magik.io/svid\":" \
	"\"true\"}},\"spec\":{" spec "}}"
#define AS(user) \
	"{\"name\":\"c" #user "\",\"image\":\"x\",\"securityContext\":{\"runAsUser\":" #user "}}"

static void expect_svid(const char *json, int mode, uid_t owner)
{
	const struct policy root = {.any_registry = true, .run_as_root = true};
	const struct volume *volume;
	struct pod_spec *spec;
	struct err err = {0};

	assert_int_equal(parse(json, &root, &spec, &err), 0);
	assert_true(spec->svid);
	volume = &spec->volumes[spec->volume_count - 1];
	assert_string_equal(volume->name, SVID_VOLUME);
	assert_int_equal(volume->kind, VOLUME_PROJECTED);
	assert_true(volume->in_memory);
	assert_int_equal(volume->mode, mode);
	assert_int_equal(volume->owner, owner);
	(void)pod_spec_free(spec);
}

static void test_who_may_read_an_identity_follows_from_users_and_groups(void **state)
{
	struct pod_spec *spec;
	struct err err = {0};

	(void)state;
	expect_svid(SVID_POD("\"containers\":[{\"name\":\"main\",\"image\":\"x\"}]"), 0444, 0);
	expect_svid(SVID_POD("\"containers\":[" AS(5) "]"), 0400, 5);
	expect_svid(SVID_POD("\"volumes\":[{\"name\":\"own\",\"emptyDir\":{}}],"
			     "\"containers\":[" AS(5) "," AS(6) "]"),
		    0444, 0);
	expect_svid(SVID_POD("\"securityContext\":{\"fsGroup\":7},\"containers\":[" AS(5) "]"),
		    0440, 0);
	assert_int_equal(parse(ONE(""), &strict, &spec, &err), 0);
	assert_false(spec->svid);
	assert_int_equal(spec->volume_count, 0);
	(void)pod_spec_free(spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_deployment_gives_its_template),
		cmocka_unit_test(test_what_would_weaken_isolation_is_refused),
		cmocka_unit_test(test_what_cannot_be_kept_is_refused),
		cmocka_unit_test(test_names_that_would_become_paths_are_checked),
		cmocka_unit_test(test_nothing_is_mounted_or_begun_in_proc),
		cmocka_unit_test(test_a_manifest_of_too_many_values_is_refused),
		cmocka_unit_test(test_what_is_no_object_is_refused),
		cmocka_unit_test(test_the_local_policy_opens_what_it_names),
		cmocka_unit_test(test_the_local_policy_bounds_priorities),
		cmocka_unit_test(test_a_priority_limit_that_is_no_number_is_an_error),
		cmocka_unit_test(test_a_capability_is_allowed_without_all_privileges),
		cmocka_unit_test(test_root_may_be_denied_in_containers),
		cmocka_unit_test(test_images_are_allowed_by_the_beginning_of_their_names),
		cmocka_unit_test(test_a_wrong_policy_is_named_with_its_line),
		cmocka_unit_test(test_a_policy_that_others_can_write_is_refused),
		cmocka_unit_test(test_a_misspelt_policy_is_an_error),
		cmocka_unit_test(test_who_may_read_an_identity_follows_from_users_and_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
