
--
-- Copyright (C) the ngx_iot authors
--
-- Alarms go with their originators and after their time; comments on them.


-- An entity is gone: with the alarms of which it is the originator, and from
-- the lists of those it showed.

CREATE OR REPLACE FUNCTION iot.alarms_forget(tenant uuid, entity_id uuid,
    entity_nr integer) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM iot.alarm a WHERE a.originator_nr = entity_nr;

    DELETE FROM iot.alarm_entity e
     WHERE e.tenant_id = tenant AND e.entity_id = alarms_forget.entity_id;
END
$$;


-- Who moves takes no alarm along; who changes hands shows them to the new
-- owner.  A trigger, since there are many ways to change an owner.

CREATE OR REPLACE FUNCTION iot.alarm_follow() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF NEW.tenant_id <> OLD.tenant_id THEN
        PERFORM iot.alarms_forget(OLD.tenant_id, OLD.id, OLD.nr);
        RETURN NULL;
    END IF;

    UPDATE iot.alarm a
       SET customer_id = NEW.customer_id
     WHERE a.originator_nr = NEW.nr;

    RETURN NULL;
END
$$;


-- Who is gone.

CREATE OR REPLACE FUNCTION iot.alarm_drop() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.alarms_forget(OLD.tenant_id, OLD.id, OLD.nr);
    RETURN NULL;
END
$$;


DO $do$
DECLARE
    kind  text;
BEGIN
    FOREACH kind IN ARRAY '{device,asset,entity_view}'::text[] LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER alarm_follow_owner'
            ' AFTER UPDATE OF customer_id, tenant_id ON iot.%I'
            ' FOR EACH ROW WHEN ((OLD.customer_id, OLD.tenant_id)'
            ' IS DISTINCT FROM (NEW.customer_id, NEW.tenant_id))'
            ' EXECUTE FUNCTION iot.alarm_follow()', kind);
    END LOOP;

    FOREACH kind IN ARRAY
        '{device,asset,entity_view,dashboard,customer,users}'::text[]
    LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER alarm_drop_end'
            ' AFTER DELETE ON iot.%I'
            ' FOR EACH ROW EXECUTE FUNCTION iot.alarm_drop()', kind);
    END LOOP;
END
$do$;

DROP TRIGGER IF EXISTS alarm_follow_end ON iot.device;


-- Deletes a slice of what the profiles of the tenants keep no longer
-- (alarmsTtlDays after the end of an alarm).  Answers how many.

CREATE OR REPLACE FUNCTION iot.maintain_alarms(slice integer DEFAULT 2000)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    limited  record;
    n        integer;
    total    integer := 0;
BEGIN
    FOR limited IN
        SELECT t.id, x.days
          FROM iot.tenant t
               JOIN iot.tenant_profile tp ON tp.id = t.tenant_profile_id
               CROSS JOIN LATERAL (
                   SELECT LEAST((tp.data -> 'configuration'
                                 ->> 'alarmsTtlDays')::bigint, 100000)
                          AS days) x
         WHERE x.days > 0
    LOOP
        DELETE FROM iot.alarm
         WHERE ctid = ANY (ARRAY(
                   SELECT a.ctid FROM iot.alarm a
                    WHERE a.tenant_id = limited.id
                          AND a.end_ts < iot.now_ms()
                                         - limited.days * 86400000
                    LIMIT slice - total));

        GET DIAGNOSTICS n = ROW_COUNT;
        total := total + n;

        EXIT WHEN total >= slice;
    END LOOP;

    RETURN total;
END
$$;


SELECT iot.definer('iot.maintain_alarms',
    'deletes what is expired of all tenants');


-- comments

CREATE OR REPLACE FUNCTION iot.alarm_comment_get(a iot.alarm, id uuid)
RETURNS iot.alarm_comment
LANGUAGE plpgsql
AS $$
DECLARE
    c  iot.alarm_comment;
BEGIN
    SELECT * INTO c FROM iot.alarm_comment x
     WHERE x.tenant_id = a.tenant_id AND x.alarm_id = a.id
           AND x.id = alarm_comment_get.id
       FOR UPDATE;

    IF c.id IS NULL THEN
        PERFORM iot.fail_missing('Alarm comment', id);
    END IF;

    RETURN c;
END
$$;


-- comment: an object with "text"; id NULL: a new one.  Only who wrote a
-- comment changes it.

CREATE OR REPLACE FUNCTION iot.alarm_comment_save(p iot.principal,
    alarm uuid, id uuid, comment json) RETURNS iot.alarm_comment
LANGUAGE plpgsql
AS $$
DECLARE
    a  iot.alarm := iot.alarm_get(p, alarm, 'WRITE');
    c  iot.alarm_comment;
BEGIN
    IF COALESCE(comment ->> 'text', '') = '' THEN
        PERFORM iot.fail_request('Alarm comment should be specified!');
    END IF;

    IF length(comment::text) > 10000 THEN
        PERFORM iot.fail_request(
            'comment length must be equal or less than 10000');
    END IF;

    IF id IS NULL THEN
        INSERT INTO iot.alarm_comment (tenant_id, alarm_id, user_id, type,
                                       comment)
        VALUES (a.tenant_id, a.id, p.user_id, 'OTHER', comment)
        RETURNING * INTO c;

    ELSE
        c := iot.alarm_comment_get(a, id);

        IF c.type = 'SYSTEM' OR c.user_id IS DISTINCT FROM p.user_id THEN
            PERFORM iot.fail_permission();
        END IF;

        UPDATE iot.alarm_comment x
           SET comment = (alarm_comment_save.comment::jsonb
                          || jsonb_build_object('edited', 'true', 'editedOn',
                                                iot.now_ms()))::json
         WHERE x.tenant_id = c.tenant_id AND x.alarm_id = c.alarm_id
               AND x.id = c.id
        RETURNING * INTO c;
    END IF;

    PERFORM iot.alarm_audit(p, a, CASE WHEN id IS NULL THEN 'ADDED_COMMENT'
                                  ELSE 'UPDATED_COMMENT' END,
        jsonb_build_object('commentId', c.id));

    RETURN c;
END
$$;


-- What remains is that there was one.

CREATE OR REPLACE FUNCTION iot.alarm_comment_delete(p iot.principal,
    alarm uuid, id uuid) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    a  iot.alarm := iot.alarm_get(p, alarm, 'WRITE');
    c  iot.alarm_comment := iot.alarm_comment_get(a, id);
BEGIN
    IF c.type = 'SYSTEM'
       OR p.role = 'CUSTOMER_USER' AND c.user_id IS DISTINCT FROM p.user_id
    THEN
        PERFORM iot.fail_permission();
    END IF;

    UPDATE iot.alarm_comment x
       SET type = 'SYSTEM',
           user_id = NULL,
           comment = json_build_object(
               'text', format('User %s deleted his comment', p.name),
               'subtype', 'DELETED_COMMENT', 'userId', p.user_id)
     WHERE x.tenant_id = c.tenant_id AND x.alarm_id = c.alarm_id
           AND x.id = c.id;

    PERFORM iot.alarm_audit(p, a, 'DELETED_COMMENT',
        jsonb_build_object('commentId', c.id));
END
$$;
