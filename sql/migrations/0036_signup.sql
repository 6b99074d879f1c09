
--
-- Copyright (C) the ngx_iot authors
--
-- Self-registration: sign-ups that wait for their confirmation or for an
-- administrator, invitations, and what users have agreed to.
--
-- Codes of links are kept as their SHA-256 only.  An address may sign up many
-- times: the first sign-up that is confirmed wins, so nobody can change what
-- another one has asked for.


CREATE TABLE iot.signup (
    tenant_id      uuid NOT NULL REFERENCES iot.tenant ON DELETE CASCADE,
    id             uuid NOT NULL DEFAULT iot.new_id(),
    created_time   bigint NOT NULL DEFAULT iot.now_ms(),
    email          text NOT NULL CHECK (email = lower(email)),
    first_name     text,
    last_name      text,
    phone          text,
    password_hash  text NOT NULL,
    code_hash      bytea UNIQUE,
    state          text NOT NULL CHECK (state IN ('CONFIRM', 'APPROVAL')),
    expires_at     bigint NOT NULL,
    address        text,
    base           text NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

CREATE INDEX signup_by_email ON iot.signup (tenant_id, email);
CREATE INDEX signup_by_end ON iot.signup (expires_at);


CREATE TABLE iot.signup_invitation (
    tenant_id     uuid NOT NULL REFERENCES iot.tenant ON DELETE CASCADE,
    id            uuid NOT NULL DEFAULT iot.new_id(),
    created_time  bigint NOT NULL DEFAULT iot.now_ms(),
    email         text,
    code_hash     bytea NOT NULL UNIQUE,
    expires_at    bigint NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

CREATE INDEX signup_invitation_by_end ON iot.signup_invitation (expires_at);


CREATE TABLE iot.user_consent (
    tenant_id      uuid NOT NULL,
    user_id        uuid NOT NULL REFERENCES iot.users ON DELETE CASCADE,
    kind           text NOT NULL
                   CHECK (kind IN ('privacyPolicy', 'termsOfUse')),
    accepted_time  bigint NOT NULL DEFAULT iot.now_ms(),
    PRIMARY KEY (user_id, kind)
);


GRANT SELECT, INSERT, UPDATE, DELETE ON
    iot.signup, iot.signup_invitation, iot.user_consent
    TO iot_app;

ALTER TABLE iot.signup ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.signup_invitation ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.user_consent ENABLE ROW LEVEL SECURITY;

CREATE POLICY signup_own ON iot.signup
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY signup_invitation_own ON iot.signup_invitation
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY user_consent_own ON iot.user_consent
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));
