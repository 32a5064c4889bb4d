# The three programs in one image: liveevents-origin, liveevents-edge, liveevents-loadtest.
# docker-compose.yml says which one a container runs.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# .sqlx says what the database would: no database is needed to build.
ENV SQLX_OFFLINE=true
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --bins \
    && install -D -t /out target/release/liveevents-origin target/release/liveevents-edge target/release/liveevents-loadtest

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --user-group --no-create-home liveevents \
    && install -d -o liveevents -g liveevents /var/lib/liveevents
COPY --from=build /out/ /usr/local/bin/
COPY deploy/lib/healthy /usr/local/bin/
USER liveevents
WORKDIR /var/lib/liveevents
