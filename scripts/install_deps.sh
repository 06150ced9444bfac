#!/bin/sh
# Installs the Debian packages that the build, the tests and the benchmarks need. Silent and quick when all of them are there; otherwise it works
# as root or through sudo. DN_SKIP_DEPS=1 turns it off (the libraries come from elsewhere; CMake then says what it misses).
set -eu

packages="
  g++ make cmake ninja-build pkgconf python3
  libdnnl-dev libhwy-dev libstb-dev libturbojpeg0-dev libcairo2-dev fonts-dejavu-core nlohmann-json3-dev libpugixml-dev
  libavformat-dev libavcodec-dev libswscale-dev libavdevice-dev
  libgtest-dev libbenchmark-dev python3-numpy"

[ "${DN_SKIP_DEPS:-0}" = 1 ] && exit 0

if ! command -v dpkg-query >/dev/null 2>&1; then
  echo "install_deps.sh: not a Debian-like system, nothing installed; needed are the counterparts of:" $packages >&2
  exit 0
fi

missing=
installed=" $(dpkg-query -W -f='${db:Status-Status}:${Package} ' $packages 2>/dev/null || true) "
for package in $packages; do
  case "$installed" in
    *" installed:$package "*) ;;
    *) missing="$missing $package" ;;
  esac
done
[ -z "$missing" ] && exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null 2>&1; then
    echo "install_deps.sh: these packages are missing and neither root nor sudo is at hand to install them:" >&2
    echo "  apt-get install$missing" >&2
    echo "Have them installed, or set DN_SKIP_DEPS=1 when the libraries come from elsewhere." >&2
    exit 1
  fi
  as_root="sudo"
fi

echo "Installing:$missing"
# DEBIAN_FRONTEND goes through env because sudo drops the environment. Standard input is closed to apt: it must never ask.
apt() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get "$@" </dev/null; }
apt update -q
apt install -q -y --no-install-recommends $missing
