/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what: roles, namespaces, what lies in none, and the list that tells of it. */
#include "base/bytes.h"
#include "kube/access.h"

#include "kube_fixture.h"

static const char *const view_a[] = {"magik:view:a"};
static const char *const edit_a[] = {"magik:edit:a"};
static const char *const admin_a[] = {"magik:admin:a"};
static const char *const view_all[] = {"magik:view:*"};
static const char *const edit_all[] = {"magik:edit:*"};
static const char *const admin_all[] = {"magik:admin:*"};
static const char *const two[] = {"magik:view:a", "magik:edit:b"};
static const char *const master[] = {"developers", "system:masters"};
static const char *const nobody[] = {"developers"};

#define GROUPS(list) ((struct kube_groups){.names = (list), .count = ARRAY_LEN(list)})

static bool may(struct kube_groups groups, const char *verb, const char *what,
		const char *namespace)
{
	char group[64] = "", plural[64] = "", sub[64] = "";
	const struct kube_access access = {
		.verb = verb,
		.group = group,
		.resource = plural,
		.subresource = sub,
		.namespace = namespace,
	};

	/* "plural.group/subresource" */
	(void)sscanf(what, "%63[^./]", plural);
	if (strchr(what, '.'))
		(void)sscanf(strchr(what, '.') + 1, "%63[^/]", group);
	if (strchr(what, '/'))
		(void)sscanf(strchr(what, '/') + 1, "%63s", sub);
	return kube_access_allows(&groups, &access);
}

static void test_a_role_holds_in_its_namespace(void **state)
{
	(void)state;
	assert_true(may(GROUPS(view_a), "get", "pods", "a"));
	assert_false(may(GROUPS(view_a), "get", "pods", "b"));
	assert_false(may(GROUPS(view_a), "list", "pods", NULL));
	assert_false(may(GROUPS(view_a), "create", "pods", "a"));
	assert_true(may(GROUPS(edit_a), "create", "deployments.apps", "a"));
	assert_false(may(GROUPS(edit_a), "create", "deployments.apps", "b"));
	assert_true(may(GROUPS(two), "get", "pods", "a"));
	assert_false(may(GROUPS(two), "delete", "pods", "a"));
	assert_true(may(GROUPS(two), "delete", "pods", "b"));
}

static void test_view_reads_no_secret_and_enters_no_container(void **state)
{
	(void)state;
	assert_false(may(GROUPS(view_a), "get", "secrets", "a"));
	assert_false(may(GROUPS(view_a), "list", "secrets", "a"));
	assert_false(may(GROUPS(view_all), "list", "secrets", NULL));
	assert_true(may(GROUPS(edit_a), "get", "secrets", "a"));
	assert_true(may(GROUPS(view_a), "get", "pods/log", "a"));
	assert_false(may(GROUPS(view_a), "get", "pods/exec", "a"));
	assert_false(may(GROUPS(view_a), "create", "pods/exec", "a"));
	assert_false(may(GROUPS(view_a), "create", "pods/portforward", "a"));
	assert_true(may(GROUPS(edit_a), "get", "pods/exec", "a"));
	assert_true(may(GROUPS(edit_a), "create", "pods/attach", "a"));
	assert_true(may(GROUPS(edit_a), "create", "pods/eviction", "a"));
}

static void test_roles_are_an_administrators(void **state)
{
	(void)state;
	assert_false(may(GROUPS(edit_a), "get", "roles.rbac.authorization.k8s.io", "a"));
	assert_true(may(GROUPS(admin_a), "create", "rolebindings.rbac.authorization.k8s.io", "a"));
	assert_false(may(GROUPS(admin_a), "create", "rolebindings.rbac.authorization.k8s.io", "b"));
	assert_true(may(GROUPS(admin_a), "create", "localsubjectaccessreviews.authorization.k8s.io",
			"a"));
	assert_false(
		may(GROUPS(admin_a), "create", "subjectaccessreviews.authorization.k8s.io", NULL));
	assert_true(may(GROUPS(admin_all), "create", "subjectaccessreviews.authorization.k8s.io",
			NULL));
}

