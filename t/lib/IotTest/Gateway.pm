package IotTest::Gateway;

# Copyright (C) the ngx_iot authors

# An instance whose first device is a gateway:
#
#     my $t = IotTest::Gateway->new(workers => 2);
#     my $c = $t->gateway(version => 5);
#
#     $c->publish('v1/gateway/telemetry', '{"A":[{"a":1}]}', qos => 1);
#     is_deeply($t->behind('A'), { a => ['LONG', 1] }, 'stored');

use strict;
use warnings;

use IotTest::Device ();
use IotTest::TbMqtt ();

our @ISA = ('IotTest::Device');


sub new {
    my ($class, %o) = @_;
    my $self = $class->SUPER::new(%o);

    $self->sql('UPDATE iot.device SET is_gateway = true, customer_id = NULL,'
        . q( additional_info = '{"gateway":true}' WHERE id = ?),
        $self->device_id);
    $self->changed;

    return $self;
}


# tells the workers of a change that was made behind their backs
sub changed {
    my ($self, $id) = @_;

    $self->sql("SELECT pg_notify('iot', 'device ' || ?)",
        defined $id ? $id : $self->device_id);
}


sub gateway {
    my ($self, %o) = @_;

    return IotTest::TbMqtt->connect($self, user => $self->device_token, %o);
}


# a row of a device of that name: column => value
sub row {
    my ($self, $name) = @_;
    my $rows = $self->sql('SELECT id, nr, customer_id, profile_id,'
        . " additional_info ->> 'lastConnectedGateway' FROM iot.device"
        . ' WHERE name = ?', $name);

    return undef if !@$rows;

    my %row;
    @row{qw(id nr customer profile gateway)} = @{$rows->[0]};

    return \%row;
}


sub behind_token {
    my ($self, $name) = @_;

    return $self->value('SELECT c.credentials_id FROM iot.device AS d'
        . ' JOIN iot.device_credentials AS c ON c.device_id = d.id'
        . ' WHERE d.name = ?', $name);
}


sub behind {
    my ($self, $name) = @_;

    return $self->typed($self->behind_token($name));
}


sub behind_attributes {
    my ($self, $scope, $name) = @_;

    return $self->stored_attributes($scope, $self->behind_token($name));
}


1;
