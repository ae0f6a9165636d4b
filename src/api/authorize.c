/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Authorisation: kube/access.h decides, from the groups of the user's certificate. The sentences
 * are Kubernetes' own.
 */
#include <string.h>

#include "api/gateway.h"
#include "kube/access.h"

/* Views of @user's groups, valid as long as @user. */
struct user_groups {
	const char *names[API_USER_GROUPS_MAX];
	struct kube_groups groups;
};

static const struct kube_groups *groups_of(const struct api_user *user, struct user_groups *views)
{
	for (size_t i = 0; i < user->group_count; i++)
		views->names[i] = user->groups[i];
	views->groups = (struct kube_groups){.names = views->names, .count = user->group_count};
	return &views->groups;
}

static void append_where(struct buf *out, const char *namespace)
{
	if (namespace)
		buf_append_format(out, "in the namespace \"%s\"", namespace);
	else
		buf_append_str(out, "at the cluster scope");
}

static json_t *forbidden(const struct api_user *user, const struct kube_access *access,
			 const struct kube_resource *resource)
{
	struct buf what = {0}, where = {0}, about = {0};
	char qualified[KUBE_QUALIFIED_SIZE];
	json_t *status;

	kube_resource_qualified(resource, qualified, sizeof(qualified));
	buf_append_str(&about, qualified);
	if (access->name)
		buf_append_format(&about, " \"%s\"", access->name);
	buf_append_str(&what, resource->plural);
	if (access->subresource)
		buf_append_format(&what, "/%s", access->subresource);
	append_where(&where, access->namespace);
	status = kube_status(KUBE_REASON_FORBIDDEN,
			     "%s is forbidden: User \"%s\" cannot %s resource \"%s\" in API group "
			     "\"%s\" %s",
			     buf_cstr(&about), user->name, access->verb, buf_cstr(&what),
			     resource->group, buf_cstr(&where));
	buf_deinit(&what);
	buf_deinit(&where);
	buf_deinit(&about);
	return status;
}

json_t *authorize(const struct api_user *user, const char *verb,
		  const struct kube_resource *resource, const char *subresource,
		  const char *namespace, const char *name)
{
	struct user_groups views;
	const struct kube_access access = {
		.verb = verb,
		.group = resource->group,
		.resource = resource->plural,
		.subresource = subresource,
		.namespace = namespace,
		.name = name,
	};

	if (kube_access_allows(groups_of(user, &views), &access))
		return NULL;
	return forbidden(user, &access, resource);
}

json_t *authorize_path(const struct api_user *user, const char *verb, const char *path)
{
	struct user_groups views;

	if (kube_access_allows_path(groups_of(user, &views), verb, path))
		return NULL;
	return kube_status(KUBE_REASON_FORBIDDEN, "forbidden: User \"%s\" cannot %s path \"%s\"",
			   user->name, verb, path);
}

json_t *authorize_rules(const struct api_user *user, const char *namespace)
{
	struct user_groups views;

	return kube_access_rules(groups_of(user, &views), namespace);
}

/* Whoever wants to be somebody else gets a certificate of that name. */
json_t *authorize_impersonation(const struct exchange *exchange)
{
	static const char *const headers[] = {"impersonate-user", "impersonate-group",
					      "impersonate-uid"};

	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		const char *whom = http_request_header(&exchange->request, headers[i]);

		if (whom)
			return kube_status(KUBE_REASON_FORBIDDEN,
					   "%ss \"%s\" is forbidden: User \"%s\" cannot "
					   "impersonate: nobody can here; a credential of that "
					   "name is made with magik kubeconfig --user",
					   headers[i] + strlen("impersonate-"), whom,
					   exchange->user.name);
	}
	return NULL;
}
