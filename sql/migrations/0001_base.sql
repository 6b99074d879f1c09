
--
-- Copyright (C) the ngx_iot authors
--
-- The ground: schemas, the role of the workers, the types of a call, and the
-- tables of who is who (tenants, customers, users, devices) with row-level
-- security as the second wall.
--
-- Every table that grows with devices has tenant_id first in its primary key.
-- Times are milliseconds since 1970.  "nr" is the short number of an entity
-- that may own attributes and telemetry.


DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'iot_app')
    THEN
        CREATE ROLE iot_app NOLOGIN NOBYPASSRLS;
    END IF;
END
$$;

CREATE SCHEMA IF NOT EXISTS iot;
CREATE SCHEMA IF NOT EXISTS tb;

REVOKE ALL ON SCHEMA iot, tb FROM PUBLIC;
GRANT USAGE ON SCHEMA iot, tb TO iot_app;

CREATE TABLE IF NOT EXISTS iot.migration (
    version     integer PRIMARY KEY,
    name        text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT now()
);

GRANT SELECT ON iot.migration TO iot_app;


-- The functions that run as the owner, each with its reason.  A test compares
-- this list with the catalog.

CREATE TABLE iot.definer_function (
    name  text PRIMARY KEY,
    why   text NOT NULL
);

GRANT SELECT ON iot.definer_function TO iot_app;


-- Who calls, and the answer that is more than a JSON body.

CREATE TYPE iot.principal AS (
    role         text,
    tenant_id    uuid,
    customer_id  uuid,
    user_id      uuid,
    device_id    uuid,
    session_id   uuid,
    is_public    boolean,
    name         text,
    address      text
);

CREATE TYPE iot.answer AS (
    status   integer,
    headers  json,
    body     text
);

CREATE TYPE iot.page AS (
    size        integer,
    page        integer,
    search      text,
    sort        text,
    descending  boolean
);


-- What row-level security compares with; set by iot.enter().

CREATE FUNCTION iot.tenant() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT NULLIF(current_setting('iot.tenant', true), '')::uuid
$$;

CREATE FUNCTION iot.is_system() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT COALESCE(current_setting('iot.role', true), '') = 'SYS_ADMIN'
$$;

-- Not in SQL: such a function is planned anew by each query that calls it.

CREATE FUNCTION iot.now_ms() RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
BEGIN
    RETURN extract(epoch FROM clock_timestamp()) * 1000;
END
$$;

-- UUID version 7: in order of creation, so that indexes grow at their ends.

CREATE FUNCTION iot.new_id() RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$
    SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
               PLACING substring(int8send((extract(epoch
               FROM clock_timestamp()) * 1000)::bigint) FROM 3)
               FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid
$$;


CREATE SEQUENCE iot.entity_nr AS integer;

GRANT USAGE ON SEQUENCE iot.entity_nr TO iot_app;


CREATE TABLE iot.tenant_profile (
    id            uuid PRIMARY KEY DEFAULT iot.new_id(),
    created_time  bigint NOT NULL DEFAULT iot.now_ms(),
    name          text NOT NULL UNIQUE,
    description   text,
    is_default    boolean NOT NULL DEFAULT false,
    isolated      boolean NOT NULL DEFAULT false,
    cast_strings  boolean,
    data          json NOT NULL,
    version       bigint NOT NULL DEFAULT 1
);

CREATE UNIQUE INDEX tenant_profile_default ON iot.tenant_profile (is_default)
    WHERE is_default;


CREATE TABLE iot.tenant (
    id                 uuid PRIMARY KEY DEFAULT iot.new_id(),
    nr                 integer NOT NULL UNIQUE
                       DEFAULT nextval('iot.entity_nr'),
    created_time       bigint NOT NULL DEFAULT iot.now_ms(),
    title              text NOT NULL,
    tenant_profile_id  uuid NOT NULL REFERENCES iot.tenant_profile,
    country            text,
    state              text,
    city               text,
    address            text,
    address2           text,
    zip                text,
    phone              text,
    email              text,
    additional_info    json,
    version            bigint NOT NULL DEFAULT 1
);

CREATE INDEX tenant_by_profile ON iot.tenant (tenant_profile_id);


