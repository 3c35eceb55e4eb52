#!/bin/bash
# The layout of all C files as .clang-format says; --fix mends it.
cd "$(dirname "$0")/../.." || exit 1
mapfile -t files < <(git ls-files '*.c' '*.h')
if [ "${1:-}" = --fix ]; then
    exec clang-format -i "${files[@]}"
fi
bad=$(clang-format --dry-run --Werror "${files[@]}" 2>&1 | grep -oE '^[^ :]+:[0-9]+' | sort -u | head -20)
[ -z "$bad" ] && { echo "format: as .clang-format says"; exit 0; }
echo "$bad"
exit 1
