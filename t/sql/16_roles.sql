
--
-- Copyright (C) the ngx_iot authors
--
-- Groups, roles and owners: who may do what, asked of the functions that the
-- endpoints call, for a tenant with roles and for one without.

BEGIN;

SELECT no_plan();

\ir fixture/people.sql

SELECT '403 permission_denied: You don''t have permission to perform this '
       'operation!' AS denied \gset


RESET ROLE;

CREATE FUNCTION pg_temp.ref(thing text) RETURNS json LANGUAGE sql AS $$
    SELECT json_build_object('id', pg_temp.id(thing))
$$;

-- give a group of users a role
CREATE FUNCTION pg_temp.permit(who text, users text, role text,
    entities text DEFAULT NULL) RETURNS jsonb LANGUAGE sql AS $$
    SELECT pg_temp.api(who, 'permission_save', '{}', '{}', json_build_object(
               'userGroupId', pg_temp.ref(users),
               'roleId', pg_temp.ref(role),
               'entityGroupId', CASE WHEN entities IS NOT NULL
                                THEN pg_temp.ref(entities) END))
$$;

CREATE FUNCTION pg_temp.names(answer jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(COALESCE(e ->> 'name', e ->> 'title'), ','
               ORDER BY COALESCE(e ->> 'name', e ->> 'title'))
      FROM jsonb_array_elements(answer -> 'data') e
$$;

-- the operations, of those asked, that somebody may do with a thing
CREATE FUNCTION pg_temp.may(who text, type text, thing text)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    p      iot.principal := pg_temp.caller(who);
    owner  uuid;
BEGIN
    PERFORM iot.enter(p);

    owner := CASE type
        WHEN 'CUSTOMER' THEN pg_temp.id(thing)::uuid
        ELSE (iot.entity_owner(p.tenant_id, type,
                               pg_temp.id(thing)::uuid)).owner END;

    RETURN COALESCE((SELECT string_agg(o, ',' ORDER BY nr)
        FROM unnest('{READ,WRITE,DELETE,RPC_CALL,READ_CREDENTIALS,'
                    'WRITE_CREDENTIALS,READ_TELEMETRY,WRITE_ATTRIBUTES,'
                    'CHANGE_OWNER}'::text[]) WITH ORDINALITY v (o, nr)
       WHERE iot.may(p, o, type, pg_temp.id(thing)::uuid, owner)), '-');
END
$$;


SET ROLE iot_app;


-- without roles: what the authority says

SELECT is(pg_temp.may(v.who, v.type, v.thing), v.may,
          concat_ws(' ', 'before roles:', v.who, v.type, v.thing))
  FROM (VALUES
    ('a', 'DEVICE', 'd1', 'READ,WRITE,DELETE,RPC_CALL,READ_CREDENTIALS,'
        'WRITE_CREDENTIALS,READ_TELEMETRY,WRITE_ATTRIBUTES,CHANGE_OWNER'),
    ('c1', 'DEVICE', 'd1', 'READ,WRITE,RPC_CALL,READ_CREDENTIALS,'
        'READ_TELEMETRY,WRITE_ATTRIBUTES'),
    ('c1', 'DEVICE', 'd2', '-'),
    ('c2', 'DEVICE', 'd1', '-'),
    ('public', 'DEVICE', 'd1', 'READ,READ_TELEMETRY'),
    ('sys', 'DEVICE', 'd1', '-'),
    ('c1', 'CUSTOMER', 'c1', 'READ,READ_TELEMETRY'),
    ('c1', 'CUSTOMER', 'c2', '-'),
    ('c1', 'USER', 'user c1', 'READ,WRITE,READ_TELEMETRY,WRITE_ATTRIBUTES'),
    ('c1', 'USER', 'user c2', '-')) v (who, type, thing, may);


-- groups

SELECT is(pg_temp.refusal(v.who, v.fn, v.path::text[], '{}', v.body::json),
          v.text, concat_ws(' ', v.who, v.fn, v.body))
  FROM (VALUES
    ('c1', 'group_save', '{}', '{"type":"DEVICE","name":"x"}', :'denied'),
    ('a', 'group_save', '{}', '{"type":"SPOON","name":"x"}',
        '400 bad_request: Unsupported entity type: SPOON'),
    ('a', 'group_save', '{}', '{"type":"DEVICE"}',
        '400 bad_request: Entity group name should be specified!'),
    ('a', 'group_save', '{}', '{"type":"DEVICE","name":"All"}',
        '400 bad_request: Group name ''All'' is system reserved!'),
    ('a', 'group_save', '{}', '{"type":"DEVICE","name":"<b>x</b>"}',
        '400 bad_request: name is malformed'),
    ('a', 'group_get', '{00000000-0000-0000-0000-000000000001}', NULL,
        '404 not_found: Entity group with id '
        '[00000000-0000-0000-0000-000000000001] is not found'),
    ('a', 'groups_by_type', '{SPOON}', NULL,
        '400 bad_request: Unsupported entity type: SPOON'))
       v (who, fn, path, body, text);

SELECT is(pg_temp.api('a', 'groups_by_type', '{DEVICE}') #>> '{0,name}',
          'All', 'each owner has a group of all');
SELECT is(pg_temp.api('a', 'groups_by_type', '{DEVICE}') #>> '{0,groupAll}',
          'true', 'marked as such');
SELECT pg_temp.made('all users of c1', pg_temp.api('a', 'group_by_name',
           ARRAY['CUSTOMER', pg_temp.id('c1'), 'USER', 'All'])) \g /dev/null
SELECT pg_temp.made('all users', pg_temp.api('a', 'group_by_name',
           ARRAY['TENANT', pg_temp.id('A'), 'USER', 'All'])) \g /dev/null
SELECT pg_temp.made(v.name, pg_temp.api('a', 'group_save', '{}', '{}',
           json_build_object('type', v.type, 'name', v.name)))
  FROM (VALUES ('pumps', 'DEVICE'), ('technicians', 'USER'),
               ('masters', 'USER')) v (name, type) \g /dev/null
SELECT is(pg_temp.refusal('a', 'group_save', '{}', '{}',
              '{"type":"DEVICE","name":"pumps"}'),
          '400 bad_request: Entity group with such name already exists!',
          'names are unique for an owner and a type');
SELECT is(pg_temp.refusal('b', 'group_get', ARRAY[pg_temp.id('pumps')]),
          '404 not_found: Entity group with id [' || pg_temp.id('pumps')
          || '] is not found', 'the groups of others do not exist');
SELECT is(pg_temp.refusal('a', 'group_add', ARRAY[pg_temp.id('pumps')], '{}',
              json_build_array(pg_temp.id('e1'))),
          '404 not_found: Device with id [' || pg_temp.id('e1')
          || '] is not found', 'nor are their devices put into one');
SELECT is(pg_temp.refusal('a', 'group_add', ARRAY[pg_temp.id('technicians')],
              '{}', json_build_array(pg_temp.id('user c1'))),
          '400 bad_request: User with id [' || pg_temp.id('user c1')
          || '] is not of the owner of the group!',
          'users only of the owner');
SELECT is(pg_temp.refusal('a', 'group_add', ARRAY[pg_temp.id('pumps')], '{}',
              v.body::json), v.text, v.body)
  FROM (VALUES ('{}', '400 bad_request: Malformed JSON request body'),
               ('["x"]', '400 bad_request: Invalid UUID string: x'))
       v (body, text);
SELECT pg_temp.api('a', 'group_add', ARRAY[pg_temp.id('pumps')], '{}',
           json_build_array(pg_temp.id('d1'), pg_temp.id('d2'), pg_temp.id('d1')))
       \g /dev/null
SELECT is(pg_temp.names(pg_temp.api('a', 'group_devices',
              ARRAY[pg_temp.id('pumps')], '{"pageSize":"9","page":"0"}')),
          'd1,d2', 'what is in it');
SELECT pg_temp.api('a', 'group_remove', ARRAY[pg_temp.id('pumps')], '{}',
           json_build_array(pg_temp.id('d1'))) \g /dev/null
SELECT is(pg_temp.names(pg_temp.api('a', 'group_entities',
              ARRAY[pg_temp.id('pumps')], '{"pageSize":"9","page":"0"}')),
          'd2', 'and not any more');
SELECT is(jsonb_array_length(pg_temp.api('a', 'groups_of_entity',
              ARRAY['DEVICE', pg_temp.id('d2')])), 2,
          'the groups of a device, with that of all');
SELECT is(pg_temp.refusal('a', 'group_users', ARRAY[pg_temp.id('pumps')],
              '{"pageSize":"9","page":"0"}'),
          '400 bad_request: Entity group is not of type USER!',
          'a group has one type');


-- roles

SELECT is(pg_temp.refusal(v.who, 'role_save', '{}', '{}', v.body::json),
          v.text, concat_ws(' ', v.who, v.body))
  FROM (VALUES
    ('c1', '{"name":"x","type":"GENERIC","permissions":{}}', :'denied'),
    ('a', '{"type":"GENERIC","permissions":{}}',
        '400 bad_request: Role name should be specified!'),
    ('a', '{"name":"x","type":"SPOON","permissions":{}}',
        '400 bad_request: Role type should be specified!'),
    ('a', '{"name":"x","type":"GENERIC"}',
        '400 bad_request: Role permissions are malformed!'),
    ('a', '{"name":"x","type":"GENERIC","permissions":["READ"]}',
        '400 bad_request: Role permissions are malformed!'),
    ('a', '{"name":"x","type":"GENERIC","permissions":{"DEVICE":["FLY"]}}',
        '400 bad_request: Role permissions are malformed!'),
    ('a', '{"name":"x","type":"GENERIC","permissions":{"DEVICE":"READ"}}',
        '400 bad_request: Role permissions are malformed!'),
    ('a', '{"name":"x","type":"GENERIC","permissions":{"a''; --":["READ"]}}',
        '400 bad_request: Role permissions are malformed!'),
    ('a', '{"name":"x","type":"GROUP","permissions":{"DEVICE":["READ"]}}',
        '400 bad_request: Role permissions are malformed!'),
    ('a', '{"name":"x","type":"GROUP","permissions":[1]}',
        '400 bad_request: Role permissions are malformed!'))
       v (who, body, text);

SELECT pg_temp.made(v.name, pg_temp.api('a', 'role_save', '{}', '{}',
           json_build_object('name', v.name, 'type', v.type,
                             'permissions', v.permissions::json)))
  FROM (VALUES
    ('technician', 'GENERIC', '{"DEVICE":["CREATE","READ","WRITE",
        "READ_CREDENTIALS","READ_ATTRIBUTES","WRITE_ATTRIBUTES",
        "READ_TELEMETRY","WRITE_TELEMETRY"],"DEVICE_GROUP":["READ"],
        "USER":["CREATE","READ","WRITE"],"USER_GROUP":["ALL"],
        "ROLE":["ALL"],"GROUP_PERMISSION":["ALL"]}'),
    ('everything', 'GENERIC', '{"ALL":["ALL"]}'),
    ('look', 'GENERIC', '{"ALL":["READ","READ_TELEMETRY"]}'),
    ('manager', 'GENERIC', '{"DEVICE":["ALL"],"CUSTOMER":["ALL"],
        "USER":["ALL"]}'),
    ('group reader', 'GROUP', '["READ","READ_TELEMETRY"]'))
       v (name, type, permissions) \g /dev/null

