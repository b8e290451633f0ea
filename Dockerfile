# Glasswing's image: the server alone, as an unprivileged user, able to stand where the
# `redis` image stood (docs/docker.md). Only what the classic builder knows is used here.

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev make \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
ENV CARGO_INCREMENTAL=0 CARGO_TERM_COLOR=never
# Not set, Cargo.toml decides: an image that is tested need not be optimised for as long as one that is published.
ARG CARGO_PROFILE_RELEASE_OPT_LEVEL
ARG CARGO_PROFILE_RELEASE_LTO
ARG CARGO_PROFILE_RELEASE_CODEGEN_UNITS

# The dependencies are a layer of their own, so that a change of ours does not build them
# again. Tests and benchmarks stay out of the build, and with them out of the manifest.
COPY Cargo.toml Cargo.lock ./
RUN awk '/^\[/ { skip = ($0 ~ /^\[\[(bench|test|example)\]\]/) } !skip' Cargo.toml > trimmed \
 && mv trimmed Cargo.toml \
 && mkdir src \
 && echo 'fn main() {}' > src/main.rs \
 && touch src/lib.rs \
 && cargo build --release --locked --bin glasswing \
 && rm -r src

# Copied files are older than the stubs above: touched, or cargo would take them as built.
# The line tables stay for backtraces, compressed to a third.
COPY src src
RUN find src -name '*.rs' -exec touch {} + \
 && cargo build --release --locked --bin glasswing \
 && objcopy --compress-debug-sections=zlib-gabi target/release/glasswing /glasswing

FROM debian:bookworm-slim
# 999:999 is the user of the `redis` image: a volume that it wrote is ours here. It answers
# to the name redis too, for a compose file's `user: redis`, and because redis-tools wants it.
RUN groupadd --system --gid 999 glasswing \
 && groupadd --system --non-unique --gid 999 redis \
 && useradd --system --uid 999 --gid 999 --home-dir /data --no-create-home --shell /usr/sbin/nologin glasswing \
 && useradd --system --non-unique --uid 999 --gid 999 --home-dir /data --no-create-home --shell /usr/sbin/nologin redis \
 && apt-get update \
 && apt-get install -y --no-install-recommends redis-tools \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/* \
 && mkdir /data \
 && chown 999:999 /data
COPY --from=build /glasswing /usr/local/bin/glasswing
COPY deploy/docker/entrypoint.sh /usr/local/bin/docker-entrypoint.sh
RUN ln -s glasswing /usr/local/bin/redis-server \
 && chmod 755 /usr/local/bin/glasswing /usr/local/bin/docker-entrypoint.sh

# As in the `redis` image, what is published decides who may connect: protected mode is off.
# The admin port is open to the container's network, where it still asks for a token or a
# trusted network for all but the probes and the version.
ENV GLASSWING_PROTECTED_MODE=no \
    GLASSWING_ADMIN_BIND=0.0.0.0
VOLUME /data
WORKDIR /data
USER 999:999
EXPOSE 6379 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["glasswing"]
