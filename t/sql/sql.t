#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Runs the pgTAP files beside it, each in a fresh database after all
# migrations, as the owner of the schema.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(basename dirname);
use TAP::Parser ();
use Test::More;

my $here;


BEGIN {
    $here = dirname(Cwd::abs_path(__FILE__));
}


use lib "$here/../lib", "$here/../../tools/lib";

use IotCtl::Run qw(run_program find_program);
use IotTest::Cluster ();

my $psql = find_program('psql') or die "psql is not installed\n";
my $cluster = IotTest::Cluster->shared;
my @files = @ARGV ? map { Cwd::abs_path($_) } @ARGV
    : sort glob("$here/*.sql");

ok(@files, 'there are pgTAP files');

for my $file (@files) {
    subtest(basename($file), sub { run_file($file) });
}

done_testing();


sub run_file {
    my ($file) = @_;
    my ($database) = $cluster->database('tmpl');

    my ($code, $out, $err) = run_program(
        [$psql, '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-P',
            'pager=off', '-d', $cluster->conninfo($database, 'iot_owner'),
            '-f', $file],
        dir => "$here/../..",
        env => { PGOPTIONS => '-c client_min_messages=warning' });

    my $parser = TAP::Parser->new({ tap => $out });

    while (my $result = $parser->next) {
        if ($result->is_test) {
            my $name = $result->description;
            $name =~ s/^- //;

            if ($result->has_skip || $result->has_todo) {
                fail("$name: nothing is skipped here");
                next;
            }

            ok($result->is_ok, $name);

        } elsif ($result->is_comment) {
            diag($result->comment) if !Test::More->builder->is_passing;
        }
    }

    diag($err) if $err =~ /\S/;
    is($code, 0, 'psql ran to the end');
    ok($parser->is_good_plan, 'as many tests as planned')
        or diag(join("\n", $parser->parse_errors));

    $cluster->drop($database);
}