-- a technician: an administrator of the tenant in a group that has a role

SELECT pg_temp.made('user tech', pg_temp.api('a', 'user_save', '{}',
           json_build_object('entityGroupId', pg_temp.id('technicians')),
           '{"email":"tech@example.org","authority":"TENANT_ADMIN"}'))
       \g /dev/null
RESET ROLE;
SELECT pg_temp.login('tech', 'tech@example.org') \g /dev/null
SELECT pg_temp.activate('tech@example.org') \g /dev/null
SET ROLE iot_app;
SELECT is(pg_temp.may('tech', 'DEVICE', 'd1'), pg_temp.may('a', 'DEVICE', 'd1'),
          'a group alone takes nothing');
SELECT pg_temp.made('tech permission',
           pg_temp.permit('a', 'technicians', 'technician')) \g /dev/null
SELECT is(pg_temp.permit('a', 'technicians', 'technician') #>> '{id,id}',
          pg_temp.id('tech permission'), 'twice is once');

SELECT is(pg_temp.may(v.who, v.type, v.thing), v.may,
          concat_ws(' ', 'with a role:', v.who, v.type, v.thing))
  FROM (VALUES
    ('a', 'DEVICE', 'd1', 'READ,WRITE,DELETE,RPC_CALL,READ_CREDENTIALS,'
        'WRITE_CREDENTIALS,READ_TELEMETRY,WRITE_ATTRIBUTES,CHANGE_OWNER'),
    ('tech', 'DEVICE', 'd1', 'READ,WRITE,READ_CREDENTIALS,READ_TELEMETRY,'
        'WRITE_ATTRIBUTES'),
    ('tech', 'CUSTOMER', 'c1', '-'),
    ('tech', 'USER', 'user tech', 'READ,WRITE,WRITE_ATTRIBUTES'),
    ('tech', 'USER', 'user c1', 'READ,WRITE'),
    ('c1', 'DEVICE', 'd1', 'READ,WRITE,RPC_CALL,READ_CREDENTIALS,'
        'READ_TELEMETRY,WRITE_ATTRIBUTES'),
    ('public', 'DEVICE', 'd1', 'READ,READ_TELEMETRY'))
       v (who, type, thing, may);

