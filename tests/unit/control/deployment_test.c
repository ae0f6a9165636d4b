/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rollouts under chance: pods become ready, and are stopped, some time after they were asked for.
 * Whatever happens when, the limits hold and only the new template is left. The same runs find the
 * bugs that can be planted.
 */
#include "family.h"

#include "base/fault.h"
#include "base/prng.h"
#include "kube/rollout.h"

enum {
	REPLICAS = 4,
	SURGE = 1,
	UNAVAILABLE = 1,
	SEEDS = 50,
	TICKS_MAX = 400,
};

static const char deployment[] =
	"{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'web','generation':1},"
	"'spec':{'replicas':4,'strategy':{'rollingUpdate':{'maxSurge':1,'maxUnavailable':1}},"
	"'selector':{'matchLabels':{'app':'web'}},"
	"'template':{'metadata':{'labels':{'app':'web'}},"
	"'spec':{'containers':[{'name':'c','image':'i:1'}]}}}}";

/* What was seen at worst. */
struct worst {
	int64_t wanted, available;
	bool complete;
};

static bool is_of(const struct presence *presence, const struct control_object *set)
{
	return uid_equal(&presence->object.uid, &set->ref.uid) && !presence->terminating;
}

static struct presence *last_of(struct family *family, const struct control_object *set)
{
	for (size_t i = family->pod_count; i-- > 0;)
		if (is_of(&family->presences[i], set))
			return &family->presences[i];
	return NULL;
}

static int64_t count_of(const struct family *family, const struct control_object *set)
{
	int64_t count = 0;

	for (size_t i = 0; i < family->pod_count; i++)
		count += is_of(&family->presences[i], set);
	return count;
}

static int64_t wanted_of(const struct control_object *set)
{
	return kube_member_int(set->json, "spec.replicas", 0);
}

/* What the market does for a set, sooner or later. */
static void place(struct family *family, struct prng *prng, const struct control_object *set)
{
	while (count_of(family, set) < wanted_of(set) && family->pod_count < FAMILY_PODS_MAX)
		(void)family_add_pod(family, set, 0, POD_PENDING);
	if (prng_below(prng, 2) == 0)
		return;
	while (count_of(family, set) > wanted_of(set)) {
		struct presence *presence = last_of(family, set);

		if (!presence)
			return;
		presence->terminating = true;
		presence->ready = false;
	}
}

static void become_ready(struct family *family, struct prng *prng)
{
	for (size_t i = 0; i < family->pod_count; i++) {
		struct presence *presence = &family->presences[i];

		if (presence->terminating || presence->ready || prng_below(prng, 3))
			continue;
		presence->phase = POD_RUNNING;
		presence->ready = true;
		presence->started_ms = family->now.ms;
	}
}

static void watch(const struct family *family, struct worst *worst)
{
	int64_t wanted = 0, available = 0;

	for (size_t i = 0; i < family->derived_count; i++)
		wanted += wanted_of(&family->derived[i]);
	for (size_t i = 0; i < family->pod_count; i++)
		available += family->presences[i].ready;
	worst->wanted = wanted > worst->wanted ? wanted : worst->wanted;
	worst->available = available < worst->available ? available : worst->available;
}

static bool is_over(const struct family *family, size_t sets)
{
	int64_t active = 0, ready = 0;

	for (size_t i = 0; i < family->derived_count; i++)
		active += wanted_of(&family->derived[i]) > 0;
	for (size_t i = 0; i < family->pod_count; i++)
		ready += family->presences[i].ready;
	return family->derived_count == sets && active == 1 && ready == REPLICAS;
}

static void run(struct family *family, struct prng *prng, size_t sets, struct worst *worst)
{
	for (int tick = 0; tick < TICKS_MAX && !is_over(family, sets); tick++) {
		family->now.ms += MS_PER_S;
		family_run(family);
		for (size_t i = 0; i < family->derived_count; i++)
			place(family, prng, &family->derived[i]);
		become_ready(family, prng);
		if (worst)
			watch(family, worst);
	}
	family_run(family);
}

static struct worst roll(uint64_t seed)
{
	struct worst worst = {.available = INT64_MAX};
	struct family *family = family_new(control_deployment, deployment);
	struct prng prng = prng_seeded(seed);
	json_t *containers = json_pack("[{s:s, s:s}]", "name", "c", "image", "i:2");

	run(family, &prng, 1, NULL);
	assert_true(is_over(family, 1));
	family_set(family, "spec.template.spec", "containers", containers);
	run(family, &prng, 2, &worst);
	worst.complete = is_over(family, 2);
	family_free(family);
	return worst;
}

static bool holds(const struct worst *worst)
{
	return worst->complete && worst->wanted <= REPLICAS + SURGE &&
	       worst->available >= REPLICAS - UNAVAILABLE;
}

static void test_a_rollout_keeps_its_limits_whatever_happens_when(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct worst worst = roll(seed);

		if (!holds(&worst))
			fail_msg("seed %d: %d wanted, %d available, complete %d", (int)seed,
				 (int)worst.wanted, (int)worst.available, worst.complete);
	}
}

static void assert_found(enum fault fault)
{
	bool found = false;

	fault_plant(fault);
	for (uint64_t seed = 1; seed <= SEEDS && !found; seed++) {
		struct worst worst = roll(seed);

		found = !holds(&worst);
	}
	fault_pull(fault);
	assert_true(found);
}

static void test_planted_bugs_are_found(void **state)
{
	(void)state;
	assert_found(FAULT_ROLLOUT_SURGE);
	assert_found(FAULT_ROLLOUT_UNAVAILABLE);
	assert_found(FAULT_ROLLOUT_STALE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_rollout_keeps_its_limits_whatever_happens_when),
		cmocka_unit_test(test_planted_bugs_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
