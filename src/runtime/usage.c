/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/usage.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/mem.h"
#include "io/clock.h"
#include "runtime/cgroup.h"
#include "runtime/files.h"
#include "runtime/pod.h"

enum {
	PROC_FILE_MAX = 1 << 20, /* /proc/stat has a line for each interrupt */
	PROC_COLUMNS = 8,        /* user nice system idle iowait irq softirq steal */
	COLUMN_IDLE = 3,
	COLUMN_IOWAIT = 4,
};

struct reading {
	char id[ENGINE_ID_MAX]; /* of the run */
	const char *namespace, *pod, *container;
	struct cgroup_usage usage;
};

struct readings {
	struct mono at;
	uint64_t busy_ns; /* of all processors together */
	uint64_t memory_bytes;
	struct reading *list;
	size_t count;
};

struct asker {
	struct list link;
	char *namespace; /* NULL: none */
	usage_fn *done;
	void *user;
};

struct usage {
	struct pods *pods;
	struct loop *loop;
	struct loop_timer *timer; /* set while somebody waits */
	struct readings last;
	bool has_last;
	struct list askers;
};

struct usage *usage_new(struct pods *pods, struct loop *loop)
{
	struct usage *usage = mem_new(struct usage);

	usage->pods = pods;
	usage->loop = loop;
	list_init(&usage->askers);
	return usage;
}

static void asker_free(struct asker *asker)
{
	list_remove(&asker->link);
	free(asker->namespace);
	free(asker);
}

void usage_free(struct usage *usage)
{
	if (!usage)
		return;
	list_for_each_safe (it, &usage->askers)
		asker_free(list_entry(it, struct asker, link));
	loop_timer_free(usage->timer);
	free(usage->last.list);
	free(usage);
}

/* ---- reading */

/* The first line: "cpu  user nice system idle iowait irq softirq steal ...", in ticks. */
static uint64_t read_busy_ns(void)
{
	uint64_t ticks = 0, tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
	struct buf text = {0};
	char *at, *end;

	if (file_read("/proc/stat", PROC_FILE_MAX, &text) == 0 && text.len > 4) {
		at = (char *)(uintptr_t)buf_cstr(&text) + 4;
		for (int column = 0; column < PROC_COLUMNS; column++) {
			uint64_t value = strtoull(at, &end, 10);

			if (column != COLUMN_IDLE && column != COLUMN_IOWAIT)
				ticks += value;
			at = end;
		}
	}
	buf_deinit(&text);
	return ticks * tick_ns;
}

static uint64_t meminfo(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoull(at + strlen(key), NULL, 10) * 1024 : 0;
}

static uint64_t read_memory_bytes(void)
{
	struct buf text = {0};
	uint64_t total = 0, available = 0;

	if (file_read("/proc/meminfo", PROC_FILE_MAX, &text) == 0) {
		total = meminfo(buf_cstr(&text), "MemTotal:");
		available = meminfo(buf_cstr(&text), "MemAvailable:");
	}
	buf_deinit(&text);
	return total > available ? total - available : 0;
}

static bool read_container(const struct container *container, struct reading *ret)
{
	struct run_paths *paths;

	if (container->state != RUN_RUNNING || pod_is_null(container->pod))
		return false;
	paths = mem_new(struct run_paths);
	run_paths_init(paths, container, container->run);
	*ret = (struct reading){
		.namespace = container->pod->spec->namespace,
		.pod = container->pod->name,
		.container = container->spec->name,
	};
	memcpy(ret->id, paths->id, sizeof(ret->id));
	cgroup_usage(paths->cgroup.text, &ret->usage);
	free(paths);
	return true;
}

/* Names are borrowed from the pods: good in this turn of the loop only. */
static void read_all(const struct pods *pods, struct readings *ret)
{
	size_t room = pods->count * POD_CONTAINERS_MAX;

	*ret = (struct readings){
		.at = clock_mono(),
		.busy_ns = read_busy_ns(),
		.memory_bytes = read_memory_bytes(),
		.list = mem_alloc(room, sizeof(struct reading)),
	};
	list_for_each (it, &pods->pods) {
		const struct pod *pod = list_entry(it, struct pod, link);

		for (size_t i = 0; i < pod->spec->container_count && ret->count < room; i++)
			ret->count += read_container(&pod->containers[i], &ret->list[ret->count]);
	}
}

