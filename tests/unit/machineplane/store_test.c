/* SPDX-License-Identifier: Apache-2.0 */
/* Records on disk: what a store gives back after it was closed and opened again. */
#include "machineplane/fabric.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../identity/world.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/file.h"

enum {
	WAIT_MS = 10000,
	MANY = 500,
	DISK_BYTES = 512 * 1024,
};

struct place {
	char dir[64];
	struct fabric_made *made;
	struct fabric *fabric;
	size_t stored, failed; /* writes that were reported */
	bool mounted;
};

/* A machine with a node and a store, and without everything else. */
static void begin(struct place *place)
{
	struct fabric *fabric = mem_new(struct fabric);
	uint8_t seed[REPLAY_SEED_LEN] = {1};
	struct trust_query query = {.purpose = TRUST_MESH, .now = NOW};
	struct chain chain = world_chain(&place->made->credentials.machine_chain);
	struct node_config config = {
		.self = {.id = place->made->credentials.machine.key,
			 .name = "alpha",
			 .incarnation = 1,
			 .steward = true},
		.steward = true,
		.system = NOW,
		.fabric = NOW,
	};
	struct err err = {0};

	fabric->loop = loop_new();
	fabric->settings.options.state_dir = place->dir;
	fabric->credentials = place->made->credentials; /* borrowed */
	fabric->leaf = place->made->credentials.machine.hash;
	world_trust(&fabric->credentials, &fabric->trust);
	replay_init(&fabric->replay, seed, 0);
	assert_int_equal(trust_verify(&fabric->trust, &query, &chain, NULL, NULL), 0);
	fabric->store = store_open(fabric, &err);
	if (!fabric->store)
		fail_msg("%s", err.text);
	config.leaf = fabric->leaf;
	config.kept = store_time(fabric->store);
	config.trust = fabric_node_trust(fabric);
	fabric->node = node_new(&config, clock_mono());
	place->fabric = fabric;
}

static void end(struct place *place)
{
	struct fabric *fabric = place->fabric;

	store_close(fabric->store);
	node_free(fabric->node);
	trust_deinit(&fabric->trust);
	replay_deinit(&fabric->replay);
	loop_free(fabric->loop);
	free(fabric);
	place->fabric = NULL;
}

static int setup(void **state)
{
	struct place *place = mem_new(struct place);
	char path[96];

	place->made = world_fabric(1);
	(void)snprintf(place->dir, sizeof(place->dir), "/tmp/store_test.XXXXXX");
	assert_non_null(mkdtemp(place->dir));
	(void)snprintf(path, sizeof(path), "%s/fabric", place->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	*state = place;
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {"fabric/records/data.mdb",
					    "fabric/records/lock.mdb",
					    "fabric/records",
					    "fabric/records.key",
					    "fabric",
					    ""};
	struct place *place = *state;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char path[96];

		(void)snprintf(path, sizeof(path), "%s/%s", place->dir, names[i]);
		if (unlink(path) != 0)
			(void)rmdir(path);
	}
	world_free_fabric(place->made);
	free(place);
	return 0;
}

/* What the daemon does with the effects that are about the disk. */
static void carry_out(struct place *place)
{
	struct fabric *fabric = place->fabric;
	const struct node_effect *effect;

	while ((effect = node_next_effect(fabric->node)) != NULL) {
		if (effect->type == NODE_PERSIST)
			store_put(fabric->store, &effect->key, &effect->version, effect->packet);
		else if (effect->type == NODE_FORGET)
			store_forget(fabric->store, &effect->key);
		else if (effect->type == NODE_PUT_DONE && effect->stored)
			place->stored++;
		else if (effect->type == NODE_PUT_DONE)
			place->failed++;
	}
	store_flush(fabric->store);
}

static void wait_for(struct place *place, size_t writes)
{
	struct mono until = mono_add_ms(clock_mono(), WAIT_MS);
	bool never = false;

	carry_out(place);
	while (place->stored + place->failed < writes && !mono_reached(clock_mono(), until)) {
		(void)loop_run_until(place->fabric->loop, &never, mono_add_ms(clock_mono(), 1));
		node_tick(place->fabric->node, clock_mono());
		carry_out(place);
	}
	assert_int_equal(place->stored + place->failed, writes);
}

static struct object_ref object(uint32_t number, char name[16])
{
	struct object_ref object = {
		.namespace = (char *)(uintptr_t) "default",
		.kind = (char *)(uintptr_t) "ConfigMap",
		.name = name,
	};

	(void)snprintf(name, 16, "map-%u", number);
	memset(object.uid.byte, 1, UID_LEN);
	memcpy(object.uid.byte, &number, sizeof(number));
	return object;
}

