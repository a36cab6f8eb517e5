#!/usr/bin/env bash
# sqlite-vec 0.1.9: a vec0 table with a column of the type float16[4].
# Guess: half the bytes, or an error, for the types are float, int8 and bit.
# Seen: a name of a type counts by its beginning, so float16[4], and float99[4] too, make a column of float32, without a word:
# four bytes a dimension are stored. int4[4] and f16[4] are refused.
# Effect: a table that was meant to take half the room takes all of it, and what is measured on it says nothing about float16.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet sqlite-vec==0.1.9 pysqlite3==0.6.0
cat > "$folder/check.py" <<'P'
import struct

import pysqlite3
import sqlite_vec

database = pysqlite3.connect(":memory:")
database.enable_load_extension(True)
sqlite_vec.load(database)
for kind in ("float", "float16", "float99"):
    database.execute(f"CREATE VIRTUAL TABLE {kind}s USING vec0(v {kind}[4])")
    database.execute(f"INSERT INTO {kind}s(v) VALUES (?)", [struct.pack("4f", 1, 2, 3, 4)])
    stored = database.execute(f"SELECT vec_type(v), length(v) FROM {kind}s").fetchone()
    print(f"{kind}[4]: {stored[0]}, {stored[1]} bytes")
    assert stored == ("float32", 16)
for kind in ("int4", "f16"):
    try:
        database.execute(f"CREATE VIRTUAL TABLE {kind}s USING vec0(v {kind}[4])")
    except pysqlite3.OperationalError as error:
        print(f"{kind}[4]: {error}")
    else:
        raise SystemExit(f"{kind}[4] is taken")
P
"$folder/venv/bin/python" "$folder/check.py"
