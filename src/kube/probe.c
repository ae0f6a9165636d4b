/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/probe.h"

#include <arpa/inet.h>
#include <string.h>

#include "kube/member.h"
#include "kube/name.h"

enum {
	PORT_NUMBER_MAX = 65535,
	DEFAULT_TIMEOUT_S = 1,
	DEFAULT_PERIOD_S = 10,
	DEFAULT_SUCCESSES = 1,
	DEFAULT_FAILURES = 3,
};

static const struct {
	const char *key, *title;
} kinds[KUBE_PROBE_COUNT] = {
	[KUBE_PROBE_STARTUP] = {"startupProbe", "Startup"},
	[KUBE_PROBE_LIVENESS] = {"livenessProbe", "Liveness"},
	[KUBE_PROBE_READINESS] = {"readinessProbe", "Readiness"},
};

static const struct {
	const char *key;
	enum kube_probe_action action;
} handlers[] = {
	{"exec", KUBE_PROBE_EXEC}, {"httpGet", KUBE_PROBE_HTTP}, {"tcpSocket", KUBE_PROBE_TCP},
	{"grpc", KUBE_PROBE_GRPC}, {"sleep", KUBE_PROBE_SLEEP},
};

enum {
	HANDLERS_OF_PROBES = 4, /* the first of them */
};

const char *kube_probe_key(enum kube_probe_kind kind)
{
	return kinds[kind].key;
}

const char *kube_probe_title(enum kube_probe_kind kind)
{
	return kinds[kind].title;
}

/* ---- reading */

/* A port by number or by its name in @container; 0: there is none such. */
static uint16_t port_of(const json_t *container, const json_t *port)
{
	const json_t *ports = json_object_get(container, "ports"), *item;
	int64_t number = json_integer_value(port);
	size_t index;

	if (json_is_string(port))
		json_array_foreach (ports, index, item)
			if (strcmp(kube_member_string(item, "name"), json_string_value(port)) == 0)
				number = kube_member_int(item, "containerPort", 0);
	return number > 0 && number <= PORT_NUMBER_MAX ? (uint16_t)number : 0;
}

