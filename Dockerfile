# A worker, or any other streamproc command. Dependencies are the locked ones, hashes checked.
#   docker build .                      workers and all else that needs no web framework
#   docker build --target gateway .     the same and `streamproc gateway`
FROM python:3.11-slim AS base

COPY requirements/run.txt /tmp/run.txt
RUN pip install --no-cache-dir --require-hashes -r /tmp/run.txt && rm /tmp/run.txt

# Topics and models lie beside the package, as in a checkout, and are found there.
WORKDIR /app
COPY streamproc streamproc
RUN python -m compileall -q streamproc
COPY topics topics
COPY models models

ENV PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# Probes and Prometheus come from outside of the container.
ENV STREAMPROC_WEB_HOST=0.0.0.0 STREAMPROC_WEB_PORT=8080
EXPOSE 8080
RUN useradd --system --uid 10001 streamproc
USER 10001
WORKDIR /tmp
ENTRYPOINT ["python", "-m", "streamproc"]
CMD ["worker"]

FROM base AS gateway
USER root
# Versions and hashes are those of the lock of all extras.
COPY requirements/uv.txt requirements/dev.txt /tmp/requirements/
RUN pip install --no-cache-dir --require-hashes -r /tmp/requirements/uv.txt \
    && uv pip install --system --no-cache --compile-bytecode --verify-hashes -c /tmp/requirements/dev.txt \
        fastapi "pyjwt[crypto]" uvicorn \
    && pip uninstall --yes uv && rm -r /tmp/requirements
USER 10001
CMD ["gateway"]

FROM base AS worker
