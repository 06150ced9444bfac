#!/bin/sh
# Fetches a published data set and makes it one to train on. Broken downloads go on where they stopped; what is unpacked already is not unpacked again.
#
#   data/get.sh voc        PASCAL VOC 2007 and 2012, 20 classes: 2.9 GB to fetch, data/voc/VOCdevkit/voc.data
#   data/get.sh coco       COCO 2017, 80 classes: 20.4 GB to fetch, data/coco/coco.data
#
#   DARKNET_DATA_URL    fetch from $DARKNET_DATA_URL/ARCHIVE, a mirror, instead of the URL in the list
#   DARKNET_DATA_LIST   the list, by default `list` beside this script
#   DARKNET_DATA_DIR    where the sets go, by default beside this script
#   DARKNET             the program that converts the annotations, by default ../darknet
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
folder=${DARKNET_DATA_DIR:-$here}
darknet=${DARKNET:-$here/../darknet}

complain() {
  echo "error: $*" >&2
  exit 2
}

# fetch ARCHIVE...: into $folder/archives.
fetch() {
  DARKNET_WEIGHTS_LIST=${DARKNET_DATA_LIST:-$here/list} DARKNET_WEIGHTS_DIR=$folder/archives DARKNET_WEIGHTS_URL=${DARKNET_DATA_URL:-} \
    "$here/../weights/get.sh" "$@"
}

# unpack ARCHIVE INTO: once; a mark is left only when all of it came out.
unpack() {
  if [ -e "$2/.$1.unpacked" ]; then
    return
  fi
  mkdir -p "$2"
  echo "unpacking $1"
  case $1 in
    *.tar) tar -xf "$folder/archives/$1" -C "$2" ;;
    *.zip)
      command -v unzip >/dev/null 2>&1 || complain "unzip is needed to unpack $1"
      unzip -q -o "$folder/archives/$1" -d "$2"
      ;;
  esac
  : >"$2/.$1.unpacked"
}

make_set() { # NAME FORMAT FOLDER-OF-THE-ANNOTATIONS ARCHIVE...
  name=$1 format=$2 annotations=$3
  shift 3
  [ -x "$darknet" ] || complain "$darknet: not here yet; run make first"
  fetch "$@"
  for archive in "$@"; do unpack "$archive" "$folder/$name"; done
  "$darknet" convert "$format" "$folder/$name/$annotations"
}

case ${1:-} in
  voc) make_set voc voc VOCdevkit VOCtrainval_06-Nov-2007.tar VOCtest_06-Nov-2007.tar VOCtrainval_11-May-2012.tar ;;
  coco) make_set coco coco . annotations_trainval2017.zip val2017.zip train2017.zip ;;
  -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0" ;;
  *) complain "${1:-nothing}: not known; expected voc or coco (--help tells more)" ;;
esac
