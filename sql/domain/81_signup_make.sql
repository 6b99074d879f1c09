
--
-- Copyright (C) the ngx_iot authors
--
-- What a confirmed sign-up gets, all in one transaction: a customer, its user,
-- what its users may do, dashboards, and a copy of a device.


CREATE OR REPLACE FUNCTION iot.signup_make(r iot.signup) RETURNS iot.users
LANGUAGE plpgsql
AS $$
DECLARE
    p         iot.principal;
    customer  iot.customer;
    u         iot.users;
    home      text := iot.setting_value(r.tenant_id, 'signup.dashboards') ->> 0;
BEGIN
    p.role := 'TENANT_ADMIN';
    p.tenant_id := r.tenant_id;
    p.name := 'sign-up of ' || r.email;
    p.address := r.address;

    PERFORM iot.enter(p);

    -- the other sign-ups of that address are void

    DELETE FROM iot.signup AS s
    WHERE s.tenant_id = r.tenant_id AND (s.id = r.id OR s.email = r.email);

    customer.title := r.email;
    customer.email := r.email;
    customer.phone := r.phone;

    IF home IS NOT NULL THEN
        customer.additional_info := json_build_object(
            'homeDashboardId', home, 'homeDashboardHideToolbar', true);
    END IF;

    customer := iot.customer_save(p, customer, 'UNIQUIFY');

    u.customer_id := customer.id;
    u.email := r.email;
    u.authority := 'CUSTOMER_USER';
    u.first_name := r.first_name;
    u.last_name := r.last_name;
    u.phone := r.phone;
    u := iot.user_save(p, u);

    UPDATE iot.user_credentials AS c
    SET password_hash = r.password_hash,
        password_time = iot.now_ms(),
        enabled = true,
        activate_token = NULL,
        activate_expires = NULL
    WHERE c.user_id = u.id;

    PERFORM iot.signup_permissions(p, customer),
            iot.signup_dashboards(customer),
            iot.signup_device(p, customer);

    PERFORM iot.signup_notice(r, '');

    RETURN u;
END
$$;


CREATE OR REPLACE FUNCTION iot.signup_permissions(p iot.principal,
    customer iot.customer) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    each  json;
    g     iot.group_permission;
BEGIN
    FOR each IN SELECT e.v FROM json_array_elements(iot.setting_value(
                    p.tenant_id, 'signup.permissions')) AS e (v)
    LOOP
        g.user_group_id := (iot.group_all(p.tenant_id, customer.id,
                                          'USER')).id;
        g.role_id := (each ->> 'roleId')::uuid;
        g.entity_group_id := (each ->> 'entityGroupId')::uuid;

        PERFORM iot.permission_save(p, g);
    END LOOP;
END
$$;


CREATE OR REPLACE FUNCTION iot.signup_dashboards(customer iot.customer)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO iot.dashboard_customer (tenant_id, dashboard_id, customer_id)
    SELECT d.tenant_id, d.id, customer.id
    FROM iot.dashboard AS d
    WHERE d.tenant_id = customer.tenant_id
          AND d.id IN (SELECT e.id::uuid FROM json_array_elements_text(
                           iot.setting_value(customer.tenant_id,
                                             'signup.dashboards')) AS e (id));
END
$$;


-- A copy of the template, named after it and the end of the customer's id,
-- with its attributes and its younger telemetry.

CREATE OR REPLACE FUNCTION iot.signup_device(p iot.principal,
    customer iot.customer) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    wanted    uuid := iot.setting_of(p.tenant_id,
                                     'signup.templateDevice')::uuid;
    days      bigint := iot.setting_of(p.tenant_id,
                                       'signup.templateHistoryDays')::bigint;
    template  iot.device;
    made      iot.device;
BEGIN
    SELECT * INTO template FROM iot.device AS d
    WHERE d.tenant_id = p.tenant_id AND d.id = wanted;

    IF template.id IS NULL THEN
        RETURN;
    END IF;

    made.name := template.name || ' ' || right(customer.id::text, 5);
    made.label := template.label;
    made.customer_id := customer.id;
    made.profile_id := template.profile_id;
    made.additional_info := template.additional_info;
    made.data := template.data;

    made := iot.device_save(p, made, NULL, NULL, 'UNIQUIFY');

    PERFORM iot.entity_copy(template.nr, made.nr,
                            iot.now_ms() - days * 86400000);
END
$$;


-- The attributes of an entity, and its telemetry after a time (a million
-- points at most), to another one.

