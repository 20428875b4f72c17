#!/bin/bash
# What lives here: the driver of the compile-fail tests: run.sh COMPILER CASE.cpp.
# The first line of a case is `// expect: TEXT`. The case must not compile, and TEXT must be among the errors. The same file with
# -DKERAS_COMPILES, or a sibling CASE_ok.cpp, is the correct form of what it does and must compile, so that a case
# never fails for another reason than the one it shows.
set -eu
compiler=$1
case_file=$2
include=$(cd "$(dirname "$0")/../../include" && pwd)
check() { LC_ALL=C "$compiler" -std=c++20 -fsyntax-only -I"$include" "$@" 2>&1; }
expected=$(sed -n '1s|^// expect: *||p' "$case_file")
[ -n "$expected" ] || { echo "$case_file: the first line is to be // expect: TEXT"; exit 1; }

ok=${case_file%.cpp}_ok.cpp
if [ -f "$ok" ]; then
  output=$(check "$ok") || { printf '%s: the correct form does not compile:\n%s\n' "$ok" "$output"; exit 1; }
else
  output=$(check -DKERAS_COMPILES "$case_file") || { printf '%s: the correct form does not compile:\n%s\n' "$case_file" "$output"; exit 1; }
fi
if output=$(check "$case_file"); then
  echo "$case_file: compiles, and should not"
  exit 1
fi
case $output in
  *"$expected"*) ;;
  *) printf '%s: expected among the errors: %s\n%s\n' "$case_file" "$expected" "$output"; exit 1 ;;
esac
