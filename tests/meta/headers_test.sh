#!/bin/bash
# What lives here: each public header compiles alone: headers_test.sh COMPILER.
set -u
cd "$(dirname "$0")/../.."
export compiler=$1
check() {
  echo "#include <${1#include/}>" | "$compiler" -std=c++20 -fsyntax-only -Wall -Wextra -Werror -Iinclude -x c++ - || { echo "$1 does not compile alone"; exit 1; }
}
export -f check
find include/keras -name '*.h' -print0 | xargs -0 -r -n 1 -P 2 bash -c 'check "$0"'
