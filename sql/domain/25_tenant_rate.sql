-- Rates of calls and messages.  The workers of nginx count; the profile of
-- the tenant says how many.

DROP FUNCTION IF EXISTS iot.tenant_rest_limits(uuid);
DELETE FROM iot.definer_function AS f WHERE f.name = 'iot.tenant_rest_limits';


-- The rates that the profile of a tenant sets, by the names they have in its
-- configuration: texts like '100:1,2000:60'.  Without any there is one row
-- that has only the profile.  "disabled" is there when the messages or the
-- points of the month are used up.  Behind them, named like the setting and in
-- their order, the rules about topics.

CREATE OR REPLACE FUNCTION iot.tenant_rates(tenant uuid)
RETURNS TABLE (profile_id uuid, name text, rate text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT p.id, m.key, m.value
        FROM iot.tenant AS t
            JOIN iot.tenant_profile AS p ON p.id = t.tenant_profile_id
            LEFT JOIN LATERAL json_each_text(p.data -> 'configuration') AS m
                ON m.key ~ '(RateLimit|RestLimitsConfiguration)$'
                   AND m.value <> ''
        WHERE t.id = tenant_rates.tenant;

    IF 'DISABLED' IN (iot.usage_state(tenant, 'transportMessages'),
                      iot.usage_state(tenant, 'transportDataPoints'))
    THEN
        RETURN QUERY
            SELECT t.tenant_profile_id, 'disabled'::text, '1:1'::text
            FROM iot.tenant AS t
            WHERE t.id = tenant_rates.tenant;
    END IF;

    RETURN QUERY
        SELECT NULL::uuid, 'mqtt.topic_rules', r.line
        FROM json_array_elements_text(
                 iot.setting_value(tenant_rates.tenant, 'mqtt.topic_rules'))
            WITH ORDINALITY AS r (line, place)
        ORDER BY r.place;
END
$$;

INSERT INTO iot.definer_function (name, why)
VALUES ('iot.tenant_rates', 'the workers read it without a caller')
ON CONFLICT (name) DO UPDATE SET why = excluded.why;

GRANT EXECUTE ON FUNCTION iot.tenant_rates(uuid) TO iot_app;
