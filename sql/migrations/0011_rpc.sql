
--
-- Copyright (C) the ngx_iot authors
--
-- Requests to devices.  Only persistent ones have a row; all take their id
-- from the counter of the device.
--
-- status: QUEUED, SENT, DELIVERED (waiting), SUCCESSFUL, TIMEOUT, EXPIRED,
-- FAILED (over).


CREATE TABLE iot.rpc_counter (
    tenant_id  uuid NOT NULL,
    device_id  uuid NOT NULL,
    next       integer NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, device_id),
    FOREIGN KEY (tenant_id, device_id) REFERENCES iot.device
        ON DELETE CASCADE ON UPDATE CASCADE
);


CREATE TABLE iot.rpc (
    tenant_id        uuid NOT NULL,
    device_id        uuid NOT NULL,
    id               uuid NOT NULL DEFAULT iot.new_id(),
    request_id       integer NOT NULL,
    created_time     bigint NOT NULL DEFAULT iot.now_ms(),
    expiration_time  bigint NOT NULL,
    oneway           boolean NOT NULL,
    body             json NOT NULL,
    retries          integer,
    additional_info  json,
    response         json,
    status           text NOT NULL DEFAULT 'QUEUED',
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, device_id) REFERENCES iot.device
        ON DELETE CASCADE ON UPDATE CASCADE
);

CREATE INDEX rpc_by_device ON iot.rpc (tenant_id, device_id, created_time);

CREATE UNIQUE INDEX rpc_waiting ON iot.rpc (tenant_id, device_id, request_id)
    WHERE status IN ('QUEUED', 'SENT', 'DELIVERED');

CREATE INDEX rpc_expiring ON iot.rpc (expiration_time)
    WHERE status IN ('QUEUED', 'SENT', 'DELIVERED');


ALTER TABLE iot.rpc_counter ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.rpc ENABLE ROW LEVEL SECURITY;

CREATE POLICY rpc_counter_own ON iot.rpc_counter
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY rpc_own ON iot.rpc
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

GRANT SELECT, INSERT, UPDATE, DELETE ON iot.rpc_counter, iot.rpc TO iot_app;
