#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Every stage of `make test`: sanity keeps one core busy for minutes, so the others run beside it.
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

# Sanity prints in one piece, when it is through: long before pytest is.
sanity_in_one_piece() {
  local log=.build/sanity.log verdict=0
  stage sanity >"$log" 2>&1 || verdict=1
  cat "$log"
  return "$verdict"
}

sanity_in_one_piece &
sanity=$!
# What waits for a clock must not wait for sanity as well.
renice -n 10 -p "$sanity" >/dev/null
trap 'kill "$sanity" 2>/dev/null' EXIT
for name in lint molecule pytest; do
  echo "=== $name"
  stage "$name" || result=1
done
wait "$sanity" || result=1
trap - EXIT
exit "$result"
