"""The worker of the comparison: RQ's own, which forks a process for each job; the function is imported beforehand."""

import sys

import cs_config.functions  # noqa: F401
from redis import Redis
from rq import Worker

Worker(["null"], connection=Redis(port=int(sys.argv[1]))).work(logging_level="ERROR")
