#!/bin/sh
# Becomes the command it is given, after Spark's settings were laid where Spark looks for them: those of the file
# SPARK_DEFAULTS_FILE, and the secret in SPARK_SECRET_FILE. Master, workers and drivers that know the secret trust one
# another and encrypt what they say; others are refused.
set -eu
if [ -n "${SPARK_SECRET_FILE:-}${SPARK_DEFAULTS_FILE:-}" ]; then
    SPARK_CONF_DIR=$(mktemp -d)
    export SPARK_CONF_DIR
    (
        umask 077
        if [ -n "${SPARK_DEFAULTS_FILE:-}" ]; then
            cat "$SPARK_DEFAULTS_FILE"
        fi
        if [ -n "${SPARK_SECRET_FILE:-}" ]; then
            printf '%s\n' 'spark.authenticate true' 'spark.network.crypto.enabled true' 'spark.ui.killEnabled false' \
                "spark.authenticate.secret $(cat "$SPARK_SECRET_FILE")"
        fi
    ) >"$SPARK_CONF_DIR/spark-defaults.conf"
    chmod 600 "$SPARK_CONF_DIR/spark-defaults.conf"
fi
exec "$@"
