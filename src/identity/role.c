/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/role.h"

#include <string.h>

static const struct {
	const char *name;
	enum role role;
} role_names[] = {
	{"worker", ROLE_WORKER},
	{"steward", ROLE_STEWARD},
	{"admit", ROLE_ADMIT},
	{"relay", ROLE_RELAY},
};

struct grant grant_plain(void)
{
	return (struct grant){.roles = ROLE_PLAIN, .all_namespaces = true};
}

struct grant grant_all(void)
{
	return (struct grant){.roles = ROLE_ALL, .all_namespaces = true};
}

bool grant_has(const struct grant *grant, enum role role)
{
	return (grant->roles & (uint32_t)role) == (uint32_t)role;
}

static bool grant_names(const struct grant *grant, struct bytes namespace)
{
	for (size_t i = 0; i < grant->namespace_count; i++) {
		if (bytes_equal(bytes_str(grant->namespaces[i]), namespace))
			return true;
	}
	return false;
}

bool grant_stewards(const struct grant *grant, struct bytes namespace)
{
	if (!grant_has(grant, ROLE_STEWARD))
		return false;
	return grant->all_namespaces || (namespace.len > 0 && grant_names(grant, namespace));
}

bool grant_within(const struct grant *inner, const struct grant *outer)
{
	if (inner->roles & ~outer->roles)
		return false;
	if (!grant_has(inner, ROLE_STEWARD) || outer->all_namespaces)
		return true;
	if (inner->all_namespaces)
		return false;
	for (size_t i = 0; i < inner->namespace_count; i++) {
		if (!grant_names(outer, bytes_str(inner->namespaces[i])))
			return false;
	}
	return true;
}

static bool label_char(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

bool name_is_dns_label(struct bytes text)
{
	if (text.len == 0 || text.len > NAMESPACE_LEN_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (!label_char(text.ptr[i]))
			return false;
	}
	return text.ptr[0] != '-' && text.ptr[text.len - 1] != '-';
}

bool grant_add_namespace(struct grant *grant, struct bytes namespace)
{
	if (!name_is_dns_label(namespace))
		return false;
	if (grant_names(grant, namespace))
		return true;
	if (grant->namespace_count == GRANT_NAMESPACES_MAX)
		return false;
	memset(grant->namespaces[grant->namespace_count], 0, NAMESPACE_LEN_MAX + 1);
	memcpy(grant->namespaces[grant->namespace_count++], namespace.ptr, namespace.len);
	return true;
}

static void grant_format_namespaces(const struct grant *grant, struct buf *out)
{
	if (grant->all_namespaces)
		return;
	buf_append_str(out, "(");
	for (size_t i = 0; i < grant->namespace_count; i++)
		buf_append_format(out, "%s%s", i ? "," : "", grant->namespaces[i]);
	buf_append_str(out, ")");
}

void grant_format(const struct grant *grant, struct buf *out)
{
	bool first = true;

	for (size_t i = 0; i < ARRAY_LEN(role_names); i++) {
		if (!grant_has(grant, role_names[i].role))
			continue;
		buf_append_format(out, "%s%s", first ? "" : ",", role_names[i].name);
		if (role_names[i].role == ROLE_STEWARD)
			grant_format_namespaces(grant, out);
		first = false;
	}
}

uint32_t role_parse(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(role_names); i++) {
		if (strcmp(name, role_names[i].name) == 0)
			return (uint32_t)role_names[i].role;
	}
	return 0;
}
