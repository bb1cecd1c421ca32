#!/bin/sh
# Installs Debian packages where this user may, else says what to install.
set -eu
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
else
    echo "missing: install $* with your package manager, then run this again" >&2
    exit 1
fi
