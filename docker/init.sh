#!/bin/sh
# Makes or brings up to date what Airflow needs in its database: tables, pools, users. Running it again does no harm.
set -eu
airflow db migrate
airflow pools import conf/pools.json
python docker/users.py
