/* SPDX-License-Identifier: Apache-2.0 */
/* What distinguishes this machine is announced, so that tenders for it need not be broadcast. */
#include "node/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "market/rare.h"
#include "overlay/kad.h"

static struct bytes key_bytes(const struct digest *key)
{
	return bytes_of(key->byte, ID_LEN);
}

static bool is_among(const struct digest *keys, size_t count, const struct digest *key)
{
	for (size_t i = 0; i < count; i++)
		if (digest_equal(&keys[i], key))
			return true;
	return false;
}

static void withdraw_others(struct node *node, struct mono now, const struct digest *keys,
			    size_t count)
{
	map_for_each (entry, &node->provided) {
		struct digest *key = entry->value;

		if (is_among(keys, count, key))
			continue;
		overlay_withdraw(node->overlay, now, key);
		(void)map_remove(&node->provided, key_bytes(key));
		free(key);
	}
}

void node_provide(struct node *node, struct mono now, const struct market_machine *machine)
{
	char *texts[RARE_TEXTS_MAX];
	struct digest keys[RARE_TEXTS_MAX];
	size_t count = machine->schedulable ? rare_texts(machine, texts) : 0;

	for (size_t i = 0; i < count; i++) {
		keys[i] = kad_key(texts[i]);
		free(texts[i]);
	}
	withdraw_others(node, now, keys, count);
	for (size_t i = 0; i < count; i++) {
		struct digest *key;

		if (map_get(&node->provided, key_bytes(&keys[i])) ||
		    overlay_provide(node->overlay, now, &keys[i]) != 0)
			continue;
		key = mem_new(struct digest);
		*key = keys[i];
		(void)map_put(&node->provided, key_bytes(key), key);
	}
}

bool node_provides(const struct node *node, const struct digest *key)
{
	return map_get(&node->provided, key_bytes(key)) != NULL;
}

void node_provided_deinit(struct node *node)
{
	map_for_each (entry, &node->provided)
		free(entry->value);
	map_deinit(&node->provided);
}
