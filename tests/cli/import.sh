#!/bin/bash
# wirelm import, and wirelm info of an imported folder.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# capture FILE PORT...: a UDP question and its answer for each client port, as pcap of raw IPv4
capture() {
    python3 - "$@" <<'PY'
import struct, sys
def packet(src, dst, sport, dport, text):
    udp = struct.pack(">HHHH", sport, dport, 8 + len(text), 0) + text
    return struct.pack(">BBHHHBBH4s4s", 69, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(src), bytes(dst)) + udp
client, server = [10, 0, 0, 1], [10, 0, 0, 9]
with open(sys.argv[1], "wb") as f:
    f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))
    for i, port in enumerate(map(int, sys.argv[2:])):
        for p in packet(client, server, port, 53, b"question"), packet(server, client, 53, port, b"answer"):
            f.write(struct.pack("<IIII", 1700000000 + i, 0, len(p), len(p)) + p)
PY
}
fail() {
    echo "$1" >&2
    exit 1
}
expect() { # expect JSON EXPRESSION VALUE: d is the JSON
    local got
    got=$(python3 -c 'import json, sys; d = json.loads(sys.argv[1]); print(eval(sys.argv[2], {"d": d}))' "$1" "$2")
    [ "$got" = "$3" ] || fail "$2 is '$got', not '$3'"
}
refuse() { # refuse STATUS TEXT ARGUMENT...: fails so, saying so
    local want=$1 text=$2 got=0
    shift 2
    "$WIRELM" import "$@" >out 2>note || got=$?
    [ $got = "$want" ] || fail "import $*: status $got, not $want"
    grep -q -e "$text" note || fail "import $*: '$(cat note)' does not say '$text'"
}

mkdir -p data/web data/dns
capture data/web/a.pcap 4000 4001 4002
capture data/web/b.pcap 5000
capture data/dns/c.pcap 6000 6001
capture data/dns/d.pcap 7000

json=$("$WIRELM" import -o all data 2>note)
expect "$json" 'd["flows"]' 7
expect "$json" 'd["packets"]' 14
expect "$json" 'd["labels"]' 0

# The output may stand among the captures: what an import writes is never read.
json=$("$WIRELM" import -o data/out data 2>note)
expect "$json" 'd["flows"]' 7
! grep -q 'passed over' note || fail "an import read its own output: $(cat note)"
rm -r data/out

# Labels from folders.
json=$("$WIRELM" import -o labelled --task app data 2>note)
expect "$json" 'd["labelled"]' 7
expect "$json" 'd["labels"]' 2
expect "$json" 'sum(d["flows_by_part"].values())' 7
expect "$json" 'd["fell_back"]' False
json=$("$WIRELM" info labelled)
expect "$json" 'd["task"]' app
expect "$json" 'sorted(d["labels"])' "['dns', 'web']"
expect "$json" 'sum(d["labels"]["dns"].values())' 3

# Labels and parts from a CSV.
cat >data/labels.csv <<'CSV'
path,label,src_port,split
web/a.pcap,first,4000,test
web/a.pcap,rest,,train
dns/c.pcap,dns,,val
CSV
json=$("$WIRELM" import -o given --task port --labels data/labels.csv 2>note)
expect "$json" 'd["flows"]' 5
expect "$json" 'd["flows_by_part"]' "{'train': 2, 'val': 2, 'test': 1}"
json=$("$WIRELM" import -o given --task port --labels data/labels.csv data 2>note)
expect "$json" 'd["unlabelled_dropped"]' 2
json=$("$WIRELM" import -o given --task port --keep-unlabelled --labels data/labels.csv data 2>note)
expect "$json" 'd["unlabelled_dropped"], d["flows"], d["labelled"]' '(0, 7, 5)'
json=$("$WIRELM" import -o given --labels data/labels.csv --part train data 2>note)
expect "$json" 'd["flows_by_part"]["train"]' 7

# One capture cannot be split by capture: that is said, and recorded.
json=$("$WIRELM" import -o single --task app data/web/a.pcap 2>note)
expect "$json" 'd["fell_back"]' True
grep -q 'split by flow, not by capture' note || fail "the fall-back was not told"
expect "$("$WIRELM" info single)" 'd["fell_back"]' True

# A cut capture: what was readable, and one line.
head -c 150 data/web/a.pcap >cut.pcap
json=$("$WIRELM" import -o cut cut.pcap 2>note)
expect "$json" 'd["files_damaged"]' 1
expect "$json" 'd["packets"]' 2
[ "$(grep -c 'cut.pcap: offset' note)" = 1 ] || fail "the damage was not told in one line: $(cat note)"

# Failures: one line, and nothing left behind.
printf 'path,label,dst_port\nweb/a.pcap,x,99999\n' >data/bad.csv
refuse 1 'bad.csv: line 2: bad port' -o never --task app --labels data/bad.csv
refuse 1 'no flows to import' -o never data/labels.csv
refuse 1 'No such file' -o never nowhere
refuse 1 'not replaced' -o data data/web
refuse 2 'nothing to import' -o never
refuse 2 "cannot be 'half'" -o never --split half data
refuse 2 'is missing' data
printf 'x' >given/packets.data
refuse 1 'no flows to import' -o given data/labels.csv
"$WIRELM" info given >out 2>note && fail "a damaged folder was believed"
grep -q 'given/packets.data: offset 1' note || fail "the damage was not named: $(cat note)"
[ ! -e never ] || fail "a failed import left a folder"
[ -z "$(find . -name '*import-*')" ] || fail "a failed import left a temporary folder"
