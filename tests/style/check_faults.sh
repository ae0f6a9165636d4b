#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: check_faults.sh PROGRAM...
#
# Bugs that the simulator can switch on (base/fault.h) must stay off everywhere else: the function
# that switches them on is in none of these programs.
set -euo pipefail

bad=0
for program in "$@"; do
	symbols=$(nm --defined-only --format=posix "$program" | awk '{ print $1 }')
	if ! grep -qx main <<<"$symbols"; then
		echo "$program has no symbols to look at"
		bad=$((bad + 1))
	elif grep -qx -e fault_plant <<<"$symbols"; then
		echo "$program can plant faults"
		bad=$((bad + 1))
	fi
done
echo "$# programs, $bad that can plant faults"
[[ $# -gt 0 && $bad -eq 0 ]]
