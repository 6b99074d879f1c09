--
-- Copyright (C) the ngx_iot authors
--
-- Packages of firmware and software, as people see them.


CREATE OR REPLACE FUNCTION iot.ota_get(p iot.principal, id uuid,
    operation text DEFAULT 'READ') RETURNS iot.ota_package
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.ota_package;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    SELECT * INTO r FROM iot.ota_package AS t
     WHERE t.tenant_id = p.tenant_id AND t.id = ota_get.id;

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('Ota package', id);
    END IF;

    IF operation <> 'READ' THEN
        PERFORM iot.need(p, operation, 'OTA_PACKAGE', r.id, NULL);
    END IF;

    RETURN r;
END
$$;


-- What a package is for and how it is called stays as it was made.

CREATE OR REPLACE FUNCTION iot.ota_save(p iot.principal, r iot.ota_package)
RETURNS iot.ota_package
LANGUAGE plpgsql
AS $$
DECLARE
    old   iot.ota_package;
    made  iot.ota_package;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    IF r.id IS NOT NULL THEN
        old := iot.ota_get(p, r.id, 'WRITE');

        IF (r.type, r.profile_id, r.title, r.release) IS DISTINCT FROM
           (old.type, old.profile_id, old.title, old.release)
           OR (r.url IS DISTINCT FROM old.url)
        THEN
            PERFORM iot.fail_request('Updating type, device profile, title, '
                'version or url of an ota package is prohibited!');
        END IF;

        UPDATE iot.ota_package AS t
           SET tag = r.tag, additional_info = r.additional_info
         WHERE t.tenant_id = p.tenant_id AND t.id = r.id
        RETURNING * INTO made;

        PERFORM iot.audit(p, 'OTA_PACKAGE', made.id, made.title, 'UPDATED');

        RETURN made;
    END IF;

    PERFORM iot.ota_check(p, r);

    INSERT INTO iot.ota_package AS t (tenant_id, profile_id, type, title,
        release, tag, url, additional_info, external_id)
    VALUES (p.tenant_id, r.profile_id, r.type, r.title, r.release,
            COALESCE(NULLIF(r.tag, ''), r.title || ' ' || r.release), r.url,
            r.additional_info, r.external_id)
    ON CONFLICT DO NOTHING
    RETURNING * INTO made;

    IF made.id IS NULL THEN
        PERFORM iot.fail_request(
            'OtaPackage with such title and version already exists!');
    END IF;

    PERFORM iot.audit(p, 'OTA_PACKAGE', made.id, made.title, 'ADDED');

    RETURN made;
END
$$;


CREATE OR REPLACE FUNCTION iot.ota_check(p iot.principal, r iot.ota_package)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF r.type IS NULL OR r.type NOT IN ('FIRMWARE', 'SOFTWARE') THEN
        PERFORM iot.fail_request('Type should be specified!');
    END IF;

    IF COALESCE(btrim(r.title), '') = '' THEN
        PERFORM iot.fail_request('OtaPackage title should be specified!');
    END IF;

    IF COALESCE(btrim(r.release), '') = '' THEN
        PERFORM iot.fail_request('OtaPackage version should be specified!');
    END IF;

    IF length(r.title) > 255 OR length(r.release) > 255
       OR length(r.tag) > 255 OR length(r.url) > 2048
    THEN
        PERFORM iot.fail_request('A text of the OtaPackage is too long!');
    END IF;

    IF r.url IS NOT NULL AND r.url !~ '^https?://[^[:space:]]+$' THEN
        PERFORM iot.fail_request('Ota package URL is invalid!');
    END IF;

    IF r.profile_id IS NULL
       OR NOT EXISTS (SELECT FROM iot.device_profile AS d
                       WHERE d.tenant_id = p.tenant_id AND d.id = r.profile_id)
    THEN
        PERFORM iot.fail_request(
            'OtaPackage is referencing to non-existent device profile!');
    END IF;
END
$$;


-- The file of a package, given once.  checksum: what it must be (NULL: not
-- said); crc32: computed by the caller, for that algorithm.

CREATE OR REPLACE FUNCTION iot.ota_upload(p iot.principal, id uuid,
    file_name text, content_type text, algorithm text, checksum text,
    crc32 text, data bytea) RETURNS iot.ota_package
