#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Every stage of `make test`: sanity keeps one core busy for minutes, so the others run beside it; molecule beside lint.
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

# Prints in one piece, when it is through.
in_one_piece() {
  local log=.build/$1.log verdict=0
  stage "$1" >"$log" 2>&1 || verdict=1
  cat "$log"
  return "$verdict"
}

in_one_piece sanity &
sanity=$!
# What waits for a clock must not wait for sanity as well.
renice -n 10 -p "$sanity" >/dev/null
# It waits most of its time for a lab to be well again.
in_one_piece molecule &
molecule=$!
trap 'kill "$sanity" "$molecule" 2>/dev/null' EXIT
echo "=== lint"
stage lint || result=1
wait "$molecule" || result=1
echo "=== pytest"
stage pytest || result=1
wait "$sanity" || result=1
trap - EXIT
exit "$result"
