#!/bin/bash
# The completion script that `darknet help -bash` gives: what it offers behind some words. Argument: the program.
set -eu

script=$("$1" help -bash)
set +eu   # compgen fails when it finds nothing
eval "$script"

failed=0
# expect WORDS... -- OFFER...: all of these are among what is offered for the last word.
expect() {
  COMP_WORDS=(darknet) COMPREPLY=()
  while [ "$1" != -- ]; do COMP_WORDS+=("$1"); shift; done
  shift
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  _darknet
  for offer in "$@"; do
    case " ${COMPREPLY[*]} " in
      *" $offer "*) ;;
      *) echo "FAILED: ${COMP_WORDS[*]}: expected $offer among: ${COMPREPLY[*]}"; failed=1 ;;
    esac
  done
}
cd "$(mktemp -d)"
touch photo.jpg net.cfg
expect '' -- detector partial describe synth yolo
expect det -- detector detect
expect detector '' -- train test map valid recall calc_anchors demo
expect detector cal -- calc_anchors
expect detector train -iou -- -iou_thresh
expect detector map a.data -po -- -points
expect -thresh .3 detector test a net.cfg w -ex -- -ext_output
expect detector test a net.cfg w ph -- photo.jpg
expect detector test a n -- net.cfg
expect detector test -out ph -- photo.jpg
expect partial -thr -- -threads
expect yolo tr -- train
COMP_WORDS=(darknet detector test -thresh '') COMP_CWORD=4
_darknet
[ ${#COMPREPLY[@]} -eq 0 ] || { echo "FAILED: offers ${COMPREPLY[*]} for a number"; failed=1; }
COMP_WORDS=(darknet detector map -cle) COMP_CWORD=3
_darknet
[ ${#COMPREPLY[@]} -eq 0 ] || { echo "FAILED: offers ${COMPREPLY[*]}, an option of another verb"; failed=1; }
rm -r "$PWD"
[ $failed -eq 0 ] && echo passed
exit $failed