/* ---- telling */

static uint64_t rate(uint64_t before, uint64_t now, int64_t window_ms)
{
	return now > before && window_ms > 0 ? (now - before) * 1000 / (uint64_t)window_ms : 0;
}

/* A container that has started within the window has used all it has used in it. */
static uint64_t cpu_before(const struct readings *readings, const char *id)
{
	for (size_t i = 0; i < readings->count; i++)
		if (strcmp(readings->list[i].id, id) == 0)
			return readings->list[i].usage.cpu_ns;
	return 0;
}

static json_t *containers_json(const struct readings *before, const struct readings *now,
			       const char *namespace, int64_t window_ms)
{
	json_t *list = json_array();

	for (size_t i = 0; namespace && i < now->count; i++) {
		const struct reading *reading = &now->list[i];

		if (*namespace && strcmp(namespace, reading->namespace) != 0)
			continue;
		(void)json_array_append_new(
			list,
			json_pack("{s:s,s:s,s:s,s:I,s:I}", "namespace", reading->namespace, "pod",
				  reading->pod, "container", reading->container, "cpu_nano",
				  (json_int_t)rate(cpu_before(before, reading->id),
						   reading->usage.cpu_ns, window_ms),
				  "memory_bytes", (json_int_t)reading->usage.memory_bytes));
	}
	return list;
}

static void tell(struct asker *asker, const struct readings *before, const struct readings *now)
{
	int64_t window_ms = mono_since_us(now->at, before->at) / 1000;
	json_t *json =
		json_pack("{s:I,s:I,s:I,s:o}", "window_ms", (json_int_t)window_ms, "cpu_nano",
			  (json_int_t)rate(before->busy_ns, now->busy_ns, window_ms),
			  "memory_bytes", (json_int_t)now->memory_bytes, "containers",
			  containers_json(before, now, asker->namespace, window_ms));
	char *text = json_dumps(json, JSON_COMPACT);
	usage_fn *done = asker->done;
	void *user = asker->user;

	asker_free(asker);
	done(user, bytes_str(text ? text : "{}"));
	free(text);
	json_decref(json);
}

static void answer_all(struct usage *usage)
{
	struct readings now, before = usage->last;
	struct list askers;

	read_all(usage->pods, &now);
	usage->last = now;
	list_init(&askers);
	list_for_each_safe (it, &usage->askers) {
		list_remove(it);
		list_append(&askers, it);
	}
	while (!list_is_empty(&askers))
		tell(list_first(&askers, struct asker, link), &before, &now);
	free(before.list);
}

static void on_timer(void *user)
{
	answer_all(user);
}

void usage_ask(struct usage *usage, const char *namespace, usage_fn *done, void *user)
{
	struct asker *asker = mem_new(struct asker);
	bool waiting = !list_is_empty(&usage->askers);
	int64_t age_ms =
		usage->has_last ? mono_since_us(clock_mono(), usage->last.at) / 1000 : INT64_MAX;

	asker->namespace = namespace ? mem_strdup(namespace) : NULL;
	asker->done = done;
	asker->user = user;
	list_append(&usage->askers, &asker->link);
	if (waiting)
		return;
	if (age_ms >= USAGE_WINDOW_MS && age_ms <= USAGE_AGE_MAX_MS) {
		answer_all(usage);
		return;
	}
	if (age_ms > USAGE_AGE_MAX_MS) {
		free(usage->last.list);
		read_all(usage->pods, &usage->last);
		usage->has_last = true;
		age_ms = 0;
	}
	if (!usage->timer)
		usage->timer = loop_timer_new(usage->loop, on_timer, usage);
	loop_timer_set(usage->timer, mono_add_ms(clock_mono(), USAGE_WINDOW_MS - age_ms));
}

void usage_forget(struct usage *usage, void *user)
{
	list_for_each_safe (it, &usage->askers) {
		struct asker *asker = list_entry(it, struct asker, link);

		if (asker->user == user)
			asker_free(asker);
	}
}
