#!/bin/bash
# What lives here: what the shared library shows: exports_test.sh LIBRARY BUILD_FOLDER INTERNAL_ROOM...
#  1. only symbols of namespace keras are exported;
#  2. the rooms whose symbols are hidden define nothing outside namespaces of their own, since a user could not link it.
set -eu
library=$1; build=$2; shift 2
export LC_ALL=C
others=$(nm -D --defined-only "$library" | awk '{print $3}' | sed 's/@.*//' | grep -vE '^_Z[A-Za-z0-9_]*N[KRO]*5keras' || true)
[ -z "$others" ] || { echo "exported, and not in namespace keras:"; c++filt <<< "$others" | head -50; exit 1; }

# keras::<room>:: in mangled names: its length before its name. `detail` and unnamed namespaces are nobody's interface.
own=6detail
for namespace in "$@"; do own="$own|${#namespace}$namespace"; done
bad=0
for room in "$@"; do
  for folder in "$build/CMakeFiles/keras_$room.dir"; do
    [ -d "$folder" ] || continue
    names=$(find "$folder" -name '*.o' -exec nm --defined-only -g {} + | awk '$2 ~ /^[TDBR]$/ {print $3}' |
            grep -E '^_ZN[KRO]*5keras' | grep -vE "^_ZN[KRO]*5keras($own|12_GLOBAL__N_1)" || true)
    [ -z "$names" ] || { echo "room $room is internal (tools/rooms.txt), and defines what users may call:"; c++filt <<< "$names" | head -20; bad=1; }
  done
done
exit $bad
