
--
-- Copyright (C) the ngx_iot authors
--
-- Alarms.  An operation that changes one answers its row, and how it changed
-- in "op": created, updated, deleted; NULL: not at all.


-- The worst first.

CREATE OR REPLACE FUNCTION iot.alarm_severities() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT ARRAY['CRITICAL', 'MAJOR', 'MINOR', 'WARNING', 'INDETERMINATE']
$$;


CREATE OR REPLACE FUNCTION iot.alarm_status(cleared boolean,
    acknowledged boolean) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN cleared THEN 'CLEARED_' ELSE 'ACTIVE_' END
           || CASE WHEN acknowledged THEN 'ACK' ELSE 'UNACK' END
$$;


-- Of whom an alarm tells, and whose it is.  All NULL: there is none.

CREATE OR REPLACE FUNCTION iot.alarm_face(tenant uuid, entity_type text,
    entity_id uuid, OUT name text, OUT label text, OUT customer_id uuid)
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
    SELECT e.name, e.label, e.customer_id INTO name, label, customer_id
      FROM iot.entity e
     WHERE e.tenant_id = tenant AND e.id = entity_id
           AND e.entity_type = alarm_face.entity_type;
END
$$;


-- The name of the originator, to sort and search by.

CREATE OR REPLACE FUNCTION iot.alarm_originator(a iot.alarm) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (iot.alarm_face(a.tenant_id, a.originator_type,
                           a.originator_id)).name;
END
$$;


-- The alarm, if the caller may do the operation, see iot.may().

CREATE OR REPLACE FUNCTION iot.alarm_get(p iot.principal, id uuid,
    operation text DEFAULT 'READ') RETURNS iot.alarm
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.alarm;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    SELECT * INTO r FROM iot.alarm a
     WHERE a.tenant_id = p.tenant_id AND a.id = alarm_get.id;

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('Alarm', id);
    END IF;

    PERFORM iot.need(p, operation, 'ALARM', r.id, r.customer_id);

    RETURN r;
END
$$;


-- The same with the row locked, for what looks at it before a change.

CREATE OR REPLACE FUNCTION iot.alarm_hold(p iot.principal, id uuid,
    operation text) RETURNS iot.alarm
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM FROM iot.alarm a
      WHERE a.tenant_id = p.tenant_id AND a.id = alarm_hold.id
        FOR UPDATE;

    RETURN iot.alarm_get(p, id, operation);
END
$$;


CREATE OR REPLACE FUNCTION iot.alarm_event(a iot.alarm, op text) RETURNS json
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN iot.event_of(a.tenant_id, a.originator_id, 'alarm',
                        json_build_object('id', a.id, 'op', op));
END
$$;


-- The audit row is that of the originator.

CREATE OR REPLACE FUNCTION iot.alarm_audit(p iot.principal, a iot.alarm,
    action text, data jsonb DEFAULT '{}') RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.audit(p, a.originator_type, a.originator_id,
        (iot.alarm_face(a.tenant_id, a.originator_type,
                        a.originator_id)).name,
        action,
        data => (data || jsonb_build_object('alarm', jsonb_build_object(
                    'id', a.id, 'type', a.type, 'severity', a.severity,
                    'status', iot.alarm_status(a.cleared, a.acknowledged))))
                ::json,
        customer => a.customer_id);
END
$$;


-- What was done, among the comments.

CREATE OR REPLACE FUNCTION iot.alarm_note(p iot.principal, a iot.alarm,
    subtype text, note text, more jsonb DEFAULT '{}') RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO iot.alarm_comment (tenant_id, alarm_id, type, comment)
    VALUES (a.tenant_id, a.id, 'SYSTEM',
            (jsonb_build_object('text', note, 'subtype', subtype)
             || jsonb_strip_nulls(jsonb_build_object('userId', p.user_id))
             || more)::json);
END
$$;


-- Counts a new alarm of this month; refuses when the tenant has had as many
-- as its profile allows.

