#!/bin/sh
set -eu
for f in "$@"; do
  if [ -f "$f" ]; then
    cp -p "$f" "$f.bak"
  fi
done
