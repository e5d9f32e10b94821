#!/usr/bin/env bash
# Runs unit test programs, as many at a time as there are processors, and adds up what Check says. The last line is the sum; the
# exit status says whether everything passed. A program that dies without its closing line counts as an error.
set -u
export CK_TIMEOUT_MULTIPLIER=${CK_TIMEOUT_MULTIPLIER:-15} # a test's four seconds are not enough where others use the machine
answers=$(mktemp -d)
trap 'rm -rf "$answers"' EXIT
one() {
    if "$2" >"$1/out" 2>&1; then echo ok; else echo FAIL; fi >"$1/verdict"
}
export -f one
number=0
for program in "$@"; do
    number=$((number + 1))
    mkdir "$answers/$number"
    printf '%s\0%s\0' "$answers/$number" "$program"
done | xargs -0 -r -n 2 -P "$(nproc)" bash -c 'one "$@"' one
programs=0 checks=0 failures=0 errors=0
for program in "$@"; do
    programs=$((programs + 1))
    out=$(<"$answers/$programs/out") verdict=$(<"$answers/$programs/verdict")
    sum=$(grep -oE 'Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+' <<<"$out" | tail -n 1)
    read -r c f e < <(tr -dc '0-9 \n' <<<"${sum:-0 0 0}")
    if [ -z "$sum" ] || { [ "$verdict" != ok ] && [ $((f + e)) -eq 0 ]; }; then verdict=FAIL e=$((e + 1)); fi
    checks=$((checks + c)) failures=$((failures + f)) errors=$((errors + e))
    echo "$verdict ${program#build/}: ${sum:-no closing line}"
    if [ "$verdict" = FAIL ]; then sed 's/^/     /' <<<"$out"; fi
done
echo "unit: $checks checks in $programs programs, $failures failures, $errors errors"
[ "$programs" -gt 0 ] && [ "$failures" -eq 0 ] && [ "$errors" -eq 0 ]
