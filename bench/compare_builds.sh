#!/bin/bash
# What lives here: two builds against each other, in turns on the same machine, so that its moods hit both: is the new one slower?
#
#   bench/compare_builds.sh OLD/keras-bench NEW/keras-bench MODELS [ROUNDS]
#
# MODELS: a folder of .keras files with compile state (../shared/bench/export.py makes one). Each model is trained and run, batch 1 and 32,
# ROUNDS times (5) by each build in turns. A line per measurement: the median of new / old in speed, and the spread of the old build against
# itself, which is the noise. Exit 1 when the new build is slower by more than 3 % and more than that noise. THREADS: 2 unless set.
set -euo pipefail
[ $# -ge 3 ] || { sed -n '4,8s/^# \{0,1\}//p' "$0"; exit 2; }
old=$1 new=$2 models=$3 rounds=${4:-5} threads=${THREADS:-2}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# measure BUILD NAME MODEL WHAT: appends "NAME WHAT BUILD speed" (calls or samples a second).
measure() {
  local program=$old line
  [ "$1" = new ] && program=$new
  case $4 in
    train) line=$("$program" train "$2" --model "$3" --samples 256 --batch 32 --epochs 3 --threads "$threads" 2>/dev/null) || return 0 ;;
    b*) line=$("$program" infer "$2" --model "$3" --batch "${4#b}" --seconds 1 --threads "$threads" 2>/dev/null) || return 0 ;;
  esac
  sed -n 's/.*"samples_per_s": \([0-9.e+-]*\).*/\1/p; s/.*"ms": \([0-9.e+-]*\).*/\1 ms/p' <<<"$line" |
    awk -v key="$2 $4 $1" '{ print key, $2 == "ms" ? 1000 / $1 : $1 }' >>"$log"
}

for ((round = 0; round < rounds; ++round)); do
  for model in "$models"/*.keras; do
    name=$(basename "$model" .keras)
    for what in train b1 b32; do
      measure old "$name" "$model" "$what"
      measure new "$name" "$model" "$what"
    done
  done
done

awk '
  { key = $1 " " $2; keys[key]; n[key, $3]++; v[key, $3, n[key, $3]] = $4 }
  function sorted(key, which, out,   i, j, t, c) {
    c = n[key, which]
    for (i = 1; i <= c; ++i) out[i] = v[key, which, i]
    for (i = 2; i <= c; ++i) for (j = i; j > 1 && out[j] < out[j - 1]; --j) { t = out[j]; out[j] = out[j - 1]; out[j - 1] = t }
    return c
  }
  END {
    printf "%-28s %10s %8s\n", "", "new / old", "noise"
    for (key in keys) {
      a = sorted(key, "old", o); b = sorted(key, "new", w)
      if (!a || !b) continue
      ratio = w[int((b + 1) / 2)] / o[int((a + 1) / 2)]
      noise = (o[a - int(a / 4)] - o[1 + int(a / 4)]) / o[int((a + 1) / 2)]
      slower = ratio < 0.97 && ratio < 1 - noise
      printf "%-28s %10.3f %7.1f%%%s\n", key, ratio, 100 * noise, slower ? "  slower" : ""
      bad += slower
    }
    exit bad > 0
  }' "$log" | sort -k1,1
