
--
-- Copyright (C) the ngx_iot authors
--
-- /api/asset...


CREATE OR REPLACE FUNCTION tb.asset_out(a iot.asset, type text)
RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('ASSET', a.id),
        'createdTime', a.created_time,
        'additionalInfo', a.additional_info,
        'tenantId', tb.id('TENANT', a.tenant_id),
        'customerId', tb.id_or_none('CUSTOMER', a.customer_id),
        'ownerId', tb.owner(a.tenant_id, a.customer_id),
        'name', a.name,
        'type', asset_out.type,
        'label', a.label,
        'assetProfileId', tb.id('ASSET_PROFILE', a.profile_id),
        'externalId', tb.id('ASSET', a.external_id),
        'version', a.version)
$$;


CREATE OR REPLACE FUNCTION tb.asset_info_out(a iot.asset, type text,
    customer text, is_public boolean) RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('ASSET', a.id),
        'createdTime', a.created_time,
        'additionalInfo', a.additional_info,
        'tenantId', tb.id('TENANT', a.tenant_id),
        'customerId', tb.id_or_none('CUSTOMER', a.customer_id),
        'ownerId', tb.owner(a.tenant_id, a.customer_id),
        'name', a.name,
        'type', asset_info_out.type,
        'label', a.label,
        'assetProfileId', tb.id('ASSET_PROFILE', a.profile_id),
        'externalId', tb.id('ASSET', a.external_id),
        'version', a.version,
        'customerTitle', asset_info_out.customer,
        'customerIsPublic', COALESCE(asset_info_out.is_public, false),
        'assetProfileName', asset_info_out.type)
$$;


CREATE OR REPLACE FUNCTION tb.asset_in(body json) RETURNS iot.asset
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    r  iot.asset;
BEGIN
    PERFORM tb.need_object(body);

    r.id := tb.ref(body, 'id');
    r.customer_id := tb.ref(body, 'customerId');
    r.profile_id := tb.ref(body, 'assetProfileId');
    r.name := tb.text(body, 'name');
    r.label := tb.text(body, 'label');
    r.additional_info := tb.object(body, 'additionalInfo');
    r.external_id := tb.ref(body, 'externalId');
    r.version := tb.long(body, 'version');

    RETURN r;
END
$$;


-- One asset as JSON: the name of its profile is its type.  Volatile, so that
-- it sees a profile that was made by the same statement.

CREATE OR REPLACE FUNCTION tb.asset_show(a iot.asset) RETURNS json
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    RETURN tb.asset_out(a, (SELECT ap.name FROM iot.asset_profile AS ap
                            WHERE ap.tenant_id = a.tenant_id
                                  AND ap.id = a.profile_id));
END
$$;


