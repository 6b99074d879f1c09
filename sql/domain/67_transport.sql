--
-- Copyright (C) the ngx_iot authors
--
-- How the devices of a profile speak MQTT: flags (o: they do not, p: their
-- payloads are Protobuf, a: bad payloads are acknowledged), and a line each
-- for the filters of telemetry and of attributes, and for the topic on which
-- they hear of shared attributes.  NULL: as usual.


CREATE OR REPLACE FUNCTION iot.device_transport(tenant uuid, profile uuid)
RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    kind    text;
    c       json;
    result  text;
BEGIN
    SELECT dp.transport_type, dp.data -> 'transportConfiguration'
      INTO kind, c
      FROM iot.device_profile AS dp
     WHERE dp.tenant_id = tenant AND dp.id = profile;

    IF kind NOT IN ('DEFAULT', 'MQTT') THEN
        RETURN 'o';
    END IF;

    IF kind IS DISTINCT FROM 'MQTT' OR json_typeof(c) <> 'object' THEN
        RETURN NULL;
    END IF;

    result := CASE WHEN json_typeof(c -> 'transportPayloadTypeConfiguration')
                        = 'object'
                        AND c -> 'transportPayloadTypeConfiguration'
                            ->> 'transportPayloadType' = 'PROTOBUF'
              THEN 'p' ELSE '' END
              || CASE c ->> 'sendAckOnValidationException'
                 WHEN 'true' THEN 'a' ELSE '' END
              || E'\n' || translate(COALESCE(c ->> 'deviceTelemetryTopic',
                                             ''), E'\n', '')
              || E'\n' || translate(COALESCE(c ->> 'deviceAttributesTopic',
                                             ''), E'\n', '')
              || E'\n' || translate(COALESCE(
                     c ->> 'deviceAttributesSubscribeTopic', ''), E'\n', '');

    RETURN NULLIF(result, E'\n\n\n');
END
$$;

SELECT iot.definer('iot.device_transport',
    'asked by the workers before there is a caller');
