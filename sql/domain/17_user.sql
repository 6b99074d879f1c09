
--
-- Copyright (C) the ngx_iot authors
--
-- Users.


-- The user, if the caller may do the operation, see iot.may().  Others of the
-- tenant do not exist for the system administrator, who has only its like and
-- tenant administrators.  Nobody changes a user who may do more than itself.

DROP FUNCTION IF EXISTS iot.user_get(iot.principal, uuid);

CREATE OR REPLACE FUNCTION iot.user_get(p iot.principal, id uuid,
    operation text DEFAULT 'READ') RETURNS iot.users
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.users;
BEGIN
    SELECT * INTO r FROM iot.users AS u
    WHERE u.id = user_get.id
          AND (p.role = 'SYS_ADMIN' OR u.tenant_id = p.tenant_id);

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('User', id);
    END IF;

    IF r.id = p.user_id AND NOT COALESCE(p.is_public, false)
       AND operation IN ('READ', 'WRITE')
    THEN
        RETURN r;
    END IF;

    CASE p.role
    WHEN 'SYS_ADMIN' THEN
        IF r.authority = 'CUSTOMER_USER' THEN
            PERFORM iot.fail_permission();
        END IF;

    WHEN 'TENANT_ADMIN', 'CUSTOMER_USER' THEN
        PERFORM iot.need(p, operation, 'USER', r.id, r.customer_id);

        IF operation NOT LIKE 'READ%' AND NOT iot.covers_user(p, r) THEN
            PERFORM iot.fail_permission();
        END IF;

    ELSE
        PERFORM iot.fail_permission();
    END CASE;

    RETURN r;
END
$$;


-- r.id NULL: create, without a password and so not active, in the groups.

DROP FUNCTION IF EXISTS iot.user_save(iot.principal, iot.users);

CREATE OR REPLACE FUNCTION iot.user_save(p iot.principal, r iot.users,
    groups uuid[] DEFAULT NULL) RETURNS iot.users
LANGUAGE plpgsql
AS $$
DECLARE
    old  iot.users;
BEGIN
    PERFORM iot.need_write(p);

    IF r.id IS NOT NULL THEN
        SELECT * INTO old FROM iot.users AS u
        WHERE u.id = r.id
              AND (p.role = 'SYS_ADMIN' OR u.tenant_id = p.tenant_id)
        FOR UPDATE;

        IF old.id IS NULL THEN
            PERFORM iot.fail_request('Can''t update non existing user!');
        END IF;

        PERFORM iot.user_get(p, r.id, 'WRITE');

    ELSIF p.role = 'CUSTOMER_USER' THEN
        r.customer_id := COALESCE(r.customer_id, p.customer_id);
        PERFORM iot.need(p, 'CREATE', 'USER', NULL, r.customer_id);

    ELSE
        PERFORM iot.need(p, 'CREATE', 'USER', NULL, r.customer_id);
    END IF;

    IF r.version <> old.version THEN
        PERFORM iot.fail_version('User');
    END IF;

    r.email := iot.email(r.email);

    IF r.authority IS NULL THEN
        PERFORM iot.fail_request('User authority isn''t defined!');
    END IF;

    IF r.authority NOT IN ('SYS_ADMIN', 'TENANT_ADMIN', 'CUSTOMER_USER') THEN
        PERFORM iot.fail_request(
            format('Unknown user authority ''%s''!', r.authority));
    END IF;

    IF p.role <> 'SYS_ADMIN' THEN
        r.tenant_id := p.tenant_id;
    END IF;

    IF old.id IS NOT NULL THEN
        RETURN iot.user_update(p, old, r);
    END IF;

    r := iot.user_create(p, r);

    PERFORM iot.group_add(p, g.id, ARRAY[r.id])
    FROM unnest(groups) AS g (id);

    IF NOT iot.covers_user(p, r) THEN
        PERFORM iot.fail_permission();
    END IF;

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.user_create(p iot.principal, r iot.users)
RETURNS iot.users
LANGUAGE plpgsql
AS $$
DECLARE
    made  iot.users;
BEGIN
    IF r.authority = (CASE p.role WHEN 'SYS_ADMIN' THEN 'CUSTOMER_USER'
                      ELSE 'SYS_ADMIN' END)
       OR p.role = 'CUSTOMER_USER' AND r.authority <> p.role
    THEN
        PERFORM iot.fail_permission();
    END IF;

    CASE r.authority
    WHEN 'SYS_ADMIN' THEN
        r.tenant_id := NULL;
        r.customer_id := NULL;

    WHEN 'TENANT_ADMIN' THEN
        IF r.customer_id IS NOT NULL THEN
            PERFORM iot.fail_request('Tenant administrator can''t be assigned '
                                     'to customer!');
        END IF;

        IF r.tenant_id IS NULL THEN
            PERFORM iot.fail_request('Tenant administrator should be assigned '
                                     'to tenant!');
        END IF;

        IF NOT EXISTS (SELECT FROM iot.tenant AS t WHERE t.id = r.tenant_id)
        THEN
            PERFORM iot.fail_request(
                'User is referencing to non-existent tenant!');
        END IF;

    ELSE
        IF r.customer_id IS NULL THEN
            PERFORM iot.fail_request(
                'Customer user should be assigned to customer!');
        END IF;

        PERFORM iot.check_customer(r.tenant_id, r.customer_id,
            'User is referencing to non-existent customer!',
            'User can''t be assigned to customer from different tenant!');
    END CASE;

    IF r.tenant_id IS NOT NULL THEN
        PERFORM iot.need_room(r.tenant_id, 'USER');
    END IF;

    INSERT INTO iot.users (tenant_id, customer_id, email, authority,
                           first_name, last_name, phone, additional_info)
    VALUES (r.tenant_id, r.customer_id, r.email, r.authority, r.first_name,
            r.last_name, r.phone, r.additional_info)
    ON CONFLICT ON CONSTRAINT users_email_key DO NOTHING
    RETURNING * INTO made;

    IF made.id IS NULL THEN
        PERFORM iot.fail_request(format(
            'User with email ''%s'' already present in database!', r.email));
    END IF;

    INSERT INTO iot.user_credentials (user_id, tenant_id, activate_token,
                                      activate_expires)
    VALUES (made.id, made.tenant_id, iot.random_text(30),
            iot.now_ms() + 3600000
            * (iot.security_settings() ->> 'userActivationTokenTtl')::bigint);

    PERFORM iot.audit(p, 'USER', made.id, made.email, 'ADDED',
                      customer => made.customer_id);

    RETURN made;
