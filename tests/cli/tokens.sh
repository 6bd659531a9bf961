#!/bin/bash
# tokens.sh: encode, decode and verify: the same bytes back, one clear line for what is no capture, nothing left behind.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() { echo "FAILED: $*"; exit 1; }
byte() { printf "\\x$(printf %02x "$1")"; }
le32() { for shift in 0 8 16 24; do byte $(($1 >> shift & 255)); done; }

{ # three packets, the second cut short by the snap length
    le32 0xa1b2c3d4; le32 0x00040002; le32 0; le32 0; le32 65535; le32 101
    for i in 1 2 3; do le32 1700000000; le32 $((i * 1000)); le32 4; le32 $((i == 2 ? 90 : 4)); printf 'E%03d' $i; done
} > a.pcap

"$WIRELM" encode -r a.pcap -w a.tok > encode.json
"$WIRELM" decode -r a.tok -w b.pcap > decode.json
cmp a.pcap b.pcap || fail "decode(encode(a)) differs"
grep -q '"packets":3' encode.json || fail "encode reports: $(cat encode.json)"
grep -q "$(sha256sum < a.pcap | cut -d' ' -f1)" decode.json || fail "decode's digest is not sha256sum's"

# Standard input and output, and compression by name.
"$WIRELM" encode -r - -w - < a.pcap | "$WIRELM" decode -r - -w - | cmp - a.pcap || fail "through pipes"
gzip -k a.pcap
zstd -q a.pcap -o c.pcap.zst
for compressed in a.pcap.gz c.pcap.zst; do
    "$WIRELM" encode -r $compressed -w c.tok > /dev/null
    "$WIRELM" decode -r c.tok -w - | cmp - a.pcap || fail "$compressed"
done
"$WIRELM" decode -r a.tok -w d.pcap.gz > /dev/null && gzip -dc d.pcap.gz | cmp - a.pcap || fail "written as .gz"
"$WIRELM" decode -r a.tok -w d.pcap.zst > /dev/null && zstd -qdc d.pcap.zst | cmp - a.pcap || fail "written as .zst"

# verify: one line a file, folders walked, a sum at the end.
mkdir set && cp a.pcap set/1.pcap && cp a.pcap.gz set/2.pcap.gz
"$WIRELM" verify -r set > verify.json
[ "$(wc -l < verify.json)" = 3 ] || fail "verify prints: $(cat verify.json)"
[ "$(grep -c '"exact":true' verify.json)" = 2 ] || fail "verify is not exact"
for threads in 1 3; do # in the order of the files, however many are verified at a time
    "$WIRELM" verify -r set set --threads $threads > threads.$threads
done
cmp threads.1 threads.3 || fail "verify --threads changes what verify prints"
"$WIRELM" verify -r set --stats > stats.json || fail "verify --stats of a folder"
[ "$(wc -l < stats.json)" = 4 ] && tail -1 stats.json | grep -q '"udp":0,"other":6}' || fail "stats: $(cat stats.json)"
"$WIRELM" verify -r - < a.pcap | grep -q '"packets":3' || fail "verify of standard input"

# What breaks off is exact, and reported in one line.
head -c 60 a.pcap > cut.pcap

# Many captures, damaged ones and none among them, become a folder; the same in the same order for any number of threads.
mkdir -p many/sub
for i in 1 2 3 4 5 6 7 8; do cp a.pcap many/$i.pcap && cp a.pcap.gz many/sub/$i.pcap.gz; done
cp cut.pcap many/4.pcap
echo 'no capture at all, whatever its name' | tee many/2.pcap > many/sub/7.pcap.gz
for threads in 1 2 3; do
    for work in "encode -w out.$threads" verify; do
        status=0
        "$WIRELM" ${work%% *} -r many $(echo "$work" | cut -s -d' ' -f2-) --threads $threads \
            > ${work%% *}.json.$threads 2> ${work%% *}.stderr.$threads || status=$?
        [ $status = 1 ] || fail "$work with what is no capture: exit $status"
    done
done
for threads in 2 3; do
    diff -r out.1 out.$threads || fail "encode --threads $threads writes other files"
    for file in encode.json encode.stderr verify.json verify.stderr; do
        cmp $file.1 $file.$threads || fail "$file with $threads threads"
    done
done
[ "$(find out.1 -type f | wc -l)" = 14 ] && [ ! -e out.1/2.pcap.tok ] || fail "encode wrote: $(find out.1)"
cmp out.1/1.pcap.tok a.tok && cmp out.1/sub/3.pcap.gz.tok a.tok || fail "one of many is another file than alone"
tail -1 encode.json.1 | grep -q '^{"files":16,"files_encoded":14,"packets":40,' || fail "the sum: $(tail -1 encode.json.1)"
[ "$(cut -d: -f2 encode.stderr.1 | tr -d '\n')" = ' many/2.pcap many/4.pcap many/sub/7.pcap.gz' ] ||
    fail "told in another order: $(cat encode.stderr.1)"
