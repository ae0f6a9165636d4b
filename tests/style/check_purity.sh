#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: check_purity.sh ALLOW-LIST LIBRARY.a...
#
# The protocol cores must not be able to reach a file, a socket, a clock, randomness or a thread.
# What a library calls but does not define is in its symbol table: every undefined symbol of the
# pure libraries must be defined by one of them or stand in the allow-list.
set -euo pipefail

allow=$1
shift

# A rule is "LIBRARY PATTERN...": symbols that match a pattern are allowed in that library, or in
# all; those under "never" in none.
declare -A patterns
while read -r library list; do
	case $library in
	'' | '#'*) continue ;;
	esac
	patterns[$library]+=" $list"
done <"$allow"

matches() {
	local pattern list
	read -ra list <<<"$2"
	for pattern in "${list[@]}"; do
		# shellcheck disable=SC2053
		[[ $1 == $pattern ]] && return 0
	done
	return 1
}

allowed() {
	! matches "$2" "${patterns[never]:-}" && matches "$2" "${patterns[all]:-} ${patterns[$1]:-}"
}

defined=$(nm --defined-only --format=posix "$@" 2>/dev/null | awk 'NF >= 2 { print $1 }' | sort -u)
bad=0
checked=0
for archive in "$@"; do
	library=$(basename "$archive" .a)
	library=${library#lib}
	undefined=$(nm --undefined-only --format=posix "$archive" 2>/dev/null |
		awk '$2 ~ /^[UwvT]$/ { print $1 }' | sort -u)
	while read -r symbol; do
		[[ -n $symbol ]] || continue
		checked=$((checked + 1))
		if ! allowed "$library" "$symbol"; then
			echo "$library calls $symbol, which no pure library may"
			bad=$((bad + 1))
		fi
	done < <(comm -23 <(printf '%s\n' "$undefined") <(printf '%s\n' "$defined"))
done
echo "$# libraries, $checked outside symbols, $bad not allowed"
[[ $checked -gt 0 && $bad -eq 0 ]]
