/* SPDX-License-Identifier: Apache-2.0 */
/* What agents say to each other, and what is in the envelopes: what can be decoded is encoded, and
 * that decodes to the same; what is said of a record asserts nothing of it. */
#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "service/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void try_message(struct bytes bytes)
{
	struct work_message message, again;
	struct buf once = {0}, twice = {0};

	if (work_message_decode(bytes, &message) != 0)
		return;
	work_message_encode(&message, &once);
	assert(work_message_decode(bytes_buf(&once), &again) == 0);
	work_message_encode(&again, &twice);
	assert(bytes_equal(bytes_buf(&once), bytes_buf(&twice)));
	work_message_deinit(&again);
	work_message_deinit(&message);
	buf_deinit(&twice);
	buf_deinit(&once);
}

static void try_record(struct bytes bytes)
{
	static const struct wall now = {1000 * 1000};
	struct service_record record, copy;
	struct service_name signer = {.namespace = "shop", .name = "web"};
	struct buf once = {0}, twice = {0};

	if (service_record_decode(bytes, &record) != 0)
		return;
	service_record_copy(&record, &copy);
	service_record_encode(&record, &once);
	service_record_encode(&copy, &twice);
	assert(bytes_equal(bytes_buf(&once), bytes_buf(&twice)));
	assert(service_record_compare(&record, &copy) == 0);
	/* The signer is no pod, so it is never its word. */
	assert(service_record_admit(&record, &signer, &record.peer, now, now) != 0);
	(void)!service_record_check(&record);
	service_record_deinit(&record);
	service_record_deinit(&copy);
	buf_deinit(&twice);
	buf_deinit(&once);
}

/* What a stream begins with: what is taken is encoded again, and is no longer than what came. */
static void try_open(struct bytes bytes)
{
	enum work_opened outcome, outcome_again;
	struct work_open open, again;
	struct buf once = {0};
	size_t len, len_again;

	if (work_open_decode(bytes, &open, &len) == 0 && len > 0) {
		assert(len <= bytes.len && len <= WORK_OPEN_HEADER_LEN + WORK_OPEN_MAX);
		assert((open.port == 0) == (open.port_name[0] != 0));
		work_open_encode(&open, &once);
		assert(work_open_decode(bytes_buf(&once), &again, &len_again) == 0);
		assert(len_again == once.len && again.port == open.port);
		assert(strcmp(again.port_name, open.port_name) == 0);
	}
	buf_clear(&once);
	if (work_opened_decode(bytes, &outcome, &len) == 0 && len > 0) {
		assert(len <= bytes.len && work_opened_text(outcome));
		work_opened_encode(outcome, &once);
		assert(work_opened_decode(bytes_buf(&once), &outcome_again, &len_again) == 0);
		assert(outcome_again == outcome);
	}
	buf_deinit(&once);
}

static void try_name(struct bytes bytes)
{
	struct service_name name;
	char uri[1024];

	if (bytes.len >= sizeof(uri))
		return;
	if (bytes.len > 0)
		memcpy(uri, bytes.ptr, bytes.len);
	uri[bytes.len] = '\0';
	if (service_name_parse(uri, "f", &name))
		assert(name.namespace[0] && name.pod[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct service_renewal renewal;

	try_message(bytes_of(data, len));
	try_record(bytes_of(data, len));
	try_name(bytes_of(data, len));
	try_open(bytes_of(data, len));
	if (service_renewal_decode(bytes_of(data, len), &renewal) == 0)
		assert(renewal.ts.ms >= 0);
	return 0;
}
