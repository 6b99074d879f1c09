
--
-- Copyright (C) the ngx_iot authors
--
-- The gatekeeper: people at the door of other servers.


-- Somebody has given name and password with a request, and the worker has
-- compared the password with the hash.  It makes no session.  No row: the
-- account is not to be entered so any more.

CREATE OR REPLACE FUNCTION iot.basic_login(user_id uuid, address text,
    agent text, hash text, new_hash text)
RETURNS TABLE (role text, tenant_id uuid, customer_id uuid, id uuid,
    name text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    u  iot.users;
    c  iot.user_credentials;
BEGIN
    SELECT * INTO u FROM iot.users AS t WHERE t.id = basic_login.user_id;
    SELECT * INTO c FROM iot.user_credentials AS t
    WHERE t.user_id = basic_login.user_id;

    IF NOT iot.tenant_alive(u.tenant_id) THEN
        RETURN;
    END IF;

    IF iot.password_is_old(u, c) THEN
        PERFORM iot.audit(iot.user_principal(u, address), 'USER', u.id,
                          u.email, 'LOGIN', 'FAILURE',
                          'User password expired!',
                          json_build_object('clientAddress', address,
                                            'provider', 'Basic'));
        RETURN;
    END IF;

    -- a password is not enough where there is a second factor

    IF EXISTS (SELECT FROM iot.second_factor AS f
               WHERE f.user_id = basic_login.user_id)
       OR iot.second_scope(u) IS NOT NULL
    THEN
        RETURN;
    END IF;

    UPDATE iot.user_credentials AS t
    SET failed_logins = 0,
        last_login = iot.now_ms(),
        password_hash = COALESCE(new_hash, t.password_hash)
    WHERE t.user_id = basic_login.user_id AND t.enabled AND NOT t.locked
          AND t.password_hash = hash;

    IF NOT FOUND THEN
        RETURN;
    END IF;

    PERFORM iot.address_seen(u, address);
    PERFORM iot.audit(iot.user_principal(u, address), 'USER', u.id, u.email,
                      'LOGIN',
                      data => json_build_object('clientAddress', address,
                                                'browser', left(agent, 255),
                                                'provider', 'Basic'));

    RETURN QUERY SELECT u.authority, u.tenant_id, u.customer_id, u.id,
                        u.email;
END
$$;

SELECT iot.definer('iot.basic_login',
                   'asked by the workers before there is a caller');


-- May the caller do that with entities of that type which its customer, or
-- else its tenant, owns?

CREATE OR REPLACE FUNCTION iot.gate_may(p iot.principal, entity_type text,
    operation text) RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN iot.may(p, operation, entity_type, NULL, p.customer_id);
END
$$;
