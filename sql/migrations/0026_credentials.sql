
--
-- Copyright (C) the ngx_iot authors
--
-- What people prove themselves with: API keys, second factors, and what is
-- remembered about their attempts; and their own settings.
--
-- A table of users has no tenant in its key: users of the system have none.


-- The value is shown once; it is random, so its SHA-256 is enough.
-- expires_at 0: never.

CREATE TABLE iot.api_key (
    id            uuid PRIMARY KEY DEFAULT iot.new_id(),
    tenant_id     uuid,
    user_id       uuid NOT NULL REFERENCES iot.users ON DELETE CASCADE,
    created_time  bigint NOT NULL DEFAULT iot.now_ms(),
    description   text NOT NULL,
    enabled       boolean NOT NULL DEFAULT true,
    expires_at    bigint NOT NULL DEFAULT 0,
    hash          bytea NOT NULL UNIQUE
);

CREATE INDEX api_key_by_user ON iot.api_key (user_id, id);


-- scope NULL: a full session.  Others open only the calls of the second
-- factor.

ALTER TABLE iot.session ADD COLUMN scope text
    CHECK (scope IN ('PRE_VERIFICATION_TOKEN', 'MFA_CONFIGURATION_TOKEN'));


ALTER TABLE iot.user_credentials
    ADD COLUMN locked_at bigint,
    ADD COLUMN second_failures integer NOT NULL DEFAULT 0,
    ADD COLUMN mail_times bigint[] NOT NULL DEFAULT '{}',
    ADD COLUMN reset_times bigint[] NOT NULL DEFAULT '{}';


-- Where a user has logged in from: guesses from elsewhere do not count
-- against these.

CREATE TABLE iot.user_address (
    user_id    uuid NOT NULL REFERENCES iot.users ON DELETE CASCADE,
    address    text NOT NULL,
    tenant_id  uuid,
    last_time  bigint NOT NULL,
    PRIMARY KEY (user_id, address)
);


-- secret: the sealed seed of TOTP; last_step: the last time step that was
-- used; codes: SHA-256 of the backup codes that are left, in hex.

CREATE TABLE iot.second_factor (
    user_id       uuid NOT NULL REFERENCES iot.users ON DELETE CASCADE,
    type          text NOT NULL
                  CHECK (type IN ('TOTP', 'EMAIL', 'BACKUP_CODE')),
    tenant_id     uuid,
    created_time  bigint NOT NULL DEFAULT iot.now_ms(),
    is_default    boolean NOT NULL DEFAULT false,
    secret        text,
    last_step     bigint NOT NULL DEFAULT -1,
    email         text,
    codes         text[],
    PRIMARY KEY (user_id, type)
);


-- A code that was mailed: to log in, or to prove an address before it is
-- used; the latest of each kind counts.

CREATE TABLE iot.second_factor_code (
    user_id       uuid NOT NULL REFERENCES iot.users ON DELETE CASCADE,
    purpose       text NOT NULL CHECK (purpose IN ('LOGIN', 'CONFIG')),
    tenant_id     uuid,
    created_time  bigint NOT NULL DEFAULT iot.now_ms(),
    expires_at    bigint NOT NULL,
    email         text NOT NULL,
    hash          text NOT NULL,
    PRIMARY KEY (user_id, purpose)
);


-- What user interfaces keep for a user.

CREATE TABLE iot.user_setting (
    user_id    uuid NOT NULL REFERENCES iot.users ON DELETE CASCADE,
    type       text NOT NULL,
    tenant_id  uuid,
    value      jsonb NOT NULL,
    PRIMARY KEY (user_id, type)
);


GRANT SELECT, INSERT, UPDATE, DELETE ON
    iot.api_key, iot.user_address, iot.second_factor, iot.second_factor_code,
    iot.user_setting
    TO iot_app;

ALTER TABLE iot.api_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.user_address ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.second_factor ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.second_factor_code ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.user_setting ENABLE ROW LEVEL SECURITY;

CREATE POLICY api_key_own ON iot.api_key
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY user_address_own ON iot.user_address
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY second_factor_own ON iot.second_factor
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY second_factor_code_own ON iot.second_factor_code
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY user_setting_own ON iot.user_setting
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));
