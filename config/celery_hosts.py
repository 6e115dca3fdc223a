"""One host of CASE.yaml per Celery task: `host.delay("CASE.yaml", "WS-0142")`; at the end `defender-exporter batch CASE.yaml --merge`."""

import subprocess

from celery import Celery

app = Celery("hosts", broker="redis://localhost")


@app.task(bind=True, acks_late=True, max_retries=10)
def host(task, case_file, name):
    """The exit code: 0 complete, 4 with losses. A sink that is away (75) is tried again in a minute."""
    code = subprocess.run(
        ["defender-exporter", "batch", case_file, "--only", name, "--resume", "--progress", "none"], check=False
    ).returncode
    if code == 75:
        raise task.retry(countdown=60)
    return code
