"""A Celery worker with a thousand tasks, and RQ. Workers are processes of their own, as in production."""

import os
import subprocess
import sys
import time

import celery
import redis
import rq

PORT = os.environ["PORT"]
TASKS = 1000

app = celery.Celery("queues", broker=f"redis://127.0.0.1:{PORT}/3", backend=f"redis://127.0.0.1:{PORT}/4")
app.conf.update(task_serializer="json", result_expires=600, broker_connection_retry_on_startup=True)


@app.task(name="add")
def add(a, b):
    return a + b


@app.task(name="total")
def total(numbers):
    return sum(numbers)


@app.task(name="flaky", bind=True, max_retries=3, default_retry_delay=0)
def flaky(self):
    if self.request.retries < 2:
        raise self.retry()
    return self.request.retries


def squared(number):
    return number * number


def with_celery():
    command = [sys.executable, "-m", "celery", "-A", "queues", "worker", "--concurrency", "2", "--loglevel", "ERROR"]
    worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        results = celery.group(add.s(number, number) for number in range(TASKS)).apply_async()
        assert results.get(timeout=120) == [2 * number for number in range(TASKS)]
        chord = celery.chord(add.s(number, 1) for number in range(10))(total.s())
        assert chord.get(timeout=60) == sum(range(1, 11))
        assert celery.chain(add.s(1, 2), add.s(3), add.s(4)).apply_async().get(timeout=60) == 10
        assert flaky.delay().get(timeout=60) == 2
        later = add.apply_async((1, 1), countdown=0.2)
        assert later.get(timeout=60) == 2
        assert app.control.ping(timeout=5), "no worker answers over pub/sub"
    finally:
        worker.terminate()
        worker.wait(60)
    assert redis.Redis(port=int(PORT), db=3).llen("celery") == 0


def with_rq():
    connection = redis.Redis(port=int(PORT), db=5)
    queue = rq.Queue(connection=connection)
    jobs = [queue.enqueue("queues.squared", number) for number in range(50)]
    failing = queue.enqueue("queues.squared", "no number")
    command = [os.path.join(os.path.dirname(sys.executable), "rq"), "worker", "--burst", "--quiet"]
    command += ["--url", f"redis://127.0.0.1:{PORT}/5", "--worker-class", "rq.worker.SimpleWorker"]
    subprocess.run(command, check=True, timeout=120, stderr=subprocess.DEVNULL)
    assert [job.return_value() for job in jobs] == [number * number for number in range(50)]
    assert failing.get_status(refresh=True) == "failed"
    assert len(queue) == 0


if __name__ == "__main__":
    began = time.monotonic()
    with_celery()
    with_rq()
    took = time.monotonic() - began
    print(f"Celery {celery.__version__}: {TASKS} tasks, groups, chords, retries; RQ {rq.VERSION}: 51 jobs; {took:.1f} s")