static bool is_host(const char *host)
{
	struct in6_addr address;

	return !*host || strcmp(host, "localhost") == 0 ||
	       inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

static int read_handler(const json_t *container, const json_t *probe, struct kube_probe *ret,
			struct err *err)
{
	const json_t *handler = NULL;

	for (size_t i = 0; !handler && i < ARRAY_LEN(handlers); i++) {
		handler = json_object_get(probe, handlers[i].key);
		ret->action = handlers[i].action;
	}
	if (!json_is_object(handler))
		return err_set(err, -EINVAL, "no handler");
	ret->command = json_object_get(handler, "command");
	ret->host = kube_member_string(handler, "host");
	ret->path = kube_member_string(handler, "path");
	ret->https = strcmp(kube_member_string(handler, "scheme"), "HTTPS") == 0;
	ret->headers = json_object_get(handler, "httpHeaders");
	ret->service = kube_member_string(handler, "service");
	if (ret->action == KUBE_PROBE_SLEEP) {
		ret->sleep_s = kube_member_int(handler, "seconds", 0);
		return ret->sleep_s >= 0 && ret->sleep_s <= KUBE_HOOK_S_MAX
			       ? 0
			       : err_set(err, -EINVAL, "seconds");
	}
	if (ret->action == KUBE_PROBE_EXEC)
		return json_array_size(ret->command) > 0 ? 0 : err_set(err, -EINVAL, "no command");
	ret->port = port_of(container, json_object_get(handler, "port"));
	if (ret->port == 0)
		return err_set(err, -EINVAL, "the container has no such port");
	if (!is_host(ret->host))
		return err_set(err, -EINVAL, "host: neither an address nor localhost");
	return 0;
}

static int64_t seconds(const json_t *probe, const char *key, int64_t otherwise)
{
	int64_t value = kube_member_int(probe, key, 0);

	return value > 0 ? value : otherwise;
}

int kube_probe_read(const json_t *container, enum kube_probe_kind kind,
		    struct kube_probe *ret_probe, struct err *err)
{
	const json_t *probe = json_object_get(container, kinds[kind].key);
	int r;

	*ret_probe = (struct kube_probe){.action = KUBE_PROBE_NONE};
	if (!json_is_object(probe))
		return 0;
	ret_probe->delay_s = seconds(probe, "initialDelaySeconds", 0);
	ret_probe->period_s = seconds(probe, "periodSeconds", DEFAULT_PERIOD_S);
	ret_probe->timeout_s = seconds(probe, "timeoutSeconds", DEFAULT_TIMEOUT_S);
	ret_probe->success_threshold = seconds(probe, "successThreshold", DEFAULT_SUCCESSES);
	ret_probe->failure_threshold = seconds(probe, "failureThreshold", DEFAULT_FAILURES);
	ret_probe->grace_s = seconds(probe, "terminationGracePeriodSeconds", -1);
	if (ret_probe->delay_s > KUBE_PROBE_SECONDS_MAX ||
	    ret_probe->period_s > KUBE_PROBE_SECONDS_MAX ||
	    ret_probe->timeout_s > KUBE_PROBE_SECONDS_MAX ||
	    ret_probe->grace_s > KUBE_PROBE_SECONDS_MAX)
		return err_set(err, -EINVAL, "%s: more than %d seconds", kinds[kind].key,
			       (int)KUBE_PROBE_SECONDS_MAX);
	r = read_handler(container, probe, ret_probe, err);
	return r < 0 ? err_prefix(err, "%s", kinds[kind].key) : 0;
}

int kube_hook_read(const json_t *container, bool start, struct kube_probe *ret_hook,
		   struct err *err)
{
	const char *key = start ? "postStart" : "preStop";
	const json_t *hook = json_object_get(json_object_get(container, "lifecycle"), key);
	int r;

	*ret_hook = (struct kube_probe){.action = KUBE_PROBE_NONE};
	if (!json_is_object(hook))
		return 0;
	ret_hook->timeout_s = KUBE_HOOK_S_MAX;
	r = read_handler(container, hook, ret_hook, err);
	return r < 0 ? err_prefix(err, "lifecycle.%s", key) : 0;
}

/* ---- validating */

static void validate_port(struct check *check, const json_t *container, const json_t *handler)
{
	const json_t *port = json_object_get(handler, "port");

	if (!port)
		check_required(check, "port", "");
	else if (!json_is_string(port))
		check_range(check, "port", port, 1, PORT_NUMBER_MAX);
	else if (!kube_name_is_port(json_string_value(port)))
		check_invalid(check, "port", port,
			      "must be at most 15 lower case letters, digits or '-', with at "
			      "least one letter");
	else if (port_of(container, port) == 0)
		check_not_found(check, "port", json_string_value(port));
}

static void validate_text(struct check *check, const json_t *object, const char *key)
{
	const char *text = kube_member_string(object, key);

	/* It becomes part of a line that others parse. */
	if (strlen(text) > KUBE_PROBE_TEXT_MAX || strpbrk(text, "\r\n"))
		check_invalid(check, key, json_object_get(object, key),
			      "must be one line of at most 2048 bytes");
}

static bool is_token(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789!#$%&'*+-.^_`|~";

	return *name && name[strspn(name, allowed)] == '\0';
}

static void validate_headers(struct check *check, const json_t *handler)
{
	const json_t *headers = json_object_get(handler, "httpHeaders"), *header;
	size_t index;

	if (json_array_size(headers) > KUBE_PROBE_HEADERS_MAX) {
		check_forbidden(check, "httpHeaders", "must be at most 32");
		return;
	}
	json_array_foreach (headers, index, header) {
		size_t mark = check_enter(check, "httpHeaders[%zu]", index);

		if (!is_token(kube_member_string(header, "name")))
			check_invalid(check, "name", json_object_get(header, "name"),
				      "must be the name of an HTTP header");
		validate_text(check, header, "name");
		validate_text(check, header, "value");
		check_leave(check, mark);
	}
}

static void validate_http(struct check *check, const json_t *handler)
{
	static const char *const schemes[] = {"HTTP", "HTTPS", NULL};

	(void)check_one_of(check, "scheme", kube_member_string(handler, "scheme"), schemes);
	validate_text(check, handler, "path");
	if (strchr(kube_member_string(handler, "path"), ' '))
		check_invalid(check, "path", json_object_get(handler, "path"),
			      "must not hold a space");
	validate_headers(check, handler);
}

static void validate_handler(struct check *check, const json_t *container, const char *key,
			     enum kube_probe_action action, const json_t *handler)
{
	const json_t *command = json_object_get(handler, "command");
	size_t mark = check_enter(check, "%s", key);

	if (action == KUBE_PROBE_SLEEP)
		check_range(check, "seconds", json_object_get(handler, "seconds"), 0,
			    KUBE_HOOK_S_MAX);
	else if (action != KUBE_PROBE_EXEC)
		validate_port(check, container, handler);
	else if (json_array_size(command) == 0)
		check_required(check, "command", "");
	else if (json_array_size(command) > KUBE_PROBE_WORDS_MAX)
		check_forbidden(check, "command", "must be at most 1024 words");
	if (action == KUBE_PROBE_HTTP)
		validate_http(check, handler);
	validate_text(check, handler, "service");
	if (!is_host(kube_member_string(handler, "host")))
		check_invalid(check, "host", json_object_get(handler, "host"),
			      "must be an IP address or localhost: it is asked from inside the "
			      "pod");
	check_leave(check, mark);
}

static void validate_numbers(struct check *check, enum kube_probe_kind kind, const json_t *probe)
{
	static const char *const keys[] = {"initialDelaySeconds", "timeoutSeconds", "periodSeconds",
					   "successThreshold", "failureThreshold"};
	const json_t *grace = json_object_get(probe, "terminationGracePeriodSeconds");

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		check_range(check, keys[i], json_object_get(probe, keys[i]), 0,
			    KUBE_PROBE_SECONDS_MAX);
	if (kind != KUBE_PROBE_READINESS && kube_member_int(probe, "successThreshold", 1) > 1)
		check_invalid(check, "successThreshold", json_object_get(probe, "successThreshold"),
			      "must be 1");
	if (grace && kind == KUBE_PROBE_READINESS)
		check_invalid(check, "terminationGracePeriodSeconds", grace,
			      "must not be set for readinessProbes");
	else
		check_range(check, "terminationGracePeriodSeconds", grace, 1,
			    KUBE_PROBE_SECONDS_MAX);
}

/* Exactly one of the first @count handlers. */
static void validate_handlers(struct check *check, const json_t *container, const json_t *probe,
			      size_t count)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		const json_t *handler = json_object_get(probe, handlers[i].key);

		if (!handler)
			continue;
		if (found++ > 0)
			check_forbidden(check, handlers[i].key,
					"may not specify more than 1 handler type");
		else
			validate_handler(check, container, handlers[i].key, handlers[i].action,
					 handler);
	}
	if (found == 0)
		check_required(check, "", "must specify a handler type");
}

