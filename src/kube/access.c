/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/access.h"

#include <stdio.h>
#include <string.h>

#include "kube/member.h"
#include "kube/name.h"

#define MASTERS "system:masters"
#define PREFIX "magik:"

static const char *const role_words[] = {
	[KUBE_ROLE_VIEW] = "view",
	[KUBE_ROLE_EDIT] = "edit",
	[KUBE_ROLE_ADMIN] = "admin",
};

/* The least role that may read and write; the first row that fits decides. "*" fits anything,
 * an empty subresource the object itself. */
static const struct rule {
	const char *group, *resource, *subresource;
	enum kube_role read, write;
} rules[] = {
	/* Whoever is known may ask about themselves. */
	{"authorization.k8s.io", "selfsubjectaccessreviews", "", KUBE_ROLE_NONE, KUBE_ROLE_NONE},
	{"authorization.k8s.io", "selfsubjectrulesreviews", "", KUBE_ROLE_NONE, KUBE_ROLE_NONE},
	{"authentication.k8s.io", "selfsubjectreviews", "", KUBE_ROLE_NONE, KUBE_ROLE_NONE},
	{"authorization.k8s.io", "*", "*", KUBE_ROLE_ADMIN, KUBE_ROLE_ADMIN},
	{"authentication.k8s.io", "*", "*", KUBE_ROLE_MASTER, KUBE_ROLE_MASTER},
	/* Reading a Secret is as good as using it. */
	{"", "secrets", "*", KUBE_ROLE_EDIT, KUBE_ROLE_EDIT},
	{"", "serviceaccounts", "token", KUBE_ROLE_EDIT, KUBE_ROLE_EDIT},
	{"rbac.authorization.k8s.io", "*", "*", KUBE_ROLE_ADMIN, KUBE_ROLE_ADMIN},
	/* Ways into a container: a websocket asks for them with GET. */
	{"", "pods", "exec", KUBE_ROLE_EDIT, KUBE_ROLE_EDIT},
	{"", "pods", "attach", KUBE_ROLE_EDIT, KUBE_ROLE_EDIT},
	{"", "pods", "portforward", KUBE_ROLE_EDIT, KUBE_ROLE_EDIT},
	{"", "pods", "proxy", KUBE_ROLE_EDIT, KUBE_ROLE_EDIT},
	{"", "services", "proxy", KUBE_ROLE_EDIT, KUBE_ROLE_EDIT},
	{"", "nodes", "proxy", KUBE_ROLE_ADMIN, KUBE_ROLE_MASTER},
	/* What only the fabric writes, and what bounds a namespace's own users. */
	{"", "endpoints", "*", KUBE_ROLE_VIEW, KUBE_ROLE_MASTER},
	{"discovery.k8s.io", "*", "*", KUBE_ROLE_VIEW, KUBE_ROLE_MASTER},
	{"", "pods", "binding", KUBE_ROLE_MASTER, KUBE_ROLE_MASTER},
	{"*", "*", "status", KUBE_ROLE_VIEW, KUBE_ROLE_MASTER},
	{"", "resourcequotas", "*", KUBE_ROLE_VIEW, KUBE_ROLE_MASTER},
	{"", "limitranges", "*", KUBE_ROLE_VIEW, KUBE_ROLE_MASTER},
	{"*", "*", "*", KUBE_ROLE_VIEW, KUBE_ROLE_EDIT},
};

/* Beside them: what lies in no namespace is written by its administrators. */
static const enum kube_role cluster_write = KUBE_ROLE_ADMIN;

