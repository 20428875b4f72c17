#!/bin/bash
# What lives here: a stranger's project against the installed library: run.sh BUILD_FOLDER COMPILER.
# Installs into an empty folder, moves it (an installation may lie anywhere), and builds and runs stranger/ with
# find_package(keras), shared and static, and once with pkg-config and nothing of CMake.
set -eu
build=$1
compiler=$2
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
quietly() { "$@" > "$work/log" 2>&1 || { echo "failed: $*"; cat "$work/log"; exit 1; }; }
expect() {
  local output; output=$("$@") || { echo "failed: $*"; exit 1; }
  [ "$output" = "$(cat "$here/stranger/expected.txt")" ] || { printf 'unexpected output of %s:\n%s\n' "$*" "$output"; exit 1; }
}

quietly cmake --install "$build" --prefix "$work/first"
mv "$work/first" "$work/keras"
prefix=$work/keras
# The stranger has no third-party header and may see none in ours.
if grep -rnE '#include *[<"](dnnl|oneapi|hwy|hdf5|H5|zip|nlohmann|fmt)' "$prefix/include"; then echo "installed headers want third-party ones"; exit 1; fi
if grep -rn "$build" "$prefix"/lib*/cmake "$prefix"/lib*/pkgconfig; then echo "the installation points into the build folder"; exit 1; fi

quietly cmake -S "$here/stranger" -B "$work/build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_PREFIX_PATH="$prefix"
quietly cmake --build "$work/build" -j 2
expect "$work/build/with_shared"
expect "$work/build/with_static"

PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name keras.pc)")
export PKG_CONFIG_PATH
# shellcheck disable=SC2046  # words, on purpose
quietly "$compiler" "$here/stranger/main.cpp" -o "$work/with_pkg_config" $(pkg-config --cflags --libs keras) -Wl,-rpath,"$(pkg-config --variable=libdir keras)"
expect "$work/with_pkg_config"

# The programs come along and need nothing of the build folder.
if [ -x "$prefix/bin/keras" ]; then quietly "$prefix/bin/keras" --help; fi
echo "a stranger builds with find_package and with pkg-config"
