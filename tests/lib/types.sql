-- A table for each built-in type: id, v (a value), a (an array of values). The last array has two
-- dimensions, the one before it starts at another index.

CREATE SCHEMA types;
CREATE SCHEMA own;

CREATE TYPE own.mood AS ENUM ('sad', 'ok', 'very "happy"', '{', 'NULL');
CREATE TYPE own.place AS (room text, spot int, moods own.mood[]);
CREATE DOMAIN own.percent AS numeric(5,2) CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN own.share AS own.percent;
CREATE DOMAIN own.flag AS boolean;
CREATE DOMAIN own.document AS jsonb;
CREATE DOMAIN own.tags AS text[];
CREATE TYPE own.floatrange AS RANGE (subtype = float8);

CREATE FUNCTION own.make(type text, VARIADIC literals text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	tab text := format('types.%I', replace(replace(type, 'own.', ''), ' ', '_'));
BEGIN
	EXECUTE format('CREATE TABLE %s (id int PRIMARY KEY, v %s, a %s[])', tab, type, type);
	EXECUTE format('INSERT INTO %s SELECT n, l::%s, ARRAY[l::%s, NULL] FROM unnest($1) WITH ORDINALITY AS x (l, n)',
		tab, type, type) USING literals;
	EXECUTE format('INSERT INTO %s SELECT n + 100, NULL, w.a FROM (VALUES
		(1, ''{}''::%2$s[]), (2, NULL),
		(3, (''[2:3]='' || ARRAY[$1[1]::%2$s, $1[1]::%2$s]::text)::%2$s[]),
		(4, ARRAY[ARRAY[$1[1]::%2$s, NULL], ARRAY[NULL, $1[array_length($1, 1)]::%2$s]])) w (n, a)', tab, type)
		USING literals;
END
$$;

SET DateStyle = ISO;
SET TimeZone = UTC;

SELECT
own.make('int2', '0', '-32768', '32767'),
own.make('int4', '0', '-2147483648', '2147483647'),
own.make('int8', '0', '9007199254740992', '9007199254740993', '-9007199254740992', '-9007199254740993',
	'9223372036854775807', '-9223372036854775808'),
own.make('float4', '0', '-0', '1.5', '3.4e38', '1e-45', '0.1', 'NaN', 'Infinity', '-Infinity'),
own.make('float8', '0', '-0', '0.1', '1e22', '1.7976931348623157e308', '5e-324', '0.30000000000000004',
	'NaN', 'Infinity', '-Infinity'),
own.make('numeric', '0', '0.00', '1.50', '-1', '123456789012345', '1234567890123456', '0.000000000000001',
	'0.123456789012345', '0.1234567890123456', '100000000000000000000', '1e-300', '12345678.1234567',
	'NaN', 'Infinity', '-Infinity', repeat('9', 300) || '.' || repeat('9', 300)),
own.make('numeric(10,2)', '0', '10', '99999999.99', 'NaN'),
own.make('money', '0', '-12.34', '92233720368547758.07'),
own.make('bool', 't', 'f'),
own.make('text', '', ' ', 'a', 'é東🎂', E'\n\r\t\b\f\x01\x1f\x7f', '"', '\', '\\', '\n', '\u0041', '/', '{}', 'null',
	'true', '1', E'\u2028\u2029\u200b\ufeff', '''', '%', repeat('long ', 5000)),
own.make('varchar(10)', '', 'ten letter', '  pad '),
own.make('char(5)', '', 'a', 'abcde'),
own.make('"char"', '', 'a', '\', '\001', '\377'),
own.make('name', '', 'a name', '"'),
own.make('bytea', '\x', '\x00', '\xff00ff', '\x5c6e', '\x' || repeat('0102', 5000));

SELECT
own.make('json', '{}', '[]', 'null', '"text"', '1', '1.0', '{"a": 1,   "a": 2}', E'{\n\t"b" : [1,\n2 ]\n}', '{"%": null}',
	'{"%": {"%": 1}}', '{"%": 1, "b": 2}', ' [ ] ', 'true', '{"\u0041": "\u00e9\n"}', '123456789012345678901234567890',
	'{"%" : 1}', '"\ud83c\udf82"', '  null ', '1e400', '-0'),
own.make('jsonb', '{}', '[]', 'null', '"text"', '1', '1.0', '{"b": [1, 2, {"c": null}], "a": {}, "aa": []}', '{"%": null}',
	'{"%": {"%": 1}}', '{"%": 1, "b": 2}', 'true', '{"é\n\u0001": "\"\\"}', '123456789012345678901234567890', '[null]',
	'{"": ""}', '[[], [[]], {}]', '1e20', '-0', '0.10', '{"a": "{,[:\"]}"}'),
own.make('jsonpath', '$', '$."a"[*]?(@ > 1)'),
own.make('xml', '<a/>', '<a b="c">&lt;é</a>', 'text', ''),
own.make('uuid', '6b29fc40-ca47-1067-b31d-00dd010662da'),
own.make('date', '2025-02-03', '0044-03-15 BC', 'infinity', '-infinity', '5874897-12-31'),
own.make('time', '00:00', '24:00', '23:59:59.999999'),
own.make('timetz', '00:00+00', '23:59:59.999999-07:30'),
own.make('timestamp', '2025-02-03 04:05:06', '2025-02-03 04:05:06.000001', '4714-11-24 00:00 BC', 'infinity'),
own.make('timestamptz', '2025-02-03 04:05:06+02', '2025-02-03 04:05:06.000001+00', '-infinity', '294276-12-31 23:59:59+00'),
own.make('interval', '0', '1 day', '-1 mon 2 days -03:04:05.000006', '178000000 years'),
own.make('inet', '10.0.0.1', '10.0.0.0/8', '2001:db8::1/64'),
own.make('cidr', '10.0.0.0/8', '2001:db8::/32'),
own.make('macaddr', '08:00:2b:01:02:03'),
own.make('macaddr8', '08:00:2b:01:02:03:04:05'),
own.make('bit(5)', '00000', '10101'),
own.make('varbit', '', '1', '10101'),
own.make('tsvector', '', '''a'' ''b'':1A,2 ''c d''', 'fat cat'),
own.make('tsquery', '''fat'' & ( ''rat'' | !''cat'':A )', '''a'' <-> ''b'''),
own.make('point', '(0,0)', '(1.5,-0.1)'),
own.make('line', '{1,2,3}'),
own.make('lseg', '[(0,0),(1,1)]'),
own.make('box', '(1,1),(0,0)'),
own.make('path', '[(0,0),(1,1)]', '((0,0),(1,1))'),
own.make('polygon', '((0,0),(1,1),(2,0))'),
own.make('circle', '<(0,0),1.5>');

SELECT
own.make('int4range', 'empty', '[1,5)', '(,)', '[1,)'),
own.make('int8range', '[1,9007199254740993)'),
own.make('numrange', '[1.5,2.50]', '(,0)'),
own.make('daterange', '[2025-01-01,2025-02-01)'),
own.make('tsrange', '["2025-01-01 00:00:00","2025-01-02 00:00:00")'),
own.make('tstzrange', '["2025-01-01 00:00:00+00",)'),
own.make('int4multirange', '{}', '{[1,3),[5,8)}'),
own.make('datemultirange', '{[2025-01-01,2025-02-01)}'),
own.make('oid', '0', '4294967295'),
own.make('regclass', 'pg_class'),
own.make('regtype', 'integer', 'text[]'),
own.make('regrole', 'postgres'),
own.make('pg_lsn', '16/B374D848', '0/0'),
own.make('xid', '0', '4294967295'),
own.make('xid8', '0', '18446744073709551615'),
own.make('cid', '7'),
own.make('tid', '(0,1)', '(4294967295,65535)'),
own.make('pg_snapshot', '10:20:10,14,15'),
own.make('int2vector', '', '1 2 3'),
own.make('oidvector', '', '1 2 3'),
own.make('own.mood', 'sad', 'very "happy"', '{', 'NULL'),
own.make('own.place', '(hall,1,"{ok,sad}")', '("a ""b"", (c)",,)', '(,,)'),
own.make('own.percent', '0', '99.50'),
own.make('own.share', '100'),
own.make('own.flag', 't', 'f'),
own.make('own.document', '{"a": [1]}', 'null'),
own.make('own.floatrange', '[0.1,0.2)');

-- An array of a domain over an array is an array of strings: nested, it would be a dimension.
CREATE TABLE types.tags (id int PRIMARY KEY, v own.tags, a own.tags[]);
INSERT INTO types.tags VALUES (1, '{a,"b c",NULL}', ARRAY['{a}'::own.tags, '{"x y",z}'::own.tags]), (2, '{}', '{}');

DROP FUNCTION own.make;
ANALYZE;
