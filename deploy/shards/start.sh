#!/bin/sh
# Starts the router with the password of PGPASSWORD in its configuration: SPQR reads no variables.
set -eu
umask 077
awk '
  BEGIN { password = ENVIRON["PGPASSWORD"]; gsub(/[\\"]/, "\\\\&", password) }
  at = index($0, "@PASSWORD@\"") { $0 = substr($0, 1, at - 1) password substr($0, at + 10) }
  { print }
' router.yaml >/tmp/router.yaml
exec spqr-router run --config /tmp/router.yaml
