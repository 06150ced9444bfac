#!/bin/sh
# weights/get.sh against a folder in the place of a server: whole and broken downloads, checks, refusals. Argument: the script.
set -eu

get=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/server" "$work/into"
printf 'AAAABBBB' >"$work/server/whole.weights"
printf '<html>not found</html>' >"$work/server/page.weights"
sum=$(sha256sum <"$work/server/whole.weights" | cut -d ' ' -f 1)
cat >"$work/list" <<LIST
# a comment
whole.weights  8  $sum  file://$work/server/whole.weights
loose.weights  -  -     file://$work/server/whole.weights
long.weights   9  -     file://$work/server/whole.weights
other.weights  8  0000  file://$work/server/whole.weights
page.weights   -  -     file://$work/server/page.weights
absent.weights 8  -     file://$work/server/absent.weights
hand.weights   -  -     by-hand:https://example.org/page
LIST

fail() {
  echo "FAILED: $*" >&2
  cat "$work/said" >&2
  exit 1
}
run() { DARKNET_WEIGHTS_LIST=$work/list DARKNET_WEIGHTS_DIR=$work/into "$get" "$@" >"$work/said" 2>&1; }
refused() { # TEXT NAME: the command must fail with 2 and say TEXT, and leave no file
  code=0
  run "$2" || code=$?
  [ "$code" -eq 2 ] || fail "$2: exit code $code, expected 2"
  grep -q -e "$1" "$work/said" || fail "$2: expected to hear '$1'"
  [ ! -e "$work/into/$2" ] || fail "$2: a refused file lies there"
}

command -v curl >/dev/null 2>&1 || { echo "skipped: curl is needed for file:// URLs"; exit 77; }

run whole || fail "a whole download"
cmp -s "$work/into/whole.weights" "$work/server/whole.weights" || fail "a whole download differs"
rm "$work/server/whole.weights"
run whole.weights || fail "what is there must not be fetched again"
printf 'AAAABBBB' >"$work/server/whole.weights"

# Only the rest is fetched: the first half is ours, another than the server's.
printf 'xxxx' >"$work/into/loose.weights.part"
run loose || fail "a broken download must go on"
[ "$(cat "$work/into/loose.weights")" = xxxxBBBB ] || fail "a broken download must go on where it stopped"
[ ! -e "$work/into/loose.weights.part" ] || fail "the part must be gone"

# The same with a checksum: the wrong half is noticed, and the next try starts anew.
rm "$work/into/whole.weights"
printf 'xxxx' >"$work/into/whole.weights.part"
refused 'SHA-256' whole.weights
[ ! -e "$work/into/whole.weights.part" ] || fail "a part of another file must be removed"
run whole || fail "the next try"

refused 'has 8 bytes: expected 9' long.weights
refused 'expected 0000' other.weights
refused 'is a web page' page.weights
refused 'could not be fetched' absent.weights
refused 'with a browser' hand.weights
refused 'not in' nothing.weights

printf 'short' >"$work/into/long.weights"
code=0
run long || code=$?
[ "$code" -eq 2 ] && grep -q 'remove it' "$work/said" || fail "a wrong file that is there must be said"

mkdir "$work/mirror"
printf 'MMMMMMMM' >"$work/mirror/loose.weights"
rm "$work/into/loose.weights"
DARKNET_WEIGHTS_URL=file://$work/mirror run loose && [ "$(cat "$work/into/loose.weights")" = MMMMMMMM ] || fail "a mirror"

run -l && [ "$(wc -l <"$work/said")" -eq 7 ] || fail "the list of names"
code=0
run || code=$?
[ "$code" -eq 2 ] || fail "no name: exit code $code"
echo passed
