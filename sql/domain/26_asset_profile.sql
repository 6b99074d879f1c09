
--
-- Copyright (C) the ngx_iot authors
--
-- Asset profiles.


CREATE OR REPLACE FUNCTION iot.asset_profile_get(p iot.principal, id uuid,
    operation text DEFAULT 'READ') RETURNS iot.asset_profile
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.asset_profile;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    SELECT * INTO r FROM iot.asset_profile AS a
    WHERE a.tenant_id = p.tenant_id AND a.id = asset_profile_get.id;

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('Asset profile', id);
    END IF;

    PERFORM iot.need(p, operation, 'ASSET_PROFILE', r.id, NULL);

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.asset_profile_default(tenant uuid)
RETURNS iot.asset_profile
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.asset_profile;
BEGIN
    SELECT * INTO r FROM iot.asset_profile AS a
    WHERE a.tenant_id = tenant AND a.is_default;

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('Asset profile', NULL);
    END IF;

    RETURN r;
END
$$;


-- The profile of that name, made when there is none.

DROP FUNCTION IF EXISTS iot.asset_profile_by_name(uuid, text);

CREATE OR REPLACE FUNCTION iot.asset_profile_by_name(p iot.principal,
    tenant uuid, name text) RETURNS iot.asset_profile
LANGUAGE plpgsql
AS $$
DECLARE
    r    iot.asset_profile;
    who  iot.principal := p;
BEGIN
    LOOP
        SELECT * INTO r FROM iot.asset_profile AS a
        WHERE a.tenant_id = tenant AND a.name = asset_profile_by_name.name;

        EXIT WHEN r.id IS NOT NULL;

        INSERT INTO iot.asset_profile (tenant_id, name)
        VALUES (tenant, asset_profile_by_name.name)
        ON CONFLICT ON CONSTRAINT asset_profile_tenant_id_name_key DO NOTHING
        RETURNING * INTO r;

        IF r.id IS NOT NULL THEN
            IF p.tenant_id IS DISTINCT FROM tenant THEN
                who.tenant_id := tenant;
                who.customer_id := NULL;
                who.user_id := NULL;
            END IF;

            PERFORM iot.audit(who, 'ASSET_PROFILE', r.id, r.name,
                              'ADDED');
            EXIT;
        END IF;
    END LOOP;

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.asset_profile_save(p iot.principal,
    r iot.asset_profile) RETURNS iot.asset_profile
LANGUAGE plpgsql
AS $$
DECLARE
    old   iot.asset_profile;
    what  text;
BEGIN
    PERFORM iot.need(p, CASE WHEN r.id IS NULL THEN 'CREATE' ELSE 'WRITE' END,
                     'ASSET_PROFILE', r.id, NULL);

    IF r.id IS NOT NULL THEN
        SELECT * INTO old FROM iot.asset_profile AS a
        WHERE a.tenant_id = p.tenant_id AND a.id = r.id
        FOR UPDATE;

        IF old.id IS NULL THEN
            PERFORM iot.fail_request(
                'Can''t update non existing asset profile!');
        END IF;

        IF r.version <> old.version THEN
            PERFORM iot.fail_version('Asset profile');
        END IF;
    END IF;

    IF COALESCE(btrim(r.name), '') = '' THEN
        PERFORM iot.fail_request('Asset profile name should be specified!');
    END IF;

    BEGIN
        IF r.id IS NULL THEN
            INSERT INTO iot.asset_profile AS a (tenant_id, name, description,
                image, is_default, default_rule_chain_id, default_dashboard_id,
                default_edge_rule_chain_id, default_queue_name, external_id)
            VALUES (p.tenant_id, r.name, r.description, r.image, r.is_default,
                r.default_rule_chain_id, r.default_dashboard_id,
                r.default_edge_rule_chain_id, r.default_queue_name,
                r.external_id)
            RETURNING * INTO r;

        ELSE
            UPDATE iot.asset_profile AS a
            SET name = r.name,
                description = r.description,
                image = r.image,
                is_default = r.is_default OR a.is_default,
                default_rule_chain_id = r.default_rule_chain_id,
                default_dashboard_id = r.default_dashboard_id,
                default_edge_rule_chain_id = r.default_edge_rule_chain_id,
                default_queue_name = r.default_queue_name,
                external_id = COALESCE(r.external_id, a.external_id),
                version = a.version + 1
            WHERE a.tenant_id = p.tenant_id AND a.id = r.id
            RETURNING * INTO r;
        END IF;

    EXCEPTION
        WHEN unique_violation THEN
            GET STACKED DIAGNOSTICS what = CONSTRAINT_NAME;

            PERFORM iot.fail_request(CASE what
                WHEN 'asset_profile_default' THEN
                    'Another default asset profile is present in scope of '
                    'current tenant!'
                ELSE
                    'Asset profile with such name already exists!'
                END);
    END;

    PERFORM iot.audit(p, 'ASSET_PROFILE', r.id, r.name,
                      CASE WHEN old.id IS NULL THEN 'ADDED'
                      ELSE 'UPDATED' END);

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.asset_profile_set_default(p iot.principal,
    id uuid) RETURNS iot.asset_profile
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.asset_profile;
BEGIN
    PERFORM iot.lock('asset_profile', p.tenant_id);

    r := iot.asset_profile_get(p, id, 'WRITE');

    IF NOT r.is_default THEN
        UPDATE iot.asset_profile AS a
        SET is_default = false, version = a.version + 1
        WHERE a.tenant_id = p.tenant_id AND a.is_default;

        UPDATE iot.asset_profile AS a
        SET is_default = true, version = a.version + 1
        WHERE a.tenant_id = p.tenant_id AND a.id = r.id
        RETURNING * INTO r;

        PERFORM iot.audit(p, 'ASSET_PROFILE', r.id, r.name, 'UPDATED');
    END IF;

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.asset_profile_delete(p iot.principal, id uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.asset_profile;
BEGIN
    r := iot.asset_profile_get(p, id, 'DELETE');

    IF r.is_default THEN
        PERFORM iot.fail_request(
            'Deletion of Default Asset Profile is prohibited!');
    END IF;

    BEGIN
        DELETE FROM iot.asset_profile AS a
        WHERE a.tenant_id = p.tenant_id AND a.id = r.id;

    EXCEPTION
        WHEN foreign_key_violation THEN
            PERFORM iot.fail_request('The asset profile referenced by the '
                                     'assets cannot be deleted!');
    END;

    PERFORM iot.audit(p, 'ASSET_PROFILE', r.id, r.name, 'DELETED');
END
$$;
