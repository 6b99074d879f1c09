
--
-- Copyright (C) the ngx_iot authors
--
-- Who may publish and subscribe to what: rules of a tenant, which the workers
-- read together with its rates.

SELECT iot.setting_define('mqtt.topic_rules', 'strings', '[]',
    json_build_object('minLength', 1, 'maxLength', 1100, 'maxItems', 1000,
        'pattern', '^(allow|deny) (publish|subscribe|all) '
                   || '(device|customer|tenant|any) '
                   || '(#|([^#+/[:cntrl:]]*|[+])(/([^#+/[:cntrl:]]*|[+]))*'
                   || '(/#)?)$'),
    'tenant', true, false,
    'Rules about topics, the first that matches decides: allow or deny,'
    ' publish, subscribe or all, device, customer, tenant or any, and a filter'
    ' in which %u is the id of the device or user and %c the client id.');
