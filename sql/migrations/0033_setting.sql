
--
-- Copyright (C) the ngx_iot authors
--
-- The registry of settings: what there is to set.  The values are rows of
-- iot.setting; the definitions are made anew by every upgrade.


CREATE TABLE iot.setting_definition (
    name           text PRIMARY KEY,
    type           text NOT NULL,
    default_value  json NOT NULL,
    bounds         json NOT NULL,
    scope          text NOT NULL CHECK (scope IN ('system', 'tenant')),
    hot            boolean NOT NULL,
    secret         boolean NOT NULL,
    description    text NOT NULL,
    stored_in      text
);

GRANT SELECT ON iot.setting_definition TO iot_app;
