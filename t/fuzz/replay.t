#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Every fuzz target runs over its seeds, and over each of them cut short, with
# what "make unit-build" has built; "make fuzz" is the real thing.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(basename dirname);
use File::Temp ();
use TAP::Parser ();
use Test::More;

my $here;


BEGIN {
    $here = dirname(Cwd::abs_path(__FILE__));
}


use lib "$here/../../tools/lib";

use IotCtl::Run qw(run_program read_file write_file);

my $top = dirname(dirname($here));
my $built = $ENV{IOT_UNIT} || "$top/build/unit";
my $cut = File::Temp::tempdir(CLEANUP => 1);

for my $source (sort glob("$here/*_fuzz.c")) {
    my $name = basename($source, '_fuzz.c');
    my @seeds = sort grep { -f } glob("$here/corpus/$name/*");
    my @files = @seeds;

    cmp_ok(scalar(@seeds), '>', 9, "$name has seeds");

    for my $seed (@seeds) {
        my $bytes = read_file($seed);

        for my $part (1 .. 3) {
            my $file = sprintf('%s/%s-%d-%d', $cut, $name,
                scalar(@files), $part);

            write_file($file, substr($bytes, 0,
                int(length($bytes) * $part / 4)));
            push @files, $file;
        }
    }

    my ($code, $out, $err) = run_program(["$built/fuzz/$name", @files],
        dir => $top);
    my $parser = TAP::Parser->new({ tap => $out });

    $parser->run;

    is($code, 0, "$name ends without an error") or diag($err);
    is(scalar($parser->passed), scalar(@files), "$name survives its inputs");
    unlike($err, qr/runtime error|Sanitizer/, "$name: no sanitizer has spoken")
        or diag($err);
}

done_testing();
