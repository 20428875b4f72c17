#!/bin/sh
# What lives here: one run of a libFuzzer program: `run.sh PROGRAM CORPUS [libFuzzer options]`. It starts from the program's own seeds, from what was
# found before (findings/) and from what earlier runs left in CORPUS; inputs that fail stay in CORPUS.failed.
set -eu
program=$1 corpus=$2
shift 2
here=$(dirname "$(readlink -f "$0")")
name=$(basename "$program" _fuzz)
mkdir -p "$corpus" "$corpus.failed"
"$program" --write-seeds "$corpus"
findings=$here/findings/$name
[ -d "$findings" ] || findings=
case $name in
  npz | keras_file | checkpoint | doctor | verify) words=zip ;;
  *h5 | legacy_weights) words=hdf5 ;;
  config | sharded_weights) words=json ;;
  *) words=$name ;;
esac
export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1" ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=0:quarantine_size_mb=64"
exec "$program" -max_total_time="${KERAS_FUZZ_SECONDS:-10}" -timeout=30 -rss_limit_mb=3072 -malloc_limit_mb=1024 -max_len=65536 -print_final_stats=1 \
  -artifact_prefix="$corpus.failed/" -dict="$here/dictionaries/$words.dict" "$@" "$corpus" $findings
