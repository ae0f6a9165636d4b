/* SPDX-License-Identifier: Apache-2.0 */
/* Field by field comparison, so that a field that codec and copy both forget is noticed. */
#pragma once

#include "wire/message.h"
#include "wire/presence.h"

void assert_message_equal(const struct message *a, const struct message *b);
void assert_presence_equal(const struct presence *a, const struct presence *b);
void assert_node_facts_equal(const struct node_facts *a, const struct node_facts *b);
