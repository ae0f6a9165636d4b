/* SPDX-License-Identifier: Apache-2.0 */
#include "service/policy.h"

#include <string.h>

/* The characters of names, and those that stand for others. */
static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-.*?/";

bool policy_pattern_is_valid(const char *pattern)
{
	const char *slash = strchr(pattern, '/');
	size_t len = strlen(pattern);

	if (len == 0 || len > WORK_PATTERN_MAX || strspn(pattern, allowed) != len)
		return false;
	return !slash || (slash != pattern && slash[1] && !strchr(slash + 1, '/'));
}

/* Does the glob of @len bytes match all of @text? The last '*' is the only place to go back to, so
 * the cost is at most the product of both lengths. */
static bool glob_matches(const char *glob, size_t len, const char *text)
{
	size_t at = 0, star = SIZE_MAX;
	const char *resume = text;

	while (*text) {
		if (at < len && glob[at] == '*') {
			star = at++;
			resume = text;
		} else if (at < len && (glob[at] == '?' || glob[at] == *text)) {
			at++;
			text++;
		} else if (star != SIZE_MAX) {
			at = star + 1;
			text = ++resume;
		} else {
			return false;
		}
	}
	while (at < len && glob[at] == '*')
		at++;
	return at == len;
}

static bool pattern_matches(const char *pattern, const char *own, const char *namespace,
			    const char *name)
{
	const char *slash = strchr(pattern, '/');

	if (!policy_pattern_is_valid(pattern))
		return false;
	if (!slash)
		return strcmp(own, namespace) == 0 && glob_matches(pattern, strlen(pattern), name);
	return glob_matches(pattern, (size_t)(slash - pattern), namespace) &&
	       glob_matches(slash + 1, strlen(slash + 1), name);
}

static bool any_matches(char *const *patterns, size_t count, const char *own, const char *namespace,
			const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (pattern_matches(patterns[i], own, namespace, name))
			return true;
	return false;
}

bool policy_admits(const struct service_policy *policy, const char *own, const char *namespace,
		   const char *name)
{
	if (any_matches(policy->deny, policy->deny_count, own, namespace, name))
		return false;
	if (strcmp(own, namespace) != 0 && !policy->cross_namespace)
		return false;
	return policy->allow_count == 0 ||
	       any_matches(policy->allow, policy->allow_count, own, namespace, name);
}