END
$$;


CREATE OR REPLACE FUNCTION iot.user_update(p iot.principal, old iot.users,
    r iot.users) RETURNS iot.users
LANGUAGE plpgsql
AS $$
BEGIN
    IF r.authority <> old.authority THEN
        PERFORM iot.fail_request('Can''t update user authority!');
    END IF;

    IF r.tenant_id IS DISTINCT FROM old.tenant_id THEN
        PERFORM iot.fail_request('Can''t update user tenant id!');
    END IF;

    IF r.customer_id IS DISTINCT FROM old.customer_id THEN
        PERFORM iot.fail_request('Can''t update user customer id!');
    END IF;

    BEGIN
        UPDATE iot.users AS u
        SET email = r.email,
            first_name = r.first_name,
            last_name = r.last_name,
            phone = r.phone,
            additional_info = r.additional_info,
            version = u.version + 1
        WHERE u.id = old.id
        RETURNING * INTO r;

    EXCEPTION
        WHEN unique_violation THEN
            PERFORM iot.fail_request(format(
                'User with email ''%s'' already present in database!',
                r.email));
    END;

    PERFORM iot.audit(p, 'USER', r.id, r.email, 'UPDATED',
                      customer => r.customer_id);

    IF r.email <> old.email THEN
        PERFORM pg_notify('iot', 'user ' || r.id);
    END IF;

    RETURN r;
END
$$;


-- The customer must be one of the tenant; foreign ones are only told apart
-- from unknown ones by this function, where the API has a text for that, and
-- it tells nothing else about them.

CREATE OR REPLACE FUNCTION iot.check_customer(tenant uuid, customer uuid,
    unknown text, elsewhere text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    owner  uuid;
BEGIN
    SELECT c.tenant_id INTO owner FROM iot.customer AS c
    WHERE c.id = customer
    ORDER BY c.tenant_id = tenant DESC LIMIT 1;

    IF owner IS NULL THEN
        PERFORM iot.fail_request(unknown);
    END IF;

    IF owner <> tenant THEN
        PERFORM iot.fail_request(COALESCE(elsewhere, unknown));
    END IF;
END
$$;

INSERT INTO iot.definer_function (name, why)
VALUES ('iot.check_customer',
        'says whether a customer belongs to another tenant')
ON CONFLICT (name) DO UPDATE SET why = excluded.why;


-- Take a user away, whoever asked for it.

CREATE OR REPLACE FUNCTION iot.user_remove(id uuid, nr integer) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.forget_entity(nr);

    DELETE FROM iot.users AS u WHERE u.id = user_remove.id;

    PERFORM pg_notify('iot', 'user ' || id);
END
$$;


CREATE OR REPLACE FUNCTION iot.user_delete(p iot.principal, id uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.users;
BEGIN
    r := iot.user_get(p, id, 'DELETE');

    IF r.authority = 'SYS_ADMIN' AND r.id = p.user_id THEN
        PERFORM iot.fail_permission();
    END IF;

    IF r.authority = 'TENANT_ADMIN' THEN
        PERFORM iot.lock('administrators', r.tenant_id);

        IF NOT EXISTS (SELECT FROM iot.users AS u
                       WHERE u.tenant_id = r.tenant_id
                             AND u.authority = 'TENANT_ADMIN'
                             AND u.id <> r.id)
        THEN
            PERFORM iot.fail_request(
                'At least one tenant administrator must remain!');
        END IF;
    END IF;

    PERFORM iot.user_remove(r.id, r.nr);
    PERFORM iot.need_administrator(r.tenant_id);
    PERFORM iot.audit(p, 'USER', r.id, r.email, 'DELETED',
                      customer => r.customer_id);
END
$$;


-- Enable, which also ends a lock-out, or disable, which ends all sessions.

CREATE OR REPLACE FUNCTION iot.user_enable(p iot.principal, id uuid,
    enabled boolean) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.users;
BEGIN
    r := iot.user_get(p, id, 'WRITE');

    IF NOT user_enable.enabled AND r.id = p.user_id THEN
        PERFORM iot.fail_permission();
    END IF;

    UPDATE iot.user_credentials AS c
    SET enabled = user_enable.enabled,
        locked = false,
        locked_at = NULL,
        failed_logins = 0,
        second_failures = 0
    WHERE c.user_id = r.id;

    IF NOT user_enable.enabled THEN
        DELETE FROM iot.session AS s WHERE s.user_id = r.id;
    END IF;

    PERFORM iot.audit(p, 'USER', r.id, r.email,
                      CASE WHEN user_enable.enabled THEN 'ACTIVATED'
                      ELSE 'SUSPENDED' END,
                      customer => r.customer_id);
    PERFORM pg_notify('iot', 'user ' || r.id);
END
$$;
