#!/bin/bash
# What lives here: tests of the tools that check the project: each finds what it is there to find, and only that.
set -u
source_dir=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
fail() { echo "FAILED: $1"; failures=$((failures + 1)); }
# finds TEXT COMMAND...: the command ends with an error and prints TEXT.
finds() {
  local text=$1 output; shift
  if output=$("$@" 2>&1); then fail "expected an offence: $text"; return; fi
  case $output in *"$text"*) ;; *) fail "expected '$text', got: $output" ;; esac
}
accepts() { local output; output=$("$@" 2>&1) || fail "expected no offence from $*, got: $output"; }

# --- check_includes, on a small tree with the project's own rules
tree=$work/tree
mkdir -p "$tree"/{tools,include/keras/base,include/keras/layers,src/{base,io,ir,passes,engine,cpu,core},examples}
cp "$source_dir/tools/rooms.txt" "$source_dir/tools/check_includes" "$tree/tools/"
touch "$tree"/include/keras/base/shape.h "$tree"/src/{io/file.h,ir/graph.h,engine/kernel.h,engine/buffer.h,core/node.h}
cat > "$tree/src/passes/fuse.cpp" <<'C'
#include "ir/graph.h"
#include "engine/kernel.h"
#include <keras/base/shape.h>
#include <vector>
#include <string.h>
C
printf '#include <oneapi/dnnl/dnnl.hpp>\n#include "core/node.h"\n' > "$tree/src/core/x_test.cpp"
finds 'src/core/x_test.cpp:1: <oneapi/dnnl/dnnl.hpp> is for cpu alone' "$tree/tools/check_includes" "$tree"
rm "$tree/src/core/x_test.cpp"
accepts "$tree/tools/check_includes" "$tree"
offends() {  # offends FILE INCLUDE TEXT
  printf '%s\n' "#include $2" > "$tree/$1"
  finds "$3" "$tree/tools/check_includes" "$tree"
  rm "$tree/$1"
  accepts "$tree/tools/check_includes" "$tree"
}
offends src/ir/x.cpp '"passes/fuse.h"' 'neither in src nor beside'
offends src/passes/x.cpp '"engine/buffer.h"' 'passes may not include engine'
offends src/base/x.cpp '"io/file.h"' 'base may not include io'
offends src/ir/x.cpp '"io/file.h"' 'ir may not include io'
offends src/cpu/x.cpp '"core/node.h"' 'cpu may not include core'
offends src/core/x.cpp '<hwy/highway.h>' '<hwy/highway.h> is for cpu alone'
offends src/core/x.cpp '<zlib/zlib.h>' 'tools/rooms.txt says'
offends src/core/x.cpp '<keras/layers/none.h>' 'does not exist'
offends include/keras/base/x.h '"ir/graph.h"' 'public header includes the internal src/ir/graph.h'
offends include/keras/base/x.h '<iostream>' 'never in a public header'
offends include/keras/base/x.h '<fmt/core.h>' 'in a public header'
offends include/keras/base/x.h '<string.h>' 'in a public header'
offends examples/x.cpp '"ir/graph.h"' 'example includes the internal'
offends include/keras/unheard_of.h '<vector>' 'no room named unheard_of'

# --- make_umbrella
umbrella="env KERAS_ROOT=$tree $source_dir/tools/make_umbrella"
finds 'is missing' $umbrella --check
accepts $umbrella
accepts $umbrella --check
grep -q '^#include <keras/base/shape.h>$' "$tree/include/keras/keras.h" || fail "the umbrella lacks a header"
touch "$tree/include/keras/layers/dense.h"
finds 'is stale' $umbrella --check
echo '// Not in keras.h.' > "$tree/include/keras/layers/dense.h"
accepts $umbrella --check

# --- make_function_table
mkdir -p "$tree"/include/keras/ops "$tree"/tests/conformance
touch "$tree"/include/keras/{activations,losses,metrics,quantizers,utils}.h
cat > "$tree/include/keras/ops/numpy.h" <<'C'
namespace keras::ops {
/// A comment, with (brackets).
Tensor add(const Tensor& x1, const Tensor& x2);  // and another
struct Unique {
  Tensor values, index;
};
std::pair<Tensor, Tensor> moments(const Tensor& x, const Axes& axes = {0, 1},
                                  bool keepdims = false);
Tensor map(const std::function<Tensor(const Tensor&)>& f, const Tensor& xs);
inline bool is_tensor(const Tensor&) { return true; }
}  // namespace keras::ops
C
table="env KERAS_ROOT=$tree $source_dir/tools/make_function_table"
finds 'is missing' $table --check
accepts $table
accepts $table --check
made=$tree/tests/conformance/function_table.cpp
grep -qF 'table["keras.ops.add"].push_back({{"x1", "x2"}, [](Arguments& a) { return leaves(keras::ops::add(a.get<Tensor>(0), a.get<Tensor>(1))); }});' "$made" ||
  fail "the table lacks add: $(cat "$made")"
