#!/usr/bin/env bash
# Holds internal/storage against Python's fsspec and a real server of the S3 protocol (moto): each side reads what the other wrote.
#
#   tools/parity/storage.sh       needs Go, and Python with the packages of requirements-storage.txt: $PYTHON, or an environment that it
#                                 makes in ~/.cache/because
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

python=${PYTHON:-}
if [[ -z $python ]]; then
	folder=${XDG_CACHE_HOME:-$HOME/.cache}/because/parity-storage
	python=$folder/bin/python
	[[ -x $python ]] || python3 -m venv "$folder"
	"$python" -m pip install --quiet --disable-pip-version-check -r tools/parity/requirements-storage.txt
fi
exec "$python" tools/parity/storage.py
