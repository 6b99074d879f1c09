
--
-- Copyright (C) the ngx_iot authors
--
-- A user who has lost the second factor asks an administrator.


-- Takes a factor of another user away; type NULL: all.  The next login needs
-- the password alone, or sets a factor up where one is enforced.  Who has the
-- factor removes its own in another way.

CREATE OR REPLACE FUNCTION iot.second_remove(p iot.principal, id uuid,
    type text) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    r        iot.users;
    removed  text[];
BEGIN
    PERFORM iot.need_write(p);

    r := iot.user_get(p, id, 'WRITE');

    IF r.id = p.user_id THEN
        PERFORM iot.fail_permission();
    END IF;

    WITH gone AS (
        DELETE FROM iot.second_factor AS f
        WHERE f.user_id = r.id
              AND (second_remove.type IS NULL OR f.type = second_remove.type)
        RETURNING f.type
    )
    SELECT array_agg(g.type ORDER BY g.type) INTO removed FROM gone AS g;

    IF removed IS NULL THEN
        PERFORM iot.fail_request('2FA provider is not configured');
    END IF;

    -- backup codes stand in for another kind

    DELETE FROM iot.second_factor AS f
    WHERE f.user_id = r.id
          AND NOT EXISTS (SELECT FROM iot.second_factor AS g
                          WHERE g.user_id = r.id AND g.type <> 'BACKUP_CODE');

    DELETE FROM iot.second_factor_code AS c
    WHERE c.user_id = r.id;

    PERFORM iot.audit(p, 'USER', r.id, r.email, 'CREDENTIALS_UPDATED',
        data => json_build_object('secondFactor',
                                  array_to_string(removed, ','),
                                  'change', 'removed'),
        customer => r.customer_id);
END
$$;