static void validate_hook(struct check *check, const json_t *container, const char *key,
			  const json_t *hook)
{
	size_t mark;

	if (!hook)
		return;
	mark = check_enter(check, "%s", key);
	if (json_object_get(hook, "tcpSocket"))
		check_forbidden(check, "tcpSocket", "may not be set for lifecycle handlers");
	else
		validate_handlers(check, container, hook, ARRAY_LEN(handlers));
	check_leave(check, mark);
}

static void validate_hooks(struct check *check, const json_t *container, bool init)
{
	const json_t *lifecycle = json_object_get(container, "lifecycle");
	size_t mark;

	if (json_object_size(lifecycle) == 0)
		return;
	if (init) {
		check_forbidden(check, "lifecycle", "may not be set for init containers");
		return;
	}
	mark = check_enter(check, "lifecycle");
	validate_hook(check, container, "postStart", json_object_get(lifecycle, "postStart"));
	validate_hook(check, container, "preStop", json_object_get(lifecycle, "preStop"));
	check_leave(check, mark);
}

void kube_validate_probes(struct check *check, const json_t *container, bool init)
{
	for (int kind = 0; kind < KUBE_PROBE_COUNT; kind++) {
		const json_t *probe = json_object_get(container, kinds[kind].key);
		size_t mark;

		if (!probe)
			continue;
		if (init) {
			check_forbidden(check, kinds[kind].key,
					"may not be set for init containers");
			continue;
		}
		mark = check_enter(check, "%s", kinds[kind].key);
		validate_handlers(check, container, probe, HANDLERS_OF_PROBES);
		validate_numbers(check, (enum kube_probe_kind)kind, probe);
		check_leave(check, mark);
	}
	validate_hooks(check, container, init);
}
