#!/bin/sh
# The manual page: it names every command and option of the help, and no formatter that is here complains. And `make install` puts it, the
# program and the completion where they belong. Arguments: the program, the source folder.
set -eu

program=$1 source=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
  echo "FAILED: $*" >&2
  exit 1
}
"$program" help -man >"$work/darknet.1"

if command -v mandoc >/dev/null 2>&1; then
  # It asks for a date, which the same source would then give another page for.
  mandoc -T lint -W warning "$work/darknet.1" >"$work/lint" 2>&1 || true
  ! grep -v -e 'missing date' "$work/lint" || fail "mandoc complains"
fi
if command -v groff >/dev/null 2>&1; then
  groff -man -ww -z -Tascii "$work/darknet.1" 2>"$work/groff"
  [ ! -s "$work/groff" ] || { cat "$work/groff"; fail "groff complains"; }
fi
# \- is a hyphen, \e a backslash.
sed -e 's/\\-/-/g' -e 's/\\e/\\/g' -e 's/\\f[BIR]//g' "$work/darknet.1" >"$work/plain"
"$program" help | sed -n 's/^  \([a-z][a-z0-9_ ]*[a-z0-9]\).*/\1/p' | sed 's/  .*//' >"$work/commands"
[ "$(wc -l <"$work/commands")" -gt 30 ] || fail "the help lists only $(wc -l <"$work/commands") commands"
while read -r command; do
  grep -q "^\.SS \"$command\"\$" "$work/plain" || fail "the page lacks $command"
  # shellcheck disable=SC2086
  "$program" help $command | sed -n 's/^  \(-[A-Za-z_]*\).*/\1/p' | while read -r option; do
    grep -q -e "^$option\\( \\|\$\\)" "$work/plain" || fail "the page lacks $option of $command"
  done
done <"$work/commands"

# `make install` without the build.
mkdir -p "$work/build"
cp "$source/Makefile" "$work/Makefile"
ln -s "$program" "$work/build/darknet"
make -s -C "$work" -o all install PREFIX=/usr DESTDIR="$work/root" || fail "make install"
for file in bin/darknet share/man/man1/darknet.1 share/bash-completion/completions/darknet; do
  [ -s "$work/root/usr/$file" ] || fail "make install: no $file"
done
cmp -s "$work/darknet.1" "$work/root/usr/share/man/man1/darknet.1" || fail "make install: another manual page"
echo passed