mkdir one && "$WIRELM" encode -r a.pcap -w one > /dev/null && cmp one/a.pcap.tok a.tok || fail "one capture into a folder"
"$WIRELM" encode -r cut.pcap -w cut.tok > /dev/null 2> stderr
"$WIRELM" decode -r cut.tok -w - 2> /dev/null | cmp - cut.pcap || fail "a cut capture"
[ "$(wc -l < stderr)" = 1 ] && grep -q 'cut.pcap: offset 44:' stderr || fail "damage reported as: $(cat stderr)"

# info knows captures and token files, and what they were made with.
"$WIRELM" info a.pcap.gz | grep -q '"kind":"capture","format":"pcap","packets":3,' || fail "info of a capture"
"$WIRELM" info cut.pcap | grep -q '"damage":{"offset":44,' || fail "info of a cut capture"
"$WIRELM" info a.tok | grep -q '"kind":"tokens","codec":"fields",.*"packets":3,' || fail "info of a token file"
"$WIRELM" info cut.tok | grep -q '"damage":{"offset":44,' || fail "info of a cut capture's tokens"

# Units: a stream for each flow, or one for all; the file says which, and decode is told what it should be in vain.
python3 - <<'PY'
import struct
def packet(sport, dport, text):
    udp = struct.pack(">HHHH", sport, dport, 8 + len(text), 0) + text
    return struct.pack(">BBHHHBBH4s4s", 69, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 9])) + udp
with open("flows.pcap", "wb") as f:
    f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))
    for i in range(90): # five flows in turn; one falls silent for so long that it ends
        p = packet(4000 + (i % 5 if i < 60 else i % 4), 53, b"question %d" % i)
        f.write(struct.pack("<IIII", 1700000000 + (i if i < 60 else i + 200), 0, len(p), len(p)) + p)
PY
for codec in fields bytes; do
    for unit in flow capture; do
        words="--codec $codec --unit $unit"
        "$WIRELM" encode -r flows.pcap -w u.tok $words > encode.json || fail "encode $words"
        grep -q "\"unit\":\"$unit\",.*\"flows\":9," encode.json || fail "encode $words: $(cat encode.json)"
        "$WIRELM" decode -r u.tok -w u.pcap $words --payload full > decode.json && cmp u.pcap flows.pcap ||
            fail "decode $words"
        "$WIRELM" verify -r flows.pcap $words | grep -q '"exact":true' || fail "verify $words"
        held=4096
        [ "$words" != "--codec bytes --unit capture" ] || held=0
        "$WIRELM" info u.tok | grep -q "\"unit\":\"$unit\",\"flows_held\":$held," || fail "info: $("$WIRELM" info u.tok)"
        for other in "--unit $([ $unit = flow ] && echo capture || echo flow)" "--payload 9" \
            "--codec $([ $codec = bytes ] && echo fields || echo bytes)"; do
            status=0
            "$WIRELM" decode -r u.tok -w never.pcap $other > stdout 2> stderr || status=$?
            [ $status = 2 ] && grep -q "u.tok: made with ${other:2:5}" stderr || fail "decode $other: $status, $(cat stderr)"
            [ ! -e never.pcap ] || fail "decode $other left a file"
        done
    done
done
"$WIRELM" encode --text -r flows.pcap > text
[ "$(grep -c '^flow ' text)" = 9 ] && [ "$(wc -l < text)" = $((90 + 2 * 9)) ] || fail "text, flow by flow: $(head -3 text)"
[ "$(head -1 text)" = 'flow 1: 10.0.0.1.4000 > 10.0.0.9.53, protocol 17, link type 101' ] || fail "title: $(head -1 text)"
grep -q '^raw/ip4/udp >plain time=0.000000000 ' text && grep -q '^timeout$' text && grep -q '^cut$' text || fail "a flow's text"
"$WIRELM" encode --text -r flows.pcap --unit capture > text
[ "$(wc -l < text)" = 90 ] && [ "$(grep -c '^new ' text)" = 5 ] || fail "text of a whole capture: $(head -3 text)"
for unit in flow capture; do
    "$WIRELM" encode -r flows.pcap -w 1.tok --unit $unit --payload 3 --seed 5 > /dev/null
    "$WIRELM" decode -r 1.tok -w lossy.pcap > /dev/null
    "$WIRELM" encode -r lossy.pcap -w 2.tok --unit $unit --payload 3 --seed 5 > again.json
    cmp 1.tok 2.tok && ! grep -q '"lossy"' again.json || fail "encode(decode(t)) is another file, unit $unit"
    "$WIRELM" verify -r flows.pcap lossy.pcap --unit $unit --payload 3 --seed 5 > verify.json || fail "verify --seed"
    tail -1 verify.json | grep -q '"files_exact":1,"files_lossy":1,' || fail "verify --seed: $(tail -1 verify.json)"
    "$WIRELM" verify -r lossy.pcap --unit $unit --payload 3 --seed 6 | grep -q '"lossy":true' || fail "another seed"
done

