#!/bin/bash
# What lives here: the rows S01 to S28 of the project's seed behaviours all have a test: seeds_test.sh PROGRAM.
set -eu
listed=$("$1" --gtest_list_tests)
missing=
for i in $(seq -w 1 28); do
  grep -qE "^  S${i}(_|$)" <<< "$listed" || missing="$missing Seeds.S$i"
done
[ -z "$missing" ] || { echo "no test of:$missing"; exit 1; }
