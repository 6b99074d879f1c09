
--
-- Copyright (C) the ngx_iot authors
--
-- Self-registration: who may, what becomes of it, and what is not told.

BEGIN;

SELECT no_plan();

\ir fixture/people.sql

RESET ROLE;
INSERT INTO people VALUES ('nobody', ROW(NULL, NULL, NULL, NULL, NULL, NULL,
                           false, NULL, '192.0.2.9')::iot.principal);

-- sign up by the host of tenant A
CREATE FUNCTION pg_temp.sign_up(email text, more json DEFAULT '{}',
    host text DEFAULT 'a.example.org') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    r  iot.answer;
BEGIN
    r := tb.signup(pg_temp.caller('nobody'), '{}',
        json_build_object('@base', 'http://' || host),
        (jsonb_build_object('email', email, '_hash', 'hash of ' || email)
         || more::jsonb)::json);

    RETURN COALESCE(r.body, r.headers::text);

EXCEPTION
    WHEN OTHERS THEN
        RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;

-- the code of the last mail to an address
CREATE FUNCTION pg_temp.code(address text) RETURNS text
LANGUAGE sql SECURITY DEFINER AS $$
    SELECT substring(payload #>> '{vars,link}' FROM 'emailCode=(.*)$')
      FROM iot.job
     WHERE payload ->> 'recipient' = address
           AND payload ->> 'template' = 'sign-up-confirm'
     ORDER BY created_time DESC, id DESC LIMIT 1
$$;

CREATE FUNCTION pg_temp.mails(address text) RETURNS text
LANGUAGE sql SECURITY DEFINER AS $$
    SELECT string_agg(payload ->> 'template', ',' ORDER BY id)
      FROM iot.job WHERE payload ->> 'recipient' = address
$$;

CREATE FUNCTION pg_temp.confirm(code text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT pg_temp.api('nobody', 'signup_confirm', '{}',
                       json_build_object('emailCode', code))
$$;

CREATE FUNCTION pg_temp.setup(name text, value json) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM iot.enter(pg_temp.caller('a')),
            iot.setting_set(pg_temp.caller('a'), name, value);
END
$$;

SET ROLE iot_app;


-- off by default, and by the host

SELECT is(pg_temp.sign_up('x@example.com'),
          'IO404 Self registration is not available!', 'off by default');
SELECT pg_temp.setup('signup.domains', '["a.example.org"]') \g /dev/null
SELECT pg_temp.setup('signup.mode', '"open"') \g /dev/null
SELECT is(pg_temp.sign_up('x@example.com', '{}', 'b.example.org'),
          'IO404 Self registration is not available!',
          'the host chooses the tenant');
SELECT is(pg_temp.api('nobody', 'signup_params', '{}',
              '{"@base":"https://A.example.org:8443"}') ->> 'captchaVersion',
          'v2', 'what a page must know');


-- refusals

SELECT is(pg_temp.sign_up(v.email, v.more::json), v.text,
          COALESCE(v.email, 'no address') || ' ' || v.more)
  FROM (VALUES
    (NULL, '{}', 'IO400 User email should be specified!'),
    ('x', '{}', 'IO400 Invalid email address format ''x''!'),
    (E'x@example.com\nBcc: y@example.com', '{}', E'IO400 Invalid email '
     'address format ''x@example.com\nBcc: y@example.com''!'),
    ('x''; DROP TABLE iot.users; --@example.com', '{}', 'IO400 Invalid email '
     'address format ''x''; DROP TABLE iot.users; --@example.com''!'),
    ('x@example.com', '{"firstName":"<script>"}',
     'IO400 firstName is malformed'),
    ('admin@example.com', '{}', 'IO400 This name is reserved!'),
    ('ADMIN+1@example.com', '{}', 'IO400 This name is reserved!'),
    ('x@example.com', '{"_hash":""}',
     'IO400 Password should be specified!')) v (email, more, text);


-- a sign-up makes nothing but a mail; its confirmation makes all

SELECT pg_temp.made('model', pg_temp.api('a', 'device_save', '{}', '{}',
           '{"name":"Test device","type":"pump","label":"demo"}')) \g /dev/null
SELECT pg_temp.setup('signup.templateDevice', to_json(pg_temp.id('model')))
       \g /dev/null
SELECT pg_temp.setup('signup.noticeEmail', '"boss@example.org"') \g /dev/null
SELECT pg_temp.made('reader', pg_temp.api('a', 'role_save', '{}', '{}',
           '{"name":"reader","type":"GENERIC","permissions":{"ALL":["READ"]}}'))
       \g /dev/null
SELECT pg_temp.setup('signup.permissions', json_build_array(
           json_build_object('roleId', pg_temp.id('reader')))) \g /dev/null
RESET ROLE;
INSERT INTO iot.dashboard (tenant_id, title)
    VALUES (pg_temp.id('A')::uuid, 'Home');
INSERT INTO things SELECT 'home', id FROM iot.dashboard;
SELECT iot.telemetry_save(nr, format('[["t",%s,"l",7],["t",%s,"l",1]]',
           iot.now_ms() - 1000, 1000)::json, NULL)
  FROM iot.device WHERE name = 'Test device' \g /dev/null
INSERT INTO iot.attribute (entity, scope, key, s, updated_at)
    SELECT d.nr, 3, k.id, 'copied', 1
      FROM iot.device d, iot.key k WHERE d.name = 'Test device' LIMIT 1;
SET ROLE iot_app;
SELECT pg_temp.setup('signup.dashboards', json_build_array(pg_temp.id('home')))
       \g /dev/null

SELECT is(pg_temp.sign_up('Joe@Example.com', '{"firstName":"Joe"}'),
          '"SUCCESS"', 'signed up');
SELECT is(pg_temp.mails('joe@example.com'), 'sign-up-confirm', 'a mail');
SELECT is((SELECT count(*) FROM iot.users WHERE email = 'joe@example.com'),
          0::bigint, 'no user yet');
SELECT is(pg_temp.api('nobody', 'signup_page', '{}', json_build_object(
              'emailCode', pg_temp.code('joe@example.com')))
          #>> '{headers,Location}', '/signup/emailVerified?emailCode='
          || pg_temp.code('joe@example.com'), 'the link leads on');
SELECT is(pg_temp.api('nobody', 'signup_page', '{}', '{"emailCode":"x"}')
          -> 'status', '409', 'an unknown one does not');
SELECT is(pg_temp.confirm(pg_temp.code('joe@example.com')) ->> 'sub',
          'joe@example.com', 'confirmed, with a session');
SELECT is(pg_temp.refusal('nobody', 'signup_confirm', '{}', json_build_object(
              'emailCode', pg_temp.code('joe@example.com'))),
          '400 bad_request: The link is not valid!', 'once');
SELECT is((SELECT ROW(password_hash, enabled, activated)::text
             FROM iot.login_find('joe@example.com')),
          '("hash of Joe@Example.com",t,t)', 'it can log in');

RESET ROLE;
SELECT pg_temp.login('joe', 'joe@example.com') \g /dev/null
SET ROLE iot_app;
SELECT is((SELECT ROW(c.title, c.email, c.additional_info ->> 'homeDashboardId'
                      = pg_temp.id('home'))::text
             FROM iot.customer c WHERE c.id = (pg_temp.caller('joe')).customer_id),
          '(joe@example.com,joe@example.com,t)', 'its customer');
SELECT is((SELECT count(*) FROM iot.dashboard_customer x
            WHERE x.customer_id = (pg_temp.caller('joe')).customer_id),
          1::bigint, 'its dashboard');
SELECT matches(pg_temp.api('joe', 'user_devices', '{}',
                   '{"pageSize":"9","page":"0"}') #>> '{data,0,name}',
               '^Test device [0-9a-f]{5}$', 'a device like the template');
SELECT is(pg_temp.refusal('joe', 'device_save', '{}', '{}',
              json_build_object('id', pg_temp.api('joe', 'user_devices', '{}',
                  '{"pageSize":"9","page":"0"}') #> '{data,0,id}',
                  'name', 'x')),
          '403 permission_denied: You don''t have permission to perform this '
          'operation!', 'which its role lets it read');
RESET ROLE;
SELECT is((SELECT string_agg((t.ts < 2000)::text || ' ' || t.l, ',')
             FROM iot.telemetry t JOIN iot.device d ON d.nr = t.entity
            WHERE d.name LIKE 'Test device %'), 'false 7',
          'with the history of some days');
SELECT is((SELECT a.s FROM iot.attribute a JOIN iot.device d ON d.nr = a.entity
            WHERE d.name LIKE 'Test device %'), 'copied', 'and attributes');
SET ROLE iot_app;
SELECT is(pg_temp.mails('boss@example.org'), 'sign-up-notice', 'a notice');


-- what is not told

SELECT is(pg_temp.sign_up('joe@example.com'), '"SUCCESS"',
          'an address with an account gets the same answer');
SELECT is(pg_temp.mails('joe@example.com'), 'sign-up-confirm,sign-up-notice',
          'and learns it by mail');
SELECT is(pg_temp.sign_up('sys@example.org'), '"SUCCESS"',
          'of any tenant, or none');
SELECT pg_temp.setup('signup.tellExisting', 'true') \g /dev/null
SELECT is(pg_temp.sign_up('joe@example.com'), 'IO400 User with email '
          '''joe@example.com'' already present in database!', 'if so set up');
SELECT is(pg_temp.sign_up('kim@example.com'), '"SUCCESS"', 'another one');
SELECT is(pg_temp.sign_up('kim@example.com'), '"INACTIVE_USER_EXISTS"',
          'who has not confirmed');
SELECT pg_temp.setup('signup.tellExisting', 'false') \g /dev/null
SELECT is(pg_temp.refusal('nobody', 'signup_resend', '{}',
              '{"@base":"http://a.example.org","email":"who@example.com"}'),
          'done', 'the link again, for nobody');
SELECT is(pg_temp.mails('who@example.com'), NULL, 'no mail');


-- mails are few

SELECT pg_temp.sign_up('flood@example.com') FROM generate_series(1, 8)
       \g /dev/null
SELECT is(pg_temp.mails('flood@example.com'), repeat('sign-up-confirm,', 4)
          || 'sign-up-confirm', 'five mails to an address in an hour');


-- of two sign-ups the first that is confirmed wins

SELECT pg_temp.sign_up('two@example.com', '{"_hash":"first"}') \g /dev/null
SELECT pg_temp.code('two@example.com') AS first \gset
SELECT pg_temp.sign_up('two@example.com', '{"_hash":"second"}') \g /dev/null
SELECT pg_temp.code('two@example.com') AS second \gset
SELECT isnt(:'first'::text, :'second'::text, 'each has its link');
SELECT pg_temp.confirm(:'first') \g /dev/null
SELECT is(pg_temp.refusal('nobody', 'signup_confirm', '{}',
              json_build_object('emailCode', :'second')),
          '400 bad_request: The link is not valid!', 'the other is void');
SELECT is((SELECT password_hash FROM iot.login_find('two@example.com')),
          'first', 'and its password too');


-- a link that is too old

SELECT pg_temp.sign_up('late@example.com') \g /dev/null
RESET ROLE;
UPDATE iot.signup SET expires_at = 1 WHERE email = 'late@example.com';
SET ROLE iot_app;
SELECT is(pg_temp.api('nobody', 'signup_page', '{}', json_build_object(
              'emailCode', pg_temp.code('late@example.com')))
          #>> '{headers,Location}', '/activationLinkExpired', 'is told so');
SELECT is(pg_temp.refusal('nobody', 'signup_confirm', '{}', json_build_object(
              'emailCode', pg_temp.code('late@example.com'))),
          '400 bad_request: The link is not valid!', 'and does nothing');
SELECT is(iot.maintain_signup(), 1, 'it is forgotten');


-- modes

SELECT pg_temp.setup('signup.mode', '"domains"') \g /dev/null
SELECT pg_temp.setup('signup.allowed', '["good.org"]') \g /dev/null
SELECT is(pg_temp.sign_up(v.email), v.text, v.email)
  FROM (VALUES ('m@good.org', '"SUCCESS"'),
               ('m@evil-good.org', 'IO400 Addresses of this domain can''t sign '
                'up!')) v (email, text);
SELECT pg_temp.setup('signup.blocked', '["good.org"]') \g /dev/null
SELECT is(pg_temp.sign_up('n@good.org'), 'IO400 Addresses of this domain '
          'can''t sign up!', 'blocked goes before allowed');

SELECT pg_temp.setup('signup.mode', '"invitation"') \g /dev/null
SELECT is(pg_temp.sign_up('inv@example.com'),
          'IO400 A valid invitation is needed!', 'no invitation');
SELECT pg_temp.api('a', 'signup_invite', '{}', '{}',
           '{"email":"inv@example.com"}') ->> 'code' AS code \gset
SELECT is(pg_temp.sign_up('other@example.com',
              json_build_object('invitation', :'code')),
          'IO400 A valid invitation is needed!', 'that of somebody else');
SELECT is(pg_temp.sign_up('inv@example.com',
              json_build_object('invitation', :'code')), '"SUCCESS"', 'one');
SELECT is(pg_temp.sign_up('inv@example.com',
              json_build_object('invitation', :'code')),
          'IO400 A valid invitation is needed!', 'used once');
SELECT is(pg_temp.refusal('c1', 'signup_invite', '{}', '{}', '{}'),
          '403 permission_denied: You don''t have permission to perform this '
          'operation!', 'customers invite nobody');

SELECT pg_temp.setup('signup.mode', '"approval"') \g /dev/null
SELECT pg_temp.sign_up('ann@example.com') \g /dev/null
SELECT is(pg_temp.confirm(pg_temp.code('ann@example.com')), NULL,
          'confirmed, and waiting');
SELECT is((SELECT count(*) FROM iot.users WHERE email = 'ann@example.com'),
          0::bigint, 'no user yet');
SELECT pg_temp.api('a', 'signups', '{}',
           '{"pageSize":"9","page":"0","state":"APPROVAL"}')
       #>> '{data,0,id}' AS id \gset
SELECT is(pg_temp.refusal('b', 'signup_approve', ARRAY[:'id']),
          '404 not_found: Sign-up with id [' || :'id' || '] is not found',
          'not for other tenants');
SELECT is(pg_temp.api('a', 'signup_approve', ARRAY[:'id']) ->> 'email',
          'ann@example.com', 'approved');
SELECT is(pg_temp.mails('ann@example.com'),
          'sign-up-confirm,account-activated', 'and told');


-- a second factor that is enforced is enforced from the first login on

RESET ROLE;
INSERT INTO iot.setting (name, value)
VALUES ('twoFactor', '{"providers":[{"providerType":"EMAIL"}],'
    '"enforceTwoFa":true,"enforcedUsersFilter":{"type":"ALL_USERS"},'
    '"totalAllowedTimeForVerification":600}');
SET ROLE iot_app;
SELECT pg_temp.setup('signup.mode', '"open"') \g /dev/null
SELECT pg_temp.sign_up('twice@example.com') \g /dev/null
SELECT is(pg_temp.confirm(pg_temp.code('twice@example.com')) ->> 'scope',
          'MFA_CONFIGURATION_TOKEN', 'a link is no way around it');
RESET ROLE;
SELECT is((SELECT string_agg(s.scope, ',') FROM iot.session AS s
            JOIN iot.users AS u ON u.id = s.user_id
            WHERE u.email = 'twice@example.com'), 'MFA_CONFIGURATION_TOKEN',
          'and there is no other session');
DELETE FROM iot.setting WHERE name = 'twoFactor';
SET ROLE iot_app;


-- caps

SELECT pg_temp.setup('signup.mode', '"open"') \g /dev/null
SELECT pg_temp.sign_up('cap@example.com') \g /dev/null
RESET ROLE;
UPDATE iot.tenant_profile SET data = jsonb_set(data::jsonb,
    '{configuration,maxUsers}', (SELECT to_jsonb(count(*)) FROM iot.users
        WHERE tenant_id = pg_temp.id('A')::uuid))::json;
SET ROLE iot_app;
SELECT is(pg_temp.refusal('nobody', 'signup_confirm', '{}', json_build_object(
              'emailCode', pg_temp.code('cap@example.com'))),
          '403 limit_reached: Users limit reached', 'a cap holds');
SELECT iot.enter(pg_temp.caller('a')) \g /dev/null
SELECT is((SELECT count(*) FROM iot.customer
            WHERE title = 'cap@example.com'), 0::bigint, 'and nothing is left');


-- captcha

RESET ROLE;
INSERT INTO iot.setting (tenant_id, name, value) VALUES
    (pg_temp.id('A')::uuid, 'signup.captchaSecret', '"sealed:x"'),
    (pg_temp.id('A')::uuid, 'signup.captchaVerifyUrl',
     '"https://captcha.example.org/verify"');
SET ROLE iot_app;
SELECT is(pg_temp.sign_up('cat@example.com'),
          'IO400 Captcha verification failed!', 'no answer to the captcha');
SELECT is(pg_temp.sign_up('cat@example.com', '{"recaptchaResponse":"r"}')
          ::json ->> '@then', 'tb.signup_checked', 'a helper checks it');
SELECT is(pg_temp.mails('cat@example.com'), NULL, 'nothing is sent before');
SELECT is(pg_temp.refusal('nobody', 'signup_checked', '{}',
              '{"@base":"http://a.example.org"}', json_build_object(
                  'body', '{"email":"cat@example.com","_hash":"h"}'::json,
                  'job', v.job::json)), v.text, v.job)
  FROM (VALUES
    ('{"state":"failed","error":"x"}',
     '503 unavailable: Captcha can''t be verified now!'),
    ('{"state":"done","result":{"status":200,"body":"<html>"}}',
     '503 unavailable: Captcha can''t be verified now!'),
    ('{"state":"done","result":{"status":200,
       "body":"{\"success\":false}"}}',
     '400 bad_request: Captcha verification failed!'),
    ('{"state":"done","result":{"status":200,"body":"{\"success\":true}"}}',
     'done')) v (job, text);
SELECT is(pg_temp.mails('cat@example.com'), 'sign-up-confirm', 'then it is');


-- the object of a tenant's settings

SELECT is(pg_temp.api('a', 'signup_settings_save', '{}', '{}',
              '{"signUpTextMessage":"Hi","domainName":"A.example.org",
                "notificationEmail":null,"privacyPolicy":"We keep it."}')
          - 'permissions' @> '{"signUpTextMessage":"Hi","mode":"open",
              "domainName":"a.example.org","captchaSecretKey":null,
              "notificationEmail":null}', true, 'saved');
SELECT is(pg_temp.api('nobody', 'signup_privacy_policy', '{}',
              '{"@base":"http://a.example.org"}'), '"We keep it."', 'shown');
SELECT is(pg_temp.refusal('a', 'signup_settings_save', '{}', '{}',
              '{"captchaSecretKey":"x"}'), '400 bad_request: captchaSecretKey '
          'is set by PUT /api/settings/signup.captchaSecret!',
          'secrets are sealed elsewhere');
SELECT pg_temp.api('a', 'signup_settings_delete') \g /dev/null
SELECT is(pg_temp.sign_up('x@example.com'),
          'IO404 Self registration is not available!', 'off again');


SELECT * FROM finish();

ROLLBACK;
