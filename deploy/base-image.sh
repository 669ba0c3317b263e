#!/bin/sh
# Makes a small Debian root file system as a tar, for 'farm image import':
#
#   deploy/base-image.sh OUTPUT.tar [--suite SUITE] [--include PACKAGE,PACKAGE,...]
#   farm image import debian:bookworm OUTPUT.tar
#
# It takes the packages from where this machine takes its own (its apt sources and proxies), and carries this machine's certificate
# authorities and pip configuration into the image, so that steps reach the same package sources. About 20 seconds.
set -eu

usage() { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
fail() { echo "base-image.sh: $*" >&2; exit 1; }

output="" suite=bookworm include=ca-certificates
while [ $# -gt 0 ]; do
    case $1 in
    --suite) [ $# -ge 2 ] || usage; suite=$2; shift 2 ;;
    --include) [ $# -ge 2 ] || usage; include=$include,$2; shift 2 ;;
    -*) usage ;;
    *) [ -z "$output" ] || usage; output=$1; shift ;;
    esac
done
[ -n "$output" ] || usage
[ "$(id -u)" = 0 ] || fail "run it as root: the files of an image belong to root"
command -v mmdebstrap >/dev/null || fail "mmdebstrap is missing: apt-get install mmdebstrap"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# This machine's Debian sources, where it has them for that suite; else mmdebstrap's own defaults.
mirror=
for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
    if [ -s "$file" ] && grep -q "\b$suite\b" "$file"; then mirror=$file; break; fi
done
apt-config dump 2>/dev/null | grep -E '^Acquire::(http|https)::(Proxy|CaInfo)' >"$work/apt.conf" || true

mkdir -p "$work/files/etc/ssl/certs"
[ ! -e /etc/ssl/certs/ca-certificates.crt ] || cp -L /etc/ssl/certs/ca-certificates.crt "$work/files/etc/ssl/certs/"
# find-links and the like name folders of this machine, which a step does not have.
for file in /etc/pip.conf "${HOME:-/root}/.config/pip/pip.conf"; do
    [ ! -e "$file" ] || grep -vE '^[[:space:]]*(find-links|cert)[[:space:]]*=' "$file" >>"$work/pip.conf" || true
done
{ echo "[global]"; echo "cert = /etc/ssl/certs/ca-certificates.crt"; grep -vE '^\[global\]' "$work/pip.conf" 2>/dev/null || true; } \
    >"$work/files/etc/pip.conf"

set -- --quiet --variant=apt --include="$include" --format=tar --aptopt='APT::Install-Recommends "false"'
[ ! -s "$work/apt.conf" ] || set -- "$@" --aptopt="$work/apt.conf"
mmdebstrap "$@" \
    --customize-hook="copy-in $work/files/etc /" \
    --customize-hook='rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/* "$1"/usr/share/doc/* "$1"/usr/share/locale/*' \
    "$suite" "$work/root.tar" ${mirror:+"$mirror"} >&2
mv "$work/root.tar" "$output"