LANGUAGE plpgsql
AS $$
DECLARE
    r       iot.ota_package;
    kind    text := COALESCE(NULLIF(upper(algorithm), ''), 'SHA256');
    actual  text;
    room    bigint := iot.tenant_cap(p.tenant_id, 'maxOtaPackagesInBytes');
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    PERFORM FROM iot.ota_package AS t
      WHERE t.tenant_id = p.tenant_id AND t.id = ota_upload.id
        FOR UPDATE;

    r := iot.ota_get(p, id, 'WRITE');

    IF r.url IS NOT NULL OR r.data_size IS NOT NULL THEN
        PERFORM iot.fail_request('The OtaPackage has its data already!');
    END IF;

    IF length(data) = 0 THEN
        PERFORM iot.fail_request('OtaPackage data should be specified!');
    END IF;

    actual := CASE kind
              WHEN 'MD5' THEN md5(data)
              WHEN 'SHA256' THEN encode(sha256(data), 'hex')
              WHEN 'SHA384' THEN encode(sha384(data), 'hex')
              WHEN 'SHA512' THEN encode(sha512(data), 'hex')
              WHEN 'CRC32' THEN crc32
              END;

    IF actual IS NULL THEN
        PERFORM iot.fail_request(
            format('Unsupported checksum algorithm ''%s''!', algorithm));
    END IF;

    IF COALESCE(checksum, '') <> '' AND lower(checksum) <> actual THEN
        PERFORM iot.fail_request('Wrong OtaPackage file checksum!');
    END IF;

    IF room IS NOT NULL THEN
        PERFORM iot.lock('OTA_PACKAGE', p.tenant_id);

        IF length(data) + (SELECT COALESCE(sum(t.data_size), 0)
                             FROM iot.ota_package AS t
                            WHERE t.tenant_id = p.tenant_id) > room
        THEN
            PERFORM iot.fail(403, 'limit_reached', format('Failed to create '
                'the ota package, files size limit is exhausted %s bytes!',
                room), jsonb_build_object('entityType', 'OTA_PACKAGE',
                                          'limit', room));
        END IF;
    END IF;

    INSERT INTO iot.ota_data (tenant_id, package_id, n, data)
    SELECT p.tenant_id, r.id, i, substring(ota_upload.data
                                           FROM i * 65536 + 1 FOR 65536)
      FROM generate_series(0, (length(ota_upload.data) - 1) / 65536) AS i;

    UPDATE iot.ota_package AS t
       SET file_name = left(COALESCE(NULLIF(ota_upload.file_name, ''),
                                     'package'), 255),
           content_type = left(COALESCE(NULLIF(ota_upload.content_type, ''),
                               'application/octet-stream'), 255),
           checksum_algorithm = kind, checksum = actual,
           data_size = length(ota_upload.data)
     WHERE t.tenant_id = r.tenant_id AND t.id = r.id
    RETURNING * INTO r;

    PERFORM iot.audit(p, 'OTA_PACKAGE', r.id, r.title, 'UPDATED');

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.ota_delete(p iot.principal, id uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.ota_package;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    r := iot.ota_get(p, id, 'DELETE');

    IF EXISTS (SELECT FROM iot.device AS d
                WHERE d.tenant_id = r.tenant_id
                      AND (d.firmware_id = r.id OR d.software_id = r.id))
    THEN
        PERFORM iot.fail_request('The otaPackage referenced by the devices '
                                 'cannot be deleted!');
    END IF;

    IF EXISTS (SELECT FROM iot.device_profile AS d
                WHERE d.tenant_id = r.tenant_id
                      AND (d.firmware_id = r.id OR d.software_id = r.id))
    THEN
        PERFORM iot.fail_request('The otaPackage referenced by the device '
                                 'profile cannot be deleted!');
    END IF;

    DELETE FROM iot.ota_package AS t
     WHERE t.tenant_id = r.tenant_id AND t.id = r.id;

    PERFORM iot.audit(p, 'OTA_PACKAGE', r.id, r.title, 'DELETED');
END
$$;


-- The package of a device: its own, or that of its profile.

CREATE OR REPLACE FUNCTION iot.ota_device(tenant uuid, device uuid,
    kind text, OUT id uuid, OUT title text, OUT release text,
    OUT file_name text, OUT content_type text, OUT size bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    SELECT t.id, t.title, t.release, t.file_name, t.content_type, t.data_size
      INTO id, title, release, file_name, content_type, size
      FROM iot.device AS d
           JOIN iot.device_profile AS dp
               ON dp.tenant_id = d.tenant_id AND dp.id = d.profile_id
           JOIN iot.ota_package AS t
               ON t.tenant_id = d.tenant_id
                  AND t.id = CASE kind
                      WHEN 'FIRMWARE' THEN COALESCE(d.firmware_id,
                                                    dp.firmware_id)
                      ELSE COALESCE(d.software_id, dp.software_id) END
     WHERE d.tenant_id = tenant AND d.id = device
           AND t.data_size IS NOT NULL;
END
$$;


-- Bytes of a package from first (0 ...) on, fewer at its end.

CREATE OR REPLACE FUNCTION iot.ota_read(tenant uuid, package uuid,
    first bigint, size integer) RETURNS bytea
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    skip  integer := first % 65536;
BEGIN
    IF first < 0 OR size <= 0 OR first > 2147483647 THEN
        RETURN ''::bytea;
    END IF;

    RETURN COALESCE((SELECT substring(string_agg(x.data, ''::bytea
                                                 ORDER BY x.n)
                                      FROM skip + 1 FOR size)
                       FROM iot.ota_data AS x
                      WHERE x.tenant_id = tenant AND x.package_id = package
                            AND x.n BETWEEN first / 65536
                                AND (first + size - 1) / 65536), ''::bytea);
END
$$;


-- A chunk of the package of a device; NULL: it has none.  size 0: all of it,
-- and NULL for a package that is larger than most.

CREATE OR REPLACE FUNCTION iot.ota_chunk(tenant uuid, device uuid, kind text,
    size integer, chunk bigint, most integer, OUT data bytea,
    OUT large boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    r  record;
BEGIN
    r := iot.ota_device(tenant, device, kind);
    large := false;

    IF r.id IS NULL THEN
        RETURN;
    END IF;

    IF size <= 0 THEN
        large := r.size > most;
        size := most;
    END IF;

    IF NOT large THEN
        data := iot.ota_read(tenant, r.id, size * chunk, size);
    END IF;
END
$$;


SELECT iot.definer('iot.ota_device',
    'called for a device the worker has checked');
SELECT iot.definer('iot.ota_read',
    'called for a package the worker has asked for');
SELECT iot.definer('iot.ota_chunk',
    'called for a device the worker has checked');
