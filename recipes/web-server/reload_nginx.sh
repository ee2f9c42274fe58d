#!/bin/sh
# Reloads nginx if its configuration is newer than its processes. A check (test_only=1) changes nothing.
set -eu
nginx -t -q
pid=$(cat /run/nginx.pid 2>/dev/null || true)
if [ -n "$pid" ] && [ -d "/proc/$pid" ] && [ -z "$(find /etc/nginx -newer "/proc/$pid" -print -quit)" ]; then
  exit 0
fi
if [ "$test_only" = 1 ]; then
  echo "nginx does not run with the present configuration" >&2
  exit 1
fi
systemctl restart nginx
