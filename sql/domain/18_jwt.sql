
--
-- Copyright (C) the ngx_iot authors
--
-- The settings of tokens.  A new key is sealed by the worker; with it comes a
-- new generation, and all tokens signed before are void.


CREATE OR REPLACE FUNCTION iot.jwt_save(p iot.principal, expiration bigint,
    refresh bigint, issuer text, sealed_key text) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    u           iot.users;
    old         jsonb;
    generation  bigint;
BEGIN
    PERFORM iot.need_role(p, 'SYS_ADMIN');

    IF COALESCE(btrim(issuer), '') = '' THEN
        PERFORM iot.fail_request('JWT token issuer should be specified!');
    END IF;

    IF length(issuer) > 100 THEN
        PERFORM iot.fail_request(
            'tokenIssuer length must be equal or less than 100');
    END IF;

    IF COALESCE(expiration, 0) < 60 THEN
        PERFORM iot.fail_request(
            'JWT token expiration time should be at least 1 minute!');
    END IF;

    IF COALESCE(refresh, 0) < 900 THEN
        PERFORM iot.fail_request('JWT refresh token expiration time should be '
                                 'at least 15 minutes!');
    END IF;

    IF refresh <= expiration THEN
        PERFORM iot.fail_request('JWT refresh token expiration time should be '
                                 'greater than JWT token expiration time!');
    END IF;

    IF refresh > 315360000 THEN
        PERFORM iot.fail_request(
            'JWT refresh token expiration time should be at most ten years!');
    END IF;

    SELECT * INTO u FROM iot.users AS t WHERE t.id = p.user_id;

    IF u.id IS NULL THEN
        PERFORM iot.fail_permission();
    END IF;

    PERFORM iot.lock('jwt', NULL);

    old := COALESCE(iot.setting('jwt')::jsonb, '{}');
    generation := COALESCE((old ->> 'generation')::bigint, 1);

    IF sealed_key IS NOT NULL THEN
        generation := generation % 2147483647 + 1;
        old := old || jsonb_build_object('key', sealed_key);
    END IF;

    PERFORM iot.setting_save(p, 'jwt',
        (old || jsonb_build_object('generation', generation,
                                   'issuer', btrim(issuer),
                                   'expiration', expiration,
                                   'refresh', refresh))::json);

    RETURN (iot.login_object(u, iot.session_begin(u, p.address, NULL),
                             true)::jsonb
            || jsonb_build_object('generation', generation))::json;
END
$$;