grep -qF 'keras::ops::moments(a.get<Tensor>(0), a.get<Axes>(1, {0, 1}), a.get<bool>(2, false))' "$made" || fail "the table lacks moments: $(cat "$made")"
[ "$(grep -c push_back "$made")" -eq 2 ] || fail "the table has other functions than those two: $(cat "$made")"
sed -i 's/x2);/x2, double alpha = 1);/' "$tree/include/keras/ops/numpy.h"
finds 'is stale' $table --check

# --- readme_snippets
snippets() { "$source_dir/tools/readme_snippets" "$@"; }
sample=$source_dir/tests/readme/sample.md
listed=$(snippets --into "$work/out" "$sample") || fail "the sample has no offence"
[ "$listed" = "$(printf 'run sample_1\ncompile sample_2')" ] || fail "snippets listed: $listed"
grep -q 'return 0;' "$work/out/sample_1.cpp" || fail "the first snippet was not written"
[ "$(cat "$work/out/sample_1.expected")" = nothing ] || fail "what the first snippet prints was not written"
printf '<!-- no-run -->\n```cpp\nint main() {}\n```\n<!-- prints -->\n```text\na\n```\n' > "$work/silent.md"
finds 'silent.md:6: no program before this prints anything' snippets --check "$work/silent.md"
[ ! -e "$work/out/sample_3.cpp" ] || fail "a fragment was written"
before=$(stat -c %Y.%y "$work/out/sample_1.cpp")
snippets --into "$work/out" "$sample" > /dev/null
[ "$before" = "$(stat -c %Y.%y "$work/out/sample_1.cpp")" ] || fail "an unchanged snippet was written again"
printf '```cpp\nint x = 1;\n```\n' > "$work/unmarked.md"
finds 'unmarked.md:1: a cpp fence without main' snippets --check "$work/unmarked.md"
printf '```cpp\nint main() {}\n' > "$work/open.md"
finds 'not closed' snippets --check "$work/open.md"

# --- the driver of the compile-fail tests
if command -v g++ >/dev/null; then
  driver() { "$source_dir/tests/compile_fail/run.sh" g++ "$1"; }
  printf '// expect: invalid conversion\nint main() {\n#ifdef KERAS_COMPILES\n  int x = 1;\n#else\n  int x = "1";\n#endif\n  return x;\n}\n' > "$work/good.cpp"
  accepts driver "$work/good.cpp"
  sed 's/invalid conversion/another text/' "$work/good.cpp" > "$work/text.cpp"
  finds 'another text' driver "$work/text.cpp"
  printf '// expect: error\nint main() {}\n' > "$work/compiles.cpp"
  finds 'compiles, and should not' driver "$work/compiles.cpp"
  printf '// expect: error\nint main() { x; }\n' > "$work/never.cpp"
  finds 'the correct form does not compile' driver "$work/never.cpp"
fi

# --- install_packages, with the commands of the system played by scripts
fake=$work/bin
mkdir "$fake"
printf '#!/bin/sh\n[ "$4" = there ] && echo installed\n' > "$fake/dpkg-query"   # dpkg-query -W -f FORMAT PACKAGE
printf '#!/bin/sh\necho "$0 $*" >> %s\n' "$work/calls" > "$fake/apt-get"
printf '#!/bin/sh\necho "${USER_ID:-0}"\n' > "$fake/id"
printf '#!/bin/sh\necho sudo >> %s\nexec "$@"\n' "$work/calls" > "$fake/sudo"
chmod +x "$fake"/*
install() { : > "$work/calls"; PATH=$fake:$PATH "$source_dir/tools/install_packages" "$@"; }
accepts install there
[ ! -s "$work/calls" ] || fail "all packages are there, and something was called: $(cat "$work/calls")"
accepts install there absent other
grep -q 'apt-get update' "$work/calls" && grep -q 'apt-get install .* absent other$' "$work/calls" || fail "install as root: $(cat "$work/calls")"
grep -q sudo "$work/calls" && fail "root needs no sudo"
USER_ID=1000 accepts install absent
[ "$(grep -c sudo "$work/calls")" -eq 2 ] || fail "install as a user: $(cat "$work/calls")"

[ "$failures" -eq 0 ] || exit 1
echo "the tools find what they are there to find"
