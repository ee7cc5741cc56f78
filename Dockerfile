# Targets: `runtime` (default) for production; `dev` reloads synced code.
# Requires BuildKit. In production pin PYTHON_IMAGE by digest.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
ARG UV_VERSION=0.13.9
ARG SBOM_TOOL_VERSION=7.5.0
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never \
    VIRTUAL_ENV=/app/.venv
# strip, for the symbols of extension modules: 39 MB.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends binutils && rm -rf /var/lib/apt/lists/*
RUN --mount=type=cache,target=/root/.cache/pip pip install --root-user-action=ignore uv==${UV_VERSION}
RUN uv venv --python "$(command -v python3)" ${VIRTUAL_ENV}
WORKDIR /src
# Dependencies first: they change less often than the code.
RUN --mount=type=cache,target=/root/.cache/uv \
    --mount=type=bind,source=requirements.lock,target=requirements.lock \
    uv pip sync --require-hashes requirements.lock \
 # For colours in a terminal. typer (TYPER_USE_RICH) and structlog do without; structlog would load them at each start.
 && uv pip uninstall rich pygments markdown-it-py mdurl \
 && find ${VIRTUAL_ENV} -name '*.so*' -type f -exec strip --strip-unneeded {} +
COPY pyproject.toml README.md LICENSE ./
COPY backend backend
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --no-deps . \
 && mkdir -p ${VIRTUAL_ENV}/share \
 && uvx --from cyclonedx-bom==${SBOM_TOOL_VERSION} cyclonedx-py environment \
        --output-reproducible --output-file ${VIRTUAL_ENV}/share/sbom.cdx.json ${VIRTUAL_ENV}/bin/python

FROM ${PYTHON_IMAGE} AS dev
ENV PATH=/app/.venv/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 \
    UV_CACHE_DIR=/tmp/uv \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never \
    HOST=0.0.0.0 \
    PORT=8000 \
    OPS_PORT=9000 \
    RUN_DIR=/run/app
COPY --from=build /usr/local/bin/uv /usr/local/bin/uv
RUN install -d -o 10001 -g 10001 /app /run/app
WORKDIR /app
# The container's user owns all files: live update writes code and packages as that user.
USER 10001:10001
RUN --mount=type=cache,target=/tmp/uv,uid=10001,gid=10001 \
    --mount=type=bind,source=requirements-dev.lock,target=requirements-dev.lock \
    uv venv && uv pip sync --require-hashes requirements-dev.lock
COPY --chown=10001:10001 pyproject.toml README.md LICENSE requirements-dev.lock ./
COPY --chown=10001:10001 backend backend
RUN --mount=type=cache,target=/tmp/uv,uid=10001,gid=10001 uv pip install --no-deps --editable .
EXPOSE 8000 9000
ENTRYPOINT ["task-service"]
CMD ["dev", "--reload"]

FROM ${PYTHON_IMAGE} AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="task-service" \
      org.opencontainers.image.description="Task service: FastAPI on PostgreSQL behind a Better Auth frontend" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/app/.venv/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 \
    TYPER_USE_RICH=0 \
    ENVIRONMENT=production \
    HOST=0.0.0.0 \
    PORT=8000 \
    OPS_PORT=9000 \
    RUN_DIR=/run/app
RUN install -d -o 10001 -g 10001 /run/app
COPY --from=build /app/.venv /app/.venv
WORKDIR /app
# Numeric, so that Kubernetes can verify runAsNonRoot.
USER 10001:10001
EXPOSE 8000 9000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --start-interval=1s \
    CMD ["python", "-m", "backend.platform.server.healthcheck"]
ENTRYPOINT ["task-service"]
CMD ["serve"]
