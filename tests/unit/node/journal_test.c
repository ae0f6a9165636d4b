/* SPDX-License-Identifier: Apache-2.0 */
/* The journal: one happening is one entry, and nobody's words displace another's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "node/journal.h"

enum {
	NOW_MS = 1800000000,
};

static const struct wall fabric = {1000LL * NOW_MS};
static const struct mono start = {1};

static struct uid uid_at(uint32_t n)
{
	struct uid uid = {{1}};

	memcpy(uid.byte + 8, &n, sizeof(n));
	return uid;
}

static struct node_id writer_at(uint8_t n)
{
	return (struct node_id){{n, 1}};
}

static struct happening happening(uint32_t about, const char *message)
{
	return (struct happening){
		.about = uid_at(about),
		.kind = (char *)(uintptr_t) "Pod",
		.namespace = (char *)(uintptr_t) "default",
		.name = (char *)(uintptr_t) "web",
		.reason = (char *)(uintptr_t) "Started",
		.message = (char *)(uintptr_t)message,
		.host = (char *)(uintptr_t) "m1",
		.first_ms = fabric.ms,
		.last_ms = fabric.ms,
		.count = 1,
	};
}

static bool note(struct journal *journal, uint8_t writer, const struct happening *what)
{
	struct uid home = uid_at(0);
	struct node_id by = writer_at(writer);

	return journal_note(journal, fabric, &home, &by, what);
}

static bool hear(struct journal *journal, struct mono now, const struct happening *what)
{
	struct uid home = uid_at(0);

	return journal_hear(journal, now, fabric, &home, what);
}

struct seen {
	size_t count;
	struct happening last; /* borrows nothing but numbers */
	struct uid id;
};

static void see(void *arg, const struct happening *what, const struct uid *id)
{
	struct seen *seen = arg;

	seen->count++;
	seen->last.first_ms = what->first_ms;
	seen->last.last_ms = what->last_ms;
	seen->last.count = what->count;
	seen->id = *id;
}

static struct seen all(const struct journal *journal)
{
	struct seen seen = {0};

	journal_each(journal, fabric, NULL, see, &seen);
	return seen;
}

static void test_the_same_is_told_once_with_its_first_and_last_time(void **state)
{
	struct journal *journal = journal_new(1);
	struct happening early = happening(1, "a"), late = happening(1, "a");
	struct seen seen;

	(void)state;
	late.first_ms = late.last_ms = fabric.ms + 5000;
	late.count = 3;
	assert_true(note(journal, 1, &late));
	assert_true(note(journal, 1, &early));
	assert_false(note(journal, 1, &early));
	assert_false(note(journal, 1, &late));
	seen = all(journal);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.last.first_ms, early.first_ms);
	assert_int_equal(seen.last.last_ms, late.last_ms);
	assert_int_equal(seen.last.count, 3);
	journal_free(journal);
}

static void test_it_has_one_name_whoever_noted_or_heard_it(void **state)
{
	struct journal *a = journal_new(1), *b = journal_new(2);
	struct happening what = happening(1, "a");
	struct uid of_a, of_b;

	(void)state;
	assert_true(note(a, 1, &what));
	assert_true(hear(b, start, &what));
	of_a = all(a).id;
	of_b = all(b).id;
	assert_true(uid_equal(&of_a, &of_b));
	/* What was a copy is one's own as soon as one sees it. */
	assert_int_equal(journal_copies(b), 1);
	assert_true(note(b, 1, &what));
	assert_int_equal(journal_copies(b), 0);
	assert_int_equal(all(b).count, 1);
	journal_free(a);
	journal_free(b);
}

static void test_copies_go_when_they_are_not_heard_again(void **state)
{
	struct journal *journal = journal_new(1);
	struct happening what = happening(1, "a"), other = happening(2, "a");
	struct mono later = mono_add_ms(start, JOURNAL_COPY_MS - 1);

	(void)state;
	assert_true(hear(journal, start, &what));
	assert_true(hear(journal, start, &other));
	journal_sweep(journal, later);
	assert_false(hear(journal, later, &what));
	journal_sweep(journal, mono_add_ms(start, JOURNAL_COPY_MS));
	assert_int_equal(all(journal).count, 1);
	journal_sweep(journal, mono_add_ms(later, JOURNAL_COPY_MS));
	assert_int_equal(all(journal).count, 0);
	journal_free(journal);
}

