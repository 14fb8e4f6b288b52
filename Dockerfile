# Airboss in a container: built from the checkout, run as a user without rights, data under /var/lib/airboss.
FROM node:26-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-fund --no-audit
COPY . .
RUN npm run build && npm prune --omit=dev --no-fund --no-audit

FROM node:26-bookworm-slim
ENV NODE_ENV=production \
    AIRBOSS_DATA=/var/lib/airboss \
    AIRBOSS_LISTEN=0.0.0.0:9900 \
    AIRBOSS_OTLP_HTTP=0.0.0.0:4318 \
    AIRBOSS_OTLP_GRPC=0.0.0.0:4317 \
    AIRBOSS_CLICKHOUSE=0.0.0.0:8123
WORKDIR /app
COPY --from=build /build/package.json /build/LICENSE ./
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/bin bin
COPY --from=build /build/rules rules
COPY --from=build /build/dist dist
RUN install -d -o node -g node /var/lib/airboss /provision
USER node
VOLUME /var/lib/airboss
# console and APIs, OTLP over HTTP and gRPC, ClickHouse (read-only)
EXPOSE 9900 4318 4317 8123
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9900/-/healthy').then((a) => process.exit(a.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/bin/airboss.js"]
CMD ["serve"]
