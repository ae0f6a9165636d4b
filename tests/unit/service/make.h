/* SPDX-License-Identifier: Apache-2.0 */
/* Records to test with: all fields set, within the limits. */
#pragma once

#include "service/record.h"

enum {
	MAKE_NOW_MS = 1700000000,
};

/* The record of pod @n of the workload shop/web; free with service_record_deinit(). */
struct service_record make_record(uint8_t n);
struct node_id make_peer(uint8_t n);
struct addr make_addr(uint8_t n);
void make_text(char **text, const char *value); /* frees what was there */

/* One message of each type, and how many there are. */
struct work_message make_message(size_t n);
size_t make_message_count(void);