static void test_what_lies_in_no_namespace_needs_a_role_in_all(void **state)
{
	(void)state;
	assert_false(may(GROUPS(admin_a), "list", "nodes", NULL));
	/* A namespace named with a kind that has none changes nothing. */
	assert_false(may(GROUPS(admin_a), "list", "nodes", "a"));
	assert_true(may(GROUPS(view_all), "list", "nodes", NULL));
	assert_false(may(GROUPS(edit_all), "patch", "nodes", NULL));
	assert_true(may(GROUPS(admin_all), "patch", "nodes", NULL));
	assert_false(may(GROUPS(edit_all), "create", "namespaces", NULL));
	assert_true(may(GROUPS(admin_all), "create", "namespaces", NULL));
	assert_true(may(GROUPS(edit_all), "create", "pods", NULL));
}

static void test_a_namespace_may_be_looked_at_from_inside(void **state)
{
	struct kube_access access = {
		.verb = "get", .group = "", .resource = "namespaces", .name = "a"};
	struct kube_groups groups = GROUPS(view_a);

	(void)state;
	assert_true(kube_access_allows(&groups, &access));
	access.name = "b";
	assert_false(kube_access_allows(&groups, &access));
	access.name = "a";
	access.verb = "delete";
	assert_false(kube_access_allows(&groups, &access));
	access.verb = "list";
	access.name = NULL;
	assert_false(kube_access_allows(&groups, &access));
}

static void test_everything_is_a_masters(void **state)
{
	(void)state;
	assert_true(may(GROUPS(master), "*", "*", NULL));
	assert_true(may(GROUPS(master), "impersonate", "users", NULL));
	assert_false(may(GROUPS(admin_all), "*", "*", NULL));
	assert_false(may(GROUPS(admin_all), "impersonate", "users", NULL));
	assert_true(may(GROUPS(admin_all), "*", "pods", "x"));
}

static void test_who_is_known_may_ask_about_themselves(void **state)
{
	struct kube_groups groups = GROUPS(nobody);

	(void)state;
	assert_true(may(groups, "create", "selfsubjectaccessreviews.authorization.k8s.io", NULL));
	assert_true(may(groups, "create", "selfsubjectreviews.authentication.k8s.io", NULL));
	assert_false(may(groups, "get", "pods", "default"));
	assert_true(kube_access_allows_path(&groups, "get", "/apis/apps/v1"));
	assert_false(kube_access_allows_path(&groups, "get", "/metrics"));
	assert_false(kube_access_allows_path(&groups, "get", "/debug/pods"));
	assert_false(kube_access_allows_path(&groups, "get", "/nodes"));
	assert_false(kube_access_allows_path(&groups, "get", "/something"));
	groups = GROUPS(view_all);
	assert_true(kube_access_allows_path(&groups, "get", "/metrics"));
	assert_false(kube_access_allows_path(&groups, "get", "/debug/pods"));
	groups = GROUPS(admin_all);
	assert_true(kube_access_allows_path(&groups, "get", "/debug/pods"));
	assert_false(kube_access_allows_path(&groups, "create", "/debug/pods"));
}

static void test_a_malformed_group_gives_nothing(void **state)
{
	static const char *const texts[] = {
		"magik",
		"magik:",
		"magik::a",
		"magik:edit",
		"magik:edit:",
		"magik:owner:a",
		"Magik:edit:a",
		"magik:edit:a:b",
		"magik:edit:**",
		"system:master",
		"magik:administrator:a",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		const struct kube_groups groups = {.names = &texts[i], .count = 1};

		assert_int_equal(kube_role_in(&groups, "a"), KUBE_ROLE_NONE);
		assert_int_equal(kube_role_in(&groups, ""), KUBE_ROLE_NONE);
	}
}

