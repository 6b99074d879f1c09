#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Words that do not belong into a finished tree.

use strict;
use warnings;

use File::Basename qw(dirname);
use Test::More;

use lib dirname(__FILE__) . '/../lib';

use IotHouse qw(files text);

# written so that this file does not contain them
my @words = (
    [qr/\bTO[D]O\b|\bFIX[M]E\b|\bX[X]X\b|\bHA[C]K\b/, 'left to be done'],
    [qr/\bnot implemented y[e]t\b|\bcoming s[o]on\b/i, 'a promise'],
    [qr{/wo[r]k/}, 'a path of one machine'],
    [qr{\.\./sha[r]ed\b}, 'a path outside the tree'],
    [qr{/home/(?!info\b)\w+|/ro[o]t/}, "somebody's home"],
    [qr/\bAI[ -]?(?:gene[r]ated|assis[t]ed)\b/i, 'not about the code'],
    [qr/^(?:<{7}|>{7}|={7})(?:\s|$)/m, 'a conflict'],
    [qr/-----BEGIN (?:\w+ )?PRIVATE K[E]Y/, 'a private key'],
);

# hosts that may be named
my $hosts = qr{
    ^(?:localhost | unix | [\d.]+ | \[[\da-f:]+\]
      | (?:[\w-]+\.)*(?:example|test|invalid|localhost)
      | (?:[\w-]+\.)*example\.(?:org|com|net)
      | (?:[\w-]+\.)*(?:nginx\.org|postgresql\.org|rfc-editor\.org|ietf\.org
            |oasis-open\.org|thingsboard\.io|thingsboard\.org|w3\.org
            |json-schema\.org|sendgrid\.com|debian\.org|iana\.org
            |unicode\.org))$
}xi;

my @files = files(qr/./);

cmp_ok(scalar(@files), '>', 10, 'there are files');

for my $path (@files) {
    my $text = text($path);
    my @wrong;

    # inputs of fuzzers and test vectors are data, not words
    next if $path =~ m{^t/(?:data|fuzz/corpus)/} || $text =~ /\0/;

    for my $word (@words) {
        my ($pattern, $why) = @$word;

        while ($text =~ /$pattern/g) {
            my $n = 1 + (substr($text, 0, $-[0]) =~ tr/\n//);
            push @wrong, "$path:$n: \"$&\": $why";
        }
    }

    while ($text =~ m{\bhttps?://([\w.-]+|\[[\da-fA-F:]+\])}g) {
        my $host = $1;
        my $n = 1 + (substr($text, 0, $-[0]) =~ tr/\n//);

        $host =~ s/[.-]+$//;
        push @wrong, "$path:$n: the host $host" unless $host =~ $hosts;
    }

    ok(!@wrong, $path) or diag(join("\n", @wrong));
}

done_testing();
