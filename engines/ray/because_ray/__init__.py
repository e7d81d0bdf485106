"""The Ray engine of because: trains with TRL on a Ray cluster what a job.json asks for, and serves what it trained.

It is sent along with each job, so that nothing of it has to be installed in the cluster; its dependencies must be
(see pyproject.toml). `python -m because_ray train job.json` speaks on lines that begin with `@because ` (events.py).
"""

__version__ = "0.1.0"
