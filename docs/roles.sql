-- PostgreSQL roles for rowfs with no more rights than they need; see security.md.
--
--   psql -d DATABASE -v schema=shop -f docs/roles.sql        as a superuser
--   psql -d DATABASE -c '\password rowfs_mount' -c '\password rowfs_sync'
--
-- Run it again after "rowfs sync install", and when tables have been added.
\set ON_ERROR_STOP on
BEGIN;

SELECT 'CREATE ROLE rowfs_mount LOGIN' WHERE to_regrole('rowfs_mount') IS NULL \gexec
SELECT 'CREATE ROLE rowfs_sync LOGIN REPLICATION' WHERE to_regrole('rowfs_sync') IS NULL \gexec
GRANT CONNECT ON DATABASE :"DBNAME" TO rowfs_mount, rowfs_sync;

-- The mount: rows, and nothing else. Leave out what its users may not do; files show it in their mode.
GRANT USAGE ON SCHEMA :"schema" TO rowfs_mount;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA :"schema" TO rowfs_mount;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA :"schema" TO rowfs_mount;

-- The sync worker, by logical decoding: no right on any table. Its publication is made here, so it needs
-- neither CREATE on the database nor to own the tables. Only tables with a primary key that is not
-- deferrable, and is the replica identity: the application's UPDATEs of others would fail.
SELECT 'CREATE PUBLICATION rowfs WITH (publish_via_partition_root = true)'
WHERE NOT EXISTS (SELECT FROM pg_publication WHERE pubname = 'rowfs') \gexec
SELECT format('ALTER PUBLICATION rowfs ADD TABLE ONLY %s', c.oid::regclass)
FROM pg_class AS c JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisprimary AND i.indimmediate
WHERE c.relnamespace = to_regnamespace(quote_ident(:'schema')) AND c.relkind IN ('r', 'p')
AND NOT c.relispartition AND c.relpersistence = 'p' AND NOT EXISTS (
	SELECT FROM pg_partition_tree(c.oid) AS p JOIN pg_class AS x ON x.oid = p.relid
	WHERE x.relreplident <> 'd')
AND NOT EXISTS (SELECT FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid
	WHERE p.pubname = 'rowfs' AND r.prrelid = c.oid) \gexec

-- A worker that is a process of its own and is to pin rows (placement rules) reads those tables; for each:
--   GRANT USAGE ON SCHEMA shop TO rowfs_sync;
--   GRANT SELECT ON shop.products TO rowfs_sync;

-- The sync worker, by the change log, where "rowfs sync install" has made one.
SELECT to_regclass('rowfs.changes') IS NOT NULL AS logged \gset
\if :logged
GRANT USAGE ON SCHEMA rowfs TO rowfs_sync;
GRANT SELECT, DELETE ON rowfs.changes TO rowfs_sync;
\endif

COMMIT;
