
--
-- Copyright (C) the ngx_iot authors
--
-- Assets.


-- The asset, if the caller may do the operation, see iot.may().

CREATE OR REPLACE FUNCTION iot.asset_get(p iot.principal, id uuid,
    operation text DEFAULT 'READ') RETURNS iot.asset
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.asset;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    SELECT * INTO r FROM iot.asset AS a
    WHERE a.tenant_id = p.tenant_id AND a.id = asset_get.id;

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('Asset', id);
    END IF;

    PERFORM iot.need(p, operation, 'ASSET', r.id, r.customer_id);

    RETURN r;
END
$$;


-- The profile an asset gets: by id, else by the name given as its type, else
-- the default one.

DROP FUNCTION IF EXISTS iot.asset_choose_profile(uuid, uuid, text);

CREATE OR REPLACE FUNCTION iot.asset_choose_profile(p iot.principal,
    profile_id uuid, type text) RETURNS uuid
LANGUAGE plpgsql
AS $$
BEGIN
    IF profile_id IS NOT NULL THEN
        IF NOT EXISTS (SELECT FROM iot.asset_profile AS a
                       WHERE a.tenant_id = p.tenant_id
                             AND a.id = asset_choose_profile.profile_id)
        THEN
            PERFORM iot.fail_request(
                'Asset is referencing to non existing asset profile!');
        END IF;

        RETURN profile_id;
    END IF;

    IF COALESCE(btrim(type), '') <> '' THEN
        RETURN (iot.asset_profile_by_name(p, p.tenant_id, type)).id;
    END IF;

    RETURN (iot.asset_profile_default(p.tenant_id)).id;
END
$$;


-- r.id NULL: create; r.profile_id or type choose the profile, conflict etc.
-- are those of customers.

CREATE OR REPLACE FUNCTION iot.asset_save(p iot.principal, r iot.asset,
    type text, conflict text DEFAULT 'FAIL', separator text DEFAULT '_',
    strategy text DEFAULT 'RANDOM') RETURNS iot.asset
LANGUAGE plpgsql
AS $$
DECLARE
    old  iot.asset;
BEGIN
    IF r.id IS NULL THEN
        IF p.role = 'CUSTOMER_USER' THEN
            r.customer_id := COALESCE(r.customer_id, p.customer_id);
        END IF;

        PERFORM iot.need(p, 'CREATE', 'ASSET', NULL, r.customer_id);

    ELSE
        SELECT * INTO old FROM iot.asset AS a
        WHERE a.tenant_id = p.tenant_id AND a.id = r.id
        FOR UPDATE;

        IF old.id IS NULL THEN
            PERFORM iot.fail_request('Can''t update non existing asset!');
        END IF;

        PERFORM iot.need(p, 'WRITE', 'ASSET', old.id, old.customer_id);

        IF r.version <> old.version THEN
            PERFORM iot.fail_version('Asset');
        END IF;
    END IF;

    IF COALESCE(btrim(r.name), '') = '' THEN
        PERFORM iot.fail_request('Asset name should be specified!');
    END IF;

    PERFORM iot.assign_check(p, 'ASSET', old.id, old.customer_id,
                            r.customer_id);

    r.tenant_id := p.tenant_id;
    r.profile_id := iot.asset_choose_profile(p, r.profile_id, type);

    IF r.id IS NULL THEN
        RETURN iot.asset_create(p, r, conflict, separator, strategy);
    END IF;

    RETURN iot.asset_update(p, old, r);
END
$$;


CREATE OR REPLACE FUNCTION iot.asset_create(p iot.principal, r iot.asset,
    conflict text, separator text, strategy text) RETURNS iot.asset
LANGUAGE plpgsql
AS $$
DECLARE
    made   iot.asset;
    title  text := r.name;
