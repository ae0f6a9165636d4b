/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube/schema.h"
#include "kube/workload.h"
#include "kube/zero.h"

enum {
	PORT_NAME_MAX = 15,
	FNV_OFFSET_32 = 0x811c9dc5,
	FNV_PRIME_32 = 0x01000193,
	/* A pod's name must serve as its host name, with the suffix whole. */
	POD_BASE_MAX = KUBE_LABEL_MAX - KUBE_SUFFIX_LEN - 1,
	DEPLOYMENT_NAME_MAX = KUBE_SUBDOMAIN_MAX - KUBE_HASH_LEN - 1,
	GENERATE_PREFIX_MAX = KUBE_LABEL_MAX - KUBE_SUFFIX_LEN,
};

/* Kubernetes' alphabet for generated names: 27 characters without vowels, 0, 1 and 3. */
static const char safe[] = "bcdfghjklmnpqrstvwxz2456789";
enum {
	SAFE_COUNT = sizeof(safe) - 1,
};

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z');
}

static bool label_span(const char *text, size_t len, size_t max)
{
	if (len == 0 || len > max || text[0] == '-' || text[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_lower(text[i]) && !is_digit(text[i]) && text[i] != '-')
			return false;
	}
	return true;
}

bool kube_name_is_label(const char *name)
{
	return label_span(name, strlen(name), KUBE_LABEL_MAX);
}

static bool subdomain_span(const char *text, size_t len)
{
	if (len > KUBE_SUBDOMAIN_MAX)
		return false;
	while (true) {
		const char *dot = memchr(text, '.', len);
		size_t part = dot ? (size_t)(dot - text) : len;
		if (!label_span(text, part, KUBE_SUBDOMAIN_MAX))
			return false;
		if (!dot)
			return true;
		text += part + 1;
		len -= part + 1;
	}
}

bool kube_name_is_subdomain(const char *name)
{
	return subdomain_span(name, strlen(name));
}

/* The part both label names and label values share: alphanumeric ends, -_. between. */
static bool qualified_span(const char *text, size_t len)
{
	if (len == 0 || len > KUBE_LABEL_MAX || !is_alnum(text[0]) || !is_alnum(text[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_alnum(text[i]) && !strchr("-_.", text[i]))
			return false;
	}
	return true;
}

bool kube_name_is_label_key(const char *key)
{
	const char *slash = strchr(key, '/');
	const char *name = slash ? slash + 1 : key;
	if (slash && !subdomain_span(key, (size_t)(slash - key)))
		return false;
	return qualified_span(name, strlen(name));
}

bool kube_name_is_label_value(const char *value)
{
	return !*value || qualified_span(value, strlen(value));
}

bool kube_name_is_port(const char *name)
{
	bool any_letter = false;
	for (const char *at = name; *at; at++)
		any_letter |= is_lower(*at);
	return any_letter && !strstr(name, "--") && label_span(name, strlen(name), PORT_NAME_MAX);
}

bool kube_name_is_env(const char *name)
{
	if (!*name)
		return false;
	for (; *name; name++) {
		if (*name < ' ' || *name > '~' || *name == '=')
			return false;
	}
	return true;
}

struct kube_hash kube_template_hash(const json_t *template)
{
	struct kube_hash hash;
	size_t len;
	uint32_t sum = FNV_OFFSET_32;
	json_t *plain = json_deep_copy(template);
	char *text;
	if (plain)
		kube_remove_zeros(plain, kube_schema_message("core/v1.PodTemplateSpec"));
	text = kube_canonical(plain, &len);
	json_decref(plain);
	for (size_t i = 0; i < len; i++)
		sum = (sum ^ (uint8_t)text[i]) * FNV_PRIME_32;
	free(text);
	/* Each decimal digit becomes a safe character, as Kubernetes does. */
	(void)snprintf(hash.text, sizeof(hash.text), "%u", sum);
	for (char *at = hash.text; *at; at++)
		*at = safe[(uint8_t)*at % SAFE_COUNT];
	return hash;
}

/* The first @max characters at most; it may not end in what cannot stand before a dash. */
static int cut(const char *name, size_t max)
{
	size_t len = strnlen(name, max);
	while (len && !is_alnum(name[len - 1]))
		len--;
	return (int)len;
}

struct kube_name kube_name_replica_set(const char *deployment, const struct kube_hash *hash)
{
	struct kube_name name;
	(void)snprintf(name.text, sizeof(name.text), "%.*s-%.*s",
		       cut(deployment, DEPLOYMENT_NAME_MAX), deployment, (int)KUBE_HASH_LEN,
		       hash->text);
	return name;
}

struct kube_name kube_name_pod_base(const char *workload)
{
	struct kube_name name;
	(void)snprintf(name.text, sizeof(name.text), "%.*s", cut(workload, POD_BASE_MAX), workload);
	return name;
}

/* KUBE_SUFFIX_LEN safe characters from a number that is as good as random. */
static void suffix_write(uint64_t random, char out[KUBE_SUFFIX_LEN + 1])
{
	for (int i = 0; i < KUBE_SUFFIX_LEN; i++) {
		out[i] = safe[random % SAFE_COUNT];
		random /= SAFE_COUNT;
	}
	out[KUBE_SUFFIX_LEN] = 0;
}

struct kube_name kube_name_pod(const char *workload, const struct uid *pod_uid)
{
	struct kube_name name;
	char suffix[KUBE_SUFFIX_LEN + 1];
	uint64_t random = 0;
	/* The first eight bytes less the version's: random in a version 4 UUID. */
	for (int i = 0; i < 6; i++)
		random = random << 8 | pod_uid->byte[i];
	suffix_write(random, suffix);
	(void)snprintf(name.text, sizeof(name.text), "%.*s-%s", cut(workload, POD_BASE_MAX),
		       workload, suffix);
	return name;
}

struct kube_name kube_name_generate(const char *prefix, uint64_t random)
{
	struct kube_name name;
	char suffix[KUBE_SUFFIX_LEN + 1];
	suffix_write(random, suffix);
	(void)snprintf(name.text, sizeof(name.text), "%.*s%s", (int)GENERATE_PREFIX_MAX, prefix,
		       suffix);
	return name;
}

struct uid kube_uid_derive(const struct uid *parent, const char *what)
{
	uint8_t bytes[UID_LEN];
	uint64_t sum = 0xcbf29ce484222325; /* FNV-1a 64, over the parent and then the name */
	for (int half = 0; half < 2; half++) {
		for (int i = 0; i < UID_LEN; i++)
			sum = (sum ^ parent->byte[i]) * 0x100000001b3;
		for (const char *at = what; *at; at++)
			sum = (sum ^ (uint8_t)*at) * 0x100000001b3;
		memcpy(bytes + half * 8, &sum, sizeof(sum));
	}
	return uid_from_random(bytes);
}
