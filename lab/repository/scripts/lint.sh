#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The frontend's style: no blanks at the end of a line.
cd "$(dirname "$0")/../apps/web" || exit 2
if grep -rn '[[:blank:]]$' src; then
  echo "blanks at the end of a line"
  exit 1
fi