SELECT is(pg_temp.refusal('tech', v.fn, v.path, '{"pageSize":"9","page":"0"}',
                          v.body::json), v.text,
          concat_ws(' ', 'tech', v.fn, v.body))
  FROM (VALUES
    ('device_save', '{}'::text[], '{"name":"made by tech"}', 'done'),
    ('device_delete', ARRAY[pg_temp.id('d1')], NULL, :'denied'),
    ('device_get', ARRAY[pg_temp.id('d1')], NULL, 'done'),
    ('device_credentials_get', ARRAY[pg_temp.id('d1')], NULL, 'done'),
    ('tenant_devices', '{}', NULL, 'done'),
    ('customer_get', ARRAY[pg_temp.id('c1')], NULL, :'denied'),
    ('customer_save', '{}', '{"title":"x"}', :'denied'),
    ('device_profile_save', '{}', '{"name":"x","type":"DEFAULT",
        "transportType":"DEFAULT"}', :'denied'),
    ('device_assign', ARRAY[pg_temp.id('c1'), pg_temp.id('d2')], NULL,
        :'denied'),
    ('device_move', ARRAY[pg_temp.id('B'), pg_temp.id('d2')], NULL,
        :'denied'),
    ('audit_logs', '{}', NULL, :'denied'),
    ('usage', '{}', NULL, :'denied'),
    ('user_delete', ARRAY[pg_temp.id('user c1')], NULL, :'denied'))
       v (fn, path, body, text);
