#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Every stage of `make test`: sanity keeps one core busy for minutes, so lint and molecule run beside it.
# pytest comes last, so that its closing line is the last word. Usage: all.sh MAKE
set -uo pipefail
read -ra make <<<"$1"
result=0

stage() {
  local begin=$SECONDS verdict=passed
  "${make[@]}" "$1" || verdict=FAILED
  echo "=== $1 $verdict in $((SECONDS - begin)) s"
  [ "$verdict" = passed ]
}

log=.build/sanity.log
stage sanity >"$log" 2>&1 &
sanity=$!
trap 'kill "$sanity" 2>/dev/null' EXIT
for name in lint molecule; do
  echo "=== $name"
  stage "$name" || result=1
done
echo "=== sanity (begun first)"
wait "$sanity" || result=1
trap - EXIT
cat "$log"
echo "=== pytest"
"${make[@]}" pytest || result=1
exit "$result"
