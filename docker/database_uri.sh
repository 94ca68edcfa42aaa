#!/bin/sh
# Prints the address of Airflow's database, the password in it from a file (AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD).
set -eu
exec python -c '
import os, pathlib, urllib.parse
password = pathlib.Path(os.environ["DATABASE_PASSWORD_FILE"]).read_text("utf-8").strip()
host = os.environ.get("DATABASE_HOST", "postgres")
print(f"postgresql+psycopg2://airflow:{urllib.parse.quote(password, safe=str())}@{host}/airflow")
'