# Limited payload: said in the file; once decoded, it is coded as it was; another seed, another fill.
{
    le32 0xa1b2c3d4; le32 0x00040002; le32 0; le32 0; le32 65535; le32 101
    le32 1700000000; le32 0; le32 60; le32 60
    le32 0x3c000045; le32 0x00000100; le32 0x00001140; le32 0x0100000a; le32 0x0200000a # IPv4
    le32 0x35000004; le32 0x00002800                                                     # UDP, no checksum
    printf 'the first bytes, then a secret'; byte 0; byte 0
} > udp.pcap
for limit in 15 none; do
    "$WIRELM" encode -r udp.pcap -w 1.tok --codec fields --payload $limit | grep -q '"lossy":true' || fail "not lossy"
    "$WIRELM" decode -r 1.tok -w lossy.pcap > lossy.json
    grep -q "\"payload\":${limit/none/0}[,}]" lossy.json || fail "decode says: $(cat lossy.json)"
    "$WIRELM" encode -r lossy.pcap -w 2.tok --codec fields --payload $limit > again.json
    cmp 1.tok 2.tok || fail "encode(decode(t)) is another file"
    ! grep -q '"lossy"' again.json || fail "what was drawn is drawn otherwise"
    ! grep -q secret lossy.pcap || fail "the payload is still there"
    "$WIRELM" info 1.tok | grep -q "\"payload\":${limit/none/0},\"seed\":0," || fail "info of limited payload"
    "$WIRELM" verify -r udp.pcap --codec fields --payload $limit > verify.json || fail "verify of limited payload"
    grep -q '"lossy":true' verify.json && ! grep -q exact verify.json || fail "verify says: $(cat verify.json)"
done
grep -q 'the first bytes' udp.pcap && ! grep -q 'the first bytes' lossy.pcap || fail "none is not none"
"$WIRELM" encode -r udp.pcap -w 2.tok --codec fields --payload none --seed 9 > again.json
"$WIRELM" decode -r 2.tok -w - | cmp -s - lossy.pcap && fail "another seed, the same fill"
"$WIRELM" verify -r udp.pcap --codec fields --payload 9999 | grep -q '"exact":true' || fail "nothing was left out"
"$WIRELM" verify -r udp.pcap lossy.pcap --codec fields --payload none > verify.json || fail "exact and lossy"
tail -1 verify.json | grep -q '"files":2,"files_exact":1,"files_lossy":1,' || fail "the sum is: $(tail -1 verify.json)"
"$WIRELM" info a.tok | grep -q '"payload":"full",' || fail "info of full payload"

# What is no capture or no token file: exit 1, one line, no file.
refused() { # output, then the command
    local out=$1 status=0
    shift
    "$WIRELM" "$@" > stdout 2> stderr || status=$?
    [ $status = 1 ] || fail "exit $status of: $*"
    [ "$(wc -l < stderr)" = 1 ] || fail "$* says: $(cat stderr)"
    [ ! -e "$out" ] || fail "$* left $out"
    ! ls | grep -q part- || fail "$* left a part"
}
head -c 23 a.pcap > header23
: > empty
for file in header23 empty nowhere; do
    refused x.tok encode -r $file -w x.tok
    refused x.pcap decode -r $file -w x.pcap
    grep -q "$file" stderr || fail "the error does not name $file: $(cat stderr)"
    refused x verify -r $file
done
refused x.tok encode -r udp.pcap -w x.tok --codec bytes --payload 64
grep -q "codec 'bytes'" stderr || fail "limited payload with bytes: $(cat stderr)"
refused x verify -r udp.pcap lossy.pcap --codec bytes --payload none
size=$(stat -c %s a.tok)
for ((at = 0; at < size; at += 3)); do # a byte changed anywhere is noticed
    cp a.tok bad.tok
    byte $(($(od -An -tu1 -j $at -N 1 a.tok) ^ 65)) | dd of=bad.tok bs=1 seek=$at conv=notrunc status=none
    refused x.pcap decode -r bad.tok -w x.pcap
done
for n in 7 50 123 131 $((size - 1)); do
    head -c $n a.tok > bad.tok
    refused x.pcap decode -r bad.tok -w x.pcap
done
cat a.tok a.tok > bad.tok
refused x.pcap decode -r bad.tok -w x.pcap
echo keep > kept.pcap
"$WIRELM" decode -r bad.tok -w kept.pcap 2> /dev/null && fail "decoded a bad file"
[ "$(cat kept.pcap)" = keep ] || fail "a failed decode replaced its output"

# Wrong usage.
while read -r words; do
    status=0
    "$WIRELM" $words > /dev/null 2>&1 || status=$?
    [ $status = 2 ] || fail "exit $status of: $words"
done << 'END'
encode -r a.pcap
decode -w x
verify
encode -r a.pcap -w x.tok --codec nothing
encode -r a.pcap many/1.pcap many/sub/../1.pcap -w x
encode -r a.pcap - -w x
encode -r a.pcap cut.pcap --text
verify -r a.pcap --codec nothing
END
echo passed
