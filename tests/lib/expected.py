"""What rowfs must show for a database, worked out by other means: COPY text, parsed here.

    expected.py OUTDIR [--schema NAME]... [--root] [--key schema.view=column,column]...

Writes OUTDIR/<schema>/<table>/<name>.json for every row (--root: without the schema's directory) and
prints the number of rows. It shares no code with rowfs and follows docs/filesystem.md alone, so that
`diff -r OUTDIR MOUNT` compares two independent readings of the same rules.
The connection comes from the PG* environment.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys

PINNED = ("DateStyle=ISO TimeZone=UTC IntervalStyle=iso_8601 bytea_output=hex extra_float_digits=1 "
          "lc_monetary=C xmloption=content").split()
ENVIRONMENT = dict(os.environ, PGOPTIONS=" ".join("-c " + s for s in PINNED), PGCLIENTENCODING="UTF8",
                   PGAPPNAME="psql")

UNESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}

COLUMNS = """
WITH RECURSIVE walk (oid, base) AS (
	SELECT oid, oid FROM pg_type
	UNION ALL SELECT w.oid, t.typbasetype FROM walk w JOIN pg_type t ON t.oid = w.base
	WHERE t.typtype = 'd'),
base AS (
	SELECT w.oid, t.typname, t.typcategory, t.typlen, t.typelem, t.typdelim
	FROM walk w JOIN pg_type t ON t.oid = w.base WHERE t.typtype <> 'd')
SELECT n.nspname, c.relname, c.relkind, a.attname, t.typname,
       CASE WHEN t.typcategory = 'A' AND t.typlen = -1 AND t.typelem <> 0
            AND t.typname NOT IN ('int2vector', 'oidvector') THEN e.typname END,
       coalesce(raw.typdelim, ','),
       coalesce((SELECT array_position(p.conkey, a.attnum) FROM pg_constraint p
                 WHERE p.conrelid = c.oid AND p.contype = 'p'), 0)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN base t ON t.oid = a.atttypid
LEFT JOIN base e ON e.oid = t.typelem
LEFT JOIN pg_type raw ON raw.oid = t.typelem
WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f') AND NOT c.relispartition
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1, 2, a.attnum"""

UNIQUE = """
SELECT (SELECT string_agg(a.attname, E'\\x01' ORDER BY k.place)
        FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number)
FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid
WHERE i.indrelid = %s::regclass AND i.indisunique AND i.indimmediate AND i.indisvalid
  AND i.indpred IS NULL AND i.indexprs IS NULL
  AND (c.relkind = 'm' OR NOT EXISTS (
	SELECT FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
	AND NOT a.attnotnull))
ORDER BY i.indnatts, ic.relname LIMIT 1"""


class Raw(str):
    """A JSON number, as it is spelled."""


def copy(query):
    """The lines of a query's COPY text, each a list of str or None."""
    out = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", f"COPY ({query}) TO STDOUT"],
                         env=ENVIRONMENT, stdout=subprocess.PIPE, check=True).stdout.decode("utf-8")
    for line in out.split("\n")[:-1]:
        yield [None if cell == r"\N" else unescape(cell) for cell in line.split("\t")]


def unescape(cell):
    return re.sub(r"\\(.)", lambda m: UNESCAPED.get(m.group(1), m.group(1)), cell)


def quote(*names):
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(text):
    return "'" + text.replace("'", "''") + "'"


# Names


def escape_part(text, comma=True):
    special = "/%," if comma else "/%"
    out = "".join(f"%{ord(c):02X}" if c in special or ord(c) < 32 or ord(c) == 127 else c for c in text)
    return "%2E" + out[1:] if out.startswith(".") else out


def name_of(key):
    parts = ["%-" if part is None else "%" if part == "" else escape_part(part) for part in key]
    name = ",".join(parts)
    if len(name.encode()) + len(".json") <= 200:
        return name + ".json"
    digest = hashlib.sha256()
    for part in key:
        data = b"-:" if part is None else str(len(part.encode())).encode() + b":" + part.encode()
        digest.update(data)
    cut = b""
    for piece in re.findall(rb"%[0-9A-F]{2}|%-|[\x00-\x7f]|[\xc0-\xff][\x80-\xbf]*", name.encode()):
        if len(cut) + len(piece) > 129:
            break
        cut += piece
    return cut.decode() + "%~" + digest.hexdigest() + ".json"


# Values


def string(text):
    return json.dumps(text, ensure_ascii=False)


def number(text, exact):
    return text if exact else string(text)


def fits_double(numeric):
    if numeric in ("NaN", "Infinity", "-Infinity"):
        return False
    whole, _, fraction = numeric.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    power = len(digits) - len(fraction) - 1
    return not digits or (len(digits) <= 15 and -290 < power < 290)


def parse_json(text):
    return json.loads(text, parse_int=Raw, parse_float=Raw)


