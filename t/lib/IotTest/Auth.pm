package IotTest::Auth;

# Copyright (C) the ngx_iot authors

# What the tests of logins and sessions need more than others.

use strict;
use warnings;

use Carp qw(croak);
use Exporter qw(import);
use JSON::XS ();
use MIME::Base64 qw(encode_base64url decode_base64url);

use IotTest ();

our @ISA = ('IotTest');

my $json = JSON::XS->new->utf8->canonical;


# One connection to each worker: the others sleep while it is made.  The first
# event may still be given to a sleeper, so there are some more.
sub each_worker {
    my ($self) = @_;
    my @pids = sort { $a <=> $b } $self->worker_pids;
    my @clients;

    for my $pid (@pids) {
        my @others = grep { $_ != $pid } @pids;

        kill('STOP', @others);

        my $client = $self->client;
        my @more = map { $self->client } @pids;
        my $answer = eval { $client->request('GET', '/healthz', []) };

        kill('CONT', @others);
        croak("worker $pid does not answer") unless $answer;
        push @clients, $client;
    }

    return @clients;
}


# the answer to a login, whatever it is
sub try_login {
    my ($self, $email, $password, %o) = @_;

    return $self->post('/api/auth/login',
        json => { username => $email, password => $password }, %o);
}


# Stores a setting of the server behind its back; it is read in a moment.
sub setting {
    my ($self, $name, $value) = @_;

    $self->sql('INSERT INTO iot.setting (tenant_id, name, value) '
        . 'VALUES (NULL, ?, ?) ON CONFLICT ON CONSTRAINT '
        . 'setting_tenant_id_name_key DO UPDATE SET value = excluded.value',
        $name, $json->encode($value));
    $self->sql('SELECT pg_notify(?, ?)', 'iot', "settings $name");
}


# a new user of the tenant who can log in; returns the id
sub user {
    my ($self, $email, $like) = @_;
    my $hash = $self->value('SELECT c.password_hash '
        . 'FROM iot.user_credentials c JOIN iot.users u ON u.id = c.user_id '
        . 'WHERE u.email = ?', $self->account('TENANT_EMAIL'));
    my $id = $self->post('/api/user?sendActivationMail=false',
        token => $self->tenant, json => { email => $email,
            authority => 'CUSTOMER_USER', customerId => {
                entityType => 'CUSTOMER', id => $self->customer_id } })
        ->json->{id}{id};

    $self->sql('UPDATE iot.user_credentials SET password_hash = ?, '
        . 'enabled = true, activate_token = NULL WHERE user_id = ?',
        $hash, $id);

    return $id;
}


# (header, claims) of a token, as data
sub decode {
    my ($self, $token) = @_;
    my @parts = split(/\./, $token);

    return map { $json->decode(decode_base64url($_)) } @parts[0, 1];
}


# a token of any parts; data is encoded
sub encode {
    my ($self, $header, $claims, $signature) = @_;

    return join('.', (map { encode_base64url(ref($_) ? $json->encode($_) : $_) }
        $header, $claims), $signature);
}


1;
