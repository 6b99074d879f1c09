
--
-- Copyright (C) the ngx_iot authors
--
-- Whoever watches the result of a query hears that the entities of a tenant
-- have changed: "watch ID".  Equal notifications of a transaction are one.


CREATE OR REPLACE FUNCTION iot.entity_watch() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    tenant  uuid := CASE TG_OP WHEN 'DELETE' THEN OLD.tenant_id
                    ELSE NEW.tenant_id END;
BEGIN
    IF tenant IS NOT NULL THEN
        PERFORM pg_notify('iot', 'watch ' || tenant);
    END IF;

    IF TG_OP = 'UPDATE' AND OLD.tenant_id <> NEW.tenant_id THEN
        PERFORM pg_notify('iot', 'watch ' || OLD.tenant_id);
    END IF;

    RETURN NULL;
END
$$;


DO $do$
DECLARE
    kind  text;
BEGIN
    FOREACH kind IN ARRAY '{device,asset,entity_view,dashboard,customer,
                            users,relation}'::text[]
    LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER entity_watch'
            ' AFTER INSERT OR UPDATE OR DELETE ON iot.%I'
            ' FOR EACH ROW EXECUTE FUNCTION iot.entity_watch()', kind);
    END LOOP;
END
$do$;


-- What the profile of a tenant allows those who watch; caps 0: unlimited.

CREATE OR REPLACE FUNCTION iot.watch_limits(p iot.principal)
RETURNS TABLE (sessions bigint[], subscriptions bigint[], queue bigint,
    updates text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    conf  json;
    kind  text := CASE WHEN COALESCE(p.is_public, false) THEN 'PublicUser'
                  ELSE 'RegularUser' END;
BEGIN
    SELECT tp.data -> 'configuration' INTO conf
      FROM iot.tenant t
           JOIN iot.tenant_profile tp ON tp.id = t.tenant_profile_id
     WHERE t.id = p.tenant_id;

    sessions := ARRAY[
        COALESCE((conf ->> 'maxWsSessionsPerTenant')::bigint, 0),
        CASE WHEN p.customer_id IS NULL THEN 0 ELSE
            COALESCE((conf ->> 'maxWsSessionsPerCustomer')::bigint, 0) END,
        COALESCE((conf ->> ('maxWsSessionsPer' || kind))::bigint, 0)];
    subscriptions := ARRAY[
        COALESCE((conf ->> 'maxWsSubscriptionsPerTenant')::bigint, 0),
        CASE WHEN p.customer_id IS NULL THEN 0 ELSE
            COALESCE((conf ->> 'maxWsSubscriptionsPerCustomer')::bigint,
                     0) END,
        COALESCE((conf ->> ('maxWsSubscriptionsPer' || kind))::bigint, 0)];
    queue := COALESCE((conf ->> 'wsMsgQueueLimitPerSession')::bigint, 0);
    updates := COALESCE(conf ->> 'wsUpdatesPerSessionRateLimit', '');

    RETURN NEXT;
END
$$;


SELECT iot.definer('iot.watch_limits',
    'the profile of the own tenant, for the workers');
