#!/bin/sh
# Fetches published weights into this folder. A broken download goes on where it stopped, what arrives is checked and renamed only then.
#
#   weights/get.sh NAME...     such as yolov4-tiny.weights; the ending .weights may be left out
#   weights/get.sh -l          the names
#
#   DARKNET_WEIGHTS_URL   fetch from $DARKNET_WEIGHTS_URL/NAME, a mirror, instead of the URL in the list
#   DARKNET_WEIGHTS_LIST  the list, by default `list` beside this script
#   DARKNET_WEIGHTS_DIR   where files go, by default beside this script
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
list=${DARKNET_WEIGHTS_LIST:-$here/list}
folder=${DARKNET_WEIGHTS_DIR:-$here}

complain() {
  echo "error: $*" >&2
  exit 2
}

names() { sed -e '/^#/d' -e '/^[[:space:]]*$/d' -e 's/[[:space:]].*//' "$list"; }

bytes_of() { wc -c <"$1" | tr -d ' '; }

sha256_of() {
  if command -v sha256sum >/dev/null 2>&1; then
    sha256sum <"$1" | cut -d ' ' -f 1
  elif command -v shasum >/dev/null 2>&1; then
    shasum -a 256 <"$1" | cut -d ' ' -f 1
  else
    complain "neither sha256sum nor shasum is here to check $1 with"
  fi
}

# check FILE BYTES SHA256: prints what is wrong, nothing when all is well.
check() {
  if [ "$2" != - ] && [ "$(bytes_of "$1")" != "$2" ]; then
    echo "has $(bytes_of "$1") bytes: expected $2"
  elif [ "$3" != - ] && [ "$(sha256_of "$1")" != "$3" ]; then
    echo "has the SHA-256 $(sha256_of "$1"): expected $3"
  elif [ "$(head -c 1 "$1")" = '<' ]; then
    echo "is a web page, no weights"
  elif [ ! -s "$1" ]; then
    echo "is empty"
  fi
}

# download URL FILE: goes on behind what FILE holds.
download() {
  if command -v curl >/dev/null 2>&1; then
    curl -f -L --retry 3 -C - -o "$2" "$1" </dev/null
  elif command -v wget >/dev/null 2>&1; then
    wget -c -O "$2" "$1" </dev/null
  else
    complain "neither curl nor wget is here to fetch $1 with"
  fi
}

fetch() {
  name=$1
  row=$(awk -v name="$name" '$1 == name || $1 == name ".weights" { print; exit }' "$list")
  [ -n "$row" ] || complain "$name: not in $list; names: $(names | tr '\n' ' ')"
  # shellcheck disable=SC2086
  set -- $row
  name=$1 bytes=$2 sha256=$3 url=$4
  file=$folder/$name part=$folder/$name.part
  if [ -e "$file" ]; then
    wrong=$(check "$file" "$bytes" "$sha256")
    [ -z "$wrong" ] || complain "$file $wrong; remove it to fetch it again"
    echo "$file: is there"
    return
  fi
  if [ -n "${DARKNET_WEIGHTS_URL:-}" ]; then
    url=$DARKNET_WEIGHTS_URL/$name
  fi
  case $url in
    by-hand:*) complain "$name: fetch it with a browser from ${url#by-hand:} and put it into $folder" ;;
  esac
  mkdir -p "$folder"
  # A part that is complete is not asked for again: some servers refuse that.
  if [ ! -e "$part" ] || [ "$(bytes_of "$part")" != "$bytes" ]; then
    download "$url" "$part" || complain "$name: $url could not be fetched; what has arrived is kept, and the same command goes on (remove $part to start anew)"
  fi
  wrong=$(check "$part" "$bytes" "$sha256")
  if [ -n "$wrong" ]; then
    rm -f "$part"
    complain "$name: what came from $url $wrong; it was removed"
  fi
  mv "$part" "$file"
  echo "$file: $(bytes_of "$file") bytes"
}

[ -r "$list" ] || complain "$list: cannot be read"
case ${1:-} in
  '' | -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0" && [ -n "${1:-}" ] || exit 2 ;;
  -l | --list) names ;;
  *) for wanted in "$@"; do fetch "$wanted"; done ;;
esac
