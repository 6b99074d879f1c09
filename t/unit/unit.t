#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Runs the C unit tests, which "make unit-build" has put into build/unit; each
# prints TAP itself.  A source without its program is a failure.

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


use lib "$here/../../tools/lib";

use IotCtl::Run qw(run_program);

my $top = dirname(dirname($here));
my $built = $ENV{IOT_UNIT} || "$top/build/unit";
my @only = @ARGV;

for my $source (sort glob("$here/*_test.c")) {
    my $name = basename($source, '.c');

    next if @only && !grep { $_ eq $name } @only;

    subtest($name, sub { run_unit("$built/$name", $source) });
}

done_testing();


sub run_unit {
    my ($program, $source) = @_;

    if (!-x $program) {
        fail("$program is not built: \"make unit-build\"");
        return;
    }

    ok((stat($program))[9] >= (stat($source))[9], 'it is up to date')
        or diag('"make unit-build" makes it');

    my ($code, $out, $err) = run_program([$program], dir => $top,
        env => { UBSAN_OPTIONS => 'print_stacktrace=1',
            ASAN_OPTIONS => 'detect_leaks=1' });

    my $parser = TAP::Parser->new({ tap => $out });
    my $tests = 0;

    while (my $result = $parser->next) {
        if ($result->is_test) {
            my $text = $result->description;
            $text =~ s/^- //;
            $tests++;
            ok($result->is_ok && !$result->has_skip, $text);

        } elsif (!$result->is_plan && !$result->is_version
            && !Test::More->builder->is_passing)
        {
            diag($result->as_string);
        }
    }

    cmp_ok($tests, '>', 0, 'it has tests');
    ok($parser->is_good_plan, 'as many as planned')
        or diag(join("\n", $parser->parse_errors));
    is($code, 0, 'it ends without an error')
        or diag($err);
    unlike($err, qr/runtime error|AddressSanitizer|LeakSanitizer/,
        'no sanitizer has spoken') or diag($err);
}
