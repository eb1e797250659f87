"""The rows that the race is about: what they are in PostgreSQL, and what their files must say.

    rows     lines 1 to 48, in files 1.json to 48.json; some lines move to key + 1000 and back,
             some come and go
    others   lines 501 to 506, which go and come back all at once (TRUNCATE)

Each line has a counter. Whatever changes a line takes the next number, in the transaction that changes it,
and notes in harness.journal which key holds what since then. The counter's row stays locked until that
transaction ends, so a line's versions are numbered in the order in which they become visible. The
journal is the truth that reads are measured against: a write whose answer was lost is in it, or it never was.

Version and writer make the whole text: the padding has another length in each version, so that a size
tells versions apart, too; a trigger copies the version once more AFTER the row was written, so that what
RETURNING said is never what the transaction leaves behind.
"""

import hashlib
import json

WAVE = list(range(1, 31))           # written one after another, then left alone for seconds
CALM = list(range(31, 39))          # written at random
MOVING = list(range(39, 43))        # change their key
GOING = list(range(43, 49))         # are deleted and inserted
OTHERS = list(range(501, 507))      # are truncated
LINES = WAVE + CALM + MOVING + GOING + OTHERS
KEYS = LINES + [line + 1000 for line in MOVING]

SCHEMA = """
CREATE SCHEMA harness;
-- Neither has a primary key, so that change capture leaves them alone.
CREATE TABLE harness.counter (line int NOT NULL, v bigint NOT NULL) WITH (fillfactor = 20);
CREATE UNIQUE INDEX ON harness.counter (line);
CREATE TABLE harness.journal (seq bigserial, key int, v bigint, who text, xid bigint, live bool);
CREATE INDEX ON harness.journal (seq);

CREATE FUNCTION harness.next(key int) RETURNS bigint LANGUAGE sql AS
    $$ UPDATE harness.counter SET v = v + 1 WHERE line = key % 1000 RETURNING v $$;
CREATE FUNCTION harness.note(key int, v bigint, who text, live bool) RETURNS void LANGUAGE sql AS
    $$ INSERT INTO harness.journal (key, v, who, xid, live)
       VALUES (key, v, who, pg_current_xact_id()::text::bigint, live) $$;

CREATE FUNCTION harness.stamp() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM harness.note(OLD.id, harness.next(OLD.id), current_setting('harness.who', true), false);
        RETURN OLD;
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.who = OLD.who THEN RETURN NEW; END IF;
    n := harness.next(NEW.id);
    IF TG_OP = 'UPDATE' AND NEW.id <> OLD.id THEN
        PERFORM harness.note(OLD.id, n, NEW.who, false);
    END IF;
    NEW.v := n;
    NEW.pad := repeat('x', (n * 17 % 101)::int * CASE WHEN NEW.id % 10 = 0 THEN 60 ELSE 1 END);
    PERFORM harness.note(NEW.id, n, NEW.who, true);
    RETURN NEW;
END $$;

CREATE FUNCTION harness.echo() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('UPDATE %s SET echo = $1 WHERE id = $2', TG_RELID::regclass) USING NEW.v, NEW.id;
    RETURN NULL;
END $$;

CREATE FUNCTION harness.emptied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM harness.note(id, harness.next(id), current_setting('harness.who', true), false)
        FROM (SELECT id FROM others ORDER BY id) o;
    RETURN NULL;
END $$;

CREATE TABLE rows (
    id int PRIMARY KEY, v bigint NOT NULL, who text NOT NULL, echo bigint NOT NULL DEFAULT 0,
    pad text NOT NULL,
    seal text GENERATED ALWAYS AS (md5(id::text || '/' || v::text || '/' || who || '/' || pad)) STORED);
CREATE TABLE others (LIKE rows INCLUDING ALL);
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE OR DELETE ON rows FOR EACH ROW EXECUTE FUNCTION harness.stamp();
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE OR DELETE ON others FOR EACH ROW EXECUTE FUNCTION harness.stamp();
CREATE TRIGGER echo AFTER INSERT OR UPDATE ON rows FOR EACH ROW
    WHEN (NEW.echo <> NEW.v) EXECUTE FUNCTION harness.echo();
CREATE TRIGGER echo AFTER INSERT OR UPDATE ON others FOR EACH ROW
    WHEN (NEW.echo <> NEW.v) EXECUTE FUNCTION harness.echo();
CREATE TRIGGER emptied BEFORE TRUNCATE ON others EXECUTE FUNCTION harness.emptied();

-- For long and large transactions: nobody reads it.
CREATE TABLE ballast (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);
INSERT INTO ballast SELECT generate_series(1, 6000);
"""


def seed_sql():
    lines = ",".join(f"({line})" for line in LINES)
    rows = ",".join(f"({line}, '{who_text(0)}')" for line in LINES if line not in OTHERS)
    others = ",".join(f"({line}, '{who_text(0)}')" for line in OTHERS)
    return (f"INSERT INTO harness.counter SELECT *, 0 FROM (VALUES {lines}) l;"
            f"INSERT INTO rows (id, who) VALUES {rows};"
            f"INSERT INTO others (id, who) VALUES {others};")


def table_of(key):
    return "others" if key % 1000 > 500 else "rows"


def who_text(who):
    """A write's name, in the row: who wrote it, and which of his writes it was."""
    return f"{who // 10_000_000:02d}.{who % 10_000_000:07d}"


def who_number(text):
    return int(text.replace(".", ""))


def row_text(key, version, who):
    """The file, byte for byte."""
    pad = "x" * (version * 17 % 101 * (60 if key % 10 == 0 else 1))
    seal = hashlib.md5(f"{key}/{version}/{who_text(who)}/{pad}".encode()).hexdigest()
    return json.dumps({"id": key, "v": version, "who": who_text(who), "echo": version, "pad": pad, "seal": seal},
                      indent=2) + "\n"


def row_size(key, version):
    """The length of row_text(), without making it."""
    pad = version * 17 % 101 * (60 if key % 10 == 0 else 1)
    return EMPTY + len(str(key)) + 2 * len(str(version)) + pad


EMPTY = len(row_text(1, 0, 0)) - 3
