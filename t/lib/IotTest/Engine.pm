package IotTest::Engine;

# Copyright (C) the ngx_iot authors

# The engine is tested without the business behind it: in the database of one
# test, functions of well-known routes are replaced by ones whose answers the
# test decides.
#
#     my $t = IotTest::Engine->new(workers => 2);
#     $t->replace('server_time', 'json', q{ RETURN (query); });

use strict;
use warnings;

use IotTest ();

our @ISA = ('IotTest');

# what the function was called with
our $echo = q{
    RETURN json_build_object('role', p.role, 'tenant', p.tenant_id,
        'user', p.user_id, 'address', p.address, 'path', path,
        'query', query, 'body', body);
};


sub replace {
    my ($self, $name, $returns, $code) = @_;
    my $signature = "tb.$name(p iot.principal, path text[], query json, "
        . 'body json)';

    $self->psql("DROP FUNCTION IF EXISTS $signature;"
        . "CREATE FUNCTION $signature RETURNS $returns LANGUAGE plpgsql AS "
        . "\$f\$ BEGIN $code END \$f\$;"
        . "GRANT EXECUTE ON FUNCTION $signature TO public;");
}


1;
