"""Item and user columns in, scores out; no Spark, no Airflow."""