CREATE TABLE iot.customer (
    tenant_id        uuid NOT NULL REFERENCES iot.tenant,
    id               uuid NOT NULL DEFAULT iot.new_id(),
    nr               integer NOT NULL UNIQUE
                     DEFAULT nextval('iot.entity_nr'),
    created_time     bigint NOT NULL DEFAULT iot.now_ms(),
    title            text NOT NULL,
    is_public        boolean NOT NULL DEFAULT false,
    country          text,
    state            text,
    city             text,
    address          text,
    address2         text,
    zip              text,
    phone            text,
    email            text,
    additional_info  json,
    external_id      uuid,
    version          bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, title)
);

CREATE INDEX customer_by_id ON iot.customer (id);


-- E-mail addresses are unique over the server and kept in lower case.

CREATE TABLE iot.users (
    id               uuid PRIMARY KEY DEFAULT iot.new_id(),
    nr               integer NOT NULL UNIQUE
                     DEFAULT nextval('iot.entity_nr'),
    tenant_id        uuid REFERENCES iot.tenant,
    customer_id      uuid,
    created_time     bigint NOT NULL DEFAULT iot.now_ms(),
    email            text NOT NULL UNIQUE CHECK (email = lower(email)),
    authority        text NOT NULL,
    first_name       text,
    last_name        text,
    phone            text,
    additional_info  json,
    version          bigint NOT NULL DEFAULT 1,
    FOREIGN KEY (tenant_id, customer_id) REFERENCES iot.customer,
    CHECK (CASE authority
           WHEN 'SYS_ADMIN' THEN tenant_id IS NULL AND customer_id IS NULL
           WHEN 'TENANT_ADMIN' THEN tenant_id IS NOT NULL
                                    AND customer_id IS NULL
           WHEN 'CUSTOMER_USER' THEN tenant_id IS NOT NULL
                                     AND customer_id IS NOT NULL
           ELSE false END)
);

CREATE INDEX users_by_owner ON iot.users (tenant_id, customer_id);


-- password_hash NULL: not activated.  The reset token is only compared, so
-- its SHA-256 is enough; the link with the activation token is shown again.

CREATE TABLE iot.user_credentials (
    user_id               uuid PRIMARY KEY
                          REFERENCES iot.users ON DELETE CASCADE,
    tenant_id             uuid,
    enabled               boolean NOT NULL DEFAULT false,
    locked                boolean NOT NULL DEFAULT false,
    password_hash         text,
    password_time         bigint,
    failed_logins         integer NOT NULL DEFAULT 0,
    last_login            bigint,
    valid_from            bigint NOT NULL DEFAULT 0,
    activate_token        text UNIQUE,
    activate_expires      bigint,
    reset_token_hash      bytea UNIQUE,
    reset_expires         bigint,
    password_history      json
);


-- A session lives from a login to a logout; its tokens carry its id.  The
-- session of a public customer has no user.

CREATE TABLE iot.session (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id         uuid REFERENCES iot.users ON DELETE CASCADE,
    tenant_id       uuid,
    customer_id     uuid,
    created_time    bigint NOT NULL DEFAULT iot.now_ms(),
    refreshed_time  bigint NOT NULL DEFAULT iot.now_ms(),
    expires_at      bigint NOT NULL,
    address         text,
    agent           text
);

CREATE INDEX session_by_user ON iot.session (user_id);
CREATE INDEX session_by_customer ON iot.session (customer_id)
    WHERE user_id IS NULL;
CREATE INDEX session_by_end ON iot.session (expires_at);


CREATE TABLE iot.device_profile (
    tenant_id                   uuid NOT NULL REFERENCES iot.tenant,
    id                          uuid NOT NULL DEFAULT iot.new_id(),
    created_time                bigint NOT NULL DEFAULT iot.now_ms(),
    name                        text NOT NULL,
    description                 text,
    image                       text,
    is_default                  boolean NOT NULL DEFAULT false,
    type                        text NOT NULL DEFAULT 'DEFAULT',
    transport_type              text NOT NULL DEFAULT 'DEFAULT',
    provision_type              text NOT NULL DEFAULT 'DISABLED',
    provision_key               text UNIQUE,
    provision_secret            text,
    cast_strings                boolean,
    default_rule_chain_id       uuid,
    default_dashboard_id        uuid,
    default_edge_rule_chain_id  uuid,
    default_queue_name          text,
    firmware_id                 uuid,
    software_id                 uuid,
    external_id                 uuid,
    data                        json NOT NULL,
    version                     bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
);

CREATE UNIQUE INDEX device_profile_default ON iot.device_profile (tenant_id)
    WHERE is_default;


