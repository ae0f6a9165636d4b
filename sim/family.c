/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of families, and who has it. */
#include "family.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/mem.h"
#include "checker.h"
#include "identity/sha256.h"
#include "kube/admit.h"
#include "kube/job.h"
#include "kube/lost.h"
#include "kube/member.h"
#include "kube/statefulset.h"
#include "kube/time.h"
#include "market/college.h"

static const struct {
	const char *api_version, *kind, *name;
	const char *spec;     /* what is particular to it */
	const char *counted;  /* which member of it has the number of replicas; NULL: none */
	const char *template; /* where the pod template is */
} kinds[FAMILY_KIND_COUNT] = {
	[FAMILY_DEPLOYMENT] = {"apps/v1", "Deployment", "web",
			       "{\"selector\":{\"matchLabels\":{\"app\":\"x\"}}}", "replicas",
			       "spec.template"},
	[FAMILY_STATEFULSET] = {"apps/v1", "StatefulSet", "db",
				"{\"serviceName\":\"db\",\"selector\":{\"matchLabels\":"
				"{\"app\":\"x\"}}}",
				"replicas", "spec.template"},
	[FAMILY_DAEMONSET] = {"apps/v1", "DaemonSet", "log",
			      "{\"selector\":{\"matchLabels\":{\"app\":\"x\"}}}", NULL,
			      "spec.template"},
	[FAMILY_JOB] = {"batch/v1", "Job", "sum", "{\"parallelism\":3,\"backoffLimit\":50}",
			"completions", "spec.template"},
	[FAMILY_CRONJOB] = {"batch/v1", "CronJob", "tick",
			    "{\"schedule\":\"* * * * *\",\"successfulJobsHistoryLimit\":100,"
			    "\"jobTemplate\":{\"spec\":{\"backoffLimit\":50}}}",
			    NULL, "spec.jobTemplate.spec.template"},
};

static struct families *families_of(struct world *world)
{
	if (!world->families)
		world->families = mem_new(struct families);
	return world->families;
}

void families_free(struct world *world)
{
	struct families *families = world->families;

	for (size_t i = 0; families && i < families->count; i++) {
		free(families->family[i].pods);
		free(families->family[i].runs);
	}
	if (families)
		free(families->family);
	free(families);
	world->families = NULL;
}

struct sim_family *family_of(const struct world *world, const struct uid *uid)
{
	for (size_t i = 0; world->families && i < world->families->count; i++)
		if (memcmp(world->families->family[i].uid.byte, uid->byte, UID_HOME_LEN) == 0)
			return &world->families->family[i];
	return NULL;
}

/* ---- who is asked ---- */

static struct sim_machine *gateway(struct world *world, size_t machine)
{
	size_t first = machine == SIM_ANY ? world_random(world, world->machine_count) : machine;

	for (size_t i = 0; i < world->machine_count; i++) {
		struct sim_machine *one = &world->machines[(first + i) % world->machine_count];

		/* Of a gateway that was named, only its own side will do. */
		if (one->steward && one->node &&
		    (machine == SIM_ANY || network_reaches(world, machine, one->index)))
			return one;
	}
	return NULL;
}

static const struct record_item *stored(const struct sim_machine *machine,
					const struct sim_family *family)
{
	struct record_key key = {.kind = RECORD_OBJECT, .uid = family->uid};

	return records_get(node_records(machine->node), &key);
}

size_t family_controller(const struct world *world, size_t index)
{
	const struct sim_family *family = &world->families->family[index];

	for (size_t i = 0; i < world->machine_count; i++) {
		const struct sim_machine *machine = &world->machines[i];
		struct node_id id;
		uint32_t found;

		if (!machine->steward || !machine->node)
			continue;
		id = records_controller(node_records(machine->node), &family->uid);
		if (sim_directory_find(world->directory, &id, &found))
			return found;
	}
	return SIM_ANY;
}

/* ---- objects ---- */

static void set_template(const struct sim_family *family, json_t *object, int64_t number)
{
	json_t *template = kube_member(object, kinds[family->wish.kind].template);
	bool ends = family->wish.kind == FAMILY_JOB || family->wish.kind == FAMILY_CRONJOB;
	json_t *pod = json_pack("{s:{s:{s:s}},s:{s:[{s:s,s:o,s:{s:{s:s,s:s}}}]}}", "metadata",
				"labels", "app", "x", "spec", "containers", "name", "web", "image",
				kube_text("web:%" PRId64, number), "resources", "requests", "cpu",
				"100m", "memory", "64Mi");

	if (ends)
		kube_set_string(json_object_get(pod, "spec"), "restartPolicy", "Never");
	if (!template)
		template = kube_object_at(family->wish.kind == FAMILY_CRONJOB
						  ? kube_member(object, "spec.jobTemplate.spec")
						  : json_object_get(object, "spec"),
					  "template");
	(void)json_object_update(template, pod);
	json_decref(pod);
}

