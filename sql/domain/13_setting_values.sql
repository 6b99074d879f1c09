
--
-- Copyright (C) the ngx_iot authors
--
-- The settings of the foundation.


-- passwords and logins

SELECT iot.setting_define('security.passwordPolicy.minimumLength', 'integer',
    '6', '{"min":5,"max":72}', 'system', true, false,
    'The fewest characters of a password.', 'security');
SELECT iot.setting_define('security.passwordPolicy.maximumLength', 'integer',
    '72', '{"min":5,"max":72}', 'system', true, false,
    'The most characters of a password.', 'security');
SELECT iot.setting_define('security.passwordPolicy.' || n, 'integer', NULL,
           '{"min":0,"max":72}', 'system', true, false,
           'How many ' || what || ' a password must have at least.',
           'security')
FROM (VALUES ('minimumUppercaseLetters', 'upper-case letters'),
             ('minimumLowercaseLetters', 'lower-case letters'),
             ('minimumDigits', 'digits'),
             ('minimumSpecialCharacters', 'characters that are neither letters'
              ' nor digits')) AS v (n, what);
SELECT iot.setting_define('security.passwordPolicy.allowWhitespaces',
    'boolean', 'true', NULL, 'system', true, false,
    'Whether a password may have blanks.', 'security');
SELECT iot.setting_define(
    'security.passwordPolicy.forceUserToResetPasswordIfNotValid', 'boolean',
    'false', NULL, 'system', true, false,
    'Whether a login with a password that breaks these rules is refused.',
    'security');
SELECT iot.setting_define(
    'security.passwordPolicy.passwordExpirationPeriodDays', 'integer', NULL,
    '{"min":0,"max":36500}', 'system', true, false,
    'After how many days a password has to be changed; 0: never.',
    'security');
SELECT iot.setting_define(
    'security.passwordPolicy.passwordReuseFrequencyDays', 'integer', NULL,
    '{"min":0,"max":36500}', 'system', true, false,
    'For how many days a former password may not be taken again.',
    'security');
SELECT iot.setting_define('security.maxFailedLoginAttempts', 'integer', NULL,
    '{"min":0,"max":1000000}', 'system', true, false,
    'After how many failed logins in a row an account is locked; 0: never.',
    'security');
SELECT iot.setting_define('security.userLockoutNotificationEmail', 'email',
    NULL, NULL, 'system', true, false,
    'Who gets a mail when an account was locked.', 'security');
SELECT iot.setting_define('security.mobileSecretKeyLength', 'integer', '64',
    '{"min":1,"max":1024}', 'system', true, false,
    'The length of the secret of mobile applications.', 'security');
SELECT iot.setting_define('security.userActivationTokenTtl', 'integer', '24',
    '{"min":1,"max":24}', 'system', true, false,
    'For how many hours an activation link is valid.', 'security');
SELECT iot.setting_define('security.passwordResetTokenTtl', 'integer', '24',
    '{"min":1,"max":24}', 'system', true, false,
    'For how many hours a link for a new password is valid.', 'security');


-- tokens

SELECT iot.setting_define('jwt.issuer', 'string', '"thingsboard.io"',
    '{"minLength":1,"maxLength":100}', 'system', true, false,
    'The issuer that tokens name.', 'jwt');
SELECT iot.setting_define('jwt.expiration', 'integer', '9000',
    '{"min":60,"max":315360000}', 'system', true, false,
    'For how many seconds an access token is valid.', 'jwt');
SELECT iot.setting_define('jwt.refresh', 'integer', '604800',
    '{"min":900,"max":315360000}', 'system', true, false,
    'For how many seconds a refresh token is valid.', 'jwt');


SELECT iot.setting_define('general.baseUrl', 'url',
    '"http://localhost:8080"', '{"maxLength":255}', 'system', true, false,
    'Where people reach this server: the beginning of links in mails.',
    'general');
SELECT iot.setting_define('general.prohibitDifferentUrl', 'boolean', 'false',
    NULL, 'system', true, false,
    'Whether links begin with general.baseUrl even where the request came'
    ' by another name.', 'general');
SELECT iot.setting_define('general.helpBaseUrl', 'url', NULL,
    '{"maxLength":255}', 'system', true, false,
    'Where user interfaces find their help pages.', 'general');


-- 50 of 80 characters: what a worker has room for

SELECT iot.setting_define('cors.origins', 'strings', '["*"]',
    '{"maxItems":50,"maxLength":80,'
    '"pattern":"^([*]|https?://([*][.])?[A-Za-z0-9.:_\\[\\]-]+)$"}',
    'system', true, false,
    'Whose pages may call the API from a browser: origins such as'
    ' https://app.example.org, https://*.example.org for all names below,'
    ' or * for everybody.');


-- who guesses passwords; the workers count

SELECT iot.setting_define('limits.login', 'rate', '"10:60"', NULL, 'system',
    true, false,
    'Failed logins to one account from one address.', 'limits');
SELECT iot.setting_define('limits.loginAddress', 'rate', '"100:60"', NULL,
    'system', true, false, 'Failed logins from one address.', 'limits');
SELECT iot.setting_define('limits.loginAccount', 'rate', '"100:3600"', NULL,
    'system', true, false,
    'Failed logins to one account from all addresses that are new to it.',
    'limits');
SELECT iot.setting_define('limits.loginPublic', 'rate', '"100:60"', NULL,
    'system', true, false, 'Public logins from one address.', 'limits');


SELECT iot.setting_define('audit.days', 'integer', '0',
    '{"min":0,"max":36500}', 'system', true, false,
    'For how many days the audit log is kept; 0: for ever.', 'audit');


SELECT iot.setting_define('telemetry.partition', 'enum', '"month"',
    '{"values":["day","week","month"]}', 'system', true, false,
    'What time a partition of the telemetry made from now on spans.',
    'telemetry');
SELECT iot.setting_define('telemetry.retentionDays', 'integer', '0',
    '{"min":0,"max":36500}', 'system', true, false,
    'For how many days telemetry is kept at most, whatever else is said;'
    ' 0: for ever.', 'telemetry');
SELECT iot.setting_define('telemetry.maxIntervals', 'integer', '700',
    '{"min":1,"max":100000}', 'system', true, false,
    'The most intervals of one aggregated history.', 'telemetry');
