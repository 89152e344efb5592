"""The service of the comparison: a task is posted, its arguments go to Redis, and a Job is made of it."""

import asyncio
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import tornado.web
from kubernetes import client, config
from redis import Redis
from tornado.ioloop import IOLoop

NAMESPACE, REDIS = sys.argv[1], Redis.from_url(sys.argv[2])
TOKEN = "token-of-the-comparison"
CAPABILITIES = client.V1Capabilities(drop=["ALL"])


def job(task, owner, title):
    """A Job like ours."""
    name = f"job-{task}"
    labels = {"studio.compute/run": task, "app": "model", "owner": owner, "title": title}
    container = client.V1Container(
        name="run",
        image="registry/model:1",
        command=["job", "--job-id", task, "--route-name", "sim"],
        env=[client.V1EnvVar(name="REDIS_KEY", value=name), client.V1EnvVar(name="URL", value="http://outputs")],
        resources=client.V1ResourceRequirements(
            requests={"cpu": "1", "memory": "1G"}, limits={"cpu": "1", "memory": "1G"}
        ),
        security_context=client.V1SecurityContext(allow_privilege_escalation=False, capabilities=CAPABILITIES),
    )
    pod = client.V1PodSpec(containers=[container], restart_policy="Never", automount_service_account_token=False)
    template = client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(labels=labels), spec=pod)
    spec = client.V1JobSpec(template=template, backoff_limit=0, ttl_seconds_after_finished=600)
    metadata = client.V1ObjectMeta(name=name, labels=labels)
    return client.V1Job(api_version="batch/v1", kind="Job", metadata=metadata, spec=spec)


class Task(tornado.web.RequestHandler):
    """Takes a task."""

    def initialize(self, batch, threads):
        """What all requests share."""
        self.batch, self.threads = batch, threads

    async def post(self, owner, title):
        """Make a Job of it."""
        if self.request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise tornado.web.HTTPError(401)
        asked = json.loads(self.request.body)
        await IOLoop.current().run_in_executor(self.threads, self.make, asked, owner, title)
        self.write({"status": "PENDING", "task_id": asked["task_id"]})

    def make(self, asked, owner, title):
        """Both calls block, so that this is done in a thread."""
        REDIS.set(f"job-{asked['task_id']}", json.dumps(asked["task_kwargs"]), ex=3600)
        self.batch.create_namespaced_job(NAMESPACE, job(asked["task_id"], owner, title))


async def main():
    """Serve for ever."""
    config.load_kube_config()
    shared = {"batch": client.BatchV1Api(), "threads": ThreadPoolExecutor(8)}
    application = tornado.web.Application([(r"/([^/]+)/([^/]+)/", Task, shared)])
    server = application.listen(0, "127.0.0.1")
    port = next(iter(server._sockets.values())).getsockname()[1]
    print(json.dumps({"url": f"http://127.0.0.1:{port}", "token": TOKEN}), flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