BEGIN
    PERFORM iot.need_room(r.tenant_id, 'ASSET');

    FOR attempt IN 1 .. 1000 LOOP
        INSERT INTO iot.asset AS a (tenant_id, customer_id, profile_id, name,
            label, additional_info, external_id)
        VALUES (r.tenant_id, r.customer_id, r.profile_id, title, r.label,
            r.additional_info, r.external_id)
        ON CONFLICT ON CONSTRAINT asset_tenant_id_name_key DO NOTHING
        RETURNING * INTO made;

        EXIT WHEN made.id IS NOT NULL OR conflict <> 'UNIQUIFY';

        title := r.name || separator || iot.unique_suffix(attempt, strategy);
    END LOOP;

    IF made.id IS NULL THEN
        PERFORM iot.fail_request('Asset with such name already exists!');
    END IF;

    PERFORM iot.audit(p, 'ASSET', made.id, made.name, 'ADDED',
                      customer => made.customer_id);

    RETURN made;
END
$$;


CREATE OR REPLACE FUNCTION iot.asset_update(p iot.principal, old iot.asset,
    r iot.asset) RETURNS iot.asset
LANGUAGE plpgsql
AS $$
BEGIN
    BEGIN
        UPDATE iot.asset AS a
        SET customer_id = r.customer_id,
            profile_id = r.profile_id,
            name = r.name,
            label = r.label,
            additional_info = r.additional_info,
            external_id = COALESCE(r.external_id, a.external_id),
            version = a.version + 1
        WHERE a.tenant_id = old.tenant_id AND a.id = old.id
        RETURNING * INTO r;

    EXCEPTION
        WHEN unique_violation THEN
            PERFORM iot.fail_request('Asset with such name already exists!');
    END;

    PERFORM iot.audit(p, 'ASSET', r.id, r.name, 'UPDATED',
                      customer => r.customer_id);

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.asset_delete(p iot.principal, id uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.asset;
BEGIN
    r := iot.asset_get(p, id, 'DELETE');

    PERFORM iot.view_none(r.tenant_id, 'ASSET', r.id,
                          'Can''t delete asset that has entity views!');

    DELETE FROM iot.asset AS a
    WHERE a.tenant_id = r.tenant_id AND a.id = r.id;

    PERFORM iot.forget_entity(r.nr);
    PERFORM iot.audit(p, 'ASSET', r.id, r.name, 'DELETED',
                      customer => r.customer_id);
END
$$;


-- Hand an asset over to another tenant, with its attributes and telemetry.

CREATE OR REPLACE FUNCTION iot.asset_move(p iot.principal, id uuid,
    tenant uuid) RETURNS iot.asset
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    r        iot.asset;
    profile  text;
    target   iot.principal := p;
BEGIN
    r := iot.asset_get(p, id, 'ASSIGN_TO_TENANT');

    IF tenant IS NULL OR NOT iot.tenant_alive(tenant) THEN
        PERFORM iot.fail_missing('Tenant', tenant);
    END IF;

    IF tenant = r.tenant_id THEN
        RETURN r;
    END IF;

    PERFORM iot.view_none(r.tenant_id, 'ASSET', r.id, 'Can''t assign asset '
                          'that has entity views to another tenant!');
    PERFORM iot.need_room(tenant, 'ASSET');

    SELECT a.name INTO profile FROM iot.asset_profile AS a
    WHERE a.tenant_id = r.tenant_id AND a.id = r.profile_id;

    DELETE FROM iot.relation AS x
    WHERE x.tenant_id = r.tenant_id AND r.id IN (x.from_id, x.to_id);

    BEGIN
        UPDATE iot.asset AS a
        SET tenant_id = tenant,
            customer_id = NULL,
            profile_id = (iot.asset_profile_by_name(p, tenant, profile)).id,
            version = a.version + 1
        WHERE a.tenant_id = r.tenant_id AND a.id = r.id
        RETURNING * INTO r;

    EXCEPTION
        WHEN unique_violation THEN
            PERFORM iot.fail_request('Asset with such name already exists!');
    END;

    target.tenant_id := tenant;
    target.customer_id := NULL;
    target.user_id := NULL;

    PERFORM iot.audit(p, 'ASSET', r.id, r.name, 'ASSIGNED_TO_TENANT');
    PERFORM iot.audit(target, 'ASSET', r.id, r.name, 'ASSIGNED_FROM_TENANT');

    RETURN r;
END
$$;

SELECT iot.definer('iot.asset_move', 'changes the tenant of a row');