static json_t *object_new(const struct world *world, const struct sim_family *family)
{
	const struct family_wish *wish = &family->wish;
	json_t *spec = json_loads(kinds[wish->kind].spec, 0, NULL), *object;

	assert(spec);
	if (kinds[wish->kind].counted)
		kube_set_int(spec, kinds[wish->kind].counted, wish->replicas);
	object = json_pack("{s:s,s:s,s:{s:s,s:s},s:o}", "apiVersion", kinds[wish->kind].api_version,
			   "kind", kinds[wish->kind].kind, "metadata", "name", family->name,
			   "namespace", "default", "spec", spec);
	if (wish->kind == FAMILY_DEPLOYMENT)
		kube_set(json_object_get(object, "spec"), "strategy",
			 json_pack("{s:s,s:{s:i,s:i}}", "type", "RollingUpdate", "rollingUpdate",
				   "maxSurge", (int)wish->surge, "maxUnavailable",
				   (int)wish->unavailable));
	if (wish->on_lost_replace)
		kube_set(json_object_get(object, "metadata"), "annotations",
			 json_pack("{s:s}", KUBE_ON_LOST, "replace"));
	set_template(family, object, 1);
	kube_default(object,
		     kube_resource_of_kind(kinds[wish->kind].api_version, kinds[wish->kind].kind));
	kube_stamp(object, &(struct kube_stamp){.uid = family->uid,
						.generation = 1,
						.created = world_wall(world)});
	(void)json_object_del(json_object_get(object, "metadata"), "resourceVersion");
	if (wish->kind == FAMILY_JOB)
		kube_job_stamp(object);
	return object;
}

/* Returns what node_put() does. */
static int put(struct world *world, struct sim_machine *machine, struct sim_family *family,
	       const json_t *object, uint64_t expected_hlc, uint64_t *ret_token)
{
	char kind[32], namespace[] = "default", *text = json_dumps(object, JSON_COMPACT);
	struct object_ref ref = {family->uid, namespace, kind, family->name};
	struct node_put request = {
		.object = &ref,
		.generation = (uint64_t)kube_member_int(object, "metadata.generation", 1),
		.json = bytes_str(text),
		.expected_hlc = expected_hlc,
	};
	uint64_t hlc;
	int outcome;

	(void)snprintf(kind, sizeof(kind), "%s", kinds[family->wish.kind].kind);
	machine_call(machine, outcome = node_put(machine->node, machine_now(world, machine),
						 &request, ret_token, &hlc));
	free(text);
	return outcome;
}

size_t family_apply(struct world *world, size_t at, const struct family_wish *wish)
{
	struct families *families = families_of(world);
	struct sim_machine *machine = gateway(world, at);
	struct sim_family *family;
	uint8_t random[UID_LEN];
	json_t *object;
	uint64_t token;

	assert(machine);
	families->family =
		mem_resize(families->family, families->count + 1, sizeof(*families->family));
	family = &families->family[families->count];
	for (size_t i = 0; i < sizeof(random); i++)
		random[i] = (uint8_t)world_random(world, 256);
	*family = (struct sim_family){.wish = *wish,
				      .uid = uid_from_random(random),
				      .replicas = wish->replicas,
				      .made_ms = world_wall(world).ms};
	family->budget = wish->kind == FAMILY_DEPLOYMENT ? wish->replicas : 0;
	(void)snprintf(family->name, sizeof(family->name), "%s-%zu", kinds[wish->kind].name,
		       families->count);
	world_tell(world, &family->uid, "%s is asked for %s %s, %u times", machine->name,
		   kinds[wish->kind].kind, family->name, wish->replicas);
	object = object_new(world, family);
	if (put(world, machine, family, object, 0, &token) != 0)
		world_violate(world, &family->uid, "%s does not store %s", machine->name,
			      family->name);
	json_decref(object);
	machine_pump(world, machine);
	return families->count++;
}

/* What machines may still go by. */
static void remember_target(struct world *world, struct sim_family *family)
{
	if (family->old_count == ARRAY_LEN(family->old)) {
		memmove(family->old, family->old + 1, sizeof(family->old) - sizeof(family->old[0]));
		family->old_count--;
	}
	family->old[family->old_count++] = (struct sim_target){
		family->replicas,
		world_is_whole(world) ? world->now_us + SIM_GRACE_MS * US_PER_MS : INT64_MAX};
}

