# What there is to do here: `just --list`.

# Builds the server and runs it with its defaults.
run *arguments:
    ./scripts/run {{arguments}}

# Every check; or some: `just test format tests`.
test *steps:
    ./scripts/test {{steps}}

# Glasswing beside a real Redis, with Prometheus and Grafana.
up:
    docker-compose up

# The same work against us and a real Redis.
compare *options:
    cargo bench --bench compare -- {{options}}

# Formats the sources.
format:
    cargo fmt --all
