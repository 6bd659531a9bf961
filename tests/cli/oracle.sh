#!/bin/bash
# oracle.sh: the sample's captures are exact, and the reader counts as many packets as Wireshark's tools do, there and
# in every format that these write.
set -eu
[ -d "$WIRELM_ROOT/sample" ] || { echo "no sample"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() { echo "FAILED: $*"; exit 1; }
find "$WIRELM_ROOT/sample" -name '*.pcap*' | sort > captures
xargs -d '\n' "$WIRELM" verify -r < captures > out || fail "$(grep -v '"exact":true' out)"
tail -n 1 out
for tool in capinfos editcap; do
    command -v $tool > /dev/null || { echo "the sample is exact; not compared: no $tool"; exit 77; }
done
agree() {
    local theirs ours
    theirs=$(capinfos -TMrc "$1" | cut -f2)
    ours=$("$WIRELM" info "$1" | sed 's/.*"packets":\([0-9]*\).*/\1/')
    [ "$ours" = "$theirs" ] || fail "$1: $ours packets, capinfos says $theirs"
}
while read -r path; do
    zstd -qdc "$path" > whole
    agree whole
done < <(head -n 3 captures)
editcap -r -F pcap whole 400 1-400 2> /dev/null
for format in pcap nsecpcap modpcap pcapng; do
    editcap -F $format 400 $format 2> /dev/null
    agree $format
    "$WIRELM" verify -r $format > out || fail "$format is not exact"
    grep -q '"packets":400' out || fail "$format: $(cat out)"
done
