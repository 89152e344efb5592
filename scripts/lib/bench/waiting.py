"""Simulations that wait for their runs, as copies of one that is done, in the database of a server that is stopped."""

import json
import sqlite3
import time
import uuid

NOT_YET = ("started_at", "finished_at", "reason", "message", "lease", "model_version", "memo_key", "server")
FRESH = {"state": "queued", "attempt": 0, "cancel_requested": 0}


def queue(data, count, arguments):
    """Have so many wait; `arguments` are added to those of their runs."""
    connection = sqlite3.connect(f"{data}/csw.db", timeout=10)
    connection.row_factory = sqlite3.Row
    run = dict(connection.execute("SELECT * FROM runs WHERE task = 'sim' AND reason = 'SUCCESS' LIMIT 1").fetchone())
    sim = dict(connection.execute("SELECT * FROM simulations WHERE id = ?", [run["simulation_id"]]).fetchone())
    run |= {name: None for name in NOT_YET if name in run} | FRESH
    run["arguments"] = json.dumps(json.loads(run["arguments"]) | arguments)
    sim |= {"status": "PENDING", "reason": None, "finished_at": None, "expected_at": None, "run_milliseconds": 0}
    first = connection.execute("SELECT max(number) FROM simulations").fetchone()[0] + 1
    now = int(time.time() * 1e6)
    for number in range(count):
        simulation, id = str(uuid.uuid4()), str(uuid.uuid4())
        add(connection, "simulations", sim | {"id": simulation, "number": first + number, "run_id": id})
        add(connection, "runs", run | {"id": id, "simulation_id": simulation, "enqueued_at": now + number})
    connection.commit()
    connection.close()


def add(connection, table, row):
    """Insert a row."""
    places = ", ".join("?" for _ in row)
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", list(row.values()))
