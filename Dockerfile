FROM python:3.12-slim

WORKDIR /app
COPY requirements/run.txt requirements/run.txt
RUN pip install --no-cache-dir --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY streamproc streamproc
COPY topics topics
COPY models models
# hatchling is not among the run requirements: it is fetched to build this, and not kept.
RUN pip install --no-cache-dir --no-deps . && useradd --create-home streamproc
USER streamproc
EXPOSE 8080
ENTRYPOINT ["streamproc"]
