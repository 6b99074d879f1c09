
--
-- Copyright (C) the ngx_iot authors
--
-- Reports of gateways about devices that they have heard.
--
-- A device is looked for by its MAC, the shared attribute advt_mac: texts of
-- that length are few, so the index is small.


CREATE INDEX attribute_mac ON iot.attribute (s, key)
    WHERE scope = 2 AND length(s) = 17;


-- How many reports a gateway may send just now, and which devices it has
-- reported within the last minute.

CREATE TABLE iot.advt_gateway (
    tenant_id  uuid NOT NULL REFERENCES iot.tenant ON DELETE CASCADE,
    device_id  uuid NOT NULL,
    tokens     double precision NOT NULL,
    at         bigint NOT NULL,
    dropped    bigint NOT NULL DEFAULT 0,
    unknown    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, device_id),
    FOREIGN KEY (tenant_id, device_id) REFERENCES iot.device
        ON DELETE CASCADE
);

CREATE TABLE iot.advt_seen (
    tenant_id  uuid NOT NULL,
    device_id  uuid NOT NULL,
    what       text NOT NULL,
    at         bigint NOT NULL,
    PRIMARY KEY (tenant_id, device_id, what),
    FOREIGN KEY (tenant_id, device_id) REFERENCES iot.advt_gateway
        ON DELETE CASCADE
);


GRANT SELECT ON iot.advt_gateway, iot.advt_seen TO iot_app;

ALTER TABLE iot.advt_gateway ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.advt_seen ENABLE ROW LEVEL SECURITY;

CREATE POLICY advt_gateway_own ON iot.advt_gateway
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY advt_seen_own ON iot.advt_seen
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));
