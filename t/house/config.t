#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# What is built, what can be configured, and what is documented agree.

use strict;
use warnings;

use File::Basename qw(basename dirname);
use Test::More;

use lib dirname(__FILE__) . '/../lib';

use IotHouse qw(files text bare);

my $config = text('config');
my %listed;

$listed{$_}++ for $config =~ /\b(ngx_\w+\.[ch])\b/g;

my @sources = grep { !m{/helper/} }
    files(qr{^(?:ngx_iot_module|stream_modules)/.*\.[ch]$});
my %name;

cmp_ok(scalar(@sources), '>', 10, 'there are sources');

for my $path (@sources) {
    my $file = basename($path);

    # nginx's build flattens the folders
    ok(!$name{$file}++, "$file: one file of that name");
    is($listed{$file} || 0, 1, "$file: listed once in config");
}

for my $file (sort keys %listed) {
    ok($name{$file}, "$file: what config lists exists");
}

my $docs = join('', map { text($_) } files(qr{^docs/.*\.md$}));
my $used = join('', map { text($_) } files(qr{^(?:t/.*\.t|conf/.*\.conf)$}));

# of tables of commands the names in their first field
for my $path (grep { /\.c$/ } @sources) {
    my $text = text($path);

    while ($text =~ /static ngx_command_t\s+\w+\[\] = \{(.*?)\n\};/gs) {
        for my $directive ($1 =~ /\{ ngx_string\("(\w+)"\),/g) {
            ok($docs =~ /\b$directive\b/, "$directive: in docs/");
            ok($used =~ /\b$directive\b/, "$directive: in a test or conf/");
        }
    }

    while ($text =~ /ngx_http_variable_t\s+\w+\[\] = \{(.*?)\n\};/gs) {
        for my $variable ($1 =~ /\{ ngx_string\("(\w+)"\),/g) {
            ok($docs =~ /\$$variable\b/, "\$$variable: in docs/");
            ok($used =~ /\$$variable\b/, "\$$variable: in a test or conf/");
        }
    }
}

# the templates know no variable that iotctl does not fill in
my $renderer = text('tools/lib/IotCtl/Nginx.pm');

for my $path (files(qr{^conf/\w[\w-]*\.conf$})) {
    for my $variable (text($path) =~ /\@([A-Z_]+)\@/g) {
        ok($renderer =~ /^\s+$variable\s+=>/m, "$path: \@$variable\@");
    }
}

# settings and commands of iotctl
my ($settings) = text('tools/lib/IotCtl/Instance.pm') =~
    /our \@settings = \((.*?)\n\);/s;

for my $setting ($settings =~ /\[(IOT_\w+)/g, 'IOT_DIR') {
    ok($docs =~ /\b$setting\b/, "$setting: in docs/");
}

my ($commands) = text('tools/iotctl') =~ /my \@commands = \((.*?)\n\);/s;

for my $command ($commands =~ /\[(\w+)/g) {
    ok($docs =~ /iotctl $command\b/, "iotctl $command: in docs/");
}

done_testing();
