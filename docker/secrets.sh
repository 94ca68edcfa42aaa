#!/bin/sh
# Makes the secrets that compose.yaml mounts, each random and in a file of its own; those that exist stay as they are.
set -eu
folder=${1:-$(dirname "$0")/secrets}
# The folder keeps others of this machine out; the files are mounted one by one and read by the containers' own users.
mkdir -p "$folder"
chmod 700 "$folder"
umask 022
random() { python3 -c 'import secrets; print(secrets.token_urlsafe(32))'; }
for name in postgres_password api_secret_key jwt_secret spark_secret admin_password op_password viewer_password; do
    [ -e "$folder/$name" ] || random >"$folder/$name"
done
# A Fernet key is 32 bytes in URL-safe base64, padding included.
[ -e "$folder/fernet_key" ] ||
    python3 -c 'import base64, secrets; print(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())' \
        >"$folder/fernet_key"
echo "secrets are in $folder; admin, op and viewer log in with what is in their files"
