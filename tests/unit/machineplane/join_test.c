/* SPDX-License-Identifier: Apache-2.0 */
/* Fabric processes that join each other over QUIC, or are refused. */
#include "process.h"

#include <stdlib.h>
#include <unistd.h>

#include "../identity/world.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "io/file.h"

/* A token of the machine @by, for whoever knocks at @address. */
static char *token_of(const struct process *by, const char *address, int64_t age_ms)
{
	struct credentials credentials = {0};
	struct voucher_order order = {
		.grant = grant_plain(),
		.plain = true,
		.now = {clock_wall().ms - age_ms},
		.ttl_ms = CERT_DAY_MS,
	};
	struct voucher *voucher = mem_new(struct voucher);
	struct signer admit;
	struct buf text = {0};

	process_read(by, &credentials);
	admit = credentials_admit(&credentials, CERT_FAMILY_MACHINE);
	entropy_fill(order.seed, sizeof(order.seed));
	entropy_fill(order.serial, sizeof(order.serial));
	assert_int_equal(voucher_make(&order, &admit, voucher, NULL), 0);
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++) {
		struct cert root;

		assert_int_equal(cert_parse(bytes_buf(&credentials.root[i]), &root, NULL), 0);
		voucher->root[i] = root.key;
	}
	assert_true(voucher_add_address(voucher, address));
	voucher_encode(voucher, &text);
	world_free_voucher(voucher);
	credentials_deinit(&credentials);
	return buf_steal(&text);
}

/* A machine that has made its own fabric. */
static struct process *founder(const char *name)
{
	struct process *process = process_new(name);
	struct err err = {0};

	assert_int_equal(process_prepare(process, &err), 0);
	process_start(process);
	assert_true(process_says(process, "[member-of]", name));
	return process;
}

/* A machine that has been started with @token, which it takes. */
static struct process *joiner(const char *name, char *token)
{
	struct process *process = process_new(name);
	struct err err = {0};

	process_options(process)->join = token;
	assert_int_equal(process_prepare(process, &err), 0);
	process_start(process);
	return process;
}

static bool is_admitter(const struct process *process)
{
	struct credentials credentials = {0};
	bool admits;

	process_read(process, &credentials);
	admits = credentials_is_admitter(&credentials) &&
		 grant_has(&credentials.machine.grant, ROLE_ADMIT);
	credentials_deinit(&credentials);
	return admits;
}

static void two_joiners_become_admitters_and_a_third_does_not(void **state)
{
	static const char *const names[] = {"beta", "gamma", "delta"};
	struct process *alpha = founder("alpha"), *joined[ARRAY_LEN(names)];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		joined[i] = joiner(names[i], token_of(alpha, process_address(alpha), 0));
		assert_true(process_says(alpha, "[admitted]", names[i]));
		assert_true(process_says(joined[i], "[member-of]", names[i]));
		assert_true(process_says(joined[i], "[member]", "alpha"));
		assert_int_equal(is_admitter(joined[i]), i < JOIN_ADMITTERS_FREE);
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_int_equal(process_stop(joined[i]), 0);
		process_free(joined[i]);
	}
	assert_int_equal(process_stop(alpha), 0);
	process_free(alpha);
}

static void a_machine_joins_through_the_second_when_the_first_is_gone(void **state)
{
	struct process *alpha = founder("alpha"), *gamma;
	struct process *beta = joiner("beta", token_of(alpha, process_address(alpha), 0));

	assert_true(process_says(alpha, "[admitted]", "beta"));
	assert_true(process_says(beta, "[member]", "alpha"));
	assert_int_equal(process_stop(alpha), 0);
	gamma = joiner("gamma", token_of(beta, process_address(beta), 0));
	assert_true(process_says(beta, "[admitted]", "gamma"));
	assert_true(process_says(gamma, "[member]", "beta"));
	assert_int_equal(process_stop(gamma), 0);
	assert_int_equal(process_stop(beta), 0);
	process_free(gamma);
	process_free(beta);
	process_free(alpha);
}

