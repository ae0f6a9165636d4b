/* SPDX-License-Identifier: Apache-2.0 */
#include "control/control.h"

void control_deployment(const struct control_view *view, struct control_verdict *verdict)
{
	(void)view;
	(void)verdict;
}