static int put(struct place *place, uint32_t number, struct bytes json)
{
	char name[16];
	struct object_ref ref = object(number, name);
	struct node_put put = {.object = &ref, .generation = 1, .json = json};
	uint64_t token, hlc;

	return node_put(place->fabric->node, clock_mono(), &put, &token, &hlc);
}

static void forget(struct place *place, uint32_t number)
{
	char name[16];
	struct object_ref ref = object(number, name);
	struct uid none = {0};
	uint64_t token;

	assert_int_equal(node_dispose(place->fabric->node, clock_mono(), &ref, &none, 0, &token),
			 0);
}

static bool has(const struct place *place, uint32_t number, const char *json)
{
	char name[16];
	struct object_ref ref = object(number, name);
	const struct record_item *item =
		records_find(node_records(place->fabric->node), ref.namespace, ref.kind, ref.name);

	return item && bytes_equal(bytes_buf(&item->record.value), bytes_str(json));
}

static void what_was_stored_is_there_after_a_restart(void **state)
{
	struct place *place = *state;

	begin(place);
	assert_int_equal(put(place, 1, bytes_str("{\"a\":1}")), 0);
	wait_for(place, 1);
	assert_int_equal(place->failed, 0);
	end(place);
	begin(place);
	assert_false(has(place, 1, "{\"a\":1}"));
	assert_int_equal(store_restore(place->fabric->store), 1);
	assert_true(has(place, 1, "{\"a\":1}"));
	end(place);
}

static void many_writes_at_once_are_all_there(void **state)
{
	struct place *place = *state;

	begin(place);
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(put(place, i, bytes_str("{}")), 0);
	wait_for(place, MANY);
	assert_int_equal(place->failed, 0);
	end(place);
	begin(place);
	assert_int_equal(store_restore(place->fabric->store), MANY);
	for (uint32_t i = 0; i < MANY; i++)
		assert_true(has(place, i, "{}"));
	end(place);
}

static void what_was_deleted_stays_deleted(void **state)
{
	struct place *place = *state;

	begin(place);
	assert_int_equal(put(place, 1, bytes_str("{}")), 0);
	assert_int_equal(put(place, 2, bytes_str("{}")), 0);
	wait_for(place, 2);
	forget(place, 1);
	wait_for(place, 3);
	end(place);
	begin(place);
	assert_int_equal(store_restore(place->fabric->store), 2); /* an object and a tombstone */
	assert_false(has(place, 1, "{}"));
	assert_true(has(place, 2, "{}"));
	end(place);
}

/* As when its writer is gone, and everybody's cache has had others since. */
static void who_wrote_a_record_is_known_as_long_as_it_is_kept(void **state)
{
	static const struct digest nobody = {{1}}, stranger = {{2}};
	struct place *place = *state;
	struct fabric *fabric;
	struct node_trust trust;
	struct node_signed opened;
	struct buf envelope = {0};
	struct digest writer;
	struct leaf leaf;

	begin(place);
	fabric = place->fabric;
	trust = fabric_node_trust(fabric);
	writer = fabric->leaf;
	assert_int_equal(put(place, 1, bytes_str("{}")), 0);
	wait_for(place, 1);
	trust.ops->seal(trust.self, NOW, bytes_str("words"), &envelope);
	trust_deinit(&fabric->trust);
	world_trust(&fabric->credentials, &fabric->trust);
	fabric->leaf = nobody; /* the writer is another machine now */
	assert_false(trust.ops->leaf_get(trust.self, &stranger, &leaf));
	assert_true(trust.ops->leaf_get(trust.self, &writer, &leaf));
	assert_true(leaf.cert_count > 0);
	for (size_t i = 0; i < leaf.cert_count; i++)
		buf_deinit(&leaf.certs[i]);
	assert_int_equal(trust.ops->open(trust.self, NOW, bytes_buf(&envelope), &opened), 0);
	assert_true(digest_equal(&opened.leaf, &writer));
	buf_deinit(&envelope);
	end(place);
}

static void what_waits_when_the_process_ends_is_written_too(void **state)
{
	struct place *place = *state;

	begin(place);
	assert_int_equal(put(place, 1, bytes_str("{}")), 0);
	carry_out(place); /* a commit is under way */
	assert_int_equal(put(place, 2, bytes_str("{}")), 0);
	carry_out(place); /* and this waits for it */
	end(place);
	begin(place);
	assert_int_equal(store_restore(place->fabric->store), 2);
	end(place);
}

