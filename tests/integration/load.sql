-- The catalog that test_load.c reads, as the role reader unless said otherwise.
CREATE ROLE reader LOGIN;
CREATE ROLE owner;
CREATE SCHEMA s AUTHORIZATION owner;
CREATE SCHEMA "odd/%.name,";
CREATE SCHEMA empty;
CREATE SCHEMA hidden;
GRANT USAGE ON SCHEMA s, "odd/%.name,", empty TO reader;
CREATE EXTENSION citext;
SET search_path TO s, public;

CREATE TABLE plain (id int PRIMARY KEY, name varchar(10) NOT NULL, g int GENERATED ALWAYS AS (id + 1) STORED, gone int,
	i int GENERATED ALWAYS AS IDENTITY, d numeric(6, 2));
ALTER TABLE plain DROP COLUMN gone;
GRANT SELECT, INSERT, UPDATE, DELETE ON plain TO reader;
CREATE TABLE "odd/%.name,"."a/b,c" (id int PRIMARY KEY);
CREATE TABLE hidden.t (id int PRIMARY KEY);
GRANT SELECT ON hidden.t, "odd/%.name,"."a/b,c" TO reader;

-- Which key
CREATE TABLE k_unique (a int NOT NULL, b int NOT NULL, c int, CONSTRAINT z UNIQUE (a, b), CONSTRAINT y UNIQUE (b), CONSTRAINT x UNIQUE (a),
	UNIQUE (c));
CREATE TABLE k_none (a int, UNIQUE (a));
CREATE TABLE k_partial (a int NOT NULL);      CREATE UNIQUE INDEX ON k_partial (a) WHERE a > 0;
CREATE TABLE k_expression (a int NOT NULL);   CREATE UNIQUE INDEX ON k_expression (a, abs(a));
CREATE TABLE k_deferred (a int NOT NULL UNIQUE DEFERRABLE);
CREATE TABLE k_deferred_primary (a int PRIMARY KEY DEFERRABLE);
CREATE TABLE k_include (a int NOT NULL, b int);        CREATE UNIQUE INDEX ON k_include (a) INCLUDE (b);
CREATE TABLE k_invalid (a int NOT NULL);      CREATE UNIQUE INDEX k_invalid_i ON k_invalid (a);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'k_invalid_i'::regclass;
CREATE TABLE k_citext (a citext, b int, PRIMARY KEY (b, a));
CREATE TABLE k_collation (a text NOT NULL, b text NOT NULL); CREATE UNIQUE INDEX ON k_collation (a COLLATE "C", b);
CREATE TABLE k_parted (a int) PARTITION BY HASH (a);
CREATE TABLE k_parted_1 PARTITION OF k_parted FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE MATERIALIZED VIEW k_view AS SELECT 1 AS a, 2 AS b; CREATE UNIQUE INDEX ON k_view (b);
CREATE MATERIALIZED VIEW k_view_none AS SELECT 1 AS a;
CREATE VIEW v_none AS SELECT 1 AS a;
CREATE VIEW v_key AS SELECT id, name, id + 1 AS more FROM plain;
CREATE VIEW v_bad AS SELECT id FROM plain;
CREATE VIEW v_fixed AS SELECT max(id) AS id FROM plain;
CREATE TABLE inherits () INHERITS (plain);
ALTER TABLE inherits ADD PRIMARY KEY (id);
CREATE TEMP TABLE temporary (id int PRIMARY KEY);
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA s TO reader;

-- Grants
CREATE TABLE g_none (id int PRIMARY KEY);
CREATE TABLE g_read (id int PRIMARY KEY, v text);         GRANT SELECT ON g_read TO reader;
CREATE TABLE g_partial (id int PRIMARY KEY, v text, w text); GRANT SELECT (id, v), UPDATE (v), INSERT (id) ON g_partial TO reader;
CREATE TABLE g_nokey (id int PRIMARY KEY, v text);        GRANT SELECT (v) ON g_nokey TO reader;
CREATE TABLE g_keyless (v text, w text);                  GRANT SELECT (v) ON g_keyless TO reader;
CREATE TABLE g_insert (id int PRIMARY KEY);               GRANT INSERT ON g_insert TO reader;
CREATE TABLE g_rls (id int PRIMARY KEY);                  GRANT SELECT ON g_rls TO reader;
ALTER TABLE g_rls ENABLE ROW LEVEL SECURITY;

-- Types
CREATE TYPE mood AS ENUM ('ok');
CREATE DOMAIN one AS numeric(6, 2);
CREATE DOMAIN two AS one CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, b json);
CREATE TABLE types (id int PRIMARY KEY, "int2" int2, "int8" int8, "float4" float4, "float8" float8, "numeric" numeric, "bool" bool,
	"json" json, "jsonb" jsonb, "text" text, "varchar" varchar(3), "char" char(3), "uuid" uuid, "xml" xml, "point" point,
	"xid" xid, "ints" int[], "boxes" box[], "points" point[], "pairs" pair[], "vector" int2vector, "mood" mood, "moods" mood[],
	"one" one, "two" two, "twos" two[], "range" int4range, "multirange" int4multirange, "pair" pair, "citext" citext, "cidr" cidr,
	"jsons" json[], "tsvector" tsvector, "name" name);
GRANT SELECT ON types TO reader;

-- Names of objects, as the search_path has them: plain, and in a domain, an array, a composite and a range.
CREATE TABLE t_names (id int PRIMARY KEY, v regclass);
CREATE DOMAIN place AS regtype;
CREATE TYPE places AS (a int, b place[]);
CREATE TYPE deep AS RANGE (subtype = places);
CREATE TABLE t_names_inside (id int PRIMARY KEY, v deep[]);
CREATE TABLE t_names_of_roles (id int PRIMARY KEY, v regrole, w regnamespace, x oid);
GRANT SELECT ON t_names, t_names_inside, t_names_of_roles TO reader;

-- A foreign partition has no xmin of its own.
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE TABLE x_local (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE x_local_1 PARTITION OF x_local DEFAULT;
CREATE TABLE x_mixed (id int NOT NULL) PARTITION BY LIST (id);
CREATE TABLE x_mixed_1 PARTITION OF x_mixed FOR VALUES IN (1) PARTITION BY LIST (id);
CREATE FOREIGN TABLE x_mixed_2 PARTITION OF x_mixed_1 DEFAULT SERVER files OPTIONS (filename '/nonexistent');
GRANT SELECT ON x_local, x_mixed TO reader;