def indented(value, depth):
    """jsonb, over several lines."""
    pad = "  " * (depth + 1)
    end = "  " * depth
    if isinstance(value, dict):
        if not value:
            return "{}"
        lines = [f"{pad}{string(k)}: {indented(v, depth + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(lines) + "\n" + end + "}"
    if isinstance(value, list):
        if not value:
            return "[]"
        return "[\n" + ",\n".join(pad + indented(v, depth + 1) for v in value) + "\n" + end + "]"
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, str):
        return string(value)
    return {None: "null", True: "true", False: "false"}[value]


def must_wrap(value):
    """JSON's null, and an object whose only member is "%", stand inside one more {"%": …}."""
    return value is None or (isinstance(value, dict) and list(value) == ["%"])


def json_text(typname, text, depth):
    """depth 0: an element of an array, which stays on one line."""
    value = parse_json(text)
    out = indented(value, depth) if typname == "jsonb" and depth else text
    return '{"%": ' + out + "}" if must_wrap(value) else out


def scalar(typname, text, depth):
    if text is None:
        return "null"
    if typname in ("int2", "int4", "int8"):
        return number(text, abs(int(text)) <= 2 ** 53)
    if typname in ("float4", "float8"):
        return number(text, text not in ("NaN", "Infinity", "-Infinity"))
    if typname == "numeric":
        return number(text, fits_double(text))
    if typname == "bool":
        return {"t": "true", "f": "false"}[text]
    if typname in ("json", "jsonb"):
        return json_text(typname, text, depth)
    return string(text)


def parse_array(text, delimiter):
    """Nested lists of str and None; None for a literal with bounds of its own."""
    if not text.startswith("{"):
        return None
    position = 0

    def value():
        nonlocal position
        if text[position] == "{":
            position += 1
            items = []
            while text[position] != "}":
                items.append(value())
                if text[position] == delimiter:
                    position += 1
            position += 1
            return items
        if text[position] == '"':
            position += 1
            out = ""
            while text[position] != '"':
                if text[position] == "\\":
                    position += 1
                out += text[position]
                position += 1
            position += 1
            return out
        start = position
        out = ""
        while text[position] not in (delimiter, "}"):
            if text[position] == "\\":
                position += 1
            out += text[position]
            position += 1
        return None if text[start:position].upper() == "NULL" else out

    return value()


def array(element, items):
    parts = [array(element, i) if isinstance(i, list) else scalar(element, i, 0) for i in items]
    return "[" + ", ".join(parts) + "]"


def cell(column, text):
    if text is None:
        return "null"
    if column["element"]:
        items = parse_array(text, column["delimiter"])
        # In several dimensions an inner array could be a value of JSON.
        nested = any(isinstance(item, list) for item in items or [])
        if items is None or (nested and column["element"] in ("json", "jsonb")):
            return string(text)
        return array(column["element"], items)
    return scalar(column["type"], text, 1)


def row_text(columns, cells):
    lines = [f"  {string(c['name'])}: {cell(c, text)}" for c, text in zip(columns, cells)]
    return "{\n" + ",\n".join(lines) + "\n}\n"


# Relations


def relations():
    found = {}
    for space, name, kind, column, typname, element, delimiter, place in copy(COLUMNS):
        relation = found.setdefault((space, name), {"kind": kind, "columns": []})
        relation["columns"].append({"name": column, "type": typname, "element": element,
                                    "delimiter": delimiter, "place": int(place)})
    return found


def key_columns(space, name, relation, configured):
    if f"{space}.{name}" in configured:
        return configured[f"{space}.{name}"]
    primary = sorted((c["place"], c["name"]) for c in relation["columns"] if c["place"])
    if primary:
        return [column for _, column in primary]
    for (columns,) in copy(UNIQUE % literal(quote(space, name))):
        return columns.split("\x01")
    return None


def write_relation(out, space, name, relation, configured):
    columns = relation["columns"]
    key = key_columns(space, name, relation, configured)
    if key is None and relation["kind"] not in ("r", "p"):
        return 0
    if key is None:
        key = ["tableoid", "ctid"] if relation["kind"] == "p" else ["ctid"]
        key_sql = [f"{part}::oid::text" if part == "tableoid" else f"{part}::text" for part in key]
    else:
        key_sql = [quote(part) for part in key]
    folder = os.path.join(out, escape_part(name, comma=False))
    os.makedirs(folder, exist_ok=True)
    only = "ONLY " if relation["kind"] == "r" else ""
    names = ", ".join(key_sql + [quote(c["name"]) for c in columns])
    count = 0
    for line in copy(f"SELECT {names} FROM {only}{quote(space, name)}"):
        path = os.path.join(folder, name_of(line[:len(key)]))
        with open(path, "x", encoding="utf-8", newline="") as file:
            file.write(row_text(columns, line[len(key):]))
        count += 1
    return count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--schema", action="append")
    parser.add_argument("--root", action="store_true")
    parser.add_argument("--key", action="append", default=[])
    options = parser.parse_args()
    configured = {name: columns.split(",") for name, columns in (k.split("=", 1) for k in options.key)}
    total = 0
    for (space, name), relation in relations().items():
        if options.schema and space not in options.schema:
            continue
        out = options.out if options.root else os.path.join(options.out, escape_part(space, comma=False))
        total += write_relation(out, space, name, relation, configured)
    print(total)


sys.setrecursionlimit(10000)
main()
