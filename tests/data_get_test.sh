#!/bin/sh
# data/get.sh against a folder in the place of a server: archives are fetched, unpacked and converted. Arguments: the script, the program.
set -eu

get=$1 darknet=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v curl >/dev/null 2>&1 || { echo "skipped: curl is needed for file:// URLs"; exit 77; }

fail() {
  echo "FAILED: $*" >&2
  cat "$work/said" >&2
  exit 1
}
run() { DARKNET_DATA_LIST=$work/list DARKNET_DATA_DIR=$work/into DARKNET=$darknet "$get" "$@" >"$work/said" 2>&1; }

# Two years of VOC with one image each for training, one for the test.
mkdir "$work/server"
"$darknet" synth "$work/set" -images 10 >/dev/null
for part in 2007:1 2007test:2 2012:3; do
  year=VOCdevkit/VOC$(echo "${part%:*}" | cut -c 1-4) number=${part#*:}
  case $part in *test*) list=test ;; *) list=trainval ;; esac
  root=$work/tree.$number
  mkdir -p "$root/$year/Annotations" "$root/$year/ImageSets/Main" "$root/$year/JPEGImages"
  image=$(find "$work/set" -name '*.jpg' | sort | sed -n "${number}p")
  cp "$image" "$root/$year/JPEGImages/00000$number.jpg"
  cat >"$root/$year/Annotations/00000$number.xml" <<XML
<annotation><filename>00000$number.jpg</filename><size><width>416</width><height>320</height><depth>3</depth></size>
<object><name>dog</name><difficult>0</difficult><bndbox><xmin>11</xmin><ymin>6</ymin><xmax>60</xmax><ymax>30</ymax></bndbox></object></annotation>
XML
  echo "00000$number" >"$root/$year/ImageSets/Main/$list.txt"
done
pack() { # ARCHIVE NUMBER
  tar -cf "$work/server/$1" -C "$work/tree.$2" VOCdevkit
  echo "$1 $(wc -c <"$work/server/$1") - file://$work/server/$1" >>"$work/list"
}
pack VOCtrainval_06-Nov-2007.tar 1
pack VOCtest_06-Nov-2007.tar 2
pack VOCtrainval_11-May-2012.tar 3

run voc || fail "voc"
devkit=$work/into/voc/VOCdevkit
[ -s "$devkit/voc.data" ] || fail "no voc.data"
[ "$(wc -l <"$devkit/train.txt")" -eq 2 ] && [ "$(wc -l <"$devkit/valid.txt")" -eq 1 ] || fail "2 images to train on and 1 to validate were expected"
grep -q '^11 ' "$devkit/VOC2012/labels/000003.txt" || fail "the dog is class 11 of VOC"

# Once more: nothing is fetched or unpacked again, the set stays.
rm "$work/server/"* "$devkit/train.txt"
run voc || fail "voc once more"
! grep -q unpacking "$work/said" || fail "unpacked again"
[ -s "$devkit/train.txt" ] || fail "the list was not written again"

code=0
run kitti || code=$?
[ "$code" -eq 2 ] && grep -q 'expected voc or coco' "$work/said" || fail "an unknown set must be refused"