static json_t *changed(struct world *world, struct sim_family *family,
		       const struct record_item *item, const struct family_change *change)
{
	json_t *object =
		json_loadb((const char *)item->record.value.ptr, item->record.value.len, 0, NULL);
	json_t *before = json_deep_copy(object);
	char *line;

	assert(object);
	if (change->template != FAMILY_KEEP) {
		set_template(family, object, change->template);
		kube_default(object, kube_resource_of_kind(kinds[family->wish.kind].api_version,
							   kinds[family->wish.kind].kind));
		family->budget += family->replicas;
	}
	if (change->replicas != FAMILY_KEEP) {
		remember_target(world, family);
		/* Of a rollout that is under way, first the old sets grow. */
		if (change->replicas > family->replicas)
			family->budget += 2 * (uint64_t)(change->replicas - family->replicas);
		family->replicas = (uint32_t)change->replicas;
		kube_set_int(json_object_get(object, "spec"), "replicas", change->replicas);
	}
	kube_set_int(json_object_get(object, "metadata"), "generation",
		     (int64_t)item->record.version.generation + kube_spec_differs(before, object));
	line = mem_strdup(kube_member_string(object, "metadata.resourceVersion"));
	kube_set_line(object, world->bug == SIM_BUG_LINE_OFF ? NULL : line,
		      item->record.version.hlc);
	free(line);
	json_decref(before);
	return object;
}

void family_change(struct world *world, size_t at, size_t index, const struct family_change *change)
{
	struct sim_family *family = &world->families->family[index];
	struct sim_machine *machine = gateway(world, at);
	const struct record_item *item = machine ? stored(machine, family) : NULL;
	json_t *object;
	uint64_t token;

	if (!item)
		return; /* no steward is there, or it has just come back */
	object = changed(world, family, item, change);
	world_tell(world, &family->uid, "%s is asked to change %s: template %lld, replicas %lld",
		   machine->name, family->name, (long long)change->template,
		   (long long)change->replicas);
	if (put(world, machine, family, object, UINT64_MAX, &token) != 0)
		world_violate(world, &family->uid, "%s does not store %s", machine->name,
			      family->name);
	json_decref(object);
	machine_pump(world, machine);
}

/* ---- ordinals ---- */

static int64_t ordinal_of(const struct sim_pod *pod)
{
	return kube_ordinal(pod->presence.pod_name);
}

size_t family_runs_at(const struct world *world, size_t index, uint32_t ordinal)
{
	const struct sim_family *family = &world->families->family[index];

	for (size_t i = 0; i < family->pod_count; i++)
		if (host_is_alive(family->pods[i]) && ordinal_of(family->pods[i]) == ordinal)
			return family->pods[i]->machine;
	return SIM_ANY;
}

static const struct record_item *stored_pod(const struct sim_machine *machine,
					    const struct sim_family *family, uint32_t ordinal)
{
	const struct record_item *item;
	size_t position = 0;

	while ((item = records_next(node_records(machine->node), RECORD_OBJECT, "Pod", &family->uid,
				    &position)))
		if (kube_ordinal(item->record.object.name) == ordinal)
			return item;
	return NULL;
}

static void put_released(struct world *world, struct sim_machine *machine,
			 const struct record_item *item)
{
	json_t *pod =
		json_loadb((const char *)item->record.value.ptr, item->record.value.len, 0, NULL);
	struct object_ref ref;
	struct node_put request = {
		.object = &ref,
		.generation = item->record.version.generation + 1,
		.expected_hlc = item->record.version.hlc,
	};
	uint64_t token, hlc;
	char *text;

	object_ref_copy(&item->record.object, &ref);
	kube_release(pod, (struct wall){item->record.written_ms});
	kube_set_int(json_object_get(pod, "metadata"), "generation", (int64_t)request.generation);
	text = json_dumps(pod, JSON_COMPACT);
	request.json = bytes_str(text);
	/* What came first is as good: somebody has just changed it. */
	machine_call(machine, (void)!node_put(machine->node, machine_now(world, machine), &request,
					      &token, &hlc));
	free(text);
	json_decref(pod);
	object_ref_deinit(&ref);
	machine_pump(world, machine);
}

