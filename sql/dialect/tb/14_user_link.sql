
--
-- Copyright (C) the ngx_iot authors
--
-- Links of activation and of new passwords: /api/noauth/activate,
-- /api/noauth/resetPassword..., /api/user/.../activationLink...
--
-- "@base" of the query is not the client's: the worker has made it from the
-- request (scheme, host and port), and taken away what was sent by that name.
-- "_hash" of a body is made by the worker, too.


CREATE OR REPLACE FUNCTION tb.activation_link(p iot.principal, path text[],
    query json, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    a  record;
BEGIN
    PERFORM iot.enter(p);

    SELECT * INTO a FROM iot.activation(p, tb.uuid(path[1]));

    RETURN ROW(200, '{"Content-Type":"text/plain;charset=UTF-8"}',
               iot.activation_link(iot.base_url(tb.arg(query, '@base')),
                                   a.token))::iot.answer;
END
$$;


CREATE OR REPLACE FUNCTION tb.activation_link_info(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    a  record;
BEGIN
    PERFORM iot.enter(p);

    SELECT * INTO a FROM iot.activation(p, tb.uuid(path[1]));

    RETURN json_build_object(
        'value', iot.activation_link(iot.base_url(tb.arg(query, '@base')),
                                     a.token),
        'ttlMs', a.ttl);
END
$$;


CREATE OR REPLACE FUNCTION tb.send_activation_mail(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.activation_mail_again(p, tb.need_arg(query, 'email'),
                                      tb.arg(query, '@base'));

    RETURN NULL;
END
$$;


-- What a browser that follows a link is told: where the page for it is.

CREATE OR REPLACE FUNCTION tb.link_answer(state text, page text,
    expired text, name text, token text) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
BEGIN
    CASE state
    WHEN 'valid' THEN
        RETURN ROW(303, json_build_object(
                   'Location', page || '?' || name || '=' || token),
                   NULL)::iot.answer;

    WHEN 'expired' THEN
        RETURN ROW(303, json_build_object('Location', expired),
                   NULL)::iot.answer;

    WHEN 'often' THEN
        PERFORM iot.fail(429, 'too_many_requests',
                         'Too many requests of a new password!');

    ELSE
        NULL;
    END CASE;

    RETURN ROW(409, NULL, NULL)::iot.answer;
END
$$;


CREATE OR REPLACE FUNCTION tb.activate_page(p iot.principal, path text[],
    query json, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    token  text := tb.need_arg(query, 'activateToken');
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.link_answer(iot.activation_state(token),
                          '/login/createPassword', '/activationLinkExpired',
                          'activateToken', token);
END
$$;


CREATE OR REPLACE FUNCTION tb.reset_page(p iot.principal, path text[],
    query json, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    token  text := tb.need_arg(query, 'resetToken');
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.link_answer(iot.reset_state(token), '/login/resetPassword',
                          '/passwordResetLinkExpired', 'resetToken', token);
END
$$;


-- The object of the new session, which the worker makes tokens of.

CREATE OR REPLACE FUNCTION tb.activate(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN iot.activate(body ->> 'token', body ->> '_hash', p.address,
        tb.arg(query, '@base'),
        COALESCE(tb.arg_boolean(query, 'sendActivationMail'), true));
END
$$;


CREATE OR REPLACE FUNCTION tb.reset_password(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.reset_password(body ->> 'token', body ->> '_hash', p.address,
                               tb.arg(query, '@base'));

    RETURN NULL;
END
$$;