static const struct path_rule {
	const char *path; /* with "/" at its end: and all below it */
	enum kube_role read, write;
} path_rules[] = {
	{"/api", KUBE_ROLE_NONE, KUBE_ROLE_MASTER},
	{"/api/", KUBE_ROLE_NONE, KUBE_ROLE_MASTER},
	{"/apis", KUBE_ROLE_NONE, KUBE_ROLE_MASTER},
	{"/apis/", KUBE_ROLE_NONE, KUBE_ROLE_MASTER},
	{"/openapi", KUBE_ROLE_NONE, KUBE_ROLE_MASTER},
	{"/openapi/", KUBE_ROLE_NONE, KUBE_ROLE_MASTER},
	{"/version", KUBE_ROLE_NONE, KUBE_ROLE_MASTER},
	{"/version/", KUBE_ROLE_NONE, KUBE_ROLE_MASTER},
	{"/health", KUBE_ROLE_NONE, KUBE_ROLE_MASTER},
	{"/healthz", KUBE_ROLE_NONE, KUBE_ROLE_MASTER},
	{"/livez", KUBE_ROLE_NONE, KUBE_ROLE_MASTER},
	{"/readyz", KUBE_ROLE_NONE, KUBE_ROLE_MASTER},
	{"/metrics", KUBE_ROLE_VIEW, KUBE_ROLE_MASTER},
	{"/nodes", KUBE_ROLE_VIEW, KUBE_ROLE_MASTER},
	{"/tenders/", KUBE_ROLE_VIEW, KUBE_ROLE_VIEW},
	{"/debug/", KUBE_ROLE_ADMIN, KUBE_ROLE_MASTER},
	/* These name an object: their handlers ask about that one. */
	{"/tenders", KUBE_ROLE_NONE, KUBE_ROLE_NONE},
	{"/disposal/", KUBE_ROLE_NONE, KUBE_ROLE_NONE},
};

static bool text_is(const char *text, const char *other)
{
	return strcmp(text ? text : "", other) == 0;
}

enum kube_role kube_role_parse(const char *word)
{
	for (size_t i = KUBE_ROLE_VIEW; i < ARRAY_LEN(role_words); i++) {
		if (strcmp(role_words[i], word) == 0)
			return (enum kube_role)i;
	}
	return KUBE_ROLE_NONE;
}

bool kube_access_group(const char *role, const char *namespace, char out[KUBE_ACCESS_GROUP_MAX + 1])
{
	int len;

	if (!kube_role_parse(role) ||
	    (strcmp(namespace, "*") != 0 && !kube_name_is_label(namespace)))
		return false;
	len = snprintf(out, KUBE_ACCESS_GROUP_MAX + 1, PREFIX "%s:%s", role, namespace);
	return len > 0 && len <= KUBE_ACCESS_GROUP_MAX;
}

/* What one group gives in @namespace, "" being all. */
static enum kube_role role_of_group(const char *group, const char *namespace)
{
	char word[sizeof("admin")] = "";
	const char *colon;
	size_t len;

	if (strcmp(group, MASTERS) == 0)
		return KUBE_ROLE_MASTER;
	if (strncmp(group, PREFIX, strlen(PREFIX)) != 0)
		return KUBE_ROLE_NONE;
	group += strlen(PREFIX);
	colon = strchr(group, ':');
	len = colon ? (size_t)(colon - group) : 0;
	if (!len || len >= sizeof(word))
		return KUBE_ROLE_NONE;
	memcpy(word, group, len);
	if (strcmp(colon + 1, "*") != 0 && (!*namespace || strcmp(colon + 1, namespace) != 0))
		return KUBE_ROLE_NONE;
	return kube_role_parse(word);
}

enum kube_role kube_role_in(const struct kube_groups *groups, const char *namespace)
{
	enum kube_role best = KUBE_ROLE_NONE;

	for (size_t i = 0; i < groups->count; i++) {
		enum kube_role role = role_of_group(groups->names[i], namespace ? namespace : "");

		if (role > best)
			best = role;
	}
	return best;
}

/* Verbs beyond these are an administrator's: impersonate, bind, escalate, approve, "*". */
static bool verb_reads(const char *verb)
{
	return text_is(verb, "get") || text_is(verb, "list") || text_is(verb, "watch");
}