static void a_member_needs_no_token_when_it_starts_again(void **state)
{
	struct process *alpha = founder("alpha");
	struct process *beta = joiner("beta", token_of(alpha, process_address(alpha), 0));
	struct err err = {0};

	assert_true(process_says(alpha, "[admitted]", "beta"));
	assert_true(process_says(beta, "[member]", "alpha"));
	assert_int_equal(process_stop(beta), 0);
	free(process_options(beta)->join);
	process_options(beta)->join = NULL;
	assert_int_equal(process_prepare(beta, &err), 0);
	process_start(beta);
	assert_true(process_says(beta, "[member]", "alpha"));
	assert_int_equal(process_stop(beta), 0);
	assert_int_equal(process_stop(alpha), 0);
	process_free(beta);
	process_free(alpha);
}

static void joining_that_was_cut_off_begins_anew(void **state)
{
	struct process *alpha = founder("alpha");
	struct process *beta = process_new("beta");
	struct buf path = {0};
	struct err err = {0};

	process_options(beta)->join = token_of(alpha, process_address(alpha), 0);
	assert_int_equal(process_prepare(beta, &err), 0);
	buf_append_format(&path, "%s/" CREDENTIALS_DIR "/root-machine.pem", process_dir(beta));
	assert_int_equal(file_write(buf_cstr(&path), bytes_str("cut o"), 0644), 0);
	buf_deinit(&path);
	process_start(beta);
	assert_true(process_says(alpha, "[admitted]", "beta"));
	assert_true(process_says(beta, "[member]", "alpha"));
	assert_int_equal(process_stop(beta), 0);
	assert_int_equal(process_stop(alpha), 0);
	process_free(beta);
	process_free(alpha);
}

static void an_expired_voucher_is_refused_and_both_say_so(void **state)
{
	struct process *alpha = founder("alpha");
	struct process *beta =
		joiner("beta", token_of(alpha, process_address(alpha), 2 * CERT_DAY_MS));

	assert_true(process_says(beta, "[refused-by-peer]", "expired"));
	assert_int_equal(process_wait(beta), 1);
	assert_true(process_says(alpha, "[peer-refused]", "expired"));
	assert_int_equal(process_stop(alpha), 0);
	process_free(beta);
	process_free(alpha);
}

/* The joiner trusts one fabric, and another answers at the address. */
static void a_machine_of_another_fabric_admits_nobody(void **state)
{
	struct process *alpha = founder("alpha"), *other = founder("other");
	struct process *beta = joiner("beta", token_of(alpha, process_address(other), 0));

	assert_true(process_says(beta, "[join-failed]", "another fabric"));
	assert_int_equal(process_stop(beta), 0);
	assert_int_equal(process_stop(other), 0);
	assert_int_equal(process_stop(alpha), 0);
	process_free(beta);
	process_free(other);
	process_free(alpha);
}

static void an_address_where_nobody_answers_is_tried_again(void **state)
{
	struct process *alpha = founder("alpha");
	char nowhere[ADDR_PEER_TEXT_MAX], *colon;
	struct process *beta;

	memcpy(nowhere, process_address(alpha), sizeof(nowhere));
	colon = strrchr(nowhere, ':');
	memcpy(colon, ":1", sizeof(":1"));
	beta = joiner("beta", token_of(alpha, nowhere, 0));
	assert_true(process_says(beta, "[join-failed]", "127.0.0.1:1"));
	assert_int_equal(process_stop(beta), 0);
	assert_int_equal(process_stop(alpha), 0);
	process_free(beta);
	process_free(alpha);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_joiners_become_admitters_and_a_third_does_not),
		cmocka_unit_test(a_machine_joins_through_the_second_when_the_first_is_gone),
		cmocka_unit_test(a_member_needs_no_token_when_it_starts_again),
		cmocka_unit_test(joining_that_was_cut_off_begins_anew),
		cmocka_unit_test(an_expired_voucher_is_refused_and_both_say_so),
		cmocka_unit_test(a_machine_of_another_fabric_admits_nobody),
		cmocka_unit_test(an_address_where_nobody_answers_is_tried_again),
	};
	int status = process_main(argc, argv);

	if (status >= 0)
		return status;
	if (geteuid() != 0)
		return 77; /* skipped: the process gives up root */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
