# The broker as one image. It runs the TypeScript sources as they are: Node 26 strips the types, and the compile cache that is
# filled below keeps the result, so a build step would add tools and minutes and save no start-up time.

# Only what `npm ci` reads, so that a changed source file does not install everything again.
FROM node:26-bookworm-slim AS manifests
COPY . /source
RUN cd /source && find . -name package.json -o -name package-lock.json -o -name .npmrc | xargs cp --parents -t /opt

# Only what the broker needs. Node itself, which the root brings along for other machines, is in the base image.
FROM node:26-bookworm-slim AS dependencies
WORKDIR /milena
COPY --from=manifests /opt ./
RUN npm ci --omit=dev --ignore-scripts --workspace=@milena/broker --no-audit --no-fund

FROM node:26-bookworm-slim
WORKDIR /milena
ENV NODE_ENV=production \
    NODE_OPTIONS="--conditions=@milena/source --disable-warning=ExperimentalWarning" \
    NODE_COMPILE_CACHE=/milena/.cache
COPY --from=dependencies /milena ./
COPY . .
RUN mkdir /data .cache && chown node:node /data .cache
USER node
# A broker that starts and stops proves the image and fills the compile cache of its user.
RUN node --input-type=module -e " \
  await import('/milena/apps/broker/src/node/supervise.ts'); \
  const { startBroker } = await import('@milena/broker'); \
  const broker = await startBroker({ dataFolder: '/tmp/warm-up', shardCount: 2 }); \
  await broker.stop()" && rm -r /tmp/warm-up
VOLUME /data
EXPOSE 9092 9093 9644
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9644/v1/status/ready').then(answer => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Clients on the container host come through a published port and are seen with the address of the network's gateway: they are
# told `localhost`, where that port is. All others are told the address that they dialled.
ENTRYPOINT ["node", "apps/broker/bin/milena.js", "start", "--data-dir", "/data", "--host", "0.0.0.0", "-o", "advertised.gateway.host=localhost"]
CMD ["--shards", "2"]
