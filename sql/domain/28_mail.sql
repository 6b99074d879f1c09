
--
-- Copyright (C) the ngx_iot authors
--
-- What a helper must know to send mail and to call other servers.


-- Which way mail takes.

SELECT iot.setting_define('mail.transport', 'enum', '"auto"',
    '{"values":["auto","smtp","ses","sendgrid","dir"]}', 'system', true,
    false, 'How mail is sent: by SMTP, by Amazon SES, by SendGrid, or into a'
    ' directory of the helper; auto: by SMTP when a host is set, else into'
    ' the directory.');
SELECT iot.setting_define('mail.from', 'string', NULL,
    '{"maxLength":320}', 'tenant', true, false,
    'The sender: an address, or a name and an address in angle brackets.'
    ' Without it mail.mailFrom counts.');
SELECT iot.setting_define('mail.templates', 'object', '{}', NULL, 'tenant',
    true, false, 'Templates that replace those of the files: by the name of'
    ' the template an object with subject, text and html.');


-- SMTP, as the dialect's settings object has it.

SELECT iot.setting_define('mail.mailFrom', 'string',
    '"ngx_iot <noreply@localhost>"', '{"maxLength":320}', 'system', true,
    false, 'The sender of mail.', 'mail');
SELECT iot.setting_define('mail.smtpHost', 'string', NULL,
    '{"maxLength":255}', 'system', true, false, 'The mail server.', 'mail');
SELECT iot.setting_define('mail.smtpPort', 'integer', '25',
    '{"min":1,"max":65535}', 'system', true, false,
    'Its port: usually 25, 587 with STARTTLS, or 465 with smtps.', 'mail');
SELECT iot.setting_define('mail.smtpProtocol', 'enum', '"smtp"',
    '{"values":["smtp","smtps"]}', 'system', true, false,
    'smtps: TLS from the first byte.', 'mail');
SELECT iot.setting_define('mail.timeout', 'integer', '10000',
    '{"min":100,"max":600000}', 'system', true, false,
    'How long the mail server may take to answer, in milliseconds.', 'mail');
SELECT iot.setting_define('mail.enableTls', 'boolean', 'false', NULL,
    'system', true, false,
    'Whether STARTTLS is demanded of a server of smtp.', 'mail');
SELECT iot.setting_define('mail.username', 'string', NULL,
    '{"maxLength":255}', 'system', true, false,
    'The user of the mail server.', 'mail');
SELECT iot.setting_define('mail.password', 'string', NULL,
    '{"maxLength":1000,"seal":"helper"}', 'system', true, true,
    'The password of the mail server.', 'mail');


SELECT iot.setting_define('mail.ses.region', 'string', '"us-east-1"',
    '{"pattern":"^[a-z0-9-]{1,40}$"}', 'system', true, false,
    'The region of Amazon SES.');
SELECT iot.setting_define('mail.ses.accessKey', 'string', NULL,
    '{"maxLength":128}', 'system', true, false,
    'The access key of Amazon SES.');
SELECT iot.setting_define('mail.ses.secretKey', 'string', NULL,
    '{"maxLength":255,"seal":"helper"}', 'system', true, true,
    'The secret key of Amazon SES.');
SELECT iot.setting_define('mail.ses.url', 'url', NULL, NULL, 'system', true,
    false, 'The base URL of Amazon SES, when it is not that of the region.');
SELECT iot.setting_define('mail.sendgrid.key', 'string', NULL,
    '{"maxLength":255,"seal":"helper"}', 'system', true, true,
    'The API key of SendGrid.');
SELECT iot.setting_define('mail.sendgrid.url', 'url', NULL, NULL, 'system',
    true, false, 'The base URL of SendGrid, when it is another.');


SELECT iot.setting_define('outbound.allowPrivate', 'boolean', 'false', NULL,
    'system', true, false,
    'Whether requests of jobs may go to private, local and link-local'
    ' addresses. Whoever may make such jobs then reaches this network.');

SELECT iot.setting_define('jobs.keepCompletedDays', 'integer', '1',
    '{"min":0,"max":3650}', 'system', true, false,
    'For how many days jobs that went well are kept.');
SELECT iot.setting_define('jobs.keepFailedDays', 'integer', '30',
    '{"min":0,"max":3650}', 'system', true, false,
    'For how many days jobs that were given up are kept.');


-- The settings of mail for a tenant (the zero UUID: of the system); with
-- other members of the object "mail" where somebody tries them out.

CREATE OR REPLACE FUNCTION iot.mail_settings(tenant uuid, other jsonb)
RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    owner  CONSTANT uuid := NULLIF(tenant,
                                '00000000-0000-0000-0000-000000000000');
    mail   CONSTANT jsonb := COALESCE(iot.setting('mail')::jsonb, '{}')
                             || COALESCE(other, '{}');
    way    text := iot.setting_value(NULL, 'mail.transport') #>> '{}';
BEGIN
    IF way = 'auto' OR other IS NOT NULL THEN
        way := CASE WHEN COALESCE(mail ->> 'smtpHost', '') <> '' THEN 'smtp'
               ELSE 'dir' END;
    END IF;

    RETURN json_build_object(
        'transport', way,
        'from', COALESCE(iot.setting_value(owner, 'mail.from') #>> '{}',
                         NULLIF(mail ->> 'mailFrom', ''),
                         'ngx_iot <noreply@localhost>'),
        'baseUrl', iot.setting_value(NULL, 'general.baseUrl') #>> '{}',
        'templates', iot.setting_value(owner, 'mail.templates'),
        'host', mail ->> 'smtpHost',
        'port', COALESCE(NULLIF(mail ->> 'smtpPort', ''), '25'),
        'protocol', COALESCE(mail ->> 'smtpProtocol', 'smtp'),
        'tls', COALESCE(mail ->> 'enableTls', 'false') = 'true',
        'timeout', COALESCE(NULLIF(mail ->> 'timeout', ''), '10000'),
        'username', mail ->> 'username',
        'password', mail ->> 'password',
        'sesRegion', iot.setting_value(NULL, 'mail.ses.region') #>> '{}',
        'sesAccessKey', iot.setting_value(NULL, 'mail.ses.accessKey')
                        #>> '{}',
        'sesSecretKey', iot.setting_value(NULL, 'mail.ses.secretKey')
                        #>> '{}',
        'sesUrl', iot.setting_value(NULL, 'mail.ses.url') #>> '{}',
        'sendgridKey', iot.setting_value(NULL, 'mail.sendgrid.key') #>> '{}',
        'sendgridUrl', iot.setting_value(NULL, 'mail.sendgrid.url') #>> '{}');
END
$$;


CREATE OR REPLACE FUNCTION iot.outbound_settings() RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN json_build_object('allowPrivate',
        iot.setting_value(NULL, 'outbound.allowPrivate'));
END
$$;


REVOKE EXECUTE ON FUNCTION
    iot.mail_settings(uuid, jsonb),
    iot.outbound_settings()
    FROM PUBLIC;

GRANT EXECUTE ON FUNCTION
    iot.mail_settings(uuid, jsonb),
    iot.outbound_settings()
    TO iot_job;

SELECT iot.definer('iot.mail_settings',
    'the helpers have no rights on tables');
SELECT iot.definer('iot.outbound_settings',
    'the helpers have no rights on tables');