static void test_a_group_is_made_of_a_role_and_a_namespace(void **state)
{
	char group[KUBE_ACCESS_GROUP_MAX + 1];
	char name[KUBE_ACCESS_GROUP_MAX + 1] = {0};

	(void)state;
	assert_true(kube_access_group("edit", "prod", group));
	assert_string_equal(group, "magik:edit:prod");
	assert_true(kube_access_group("admin", "*", group));
	assert_false(kube_access_group("owner", "prod", group));
	assert_false(kube_access_group("edit", "Prod", group));
	assert_false(kube_access_group("edit", "", group));
	assert_false(kube_access_group("edit", "a:b", group));
	memset(name, 'n', 52);
	assert_true(kube_access_group("admin", name, group));
	memset(name, 'n', 53);
	assert_false(kube_access_group("admin", name, group));
}

/* The list says of every kind what a request would be told. */
static void test_the_list_of_rules_agrees_with_requests(void **state)
{
	static const struct {
		const char *const *names;
		size_t count;
	} users[] = {{view_a, 1},    {edit_a, 1}, {admin_a, 1}, {view_all, 1},
		     {admin_all, 1}, {two, 2},    {nobody, 1}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(users); i++) {
		const struct kube_groups groups = {users[i].names, users[i].count};
		json_t *status = kube_access_rules(&groups, "a"), *rule, *what, *verb;
		size_t at, n, m, told = 0;

		json_array_foreach (kube_member(status, "resourceRules"), at, rule) {
			const char *group = json_string_value(element(rule, "apiGroups", 0));

			json_array_foreach (kube_member(rule, "resources"), n, what) {
				char text[128];
				const char *slash = strchr(json_string_value(what), '/');
				int len = slash ? (int)(slash - json_string_value(what))
						: (int)strlen(json_string_value(what));

				(void)snprintf(text, sizeof(text), "%.*s.%s%s", len,
					       json_string_value(what), group, slash ? slash : "");
				json_array_foreach (kube_member(rule, "verbs"), m, verb) {
					bool space = strncmp(text, "namespaces.", 11) == 0;

					told++;
					assert_true(space || may(groups, json_string_value(verb),
								 text, "a"));
				}
			}
		}
		assert_true(told >= 3); /* the reviews of oneself, at least */
		assert_false(kube_member_true(status, "incomplete"));
		json_decref(status);
	}
}

static void test_the_list_of_a_viewer_holds_no_secret(void **state)
{
	struct kube_groups groups = GROUPS(view_a);
	json_t *status = kube_access_rules(&groups, "a");
	char *text = json_dumps(status, JSON_COMPACT);

	(void)state;
	assert_non_null(strstr(text, "\"pods\""));
	assert_non_null(strstr(text, "\"pods/log\""));
	assert_null(strstr(text, "\"secrets\""));
	assert_null(strstr(text, "\"nodes\""));
	free(text);
	json_decref(status);
	groups = GROUPS(master);
	status = kube_access_rules(&groups, "a");
	assert_json_equal(kube_member(status, "resourceRules"),
			  "[{'verbs':['*'],'apiGroups':['*'],'resources':['*']}]");
	json_decref(status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_role_holds_in_its_namespace),
		cmocka_unit_test(test_view_reads_no_secret_and_enters_no_container),
		cmocka_unit_test(test_roles_are_an_administrators),
		cmocka_unit_test(test_what_lies_in_no_namespace_needs_a_role_in_all),
		cmocka_unit_test(test_a_namespace_may_be_looked_at_from_inside),
		cmocka_unit_test(test_everything_is_a_masters),
		cmocka_unit_test(test_who_is_known_may_ask_about_themselves),
		cmocka_unit_test(test_a_malformed_group_gives_nothing),
		cmocka_unit_test(test_a_group_is_made_of_a_role_and_a_namespace),
		cmocka_unit_test(test_the_list_of_rules_agrees_with_requests),
		cmocka_unit_test(test_the_list_of_a_viewer_holds_no_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
