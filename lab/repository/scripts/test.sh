#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The API's tests: its version has three numbers, and each migration is a folder with a time and a file.
cd "$(dirname "$0")/../apps/api" || exit 2
failed=0
version=$(cat VERSION)
case $version in
*[!0-9.]* | *.*.*.* | *..* | .* | *.) echo "not ok - apps/api/VERSION is '$version'" && failed=1 ;;
*.*.*) echo "ok - version $version" ;;
*) echo "not ok - apps/api/VERSION is '$version'" && failed=1 ;;
esac
for migration in prisma/migrations/*/; do
  name=$(basename "$migration")
  case $name in
  [0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]_*) ;;
  *) echo "not ok - $name does not begin with a time" && failed=1 ;;
  esac
  [ -s "$migration/migration.sql" ] || { echo "not ok - $name has no migration.sql" && failed=1; }
done
[ "$failed" = 0 ] && echo "ok - migrations"
exit "$failed"
