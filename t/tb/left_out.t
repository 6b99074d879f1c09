#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# What of the ThingsBoard API is left out is written down, and nothing else is;
# each of these paths says so in the envelope of errors.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);

use lib dirname(Cwd::abs_path(__FILE__)) . '/../lib';

use IotTest;

my $top = dirname(Cwd::abs_path(__FILE__)) . '/../..';
my $routes = slurp("$top/ngx_iot_module/http/thingsboard/"
    . 'ngx_http_iot_tb_routes.c');
my $docs = slurp("$top/docs/rest.md");
my (%row, %told);

$routes =~ s{^.*?ngx_http_iot_tb_routes\[\] = \{}{}s;

while ($routes =~ /_501\(\s*(\w+),\s*"([^"]+)",\s*([A-Z|]+)\)/g) {
    $row{"/api/$2"} = { method => $1, who => $3 };
}

my ($list) = $docs =~ /^## What is left out\n(.*?)(?=^## |\z)/ms;

for my $line (split(/\n/, $list || '')) {
    my ($paths) = $line =~ /^\| (`.*?) \|/ or next;

    $told{$_} = 1 for $paths =~ /`([^`]+)`/g;
}

cmp_ok(scalar(keys %row), '>', 10, 'the table is read');
is_deeply([sort keys %told], [sort keys %row], 'docs/rest.md lists them all');

my $t = IotTest->new;
my %token = (SYS => $t->sysadmin, TEN => $t->tenant, CUS => $t->customer);

for my $path (sort keys %row) {
    my $row = $row{$path};
    my ($who) = $row->{who} =~ /(SYS|TEN)/ ? $1 : 'TEN';
    my $public = $row->{who} eq 'PUB';
    my @methods = $row->{method} eq 'ALL' ? qw(GET POST PUT DELETE) : 'GET';
    my @paths = $path =~ m{^(.*)/\*$} ? ("$1/any", "$1/any/more") : $path;

    # what has no more segments is a path of its own
    push @paths, $1 if $path =~ m{^(/api/(?!noauth|image).*)/\*$};

    for my $p (@paths) {
        for my $method (@methods) {
            my $a = $t->http($method, $p, $method =~ /^P/ ? (json => {}) : (),
                $public ? () : (token => $token{$who}));
            my $e = $a->json || {};

            ok($a->status == 501 && ($e->{status} || 0) == 501
                && $e->{errorCode} == 2 && $e->{message} && $e->{timestamp},
                "$method $p") or diag($a->status, ' ', $a->body);
        }

        is($t->get($p)->status, 401, "$p without a token") if !$public;
    }
}

done_testing();


sub slurp {
    my ($name) = @_;

    open(my $fh, '<', $name) or die "$name: $!";
    local $/;

    return <$fh>;
}