CREATE OR REPLACE FUNCTION tb.asset_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.asset_show(iot.asset_get(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.asset_info_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    a  iot.asset;
BEGIN
    PERFORM iot.enter(p);

    a := iot.asset_get(p, tb.uuid(path[1]));

    RETURN (SELECT tb.asset_info_out(a, ap.name, c.title, c.is_public)
            FROM iot.asset_profile AS ap
                LEFT JOIN iot.customer AS c
                    ON c.tenant_id = a.tenant_id AND c.id = a.customer_id
            WHERE ap.tenant_id = a.tenant_id AND ap.id = a.profile_id);
END
$$;


CREATE OR REPLACE FUNCTION tb.asset_save(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    how     record;
    r       iot.asset;
    groups  uuid[];
BEGIN
    PERFORM iot.enter(p);

    how := tb.conflict(query);
    r := tb.asset_in(body);

    IF r.id IS NULL THEN
        groups := tb.group_args(query);
        r.customer_id := COALESCE(r.customer_id, tb.owner_in(body),
                                  tb.groups_owner(p, groups));
    END IF;

    r := iot.asset_save(p, r, tb.text(body, 'type'), how.policy,
                        how.separator, how.strategy);

    PERFORM tb.join_groups(p, groups, r.id);

    RETURN tb.asset_show(r);
END
$$;


CREATE OR REPLACE FUNCTION tb.asset_delete(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.asset_delete(p, tb.uuid(path[1]));

    RETURN NULL;
END
$$;


-- customer NULL: take it back.

CREATE OR REPLACE FUNCTION tb.asset_owned(p iot.principal, id uuid,
    customer uuid) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.assign(p, 'ASSET', id, customer);

    RETURN tb.asset_show(a) FROM iot.asset AS a
        WHERE a.tenant_id = p.tenant_id AND a.id = asset_owned.id;
END
$$;


CREATE OR REPLACE FUNCTION tb.asset_assign(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.asset_owned(p, tb.uuid(path[2]),
                          (iot.customer_get(p, tb.uuid(path[1]))).id);
END
$$;


CREATE OR REPLACE FUNCTION tb.asset_unassign(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.asset_owned(p, tb.uuid(path[1]), NULL);
END
$$;


CREATE OR REPLACE FUNCTION tb.asset_assign_public(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    a  iot.asset;
BEGIN
    PERFORM iot.enter(p);

    a := iot.asset_get(p, tb.uuid(path[1]), 'CHANGE_OWNER');

    RETURN tb.asset_owned(p, a.id, (iot.customer_public(p)).id);
END
$$;


CREATE OR REPLACE FUNCTION tb.asset_move(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    a     iot.asset;
    type  text;
BEGIN
    PERFORM iot.enter(p);

    a := iot.asset_get(p, tb.uuid(path[2]));
    type := tb.asset_show(a) ->> 'type';

    RETURN tb.asset_out(iot.asset_move(p, a.id, tb.uuid(path[1])), type);
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_asset_by_name(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    wanted  text := tb.need_arg(query, 'assetName');
    a       iot.asset;
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    SELECT * INTO a FROM iot.asset AS t
    WHERE t.tenant_id = p.tenant_id AND t.name = wanted;

    IF a.id IS NULL OR NOT iot.may(p, 'READ', 'ASSET', a.id, a.customer_id)
    THEN
        PERFORM iot.fail_missing('Asset', NULL);
    END IF;

    RETURN tb.asset_show(a);
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_assets(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    IF query -> 'assetName' IS NOT NULL THEN
        RETURN tb.tenant_asset_by_name(p, path, query, body);
    END IF;

    RETURN tb.tenant_things(p, 'ASSET', query, false);
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_asset_infos(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.tenant_things(p, 'ASSET', query, true);
END
$$;


CREATE OR REPLACE FUNCTION tb.customer_assets(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.customer_things(p, 'ASSET', path[1], query, false);
END
$$;


CREATE OR REPLACE FUNCTION tb.customer_asset_infos(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.customer_things(p, 'ASSET', path[1], query, true);
END
$$;


-- types NULL: of any.

CREATE OR REPLACE FUNCTION tb.assets_of(p iot.principal, ids uuid[],
    types text[]) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN COALESCE(
        (SELECT json_agg(tb.asset_out(a, ap.name) ORDER BY a.id)
         FROM iot.asset AS a
             JOIN iot.asset_profile AS ap
                 ON ap.tenant_id = a.tenant_id AND ap.id = a.profile_id
         WHERE a.tenant_id = p.tenant_id AND a.id = ANY (ids)
               AND (types IS NULL OR ap.name = ANY (types))
               AND iot.may(p, 'READ', 'ASSET', a.id, a.customer_id)),
        '[]');
END
$$;


CREATE OR REPLACE FUNCTION tb.assets_list(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.assets_of(p, tb.arg_ids(query, 'assetIds'), NULL);
END
$$;


CREATE OR REPLACE FUNCTION tb.assets_find(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.assets_of(p, tb.relation_search(p, body, 'ASSET', 'assetTypes'),
                        tb.texts(body, 'assetTypes'));
END
$$;


-- The profiles that have assets which the caller may see.

CREATE OR REPLACE FUNCTION tb.asset_types(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    everything  boolean;
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    everything := iot.may_list(p, 'ASSET', 'a') = 'true';

    RETURN tb.types_out(p.tenant_id, 'ASSET', ARRAY(
        SELECT ap.name FROM iot.asset_profile AS ap
        WHERE ap.tenant_id = p.tenant_id
              AND EXISTS (SELECT FROM iot.asset AS a
                          WHERE a.tenant_id = ap.tenant_id
                                AND a.profile_id = ap.id
                                AND (everything
                                     OR iot.may(p, 'READ', 'ASSET', a.id,
                                                a.customer_id)))));
END
$$;