static bool verb_writes(const char *verb)
{
	return text_is(verb, "create") || text_is(verb, "update") || text_is(verb, "patch") ||
	       text_is(verb, "delete") || text_is(verb, "deletecollection");
}

static bool fits(const char *pattern, const char *text)
{
	return strcmp(pattern, "*") == 0 || text_is(text, pattern);
}

static const struct rule *rule_of(const struct kube_access *access)
{
	size_t i = 0;

	while (!fits(rules[i].group, access->group) || !fits(rules[i].resource, access->resource) ||
	       !fits(rules[i].subresource, access->subresource))
		i++;
	return &rules[i];
}

/* Of whatever version. */
static bool lies_in_no_namespace(const char *group, const char *plural)
{
	for (int i = 0; i < KUBE_RESOURCE_COUNT; i++) {
		const struct kube_resource *resource = kube_resource((enum kube_resource_id)i);

		if (strcmp(resource->group, group) == 0 && strcmp(resource->plural, plural) == 0)
			return !resource->namespaced;
	}
	return false;
}

static enum kube_role role_needed(const struct kube_access *access)
{
	const struct rule *rule = rule_of(access);

	if (text_is(access->verb, "*"))
		return rule->read > rule->write ? rule->read : rule->write;
	if (verb_reads(access->verb))
		return rule->read;
	if (!verb_writes(access->verb))
		return KUBE_ROLE_MASTER;
	/* What everybody may ask stands in no namespace either. */
	if (rule->write != KUBE_ROLE_NONE && rule->write < cluster_write &&
	    lies_in_no_namespace(access->group, access->resource))
		return cluster_write;
	return rule->write;
}

/* Whoever may look into a namespace may look at it. */
static bool is_look_at_namespace(const struct kube_access *access)
{
	return text_is(access->group, "") && text_is(access->resource, "namespaces") &&
	       text_is(access->verb, "get") && !text_is(access->name, "");
}

bool kube_access_allows(const struct kube_groups *groups, const struct kube_access *access)
{
	const char *namespace = access->namespace;

	if (kube_role_in(groups, "") == KUBE_ROLE_MASTER)
		return true;
	if (text_is(access->resource, "*") || text_is(access->group, "*"))
		return false;
	if (is_look_at_namespace(access))
	namespace = access->name;
	else if (lies_in_no_namespace(access->group, access->resource)) namespace = "";
	return kube_role_in(groups, namespace) >= role_needed(access);
}

static bool path_fits(const char *pattern, const char *path)
{
	size_t len = strlen(pattern);

	if (pattern[len - 1] == '/')
		return strncmp(path, pattern, len) == 0;
	return strcmp(path, pattern) == 0;
}

bool kube_access_allows_path(const struct kube_groups *groups, const char *verb, const char *path)
{
	enum kube_role role = kube_role_in(groups, "");

	for (size_t i = 0; i < ARRAY_LEN(path_rules); i++) {
		if (path_fits(path_rules[i].path, path))
			return role >=
			       (verb_reads(verb) ? path_rules[i].read : path_rules[i].write);
	}
	return role == KUBE_ROLE_MASTER;
}

/* The rules of a review. */

static json_t *words(const char *word)
{
	json_t *list = json_array();

	kube_push(list, json_string(word));
	return list;
}

static json_t *verbs_allowed(const struct kube_groups *groups, struct kube_access access,
			     unsigned verbs)
{
	static const struct {
		enum kube_verb verb;
		const char *word;
	} all[] = {
		{KUBE_VERB_GET, "get"},       {KUBE_VERB_LIST, "list"},
		{KUBE_VERB_WATCH, "watch"},   {KUBE_VERB_CREATE, "create"},
		{KUBE_VERB_UPDATE, "update"}, {KUBE_VERB_PATCH, "patch"},
		{KUBE_VERB_DELETE, "delete"}, {KUBE_VERB_DELETE, "deletecollection"},
	};
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		access.verb = all[i].word;
		if ((verbs & all[i].verb) && kube_access_allows(groups, &access))
			kube_push(list, json_string(all[i].word));
	}
	return list;
}

