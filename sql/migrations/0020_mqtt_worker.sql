
--
-- Copyright (C) the ngx_iot authors
--
-- Who serves a session, and wills that outlive those who should publish them.
-- Only functions that run as the owner touch these tables.


-- One row for each worker of each node, seen every few seconds.  boot names
-- the shared zone: in one boot, a slot has grown its generation when the
-- worker is gone.

CREATE TABLE iot.mqtt_worker (
    nr          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node        bigint NOT NULL,
    boot        bigint NOT NULL,
    slot        integer NOT NULL,
    generation  bigint NOT NULL,
    seen_at     bigint NOT NULL,
    suspect_at  bigint
);


ALTER TABLE iot.mqtt_session
    ADD COLUMN worker    bigint REFERENCES iot.mqtt_worker (nr),
    ADD COLUMN opened_at bigint NOT NULL DEFAULT 0;

UPDATE iot.mqtt_session
   SET connected = false,
       expires_at = CASE WHEN expiry < 4294967295
                         THEN iot.now_ms() + expiry * 1000 END
 WHERE connected;

CREATE INDEX mqtt_session_worker ON iot.mqtt_session (worker)
    WHERE worker IS NOT NULL;


-- due_at: the connection has ended, publish it then.  taken: the worker that
-- is publishing it.  stored: of a session that outlives its connection.

CREATE TABLE iot.mqtt_will (
    mark       bigint PRIMARY KEY,
    tenant_id  uuid NOT NULL REFERENCES iot.tenant ON DELETE CASCADE,
    client_id  text COLLATE "C" NOT NULL,
    worker     bigint NOT NULL,
    stored     boolean NOT NULL,
    delay      bigint NOT NULL,
    due_at     bigint,
    taken      bigint,
    qos        smallint NOT NULL,
    flags      integer NOT NULL,
    topic      text COLLATE "C" NOT NULL,
    payload    bytea,
    props      bytea,
    expiry     bigint NOT NULL
);

CREATE INDEX mqtt_will_client ON iot.mqtt_will (tenant_id, client_id);
CREATE INDEX mqtt_will_worker ON iot.mqtt_will (worker)
    WHERE due_at IS NULL;
CREATE INDEX mqtt_will_due ON iot.mqtt_will (due_at)
    WHERE due_at IS NOT NULL AND taken IS NULL;
CREATE INDEX mqtt_will_taken ON iot.mqtt_will (taken)
    WHERE taken IS NOT NULL;


ALTER TABLE iot.mqtt_will ENABLE ROW LEVEL SECURITY;

CREATE POLICY mqtt_will_tenant ON iot.mqtt_will
    USING (tenant_id = iot.tenant() OR iot.is_system());
