/* SPDX-License-Identifier: Apache-2.0 */
/* One message of each type with every field set to something that is not its default. */
#pragma once

#include "wire/message.h"
#include "wire/presence.h"

/* The caller owns the result: message_deinit(). */
struct message sample_message(enum message_type type);
struct presence sample_presence(void);
struct node_facts sample_node_facts(void);

/* Distinct, recognisable ids. */
struct uid sample_uid(uint8_t n);
struct digest sample_digest(uint8_t n);
struct node_id sample_node_id(uint8_t n);
