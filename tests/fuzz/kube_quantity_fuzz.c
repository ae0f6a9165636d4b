/* SPDX-License-Identifier: Apache-2.0 */
/* Quantities, times and plain YAML scalars: what is printed reads back as the same value. */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "kube/quantity.h"
#include "kube/time.h"
#include "kube/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = mem_copy(data, len);
	int64_t amount, again;
	struct wall at, at_again;

	if (kube_quantity_milli(text, &amount) == 0) {
		assert(amount >= 0);
		assert(kube_quantity_milli(kube_quantity_from_milli(amount).text, &again) == 0);
		assert(again == amount);
	}
	if (kube_quantity_units(text, &amount) == 0) {
		assert(kube_quantity_units(kube_quantity_from_bytes(amount).text, &again) == 0);
		assert(again == amount);
	}
	if (kube_time_parse(text, &at)) {
		assert(kube_time_parse(kube_time_text(at).text, &at_again));
		(void)kube_age(at, at_again);
	}
	json_decref(kube_yaml_scalar(text));
	free(text);
	return 0;
}
