--
-- Copyright (C) the ngx_iot authors
--
-- /api/otaPackage...


CREATE OR REPLACE FUNCTION tb.ota_out(r iot.ota_package) RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('OTA_PACKAGE', r.id),
        'createdTime', r.created_time,
        'tenantId', tb.id('TENANT', r.tenant_id),
        'deviceProfileId', tb.id('DEVICE_PROFILE', r.profile_id),
        'type', r.type,
        'title', r.title,
        'version', r.release,
        'tag', r.tag,
        'url', r.url,
        'hasData', r.data_size IS NOT NULL OR r.url IS NOT NULL,
        'fileName', r.file_name,
        'contentType', r.content_type,
        'checksumAlgorithm', r.checksum_algorithm,
        'checksum', r.checksum,
        'dataSize', r.data_size,
        'externalId', tb.id('OTA_PACKAGE', r.external_id),
        'additionalInfo', r.additional_info,
        'name', r.title)
$$;


CREATE OR REPLACE FUNCTION tb.ota_save(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.ota_package;
BEGIN
    PERFORM iot.enter(p);
    PERFORM tb.need_object(body);

    r.id := tb.ref(body, 'id');
    r.profile_id := tb.ref(body, 'deviceProfileId');
    r.type := tb.text(body, 'type');
    r.title := tb.text(body, 'title');
    r.release := tb.text(body, 'version');
    r.tag := tb.text(body, 'tag');
    r.url := NULLIF(tb.text(body, 'url', 2048), '');
    r.additional_info := tb.object(body, 'additionalInfo');

    RETURN tb.ota_out(iot.ota_save(p, r));
END
$$;


CREATE OR REPLACE FUNCTION tb.ota_info_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.ota_out(iot.ota_get(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.ota_delete(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.ota_delete(p, tb.uuid(path[1]));

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION tb.ota_list(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    profile  text := CASE WHEN path[1] IS NOT NULL
                     THEN tb.uuid(path[1])::text END;
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.list(tb.page(query), 'tb.ota_out(t)',
        'iot.ota_package AS t WHERE t.tenant_id = $1[1]::uuid'
        ' AND ($1[2] IS NULL OR t.profile_id = $1[2]::uuid'
        ' AND t.type = $1[3]'
        ' AND (t.url IS NOT NULL OR t.data_size IS NOT NULL))'
        ' AND ($2 IS NULL OR t.title ILIKE $2 OR t.release ILIKE $2'
        ' OR t.tag ILIKE $2)',
        '{"id":"t.id","createdTime":"t.created_time","title":"t.title",
          "type":"t.type","version":"t.release","tag":"t.tag","url":"t.url",
          "fileName":"t.file_name","dataSize":"t.data_size"}',
        't.id', p.tenant_id::text, profile, path[2]);
END
$$;


-- The worker streams the data: what it must know about them.

CREATE OR REPLACE FUNCTION tb.ota_download(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.ota_package;
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    r := iot.ota_get(p, tb.uuid(path[1]));

    IF r.data_size IS NULL THEN
        PERFORM iot.fail_missing('Ota package', NULL);
    END IF;

    RETURN json_build_object('id', r.id, 'tenant', r.tenant_id,
                             'size', r.data_size, 'name', r.file_name,
                             'type', r.content_type);
END
$$;


-- The worker has taken the file out of the form.

CREATE OR REPLACE FUNCTION tb.ota_upload(p iot.principal, path text[],
    query json, body json, file_name text, content_type text, crc32 text,
    data bytea) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.ota_out(iot.ota_upload(p, tb.uuid(path[1]), file_name,
                          content_type, tb.arg(query, 'checksumAlgorithm'),
                          tb.arg(query, 'checksum'), crc32, data));
END
$$;


-- Changes that devices may be waiting to hear of.

CREATE OR REPLACE FUNCTION tb.told(body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    events  json := iot.events();
BEGIN
    RETURN (200, CASE WHEN events IS NOT NULL
                 THEN json_build_object('@publish', events) END,
            body::text)::iot.answer;
END
$$;


CREATE OR REPLACE FUNCTION tb.device_save_told(p iot.principal, path text[],
    query json, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.told(tb.device_save(p, path, query, body));
END
$$;


CREATE OR REPLACE FUNCTION tb.device_with_credentials_told(p iot.principal,
    path text[], query json, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.told(tb.device_with_credentials(p, path, query, body));
END
$$;


CREATE OR REPLACE FUNCTION tb.device_profile_save_told(p iot.principal,
    path text[], query json, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.told(tb.device_profile_save(p, path, query, body));
END
$$;
