#!/bin/sh
# Runs the same redis-benchmark work against each server in turn, so that the dashboards move.
#
#   run.sh HOST[:PORT] ...
#
# A turn is whole cycles of the same commands for at least BENCH_SECONDS seconds (30): longer
# than the window over which the dashboards take a rate, so that what one shows is the
# server's speed and not the share of time it was busy. After BENCH_ROUNDS rounds (0: never)
# it ends. Everything happens in database 9 (BENCH_DB); no other database is touched, and
# nothing is flushed. The memory is bounded: keys are drawn from a fixed range, what is
# pushed to a list is popped again.
set -eu

seconds=${BENCH_SECONDS:-30}
rounds=${BENCH_ROUNDS:-0}
database=${BENCH_DB:-9}
keys=200000
[ $# -gt 0 ] || { echo "usage: run.sh HOST[:PORT] ..." >&2; exit 2; }
trap 'exit 0' INT TERM

bench() { # arguments of redis-benchmark, for the server of this turn
  redis-benchmark -h "$host" -p "$port" --dbnum "$database" -c 50 -d 64 -r "$keys" -q "$@" >/dev/null &
  wait $!
}

# Short, so that each window of a rate holds some of everything.
cycle() {
  # One command a round trip, as most applications work.
  bench -n 20000 -t set,get,incr
  bench -n 10000 -t lpush,lpop,mset
  # Keys that expire, and reads of which some come too late.
  bench -n 10000 SET session:__rand_int__ __data__ EX 20
  bench -n 10000 GET session:__rand_int__
  # Pipelined.
  bench -n 200000 -P 16 -t set,get
}

round=1
while [ "$rounds" -eq 0 ] || [ "$round" -le "$rounds" ]; do
  for server in "$@"; do
    host=${server%%:*}
    port=6379
    [ "$host" = "$server" ] || port=${server##*:}
    cycles=0
    start=$(date +%s)
    while [ $(($(date +%s) - start)) -lt "$seconds" ]; do
      cycle
      cycles=$((cycles + 1))
    done
    echo "round $round: $cycles cycles against $server in $(($(date +%s) - start)) s"
  done
  round=$((round + 1))
done
