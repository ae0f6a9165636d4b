/* SPDX-License-Identifier: Apache-2.0 */
/* The values of records that machines write of themselves: presences and machine facts. */
#include <assert.h>

#include "base/bytes.h"
#include "wire/presence.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void try_presence(struct bytes bytes)
{
	struct presence presence, again;
	struct buf once = {0}, twice = {0};

	if (presence_decode(bytes, &presence) != 0)
		return;
	presence_encode(&presence, &once);
	assert(presence_decode(bytes_buf(&once), &again) == 0);
	presence_encode(&again, &twice);
	assert(bytes_equal(bytes_buf(&once), bytes_buf(&twice)));
	presence_deinit(&again);
	presence_deinit(&presence);
	buf_deinit(&twice);
	buf_deinit(&once);
}

static void try_facts(struct bytes bytes)
{
	struct node_facts facts, again;
	struct buf once = {0}, twice = {0};

	if (node_facts_decode(bytes, &facts) != 0)
		return;
	node_facts_encode(&facts, &once);
	assert(node_facts_decode(bytes_buf(&once), &again) == 0);
	node_facts_encode(&again, &twice);
	assert(bytes_equal(bytes_buf(&once), bytes_buf(&twice)));
	node_facts_deinit(&again);
	node_facts_deinit(&facts);
	buf_deinit(&twice);
	buf_deinit(&once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	try_presence(bytes_of(data, len));
	try_facts(bytes_of(data, len));
	return 0;
}