static void test_an_object_or_a_machine_displaces_only_its_own(void **state)
{
	struct journal *journal = journal_new(1);
	struct happening modest = happening(1, "here I am");
	char text[32];

	(void)state;
	assert_true(note(journal, 1, &modest));
	for (int i = 0; i < 2 * JOURNAL_PER_OBJECT_MAX; i++) {
		struct happening loud = happening(2, text);

		(void)snprintf(text, sizeof(text), "%d", i);
		assert_true(note(journal, 2, &loud));
	}
	assert_int_equal(journal_noted(journal), 1 + JOURNAL_PER_OBJECT_MAX);
	for (uint32_t i = 0; i < 2 * JOURNAL_MAX; i++) {
		struct happening many = happening(10 + i, "x");

		assert_true(note(journal, 2, &many));
	}
	assert_int_equal(journal_noted(journal), 1 + JOURNAL_PER_WRITER_MAX);
	assert_false(note(journal, 1, &modest)); /* it is there still */
	journal_free(journal);
}

static void test_words_of_others_displace_nothing_that_was_noted(void **state)
{
	struct journal *journal = journal_new(1);
	struct happening own = happening(1, "here I am");
	char text[32];

	(void)state;
	assert_true(note(journal, 1, &own));
	for (uint32_t i = 0; i < JOURNAL_COPIES_MAX + 100; i++) {
		struct happening lie = happening(i % 1000 + 1, text);

		(void)snprintf(text, sizeof(text), "%u", i);
		(void)hear(journal, start, &lie);
	}
	assert_true(journal_copies(journal) <= JOURNAL_COPIES_MAX);
	assert_false(note(journal, 1, &own));
	journal_free(journal);
}

static void test_what_is_old_or_makes_no_sense_is_not_taken(void **state)
{
	struct journal *journal = journal_new(1);
	struct happening old = happening(1, "a"), cursor = happening(1, "a"),
			 loud = happening(1, "\x1b[2J");

	(void)state;
	old.first_ms = old.last_ms = fabric.ms - JOURNAL_KEPT_MS - 1;
	cursor.name = (char *)(uintptr_t) "\x1b[2J";
	assert_false(note(journal, 1, &old));
	assert_false(hear(journal, start, &old));
	assert_false(note(journal, 1, &cursor));
	assert_true(note(journal, 1, &loud)); /* of programs the message is cleaned */
	assert_int_equal(all(journal).count, 1);
	journal_free(journal);
}

static void test_a_journal_is_read_in_pages_and_only_what_was_noted(void **state)
{
	struct journal *journal = journal_new(1);
	struct uid home = uid_at(0), elsewhere = {{2}};
	struct happening copy = happening(9999, "heard");
	struct message page = {.type = MESSAGE_JOURNAL};
	uint64_t after = 0;
	size_t count = 0;

	(void)state;
	assert_true(hear(journal, start, &copy));
	for (uint32_t i = 0; i < 600; i++) {
		struct happening what = happening(i + 1, "x");

		assert_true(note(journal, 1, &what));
	}
	do {
		journal_read(journal, fabric, &home, after, &page.journal_page);
		assert_true(page.journal_page.count > 0);
		count += page.journal_page.count;
		after = page.journal_page.next;
		message_deinit(&page);
		page = (struct message){.type = MESSAGE_JOURNAL};
	} while (after);
	assert_int_equal(count, 600);
	journal_read(journal, fabric, &elsewhere, 0, &page.journal_page);
	assert_int_equal(page.journal_page.count, 0);
	message_deinit(&page);
	journal_free(journal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_same_is_told_once_with_its_first_and_last_time),
		cmocka_unit_test(test_it_has_one_name_whoever_noted_or_heard_it),
		cmocka_unit_test(test_copies_go_when_they_are_not_heard_again),
		cmocka_unit_test(test_an_object_or_a_machine_displaces_only_its_own),
		cmocka_unit_test(test_words_of_others_displace_nothing_that_was_noted),
		cmocka_unit_test(test_what_is_old_or_makes_no_sense_is_not_taken),
		cmocka_unit_test(test_a_journal_is_read_in_pages_and_only_what_was_noted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
