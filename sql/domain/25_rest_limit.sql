-- Rates of REST calls.  The workers of nginx count; the profile of the tenant
-- says how many.


-- What the profile of a tenant allows its users together, and each of its
-- customers: texts like '100:1,2000:60', NULL or empty for no limit.  One row.

CREATE OR REPLACE FUNCTION iot.tenant_rest_limits(tenant uuid)
RETURNS TABLE (tenant_limit text, customer_limit text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT p.data -> 'configuration'
                   ->> 'tenantServerRestLimitsConfiguration',
               p.data -> 'configuration'
                   ->> 'customerServerRestLimitsConfiguration'
        FROM iot.tenant AS t
            JOIN iot.tenant_profile AS p ON p.id = t.tenant_profile_id
        WHERE t.id = tenant_rest_limits.tenant;
END
$$;

INSERT INTO iot.definer_function (name, why)
VALUES ('iot.tenant_rest_limits',
        'the workers read it without a caller')
ON CONFLICT (name) DO UPDATE SET why = excluded.why;

GRANT EXECUTE ON FUNCTION iot.tenant_rest_limits(uuid) TO iot_app;
