
--
-- Copyright (C) the ngx_iot authors
--
-- Pay-as-you-go: every code that was ever made.  The rows outlive their
-- devices, for they stand for money.
--
-- msg_id is the id that the code carries (Nexus) or its count (OpenPAYGO);
-- NULL for those of an external generator.  hours is NULL for codes that set
-- no credit.


CREATE TABLE iot.payg_token (
    tenant_id     uuid NOT NULL REFERENCES iot.tenant ON DELETE CASCADE,
    id            uuid NOT NULL DEFAULT iot.new_id(),
    created_time  bigint NOT NULL DEFAULT iot.now_ms(),
    device_id     uuid NOT NULL,
    device_name   text NOT NULL,
    customer_id   uuid,
    system        text NOT NULL,
    type          text NOT NULL,
    hours         bigint,
    msg_id        bigint,
    token         text NOT NULL,
    request_id    text CHECK (length(request_id) BETWEEN 1 AND 64),
    user_id       uuid,
    user_name     text,
    PRIMARY KEY (tenant_id, id)
);

CREATE INDEX payg_token_by_time ON iot.payg_token
    (tenant_id, created_time, id);
CREATE INDEX payg_token_by_device ON iot.payg_token
    (tenant_id, device_id, created_time);
CREATE INDEX payg_token_by_customer ON iot.payg_token
    (tenant_id, customer_id, created_time);

CREATE UNIQUE INDEX payg_token_by_request ON iot.payg_token
    (tenant_id, device_id, request_id) WHERE request_id IS NOT NULL;


GRANT SELECT ON iot.payg_token TO iot_app;

ALTER TABLE iot.payg_token ENABLE ROW LEVEL SECURITY;

CREATE POLICY payg_token_own ON iot.payg_token
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));
