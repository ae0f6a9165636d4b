/* SPDX-License-Identifier: Apache-2.0 */
/* Version: the one that the programs tell; the build compares it with the project's. */
#pragma once

#define MAGIK_VERSION "0.1.0"
