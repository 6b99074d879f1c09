package IotTest::Walk;

# Copyright (C) the ngx_iot authors

# A walk along the rows of an API: one call, and what it has to answer.

use strict;
use warnings;

use JSON::XS ();
use Test::More;

use base 'IotTest';

my $json = JSON::XS->new->utf8->canonical->allow_nonref;
my %code = (400 => 31, 401 => 10, 403 => 20, 404 => 32, 409 => 35, 501 => 2);

our $none = '13814000-1dd2-11b2-8080-808080808080';
our $nobody = '784f394c-42b6-435a-983c-b7beff2784f9';


# "METHOD /api/path" by who (SYS, TEN, CUS, PUB, or a token) with a body: the
# status, and for an error its text, otherwise
#     a string   the names of all members of the object, or of the first of a
#                page or an array
#     a regex    the body
#     a hash     some of the members
# Returns the answer as data.
sub row {
    my ($self, $who, $call, $body, $status, $want) = @_;
    my ($method, $path) = split(/ /, $call, 2);
    my $token = $who eq 'SYS' ? $self->sysadmin : $who eq 'TEN' ? $self->tenant
        : $who eq 'CUS' ? $self->customer : $who eq 'PUB' ? undef : $who;
    my $name = (length($who) > 3 ? '...' : $who) . " $method $path";

    my $a = $self->http($method, "/api/$path", token => $token,
        !defined $body ? ()
        : ref($body) ? (json => $body)
        : (body => $body, type => 'application/json'));

    my $shown = $a->status . ' ' . substr($a->body, 0, 700);

    is($a->status, $status, "$name: $status") or diag($shown), return {};

    my $data = $a->body eq '' ? undef : eval { $json->decode($a->body) };

    if ($status >= 400 && ref($want) ne 'Regexp') {
        my $code = $code{$status};

        ($code, $want) = ($1, $2) if ($want || '') =~ /^(\d\d) (.*)/;

        ok(ref($data) && $data->{status} == $status
            && $data->{errorCode} == $code && $data->{timestamp} > 1e12
            && (!$want || $data->{message} eq $want),
            "$name: the envelope") or diag($shown, "\nwanted: $code ",
                $want || '');

    } elsif (ref($want) eq 'Regexp') {
        like($a->body, $want, "$name: the body");

    } elsif (ref($want)) {
        my @wrong = grep { ($json->encode($data->{$_})) ne
            $json->encode($want->{$_}) } sort keys %$want;

        ok(!@wrong, "$name: members") or diag("$shown\nwrong: @wrong");

    } elsif (defined $want && $want eq '') {
        is($a->body, '', "$name: nothing to say");

    } elsif (defined $want) {
        my $x = $data;

        $x = $x->{data} if ref($x) eq 'HASH' && $x->{data}
            && exists $x->{totalPages};
        $x = $x->[0] if ref($x) eq 'ARRAY';

        my %has = map { $_ => 1 } ref($x) eq 'HASH' ? keys %$x : ();
        my @missing = grep { !$has{$_} } split(/[\s,]+/, $want);

        ok(ref($x) eq 'HASH' && !@missing, "$name: the shape")
            or diag("$shown\nmissing: @missing");

        my @null = ref($x) ne 'HASH' ? () : grep { exists $x->{$_}
            && !defined $x->{$_} } (exists $x->{authority} ? 'email' : ()),
            qw(authority name deviceProfileId title type originator severity
            acknowledged cleared entityId credentialsId token id);

        ok(!@null, "$name: no nulls where none may be")
            or diag("$shown\nnull: @null");
    }

    return $data;
}


# the pages and the refusals that all lists have in common
sub paged {
    my ($self, $who, $path) = @_;
    my $s = $path =~ /\?/ ? '&' : '?';
    my $page = $self->row($who, "GET $path${s}pageSize=1&page=0", undef, 200,
        undef);

    ok(ref($page) eq 'HASH'
        && join(' ', sort keys %$page) eq 'data hasNext totalElements '
            . 'totalPages'
        && $page->{totalPages} == $page->{totalElements}
        && @{$page->{data}} == ($page->{totalElements} ? 1 : 0)
        && !$page->{hasNext} == ($page->{totalElements} < 2),
        "$path: a page") or diag($json->encode($page));

    my $far = $self->row($who, "GET $path${s}pageSize=10&page=99", undef, 200,
        undef);

    is_deeply([$far->{data}, $far->{totalElements}, $far->{hasNext} ? 1 : 0],
        [[], $page->{totalElements}, 0], "$path: beyond the last");

    $self->row($who, "GET $path${s}pageSize=0&page=0", undef, 400,
        q{Incorrect page link page size '0'. Page size must be greater than }
        . 'zero.');
    $self->row($who, "GET $path${s}pageSize=1&page=-1", undef, 400,
        q{Incorrect page link page '-1'. Page must be positive integer.});
    $self->row($who, "GET $path${s}pageSize=1&page=0&sortProperty=createdTime"
        . '&sortOrder=X', undef, 400, q{Unsupported sort order 'X'! Only }
        . q{'ASC' or 'DESC' types are allowed.});
    $self->row($who, "GET $path${s}pageSize=1&page=0&sortProperty=n'o",
        undef, 400, undef);
    $self->row($who, "GET $path${s}pageSize=1", undef, 400, undef);
    $self->row($who, "GET $path${s}page=1", undef, 400, undef);
    $self->row($who, "GET $path${s}pageSize=1&page=0&sortOrder=DESC"
        . '&textSearch=no%25such', undef, 200, { data => [],
            totalElements => 0, totalPages => 0 });

    return $page;
}

1;
