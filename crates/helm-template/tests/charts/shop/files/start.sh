#!/bin/sh
set -eu
echo "starting ${SERVICE} at ${POD_IP}"
exec /usr/local/bin/service --config /etc/shop
