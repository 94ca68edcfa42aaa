"""One medium in, named columns out; no Spark, no Airflow."""
