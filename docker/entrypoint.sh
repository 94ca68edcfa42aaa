#!/bin/sh
# Becomes the command it is given, after Spark's secret, which comes as a file, was laid where Spark looks for it.
# Master, workers and drivers that know the secret trust one another and encrypt what they say; others are refused.
set -eu
if [ -n "${SPARK_SECRET_FILE:-}" ]; then
    SPARK_CONF_DIR=$(mktemp -d)
    export SPARK_CONF_DIR
    (
        umask 077
        printf '%s\n' \
            'spark.authenticate true' \
            'spark.network.crypto.enabled true' \
            "spark.authenticate.secret $(cat "$SPARK_SECRET_FILE")" \
            >"$SPARK_CONF_DIR/spark-defaults.conf"
        if [ -n "${SPARK_DEFAULTS_FILE:-}" ]; then
            cat "$SPARK_DEFAULTS_FILE" >>"$SPARK_CONF_DIR/spark-defaults.conf"
        fi
    )
fi
exec "$@"
