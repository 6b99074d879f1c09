package IotTest::Device;

# Copyright (C) the ngx_iot authors

# An instance seen by devices:
#
#     my $t = IotTest::Device->new;
#
#     is($t->telemetry('{"a":1}')->status, 200, 'taken');
#     is_deeply($t->points, { a => [[$ts, 'LONG', '1']] }, 'stored');
#
# What is stored is read from the tables, so that a test does not believe the
# same code twice.

use strict;
use warnings;

use IotTest ();
use IotTest::Client ();

our @ISA = ('IotTest');

my $columns = q{
    CASE WHEN s IS NOT NULL THEN CASE WHEN b THEN 'JSON' ELSE 'STRING' END
         WHEN d IS NOT NULL THEN 'DOUBLE'
         WHEN l IS NOT NULL THEN 'LONG'
         ELSE 'BOOLEAN' END,
    COALESCE(s, encode(float8send(d), 'hex'), l::text,
             CASE WHEN b THEN 'true' ELSE 'false' END)
};


sub url {
    my ($self, $what, $token) = @_;

    return '/api/v1/' . (defined $token ? $token : $self->device_token)
        . "/$what";
}


# token (of another device), and what http() takes
sub telemetry {
    my ($self, $body, %o) = @_;

    return $self->post($self->url('telemetry', delete $o{token}),
        body => $body, %o);
}


sub attributes {
    my ($self, $body, %o) = @_;

    return $self->post($self->url('attributes', delete $o{token}),
        body => $body, %o);
}


# the bytes of a request, for sockets
sub request {
    my ($self, $method, $what, $body, %o) = @_;

    return IotTest::Client::format_request($method,
        $self->url($what, $o{token}), $o{headers} || [], $body);
}


# a connection with the request written to it
sub begin {
    my ($self, @request) = @_;
    my $c = $self->client;

    $c->write($self->request(@request));

    return $c;
}


sub nr {
    my ($self, $token) = @_;

    return $self->value('SELECT nr FROM iot.device_by_token(?)',
        defined $token ? $token : $self->device_token);
}


# { key => [[ts, type, text], ...] } in the order of ts; a double as the 16
# digits of its bits
sub points {
    my ($self, $token) = @_;
    my %points;

    push @{$points{$_->[0]}}, [@$_[1 .. 3]]
        for @{$self->sql("SELECT k.name, t.ts, $columns FROM iot.telemetry AS t"
            . ' JOIN iot.key AS k ON k.id = t.key WHERE t.entity = ?'
            . ' ORDER BY t.ts, k.name', $self->nr($token))};

    return \%points;
}


# { key => [type, text] } of all points, whatever their time
sub typed {
    my ($self, $token) = @_;
    my $points = $self->points($token);

    return { map { $_ => [@{$points->{$_}[-1]}[1, 2]] } keys %$points };
}


# { key => [type, text] }; scope: 1 client, 2 shared, 3 server
sub stored_attributes {
    my ($self, $scope, $token) = @_;

    return { map { $_->[0] => [@$_[1, 2]] }
        @{$self->sql("SELECT k.name, $columns FROM iot.attribute AS a"
            . ' JOIN iot.key AS k ON k.id = a.key'
            . ' WHERE a.entity = ? AND a.scope = ?', $self->nr($token),
            $scope)} };
}


sub set_attribute {
    my ($self, $scope, $name, $text) = @_;

    $self->sql('SELECT iot.ingest_attributes(ARRAY[?::int], ARRAY[?::int2],'
        . ' iot.key_ids(ARRAY[?::text]), ARRAY[NULL::bool],'
        . ' ARRAY[NULL::int8], ARRAY[NULL::float8], ARRAY[?::text],'
        . ' ARRAY[iot.now_ms()])', $self->nr, $scope, $name, $text);
}


sub double {
    my ($value) = @_;

    return ['DOUBLE', unpack('H16', pack('d>', $value))];
}


# forgets all points and attributes, but no device
sub wipe {
    my ($self) = @_;

    $self->sql('DELETE FROM iot.telemetry');
    $self->sql('DELETE FROM iot.attribute');
}


# devices beside the first one, of its tenant
sub add_devices {
    my ($self, @tokens) = @_;

    for my $token (@tokens) {
        $self->sql('WITH d AS (INSERT INTO iot.device (tenant_id,'
            . ' profile_id, name) SELECT tenant_id, profile_id, ?'
            . ' FROM iot.device WHERE id = ? RETURNING tenant_id, id)'
            . ' INSERT INTO iot.device_credentials (tenant_id, device_id,'
            . " type, credentials_id) SELECT tenant_id, id, 'ACCESS_TOKEN', ?"
            . ' FROM d', "device $token", $self->device_id, $token);
    }
}


# --- holding things still -----------------------------------------------


# A second session that holds a table, so that whoever needs it waits.
sub hold {
    my ($self, $table) = @_;

    require DBI;

    my $socket = $self->{cluster}{postgres}{socket};
    my $db = DBI->connect("dbi:Pg:dbname=$self->{database};host=$socket;"
        . 'application_name=iot_hold', 'postgres', '',
        { RaiseError => 1, PrintError => 0, AutoCommit => 1 });

    $db->do('BEGIN');
    $db->do("LOCK TABLE $table IN ACCESS EXCLUSIVE MODE");

    return $self->{holder}{$table} = $db;
}


sub let_go {
    my ($self, $table) = @_;
    my $db = delete $self->{holder}{$table};

    $db->do('COMMIT');
    $db->disconnect;
}


# process numbers of the workers' sessions that wait for a lock
sub held {
    my ($self) = @_;

    return map { $_->[0] } @{$self->sql('SELECT pid FROM pg_stat_activity'
        . " WHERE application_name = 'ngx_iot' AND datname = ?"
        . " AND wait_event_type = 'Lock'", $self->{database})};
}


sub wait_held {
    my ($self, $n) = @_;

    return $self->wait_for(10, sub { $self->held >= ($n || 1) });
}


# all sessions of the workers
sub sessions {
    my ($self) = @_;

    return map { $_->[0] } @{$self->sql('SELECT pid FROM pg_stat_activity'
        . " WHERE application_name = 'ngx_iot' AND datname = ?",
        $self->{database})};
}


# Processes are stopped by SIGSTOP; those left so go on at the end.
sub freeze {
    my ($self, @pids) = @_;

    kill('STOP', @pids);
    $self->{frozen}{$_} = 1 for @pids;
}


sub thaw {
    my ($self, @pids) = @_;

    @pids = keys %{$self->{frozen}} unless @pids;
    kill('CONT', @pids) if @pids;
    delete $self->{frozen}{$_} for @pids;
}


sub shut_down {
    my ($self) = @_;

    $self->thaw if $self->{pid} == $$;
    $_->disconnect for values %{delete $self->{holder} || {}};

    return $self->SUPER::shut_down;
}


# the sum of a metric over its labels
sub metric {
    my ($self, $name) = @_;
    my $sum = 0;

    for (split(/\n/, $self->get('/metrics')->body)) {
        $sum += $1 if /^\Q$name\E(?:\{[^}]*\})? ([0-9.e+]+)$/;
    }

    return $sum;
}


1;