CREATE OR REPLACE FUNCTION iot.alarm_count(tenant uuid) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    cap  bigint := iot.tenant_cap(tenant, 'maxCreatedAlarms');
    n    bigint;
BEGIN
    INSERT INTO iot.alarm_usage AS u (tenant_id, month, created)
    VALUES (tenant, date_trunc('month', now() AT TIME ZONE 'UTC'), 1)
        ON CONFLICT (tenant_id, month) DO UPDATE SET created = u.created + 1
    RETURNING u.created INTO n;

    IF n > cap THEN
        PERFORM iot.fail(403, 'limit_reached', 'Alarms limit reached',
            jsonb_build_object('entityType', 'ALARM', 'limit', cap));
    END IF;
END
$$;


CREATE OR REPLACE FUNCTION iot.alarms_this_month(tenant uuid) RETURNS bigint
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN COALESCE(
        (SELECT u.created FROM iot.alarm_usage u
          WHERE u.tenant_id = tenant
                AND u.month = date_trunc('month', now() AT TIME ZONE 'UTC')),
        0);
END
$$;


-- The entities from which the originator is reached by relations, of the
-- types that the alarm propagates along (none: of any).

CREATE OR REPLACE FUNCTION iot.alarm_parents(a iot.alarm)
RETURNS TABLE (type text, id uuid)
LANGUAGE plpgsql STABLE
AS $$
#variable_conflict use_column
DECLARE
    edge     uuid[] := ARRAY[a.originator_id];
    visited  uuid[] := ARRAY[a.originator_id];
BEGIN
    FOR level IN 1 .. 100 LOOP
        RETURN QUERY
        SELECT DISTINCT r.from_type, r.from_id
          FROM iot.relation r
         WHERE r.tenant_id = a.tenant_id AND r.to_id = ANY (edge)
               AND r.type_group = 'COMMON'
               AND (a.propagate_types = '{}'
                    OR r.type = ANY (a.propagate_types))
               AND r.from_id <> ALL (visited);

        edge := ARRAY(
            SELECT DISTINCT r.from_id
              FROM iot.relation r
             WHERE r.tenant_id = a.tenant_id AND r.to_id = ANY (edge)
                   AND r.type_group = 'COMMON'
                   AND (a.propagate_types = '{}'
                        OR r.type = ANY (a.propagate_types))
                   AND r.from_id <> ALL (visited));

        EXIT WHEN edge = '{}' OR cardinality(visited) > 10000;

        visited := visited || edge;
    END LOOP;
END
$$;


-- Writes down who shows the alarm.

CREATE OR REPLACE FUNCTION iot.alarm_spread(a iot.alarm) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO iot.alarm_entity AS e (tenant_id, entity_id, alarm_id,
                                       entity_type, created_time)
    SELECT DISTINCT ON (x.id) a.tenant_id, x.id, a.id, x.type, a.created_time
      FROM (SELECT a.originator_type AS type, a.originator_id AS id
             UNION ALL
            SELECT 'TENANT', a.tenant_id
             WHERE a.propagate_tenant
                   OR a.propagate_owner AND a.customer_id IS NULL
             UNION ALL
            SELECT 'CUSTOMER', a.customer_id
             WHERE a.propagate_owner AND a.customer_id IS NOT NULL
             UNION ALL
            SELECT r.type, r.id
              FROM iot.alarm_parents(a) r
             WHERE a.propagate) x
     ORDER BY x.id
        ON CONFLICT DO NOTHING;
END
$$;


-- Create, or change the active one of the same originator and type.

CREATE OR REPLACE FUNCTION iot.alarm_create(p iot.principal, r iot.alarm,
    OUT a iot.alarm, OUT op text)
LANGUAGE plpgsql
AS $$
DECLARE
    was      text;
    created  boolean;
    now_ts   bigint := iot.now_ms();