static bool file_has(const struct place *place, const char *name, const char *needle)
{
	struct buf content = {0};
	char path[96];
	bool found;

	(void)snprintf(path, sizeof(path), "%s/%s", place->dir, name);
	assert_int_equal(file_read(path, 64 << 20, &content), 0);
	assert_true(content.len > 0);
	found = memmem(content.ptr, content.len, needle, strlen(needle)) != NULL;
	buf_deinit(&content);
	return found;
}

static void what_lies_on_the_disk_says_nothing_without_the_key(void **state)
{
	struct place *place = *state;
	struct err err = {0};
	struct stat meta;
	char path[96];

	begin(place);
	assert_int_equal(put(place, 1, bytes_str("{\"password\":\"opensesame\"}")), 0);
	wait_for(place, 1);
	end(place);
	assert_false(file_has(place, "fabric/records/data.mdb", "opensesame"));
	assert_false(file_has(place, "fabric/records/data.mdb", "map-1"));
	(void)snprintf(path, sizeof(path), "%s/fabric/records.key", place->dir);
	assert_int_equal(stat(path, &meta), 0);
	assert_int_equal(meta.st_mode & 0777, 0600);
	/* Another key: the record is left out, not believed. */
	assert_int_equal(file_write(path, bytes_str("0123456789abcdef0123456789abcdef"), 0600), 0);
	begin(place);
	assert_int_equal(store_restore(place->fabric->store), 0);
	end(place);
	/* What is no key is not replaced by a new one. */
	assert_int_equal(file_write(path, bytes_str("short"), 0600), 0);
	place->fabric = mem_new(struct fabric);
	place->fabric->settings.options.state_dir = place->dir;
	assert_null(store_open(place->fabric, &err));
	assert_non_null(strstr(err.text, "no key"));
	free(place->fabric);
}

static void time_is_kept(void **state)
{
	struct place *place = *state;
	struct fabric_time_kept kept = {.last_ms = NOW.ms, .system_offset_ms = -42}, back;

	begin(place);
	back = store_time(place->fabric->store);
	assert_int_equal(back.last_ms, 0);
	store_keep_time(place->fabric->store, &kept);
	end(place);
	begin(place);
	back = store_time(place->fabric->store);
	assert_int_equal(back.last_ms, NOW.ms);
	assert_int_equal(back.system_offset_ms, -42);
	end(place);
}

static int setup_small_disk(void **state)
{
	struct place *place;
	char path[96];

	if (geteuid() != 0) {
		*state = NULL;
		return 0;
	}
	(void)setup(state);
	place = *state;
	(void)snprintf(path, sizeof(path), "%s/fabric", place->dir);
	/* In mounts of our own: nothing is left behind whatever happens. */
	place->mounted = unshare(CLONE_NEWNS) == 0 &&
			 mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
			 mount("store_test", path, "tmpfs", 0, "size=512k") == 0;
	return 0;
}

static int teardown_small_disk(void **state)
{
	struct place *place = *state;
	char path[96];

	if (!place)
		return 0;
	(void)snprintf(path, sizeof(path), "%s/fabric", place->dir);
	if (place->mounted)
		assert_int_equal(umount(path), 0);
	return teardown(state);
}

/* A full disk refuses writes; what was acknowledged before is not touched by it. */
static void a_full_disk_is_reported_and_loses_nothing(void **state)
{
	struct place *place = *state;
	struct buf large = {0};
	uint32_t count = 0;

	if (!place || !place->mounted)
		skip();
	buf_append_str(&large, "{\"x\":\"");
	for (int i = 0; i < 20000; i++)
		buf_append_str(&large, "x");
	buf_append_str(&large, "\"}");
	begin(place);
	while (place->failed == 0 && count < DISK_BYTES / 20000 * 2) {
		assert_int_equal(put(place, count++, bytes_buf(&large)), 0);
		wait_for(place, count);
	}
	assert_true(place->failed > 0);
	assert_true(place->stored > 0);
	end(place);
	begin(place);
	assert_true(store_restore(place->fabric->store) >= place->stored);
	for (uint32_t i = 0; i < place->stored; i++)
		assert_true(has(place, i, buf_cstr(&large)));
	end(place);
	buf_deinit(&large);
}

#define PLACE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(what_was_stored_is_there_after_a_restart),
		PLACE_TEST(many_writes_at_once_are_all_there),
		PLACE_TEST(what_was_deleted_stays_deleted),
		PLACE_TEST(who_wrote_a_record_is_known_as_long_as_it_is_kept),
		PLACE_TEST(what_waits_when_the_process_ends_is_written_too),
		PLACE_TEST(what_lies_on_the_disk_says_nothing_without_the_key),
		PLACE_TEST(time_is_kept),
		cmocka_unit_test_setup_teardown(a_full_disk_is_reported_and_loses_nothing,
						setup_small_disk, teardown_small_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
