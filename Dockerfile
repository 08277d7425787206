# What `slategym serve` runs, with the versions of constraints.txt (docs/journey/serve.md):
#   docker build -t slategym-serve .
#   docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD/runs/mine/export:/policy:ro" slategym-serve
FROM python:3.11-slim
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY slategym slategym
COPY envs envs
COPY models models
COPY agents agents
COPY experiments experiments
RUN python -m pip install --no-cache-dir --constraint constraints.txt torch==2.13.0 \
 && python -m pip install --no-cache-dir --constraint constraints.txt '.[serve]'
ENV SLATEGYM_HOME=/tmp/slategym
USER nobody
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health', timeout=5)"]
ENTRYPOINT ["slategym", "serve", "/policy"]
CMD ["--host", "0.0.0.0", "--port", "8000"]
