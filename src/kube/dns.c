/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/dns.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "kube/member.h"
#include "kube/name.h"

enum {
	OPTION_MAX = 64, /* "ndots:5", "single-request-reopen" */
};

static const char blanks[] = " \t\r";

/* ---- what is well-formed ---- */

static bool is_address(const char *text)
{
	struct in6_addr ip;

	return inet_pton(AF_INET, text, &ip) == 1 || inet_pton(AF_INET6, text, &ip) == 1;
}

/* A domain, perhaps with a last dot, with '_' as resolvers allow it; or the root alone. */
static bool is_search(const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";
	size_t len = strlen(text);

	return len > 0 && len <= KUBE_SUBDOMAIN_MAX + 1 && strspn(text, allowed) == len &&
	       (text[0] != '.' || len == 1);
}

static bool is_option(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~' || text[i] == '#' || text[i] == ';')
			return false;
	return len <= OPTION_MAX;
}

static void validate_list(struct check *check, const json_t *list, const char *field,
			  bool (*fits)(const char *text), const char *detail)
{
	const json_t *item;
	size_t index;

	json_array_foreach (list, index, item) {
		size_t mark = check_enter(check, "%s[%zu]", field, index);

		if (!json_is_string(item) || !fits(json_string_value(item)))
			check_invalid(check, "", item, detail);
		check_leave(check, mark);
	}
}

static void validate_options(struct check *check, const json_t *options)
{
	const json_t *option;
	size_t index;

	json_array_foreach (options, index, option) {
		const char *name = kube_member_string(option, "name");
		size_t mark = check_enter(check, "options[%zu]", index);

		if (!*name)
			check_required(check, "name", "");
		else if (!is_option(name))
			check_invalid(check, "name", json_object_get(option, "name"),
				      "must be one word");
		if (!is_option(kube_member_string(option, "value")))
			check_invalid(check, "value", json_object_get(option, "value"),
				      "must be one word");
		check_leave(check, mark);
	}
}

static void validate_config(struct check *check, const json_t *pod)
{
	const json_t *config = json_object_get(pod, "dnsConfig");
	const json_t *servers = json_object_get(config, "nameservers");
	size_t mark = check_enter(check, "dnsConfig");

	if (json_array_size(servers) > KUBE_DNS_SERVERS_MAX)
		check_invalid(check, "nameservers", servers,
			      "must not have more than 3 nameservers");
	if (strcmp(kube_member_string(pod, "dnsPolicy"), "None") == 0 &&
	    json_array_size(servers) == 0)
		check_required(check, "nameservers",
			       "must provide at least one DNS nameserver when `dnsPolicy` is None");
	validate_list(check, servers, "nameservers", is_address, "must be a valid IP address");
	if (json_array_size(json_object_get(config, "searches")) > KUBE_DNS_SEARCH_MAX)
		check_invalid(check, "searches", NULL, "must not have more than 32 search paths");
	validate_list(check, json_object_get(config, "searches"), "searches", is_search,
		      "must be a domain name");
	if (json_array_size(json_object_get(config, "options")) > KUBE_DNS_OPTIONS_MAX)
		check_invalid(check, "options", NULL, "must not have more than 32 options");
	validate_options(check, json_object_get(config, "options"));
	check_leave(check, mark);
}

static void validate_aliases(struct check *check, const json_t *aliases)
{
	const json_t *alias;
	size_t index;

	if (json_array_size(aliases) > KUBE_HOST_ALIASES_MAX)
		check_invalid(check, "hostAliases", NULL, "must not have more than 256 elements");
	json_array_foreach (aliases, index, alias) {
		const json_t *names = json_object_get(alias, "hostnames");
		size_t mark = check_enter(check, "hostAliases[%zu]", index);

		if (!is_address(kube_member_string(alias, "ip")))
			check_invalid(check, "ip", json_object_get(alias, "ip"),
				      "must be a valid IP address");
		if (json_array_size(names) > KUBE_HOST_NAMES_MAX)
			check_invalid(check, "hostnames", NULL,
				      "must not have more than 64 elements");
		validate_list(check, names, "hostnames", kube_name_is_subdomain,
			      "must be a DNS name");
		check_leave(check, mark);
	}
}

void kube_validate_pod_dns(struct check *check, const json_t *pod)
{
	static const char *const policies[] = {"ClusterFirst", "ClusterFirstWithHostNet", "Default",
					       "None", NULL};
	const char *policy = kube_member_string(pod, "dnsPolicy");

	if (*policy)
		(void)check_one_of(check, "dnsPolicy", policy, policies);
	validate_config(check, pod);
	validate_aliases(check, json_object_get(pod, "hostAliases"));
}

/* ---- what a pod gets ---- */

/* Arrays of strings, in their order and each once. */
struct resolv {
	json_t *servers, *searches, *options;
};

static void resolv_init(struct resolv *resolv)
{
	*resolv = (struct resolv){json_array(), json_array(), json_array()};
}

static void resolv_deinit(struct resolv *resolv)
{
	json_decref(resolv->servers);
	json_decref(resolv->searches);
	json_decref(resolv->options);
}

static void add(json_t *words, size_t max, const char *text)
{
	const json_t *word;
	size_t index;

	json_array_foreach (words, index, word)
		if (strcmp(json_string_value(word), text) == 0)
			return;
	if (json_array_size(words) < max)
		kube_push(words, json_string(text));
}

static void add_server(struct resolv *resolv, const char *text)
{
	if (is_address(text))
		add(resolv->servers, KUBE_DNS_SERVERS_MAX, text);
}

static void add_search(struct resolv *resolv, const char *text)
{
	if (is_search(text))
		add(resolv->searches, KUBE_DNS_SEARCH_MAX, text);
}

