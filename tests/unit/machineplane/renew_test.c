/* SPDX-License-Identifier: Apache-2.0 */
/* Fabric processes whose certificates are past half of their lifetime. */
#include "process.h"

#include <stdlib.h>
#include <unistd.h>

#include "../identity/world.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/file.h"

static struct wall days_ago(int days)
{
	return (struct wall){clock_wall().ms - days * CERT_DAY_MS};
}

static struct fabric_made *fabric_of(struct wall then)
{
	struct fabric_made *made = mem_new(struct fabric_made);
	uint8_t random[FABRIC_RANDOM_LEN];

	world_random(1, random, sizeof(random));
	assert_int_equal(fabric_make("alpha", then, random, made, NULL), 0);
	return made;
}

/* Made now, for the same key and with the same rights. */
static void is_renewed(const struct process *process, const struct credentials *before)
{
	struct credentials after = {0};

	process_read(process, &after);
	assert_true(node_id_equal(&after.machine.key, &before->machine.key));
	assert_memory_equal(after.machine.salt, before->machine.salt, CERT_SALT_LEN);
	assert_memory_equal(&after.machine.grant, &before->machine.grant, sizeof(struct grant));
	assert_true(after.machine.not_before.ms > days_ago(1).ms);
	assert_true(after.machine.not_after.ms > before->machine.not_after.ms);
	assert_true(world_leaf(&after.rest_chain).not_before.ms > days_ago(1).ms);
	assert_int_equal(credentials_is_admitter(&after), credentials_is_admitter(before));
	assert_int_equal(credentials_is_steward(&after), credentials_is_steward(before));
	credentials_deinit(&after);
}

static void an_admitter_renews_itself(void **state)
{
	struct fabric_made *made = fabric_of(days_ago(200));
	struct process *alpha = process_new("alpha");

	process_give(alpha, &made->credentials);
	process_start(alpha);
	assert_true(process_says(alpha, "[renewed]", "365 days"));
	is_renewed(alpha, &made->credentials);
	assert_int_equal(process_stop(alpha), 0);
	process_free(alpha);
	world_free_fabric(made);
}

static void give_contact(const struct process *process, const char *address)
{
	struct buf path = {0};

	buf_append_format(&path, "%s/" CREDENTIALS_DIR "/contacts", process_dir(process));
	assert_int_equal(file_write(buf_cstr(&path), bytes_str(address), 0644), 0);
	buf_deinit(&path);
}

/* @days: how long ago the other machine joined. */
static void renews_at_an_admitter(int days)
{
	struct fabric_made *made = fabric_of(days_ago(days));
	struct voucher *voucher = world_voucher(made, grant_plain(), true, days_ago(days));
	struct join_reply *reply = world_join(made, voucher, "beta", 2, days_ago(days), false);
	struct process *alpha = process_new("alpha"), *beta = process_new("beta");

	process_give(alpha, &made->credentials);
	process_start(alpha);
	assert_true(process_says(alpha, "[member-of]", ""));
	process_give(beta, &reply->credentials);
	give_contact(beta, process_address(alpha));
	process_start(beta);
	assert_true(process_says(beta, "[renewed]", "365 days"));
	assert_true(process_says(alpha, "[admitted]", "beta renews its certificates"));
	is_renewed(beta, &reply->credentials);
	if (days > 365) /* what it shows in new handshakes is the new leaf */
		assert_true(process_says(beta, "[member]", "alpha"));
	assert_int_equal(process_stop(beta), 0);
	assert_int_equal(process_stop(alpha), 0);
	process_free(beta);
	process_free(alpha);
	world_free_reply(reply);
	world_free_voucher(voucher);
	world_free_fabric(made);
}

static void another_machine_renews_at_an_admitter(void **state)
{
	renews_at_an_admitter(200);
}

static void an_expired_machine_renews_and_is_a_member_again(void **state)
{
	renews_at_an_admitter(500);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_admitter_renews_itself),
		cmocka_unit_test(another_machine_renews_at_an_admitter),
		cmocka_unit_test(an_expired_machine_renews_and_is_a_member_again),
	};

	int status = process_main(argc, argv);

	if (status >= 0)
		return status;
	if (geteuid() != 0)
		return 77; /* skipped: the process gives up root */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
