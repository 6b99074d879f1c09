
--
-- Copyright (C) the ngx_iot authors
--
-- Customers of a tenant.


-- The customer, if the caller may do the operation, see iot.may().

DROP FUNCTION IF EXISTS iot.customer_get(iot.principal, uuid);

CREATE OR REPLACE FUNCTION iot.customer_get(p iot.principal, id uuid,
    operation text DEFAULT 'READ') RETURNS iot.customer
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.customer;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    SELECT * INTO r FROM iot.customer AS c
    WHERE c.tenant_id = p.tenant_id AND c.id = customer_get.id;

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('Customer', id);
    END IF;

    PERFORM iot.need(p, operation, 'CUSTOMER', r.id, r.id);

    RETURN r;
END
$$;


-- A name that is free: base, separator and six random characters or a number.
-- taken says of a name whether it is.

CREATE OR REPLACE FUNCTION iot.unique_suffix(attempt integer, strategy text)
RETURNS text
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    RETURN CASE strategy
           WHEN 'INCREMENTAL' THEN attempt::text
           ELSE iot.random_text(6)
           END;
END
$$;


-- conflict: what to do when the title is taken, 'FAIL' or 'UNIQUIFY' with a
-- separator and a strategy ('RANDOM', 'INCREMENTAL').

CREATE OR REPLACE FUNCTION iot.customer_save(p iot.principal, r iot.customer,
    conflict text DEFAULT 'FAIL', separator text DEFAULT '_',
    strategy text DEFAULT 'RANDOM') RETURNS iot.customer
LANGUAGE plpgsql
AS $$
DECLARE
    old    iot.customer;
    title  text := r.title;