BEGIN
    r.originator_nr := iot.resolve(p, r.originator_type, r.originator_id,
                                   'READ');
    r.customer_id := (iot.alarm_face(p.tenant_id, r.originator_type,
                                     r.originator_id)).customer_id;

    PERFORM iot.need(p, 'CREATE', 'ALARM', NULL, r.customer_id);

    -- the severity that a comment compares with; who comes first has the lock

    SELECT x.severity INTO was
      FROM iot.alarm x
     WHERE x.tenant_id = p.tenant_id AND x.originator_id = r.originator_id
           AND x.type = r.type AND NOT x.cleared
       FOR UPDATE;

    INSERT INTO iot.alarm AS x (tenant_id, customer_id, originator_type,
        originator_id, originator_nr, type, severity, start_ts, end_ts,
        details, propagate, propagate_owner, propagate_tenant,
        propagate_types)
    VALUES (p.tenant_id, r.customer_id, r.originator_type,
        r.originator_id, r.originator_nr, r.type, r.severity,
        COALESCE(NULLIF(r.start_ts, 0), NULLIF(r.end_ts, 0), now_ts),
        COALESCE(NULLIF(r.end_ts, 0), NULLIF(r.start_ts, 0), now_ts),
        r.details, r.propagate, r.propagate_owner, r.propagate_tenant,
        r.propagate_types)
        ON CONFLICT (tenant_id, originator_id, type) WHERE NOT cleared
        DO UPDATE
       SET severity = EXCLUDED.severity,
           end_ts = GREATEST(EXCLUDED.end_ts, x.start_ts),
           details = EXCLUDED.details,
           propagate = EXCLUDED.propagate,
           propagate_owner = EXCLUDED.propagate_owner,
           propagate_tenant = EXCLUDED.propagate_tenant,
           propagate_types = EXCLUDED.propagate_types
    RETURNING x.*, (x.xmax = 0) INTO a.tenant_id, a.id, a.created_time,
        a.customer_id, a.originator_type, a.originator_id, a.originator_nr,
        a.type, a.severity, a.acknowledged, a.cleared, a.assignee_id,
        a.start_ts, a.end_ts, a.ack_ts, a.clear_ts, a.assign_ts, a.details,
        a.propagate, a.propagate_owner, a.propagate_tenant,
        a.propagate_types, created;

    IF created THEN
        PERFORM iot.alarm_count(p.tenant_id);

    ELSIF was <> a.severity THEN
        PERFORM iot.alarm_note(p, a, 'SEVERITY_CHANGED',
            format('Alarm severity was updated from %s to %s', was,
                   a.severity),
            jsonb_build_object('oldSeverity', was, 'newSeverity',
                               a.severity));
    END IF;

    PERFORM iot.alarm_spread(a);

    op := CASE WHEN created THEN 'created' ELSE 'updated' END;
END
$$;


-- Change one by its id; originator and type stay what they are.

CREATE OR REPLACE FUNCTION iot.alarm_update(p iot.principal, r iot.alarm)
RETURNS iot.alarm
LANGUAGE plpgsql
AS $$
DECLARE
    old  iot.alarm := iot.alarm_hold(p, r.id, 'WRITE');
    a    iot.alarm;
BEGIN
    UPDATE iot.alarm x
       SET severity = r.severity,
           start_ts = COALESCE(NULLIF(r.start_ts, 0), x.start_ts),
           end_ts = GREATEST(COALESCE(NULLIF(r.end_ts, 0), x.end_ts),
                             COALESCE(NULLIF(r.start_ts, 0), x.start_ts)),
           details = r.details,
           propagate = r.propagate,
           propagate_owner = r.propagate_owner,
           propagate_tenant = r.propagate_tenant,
           propagate_types = r.propagate_types
     WHERE x.tenant_id = old.tenant_id AND x.id = old.id
    RETURNING x.* INTO a;

    IF old.severity <> a.severity THEN
        PERFORM iot.alarm_note(p, a, 'SEVERITY_CHANGED',
            format('Alarm severity was updated from %s to %s', old.severity,
                   a.severity),
            jsonb_build_object('oldSeverity', old.severity,
                               'newSeverity', a.severity));
    END IF;

    PERFORM iot.alarm_spread(a);

    RETURN a;
