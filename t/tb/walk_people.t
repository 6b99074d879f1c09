#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Along the rows of the ThingsBoard API: logins, tenants, customers, users,
# settings.  Each with a call that is right and the refusals that are promised.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);

use lib dirname(Cwd::abs_path(__FILE__)) . '/../lib';

use IotTest::Walk;
use JSON::XS ();
use MIME::Base64 qw(decode_base64url);
use Test::More;

my ($true, $false) = (JSON::XS::true, JSON::XS::false);
my ($none, $nobody) = ($IotTest::Walk::none, $IotTest::Walk::nobody);
my $denied = q{You don't have permission to perform this operation!};
my $t = IotTest::Walk->new(workers => 2);
my $password = $t->account('TENANT_PASSWORD');
my %email = map { $_ => $t->account("${_}_EMAIL") }
    qw(SYSADMIN TENANT CUSTOMER);

# logins

my $pair = $t->row('PUB', 'POST auth/login', { username => $email{TENANT},
    password => $password }, 200, 'token refreshToken');
my $claims = JSON::XS::decode_json(decode_base64url(
    (split(/\./, $pair->{token}))[1]));

is($claims->{$_->[0]}, $_->[1], "claim $_->[0]") for ['sub', $email{TENANT}],
    ['iss', 'thingsboard.io'], ['tenantId', $t->tenant_id],
    ['customerId', $none];
is_deeply($claims->{scopes}, ['TENANT_ADMIN'], 'claim scopes');
is($claims->{exp} - $claims->{iat}, 9000, 'for 9000 seconds');

my $bad = 'Invalid username or password';

$t->row('PUB', 'POST auth/login', { username => $email{TENANT},
    password => 'wrong' }, 401, $bad);
$t->row('PUB', 'POST auth/login', { username => 'no@iot.test',
    password => 'wrong' }, 401, $bad);
$t->row('PUB', 'POST auth/login', $_, 401, 'Authentication failed')
    for {}, { username => 'x' }, '[', '';
$t->row('PUB', 'GET auth/login', undef, 401,
    'Authentication method not supported');
$t->row('PUB', 'GET auth/user', undef, 401, 'Authentication failed');
$t->row('not-a-jwt', 'GET auth/user', undef, 401, $bad);
$t->row(substr($pair->{token}, 0, -4) . 'AAAA', 'GET auth/user', undef, 401,
    '11 Token has expired');
$t->row('PUB', 'GET no/such', undef, 401, 'Authentication failed');
$t->row('TEN', 'GET no/such', undef, 404, undef);

my $second = $t->row('PUB', 'POST auth/token',
    { refreshToken => $pair->{refreshToken} }, 200, 'token refreshToken');

$t->row('PUB', 'POST auth/token', { refreshToken => $_ }, 401, undef)
    for $pair->{token}, 'x', undef;
$t->row($pair->{token}, 'POST auth/logout', undef, 200, '');
$t->row($pair->{token}, 'GET auth/user', undef, 401, '11 Token has expired');
$t->row($second->{token}, 'GET auth/user', undef, 401,
    '11 Token has expired');
$t->row('PUB', 'POST auth/token', { refreshToken => $pair->{refreshToken} },
    401, 'Token is outdated');
$t->row('PUB', 'POST auth/login/public', { publicId => $t->customer_id }, 401,
    undef);
$t->row('TEN', 'POST auth/changePassword', { currentPassword => 'wrong',
    newPassword => 'Another-1' }, 400, q{Current password doesn't match!});
$t->row('TEN', 'POST auth/changePassword', { currentPassword => $password,
    newPassword => $password }, 400,
    'New password should be different from existing!');
$t->row('PUB', 'GET noauth/userPasswordPolicy', undef, 200, 'minimumLength '
    . 'maximumLength minimumUppercaseLetters minimumLowercaseLetters '
    . 'minimumDigits minimumSpecialCharacters allowWhitespaces '
    . 'forceUserToResetPasswordIfNotValid passwordExpirationPeriodDays '
    . 'passwordReuseFrequencyDays');

my $u = 'id createdTime tenantId customerId email name authority firstName '
    . 'lastName phone additionalInfo version';

$t->row($_, 'GET auth/user', undef, 200, $u) for qw(SYS TEN CUS);
$t->row('SYS', 'GET auth/user', undef, 200, {
    tenantId => { entityType => 'TENANT', id => $none },
    customerId => { entityType => 'CUSTOMER', id => $none },
    authority => 'SYS_ADMIN' });

# links

is($t->get('/api/noauth/activate?activateToken=x')->status, 409, 'activate');
is($t->get('/api/noauth/resetPassword?resetToken=x')->status, 409, 'reset');
$t->row('PUB', 'POST noauth/activate', { activateToken => 'x',
    password => 'Good-pass-1' }, 400,
    'Unable to find user credentials by activateToken [x]');
$t->row('PUB', 'POST noauth/resetPassword', { resetToken => 'x',
    password => 'Good-pass-1' }, 400, 'Invalid reset token!');
$t->row('PUB', 'POST noauth/resetPasswordByEmail', { email => $_ }, 200, '')
    for 'nobody@iot.test';

# tenants

my $tenant = 'id createdTime title name region tenantProfileId country state '
    . 'city address address2 zip phone email additionalInfo version';

$t->row($_, 'GET tenant/' . $t->tenant_id, undef, 200, $tenant)
    for qw(SYS TEN);
$t->row('TEN', 'GET tenant/info/' . $t->tenant_id, undef, 200,
    "$tenant tenantProfileName");
$t->row('CUS', 'GET tenant/' . $t->tenant_id, undef, 403, $denied);
$t->row('SYS', "GET tenant/$nobody", undef, 404,
    "Tenant with id [$nobody] is not found");
$t->row('SYS', 'GET tenant/x', undef, 400, 'Invalid UUID string: x');
$t->row('TEN', 'POST tenant', { title => 'x' }, 403, $denied);
$t->row('SYS', 'POST tenant', {}, 400, 'Tenant title should be specified!');
$t->row('SYS', 'POST tenant', { id => { id => $nobody }, title => 'x' }, 400,
    q{Can't update non existing tenant!});
$t->row('SYS', 'POST tenant', { title => 'x' x 256 }, 400,
    'title length must be equal or less than 255');

my $other = $t->row('SYS', 'POST tenant', { title => 'Other', name => 'no',
    region => 'x', unknown => 1, zip => 123 }, 200, { name => 'Other',
    region => 'Global', zip => '123', version => 1, phone => undef });

$t->row('SYS', 'POST tenant', { %$other, version => 5 }, 409,
    'Tenant was already changed by someone else');
$t->row('SYS', 'POST tenant', { %$other, version => undef }, 200,
    { version => 2 });
$t->paged('SYS', $_) for 'tenants', 'tenantInfos';
$t->row('TEN', 'GET tenantInfos?pageSize=1&page=0', undef, 403, $denied);
$t->row('SYS', "GET tenants$_?tenantIds=$other->{id}{id}", undef, 200, $tenant)
    for '', '/list';
$t->row('TEN', 'GET tenant/' . $other->{id}{id}, undef, 404, undef);
$t->paged('SYS', "tenant/$other->{id}{id}/users");

# tenant profiles

my $profile = 'id createdTime name description default isolatedTbRuleEngine '
    . 'profileData version';
my $default = $t->row('SYS', 'GET tenantProfileInfo/default', undef, 200,
    'id name');

$t->row('SYS', "GET tenantProfile/$default->{id}{id}", undef, 200, $profile);
$t->row('SYS', "GET tenantProfileInfo/$default->{id}{id}", undef, 200,
    'id name');
$t->row('SYS', 'POST tenantProfile', { name => $default->{name} }, 400,
    'Tenant profile with such name already exists!');
$t->row('SYS', 'POST tenantProfile', { name => 'x', default => $true }, 400,
    'Another default tenant profile is present!');
$t->row('SYS', 'POST tenantProfile', {}, 400,
    'Tenant profile name should be specified!');
$t->row('SYS', "DELETE tenantProfile/$default->{id}{id}", undef, 400,
    'The tenant profile referenced by the tenants cannot be deleted!');

my $made = $t->row('SYS', 'POST tenantProfile', { name => 'n', profileData =>
    { configuration => { type => 'DEFAULT', maxDevices => '7',
        transportDeviceMsgRateLimit => '10:1', cassandraX => 'echo' } } }, 200,
    $profile);

is($made->{profileData}{configuration}{maxDevices}, 7, 'a number in quotes');
is($made->{profileData}{configuration}{cassandraX}, 'echo', 'others are kept');
$t->row('SYS', 'POST tenantProfile', { name => 'm', profileData =>
    { configuration => { transportDeviceMsgRateLimit => $_ } } }, 400, undef)
    for 'x', '1:1,2:1', '0:1';
$t->row('SYS', "POST tenantProfile/$made->{id}{id}/default", undef, 200,
    { default => $true });
$t->row('SYS', "POST tenantProfile/$default->{id}{id}/default", undef, 200,
    undef);
$t->paged('SYS', $_) for 'tenantProfiles', 'tenantProfileInfos';
$t->row('SYS', "GET tenantProfiles$_?ids=$made->{id}{id}", undef, 200,
    $profile) for '', '/list';
$t->row('TEN', "GET tenantProfile/$default->{id}{id}", undef, 403, $denied);
$t->row('SYS', "DELETE tenantProfile/$made->{id}{id}", undef, 200, '');
$t->row('TEN', 'GET usage', undef, 200, 'devices maxDevices assets maxAssets '
    . 'customers maxCustomers users maxUsers dashboards maxDashboards edges '
    . 'maxEdges transportMessages maxTransportMessages jsExecutions '
    . 'tbelExecutions maxJsExecutions maxTbelExecutions emails maxEmails sms '
    . 'maxSms smsEnabled alarms maxAlarms');

# customers

my $c = 'id createdTime tenantId title name country state city address '
    . 'address2 zip phone email isPublic additionalInfo externalId version';
my $cid = $t->customer_id;

$t->row($_, "GET customer/$cid", undef, 200, $c) for qw(TEN CUS);
$t->row('SYS', "GET customer/$cid", undef, 403, $denied);
$t->row($_, "GET customer/$cid/shortInfo", undef, 200, 'title isPublic')
    for qw(TEN CUS);

my $customer = $t->row('TEN', 'POST customer', { title => 'C1', name => 'no',
    isPublic => $true }, 200, { name => 'C1', isPublic => $false });
my $id = $customer->{id}{id};

$t->row('TEN', "GET customer/$id/title", undef, 200, qr/^C1$/);
$t->row('CUS', "GET customer/$id", undef, 403, $denied);
$t->row('CUS', 'POST customer', { title => 'x' }, 403, $denied);
$t->row('TEN', 'POST customer', { title => 'C1' }, 400,
    'Customer with such title already exists!');
$t->row('TEN', 'POST customer', {}, 400,
    'Customer title should be specified!');
$t->row('TEN', 'POST customer', { title => 'Public' }, 400,
    q{'Public' title for customer is system reserved!});
$t->row('TEN', 'POST customer', { title => 'x', email => 'a@b' }, 400,
    q{Invalid email address format 'a@b'!});
$t->row('TEN', 'POST customer', { title => '<script>x</script>' }, 400,
    'title is malformed');
$t->row('TEN', 'POST customer', { id => { id => $nobody }, title => 'x' },
    400, q{Can't update non existing customer!});
$t->row('TEN', 'POST customer', { %$customer, version => 9 }, 409,
    'Customer was already changed by someone else');
like($t->row('TEN', 'POST customer?nameConflictPolicy=UNIQUIFY',
    { title => 'C1' }, 200, $c)->{title}, qr/^C1_\w{6}$/, 'a unique title');
$t->row('TEN', 'POST customer?nameConflictPolicy=UNIQUIFY&uniquifySeparator=-'
    . '&uniquifyStrategy=INCREMENTAL', { title => 'C1' }, 200,
    { title => 'C1-1' });
$t->paged('TEN', 'customers');
$t->row('TEN', "GET customers$_?customerIds=$id,$cid", undef, 200, $c)
    for '', '/list';
$t->row('TEN', 'GET tenant/customers?customerTitle=C1', undef, 200, $c);
$t->row('TEN', 'GET tenant/customers?customerTitle=no', undef, 404, undef);
$t->row('TEN', "GET customer/$nobody", undef, 404,
    "Customer with id [$nobody] is not found");

# users

my $user = $t->row('TEN', 'POST user?sendActivationMail=false', {
    email => 'New@Iot.test', authority => 'CUSTOMER_USER', name => 'no',
    customerId => { entityType => 'CUSTOMER', id => $id } }, 200,
    { email => 'new@iot.test', name => 'new@iot.test', firstName => undef });
my $uid = $user->{id}{id};

for my $row ([{ authority => 'CUSTOMER_USER' }, 'User email should be '
        . 'specified!'],
    [{ email => 'a@iot.test' }, q{User authority isn't defined!}],
    [{ email => 'a@b', authority => 'CUSTOMER_USER',
        customerId => $customer->{id} }, q{Invalid email address format }
        . q{'a@b'!}],
    [{ email => 'NEW@iot.test', authority => 'CUSTOMER_USER',
        customerId => $customer->{id} },
        q{User with email 'new@iot.test' already present in database!}],
    [{ email => 'a@iot.test', authority => 'CUSTOMER_USER' },
        'Customer user should be assigned to customer!'],
    [{ email => 'a@iot.test', authority => 'TENANT_ADMIN',
        customerId => $customer->{id} },
        q{Tenant administrator can't be assigned to customer!}],
    [{ email => 'a@iot.test', authority => 'CUSTOMER_USER',
        customerId => { id => $nobody } },
        'User is referencing to non-existent customer!'],
    [{ %$user, authority => 'TENANT_ADMIN' },
        q{Can't update user authority!}],
    [{ %$user, customerId => { entityType => 'CUSTOMER', id => $cid } },
        q{Can't update user customer id!}],
    [{ %$user, id => { id => $nobody } }, q{Can't update non existing user!}])
{
    $t->row('TEN', 'POST user?sendActivationMail=false', $row->[0], 400,
        $row->[1]);
}

is($t->row('TEN', "GET user/$uid", undef, 200, $u)
    ->{additionalInfo}{userActivated}, $false, 'not activated');
$t->row('CUS', "GET user/$uid", undef, 403, $denied);
$t->row('TEN', "GET user/$nobody", undef, 404,
    "User with id [$nobody] is not found");
$t->row('TEN', 'GET user/tokenAccessEnabled', undef, 200, qr/^true$/);
$t->row('TEN', "GET user/$uid/activationLink", undef, 200, qr{^http://[^/]+
    /api/noauth/activate\?activateToken=\w{30}$}x);
$t->row('TEN', "GET user/$uid/activationLinkInfo", undef, 200, 'value ttlMs');

my $self = $t->row('CUS', 'GET auth/user', undef, 200, undef);

$t->row('TEN', "GET user/$self->{id}{id}/activationLink", undef, 400,
    'User is already activated!');
$t->row('TEN', "POST user/sendActivationMail?email=$email{CUSTOMER}", undef,
    400, 'User is already activated!');
$t->row('TEN', "GET user/$self->{id}{id}/token", undef, 200,
    'token refreshToken');
$t->row('CUS', "GET user/$uid/token", undef, 403, $denied);
$t->row('CUS', 'POST user?sendActivationMail=false', { %$self,
    firstName => 'Me' }, 200, { firstName => 'Me' });
$t->row('CUS', 'POST user?sendActivationMail=false', { %$user,
    firstName => 'Not' }, 403, $denied);
$t->row('TEN', "POST user/$uid/userCredentialsEnabled"
    . "?userCredentialsEnabled=$_", undef, 200, '') for qw(false true);
$t->paged($_, 'users') for qw(TEN CUS);
$t->paged('TEN', 'users/info');
$t->row('TEN', 'GET users/info?pageSize=9&page=0', undef, 200,
    'id email firstName lastName');
$t->row('TEN', "GET users$_?userIds=$uid", undef, 200, $u) for '', '/list';
$t->paged('TEN', "customer/$id/users");

my $admin = $t->row('TEN', 'GET auth/user', undef, 200, undef)->{id}{id};

$t->row('TEN', "DELETE user/$admin", undef, 400,
    'At least one tenant administrator must remain!');
$t->row('SYS', 'DELETE user/' . $t->row('SYS', 'GET auth/user', undef, 200,
    undef)->{id}{id}, undef, 403, $denied);
$t->row('CUS', "DELETE user/$uid", undef, 403, $denied);
$t->row('TEN', "DELETE user/$uid", undef, 200, '');
$t->row('CUS', 'PUT user/settings', { a => { b => 1 } }, 200, undef);
$t->row('CUS', 'GET user/settings', undef, 200, { a => { b => 1 } });
$t->row('CUS', 'PUT user/settings/general', { c => 2 }, 200, undef);
$t->row('CUS', 'GET user/settings/general', undef, 200, { c => 2 });
$t->row('CUS', 'DELETE user/settings/a.b', undef, 200, '');
$t->row('CUS', 'GET user/dashboards', undef, 200, 'last starred');

# keys

my $key = $t->row('TEN', 'POST apiKey', { userId => { entityType => 'USER',
    id => $admin }, description => 'k', enabled => $true }, 200,
    'id createdTime tenantId userId expirationTime description enabled '
    . 'expired value');

like($key->{value}, qr/^tb_/, 'a key');
$t->row('TEN', 'POST apiKey', { userId => { id => $admin },
    description => ' ' }, 400, undef);
ok(!exists $t->row('TEN', "GET apiKeys/$admin?pageSize=9&page=0", undef, 200,
    'id description enabled expired')->{data}[0]{value}, 'shown once');
$t->row('TEN', "PUT apiKey/$key->{id}{id}/description", 'text', 200,
    { description => 'text' });
$t->row('TEN', "PUT apiKey/$key->{id}{id}/enabled/false", undef, 200,
    { enabled => $false });
$t->row('CUS', "DELETE apiKey/$key->{id}{id}", undef, 403, $denied);
$t->row('TEN', "DELETE apiKey/$key->{id}{id}", undef, 200, '');

# settings

my $s = 'id createdTime tenantId key jsonValue';

$t->row('SYS', 'GET admin/settings/general', undef, 200, $s);

my $unset = $t->row('SYS', 'GET admin/settings/mail', undef, 200, $s);

is($unset->{jsonValue}{smtpPort}, 25, 'what holds until mail is set up');
$t->row('SYS', 'POST admin/settings', $unset, 200, $s);
$t->row('SYS', 'GET admin/settings/none', undef, 404, undef);
$t->row('TEN', 'GET admin/settings/mail', undef, 403, $denied);

my $mail = { smtpProtocol => 'smtp', smtpHost => 'localhost',
    smtpPort => '25', timeout => '10000', enableTls => 'false',
    mailFrom => 'a@iot.test', username => 'u', password => 'secret',
    custom => { x => 1 } };

ok(!exists $t->row('SYS', 'POST admin/settings', { key => 'mail',
    jsonValue => $mail }, 200, $s)->{jsonValue}{password}, 'no password');
is_deeply($t->row('SYS', 'GET admin/settings/mail', undef, 200, $s)
    ->{jsonValue}{custom}, { x => 1 }, 'what is unknown is kept');
$t->row('SYS', 'GET admin/securitySettings', undef, 200, 'passwordPolicy '
    . 'maxFailedLoginAttempts userLockoutNotificationEmail '
    . 'mobileSecretKeyLength userActivationTokenTtl passwordResetTokenTtl');
$t->row('SYS', 'POST admin/securitySettings', { userActivationTokenTtl => 25 },
    400, undef);
$t->row('SYS', 'GET admin/jwtSettings', undef, 200, 'tokenExpirationTime '
    . 'refreshTokenExpTime tokenIssuer tokenSigningKey');
$t->row('SYS', 'POST admin/jwtSettings', { tokenExpirationTime => 59,
    refreshTokenExpTime => 900, tokenIssuer => 'x' }, 400, undef);
$t->row($_, 'GET system/params', undef, 200, 'userTokenAccessEnabled '
    . 'allowedDashboardIds edgesSupportEnabled hasRepository tbelEnabled '
    . 'persistDeviceStateToTelemetry userSettings maxDatapointsLimit '
    . 'maxResourceSize mobileQrEnabled') for qw(SYS TEN CUS);
$t->row('TEN', 'GET system/info', undef, 200, 'version artifact name');
$t->row('CUS', 'GET uiSettings/helpBaseUrl', undef, 200, qr/^"/);

# the audit log

my $log = 'id createdTime tenantId customerId entityId entityName userId '
    . 'userName actionType actionData actionStatus actionFailureDetails';

$t->row($_, 'GET audit/logs?pageSize=1&page=0', undef, 200, $log)
    for qw(SYS TEN);
$t->row('CUS', 'GET audit/logs?pageSize=1&page=0', undef, 403, $denied);
$t->row('TEN', "GET audit/logs/$_?pageSize=1&page=0", undef, 200, $log)
    for "customer/$id", "user/$admin", "entity/USER/$uid";
$t->paged('TEN', 'audit/logs');
$t->row('TEN', "DELETE customer/$id", undef, 200, '');
$t->row('SYS', "DELETE tenant/$other->{id}{id}", undef, 200, '');

done_testing();
