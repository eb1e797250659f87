-- The tables of test_rows.c: a key of every type, k.<type> with the one column k.
CREATE EXTENSION citext;
CREATE SCHEMA k;
SET search_path TO k, public;

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN small AS positive CHECK (VALUE < 1000);
CREATE DOMAIN code AS char(4);
CREATE TYPE pair AS (a int, b text);
CREATE COLLATION insensitive (provider = icu, locale = 'und-u-ks-level2', deterministic = false);

CREATE TABLE int2 (k int2 PRIMARY KEY);          INSERT INTO int2 VALUES (-1), (0), (32767);
CREATE TABLE int4 (k int PRIMARY KEY);           INSERT INTO int4 VALUES (-1), (0), (2);
CREATE TABLE int8 (k bigint PRIMARY KEY);        INSERT INTO int8 VALUES (-9223372036854775808), (0), (9007199254740993);
CREATE TABLE text (k text PRIMARY KEY);          INSERT INTO text VALUES (''), ('a/b'), ('%,' || chr(10)), ('é'), (repeat('long ', 400)), ('-'), ('a'), ('B');
CREATE TABLE varchar (k varchar(5) PRIMARY KEY); INSERT INTO varchar VALUES ('a'), ('b'), ('');
CREATE TABLE char4 (k char(4) PRIMARY KEY);      INSERT INTO char4 VALUES ('a'), ('bcde'), ('');
CREATE TABLE citext (k public.citext PRIMARY KEY);      INSERT INTO citext VALUES ('Abc'), ('B'), ('c');
CREATE TABLE bool (k bool PRIMARY KEY);          INSERT INTO bool VALUES (true), (false);
CREATE TABLE uuid (k uuid PRIMARY KEY);          INSERT INTO uuid SELECT md5(i::text)::uuid FROM generate_series(1, 5) AS i;
CREATE TABLE date (k date PRIMARY KEY);          INSERT INTO date VALUES ('2024-02-29'), ('0044-03-15 BC'), ('infinity');
CREATE TABLE timestamp (k timestamp PRIMARY KEY); INSERT INTO timestamp VALUES ('2024-02-29 12:00:00.000001'), ('-infinity');
CREATE TABLE tz (k timestamptz PRIMARY KEY);     INSERT INTO tz VALUES ('2024-02-29 12:00:00+05'), ('now');
CREATE TABLE "numeric" (k numeric PRIMARY KEY);  INSERT INTO "numeric" VALUES (1), (1.50), ('NaN'), (12345678901234567890.123);
CREATE TABLE numeric62 (k numeric(6, 2) PRIMARY KEY); INSERT INTO numeric62 VALUES (1), (1.5), (-9999.99);
CREATE TABLE float8 (k float8 PRIMARY KEY);      INSERT INTO float8 VALUES (0.1), (1e300), ('NaN'), ('-Infinity'), (0.1 + 0.2);
CREATE TABLE "enum" (k mood PRIMARY KEY);        INSERT INTO "enum" VALUES ('happy'), ('sad'), ('ok');
CREATE TABLE "domain" (k small PRIMARY KEY);     INSERT INTO "domain" VALUES (1), (20), (3);
CREATE TABLE domchar (k code PRIMARY KEY);       INSERT INTO domchar VALUES ('a'), ('bb');
CREATE TABLE ints (k int[] PRIMARY KEY);         INSERT INTO ints VALUES ('{}'), ('{1,2}'), ('{{1,2},{3,4}}'), ('{1,NULL}');
CREATE TABLE texts (k text[] PRIMARY KEY);       INSERT INTO texts VALUES ('{a,"b c"}'), ('{"NULL",""}');
CREATE TABLE enums (k mood[] PRIMARY KEY);       INSERT INTO enums VALUES ('{sad,happy}'), ('{}');
CREATE TABLE "range" (k int4range PRIMARY KEY);  INSERT INTO "range" VALUES ('[1,5)'), ('empty'), ('(,3)');
CREATE TABLE "multirange" (k int4range PRIMARY KEY); INSERT INTO "multirange" VALUES ('[1,2)'), ('[3,4)');
CREATE TABLE composite (k pair PRIMARY KEY);     INSERT INTO composite VALUES ((1, 'a')), ((2, 'b,"c"')), (ROW(NULL, 'x'));
CREATE TABLE bytea (k bytea PRIMARY KEY);        INSERT INTO bytea VALUES ('\x00ff'), ('\x');
CREATE TABLE inet (k inet PRIMARY KEY);          INSERT INTO inet VALUES ('10.0.0.1/8'), ('::1');
CREATE TABLE cidr (k cidr PRIMARY KEY);          INSERT INTO cidr VALUES ('10.0.0.0/8'), ('192.168.0.0/24');
CREATE TABLE "bit" (k bit(3) PRIMARY KEY);       INSERT INTO "bit" VALUES (B'101'), (B'011');
CREATE TABLE "interval" (k interval PRIMARY KEY); INSERT INTO "interval" VALUES ('1 day'), ('-3 months 00:00:01.5');
CREATE TABLE name (k name PRIMARY KEY);          INSERT INTO name VALUES ('a'), ('B');
CREATE TABLE money (k money PRIMARY KEY);        INSERT INTO money VALUES (1.5), (-2);
CREATE TABLE jsonb (k jsonb PRIMARY KEY);        INSERT INTO jsonb VALUES ('{"b": 1, "a": [1.0]}'), ('null'), ('1');
CREATE TABLE regclass (k regclass PRIMARY KEY);  INSERT INTO regclass VALUES ('pg_class'), ('pg_type');
CREATE TABLE collated (k text NOT NULL);
CREATE UNIQUE INDEX ON collated (k COLLATE "C"); INSERT INTO collated VALUES ('a'), ('B'), ('é');
CREATE TABLE insensitive (k text COLLATE k.insensitive PRIMARY KEY); INSERT INTO insensitive VALUES ('Aa'), ('b'), ('C');
CREATE TABLE composed (a text, b uuid, c date, d mood, e char(3), PRIMARY KEY (a, b, c, d, e));
INSERT INTO composed SELECT x, md5('1')::uuid, '2024-01-01', d::mood, 'e' FROM unnest('{a,",",""}'::text[]) AS x, unnest('{sad,ok}'::text[]) AS d;
CREATE TABLE mixed (a public.citext, b int, PRIMARY KEY (a, b));
INSERT INTO mixed SELECT x, b FROM unnest('{a,B,c}'::public.citext[]) AS x, generate_series(1, 3) AS b;
CREATE TABLE deferred (k int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED); INSERT INTO deferred VALUES (1), (2);
CREATE TABLE "unique" (a int, b text NOT NULL, c int NOT NULL, UNIQUE (a), UNIQUE (b, c), UNIQUE (c)); INSERT INTO "unique" VALUES (NULL, 'b', 2), (1, 'a', 1);
CREATE TABLE pattern (k text NOT NULL);
CREATE UNIQUE INDEX ON pattern (k text_pattern_ops); INSERT INTO pattern VALUES ('a'), ('B');
CREATE TABLE partitioned (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE partitioned_1 PARTITION OF partitioned FOR VALUES FROM (1) TO (100);
CREATE TABLE partitioned_2 PARTITION OF partitioned DEFAULT; INSERT INTO partitioned VALUES (1, 'a'), (500, 'b');
CREATE TABLE "oddly ""named" ("k ""1" int PRIMARY KEY, "$1" text); INSERT INTO "oddly ""named" VALUES (1, 'a'), (2, 'b');

CREATE MATERIALIZED VIEW nullable AS SELECT * FROM (VALUES (1, 'a'), (NULL, 'b'), (2, 'c')) AS v (k, t);
CREATE UNIQUE INDEX ON nullable (k);
CREATE MATERIALIZED VIEW nullable2 AS SELECT * FROM (VALUES (1, 'a'), (NULL, 'b'), (NULL, 'c'), (2, 'c'), (2, NULL), (2, 'a'), (NULL, NULL)) AS v (a, b);
CREATE UNIQUE INDEX ON nullable2 (a, b);

CREATE TABLE person (id int PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY (START 50), v text);
INSERT INTO person VALUES (1, 'ann'), (2, 'bob'), (3, 'eve');
CREATE TABLE crowded (id int PRIMARY KEY, v text);
INSERT INTO crowded VALUES (1, 'a'), (11, 'b'), (2, 'c'), (3, 'd');
CREATE VIEW people AS SELECT id, v FROM person;
CREATE VIEW crowd AS SELECT id % 10 AS k, id, v FROM crowded;
CREATE VIEW triggered AS SELECT id, max(v) AS v FROM person GROUP BY id;
CREATE FUNCTION insert_person() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN NEW.id := coalesce(NEW.id, 77); RETURN NEW; END$$;
CREATE TRIGGER t INSTEAD OF INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION insert_person();

CREATE TABLE large_int (k int PRIMARY KEY, t text);
INSERT INTO large_int SELECT i, 't' FROM generate_series(1, 100000) AS i;
CREATE TABLE large_text (k text PRIMARY KEY);
INSERT INTO large_text SELECT 'name ' || i FROM generate_series(1, 100000) AS i;
CREATE TABLE large_pair (a int, b int, PRIMARY KEY (a, b));
INSERT INTO large_pair SELECT a, b FROM generate_series(1, 1000) AS a, generate_series(1, 100) AS b;
CREATE TABLE large_citext (a public.citext, b int, PRIMARY KEY (a, b));
INSERT INTO large_citext SELECT ('n' || a)::public.citext, b FROM generate_series(1, 1000) AS a, generate_series(1, 100) AS b;
CREATE MATERIALIZED VIEW large_view AS SELECT k, t FROM large_int;
CREATE UNIQUE INDEX ON large_view (k);
CREATE TABLE large_collated (k text NOT NULL);
CREATE UNIQUE INDEX ON large_collated (k COLLATE "C");
INSERT INTO large_collated SELECT k FROM large_text;
CREATE TABLE large_heap (t text);
INSERT INTO large_heap SELECT i FROM generate_series(1, 100000) AS i;
CREATE TABLE large_heap_few (t text);
INSERT INTO large_heap_few SELECT i FROM generate_series(1, 6) AS i;
CREATE TABLE partitioned_heap (id int, v text) PARTITION BY HASH (id);
CREATE TABLE partitioned_heap_1 PARTITION OF partitioned_heap FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE partitioned_heap_2 PARTITION OF partitioned_heap FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO partitioned_heap SELECT i, i FROM generate_series(1, 6) AS i;
ANALYZE;

CREATE TABLE edited (id int PRIMARY KEY, i int, t text, c char(4), b bool, f float8, n numeric, j json, jb jsonb,
	x xml, p point, comp pair, ps point[], e mood, d small, cs pair[]);
INSERT INTO edited VALUES (1, 1, 'old', 'ab', false, 0.5, 1.0, '{"a":  1}', '{"a": 1}', '<a/>', '(1,2)', (1, 'a'),
	'{"(9,9)"}', 'ok', 5, ARRAY[(1, 'x')::pair]);
INSERT INTO edited (id) VALUES (2);
INSERT INTO edited (id, i, t) VALUES (3, 1, 'one'), (4, 1, 'one');

CREATE TABLE spelled (id int PRIMARY KEY, ci public.citext, loose text COLLATE k.insensitive, iv interval, cis public.citext[],
	c char(4), n numeric);
INSERT INTO spelled VALUES (1, 'Abc', 'Abc', '1 month', '{Abc}', 'a', 1.0);

CREATE TABLE identity (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, v text);
CREATE TABLE serial (id serial PRIMARY KEY, v text, l int GENERATED ALWAYS AS (length(v)) STORED);
CREATE TABLE ranged_id (id bigint PRIMARY KEY DEFAULT 5, v text, r int4range);

CREATE TABLE moved (id int PRIMARY KEY, mail text UNIQUE NOT NULL, n int,
	doubled int GENERATED ALWAYS AS (n * 2) STORED, c2 text DEFAULT 'two');
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;

CREATE TABLE timed (id int PRIMARY KEY, at timestamptz);
INSERT INTO timed VALUES (1, to_timestamp(1700000000.123456)), (2, 'infinity'), (3, now() + '1 day'), (4, '1950-01-01'), (5, NULL);
CREATE TABLE timed_number (id int PRIMARY KEY, at bigint); INSERT INTO timed_number VALUES (1, 1700006400);
CREATE TABLE timed_date (id int PRIMARY KEY, at date); INSERT INTO timed_date VALUES (1, '2023-11-15');
CREATE TABLE timed_ahead (id int PRIMARY KEY, at numeric); INSERT INTO timed_ahead VALUES (1, 32503680000.5);
CREATE TABLE timed_ahead_float (id int PRIMARY KEY, at float8);
INSERT INTO timed_ahead_float VALUES (1, 'Infinity'), (2, 'NaN'), (3, '-Infinity');
