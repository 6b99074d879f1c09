--
-- Copyright (C) the ngx_iot authors
--
-- Packages of firmware and software for devices.  A package is a URL or has
-- data, which is kept in rows of 64 KiB (the last one may be shorter), as it
-- came, so that a piece of it is read without the rest.


CREATE TABLE iot.ota_package (
    tenant_id           uuid NOT NULL REFERENCES iot.tenant,
    id                  uuid NOT NULL DEFAULT iot.new_id(),
    created_time        bigint NOT NULL DEFAULT iot.now_ms(),
    profile_id          uuid NOT NULL,
    type                text NOT NULL
                        CHECK (type IN ('FIRMWARE', 'SOFTWARE')),
    title               text NOT NULL,
    release             text NOT NULL,
    tag                 text,
    url                 text,
    file_name           text,
    content_type        text,
    checksum_algorithm  text,
    checksum            text,
    data_size           bigint,
    additional_info     json,
    external_id         uuid,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, title, release),
    FOREIGN KEY (tenant_id, profile_id) REFERENCES iot.device_profile
        ON DELETE CASCADE
);

CREATE INDEX ota_package_by_time ON iot.ota_package
    (tenant_id, created_time, id);
CREATE INDEX ota_package_by_profile ON iot.ota_package
    (tenant_id, profile_id, type, id);

CREATE TABLE iot.ota_data (
    tenant_id   uuid NOT NULL,
    package_id  uuid NOT NULL,
    n           integer NOT NULL,
    data        bytea NOT NULL,
    PRIMARY KEY (tenant_id, package_id, n),
    FOREIGN KEY (tenant_id, package_id) REFERENCES iot.ota_package
        ON DELETE CASCADE
);

ALTER TABLE iot.ota_data ALTER COLUMN data SET STORAGE EXTERNAL;

ALTER TABLE iot.ota_package ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.ota_data ENABLE ROW LEVEL SECURITY;

CREATE POLICY ota_package_own ON iot.ota_package
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY ota_data_own ON iot.ota_data
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

GRANT SELECT, INSERT, UPDATE, DELETE ON iot.ota_package, iot.ota_data
    TO iot_app;

-- who has the package

CREATE INDEX device_by_firmware ON iot.device (tenant_id, firmware_id)
    WHERE firmware_id IS NOT NULL;
CREATE INDEX device_by_software ON iot.device (tenant_id, software_id)
    WHERE software_id IS NOT NULL;
