/* SPDX-License-Identifier: Apache-2.0 */
/* An agent asks for its certificate over its real control socket; the host's end is the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "identity/fabric.h"
#include "identity/issue.h"
#include "identity/pod_key.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "io/local.h"
#include "runtime/agent.h"
#include "workplane/identity.h"

enum {
	WAIT_MS = 5000,
	/* Certificates count in seconds: half of this, less a tenth, less a second. */
	LIFE_MS = 3000,
	RENEWED_MS_MIN = 300,
};

struct world {
	char dir[64];
	struct loop *loop;
	struct serve *serve;
	struct agent *agent;
	struct identity *identity;
	struct fabric_made fabric;
	int64_t life_ms; /* of what is signed next */
	bool silent, refusing, of_another_key;
	unsigned asked, held;
	unsigned until_asked, until_held; /* what is waited for */
	bool was_asked, was_held;
	struct node_id key;
	struct addr_peer contact;
	int64_t offset_ms;
};

static struct buf issue(struct world *world, const struct node_id *key)
{
	const struct credentials *machine = &world->fabric.credentials;
	struct cert_order order = {.kind = CERT_POD,
				   .key = *key,
				   .pod_path = "ns/shop/deployment/web/web-1",
				   .now = clock_wall(),
				   .life_ms = world->life_ms};
	struct signer steward = {.key = &machine->steward_key};
	struct chain chain;
	struct buf leaf = {0};
	struct err err = {0};

	entropy_fill(order.serial, sizeof(order.serial));
	assert_true(chain_split(bytes_buf(&machine->steward_chain), &chain));
	steward.cert = chain.cert[0];
	assert_int_equal(cert_issue(&order, &steward, &leaf, &err), 0);
	buf_append_bytes(&leaf, bytes_buf(&machine->steward_chain));
	return leaf;
}

static ProtobufCBinaryData binary(struct bytes bytes)
{
	return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)bytes.ptr, .len = bytes.len};
}

static void answer(struct world *world, const struct node_id *key)
{
	static uint8_t ip[] = {10, 0, 0, 7}, id[ID_LEN] = {9};
	struct buf chain = {0};
	struct buf *root = &world->fabric.credentials.root[CERT_FAMILY_WORKLOAD - 1];
	Magik__Ipc__AgentContact contact, *contacts[] = {&contact};
	Magik__Ipc__PodIdentity told;

	magik__ipc__agent_contact__init(&contact);
	contact.id = binary(bytes_of(id, sizeof(id)));
	contact.ip = binary(bytes_of(ip, sizeof(ip)));
	contact.port = 4321;
	magik__ipc__pod_identity__init(&told);
	if (!world->refusing)
		chain = issue(world, key);
	told.key = binary(bytes_of(key->byte, ID_LEN));
	told.chain = binary(bytes_buf(&chain));
	told.root = binary(bytes_buf(root));
	told.fabric_ms = clock_wall().ms;
	told.error = (char[]){"not now"};
	told.n_contacts = 1;
	told.contacts = contacts;
	assert_int_equal(agent_tell(world->agent, IPC_POD_IDENTITY, &told.base), 0);
	buf_deinit(&chain);
}

/* At the host. */
static void on_said(void *user, const struct ipc_message *message)
{
	static const struct pod_key_name web_1 = {"shop", "web-1"}, web_2 = {"shop", "web-2"};
	const Magik__Ipc__LeafAsk *ask = (const Magik__Ipc__LeafAsk *)message->body;
	struct world *world = user;
	struct node_id key;

	assert_int_equal(message->type, IPC_LEAF_ASK);
	assert_int_equal(ask->key.len, ID_LEN);
	assert_int_equal(ask->proof.len, KEY_SIGNATURE_LEN);
	memcpy(key.byte, ask->key.data, ID_LEN);
	assert_true(pod_key_is_proved(&key, POD_KEY_AGENT, &web_1, ask->proof.data));
	assert_false(pod_key_is_proved(&key, POD_KEY_AGENT, &web_2, ask->proof.data));
	assert_false(pod_key_is_proved(&key, POD_KEY_APPLICATION, &web_1, ask->proof.data));
	world->key = key;
	world->was_asked = ++world->asked >= world->until_asked;
	if (world->of_another_key)
		key = key_from_seed((const uint8_t[KEY_SEED_LEN]){1}).public_key;
	if (!world->silent)
		answer(world, &key);
}

static int on_news(void *user, const struct identity_news *news, struct err *err)
{
	struct world *world = user;

	(void)err;
	world->offset_ms = news->offset_ms;
	assert_int_equal(news->contact_count, 1);
	world->contact = news->contacts[0];
	assert_true(news->root.len > 0);
	if (!news->chain.len)
		return 0;
	assert_true(node_id_equal(&news->key->public_key, &world->key));
	world->was_held = ++world->held >= world->until_held;
	return 0;
}