SELECT is(pg_temp.names(pg_temp.api('tech', 'customers', '{}',
              '{"pageSize":"9","page":"0"}')), NULL, 'lists hold as much');
SELECT is(pg_temp.names(pg_temp.api('tech', 'user_devices', '{}',
              '{"pageSize":"9","page":"0"}')), 'd1,d2,made by tech',
          'all that it may see');

-- nobody gives away more than it has

SELECT is(pg_temp.refusal('tech', v.fn, v.path, v.query::json, v.body), v.text,
          v.what)
  FROM (VALUES
    ('role_save', '{}'::text[], '{}', '{"name":"t1","type":"GENERIC",
        "permissions":{"DEVICE":["DELETE"]}}'::json, :'denied',
        'no role with more'),
    ('role_save', '{}', '{}', '{"name":"t2","type":"GENERIC",
        "permissions":{"DEVICE":["READ"]}}', 'done', 'a role with less'),
    ('user_save', '{}', '{}', '{"email":"t3@example.org",
        "authority":"TENANT_ADMIN"}', :'denied',
        'no user who would be an administrator'),
    ('user_save', '{}', json_build_object('entityGroupId',
            pg_temp.id('technicians'))::text, '{"email":"t4@example.org",
        "authority":"TENANT_ADMIN"}', 'done', 'but one like itself'),
    ('group_remove', ARRAY[pg_temp.id('technicians')], '{}',
        json_build_array(pg_temp.id('user tech')), :'denied',
        'it does not leave its group'),
    ('group_delete', ARRAY[pg_temp.id('technicians')], '{}', NULL, :'denied',
        'nor does the group go'),
    ('permission_delete', ARRAY[pg_temp.id('tech permission')], '{}', NULL,
        :'denied', 'nor the permission'),
    ('permission_save', '{}', '{}', json_build_object(
        'userGroupId', pg_temp.ref('technicians'),
        'roleId', pg_temp.ref('everything')), :'denied',
        'and it does not rise'),
    ('role_save', '{}', '{}', json_build_object(
        'id', pg_temp.ref('technician'), 'name', 'technician',
        'type', 'GENERIC', 'permissions', '{"ALL":["ALL"]}'::json),
        :'denied', 'nor its role'),
    ('user_save', '{}', '{}', json_build_object(
        'id', pg_temp.ref('user a'), 'email', 'stolen@example.org',
        'authority', 'TENANT_ADMIN'), :'denied',
        'nor takes it the account of an administrator'),
    ('api_key_create', '{}', '{}', json_build_object(
        'userId', pg_temp.ref('user a'), 'description', 'x'), :'denied',
        'nor acts for one by a key'))
       v (fn, path, query, body, text, what);

