#!/usr/bin/env bash
# Runs unit test programs one after the other and adds up what Check says. The last line is the sum; the exit status says
# whether everything passed. A program that dies without its closing line counts as an error.
set -u
programs=0 checks=0 failures=0 errors=0
for program in "$@"; do
    programs=$((programs + 1))
    if out=$("$program" 2>&1); then verdict=ok; else verdict=FAIL; fi
    sum=$(grep -oE 'Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+' <<<"$out" | tail -n 1)
    read -r c f e < <(tr -dc '0-9 \n' <<<"${sum:-0 0 0}")
    if [ -z "$sum" ] || { [ "$verdict" = FAIL ] && [ $((f + e)) -eq 0 ]; }; then verdict=FAIL e=$((e + 1)); fi
    checks=$((checks + c)) failures=$((failures + f)) errors=$((errors + e))
    echo "$verdict ${program#build/}: ${sum:-no closing line}"
    if [ "$verdict" = FAIL ]; then sed 's/^/     /' <<<"$out"; fi
done
echo "unit: $checks checks in $programs programs, $failures failures, $errors errors"
[ "$programs" -gt 0 ] && [ "$failures" -eq 0 ] && [ "$errors" -eq 0 ]
