#!/bin/bash
# arm64.sh: what computes compiles for arm64, all but the door to oneDNN, which needs its header for that processor.
set -u
cd "$WIRELM_ROOT"
compiler=aarch64-linux-gnu-gcc
command -v $compiler >/dev/null || { echo "skipped: no $compiler here"; exit 77; }
bad=0
check() {
    $compiler -fsyntax-only -std=c11 -O1 -D_GNU_SOURCE -fopenmp -Wall -Wextra -Werror -Iinclude -Isrc "$@" || bad=1
}
for file in src/tensor/*.c src/model/*.c; do
    [ "$file" = src/tensor/onednn.c ] && continue
    grep -q jansson.h "$file" || check "$file"
done
for file in src/tensor/cpu/*.c; do
    check -DWLMI_LEVEL=baseline "$file"
done
[ $bad = 0 ] && echo "compiles for arm64"
exit $bad