CREATE OR REPLACE FUNCTION iot.entity_copy(source integer, target integer,
    after bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    INSERT INTO iot.attribute (entity, scope, key, b, l, d, s, updated_at)
    SELECT target, a.scope, a.key, a.b, a.l, a.d, a.s, iot.now_ms()
    FROM iot.attribute AS a
        JOIN iot.key AS k ON k.id = a.key
    WHERE a.entity = source
          AND NOT iot.attribute_hidden(a.scope, k.name)
          AND NOT (a.scope = 3
                   AND k.name IN ('active', 'lastConnectTime',
                                  'lastDisconnectTime', 'lastActivityTime',
                                  'inactivityAlarmTime', 'claimingData'))
    ON CONFLICT DO NOTHING;

    INSERT INTO iot.entity_key (entity, key)
    SELECT target, k.key FROM iot.entity_key AS k
    WHERE k.entity = source
    ON CONFLICT DO NOTHING;

    INSERT INTO iot.telemetry (entity, key, ts, b, l, d, s, expires_at)
    SELECT target, t.key, t.ts, t.b, t.l, t.d, t.s, t.expires_at
    FROM iot.telemetry AS t
        JOIN iot.entity_key AS k ON k.entity = t.entity AND k.key = t.key
    WHERE t.entity = source AND t.ts > after
          AND t.ts > COALESCE(k.floor_ts, -9223372036854775808)
    LIMIT 1000000
    ON CONFLICT DO NOTHING;
END
$$;

SELECT iot.definer('iot.entity_copy',
                   'reads and writes telemetry; takes resolved numbers');

REVOKE EXECUTE ON FUNCTION iot.entity_copy(integer, integer, bigint)
    FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION iot.signup_make(iot.signup) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION iot.signup_make(iot.signup),
    iot.entity_copy(integer, integer, bigint) TO iot_app;


-- Sign-ups that wait for an administrator.

CREATE OR REPLACE FUNCTION iot.signup_decide(p iot.principal, id uuid,
    agreed boolean) RETURNS iot.users
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.signup;
    u  iot.users;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    PERFORM iot.lock('signup ' || s.email, s.tenant_id)
    FROM iot.signup AS s
    WHERE s.tenant_id = p.tenant_id AND s.id = signup_decide.id;

    SELECT * INTO r FROM iot.signup AS s
    WHERE s.tenant_id = p.tenant_id AND s.id = signup_decide.id
          AND s.state = 'APPROVAL'
    FOR UPDATE;

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('Sign-up', id);
    END IF;

    IF NOT agreed THEN
        DELETE FROM iot.signup AS s
        WHERE s.tenant_id = r.tenant_id AND s.id = r.id;

        PERFORM iot.audit(p, 'USER', NULL, r.email, 'SIGN_UP_REJECTED');

        RETURN NULL;
    END IF;

    u := iot.signup_make(r);

    PERFORM iot.enter(p);
    PERFORM iot.audit(p, 'USER', u.id, u.email, 'SIGN_UP_APPROVED',
                      customer => u.customer_id);
    PERFORM iot.mail(p.tenant_id, 'account-activated', u.email,
        jsonb_build_object('baseUrl', r.base, 'email', u.email,
                           'loginLink', r.base || '/login',
                           'targetEmail', u.email));

    RETURN u;
END
$$;


-- A code that lets one sign up, once; of no matter what address if email is
-- NULL.  Only this answer ever holds the code.

CREATE OR REPLACE FUNCTION iot.signup_invite(p iot.principal, email text,
    hours integer, OUT id uuid, OUT code text, OUT expires bigint)
LANGUAGE plpgsql
AS $$
DECLARE
    address  text := CASE WHEN COALESCE(email, '') <> ''
                     THEN iot.email(email) END;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    IF hours NOT BETWEEN 1 AND 8760 THEN
        PERFORM iot.fail_request('hours must be an integer from 1 to 8760');
    END IF;

    code := iot.random_text(30);
    expires := iot.now_ms() + hours::bigint * 3600000;

    INSERT INTO iot.signup_invitation AS i (tenant_id, email, code_hash,
                                            expires_at)
    VALUES (p.tenant_id, address, iot.code_hash(code), expires)
    RETURNING i.id INTO id;

    PERFORM iot.audit(p, 'USER', NULL, address, 'INVITED');
END
$$;


CREATE OR REPLACE FUNCTION iot.signup_uninvite(p iot.principal, id uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    DELETE FROM iot.signup_invitation AS i
    WHERE i.tenant_id = p.tenant_id AND i.id = signup_uninvite.id;

    IF NOT FOUND THEN
        PERFORM iot.fail_missing('Invitation', id);
    END IF;
END
$$;
