#!/bin/bash
# html.sh: --html of the evaluate commands: pages that are well-formed, stand alone, show what the report holds, and
# escape what comes from data; the JSON on stdout stays as it is.
set -eu
command -v python3 >/dev/null || { echo "no python3"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() { echo "$*" >&2; exit 1; }

# page FILE REPORT WORD...: the page shows these words outside markup, and the report at its end
cat >page.py <<'END'
import json, re, sys
from html.parser import HTMLParser
import xml.dom.minidom

text = open(sys.argv[1], encoding="utf-8").read()
xml.dom.minidom.parseString(text.encode())  # an error where a tag is open or a character not escaped

class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.shown, self.code, self.open = "", "", []
    def handle_starttag(self, tag, attributes):
        if tag in ("script", "link", "img", "iframe", "object", "embed", "use", "image", "foreignobject", "b"):
            sys.exit(f"a page has <{tag}>")
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "action", "data") and not value.startswith("#"):
                sys.exit(f"a page refers to {value}")
            if name.startswith("on"):
                sys.exit(f"a page has {name}")
        if tag != "meta":
            self.open.append(tag)
    def handle_startendtag(self, tag, attributes):
        pass
    def handle_endtag(self, tag):
        if self.open.pop() != tag:
            sys.exit(f"</{tag}> closes something else")
    def handle_data(self, data):
        if "details" in self.open and "pre" in self.open:
            self.code += data
        elif "style" in self.open:
            if re.search(r"url\(|@import|https?:", data):
                sys.exit("the style sheet fetches something")
        else:
            self.shown += data

page = Page()
page.feed(text)
page.close()
if page.open:
    sys.exit(f"open at the end: {page.open}")
if "nan" in re.findall(r"[a-z]+", re.sub(r"<title>.*?</title>", "", text.split("<details>")[0])):
    sys.exit("not a number")
if json.loads(page.code) != json.load(open(sys.argv[2])):
    sys.exit("the report at the end is another one")
for word in sys.argv[3:]:
    if word not in page.shown:
        sys.exit(f"the page does not show {word!r}")
END
page() { python3 page.py "$@" || fail "$1"; }

odd='<b>&"quo'\''te"</b> ümläut'
python3 "$WIRELM_ROOT/tests/support/conversations.py" captures
rm captures/*/0[3-9].pcap
mv captures/name "captures/$(echo "$odd" | tr / _)"
odd=$(echo "$odd" | tr / _)
for part in train test; do
    "$WIRELM" import -o $part --task app --part $part captures >/dev/null 2>&1 || fail "import"
done
for seed in 1 2; do
    "$WIRELM" train -d train -o model$seed --steps 8 --context 256 --tokens-per-batch 1024 --seed $seed \
        >/dev/null 2>&1 || fail "train"
done

# ---- classify: one run, and several
ask=(evaluate classify -m model1 -d train test --curves --controls --stress nat,oneway --calibrate-on none)
"$WIRELM" "${ask[@]}" >plain.json 2>/dev/null
"$WIRELM" "${ask[@]}" --html one.html >one.json 2>/dev/null || fail "classify --html"
cmp -s plain.json one.json || fail "classify: --html changes the JSON"
page one.html one.json "$odd" shell 'app: classification of the test part' "macro-F1" "this model" majority probe \
    Confusion "Risk against coverage" "Reliability as found" "After so many packets" "After so many tokens" \
    "Flows altered on the way" oneway "By what can be read" "--stress nat,oneway"
! grep -q "Strangers told" one.html || fail "classify: a figure of what was not asked"
cp one.html before.html
"$WIRELM" "${ask[@]}" --html one.html >/dev/null 2>&1
cmp -s one.html before.html || fail "classify: twice the same, another page"
"$WIRELM" evaluate classify -m model1 model2 -d test --draws 10 --hide ids,shape --force --html=runs.html \
    >runs.json 2>/dev/null || fail "classify of several"
page runs.html runs.json "$odd" "All runs" "Run 4: shape" "±"

# ---- tokens
cost=("$WIRELM" evaluate tokens -m model1 -d test --split test)
"${cost[@]}" --context 128,256 --flows 8 --by-file --hide none --payload full --force \
    --html tokens.html >tokens.json 2>/dev/null || fail "tokens --html"
page tokens.html tokens.json "bits per byte" "xz -9e" "By protocol" "By context" "Header fields" Captures payload
"${cost[@]}" --flows 2 --model-only --html tokens.html >tokens.json 2>/dev/null
page tokens.html tokens.json "Header fields"
! grep -q "xz" tokens.html || fail "tokens: compressors that were not asked"

# ---- generate
"$WIRELM" evaluate generate --no-programs --fake test --real test --train train --html generate.html >generate.json \
    2>/dev/null || fail "generate --html"
page generate.html generate.json "$odd" "Fields of packets" kfp_order_mean "Told from real flows" Validity \
    tcp_handshake "Copies of the training set" "Trained on generated flows" "Labels"

# ---- written whole, through a link, or not at all
mkdir pages
ln -s pages/kept.html link.html
"${cost[@]}" --flows 2 --model-only --html pages/kept.html >/dev/null 2>&1
"${cost[@]}" --flows 2 --model-only --html link.html >/dev/null 2>&1 || fail "link"
[ -L link.html ] && [ "$(ls pages)" = kept.html ] || fail "link: $(ls -l link.html pages)"
mkfifo pipe
cat pipe >piped.html &
"${cost[@]}" --flows 2 --model-only --html pipe >piped.json 2>/dev/null || fail "pipe"
wait $!
[ -p pipe ] || fail "the pipe is none any more"
page piped.html piped.json "bits per byte"
for to in absent/page.html pages; do
    status=0
    "${cost[@]}" --flows 2 --html $to >out 2>note || status=$?
    [ $status = 1 ] && [ ! -s out ] && grep -q "$to: cannot" note || fail "$to: status $status, $(cat note)"
done
[ -z "$(find . -name '*.part*')" ] || fail "parts are left: $(find . -name '*.part*')"
