# The image of inboxd, and two for docker-compose.yml:
#   docker build -t inboxd .                    the broker (the last stage)
#   docker build --target trial -t … .          the broker with the users and access rules of deploy/compose, for trials
#   docker build --target chat-demo -t … .      the demonstration clients
# docs/operations.md, "Docker", says how they are run.

FROM rust:1.95-bookworm AS dashboard
RUN apt-get update \
    && apt-get install -y --no-install-recommends nodejs npm \
    && rm -rf /var/lib/apt/lists/*
# Authorities that this image trusts count for Node, too.
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
# Debian's Node is older than Vite wants it.
RUN npm install --prefix /opt/node --no-audit --no-fund node@22
ENV PATH=/opt/node/node_modules/.bin:$PATH
WORKDIR /dashboard
COPY dashboard/package.json dashboard/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY dashboard/ ./
RUN npm run build

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY bridge bridge
COPY broker broker
COPY client client
# Not built, but part of the workspace.
COPY tests tests
COPY xtask xtask
# The broker embeds it.
COPY --from=dashboard /dashboard/dist dashboard/dist
# What was built stays for the next time; only the results become a layer.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package inboxd --bin inboxd \
    && cargo build --release --locked --package inbox-client --example chat_demo \
    && mkdir /out \
    && cp target/release/inboxd target/release/examples/chat_demo /out/ \
    && strip /out/inboxd /out/chat_demo

FROM debian:bookworm-slim AS base
# Authorities, for keys of tokens and services at https:// URLs.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
RUN groupadd --system --gid 10001 inboxd \
    && useradd --system --uid 10001 --gid inboxd --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin inboxd

FROM base AS chat-demo
COPY --from=build /out/chat_demo /usr/local/bin/chat_demo
USER 10001:10001
STOPSIGNAL SIGKILL
ENTRYPOINT ["chat_demo"]

FROM base AS broker
COPY --from=build /out/inboxd /usr/local/bin/inboxd
COPY LICENSE LICENSE-APACHE LICENSE-MIT /usr/share/doc/inboxd/
# A volume that is made of it belongs to the user.
RUN install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/inboxd
ENV INBOXD_DATA_DIR=/var/lib/inboxd
USER 10001:10001
VOLUME /var/lib/inboxd
EXPOSE 1883 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 CMD ["inboxd", "health"]
ENTRYPOINT ["inboxd"]
CMD ["serve"]

FROM broker AS trial
COPY --chmod=0444 deploy/compose/inboxd.toml deploy/compose/acl.toml /etc/inboxd/
COPY --chown=10001:10001 --chmod=0400 deploy/compose/users /etc/inboxd/users
CMD ["serve", "--config", "/etc/inboxd/inboxd.toml"]

# The one that is built where no target is named.
FROM broker