BEGIN
    IF r.id IS NULL THEN
        IF p.role = 'CUSTOMER_USER' THEN
            r.parent_id := COALESCE(r.parent_id, p.customer_id);
        END IF;

        PERFORM iot.need(p, 'CREATE', 'CUSTOMER', NULL, r.parent_id);
        PERFORM iot.customer_parent_check(p.tenant_id, NULL, r.parent_id);

    ELSE
        SELECT * INTO old FROM iot.customer AS c
        WHERE c.tenant_id = p.tenant_id AND c.id = r.id
        FOR UPDATE;

        IF old.id IS NULL THEN
            PERFORM iot.fail_request('Can''t update non existing customer!');
        END IF;

        PERFORM iot.need(p, 'WRITE', 'CUSTOMER', r.id, r.id);

        IF r.version <> old.version THEN
            PERFORM iot.fail_version('Customer');
        END IF;
    END IF;

    IF COALESCE(btrim(r.title), '') = '' THEN
        PERFORM iot.fail_request('Customer title should be specified!');
    END IF;

    IF r.title = 'Public' AND NOT COALESCE(old.is_public, false) THEN
        PERFORM iot.fail_request(
            '''Public'' title for customer is system reserved!');
    END IF;

    IF old.is_public AND r.title <> 'Public' THEN
        PERFORM iot.fail_request('Title of the public customer can''t be '
                                 'changed!');
    END IF;

    IF COALESCE(r.email, '') <> '' THEN
        PERFORM iot.email(r.email);
    END IF;

    IF r.id IS NULL THEN
        PERFORM iot.need_room(p.tenant_id, 'CUSTOMER');

        FOR attempt IN 1 .. 1000 LOOP
            INSERT INTO iot.customer AS c (tenant_id, parent_id, title,
                country, state, city, address, address2, zip, phone, email,
                additional_info, external_id)
            VALUES (p.tenant_id, r.parent_id, title, r.country, r.state, r.city,
                r.address, r.address2, r.zip, r.phone, r.email,
                r.additional_info, r.external_id)
            ON CONFLICT ON CONSTRAINT customer_tenant_id_title_key DO NOTHING
            RETURNING * INTO old;

            EXIT WHEN old.id IS NOT NULL OR conflict <> 'UNIQUIFY';

            title := r.title || separator
                     || iot.unique_suffix(attempt, strategy);
        END LOOP;

        IF old.id IS NULL THEN
            PERFORM iot.fail_request(
                'Customer with such title already exists!');
        END IF;

        PERFORM iot.audit(p, 'CUSTOMER', old.id, old.title, 'ADDED',
                          customer => old.id);

        RETURN old;
    END IF;

    BEGIN
        UPDATE iot.customer AS c
        SET title = r.title,
            country = r.country,
            state = r.state,
            city = r.city,
            address = r.address,
            address2 = r.address2,
            zip = r.zip,
            phone = r.phone,
            email = r.email,
            additional_info = r.additional_info,
            external_id = COALESCE(r.external_id, c.external_id),
            version = c.version + 1
        WHERE c.tenant_id = p.tenant_id AND c.id = r.id
        RETURNING * INTO r;

    EXCEPTION
        WHEN unique_violation THEN
            PERFORM iot.fail_request(
                'Customer with such title already exists!');
    END;

    PERFORM iot.audit(p, 'CUSTOMER', r.id, r.title, 'UPDATED',
                      customer => r.id);

    RETURN r;
END
$$;


-- The customer that it shall be below must be one of the tenant, neither
-- itself nor below it, and not more than 32 levels down.

CREATE OR REPLACE FUNCTION iot.customer_parent_check(tenant uuid, id uuid,
    parent uuid) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    depth  integer;
BEGIN
    IF parent IS NULL THEN
        RETURN;
    END IF;

    PERFORM iot.check_customer(tenant, parent,
        'Parent customer doesn''t exist!');

    IF id IS NOT NULL AND iot.is_below(tenant, id, parent) THEN
        PERFORM iot.fail_request('Customer can''t be below itself!');
    END IF;

    WITH RECURSIVE up (id, n) AS (
        SELECT parent, 1
        UNION ALL
        SELECT c.parent_id, u.n + 1
        FROM up AS u
            JOIN iot.customer AS c
                ON c.tenant_id = tenant AND c.id = u.id
        WHERE c.parent_id IS NOT NULL AND u.n < 64
    )
    SELECT max(u.n) INTO depth FROM up AS u;

    IF depth >= 32 THEN
        PERFORM iot.fail_request('Too many levels of customers!');
    END IF;
END
$$;


-- Its users go; its devices stay, without a customer; customers below it, and
-- roles that others use, go to the one above.

CREATE OR REPLACE FUNCTION iot.customer_delete(p iot.principal, id uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.customer;
BEGIN
    r := iot.customer_get(p, id, 'DELETE');

    UPDATE iot.customer AS c
    SET parent_id = r.parent_id, version = c.version + 1
    WHERE c.tenant_id = p.tenant_id AND c.parent_id = r.id;

    PERFORM iot.roles_inherit(r);

    PERFORM iot.assign_end(p.tenant_id, r.id);

    PERFORM iot.user_remove(u.id, u.nr)
    FROM iot.users AS u
    WHERE u.tenant_id = p.tenant_id AND u.customer_id = r.id;

    PERFORM pg_notify('iot', 'session ' || s.id)
    FROM iot.session AS s
    WHERE s.customer_id = r.id AND s.user_id IS NULL;

    DELETE FROM iot.session AS s
    WHERE s.customer_id = r.id AND s.user_id IS NULL;

    PERFORM iot.forget_entity(r.nr);

    DELETE FROM iot.customer AS c
    WHERE c.tenant_id = p.tenant_id AND c.id = r.id;

    PERFORM iot.audit(p, 'CUSTOMER', r.id, r.title, 'DELETED',
                      customer => r.id);
END
$$;


-- The customer that stands for everybody, made when first needed.

CREATE OR REPLACE FUNCTION iot.customer_public(p iot.principal)
RETURNS iot.customer
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.customer;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    INSERT INTO iot.customer AS c (tenant_id, title, is_public,
                                   additional_info)
    VALUES (p.tenant_id, 'Public', true, '{"isPublic":true}')
    ON CONFLICT ON CONSTRAINT customer_tenant_id_title_key DO NOTHING
    RETURNING * INTO r;

    IF r.id IS NULL THEN
        SELECT * INTO r FROM iot.customer AS c
        WHERE c.tenant_id = p.tenant_id AND c.title = 'Public';

    ELSE
        PERFORM iot.audit(p, 'CUSTOMER', r.id, r.title, 'ADDED',
                          customer => r.id);
    END IF;

    RETURN r;
END
$$;