CREATE TABLE iot.device (
    tenant_id        uuid NOT NULL REFERENCES iot.tenant,
    id               uuid NOT NULL DEFAULT iot.new_id(),
    nr               integer NOT NULL UNIQUE
                     DEFAULT nextval('iot.entity_nr'),
    created_time     bigint NOT NULL DEFAULT iot.now_ms(),
    customer_id      uuid,
    profile_id       uuid NOT NULL,
    name             text NOT NULL,
    label            text,
    enabled          boolean NOT NULL DEFAULT true,
    is_gateway       boolean NOT NULL DEFAULT false,
    data             json,
    firmware_id      uuid,
    software_id      uuid,
    additional_info  json,
    external_id      uuid,
    version          bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES iot.customer,
    FOREIGN KEY (tenant_id, profile_id) REFERENCES iot.device_profile
);

CREATE INDEX device_by_customer ON iot.device (tenant_id, customer_id, id);
CREATE INDEX device_by_time ON iot.device (tenant_id, created_time, id);
CREATE INDEX device_by_profile ON iot.device (tenant_id, profile_id, id);


CREATE TABLE iot.device_credentials (
    tenant_id       uuid NOT NULL,
    device_id       uuid NOT NULL,
    id              uuid NOT NULL DEFAULT iot.new_id(),
    created_time    bigint NOT NULL DEFAULT iot.now_ms(),
    type            text NOT NULL,
    credentials_id  text NOT NULL,
    value           text,
    version         bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, device_id),
    FOREIGN KEY (tenant_id, device_id) REFERENCES iot.device
        ON DELETE CASCADE ON UPDATE CASCADE
);

CREATE UNIQUE INDEX device_credentials_by_text
    ON iot.device_credentials (credentials_id);


-- The zero UUID stands for the system, so that the tenant can be in the key.

CREATE TABLE iot.audit_log (
    tenant_id     uuid NOT NULL
                  DEFAULT '00000000-0000-0000-0000-000000000000',
    created_time  bigint NOT NULL DEFAULT iot.now_ms(),
    id            uuid NOT NULL DEFAULT iot.new_id(),
    customer_id   uuid,
    entity_type   text,
    entity_id     uuid,
    entity_name   text,
    user_id       uuid,
    user_name     text,
    action        text NOT NULL,
    data          json,
    status        text NOT NULL DEFAULT 'SUCCESS',
    failure       text,
    PRIMARY KEY (tenant_id, created_time, id)
);

CREATE INDEX audit_log_by_entity
    ON iot.audit_log (tenant_id, entity_id, created_time);
CREATE INDEX audit_log_by_user
    ON iot.audit_log (tenant_id, user_id, created_time);
CREATE INDEX audit_log_by_customer
    ON iot.audit_log (tenant_id, customer_id, created_time)
    WHERE customer_id IS NOT NULL;


-- Live settings: tenant_id NULL for those of the server.

CREATE TABLE iot.setting (
    id            uuid PRIMARY KEY DEFAULT iot.new_id(),
    tenant_id     uuid REFERENCES iot.tenant ON DELETE CASCADE,
    name          text NOT NULL,
    value         json NOT NULL,
    created_time  bigint NOT NULL DEFAULT iot.now_ms(),
    UNIQUE NULLS NOT DISTINCT (tenant_id, name)
);


GRANT SELECT, INSERT, UPDATE, DELETE ON
    iot.tenant_profile, iot.tenant, iot.customer, iot.users,
    iot.user_credentials, iot.session, iot.device_profile, iot.device,
    iot.device_credentials, iot.setting
    TO iot_app;

GRANT SELECT, INSERT ON iot.audit_log TO iot_app;


-- Row-level security.  The sub-selects are evaluated once for a statement.

ALTER TABLE iot.tenant_profile ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.tenant ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.customer ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.users ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.user_credentials ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.session ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.device_profile ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.device ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.device_credentials ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.audit_log ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.setting ENABLE ROW LEVEL SECURITY;

CREATE POLICY tenant_profile_read ON iot.tenant_profile
    FOR SELECT USING (true);

CREATE POLICY tenant_profile_change ON iot.tenant_profile
    USING ((SELECT iot.is_system()));

CREATE POLICY tenant_own ON iot.tenant
    USING (id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY customer_own ON iot.customer
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY users_own ON iot.users
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY user_credentials_own ON iot.user_credentials
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY session_own ON iot.session
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY device_profile_own ON iot.device_profile
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY device_own ON iot.device
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY device_credentials_own ON iot.device_credentials
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY audit_log_own ON iot.audit_log
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY setting_own ON iot.setting
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));
