#!/bin/bash
# evaluate_tokens.sh: what a model trained for a few steps pays for captures of the sample: figures that fit each other,
# sizes as the compressors themselves write them, and what is refused.
set -eu
command -v python3 >/dev/null || { echo "no python3"; exit 77; }
command -v xz >/dev/null || { echo "no xz"; exit 77; }
sample=$WIRELM_ROOT/sample
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() { echo "$*" >&2; exit 1; }
value() { python3 -c 'import json, sys; print(eval(sys.argv[2], {"d": json.load(open(sys.argv[1]))}))' "$1" "$2"; }

zstd -qdc "$sample/run00.pcap.zst" >whole.pcap
python3 - <<'END'
import struct
data = open("whole.pcap", "rb").read()
at = 24
while at < 40000:
    at += 16 + struct.unpack("<I", data[at + 8:at + 12])[0]
open("part.pcap", "wb").write(data[:at])
END
"$WIRELM" import -o flows --part train part.pcap >/dev/null 2>&1
for unit in flow capture; do
    "$WIRELM" train -d flows -o "$unit" --preset wire-nano --unit $unit --hide none --context 256 --steps 4 \
        >/dev/null 2>&1 || fail "train --unit $unit"
done

"$WIRELM" evaluate tokens -m flow -r part.pcap --by-file --context 256,2048 >flow.json 2>/dev/null
[ "$(value flow.json 'd["lossless"], d["files"], d["bytes"], len(d["contexts"]), len(d["by_file"])')" = \
    "(True, 1, $(stat -c %s part.pcap), 2, 1)" ] || fail "flow: $(head -c 600 flow.json)"
same='abs(sum(c[s]["bits"] for s in ("opening", "header", "time", "payload")) + 8 * d["beside_bytes"] - c["bits"])'
[ "$(value flow.json "all($same < 1e-4 * c['bits'] for c in d['contexts'])")" = True ] || fail "sections do not add up"
[ "$(value flow.json '0 < d["contexts"][0]["bits_per_byte"] < 20')" = True ] || fail "bits per byte"
xz=$(xz -9ec part.pcap | wc -c)
zstd=$(zstd -19qc part.pcap | wc -c)
gzip=$(gzip -9nc part.pcap | wc -c)
near() { # key, bytes, one part in so many
    [ "$(value flow.json "abs(d['compressors']['by_file']['$1']['bytes'] - $2) <= $2 / $3")" = True ] ||
        fail "$1: not the $2 bytes of the program: $(value flow.json "d['compressors']['by_file']['$1']")"
}
near xz_9e "$xz" 500
near zstd_19 "$zstd" 500
near gzip_9 "$gzip" 50

"$WIRELM" evaluate tokens -m capture -r part.pcap --bytes 10000 --model-only >capture.json 2>/dev/null
[ "$(value capture.json '10000 <= d["bytes"] < 12000 and d["unit"] == "capture" and "compressors" not in d')" = True ] ||
    fail "capture: $(head -c 600 capture.json)"
"$WIRELM" evaluate tokens -m capture -d flows --split train --flows 3 --model-only >imported.json 2>/dev/null
[ "$(value imported.json 'd["flows"]')" = 3 ] || fail "--flows 3"

refused() { "$WIRELM" "$@" >out 2>&1 && fail "$* was taken" || [ $? = "$status" ] || fail "$*: $(cat out)"; }
status=1
refused evaluate tokens -m flow -r part.pcap --hide ids
refused evaluate tokens -m flow -r part.pcap --unit capture
refused evaluate tokens -m flow -r no-such-file
status=2
refused evaluate tokens -m flow -r part.pcap -d flows
refused evaluate tokens -m flow -r part.pcap --context 12,a
"$WIRELM" evaluate tokens -m capture -r part.pcap --recall --model-only >recall.json 2>/dev/null
"$WIRELM" evaluate tokens -m capture -r part.pcap --model-only >alone.json 2>/dev/null
[ "$(value alone.json 'd["recall"], "bits_per_byte_model" in d["contexts"][0]')" = "(False, False)" ] || fail "no --recall"
[ "$(value recall.json 'd["recall"] and d["bits_per_byte"] < .8 * d["contexts"][0]["bits_per_byte_model"]')" = True ] ||
    fail "--recall: $(head -c 600 recall.json)"
alone=$(value alone.json 'd["bits_per_byte"]')
[ "$(value recall.json "abs(d['contexts'][0]['bits_per_byte_model'] / $alone - 1) < 1e-6")" = True ] ||
    fail "--recall changes what the model says"

"$WIRELM" evaluate tokens -m flow -r part.pcap --hide ids --force --flows 3 >hidden.json 2>/dev/null
[ "$(value hidden.json 'd["lossless"], "replaced" in d["note"]')" = "(False, True)" ] || fail "hidden"
