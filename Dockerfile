# A worker, or any other streamproc command. Dependencies are the locked ones, hashes checked.
FROM python:3.11-slim

COPY requirements/run.txt /tmp/run.txt
RUN pip install --no-cache-dir --require-hashes -r /tmp/run.txt && rm /tmp/run.txt

# Topics and models lie beside the package, as in a checkout, and are found there.
WORKDIR /app
COPY streamproc streamproc
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