END
$$;


-- What POST does: the row as the client wants it, with its flags.

CREATE OR REPLACE FUNCTION iot.alarm_save(p iot.principal, r iot.alarm,
    OUT a iot.alarm, OUT op text)
LANGUAGE plpgsql
AS $$
DECLARE
    saved  record;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    IF COALESCE(btrim(r.type), '') = '' THEN
        PERFORM iot.fail_request('Alarm type should be specified!');
    END IF;

    IF r.originator_id IS NULL OR r.originator_type IS NULL THEN
        PERFORM iot.fail_request('Alarm originator should be specified!');
    END IF;

    IF r.severity IS NULL THEN
        PERFORM iot.fail_request('Alarm severity should be specified!');
    END IF;

    IF r.severity <> ALL (iot.alarm_severities()) THEN
        PERFORM iot.fail_request(
            format('Unknown alarm severity ''%s''!', left(r.severity, 255)));
    END IF;

    IF r.id IS NULL THEN
        saved := iot.alarm_create(p, r);
        a := saved.a;
        op := saved.op;

    ELSE
        a := iot.alarm_update(p, r);
        op := 'updated';
    END IF;

    PERFORM iot.alarm_audit(p, a, CASE op WHEN 'created' THEN 'ADDED'
                                  ELSE 'UPDATED' END);

    IF r.acknowledged AND NOT a.acknowledged THEN
        a := iot.alarm_ack(p, a.id, r.ack_ts);
    END IF;

    IF r.cleared AND NOT a.cleared THEN
        a := iot.alarm_clear(p, a.id, r.clear_ts);
    END IF;

    IF r.assignee_id IS DISTINCT FROM a.assignee_id THEN
        a := iot.alarm_assign(p, a.id, r.assignee_id);
    END IF;
END
$$;


-- at: ms, or NULL or 0 for now.

CREATE OR REPLACE FUNCTION iot.alarm_ack(p iot.principal, id uuid,
    at bigint DEFAULT NULL) RETURNS iot.alarm
LANGUAGE plpgsql
AS $$
DECLARE
    a  iot.alarm := iot.alarm_hold(p, id, 'WRITE');
BEGIN
    IF a.acknowledged THEN
        PERFORM iot.fail_request('Alarm was already acknowledged!');
    END IF;

    UPDATE iot.alarm x
       SET acknowledged = true,
           ack_ts = COALESCE(NULLIF(at, 0), iot.now_ms())
     WHERE x.tenant_id = a.tenant_id AND x.id = a.id
    RETURNING x.* INTO a;

    PERFORM iot.alarm_note(p, a, 'ACK',
        format('Alarm was acknowledged by user %s', p.name));
    PERFORM iot.alarm_audit(p, a, 'ALARM_ACK');

    RETURN a;
END
$$;


CREATE OR REPLACE FUNCTION iot.alarm_clear(p iot.principal, id uuid,
    at bigint DEFAULT NULL) RETURNS iot.alarm
LANGUAGE plpgsql
AS $$
DECLARE
    a  iot.alarm := iot.alarm_hold(p, id, 'WRITE');
BEGIN
    IF a.cleared THEN
        PERFORM iot.fail_request('Alarm was already cleared!');
    END IF;

    UPDATE iot.alarm x
       SET cleared = true,
           clear_ts = COALESCE(NULLIF(at, 0), iot.now_ms())
     WHERE x.tenant_id = a.tenant_id AND x.id = a.id
    RETURNING x.* INTO a;

    PERFORM iot.alarm_note(p, a, 'CLEAR',
        format('Alarm was cleared by user %s', p.name));
    PERFORM iot.alarm_audit(p, a, 'ALARM_CLEAR');

    RETURN a;
END
$$;


-- To a user, who must be able to see the alarm, or (NULL) to nobody.

