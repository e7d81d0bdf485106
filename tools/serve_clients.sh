#!/usr/bin/env bash
# Shows that curl, the official OpenAI client for Python and Inspect work with a server of ours:
#
#   tools/serve_clients.sh MODEL         builds the command, serves MODEL (a folder or GGUF file) and stops it at the end
#   tools/serve_clients.sh http://HOST   uses a server that runs already; its token, if it has one, is in BECAUSE_TOKEN
#
# PYTHON (default: python3) needs two packages: pip install openai==3.54.0 inspect_ai==0.3.285
# BECAUSE is the command to serve with, if it should not be built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly python=${PYTHON:-python3}
scratch=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill -KILL "$server" 2>/dev/null; rm -rf "$scratch"' EXIT

fail() {
	printf 'FAILED: %s\n' "$*" >&2
	if [[ -f $scratch/server.log ]]; then
		tail -n 20 "$scratch/server.log" >&2
	fi
	exit 1
}

# same GOT WANT WHAT
same() {
	[[ $1 == "$2" ]] || fail "$3: got $1, want $2"
	printf 'ok  curl: %s\n' "$3"
}

# status ARGUMENTS... gives the status of a request; its body is in $scratch/body.
status() { curl --silent --show-error --output "$scratch/body" --write-out '%{http_code}' "$@"; }

# start serves a model on a free port, with a token.
start() {
	local command=${BECAUSE:-$scratch/because} port
	if [[ -z ${BECAUSE:-} ]]; then
		CGO_ENABLED=0 go build -o "$command" ./cmd/because
	fi
	port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	url=http://127.0.0.1:$port
	token=token-of-$$
	"$command" serve --model "local:$1" --addr "127.0.0.1:$port" --token "$token" --name tested >"$scratch/server.log" 2>&1 &
	server=$!
	for _ in {1..300}; do
		if curl --silent --fail --output /dev/null "$url/health"; then
			return
		fi
		kill -0 "$server" 2>/dev/null || fail 'the server ended'
		sleep 0.2
	done
	fail 'the server does not answer after a minute'
}

# stop asks the server to end, which it does by itself and without an error.
stop() {
	local pid=$server
	kill -TERM "$pid"
	server=
	wait "$pid" || fail "the server ended with status $?"
	printf 'ok  the server ends when asked\n'
}

with_curl() {
	local chat='{"messages":[{"role":"user","content":"Say hello."}],"max_tokens":8,"temperature":0'
	local -a post=(--request POST "$url/v1/chat/completions" "${authorized[@]}" --header 'Content-Type: application/json' --data)
	same "$(status "$url/health")" 200 'health'
	same "$(status "${authorized[@]}" "$url/v1/models")" 200 'models'
	same "$(status "${authorized[@]}" "$url/metrics")" 200 'metrics'
	same "$(status "${post[@]}" "$chat}")" 200 'chat'
	grep -q '"object":"chat.completion"' "$scratch/body" || fail 'chat: not a completion'
	same "$(status --no-buffer "${post[@]}" "$chat,\"stream\":true}")" 200 'stream'
	same "$(tail -n 2 "$scratch/body" | head -n 1)" 'data: [DONE]' 'a stream ends with [DONE]'
	same "$(status "${post[@]}" "$chat} x")" 400 'trailing garbage'
	same "$(status "${post[@]}" "$chat,\"n\":\"two\"}")" 400 'wrong type'
	same "$(status "${authorized[@]}" "$url/v1/nothing")" 404 'unknown path'
	if [[ -n $token ]]; then
		same "$(status "$url/v1/models")" 401 'no token'
	else
		same "$(status --header 'Host: rebound.example' "$url/v1/models")" 403 'a foreign Host'
	fi
}

[[ $# == 1 ]] || { sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
if [[ $1 == http://* || $1 == https://* ]]; then
	url=${1%/} token=${BECAUSE_TOKEN:-}
else
	start "$1"
fi
authorized=()
if [[ -n $token ]]; then
	authorized=(--header "Authorization: Bearer $token")
fi
with_curl
"$python" tools/serve_clients.py "$url" "${token:-none}" || fail 'a Python client'
if [[ -n $server ]]; then
	stop
fi
printf 'all clients work\n'
