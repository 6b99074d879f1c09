
--
-- Copyright (C) the ngx_iot authors
--
-- Telemetry and attributes.  Rows name their entity by its short number (nr)
-- and their key by a number of iot.key, for these are the biggest tables.
--
-- A value is spread over four columns:
--     BOOLEAN  b             LONG    l             DOUBLE  d
--     STRING   s             JSON    s (compact text) and b = true
--
-- The workers' role has no right to read here: rows are reached through
-- functions of the owner that take the number iot.resolve() has checked.


-- Names of keys are shared by all tenants; a name alone tells nothing.

CREATE TABLE iot.key (
    id    integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name  text NOT NULL UNIQUE CHECK (char_length(name) BETWEEN 1 AND 255)
);


-- Eight columns on purpose: a ninth would make each row with a NULL (all of
-- them) wider by eight bytes.  There is no default partition, so that a read
-- in the order of ts can walk the partitions one after the other; instead the
-- first reaches down to MINVALUE and the last up to MAXVALUE, and
-- iot.maintain_partitions() makes months between them.  No foreign key: it
-- would cost a look-up for each point.

CREATE TABLE iot.telemetry (
    entity      integer NOT NULL,
    key         integer NOT NULL,
    ts          bigint NOT NULL,
    b           boolean,
    l           bigint,
    d           double precision,
    s           text,
    expires_at  bigint,
    PRIMARY KEY (entity, key, ts)
) PARTITION BY RANGE (ts);

CREATE INDEX telemetry_expiring ON iot.telemetry (expires_at)
    WHERE expires_at IS NOT NULL;

DO $$
DECLARE
    border  bigint := extract(epoch FROM date_trunc('month',
                          now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC') * 1000;
BEGIN
    EXECUTE format('CREATE TABLE iot.telemetry_first'
                   ' PARTITION OF iot.telemetry'
                   ' FOR VALUES FROM (MINVALUE) TO (%s)', border);
    EXECUTE format('CREATE TABLE iot.telemetry_last'
                   ' PARTITION OF iot.telemetry'
                   ' FOR VALUES FROM (%s) TO (MAXVALUE)', border);
END
$$;

-- COPY checks the right of the parent only.
GRANT INSERT ON iot.telemetry TO iot_app;


-- Which keys an entity has.  The latest value of a key is the newer one of
-- the pinned value and the newest row of telemetry above floor_ts:
-- - a value is pinned when its row goes but the latest value shall stay
--   (retention, deletes that keep the latest value);
-- - the floor hides what was older than a deleted latest value.
-- A row stays after a delete, so that a later point is found without being
-- registered again.

CREATE TABLE iot.entity_key (
    entity    integer NOT NULL,
    key       integer NOT NULL REFERENCES iot.key,
    floor_ts  bigint,
    pin_ts    bigint,
    b         boolean,
    l         bigint,
    d         double precision,
    s         text,
    PRIMARY KEY (entity, key),
    CHECK (pin_ts IS NOT NULL OR num_nonnulls(b, l, d, s) = 0)
);


-- scope: 1 client, 2 shared, 3 server

CREATE TABLE iot.attribute (
    entity      integer NOT NULL,
    scope       smallint NOT NULL CHECK (scope BETWEEN 1 AND 3),
    key         integer NOT NULL REFERENCES iot.key,
    b           boolean,
    l           bigint,
    d           double precision,
    s           text,
    updated_at  bigint NOT NULL,
    PRIMARY KEY (entity, scope, key)
);

CREATE INDEX attribute_by_key ON iot.attribute (key, entity);


-- Entities that are gone, whose telemetry is still to be deleted in slices.

CREATE TABLE iot.telemetry_forgotten (
    entity     integer PRIMARY KEY,
    gone_time  bigint NOT NULL DEFAULT iot.now_ms()
);


-- The sweep walks over iot.entity_key in slices, about once a day, and
-- enforces what rows do not say themselves: the retention of their owners.
-- drop_before: when this walk is done, all that could be the latest value
-- below that time is pinned, and partitions below it may go.

CREATE TABLE iot.telemetry_sweep (
    one          boolean PRIMARY KEY DEFAULT true CHECK (one),
    entity       integer,
    key          integer,
    started_at   bigint NOT NULL DEFAULT 0,
    drop_before  bigint
);

INSERT INTO iot.telemetry_sweep DEFAULT VALUES;
