#!/bin/sh
# Whether one of Airflow's programs (scheduler, dag_processor, triggerer) is alive, as the API server knows from its
# heartbeats. `airflow jobs check` would load all of Airflow for each look.
set -eu
health=$(curl --fail --silent --max-time 15 "${2:-http://api-server:8080}/api/v2/monitor/health")
printf '%s' "$health" | tr -d '[:space:]' | grep -q "\"$1\":{\"status\":\"healthy\""
