-- Tables with keys of every kind. `value` numbers the rows, from 1, so that an edit can be told.

CREATE SCHEMA keys;
SET search_path = keys;

CREATE TABLE text_key (k text PRIMARY KEY, value int);
INSERT INTO text_key SELECT k, row_number() OVER () FROM unnest(ARRAY[
	'abc', 'Abc', 'a b', ' leading', 'trailing ', '', 'a/b', '/', '//', '..', '.', '.hidden', '.new',
	'.rowfs', 'a.json', 'a%', '%', '%41', '%-', '%2F', '%~', 'a,b', ',', ',,', '-', '--help', '*', '?', '[x]',
	'''', '"', '\', E'a\nb', E'\n', E'\t', E'\r\n', E'\x01', E'\x7f', 'é', E'e\u0301', '東京', '🎂', E'\u202e',
	E'\ufeff', 'NULL', 'null', 'x~', '4913', '#x#', '$HOME', '~', 'a;b', 'a|b', 'a&b', 'CON', 'a:b',
	repeat('x', 190), repeat('x', 195), repeat('x', 196)]) k;

CREATE TABLE long_key (k text PRIMARY KEY, value int);
INSERT INTO long_key SELECT k, row_number() OVER () FROM unnest(ARRAY[
	repeat('x', 2000), repeat('x', 1999) || 'y', repeat('é', 500), repeat('/', 400), repeat('🎂', 64),
	repeat('a', 128) || '/' || repeat('b', 100), repeat('a', 127) || 'é' || repeat('b', 100)]) k;

CREATE TABLE long_pair (k text, l text, value int, PRIMARY KEY (k, l));
INSERT INTO long_pair VALUES (repeat('x', 150), repeat('y', 150), 1), (repeat('x', 150), 'y', 2),
	(repeat('x', 300), '', 3), ('', repeat('x', 300), 4);

CREATE TABLE int_key (id int PRIMARY KEY, value int);
INSERT INTO int_key SELECT id, row_number() OVER () FROM unnest(ARRAY[0, 7, -7, 42, 2147483647, -2147483648]) id;

CREATE TABLE bigint_key (id bigint PRIMARY KEY, value int);
INSERT INTO bigint_key VALUES (9223372036854775807, 1), (-9223372036854775808, 2), (9007199254740993, 3);

CREATE TABLE uuid_key (id uuid PRIMARY KEY, value int);
INSERT INTO uuid_key VALUES ('6b29fc40-ca47-1067-b31d-00dd010662da', 1), ('00000000-0000-0000-0000-000000000000', 2);

CREATE TABLE date_key (id date PRIMARY KEY, value int);
INSERT INTO date_key VALUES ('2025-02-03', 1), ('0044-03-15 BC', 2), ('infinity', 3), ('-infinity', 4), ('12025-01-01', 5);

CREATE TABLE timestamptz_key (id timestamptz PRIMARY KEY, value int);
INSERT INTO timestamptz_key VALUES ('2025-02-03 04:05:06.789+02', 1), ('2025-02-03 04:05:06+00', 2), ('infinity', 3);

CREATE TABLE numeric_key (id numeric PRIMARY KEY, value int);
INSERT INTO numeric_key VALUES (1.50, 1), (0, 2), (-3.14159, 3), (1e30, 4), ('NaN', 5), ('Infinity', 6);

CREATE TABLE float_key (id float8 PRIMARY KEY, value int);
INSERT INTO float_key VALUES (1.5, 1), (1e-300, 2), ('NaN', 3), ('-Infinity', 4), (0.1, 5), (1e22, 6);

CREATE TABLE bool_key (id bool PRIMARY KEY, value int);
INSERT INTO bool_key VALUES (true, 1), (false, 2);

CREATE TYPE mood AS ENUM ('sad', 'ok', 'very happy', 'a/b', '');
CREATE TABLE enum_key (id mood PRIMARY KEY, value int);
INSERT INTO enum_key SELECT id, row_number() OVER () FROM unnest(enum_range(NULL::mood)) id;

CREATE TABLE char_key (id char(5) PRIMARY KEY, value int);
INSERT INTO char_key VALUES ('a', 1), ('ab', 2), ('abcde', 3), ('', 4);

CREATE TABLE name_key (id name PRIMARY KEY, value int);
INSERT INTO name_key VALUES ('a name', 1), ('', 2);

CREATE TABLE bytea_key (id bytea PRIMARY KEY, value int);
INSERT INTO bytea_key VALUES ('\x', 1), ('\x00ff2f', 2);

CREATE TABLE inet_key (id inet PRIMARY KEY, value int);
INSERT INTO inet_key VALUES ('10.0.0.1', 1), ('10.0.0.0/8', 2), ('2001:db8::/32', 3);

CREATE TABLE interval_key (id interval PRIMARY KEY, value int);
INSERT INTO interval_key VALUES ('1 day', 1), ('-3 months 2 hours', 2), ('0', 3);

CREATE TABLE range_key (id int4range PRIMARY KEY, value int);
INSERT INTO range_key VALUES ('[1,5)', 1), ('empty', 2), ('(,)', 3);

CREATE TABLE array_key (id text[] PRIMARY KEY, value int);
INSERT INTO array_key VALUES ('{}', 1), ('{a,"b c",NULL}', 2), ('{{a},{b}}', 3);

CREATE TABLE jsonb_key (id jsonb PRIMARY KEY, value int);
INSERT INTO jsonb_key VALUES ('{"a": [1, 2]}', 1), ('null', 2), ('"text"', 3);

CREATE TYPE point_in AS (room text, spot int);
CREATE TABLE composite_type_key (id point_in PRIMARY KEY, value int);
INSERT INTO composite_type_key VALUES (('hall', 1), 1), (('a,b', NULL), 2);

CREATE TABLE many_key (a text, b uuid, c date, d mood, e char(3), f int, value int, PRIMARY KEY (a, b, c, d, e, f));
INSERT INTO many_key VALUES
	('a,b', '6b29fc40-ca47-1067-b31d-00dd010662da', '2025-01-01', 'ok', 'x', 1, 1),
	('', '6b29fc40-ca47-1067-b31d-00dd010662da', '2025-01-01', '', 'abc', -1, 2),
	('/', '6b29fc40-ca47-1067-b31d-00dd010662da', '2025-01-01', 'a/b', '', 0, 3);

-- The key's order is not the columns' order.
CREATE TABLE turned_key (value int, b text, a text, PRIMARY KEY (a, b));
INSERT INTO turned_key VALUES (1, 'b', 'a'), (2, 'a', 'b'), (3, '', ''), (4, ',', ',');

CREATE TABLE unique_key (id int NOT NULL UNIQUE, other text UNIQUE, value int);
INSERT INTO unique_key VALUES (1, NULL, 1), (2, 'x', 2);

CREATE TABLE "Mixed Case, ""quoted""" ("K,1" text PRIMARY KEY, value int, "a ""b"" c" text);
INSERT INTO "Mixed Case, ""quoted""" VALUES ('a', 1, 'x'), ('%', 2, NULL);

CREATE TABLE "in/out.%" (id int PRIMARY KEY, value int);
INSERT INTO "in/out.%" VALUES (1, 1);

CREATE TABLE no_key (value int);
INSERT INTO no_key VALUES (1), (2), (3);

CREATE TABLE parted (id int PRIMARY KEY, value int) PARTITION BY RANGE (id);
CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (100);
CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (100) TO (200);
INSERT INTO parted VALUES (1, 1), (50, 2), (101, 3);

CREATE TABLE parent (id int PRIMARY KEY, value int);
CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
INSERT INTO parent VALUES (1, 1);
INSERT INTO child VALUES (2, 1);

CREATE TABLE empty_table (id int PRIMARY KEY, value int);

CREATE VIEW a_view AS SELECT id, value FROM int_key;
CREATE MATERIALIZED VIEW a_matview AS SELECT id, value FROM int_key;
CREATE UNIQUE INDEX ON a_matview (id);
CREATE MATERIALIZED VIEW null_matview AS SELECT nullif(id, 7) AS id, k, value FROM int_key, (VALUES ('a'), ('')) AS x (k);
CREATE UNIQUE INDEX ON null_matview (id, k);

-- Foreign rows without another server: a program's output would do, but a file is what file_fdw has.
CREATE EXTENSION file_fdw SCHEMA public;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE a_foreign (id int, name text) SERVER files
	OPTIONS (program 'printf "1,alpha\n2,beta\n"', format 'csv');

ANALYZE;
