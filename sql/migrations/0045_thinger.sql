--
-- Copyright (C) the ngx_iot authors
--
-- What the Thinger.io dialect calls users: accounts.  An account is a user of
-- the platform under a short name; without one its e-mail address is the name.


CREATE SCHEMA IF NOT EXISTS thinger;

GRANT USAGE ON SCHEMA thinger TO iot_app;


CREATE TABLE iot.account (
    name       text PRIMARY KEY CHECK (name ~ '^[a-zA-Z0-9_-]{1,32}$'),
    tenant_id  uuid NOT NULL REFERENCES iot.tenant ON DELETE CASCADE,
    user_id    uuid NOT NULL UNIQUE REFERENCES iot.users ON DELETE CASCADE
);

CREATE INDEX account_by_tenant ON iot.account (tenant_id);

ALTER TABLE iot.account ENABLE ROW LEVEL SECURITY;

CREATE POLICY account_own ON iot.account
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

GRANT SELECT, INSERT, UPDATE, DELETE ON iot.account TO iot_app;
