#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: check_symbols.sh LIBRARY.a...
#
# All libraries of the house end up in one program, where each global name can have one meaning only:
# a linker that finds the first of two takes it without a word. Every symbol that a library defines
# for others must be defined once.
set -euo pipefail

names=$(mktemp)
trap 'rm -f "$names"' EXIT
for archive in "$@"; do
	nm --defined-only --extern-only --format=posix "$archive" 2>/dev/null |
		awk -v library="$(basename "$archive")" \
			'NF >= 2 && $2 ~ /^[BCDGRST]$/ && $1 !~ /^__/ {
				print $1, library }'
done >"$names"
twice=$(awk '{ count[$1]++; where[$1] = where[$1] " " $2 }
	END { for (name in count) if (count[name] > 1) print name " is defined by" where[name] }' \
	"$names" | sort)
if [[ -n $twice ]]; then
	echo "$twice"
fi
echo "$# libraries, $(wc -l <"$names") global symbols, $(grep -c . <<<"$twice" || true) defined twice"
[[ -s $names && -z $twice ]]
