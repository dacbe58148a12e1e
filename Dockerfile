# parallelpool in a container: built by the same make targets as everywhere, run without root on a slim image.
#
#   docker build --tag parallelpool .
#   docker run --rm --publish 127.0.0.1:8545:8545 --volume parallelpool:/data parallelpool --http.addr 0.0.0.0
#
# Inside the container the daemon listens on loopback unless told otherwise, as on any machine.

FROM rust:1.95.0-slim-bookworm AS rust

# Has make, gcc, git and Python with venv; the toolchain comes from the stage above.
FROM python:3.13-bookworm AS builder
ENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo RUSTUP_TOOLCHAIN=1.95.0 \
    PATH=/usr/local/cargo/bin:$PATH
COPY --from=rust /usr/local/rustup /usr/local/rustup
COPY --from=rust /usr/local/cargo /usr/local/cargo
WORKDIR /source
COPY . .
ENV PROFILE=dist
RUN make dist-wheel
RUN make install-runtime PREFIX=/opt/parallelpool

FROM python:3.13-slim-bookworm
COPY --from=builder /opt/parallelpool /opt/parallelpool
COPY --from=builder --chown=10001:10001 /opt/parallelpool/data /data
ENV PATH=/opt/parallelpool/bin:$PATH \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    PARALLELPOOL_DATADIR=/data
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8545 6060
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:6060/healthz', timeout=2)"]
ENTRYPOINT ["parallelpool"]
