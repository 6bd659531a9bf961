#!/bin/bash
# symbols.sh: the library exports only wlm_*, and never prints, exits, aborts or reads the environment.
set -u
bad=0
exported=$(nm -D --defined-only "$WIRELM_LIB" | awk '{print $3}' | grep -vE '^(wlm_|_init$|_fini$|__(asan|ubsan|lsan|odr_asan)|_edata$|_end$|__bss_start$)')
[ -z "$exported" ] || { echo "exports more than wlm_*:" $exported; bad=1; }
nm -D --defined-only "$WIRELM_LIB" | grep -q ' wlm_version' || { echo "wlm_version is not exported"; bad=1; }
called=$(nm -D --undefined-only "$WIRELM_LIB" | awk '{print $2}' | sed 's/@.*//' |
    grep -xE '_*(printf|fprintf|vprintf|vfprintf|puts|fputs|putchar|putc|fputc|perror|stderr|stdout)(_chk)?|exit|_exit|_Exit|quick_exit|abort|__assert_fail|getenv|secure_getenv')
[ -z "$called" ] || { echo "the library calls:" $called; bad=1; }
[ $bad = 0 ] && echo "symbols are in order"
exit $bad
