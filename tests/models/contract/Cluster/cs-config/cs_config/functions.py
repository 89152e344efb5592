"""A model that starts a pool of processes when it is imported, and a server and a child when it runs."""

import json
import multiprocessing
import socket
import subprocess
import sys
import threading

import numpy
import threadpoolctl

from cs_config.work import square

POOL = multiprocessing.get_context("spawn").Pool(2)


def get_version():
    return "1.0.0"


def get_inputs(meta_param_dict):
    number = {"title": "Number", "description": "A number.", "type": "int", "value": [{"value": 2}], "validators": {}}
    return {"meta_parameters": {}, "model_parameters": {"Main": {"number": number}}}


def validate_inputs(meta_param_dict, adjustment, errors_warnings):
    return {"errors_warnings": errors_warnings}


def number_of(adjustment):
    given = adjustment.get("Main", {}).get("number", 2)
    return given[-1]["value"] if isinstance(given, list) else given


def over_a_socket(text):
    """Send a text through a server of our own, as schedulers of clusters do."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.sendall(connection.recv(100))

        worker = threading.Thread(target=answer)
        worker.start()
        with socket.create_connection(server.getsockname(), timeout=30) as client:
            client.sendall(text)
            answered = client.recv(100)
        worker.join()
    return answered.decode()


def run_model(meta_param_dict, adjustment):
    squares = POOL.map(square, range(number_of(adjustment)))
    child = subprocess.run([sys.executable, "-c", "print('from a child')"], capture_output=True, text=True, check=True)
    text = f"{squares} {over_a_socket(b'through a socket')} {child.stdout}"
    (numpy.ones((200, 200)) @ numpy.ones((200, 200))).sum()
    threads = {found["internal_api"]: found["num_threads"] for found in threadpoolctl.threadpool_info()}
    return {
        "renderable": [
            {"media_type": "Text", "title": "Work", "data": text},
            {"media_type": "Text", "title": "Threads", "data": json.dumps(threads)},
        ],
        "downloadable": [],
    }
