#!/bin/sh
# Tells Spark which GPUs this machine has: {"name": "gpu", "addresses": ["0", "1"]}
set -e
indices=$(nvidia-smi --query-gpu=index --format=csv,noheader)
printf '{"name": "gpu", "addresses": [%s]}\n' "$(printf '%s\n' "$indices" | sed 's/.*/"&"/' | paste -sd, -)"
