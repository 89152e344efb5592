"""Copies the rows of a SQLite database into the same, empty tables of a PostgreSQL database.

    to_postgres.py FILE URL
"""

import sqlite3
import subprocess
import sys

ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def field(value):
    if value is None:
        return "\\N"
    if isinstance(value, bytes):
        return "\\\\x" + value.hex()
    return str(value).translate(ESCAPES)


def main(path, url):
    source = sqlite3.connect(path)
    # Tables come in any order: references are not looked at.
    script = ["SET session_replication_role = replica;"]
    tables = source.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'migrations'")
    for (table,) in tables.fetchall():
        rows = source.execute(f"SELECT * FROM {table}")
        columns = ", ".join(column[0] for column in rows.description)
        script.append(f"COPY {table} ({columns}) FROM STDIN;")
        script.extend("\t".join(map(field, row)) for row in rows)
        script.append("\\.")
    command = ["psql", "--quiet", "--set", "ON_ERROR_STOP=1", url]
    subprocess.run(command, input="\n".join(script) + "\n", text=True, check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