static void start(struct world *world)
{
	struct err err = {0};
	int fd = local_listen(world->dir, "agent.sock", 4);

	assert_true(fd >= 0);
	assert_int_equal(serve_new(world->loop, fd, &world->serve, &err), 0);
	world->identity =
		identity_new(world->loop, world->serve, "shop", "web-1", 7000, on_news, world);
	agent_connect(world->agent);
}

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	uint8_t random[FABRIC_RANDOM_LEN];
	struct err err = {0};

	*state = world;
	(void)snprintf(world->dir, sizeof(world->dir), "/tmp/magik-identity-XXXXXX");
	assert_non_null(mkdtemp(world->dir));
	world->loop = loop_new();
	entropy_fill(random, sizeof(random));
	assert_int_equal(fabric_make("alpha", clock_wall(), random, &world->fabric, &err), 0);
	world->agent = agent_new(world->loop, world->dir, on_said, world);
	return 0;
}

static void stop(struct world *world)
{
	char path[80];

	identity_free(world->identity);
	serve_free(world->serve);
	(void)snprintf(path, sizeof(path), "%s/agent.sock", world->dir);
	(void)unlink(path);
}

static int tear_down(void **state)
{
	struct world *world = *state;

	agent_free(world->agent);
	stop(world);
	loop_free(world->loop);
	fabric_made_deinit(&world->fabric);
	assert_int_equal(rmdir(world->dir), 0);
	free(world);
	return 0;
}

static bool wait_for(struct world *world, const bool *flag)
{
	return loop_run_until(world->loop, flag, mono_add_ms(clock_mono(), WAIT_MS));
}

static bool is_held(struct world *world, unsigned times)
{
	world->until_held = times;
	world->was_held = world->held >= times;
	return wait_for(world, &world->was_held);
}

static bool is_asked(struct world *world, unsigned times)
{
	world->until_asked = times;
	world->was_asked = world->asked >= times;
	return wait_for(world, &world->was_asked);
}

static void test_it_asks_as_soon_as_it_is_connected(void **state)
{
	struct world *world = *state;
	int64_t off_ms;

	start(world);
	assert_true(is_held(world, 1));
	assert_int_equal(world->asked, 1);
	off_ms = clock_mono().us / US_PER_MS + world->offset_ms - clock_wall().ms;
	assert_true(off_ms > -1000 && off_ms < 1000);
	assert_string_equal(addr_text(&world->contact.addr).text, "10.0.0.7:4321");
}

static void test_it_is_renewed_from_half_time(void **state)
{
	struct world *world = *state;
	struct mono begun = clock_mono();
	struct node_id key;

	world->life_ms = LIFE_MS;
	start(world);
	assert_true(is_held(world, 1));
	key = world->key;
	assert_true(is_held(world, 2));
	assert_true(clock_mono().us - begun.us >= (int64_t)RENEWED_MS_MIN * US_PER_MS);
	assert_true(clock_mono().us - begun.us < (int64_t)LIFE_MS * US_PER_MS);
	assert_true(node_id_equal(&key, &world->key)); /* the key stays */
}

static void test_what_is_refused_is_asked_for_again(void **state)
{
	struct world *world = *state;

	world->refusing = true;
	start(world);
	assert_true(is_asked(world, 2));
	assert_int_equal(world->held, 0);
	world->refusing = false;
	assert_true(is_held(world, 1));
}

static void test_a_certificate_of_another_key_is_none(void **state)
{
	struct world *world = *state;

	world->of_another_key = true;
	start(world);
	assert_true(is_asked(world, 2));
	assert_int_equal(world->held, 0);
}

/* The host process was started anew meanwhile: nobody answers what was asked of the old one. */
static void test_a_new_host_process_is_asked_at_once(void **state)
{
	struct world *world = *state;

	world->silent = true;
	start(world);
	assert_true(is_asked(world, 1));
	agent_free(world->agent);
	world->silent = false;
	world->agent = agent_new(world->loop, world->dir, on_said, world);
	agent_connect(world->agent);
	assert_true(is_held(world, 1));
}

static void test_an_agent_that_is_started_again_has_another_key(void **state)
{
	struct world *world = *state;
	struct node_id key;

	start(world);
	assert_true(is_held(world, 1));
	key = world->key;
	stop(world);
	agent_free(world->agent);
	world->agent = agent_new(world->loop, world->dir, on_said, world);
	start(world);
	assert_true(is_held(world, 2));
	assert_false(node_id_equal(&key, &world->key));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_it_asks_as_soon_as_it_is_connected),
		TEST(test_it_is_renewed_from_half_time),
		TEST(test_what_is_refused_is_asked_for_again),
		TEST(test_a_certificate_of_another_key_is_none),
		TEST(test_a_new_host_process_is_asked_at_once),
		TEST(test_an_agent_that_is_started_again_has_another_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
