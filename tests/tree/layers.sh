#!/bin/bash
# layers.sh: includes point downward; pcap.h, dnnl.h and mpi.h stand in one file each; every source file says what it is,
# and stays small enough to be one room.
set -u
cd "$WIRELM_ROOT"
bad=0
complain() { echo "$*"; bad=1; }

# Which layers each layer may include.
declare -A may=(
    [base]="base"
    [capture]="base capture"
    [token]="base capture token"
    [tensor]="base tensor"
    [model]="base tensor model"
    [task]="base capture token tensor model task"
)
for file in src/*/*.[ch] src/*/*/*.[ch]; do
    [ -f "$file" ] || continue
    layer=$(echo "$file" | cut -d/ -f2)
    for target in $(sed -nE 's/^ *# *include "([a-z0-9_]+)\/.*/\1/p' "$file" | sort -u); do
        case " ${may[$layer]-} " in
        *" $target "*) ;;
        *) complain "$file includes upward: $target" ;;
        esac
    done
done
for file in cli/*.[ch]; do
    for header in $(sed -nE 's/^ *# *include "([^"]+)".*/\1/p' "$file"); do
        case "$header" in wirelm.h | wirelm_bench.h | wirelm_evaluate.h | wirelm_export.h | cli.h | html.h | html_classify.h | programs.h) ;; *) complain "$file includes $header: the command line sees only wirelm.h" ;; esac
    done
done
for header in 'pcap.h' 'pcap/pcap.h' 'dnnl.h' 'oneapi/dnnl/dnnl.h' 'mpi.h' 'lzma.h'; do
    n=$(grep -lE "# *include <$header>" -r src cli include | wc -l)
    [ "$n" -le 1 ] || complain "$header is included in $n files"
done
for file in $(git ls-files 'src/*.[ch]' 'cli/*.[ch]' 'include/*.h' 'fuzz/*.c' 'tests/*.[ch]' 2>/dev/null || find src cli include fuzz tests -name '*.[ch]'); do
    [ -f "$file" ] || continue
    head -n 1 "$file" | grep -q "^/\* $(basename "$file")" || complain "$file: the first line does not say what it is"
    lines=$(wc -l <"$file")
    [ "$lines" -le 600 ] || complain "$file has $lines lines"
done
[ $bad = 0 ] && echo "layers are in order"
exit $bad
