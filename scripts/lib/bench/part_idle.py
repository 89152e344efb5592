"""A thousand published models, none in use: processes, memory, CPU and SQL over a minute."""

import sqlite3
import time
import uuid

import processes

MODELS = 1000


def columns(connection, table):
    """Names of a table's columns."""
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def copy_rows(connection, table, where, given, changed):
    """Copy the rows that match, with other values in some columns."""
    names = columns(connection, table)
    chosen = ", ".join(":" + name if name in changed else name for name in names)
    sql = f"INSERT INTO {table} ({', '.join(names)}) SELECT {chosen} FROM {table} WHERE {where} = :given"
    connection.execute(sql, {**changed, "given": given})


def fill(database, title, count):
    """Make the model `count` models, each with a live version and its schemas."""
    connection = sqlite3.connect(database)
    with connection:
        sql = "SELECT id, live_version_id FROM models WHERE title = ?"
        model, version = connection.execute(sql, (title,)).fetchone()
        have = connection.execute("SELECT count(*) FROM models WHERE live_version_id IS NOT NULL").fetchone()[0]
        for number in range(count - have):
            new_model, new_version = str(uuid.uuid4()), str(uuid.uuid4())
            name = f"{title}-{number}"
            changed = {"id": new_model, "title": name, "title_key": name.lower(), "live_version_id": new_version}
            copy_rows(connection, "models", "id", model, changed)
            copy_rows(connection, "model_roles", "model_id", model, {"model_id": new_model})
            copy_rows(connection, "versions", "id", version, {"id": new_version, "model_id": new_model})
            copy_rows(connection, "schemas", "version_id", version, {"version_id": new_version})
        total = connection.execute("SELECT count(*) FROM models WHERE live_version_id IS NOT NULL").fetchone()[0]
    connection.close()
    return total


def statements(log, offset):
    """SQL statements that the server's log has from there on."""
    with log.open("rb") as file:
        file.seek(offset)
        return sum(b"sqlx::query" in line for line in file)


def measure(server, rows, quick):
    """With the log of SQL on, so that statements can be counted."""
    title = server.publish("contract/Null")
    server.stop()
    total = fill(server.data / "csw.db", title, MODELS)
    server.start("info,sqlx=debug")
    client = server.client()
    shown = client.get("/api/v1/models/?page_size=1")["count"]
    client.close()
    logged = statements(server.log, 0)
    time.sleep(5)
    seconds = 10 if quick else 60
    tree = processes.tree(server.pid)
    cpu, offset = processes.exact_cpu_seconds(server.pid), server.log.stat().st_size
    time.sleep(seconds)
    cpu = processes.exact_cpu_seconds(server.pid) - cpu
    rows.add("published models", total, at_least=MODELS)
    rows.add("in the server's list", shown)
    rows.add("processes beside the server", len(tree) - 1, at_most=0)
    rows.add("resident memory", processes.resident_bytes(server.pid) / 2**20, "MiB", at_most=100)
    rows.add(f"CPU over {seconds} s", 100 * cpu / seconds, "%", at_most=0.1)
    rows.add("statements logged while it started", logged, at_least=1)
    rows.add(f"SQL statements over {seconds} s", statements(server.log, offset), at_most=0)
