
--
-- Copyright (C) the ngx_iot authors
--
-- What of MQTT outlives a connection: sessions, their subscriptions, the
-- messages that wait for them or are half acknowledged, and retained messages.
-- Only functions that run as the owner touch these tables.


CREATE TABLE iot.mqtt_session (
    tenant_id   uuid NOT NULL REFERENCES iot.tenant ON DELETE CASCADE,
    client_id   text COLLATE "C" NOT NULL,
    nr          bigint GENERATED ALWAYS AS IDENTITY,
    epoch       bigint NOT NULL DEFAULT 1,
    connected   boolean NOT NULL DEFAULT true,
    identity    text NOT NULL,
    expiry      bigint NOT NULL,
    expires_at  bigint,
    PRIMARY KEY (tenant_id, client_id)
);

CREATE UNIQUE INDEX mqtt_session_nr ON iot.mqtt_session (nr);
CREATE INDEX mqtt_session_expires ON iot.mqtt_session (expires_at)
    WHERE expires_at IS NOT NULL;


CREATE TABLE iot.mqtt_subscription (
    session  bigint NOT NULL REFERENCES iot.mqtt_session (nr)
             ON DELETE CASCADE,
    filter   text COLLATE "C" NOT NULL,
    options  integer NOT NULL,
    id       bigint NOT NULL,
    PRIMARY KEY (session, filter)
);


-- To the client.  state: 0 waits, 1 was sent, 2 was released by PUBREL.

CREATE TABLE iot.mqtt_queue (
    session    bigint NOT NULL REFERENCES iot.mqtt_session (nr)
               ON DELETE CASCADE,
    id         bigint NOT NULL,
    qos        smallint NOT NULL,
    state      smallint NOT NULL DEFAULT 0,
    packet_id  integer NOT NULL DEFAULT 0,
    flags      integer NOT NULL,
    ids        bytea,
    topic      text COLLATE "C" NOT NULL,
    payload    bytea,
    props      bytea,
    publisher  text,
    published  bigint NOT NULL,
    expires    bigint NOT NULL,
    PRIMARY KEY (session, id)
);


-- From the client: QoS 2 between PUBREC and PUBREL.

CREATE TABLE iot.mqtt_received (
    session    bigint NOT NULL REFERENCES iot.mqtt_session (nr)
               ON DELETE CASCADE,
    packet_id  integer NOT NULL,
    flags      integer NOT NULL,
    topic      text COLLATE "C" NOT NULL,
    payload    bytea,
    props      bytea,
    published  bigint NOT NULL,
    expires    bigint NOT NULL,
    PRIMARY KEY (session, packet_id)
);


CREATE TABLE iot.mqtt_retained (
    tenant_id  uuid NOT NULL REFERENCES iot.tenant ON DELETE CASCADE,
    topic      text COLLATE "C" NOT NULL,
    qos        smallint NOT NULL,
    flags      integer NOT NULL,
    payload    bytea NOT NULL,
    props      bytea,
    publisher  text,
    published  bigint NOT NULL,
    expires    bigint NOT NULL,
    PRIMARY KEY (tenant_id, topic)
);

CREATE INDEX mqtt_retained_expires ON iot.mqtt_retained (expires)
    WHERE expires > 0;


ALTER TABLE iot.mqtt_session ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.mqtt_retained ENABLE ROW LEVEL SECURITY;

CREATE POLICY mqtt_session_tenant ON iot.mqtt_session
    USING (tenant_id = iot.tenant() OR iot.is_system());
CREATE POLICY mqtt_retained_tenant ON iot.mqtt_retained
    USING (tenant_id = iot.tenant() OR iot.is_system());
