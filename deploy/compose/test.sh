#!/usr/bin/env bash
# What `cargo xtask compose-test` does: starts docker-compose.yml, kills the broker with -9 while bob is away, and checks that nothing is lost and
# nothing out of order. It makes and removes a project of its own, with its own volume.
set -euo pipefail
cd "$(dirname "$0")/../.."

project=inboxd-test
export MQTT_PORT="${MQTT_PORT:-1883}" HTTP_PORT="${HTTP_PORT:-8080}"
# Grafana and Prometheus are no part of it, so no image of somebody else is pulled but the two that ours are made of.
compose() { docker compose --project-name "$project" "$@"; }

say() { echo "compose-test: $*"; }
fail() {
  echo "compose-test: FAILED: $*" >&2
  compose ps --all >&2 || true
  compose logs --tail 30 >&2 || true
  exit 1
}
missing() {
  echo "compose-test: $*" >&2
  exit 1
}

command -v docker >/dev/null || missing "there is no docker command: install Docker Engine (https://docs.docker.com/engine/install/), or name its folder in PATH"
docker compose version >/dev/null 2>&1 || missing "docker has no command compose: install the Compose plugin (docker-compose-plugin)"
docker info >/dev/null 2>&1 || missing "the docker command reaches no engine: start it, or set DOCKER_HOST; it says: $(docker info 2>&1 | tail -1)"
command -v curl >/dev/null || missing "there is no curl: install it"

# Waits until a command succeeds: until SECONDS WHAT COMMAND…
until_true() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || fail "$what"
    sleep 0.5
  done
}

# Without what `docker compose logs` adds for terminals.
log_of() { docker logs "$(compose ps --all --quiet "$1")" 2>/dev/null; }
# The last number that alice knows to be safe, the last one that bob has, and how many he has.
safe() { log_of alice | sed -n 's/^alice: \([0-9]*\) is safe.*/\1/p' | tail -1; }
had() { log_of bob | sed -n 's/^bob: \([0-9]*\), which waited.*/\1/p'; }
last_had() { had | tail -1; }
safe_beyond() { [ "$(safe || echo 0)" -ge "$1" ] 2>/dev/null; }
had_beyond() { [ "$(last_had || echo 0)" -ge "$1" ] 2>/dev/null; }
bob_is() { case "$(log_of bob | grep -E '^bob: (here|away)' | tail -1)" in "bob: $1"*) true ;; *) false ;; esac; }
broker() { docker inspect --format "$1" "$(compose ps --all --quiet broker)"; }
restarted() { [ "$(broker '{{.RestartCount}}')" -gt "$1" ]; }
healthy() { [ "$(broker '{{.State.Health.Status}}')" = healthy ]; }

# As the machine would do it; restart policies take `docker kill` for the operator's wish.
kill_broker() {
  local pid
  pid=$(broker '{{.State.Pid}}')
  # A process of this machine, and not one of the same number beside an engine that is elsewhere.
  if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = inboxd ] && kill -9 "$pid" 2>/dev/null; then return; fi
  docker run --rm --pid host --user 0 debian:bookworm-slim bash -c "kill -9 $pid" || fail "process $pid of the engine's machine cannot be killed"
}

trap 'compose down --volumes --timeout 20 >/dev/null 2>&1 || true' EXIT
compose down --volumes >/dev/null 2>&1 || true

say "building"
compose build
say "starting"
compose up --detach --wait || fail "not everything became healthy"
say "the broker is healthy"

page=$(curl --fail --silent --show-error --max-time 10 "http://127.0.0.1:$HTTP_PORT/") || fail "there is no page at http://127.0.0.1:$HTTP_PORT/"
case "$page" in *"<html"*) ;; *) fail "what is at http://127.0.0.1:$HTTP_PORT/ is no page" ;; esac
say "there is a page at http://127.0.0.1:$HTTP_PORT/"

[ "$(compose exec -T broker id -u)" = 10001 ] || fail "the broker does not run as its own user"
if compose exec -T broker touch /etc/x 2>/dev/null; then fail "the root file system can be written to"; fi

until_true 60 "bob got nothing" had_beyond 3
say "bob got messages: $(last_had) is the last"

until_true 60 "bob does not go away" bob_is away
first=$(safe)
until_true 30 "alice sends nothing" safe_beyond $((first + 4))
count=$(broker '{{.RestartCount}}')
say "killing the broker with -9, while bob is away"
kill_broker
promised=$(safe)
until_true 60 "the broker was not started again by its policy" restarted "$count"
until_true 90 "the broker did not become healthy again" healthy
say "the broker was started again, and is healthy"

until_true 90 "bob did not get what was promised before the kill ($promised)" had_beyond "$promised"
until_true 60 "nothing new comes after the kill" had_beyond $((promised + 5))

if log_of bob | grep -q LOST; then fail "bob says: $(log_of bob | grep LOST)"; fi
# Once more, without believing bob: each number is the one before and one.
had | awk 'NR > 1 && $1 != last + 1 { print last, "and then", $1; bad = 1 } { last = $1 } END { exit bad }' || fail "numbers are missing, or out of order"
say "nothing is lost or out of order: $(had | wc -l) messages, up to $(last_had); $promised were promised before the kill"

say "stopping"
compose stop --timeout 20 broker
code=$(broker '{{.State.ExitCode}}')
[ "$code" = 0 ] || fail "the broker ended with $code instead of 0 after SIGTERM"
say "passed"
