# One image for the web, the workers and Celery: compose.yaml says which of them a container is.

FROM node:22-bookworm-slim AS client
WORKDIR /client
COPY package.json .npmrc ./
RUN npm install --omit=dev

FROM python:3.11-slim-bookworm AS environment
WORKDIR /app
COPY pyproject.toml constraints.txt ./
COPY scripts/environment.py scripts/
# A failed installation shows pip's own words: its log is in the layer that is thrown away.
RUN python scripts/environment.py production || (cat .venv/install.log; exit 1) \
    && rm -f .venv/install.log \
    && .venv/bin/python -m pip uninstall --quiet --yes pip

FROM python:3.11-slim-bookworm
# The number is fixed, so that volumes belong to the same user after an upgrade.
RUN useradd --uid 10001 --create-home --home-dir /home/clinic clinic \
    && install --directory --owner clinic --mode 0700 /data
WORKDIR /app
COPY --from=environment /app/.venv .venv
COPY --from=client /client/node_modules/livekit-client/package.json node_modules/livekit-client/
COPY --from=client /client/node_modules/livekit-client/dist/livekit-client.esm.mjs \
    /client/node_modules/livekit-client/dist/livekit-client.esm.mjs.map node_modules/livekit-client/dist/
COPY manage.py package.json ./
COPY static static
COPY templates templates
COPY clinic clinic
COPY phone phone
COPY agent_worker agent_worker
# Compiled ahead, so that containers start in seconds. Files that libraries carry for other Pythons do not compile.
RUN .venv/bin/python -m compileall -q -j 0 .venv/lib clinic phone agent_worker || true
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CLINIC_MODE=production \
    CLINIC_DATA_DIR=/data
USER clinic
VOLUME /data
CMD ["python", "manage.py", "serve"]
