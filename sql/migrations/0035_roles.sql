
--
-- Copyright (C) the ngx_iot authors
--
-- Entity groups, roles, and what a group of users may do with them; customers
-- of customers.  An owner (customer_id) that is NULL is the tenant.


ALTER TABLE iot.customer ADD COLUMN parent_id uuid;
ALTER TABLE iot.customer
    ADD FOREIGN KEY (tenant_id, parent_id) REFERENCES iot.customer;
ALTER TABLE iot.customer ADD CHECK (parent_id <> id);

CREATE INDEX customer_by_parent ON iot.customer (tenant_id, parent_id, id);


-- is_all: the group of everything of that type that the owner has.  It has no
-- rows of members.

CREATE TABLE iot.entity_group (
    tenant_id        uuid NOT NULL REFERENCES iot.tenant,
    id               uuid NOT NULL DEFAULT iot.new_id(),
    created_time     bigint NOT NULL DEFAULT iot.now_ms(),
    customer_id      uuid,
    type             text NOT NULL,
    name             text NOT NULL,
    is_all           boolean NOT NULL DEFAULT false,
    additional_info  json,
    configuration    json,
    version          bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT entity_group_name_key
        UNIQUE NULLS NOT DISTINCT (tenant_id, customer_id, type, name),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES iot.customer
        ON DELETE CASCADE,
    CHECK (type IN ('CUSTOMER', 'ASSET', 'DEVICE', 'USER', 'ENTITY_VIEW',
                    'DASHBOARD', 'EDGE'))
);


CREATE TABLE iot.entity_group_member (
    tenant_id  uuid NOT NULL,
    group_id   uuid NOT NULL,
    entity_id  uuid NOT NULL,
    PRIMARY KEY (tenant_id, group_id, entity_id),
    FOREIGN KEY (tenant_id, group_id) REFERENCES iot.entity_group
        ON DELETE CASCADE
);

CREATE INDEX entity_group_member_by_entity
    ON iot.entity_group_member (tenant_id, entity_id);


-- permissions: GENERIC {"DEVICE":["READ"]}, GROUP ["READ"].

CREATE TABLE iot.role (
    tenant_id        uuid NOT NULL REFERENCES iot.tenant,
    id               uuid NOT NULL DEFAULT iot.new_id(),
    created_time     bigint NOT NULL DEFAULT iot.now_ms(),
    customer_id      uuid,
    name             text NOT NULL,
    type             text NOT NULL CHECK (type IN ('GENERIC', 'GROUP')),
    permissions      jsonb NOT NULL,
    additional_info  json,
    version          bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT role_name_key
        UNIQUE NULLS NOT DISTINCT (tenant_id, customer_id, name),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES iot.customer
        ON DELETE CASCADE
);


-- entity_group_id NULL: a GENERIC role.  A tenant without rows here pays one
-- look into the index.

CREATE TABLE iot.group_permission (
    tenant_id        uuid NOT NULL REFERENCES iot.tenant,
    id               uuid NOT NULL DEFAULT iot.new_id(),
    created_time     bigint NOT NULL DEFAULT iot.now_ms(),
    user_group_id    uuid NOT NULL,
    role_id          uuid NOT NULL,
    entity_group_id  uuid,
    is_public        boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT group_permission_key UNIQUE NULLS NOT DISTINCT
        (tenant_id, user_group_id, role_id, entity_group_id),
    FOREIGN KEY (tenant_id, user_group_id) REFERENCES iot.entity_group
        ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, role_id) REFERENCES iot.role,
    FOREIGN KEY (tenant_id, entity_group_id) REFERENCES iot.entity_group
        ON DELETE CASCADE
);

CREATE INDEX group_permission_by_role
    ON iot.group_permission (tenant_id, role_id);
CREATE INDEX group_permission_by_entity_group
    ON iot.group_permission (tenant_id, entity_group_id);


GRANT SELECT, INSERT, UPDATE, DELETE ON
    iot.entity_group, iot.entity_group_member, iot.role, iot.group_permission
    TO iot_app;

ALTER TABLE iot.entity_group ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.entity_group_member ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.role ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.group_permission ENABLE ROW LEVEL SECURITY;

CREATE POLICY entity_group_own ON iot.entity_group
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY entity_group_member_own ON iot.entity_group_member
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY role_own ON iot.role
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY group_permission_own ON iot.group_permission
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));


-- What is deleted, or goes to another tenant, leaves its groups.

CREATE FUNCTION iot.entity_group_forget() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    DELETE FROM iot.entity_group_member AS m
    WHERE m.tenant_id = OLD.tenant_id AND m.entity_id = OLD.id;

    RETURN NULL;
END
$$;

INSERT INTO iot.definer_function (name, why)
VALUES ('iot.entity_group_forget',
        'a trigger, for whoever deletes an entity');

DO $$
DECLARE
    entity  text;
BEGIN
    FOREACH entity IN ARRAY
        '{device,asset,entity_view,dashboard,customer,users}'::text[]
    LOOP
        IF to_regclass('iot.' || entity) IS NOT NULL THEN
            EXECUTE format('CREATE TRIGGER entity_group_forget '
                           'AFTER DELETE OR UPDATE OF tenant_id ON iot.%I '
                           'FOR EACH ROW '
                           'WHEN (OLD.tenant_id IS NOT NULL) '
                           'EXECUTE FUNCTION iot.entity_group_forget()',
                           entity);
        END IF;
    END LOOP;
END
$$;
