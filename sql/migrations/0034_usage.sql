
--
-- Copyright (C) the ngx_iot authors
--
-- What tenants have used in a month, and what they may not use any more.
-- month is 202611.


CREATE TABLE iot.usage (
    tenant_id  uuid NOT NULL REFERENCES iot.tenant ON DELETE CASCADE,
    month      integer NOT NULL,
    name       text NOT NULL,
    value      bigint NOT NULL,
    PRIMARY KEY (tenant_id, month, name)
);

CREATE TABLE iot.usage_state (
    tenant_id     uuid NOT NULL REFERENCES iot.tenant ON DELETE CASCADE,
    name          text NOT NULL,
    month         integer NOT NULL,
    state         text NOT NULL CHECK (state IN ('WARNING', 'DISABLED')),
    created_time  bigint NOT NULL DEFAULT iot.now_ms(),
    PRIMARY KEY (tenant_id, name)
);

GRANT SELECT ON iot.usage, iot.usage_state TO iot_app;

ALTER TABLE iot.usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.usage_state ENABLE ROW LEVEL SECURITY;

CREATE POLICY usage_own ON iot.usage
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY usage_state_own ON iot.usage_state
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));
