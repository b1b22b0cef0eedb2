# One image for every part: the api by default; the worker and the migration are the same image with another command.
#   docker run ... task-sync                              api
#   docker run ... task-sync node dist/workers/main.js    worker
#   docker run ... task-sync node dist/src/migrate.js     migration; run it first, it ends by itself
# Node 24 has support until April 2028. A build that is to be the same each time names the image with its digest as well: see what the tag stands for
# now (`docker buildx imagetools inspect node:24-bookworm-slim`, the line Digest), and again for each security release of Node or Debian:
#   docker build --build-arg NODE_IMAGE=node:24-bookworm-slim@sha256:<digest> .
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# With optional packages: the TypeScript compiler's binary is one.
RUN npm ci
COPY tsconfig.json ./
COPY config ./config
COPY scripts ./scripts
COPY src ./src
COPY workers ./workers
RUN npm run build

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional

FROM ${NODE_IMAGE}
ENV NODE_ENV=production HOST=0.0.0.0 PORT=5000
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist/config ./dist/config
COPY --from=build /app/dist/src ./dist/src
COPY --from=build /app/dist/workers ./dist/workers
# "type": "module" and the version that GET / shows.
COPY package.json ./
# The image's own user, uid 1000. Nothing below /app is written to.
USER node
EXPOSE 5000
# A worker has an HTTP port only when WORKER_HEALTH_PORT is set; then that one is asked.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.WORKER_HEALTH_PORT || process.env.PORT}/health/ready`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# node itself, not npm: npm would stand between the container's SIGTERM and the graceful stop.
CMD ["node", "dist/src/api/main.js"]
