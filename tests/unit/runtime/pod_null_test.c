/* SPDX-License-Identifier: Apache-2.0 */
/* Pods under the engine that runs nothing: said to run after its delay, gone when told to stop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "io/clock.h"
#include "runtime/pods.h"

#define MANIFEST                                                                             \
	"{\"kind\":\"Deployment\",\"metadata\":{\"name\":\"web\",\"namespace\":\"default\"," \
	"\"generation\":3,\"uid\":\"0f7e0e48-9d0b-4c53-8a4b-5b1c4d2f6a01\"},\"spec\":{"      \
	"\"replicas\":1,\"template\":{\"spec\":{\"initContainers\":[{\"name\":\"first\","    \
	"\"image\":\"a:1\"}],\"containers\":[{\"name\":\"main\",\"image\":\"nginx:1\"}]}}}}"

enum {
	DELAY_MS = 30,
	WAIT_MS = 10 * 1000,
	HISTORY = 8,
};

struct machine {
	struct loop *loop;
	struct engine *engine;
	struct policy policy;
	struct pods *pods;
	enum pod_phase phases[HISTORY];
	size_t count;
	bool running, gone;
	bool ready, terminating;
	struct mono ran;
};

static void on_status(void *ctx, const struct presence *presence)
{
	struct machine *machine = ctx;

	assert_true(machine->count < HISTORY);
	machine->phases[machine->count++] = presence->phase;
	machine->ready = presence->ready;
	machine->terminating = presence->terminating;
	if (presence->phase == POD_RUNNING) {
		machine->running = true;
		machine->ran = clock_mono();
	}
	machine->gone = presence->phase == POD_GONE;
}

static void machine_init(struct machine *machine)
{
	*machine = (struct machine){.loop = loop_new(),
				    .engine = engine_null_new(DELAY_MS),
				    .policy = {.any_registry = true}};
	struct pods_config config = {
		.loop = machine->loop,
		.engine = machine->engine,
		.policy = &machine->policy,
		.run_dir = "/nonexistent", /* nothing may be written or looked for */
		.node_name = "m1",
		.pods_max = 2,
		.on_status = on_status,
		.ctx = machine,
	};
	machine->pods = pods_new(&config);
	pods_recover(machine->pods);
}

static void machine_deinit(struct machine *machine)
{
	machine->pods = pods_free(machine->pods);
	machine->engine = machine->engine->ops->free(machine->engine);
	loop_free(machine->loop);
}

static int start(struct machine *machine, uint8_t uid)
{
	struct pod_start pod = {.name = "web-x", .slot = 1, .manifest = bytes_str(MANIFEST)};
	struct err err = {0};

	memset(pod.uid.byte, uid, UID_LEN);
	return pods_start(machine->pods, &pod, &err);
}

static int stop(struct machine *machine, uint8_t uid)
{
	struct uid pod;

	memset(pod.byte, uid, UID_LEN);
	return pods_stop(machine->pods, &pod, -1, false);
}

static void a_pod_is_said_to_run_after_the_delay_and_is_gone_when_stopped(void **state)
{
	struct machine machine;
	struct mono began = clock_mono();

	machine_init(&machine);
	assert_int_equal(start(&machine, 1), 0);
	assert_int_equal(machine.count, 1);
	assert_int_equal(machine.phases[0], POD_PENDING);
	assert_true(
		loop_run_until(machine.loop, &machine.running, mono_add_ms(clock_mono(), WAIT_MS)));
	assert_true(mono_since_us(machine.ran, began) >= DELAY_MS * US_PER_MS);
	assert_int_equal(machine.count, 2);
	assert_true(machine.ready && !machine.terminating);
	assert_int_equal(pods_count(machine.pods), 1);
	assert_int_equal(stop(&machine, 1), 0);
	assert_true(machine.gone && machine.terminating);
	assert_int_equal(machine.count, 3);
	assert_int_equal(pods_count(machine.pods), 0);
	assert_true(pods_is_idle(machine.pods));
	machine_deinit(&machine);
}

static void a_pod_stopped_before_it_ran_never_runs(void **state)
{
	struct machine machine;

	machine_init(&machine);
	assert_int_equal(start(&machine, 1), 0);
	assert_int_equal(stop(&machine, 1), 0);
	assert_true(machine.gone);
	assert_false(loop_run_until(machine.loop, &machine.running,
				    mono_add_ms(clock_mono(), 3 * DELAY_MS)));
	assert_int_equal(machine.count, 2);
	assert_int_equal(stop(&machine, 1), -ENOENT);
	machine_deinit(&machine);
}

static void the_limits_of_a_machine_hold(void **state)
{
	struct machine machine;

	machine_init(&machine);
	assert_int_equal(start(&machine, 1), 0);
	assert_int_equal(start(&machine, 1), -EEXIST);
	assert_int_equal(start(&machine, 2), 0);
	assert_int_equal(start(&machine, 3), -EBUSY);
	pods_stop_all(machine.pods);
	assert_int_equal(pods_count(machine.pods), 0);
	machine_deinit(&machine);
}

static void it_starts_no_container(void **state)
{
	struct engine *engine = engine_null_new(0);
	struct engine_container container = {.id = "x"};
	struct err err = {0};

	assert_int_equal(engine->ops->probe(engine, &err), 0);
	assert_int_equal(engine->ops->prepare(engine, &container, &err), -EOPNOTSUPP);
	assert_int_equal(engine->ops->start(engine, &container, &err), -EOPNOTSUPP);
	engine = engine->ops->free(engine);
	assert_null(engine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pod_is_said_to_run_after_the_delay_and_is_gone_when_stopped),
		cmocka_unit_test(a_pod_stopped_before_it_ran_never_runs),
		cmocka_unit_test(the_limits_of_a_machine_hold),
		cmocka_unit_test(it_starts_no_container),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
