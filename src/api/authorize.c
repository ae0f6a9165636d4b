/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Authorisation: one rule for now. Whoever is in the group system:masters may do everything; anyone
 * else who has proved who they are may look at what anonymous callers may. The sentences are
 * Kubernetes' own.
 */
#include <string.h>

#include "api/gateway.h"

static bool is_master(const struct api_user *user)
{
	for (size_t i = 0; i < user->group_count; i++) {
		if (strcmp(user->groups[i], "system:masters") == 0)
			return true;
	}
	return false;
}

json_t *authorize(const struct api_user *user, const char *verb,
		  const struct kube_resource *resource, const char *subresource,
		  const char *namespace, const char *name)
{
	struct buf what = {0}, where = {0}, about = {0};
	char qualified[KUBE_QUALIFIED_SIZE];
	json_t *status;

	if (is_master(user))
		return NULL;
	kube_resource_qualified(resource, qualified, sizeof(qualified));
	buf_append_str(&about, qualified);
	if (name)
		buf_append_format(&about, " \"%s\"", name);
	buf_append_str(&what, resource->plural);
	if (subresource)
		buf_append_format(&what, "/%s", subresource);
	if (namespace)
		buf_append_format(&where, "in the namespace \"%s\"", namespace);
	else
		buf_append_str(&where, "at the cluster scope");
	status = kube_status(KUBE_REASON_FORBIDDEN,
			     "%s is forbidden: User \"%s\" cannot %s resource \"%s\" in API group "
			     "\"%s\" %s",
			     buf_cstr(&about), user->name, verb, buf_cstr(&what), resource->group,
			     buf_cstr(&where));
	buf_deinit(&what);
	buf_deinit(&where);
	buf_deinit(&about);
	return status;
}

json_t *authorize_path(const struct api_user *user, const char *verb, const char *path)
{
	if (is_master(user))
		return NULL;
	return kube_status(KUBE_REASON_FORBIDDEN, "forbidden: User \"%s\" cannot %s path \"%s\"",
			   user->name, verb, path);
}