/* "ndots:5": the last word on "ndots" counts. */
static void set_option(struct resolv *resolv, const char *text)
{
	size_t len = strcspn(text, ":"), index;
	const json_t *option;

	if (len == 0 || !is_option(text))
		return;
	json_array_foreach (resolv->options, index, option) {
		const char *old = json_string_value(option);

		if (strcspn(old, ":") != len || strncmp(old, text, len) != 0)
			continue;
		(void)json_array_remove(resolv->options, index);
		break;
	}
	add(resolv->options, KUBE_DNS_OPTIONS_MAX, text);
}

/* The next word of a line, cut out of it; NULL: there is none. */
static char *next_word(char **line)
{
	char *start = *line + strspn(*line, blanks), *end = start + strcspn(start, blanks);

	*line = *end ? end + 1 : end;
	*end = '\0';
	return *start ? start : NULL;
}

static void read_line(struct resolv *resolv, char *line)
{
	const char *key = next_word(&line), *text;
	bool is_searches;

	if (!key || *key == '#' || *key == ';')
		return;
	/* The last of these lines counts, as resolvers have it. */
	is_searches = strcmp(key, "search") == 0 || strcmp(key, "domain") == 0;
	if (is_searches)
		(void)json_array_clear(resolv->searches);
	while ((text = next_word(&line)) != NULL) {
		if (is_searches)
			add_search(resolv, text);
		else if (strcmp(key, "nameserver") == 0)
			add_server(resolv, text);
		else if (strcmp(key, "options") == 0)
			set_option(resolv, text);
	}
}

static void read_machine(struct resolv *resolv, struct bytes text)
{
	struct buf copy = {0};
	char *start, *line;

	buf_append_bytes(&copy, text);
	buf_append_str(&copy, "\n");
	start = line = buf_steal(&copy);
	while (*line) {
		char *end = line + strcspn(line, "\n");
		bool last = *end == '\0';

		*end = '\0';
		read_line(resolv, line);
		if (last)
			break;
		line = end + 1;
	}
	free(start);
}

static void read_cluster(struct resolv *resolv, const struct kube_dns *dns)
{
	struct resolv machine;
	struct buf own = {0};
	const json_t *search;
	size_t index;

	resolv_init(&machine);
	read_machine(&machine, dns->machine);
	add_server(resolv, dns->resolver);
	buf_append_format(&own, "%s.svc.cluster.local", dns->namespace);
	add_search(resolv, buf_cstr(&own));
	buf_deinit(&own);
	add_search(resolv, "svc.cluster.local");
	add_search(resolv, "cluster.local");
	json_array_foreach (machine.searches, index, search)
		add_search(resolv, json_string_value(search));
	set_option(resolv, "ndots:5");
	resolv_deinit(&machine);
}

static void read_config(struct resolv *resolv, const json_t *config)
{
	const json_t *item;
	size_t index;

	json_array_foreach (json_object_get(config, "nameservers"), index, item)
		if (json_is_string(item))
			add_server(resolv, json_string_value(item));
	json_array_foreach (json_object_get(config, "searches"), index, item)
		if (json_is_string(item))
			add_search(resolv, json_string_value(item));
	json_array_foreach (json_object_get(config, "options"), index, item) {
		const char *value = kube_member_string(item, "value");
		struct buf text = {0};

		buf_append_format(&text, *value ? "%s:%s" : "%s", kube_member_string(item, "name"),
				  value);
		set_option(resolv, buf_cstr(&text));
		buf_deinit(&text);
	}
}

static void write_words(const json_t *words, const char *key, const char *between, struct buf *out)
{
	const json_t *word;
	size_t index;

	json_array_foreach (words, index, word)
		buf_append_format(out, "%s%s", index == 0 ? key : between, json_string_value(word));
	if (json_array_size(words) > 0)
		buf_append_str(out, "\n");
}

void kube_dns_resolv_conf(const struct kube_dns *dns, struct buf *out)
{
	const char *policy = kube_member_string(dns->pod, "dnsPolicy");
	struct resolv resolv;

	resolv_init(&resolv);
	if (strcmp(policy, "None") != 0) {
		if (dns->resolver && strcmp(policy, "Default") != 0)
			read_cluster(&resolv, dns);
		else
			read_machine(&resolv, dns->machine);
	}
	read_config(&resolv, json_object_get(dns->pod, "dnsConfig"));
	write_words(resolv.servers, "nameserver ", "\nnameserver ", out);
	write_words(resolv.searches, "search ", " ", out);
	write_words(resolv.options, "options ", " ", out);
	resolv_deinit(&resolv);
}

void kube_dns_servers(struct bytes machine, struct buf *out)
{
	struct resolv resolv;
	const json_t *server;
	size_t index;

	resolv_init(&resolv);
	read_machine(&resolv, machine);
	json_array_foreach (resolv.servers, index, server)
		buf_append_format(out, "%s%s", index > 0 ? "," : "", json_string_value(server));
	resolv_deinit(&resolv);
}

void kube_dns_host_aliases(const json_t *pod, struct buf *out)
{
	const json_t *alias, *name;
	size_t index, k;

	json_array_foreach (json_object_get(pod, "hostAliases"), index, alias) {
		const char *ip = kube_member_string(alias, "ip");

		if (!is_address(ip) || index >= KUBE_HOST_ALIASES_MAX)
			continue;
		json_array_foreach (json_object_get(alias, "hostnames"), k, name)
			if (k < KUBE_HOST_NAMES_MAX && json_is_string(name) &&
			    kube_name_is_subdomain(json_string_value(name)))
				buf_append_format(out, "%s\t%s\n", ip, json_string_value(name));
	}
}