void family_release(struct world *world, size_t at, size_t index, uint32_t ordinal)
{
	struct sim_family *family = &world->families->family[index];
	struct sim_machine *machine = gateway(world, at);
	const struct record_item *item = machine ? stored_pod(machine, family, ordinal) : NULL;

	if (!item)
		return;
	world_tell(world, &family->uid, "%s is asked to give up ordinal %u of %s", machine->name,
		   ordinal, family->name);
	for (size_t i = 0; i < family->pod_count; i++)
		if (ordinal_of(family->pods[i]) == ordinal)
			family->pods[i]->given_up = true;
	put_released(world, machine, item);
}

struct registrars family_registrars(const struct world *world, size_t index)
{
	const struct sim_family *family = &world->families->family[index];
	struct registrars newest = {0};

	for (size_t i = 0; i < world->machine_count; i++) {
		const struct sim_machine *machine = &world->machines[i];
		const struct record_item *item = machine->node ? stored(machine, family) : NULL;
		struct registrars said;
		json_t *json;

		if (!item)
			continue;
		json = json_loadb((const char *)item->record.value.ptr, item->record.value.len, 0,
				  NULL);
		said = kube_registrars(json);
		json_decref(json);
		if (registrars_compare(&said.id, &newest.id) > 0)
			newest = said;
	}
	return newest;
}

void family_reset(struct world *world, size_t index, uint64_t epoch)
{
	struct sim_family *family = &world->families->family[index];
	struct sim_machine *machine = gateway(world, SIM_ANY);
	const struct record_item *item = machine ? stored(machine, family) : NULL;
	json_t *object;
	uint64_t token;

	if (!item)
		return;
	object = changed(world, family, item, &(struct family_change){FAMILY_KEEP, FAMILY_KEEP});
	kube_set(kube_object_at(json_object_get(object, "metadata"), "annotations"),
		 KUBE_REGISTRARS_RESET, kube_text("%" PRIu64, epoch));
	world_tell(world, &family->uid, "%s is asked for new registrars of %s", machine->name,
		   family->name);
	if (put(world, machine, family, object, UINT64_MAX, &token) != 0)
		world_violate(world, &family->uid, "%s does not store %s", machine->name,
			      family->name);
	json_decref(object);
	machine_pump(world, machine);
}

/* ---- conditional writes ---- */

void family_rival_changes(struct world *world, size_t index)
{
	struct families *families = world->families;
	struct sim_family *family = &families->family[index];

	families->rival_count = families->rival_wins = 0;
	for (size_t i = 0; i < world->machine_count; i++) {
		struct sim_machine *machine = &world->machines[i];
		struct family_change change = {FAMILY_KEEP, FAMILY_KEEP};
		const struct record_item *item;
		struct family_rival rival = {.machine = machine->index};
		uint64_t expected;
		json_t *object;

		if (!machine->steward || !machine->node)
			continue;
		item = stored(machine, family);
		assert(item && families->rival_count < FAMILY_RIVALS_MAX);
		object = changed(world, family, item, &change);
		kube_set(json_object_get(object, "metadata"), "labels",
			 json_pack("{s:s}", "by", machine->name));
		/* One after the other: nothing travels in between. */
		expected =
			world->bug == SIM_BUG_COMPARE_OFF ? UINT64_MAX : item->record.version.hlc;
		if (put(world, machine, family, object, expected, &rival.token) == 0)
			families->rivals[families->rival_count++] = rival;
		json_decref(object);
	}
	for (size_t i = 0; i < world->machine_count; i++)
		if (world->machines[i].steward && world->machines[i].node)
			machine_pump(world, &world->machines[i]);
}

void family_put_done(struct world *world, const struct sim_machine *machine,
		     const struct node_effect *effect)
{
	struct families *families = world->families;

	for (size_t i = 0; families && i < families->rival_count; i++) {
		struct family_rival *rival = &families->rivals[i];

		if (rival->machine != machine->index || rival->token != effect->token ||
		    rival->ended)
			continue;
		rival->ended = true;
		rival->won = !effect->conflict;
		families->rival_wins += rival->won;
	}
}

void family_expect_one_won(struct world *world)
{
	const struct families *families = world->families;

	if (families->rival_count < 2)
		world_violate(world, NULL, "only %zu stewards changed it at once",
			      families->rival_count);
	for (size_t i = 0; i < families->rival_count; i++)
		if (!families->rivals[i].ended)
			world_violate(world, NULL, "the write of %s has no end",
				      world->machines[families->rivals[i].machine].name);
	if (families->rival_wins != 1)
		world_violate(world, NULL, "%zu of %zu conditional writes of one version won",
			      families->rival_wins, families->rival_count);
}