-- the tenant is never left without an administrator

SELECT is(pg_temp.refusal('a', 'permission_save', '{}', '{}',
              json_build_object('userGroupId', pg_temp.ref('all users'),
                                'roleId', pg_temp.ref('look'))),
          :'denied', 'no role for all administrators');
SELECT is(pg_temp.refusal('a', 'group_add', ARRAY[pg_temp.id('technicians')],
              '{}', json_build_array(pg_temp.id('user a'))),
          :'denied', 'nor for the last of them');
SELECT is(pg_temp.refusal('a', 'role_delete', ARRAY[pg_temp.id('technician')]),
          '400 bad_request: The role referenced by the group permissions '
          'cannot be deleted!', 'a role in use stays');
SELECT is(pg_temp.api('tech', 'allowed_permissions')
          #> '{userPermissions,genericPermissions,DEVICE_GROUP}', '["READ"]',
          'what it may, told');
SELECT is(pg_temp.api('a', 'allowed_permissions')
          #> '{userPermissions,genericPermissions}', '{"ALL":["ALL"]}',
          'and an administrator');

-- customers: readers, and managers of customers below

SELECT pg_temp.made('reader permission',
           pg_temp.permit('a', 'all users of c1', 'look')) \g /dev/null
SELECT is(pg_temp.may('c1', 'DEVICE', 'd1'), 'READ,READ_TELEMETRY',
          'a reader changes nothing');
SELECT is(pg_temp.may('c1', 'DEVICE', 'd2'), '-', 'and sees only its own');
SELECT is(pg_temp.refusal('c1', 'device_save', '{}', '{}', json_build_object(
              'id', pg_temp.ref('d1'), 'name', 'x')), :'denied',
          'it cannot save');
