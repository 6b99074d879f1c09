
--
-- Copyright (C) the ngx_iot authors
--
-- Assets and their profiles, dashboards, entity views, and the relations
-- between entities of a tenant.


CREATE TABLE iot.asset_profile (
    tenant_id                   uuid NOT NULL REFERENCES iot.tenant,
    id                          uuid NOT NULL DEFAULT iot.new_id(),
    created_time                bigint NOT NULL DEFAULT iot.now_ms(),
    name                        text NOT NULL,
    description                 text,
    image                       text,
    is_default                  boolean NOT NULL DEFAULT false,
    default_rule_chain_id       uuid,
    default_dashboard_id        uuid,
    default_edge_rule_chain_id  uuid,
    default_queue_name          text,
    external_id                 uuid,
    version                     bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
);

CREATE UNIQUE INDEX asset_profile_default ON iot.asset_profile (tenant_id)
    WHERE is_default;


CREATE TABLE iot.asset (
    tenant_id        uuid NOT NULL REFERENCES iot.tenant,
    id               uuid NOT NULL DEFAULT iot.new_id(),
    nr               integer NOT NULL UNIQUE
                     DEFAULT nextval('iot.entity_nr'),
    created_time     bigint NOT NULL DEFAULT iot.now_ms(),
    customer_id      uuid,
    profile_id       uuid NOT NULL,
    name             text NOT NULL,
    label            text,
    additional_info  json,
    external_id      uuid,
    version          bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES iot.customer,
    FOREIGN KEY (tenant_id, profile_id) REFERENCES iot.asset_profile
);

CREATE INDEX asset_by_customer ON iot.asset (tenant_id, customer_id, id);
CREATE INDEX asset_by_time ON iot.asset (tenant_id, created_time, id);
CREATE INDEX asset_by_profile ON iot.asset (tenant_id, profile_id, id);


-- The configuration is json, not jsonb: it is given back as it came.

CREATE TABLE iot.dashboard (
    tenant_id        uuid NOT NULL REFERENCES iot.tenant,
    id               uuid NOT NULL DEFAULT iot.new_id(),
    nr               integer NOT NULL UNIQUE
                     DEFAULT nextval('iot.entity_nr'),
    created_time     bigint NOT NULL DEFAULT iot.now_ms(),
    title            text NOT NULL,
    image            text,
    mobile_hide      boolean NOT NULL DEFAULT false,
    mobile_order     integer,
    configuration    json,
    resources        json,
    external_id      uuid,
    version          bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id)
);

CREATE INDEX dashboard_by_title ON iot.dashboard (tenant_id, title, id);
CREATE INDEX dashboard_by_time ON iot.dashboard (tenant_id, created_time, id);


CREATE TABLE iot.dashboard_customer (
    tenant_id     uuid NOT NULL,
    dashboard_id  uuid NOT NULL,
    customer_id   uuid NOT NULL,
    PRIMARY KEY (tenant_id, dashboard_id, customer_id),
    FOREIGN KEY (tenant_id, dashboard_id) REFERENCES iot.dashboard
        ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, customer_id) REFERENCES iot.customer
        ON DELETE CASCADE
);

CREATE INDEX dashboard_customer_by_customer
    ON iot.dashboard_customer (tenant_id, customer_id, dashboard_id);


-- A view shows some keys of a device or an asset, in a range of time.
-- start_ts and end_ts 0: open.

CREATE TABLE iot.entity_view (
    tenant_id        uuid NOT NULL REFERENCES iot.tenant,
    id               uuid NOT NULL DEFAULT iot.new_id(),
    nr               integer NOT NULL UNIQUE
                     DEFAULT nextval('iot.entity_nr'),
    created_time     bigint NOT NULL DEFAULT iot.now_ms(),
    customer_id      uuid,
    entity_type      text NOT NULL CHECK (entity_type IN ('DEVICE', 'ASSET')),
    entity_id        uuid NOT NULL,
    name             text NOT NULL,
    type             text NOT NULL,
    keys             json,
    start_ts         bigint NOT NULL DEFAULT 0,
    end_ts           bigint NOT NULL DEFAULT 0,
    additional_info  json,
    external_id      uuid,
    version          bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES iot.customer
);

CREATE INDEX entity_view_by_customer
    ON iot.entity_view (tenant_id, customer_id, id);
CREATE INDEX entity_view_by_time
    ON iot.entity_view (tenant_id, created_time, id);
CREATE INDEX entity_view_by_type ON iot.entity_view (tenant_id, type, id);
CREATE INDEX entity_view_by_entity ON iot.entity_view (tenant_id, entity_id);


CREATE TABLE iot.relation (
    tenant_id        uuid NOT NULL REFERENCES iot.tenant,
    from_type        text NOT NULL,
    from_id          uuid NOT NULL,
    to_type          text NOT NULL,
    to_id            uuid NOT NULL,
    type             text NOT NULL,
    type_group       text NOT NULL DEFAULT 'COMMON',
    created_time     bigint NOT NULL DEFAULT iot.now_ms(),
    additional_info  json,
    version          bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, from_id, type_group, type, to_id)
);

CREATE INDEX relation_to
    ON iot.relation (tenant_id, to_id, type_group, type, from_id);


GRANT SELECT, INSERT, UPDATE, DELETE ON
    iot.asset_profile, iot.asset, iot.dashboard, iot.dashboard_customer,
    iot.entity_view, iot.relation
    TO iot_app;

ALTER TABLE iot.asset_profile ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.asset ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.dashboard ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.dashboard_customer ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.entity_view ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.relation ENABLE ROW LEVEL SECURITY;

CREATE POLICY asset_profile_own ON iot.asset_profile
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY asset_own ON iot.asset
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY dashboard_own ON iot.dashboard
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY dashboard_customer_own ON iot.dashboard_customer
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY entity_view_own ON iot.entity_view
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY relation_own ON iot.relation
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));


-- The tenants that are there already get what new ones are furnished with.

INSERT INTO iot.asset_profile (tenant_id, name, description, is_default)
SELECT t.id, 'default', 'Default asset profile', true FROM iot.tenant AS t;


-- An entity that goes takes its relations along, however it is deleted.

CREATE FUNCTION iot.relation_forget() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    DELETE FROM iot.relation AS r
    USING gone AS g
    WHERE r.tenant_id = g.tenant_id AND r.from_id = g.id;

    DELETE FROM iot.relation AS r
    USING gone AS g
    WHERE r.tenant_id = g.tenant_id AND r.to_id = g.id;

    RETURN NULL;
END
$$;

INSERT INTO iot.definer_function (name, why)
VALUES ('iot.relation_forget', 'a trigger, for whoever deletes an entity');

DO $$
DECLARE
    entity  text;
BEGIN
    FOREACH entity IN ARRAY '{device,asset,entity_view,dashboard,customer,'
                            'users,device_profile,asset_profile}'::text[]
    LOOP
        EXECUTE format('CREATE TRIGGER relation_forget AFTER DELETE ON iot.%I '
                       'REFERENCING OLD TABLE AS gone FOR EACH STATEMENT '
                       'EXECUTE FUNCTION iot.relation_forget()', entity);
    END LOOP;
END
$$;
