#!/bin/bash
# torture.sh: every awkward capture of the shared data comes back byte for byte, or gets one clear line.
set -eu
data=${WIRELM_DATA:-$WIRELM_ROOT/../shared/data}
[ -r "$data/torture.tar.zst" ] || { echo "no shared captures at $data"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() { echo "FAILED: $*"; exit 1; }
tar --zstd -xf "$data/torture.tar.zst" -C "$folder"
tar --zstd -xf "$data/links.tar.zst" -C "$folder"
mkdir "$folder/part1" "$folder/no"
tar --zstd -xf "$data/pretrain/part1.tar.zst" -C "$folder/part1"
cd "$folder"

# None of these has a whole file header.
find . -name MANIFEST.csv -delete
for file in 000_empty.bin 001_one_byte.bin 002_magic_only.pcap 003_header23.pcap 07_text.txt 07_snoop.bin \
    07_btsnoop.log 11_bad_bom.pcapng; do
    mv torture/synthetic/$file no/
done
mv torture/real/0401_solaris.snoop no/

for codec in fields bytes; do
    for unit in flow capture; do
        "$WIRELM" verify -r torture links --codec $codec --unit $unit > out 2> err ||
            fail "$codec, $unit: $(grep -v '"exact":true' out | head -5)"
        [ "$(grep -c '"damage_offset"' out)" = "$(wc -l < err)" ] || fail "damage is not one line a file"
        echo "$codec, $unit: $(tail -1 out)"
    done
done

for file in no/*; do
    status=0
    "$WIRELM" verify -r "$file" > out 2> err || status=$?
    [ $status = 1 ] && [ "$(wc -l < err)" = 1 ] && grep -q "$file" err || fail "$file: exit $status, $(cat err)"
done

find part1 -type f ! -name '*.csv' | sort | awk 'NR % 12 == 1' | head -60 > some
xargs -d '\n' "$WIRELM" verify -r < some > out 2> err || fail "$(grep -v '"exact":true' out | head -5)"
tail -1 out
