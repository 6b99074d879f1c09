#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Every row of the route table is reached, by those who may and by those who
# may not, with values that mean nothing: whatever the answer is, it is one
# that the caller can understand, and never a failure of ours.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest;

my $source = "$FindBin::Bin/../../ngx_iot_module/http/thingsboard/"
    . 'ngx_http_iot_tb_routes.c';

open(my $fh, '<', $source) or die "$source: $!";
my $text = do { local $/; <$fh> };
close($fh);

$text =~ s{^.*?ngx_http_iot_tb_routes\[\] = \{}{}s;

my @rows;

while ($text =~ m{ngx_http_iot_tb_(sql|c|both|501)\(\s*
    ([A-Z_|]+),\s*"([^"]*)",\s*([A-Z|]+)\s*([^;]*?)\)(?=,\n)}gxs)
{
    my ($kind, $methods, $path, $who, $rest) = ($1, $2, $3, $4, $5);

    for my $method (split(/\|/, $methods)) {
        $method =~ s/^NGX_HTTP_//;
        $method = 'GET' if $method eq 'ALL';
        push @rows, { kind => $kind, method => $method, path => $path,
            who => { map { $_ => 1 } split(/\|/, $who) }, rest => $rest };
    }
}

my $rows = () = $text =~ /^\s+ngx_http_iot_tb_(?:sql|c|both|501)\(/gm;

cmp_ok($rows, '>', 150, "the table is read: $rows rows");
cmp_ok(scalar(@rows), '>=', $rows, 'all of it');

my $t = IotTest->new;

my %token = (SYS => $t->sysadmin, TEN => $t->tenant, CUS => $t->customer);
my $uuid = '784f394c-42b6-435a-983c-b7beff2784f9';
my %wrong;

for my $row (@rows) {
    my $path = "/api/$row->{path}";

    # logging out would end the test
    next if $path eq '/api/auth/logout';

    $path =~ s/\{type\}/DEVICE/g;
    $path =~ s/\{scope\}/SERVER_SCOPE/g;
    $path =~ s/\{ttl\}/0/g;
    $path =~ s/\{\w+\}/$uuid/g;
    $path =~ s{/\*$}{/x/y};

    my %may = $row->{who}{ANY} ? (SYS => 1, TEN => 1, CUS => 1)
        : %{$row->{who}};

    for my $who ('', qw(SYS TEN CUS)) {
        my $a = $t->http($row->{method}, $path,
            ($row->{method} eq 'POST' ? (json => {}) : ()),
            ($who ? (token => $token{$who}) : ()));
        my $status = $a->status;
        my $name = "$row->{method} $path by " . ($who || 'nobody');
        my @wrong;

        push @wrong, 'is a failure' if $status >= 500 && $status != 501;
        push @wrong, 'is not known' if $status == 405;
        push @wrong, 'is not refused'
            if $who eq '' && !$may{PUB} && $status != 401;
        push @wrong, 'is refused with ' . $status
            if $who ne '' && !$may{PUB} && !$may{$who} && $status != 403;
        push @wrong, 'is not 501'
            if $row->{kind} eq '501' && ($may{$who} || $may{PUB})
            && $status != 501;
        push @wrong, 'is no path'
            if $status == 404 && ($a->json || {})->{message}
            && $a->json->{message} eq "Requested item wasn't found!"
            && $row->{kind} eq '501';

        if ($status >= 400 && ($a->header('content-type') || '') =~ /json/) {
            my $e = $a->json || {};
            push @wrong, 'has no envelope'
                unless ($e->{status} || 0) == $status && $e->{errorCode}
                && defined $e->{message} && $e->{timestamp};
        }

        ok(!@wrong, $name)
            or diag("$name: $status ", substr($a->body, 0, 200), " (@wrong)");
    }
}

unlike($t->error_log, qr/42883|42P01|42703|42501/,
    'no function, table, column or right is missing');

done_testing();
