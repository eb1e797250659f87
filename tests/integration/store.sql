-- What test_store.c runs its statements on.
CREATE ROLE client LOGIN;
CREATE ROLE pinned LOGIN;
CREATE ROLE few LOGIN;
SET password_encryption TO 'scram-sha-256';
CREATE ROLE locked LOGIN PASSWORD 'right';
DO $$BEGIN
	EXECUTE format($q$COPY (VALUES ('local all locked scram-sha-256'), ('local all all trust')) TO %L$q$,
		current_setting('hba_file'));
END$$;
SELECT pg_reload_conf() \g /dev/null

CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE t (id int PRIMARY KEY, n int CHECK (n >= 0), parent int REFERENCES parent,
	late int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE locked_table (id int);
GRANT ALL ON parent, t TO client;

-- Sequences do not roll back, so they count the attempts.
CREATE SEQUENCE tries;
GRANT ALL ON tries TO client;
CREATE FUNCTION fail_until(attempt int, state text) RETURNS void LANGUAGE plpgsql AS $$BEGIN
	IF nextval('tries') < attempt THEN RAISE 'not yet' USING ERRCODE = state; END IF;
END$$;
