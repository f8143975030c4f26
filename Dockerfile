# The tool as an image: docker build -t difyprobe . && docker run --rm -e DIFY_API_KEY -v "$PWD:/work" difyprobe check --base-url https://dify.example/v1
FROM rust:1.95-slim-trixie AS build
# aws-lc and mimalloc are built from C
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake g++ make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --profile dist --locked --bin difyprobe

FROM debian:trixie-slim
# certificates of servers are checked against those of the system
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home probe
COPY --from=build /src/target/dist/difyprobe /usr/local/bin/difyprobe
USER probe
# reports, snapshots, scenarios and difyprobe.toml are here
WORKDIR /work
ENTRYPOINT ["difyprobe"]
CMD ["--help"]