/* One rule more, or one resource more in a rule that says the same. Takes @verbs over. */
static void add_rule(json_t *list, const char *group, json_t *resource, json_t *verbs)
{
	size_t i;
	json_t *rule;

	json_array_foreach (list, i, rule) {
		const char *other =
			json_string_value(json_array_get(json_object_get(rule, "apiGroups"), 0));

		if (text_is(other, group) && json_equal(json_object_get(rule, "verbs"), verbs)) {
			kube_push(json_object_get(rule, "resources"), resource);
			json_decref(verbs);
			return;
		}
	}
	rule = json_object();
	kube_set(rule, "verbs", verbs);
	kube_set(rule, "apiGroups", words(group));
	kube_set(rule, "resources", json_array());
	kube_push(json_object_get(rule, "resources"), resource);
	kube_push(list, rule);
}

static void add_resource(json_t *list, const struct kube_groups *groups, const char *namespace,
			 const struct kube_resource *resource,
			 const struct kube_subresource *subresource)
{
	struct kube_access access = {
		.group = resource->group,
		.resource = resource->plural,
		.subresource = subresource ? subresource->name : NULL,
		.namespace = resource->namespaced ? namespace : NULL,
	};
	json_t *verbs;

	/* The one namespace that is asked about is there to be looked at. */
	if (resource->id == KUBE_NAMESPACES)
		access.name = namespace;
	verbs = verbs_allowed(groups, access, subresource ? subresource->verbs : resource->verbs);
	if (json_array_size(verbs) == 0) {
		json_decref(verbs);
		return;
	}
	add_rule(list, resource->group,
		 subresource ? kube_text("%s/%s", resource->plural, subresource->name)
			     : json_string(resource->plural),
		 verbs);
}

static json_t *resource_rules(const struct kube_groups *groups, const char *namespace)
{
	json_t *list = json_array();
	const struct kube_subresource *subresource;

	if (kube_role_in(groups, "") == KUBE_ROLE_MASTER) {
		add_rule(list, "*", json_string("*"), words("*"));
		return list;
	}
	for (int i = 0; i < KUBE_RESOURCE_COUNT; i++)
		add_resource(list, groups, namespace, kube_resource((enum kube_resource_id)i),
			     NULL);
	for (size_t i = 0; (subresource = kube_subresource_at(i)); i++)
		add_resource(list, groups, namespace, kube_resource(subresource->parent),
			     subresource);
	return list;
}

static json_t *path_rule(const char *verb, json_t *paths)
{
	json_t *rule = json_object();

	kube_set(rule, "verbs", words(verb));
	kube_set(rule, "nonResourceURLs", paths);
	return rule;
}

static json_t *nonresource_rules(const struct kube_groups *groups)
{
	json_t *list = json_array(), *paths = json_array();

	if (kube_role_in(groups, "") == KUBE_ROLE_MASTER) {
		kube_push(paths, json_string("*"));
		kube_push(list, path_rule("*", paths));
		return list;
	}
	for (size_t i = 0; i < ARRAY_LEN(path_rules); i++) {
		const char *path = path_rules[i].path;

		if (kube_role_in(groups, "") >= path_rules[i].read)
			kube_push(paths, kube_text("%s%s", path,
						   path[strlen(path) - 1] == '/' ? "*" : ""));
	}
	kube_push(list, path_rule("get", paths));
	return list;
}

json_t *kube_access_rules(const struct kube_groups *groups, const char *namespace)
{
	json_t *status = json_object();

	kube_set(status, "resourceRules", resource_rules(groups, namespace));
	kube_set(status, "nonResourceRules", nonresource_rules(groups));
	kube_set(status, "incomplete", json_false());
	return status;
}