SELECT is(pg_temp.fails(format('SELECT iot.enter(p), iot.resolve(p, '
                               '''DEVICE'', %L, ''WRITE_ATTRIBUTES'')'
                               ' FROM people WHERE who = ''c1''',
                               pg_temp.id('d1'))),
          'IO403 You don''t have permission to perform this operation!',
          'nor write attributes');
SELECT pg_temp.api('a', 'permission_delete',
                   ARRAY[pg_temp.id('reader permission')]) \g /dev/null
SELECT pg_temp.permit('a', 'all users of c1', 'manager') \g /dev/null
SELECT pg_temp.made('sub', pg_temp.api('c1', 'customer_save', '{}', '{}',
                                       '{"title":"sub"}')) AS sub \gset
SELECT is(:'sub'::jsonb #>> '{parentCustomerId,id}', pg_temp.id('c1'),
          'a customer below it');
SELECT is(:'sub'::jsonb #>> '{ownerId,entityType}', 'CUSTOMER', 'its owner');
SELECT pg_temp.made('d3', pg_temp.api('c1', 'device_save', '{}', '{}',
           json_build_object('name', 'd3',
                             'customerId', pg_temp.ref('sub')))) \g /dev/null
SELECT is(pg_temp.names(pg_temp.api('c1', 'user_devices', '{}',
              '{"pageSize":"9","page":"0"}')), 'd1,d3', 'it sees both');
SELECT is(pg_temp.names(pg_temp.api('c1', 'device_infos_all', '{}',
              '{"pageSize":"9","page":"0"}')), 'd1', 'its own');
SELECT is(pg_temp.names(pg_temp.api('c1', 'device_infos_all', '{}',
              '{"pageSize":"9","page":"0","includeCustomers":"true"}')),
          'd1,d3', 'and those below');
SELECT is(pg_temp.names(pg_temp.api('c1', 'user_customers', '{}',
              '{"pageSize":"9","page":"0"}')), 'c1,sub', 'customers too');
SELECT is(pg_temp.refusal('c1', v.fn, v.path::text[], '{}', v.body), v.text,
          v.what)
  FROM (VALUES
    ('customer_delete', ARRAY[pg_temp.id('c1')], NULL::json, :'denied',
        'not itself'),
    ('device_get', ARRAY[pg_temp.id('d2')], NULL, :'denied',
        'nothing of the tenant'),
    ('device_save', '{}', json_build_object('name', 'y',
        'customerId', pg_temp.ref('c2')), :'denied', 'nor of others'),
    ('owner_change', ARRAY['CUSTOMER', pg_temp.id('sub'), 'DEVICE',
        pg_temp.id('d1')], NULL, 'done', 'it hands down'),
    ('owner_change', ARRAY['CUSTOMER', pg_temp.id('c2'), 'DEVICE',
        pg_temp.id('d1')], NULL, :'denied', 'not aside'),
    ('owner_change', ARRAY['TENANT', pg_temp.id('A'), 'DEVICE',
        pg_temp.id('d1')], NULL, :'denied', 'not up'),
    ('owner_change', ARRAY['CUSTOMER', pg_temp.id('sub'), 'CUSTOMER',
        pg_temp.id('c1')], NULL, :'denied', 'nor itself'))
       v (fn, path, body, text, what);
SELECT is(pg_temp.refusal('a', 'owner_change', ARRAY['CUSTOMER',
              pg_temp.id('sub'), 'CUSTOMER', pg_temp.id('c1')]),
          '400 bad_request: Customer can''t be below itself!', 'no circles');
SELECT is(pg_temp.refusal('a', 'owner_change', ARRAY['CUSTOMER',
              pg_temp.id('c2'), 'USER', pg_temp.id('user a')]),
          '400 bad_request: Users can''t change between the tenant and a '
          'customer!', 'administrators stay');

-- sharing: a GROUP role adds to what the authority gives

SELECT pg_temp.api('a', 'group_share', ARRAY[pg_temp.id('pumps')], '{}',
           json_build_object('ownerId', json_build_object(
               'entityType', 'CUSTOMER', 'id', pg_temp.id('c2')),
               'allUserGroup', true)) \g /dev/null
SELECT is(pg_temp.may('c2', 'DEVICE', 'd2'), 'READ,READ_TELEMETRY',
          'a device that is shared');
SELECT is(pg_temp.names(pg_temp.api('c2', 'user_devices', '{}',
              '{"pageSize":"9","page":"0"}')), 'd2', 'is in the list');
SELECT is(pg_temp.refusal('c2', 'device_get', ARRAY[pg_temp.id('d1')]),
          :'denied', 'others are not');
SELECT is(pg_temp.refusal('a', 'permission_save', '{}', '{}',
              json_build_object('userGroupId', pg_temp.ref('technicians'),
                                'roleId', pg_temp.ref('group reader'))),
          '400 bad_request: A generic role has no entity group, a group role '
          'must have one!', 'a group role needs its group');
SELECT is(pg_temp.refusal('a', 'permission_save', '{}', '{}',
              json_build_object('userGroupId', pg_temp.ref('pumps'),
                                'roleId', pg_temp.ref('look'))),
          '400 bad_request: Group permission is for a user group!',
          'devices have no roles');
SELECT is(jsonb_array_length(pg_temp.api('a', 'entity_group_permissions',
              ARRAY[pg_temp.id('pumps')])), 1, 'who has the group');

-- assets are shared like devices

SELECT pg_temp.made('asset', pg_temp.api('a', 'asset_save', '{}', '{}',
           '{"name":"house"}')) \g /dev/null
SELECT pg_temp.made('houses', pg_temp.api('a', 'group_save', '{}', '{}',
           '{"type":"ASSET","name":"houses"}')) \g /dev/null
SELECT pg_temp.api('a', 'group_add', ARRAY[pg_temp.id('houses')], '{}',
           json_build_array(pg_temp.id('asset'))) \g /dev/null
SELECT is(pg_temp.may('c2', 'ASSET', 'asset'), '-', 'an asset of the tenant');
SELECT pg_temp.api('a', 'group_share', ARRAY[pg_temp.id('houses')], '{}',
           json_build_object('ownerId', json_build_object(
               'entityType', 'CUSTOMER', 'id', pg_temp.id('c2')),
               'allUserGroup', true)) \g /dev/null
SELECT is(pg_temp.may('c2', 'ASSET', 'asset'), 'READ,READ_TELEMETRY',
          'once it is shared');
SELECT is(pg_temp.names(pg_temp.api('c2', 'group_entities',
              ARRAY[pg_temp.id('houses')], '{"pageSize":"9","page":"0"}')),
          'house', 'in its group');
SELECT is(pg_temp.refusal('a', 'owner_change', ARRAY['CUSTOMER',
              pg_temp.id('c1'), 'ASSET', pg_temp.id('asset')]), 'done',
          'it gets another owner');
SELECT is(pg_temp.api('a', 'asset_get', ARRAY[pg_temp.id('asset')])
          #>> '{customerId,id}', pg_temp.id('c1'), 'whom it says');

-- public groups

SELECT pg_temp.api('a', 'group_make_public', ARRAY[pg_temp.id('pumps')])
       \g /dev/null
RESET ROLE;
INSERT INTO people
    SELECT 'everybody', ROW('CUSTOMER_USER', c.tenant_id, c.id, NULL, NULL,
                            NULL, true, 'Public', NULL)::iot.principal
      FROM iot.customer c WHERE c.is_public;
SET ROLE iot_app;
SELECT is(pg_temp.may('everybody', 'DEVICE', 'd2'), 'READ,READ_TELEMETRY',
          'everybody reads');
SELECT is(pg_temp.may('everybody', 'DEVICE', 'd1'), '-', 'what is in it');
SELECT is(pg_temp.names(pg_temp.api('everybody', 'user_devices', '{}',
              '{"pageSize":"9","page":"0"}')), 'd2', 'and lists it');
SELECT is(pg_temp.api('a', 'group_get', ARRAY[pg_temp.id('pumps')])
          #> '{additionalInfo,isPublic}', 'true', 'the group says so');
SELECT pg_temp.api('a', 'group_make_private', ARRAY[pg_temp.id('pumps')])
       \g /dev/null
SELECT is(pg_temp.may('everybody', 'DEVICE', 'd2'), '-', 'no longer');
SELECT is(pg_temp.may('c2', 'DEVICE', 'd2'), 'READ,READ_TELEMETRY',
          'those it was shared with keep it');

-- being somebody else: IMPERSONATE, and nobody who may do more

SELECT pg_temp.made('user ' || v.who, pg_temp.api('sys', 'user_save', '{}',
           '{"sendActivationMail":"false"}', json_build_object(
               'email', v.who || '@example.org',
               'authority', 'TENANT_ADMIN', 'tenantId', pg_temp.ref('A'))))
  FROM (VALUES ('reader'), ('mask'), ('double')) v (who) \g /dev/null
RESET ROLE;
SELECT pg_temp.login(who, who || '@example.org'),
       pg_temp.activate(who || '@example.org')
  FROM (VALUES ('reader'), ('mask'), ('double')) v (who) \g /dev/null
SET ROLE iot_app;
SELECT pg_temp.made(v.who || 's', pg_temp.api('a', 'group_save', '{}', '{}',
           json_build_object('type', 'USER', 'name', v.who || 's'))),
       pg_temp.api('a', 'group_add',
           ARRAY[pg_temp.id(v.who || 's')], '{}',
           json_build_array(pg_temp.id('user ' || v.who))),
       pg_temp.made('role ' || v.who, pg_temp.api('a', 'role_save', '{}',
           '{}', json_build_object('type', 'GENERIC',
               'name', 'role ' || v.who, 'permissions', v.may))),
       pg_temp.permit('a', v.who || 's', 'role ' || v.who)
  FROM (VALUES
    ('reader', '{"ALL":["READ"]}'::json),
    ('mask', '{"USER":["READ","IMPERSONATE"]}'),
    ('double', (iot.customer_role()
                || '{"USER":["READ","IMPERSONATE"]}')::json)) v (who, may)
       \g /dev/null
SELECT is(pg_temp.refusal(v.who, 'user_token', ARRAY[pg_temp.id(v.of)]),
          v.text, concat_ws(' ', v.who, 'as', v.of))
  FROM (VALUES
    ('reader', 'user c2', :'denied'),
    ('mask', 'user c2', :'denied'),
    ('double', 'user c2', 'done'),
    ('double', 'user a', :'denied'),
    ('c2', 'user c2', :'denied')) v (who, of, text);

-- what goes leaves nothing behind

SELECT pg_temp.api('a', 'device_delete', ARRAY[pg_temp.id('d2')])
       \g /dev/null
SELECT is((SELECT count(*) FROM iot.entity_group_member
            WHERE entity_id = pg_temp.id('d2')::uuid), 0::bigint,
          'a deleted device is in no group');
SELECT pg_temp.api('a', 'customer_delete', ARRAY[pg_temp.id('c1')])
       \g /dev/null
SELECT is(pg_temp.api('a', 'customer_get', ARRAY[pg_temp.id('sub')])
          -> 'parentCustomerId', 'null', 'the customer below moved up');
SELECT is((SELECT count(*) FROM iot.entity_group
            WHERE customer_id = pg_temp.id('c1')::uuid), 0::bigint,
          'groups of a deleted customer are gone');
SELECT is(pg_temp.refusal('sys', 'tenant_delete', ARRAY[pg_temp.id('A')]),
          'done', 'a tenant with all this can be deleted');

SELECT is((SELECT count(*) FROM iot.role) + (SELECT count(*)
           FROM iot.entity_group) + (SELECT count(*)
           FROM iot.group_permission), 0::bigint, 'and leaves nothing');


SELECT * FROM finish();

ROLLBACK;
