#!/bin/bash
# install.sh: what is installed can be built against with pkg-config, and runs.
set -eu
build=$(dirname "$WIRELM")
case "$build" in *asan*) echo "the sanitizer build is not for installing"; exit 77 ;; esac
to=$(mktemp -d)
trap 'rm -rf "$to"' EXIT
cmake --install "$build" --prefix "$to" >/dev/null
export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$(find "$to" -name wirelm.pc)")
cat >"$to/use.c" <<'END'
#include <stdio.h>
#include <wirelm.h>
int main(void)
{
    printf("%s\n", wlm_version());
    return 0;
}
END
flags=$(pkg-config --define-variable=prefix="$to" --cflags --libs wirelm)
# shellcheck disable=SC2086
cc "$to/use.c" -o "$to/use" $flags
lib=$(dirname "$(find "$to" -name 'libwirelm.so')")
[ "$(LD_LIBRARY_PATH=$lib "$to/use")" = "$("$to/bin/wirelm" --version | cut -d' ' -f2)" ]
for file in "${WIRELM_ROOT:?}"/models/*.safetensors "$WIRELM_ROOT"/models/*.md; do
    [ ! -e "$file" ] || cmp "$file" "$to/share/wirelm/models/${file##*/}"
done
unset WIRELM_MODEL
if [ -e "$WIRELM_ROOT/models/wire-tiny.safetensors" ]; then
    "$to/bin/wirelm" info --model >/dev/null
fi
if [ -e "$WIRELM_ROOT/models/wire-tiny-generate.safetensors" ]; then
    "$to/bin/wirelm" generate --label DNS --flows 3 --seed 1 -w "$to/dns.pcap" >/dev/null 2>&1
    "$to/bin/wirelm" verify -r "$to/dns.pcap" | grep -q '"flows":3.*"exact":true'
fi
readelf -d "$lib/libwirelm.so" | grep -q 'SONAME.*libwirelm.so.0'
echo "installs and links"