CREATE OR REPLACE FUNCTION iot.alarm_assign(p iot.principal, id uuid,
    user_id uuid) RETURNS iot.alarm
LANGUAGE plpgsql
AS $$
DECLARE
    a    iot.alarm := iot.alarm_hold(p, id, 'WRITE');
    was  uuid := a.assignee_id;
    who  iot.users;
BEGIN
    IF user_id IS NULL AND was IS NULL THEN
        PERFORM iot.fail_request('Alarm was already unassigned!');
    END IF;

    IF user_id = was THEN
        PERFORM iot.fail_request(
            'Alarm was already assigned to this user!');
    END IF;

    IF user_id IS NOT NULL THEN
        SELECT * INTO who FROM iot.users u
         WHERE u.tenant_id = p.tenant_id AND u.id = user_id;

        IF who.id IS NULL THEN
            PERFORM iot.fail_missing('User', user_id);
        END IF;

        IF who.customer_id <> a.customer_id
           OR who.customer_id IS NOT NULL AND a.customer_id IS NULL
        THEN
            PERFORM iot.fail_permission();
        END IF;
    END IF;

    UPDATE iot.alarm x
       SET assignee_id = user_id,
           assign_ts = iot.now_ms()
     WHERE x.tenant_id = a.tenant_id AND x.id = a.id
    RETURNING x.* INTO a;

    IF user_id IS NULL THEN
        PERFORM iot.alarm_note(p, a, 'ASSIGN',
            format('Alarm was unassigned by user %s', p.name));
        PERFORM iot.alarm_audit(p, a, 'ALARM_UNASSIGNED');

    ELSE
        PERFORM iot.alarm_note(p, a, 'ASSIGN',
            format('Alarm was assigned by user %s to user %s', p.name,
                   who.email),
            jsonb_build_object('assigneeId', user_id));
        PERFORM iot.alarm_audit(p, a, 'ALARM_ASSIGNED',
            jsonb_build_object('assigneeId', user_id));
    END IF;

    RETURN a;
END
$$;


CREATE OR REPLACE FUNCTION iot.alarm_delete(p iot.principal, id uuid)
RETURNS iot.alarm
LANGUAGE plpgsql
AS $$
DECLARE
    a  iot.alarm := iot.alarm_hold(p, id, 'DELETE');
BEGIN
    DELETE FROM iot.alarm x WHERE x.tenant_id = a.tenant_id AND x.id = a.id;

    PERFORM iot.alarm_audit(p, a, 'ALARM_DELETE');

    RETURN a;
END
$$;


-- The types that the tenant's alarms have: a step in the index for each,
-- however many alarms there are.

CREATE OR REPLACE FUNCTION iot.alarm_types(tenant uuid) RETURNS SETOF text
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    last  text := '';
BEGIN
    LOOP
        last := (SELECT min(a.type) FROM iot.alarm a
                  WHERE a.tenant_id = tenant AND a.type > last);

        EXIT WHEN last IS NULL;

        RETURN NEXT last;
    END LOOP;
END
$$;


-- The worst severity of the alarms that an entity shows; NULL: it has none.

CREATE OR REPLACE FUNCTION iot.alarm_highest(p iot.principal,
    entity_type text, entity_id uuid, statuses text[], assignee uuid)
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    worst  integer;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');
    PERFORM iot.resolve(p, entity_type, entity_id, 'READ');

    SELECT min(array_position(iot.alarm_severities(), a.severity))
      INTO worst
      FROM iot.alarm_entity e
           JOIN iot.alarm a
               ON a.tenant_id = e.tenant_id AND a.id = e.alarm_id
     WHERE e.tenant_id = p.tenant_id
           AND e.entity_id = alarm_highest.entity_id
           AND (statuses IS NULL
                OR iot.alarm_status(a.cleared, a.acknowledged)
                   = ANY (statuses))
           AND (assignee IS NULL OR a.assignee_id = assignee);

    RETURN (iot.alarm_severities())[worst];
END
$$;
