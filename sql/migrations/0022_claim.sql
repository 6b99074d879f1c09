--
-- Copyright (C) the ngx_iot authors
--
-- What a device has said about being claimed, and who has tried in vain.
-- secret_hash NULL: the device has said nothing.


CREATE TABLE iot.device_claim (
    tenant_id    uuid NOT NULL,
    device_id    uuid NOT NULL,
    secret_hash  bytea,
    expires_at   bigint NOT NULL DEFAULT 0,
    failures     integer NOT NULL DEFAULT 0,
    failed_at    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, device_id),
    FOREIGN KEY (tenant_id, device_id) REFERENCES iot.device
        ON DELETE CASCADE ON UPDATE CASCADE
);

ALTER TABLE iot.device_claim ENABLE ROW LEVEL SECURITY;

CREATE POLICY device_claim_own ON iot.device_claim
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

GRANT SELECT, INSERT, UPDATE, DELETE ON iot.device_claim TO iot_app;
