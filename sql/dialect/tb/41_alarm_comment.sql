
--
-- Copyright (C) the ngx_iot authors
--
-- /api/alarm/{id}/comment


CREATE OR REPLACE FUNCTION tb.alarm_comment_out(c iot.alarm_comment)
RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', json_build_object('id', c.id),
        'createdTime', c.created_time,
        'alarmId', tb.id('ALARM', c.alarm_id),
        'userId', tb.id('USER', c.user_id),
        'type', c.type,
        'comment', c.comment,
        'name', left(c.comment ->> 'text', 255))
$$;


CREATE OR REPLACE FUNCTION tb.alarm_comment_info_out(c iot.alarm_comment,
    u iot.users) RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', json_build_object('id', c.id),
        'createdTime', c.created_time,
        'alarmId', tb.id('ALARM', c.alarm_id),
        'userId', tb.id('USER', c.user_id),
        'type', c.type,
        'comment', c.comment,
        'name', left(c.comment ->> 'text', 255),
        'firstName', u.first_name,
        'lastName', u.last_name,
        'email', u.email)
$$;


CREATE OR REPLACE FUNCTION tb.alarm_comment_save(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM tb.need_object(body);

    RETURN tb.alarm_comment_out(
        iot.alarm_comment_save(p, tb.uuid(path[1]), tb.ref(body, 'id'),
                               tb.object(body, 'comment')));
END
$$;


CREATE OR REPLACE FUNCTION tb.alarm_comments(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    a  iot.alarm;
BEGIN
    PERFORM iot.enter(p);

    a := iot.alarm_get(p, tb.uuid(path[1]));

    RETURN tb.list(tb.page(query), 'tb.alarm_comment_info_out(c, u)',
        'iot.alarm_comment c LEFT JOIN iot.users u ON u.id = c.user_id'
        ' WHERE c.tenant_id = $1[1]::uuid AND c.alarm_id = $1[2]::uuid',
        '{"id":"c.id","createdTime":"c.created_time","type":"c.type",
          "email":"u.email","firstName":"u.first_name",
          "lastName":"u.last_name"}',
        'c.id', a.tenant_id::text, a.id::text);
END
$$;


CREATE OR REPLACE FUNCTION tb.alarm_comment_delete(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.alarm_comment_delete(p, tb.uuid(path[1]), tb.uuid(path[2]));

    RETURN NULL;
END
$$;
