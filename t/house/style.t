#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# The style of nginx, as far as a machine can see it.

use strict;
use warnings;

use File::Basename qw(basename dirname);
use Test::More;

use lib dirname(__FILE__) . '/../lib';

use IotHouse qw(files text bare);

# a floor may use itself and what is listed
my %below = (
    codec  => [],
    core   => [qw(codec)],
    device => [qw(core codec)],
    mqtt   => [qw(device core codec)],
    native => [qw(device core codec)],
    http   => [qw(mqtt native device core codec)],
    stream => [qw(mqtt native device core codec)],
    helper => [qw(codec)],
);

# longest file, longest function
use constant { FILE_LINES => 1200, FUNCTION_LINES => 150 };

my @c = files(qr/\.[ch]$/);
my %floor_of = map { basename($_) => floor($_) } grep { floor($_) } @c;

cmp_ok(scalar(@c), '>', 10, 'there are C files');

for my $path (files(qr/(?:\.(?:[ch]|pm|t|sql|md|conf|sh)|^tools\/iotctl)$/)) {
    my @wrong = blanks($path, text($path));

    push @wrong, c_file($path, text($path)) if $path =~ /\.[ch]$/;

    ok(!@wrong, $path) or diag(join("\n", map { "$path:$_" } @wrong));
}

done_testing();


sub floor {
    my ($path) = @_;

    return $1 if $path
        =~ m{^ngx_iot_module/(codec|core|device|mqtt|native|http|helper)/};
    return 'stream' if $path =~ m{^stream_modules/};
    return undef;
}


sub blanks {
    my ($path, $text) = @_;
    my @wrong;
    my $n = 0;
    my $max = $path =~ /\.(?:[ch]|pm|t)$|iotctl$/ ? 80 : undef;

    utf8::decode($text) or push @wrong, '0: is not UTF-8';

    for my $line (split(/\n/, $text, -1)) {
        $n++;
        push @wrong, "$n: a tab" if $line =~ /\t/;
        push @wrong, "$n: blanks at the end" if $line =~ /[ \r]$/;
        push @wrong, "$n: " . length($line) . ' columns'
            if $max && length($line) > $max;
    }

    push @wrong, "$n: no newline at the end" if $text ne '' && $text !~ /\n\z/;
    push @wrong, "$n: empty lines at the end" if $text =~ /\n\n\z/;

    return @wrong;
}


sub c_file {
    my ($path, $text) = @_;
    my @line = split(/\n/, $text, -1);
    my @bare = split(/\n/, bare($text), -1);
    my @wrong;

    push @wrong, '1: an empty line and the copyright come first'
        unless $text =~ m{\A\n/\*\n \* Copyright \(C\) the ngx_iot authors\n};
    push @wrong, scalar(@line) . ': too long a file'
        if @line > FILE_LINES && $path !~ m{^t/};

    if ($path =~ /\.h$/ && $path =~ m{^(?:ngx_iot_module|stream_modules)/}) {
        my $guard = '_' . uc(basename($path, '.h')) . '_H_INCLUDED_';

        push @wrong, "1: the guard is $guard"
            unless $text =~ /^#ifndef \Q$guard\E\n#define \Q$guard\E\n\n\n/m
            && $text =~ m{\n\n\n#endif /\* \Q$guard\E \*/\n\z};
    }

    for my $i (0 .. $#bare) {
        my $n = $i + 1;
        my $now = $bare[$i];
        my $last = $i ? $bare[$i - 1] : '';

        push @wrong, "$n: a // comment" if $now =~ m{//};
        push @wrong, "$n: no empty line before \"} else\""
            if $now =~ /^\s*\} else\b/ && $line[$i - 1] ne '';
        push @wrong, "$n: \"else\" begins a line" if $now =~ /^\s*else\b/;
        push @wrong, "$n: a body without braces"
            if $now =~ /^\s*(?:if|while|for) (\((?:[^()]++|(?1))*\)) [^{].*;$/
            || $now =~ /^\s*(?:\} )?else [^{]*;$/;
        push @wrong, "$n: no blank after the keyword"
            if $now =~ /\b(?:if|for|while|switch)\(/;
        push @wrong, "$n: not safe: $1()"
            if $now =~ /\b(sprintf|vsprintf|strcpy|strcat|gets|alloca)\s*\(/
            && $path !~ m{^t/};
        # its end would not be aligned, and what is allocated there beyond it
        push @wrong, "$n: the size of a pool must be aligned"
            if $now =~ /\bngx_create_pool\((?!\d+,|ngx_align\()/;
        push @wrong, "$n: more than two empty lines"
            if $i > 2 && $line[$i] eq '' && $line[$i - 1] eq ''
            && $line[$i - 2] eq '' && $i < $#line;

        if ($now eq '}' && $path =~ /\.c$/) {
            my $j = $i + 1;

            $j++ while $j < $#line && $line[$j] eq '';
            push @wrong, "$n: two empty lines between functions"
                if $j < $#line && $line[$j] !~ /^#/ && $j - $i != 3;
        }
    }

    push @wrong, functions(\@bare) if $path =~ /\.c$/ && $path !~ m{^t/};
    push @wrong, includes($path, \@line) if floor($path);

    return @wrong;
}


# return type on its own line, a prototype for what is static, length
sub functions {
    my ($bare) = @_;
    my @wrong;
    my $all = join("\n", @$bare);

    for my $i (1 .. $#$bare) {
        next unless $bare->[$i] eq '{';

        my $j = $i - 1;

        $j-- while $j > 0 && $bare->[$j] !~ /^\w/;

        my ($name) = $bare->[$j] =~ /^(\w+)\(/;

        if (!defined $name) {
            push @wrong, ($j + 1) . ': the return type has its own line'
                if $bare->[$j] =~ /^\w.*\w\(/;
            next;
        }

        my $type = $bare->[$j - 1];
        my $end = $i;

        $end++ while $end < $#$bare && $bare->[$end] ne '}';

        push @wrong, ($j + 1) . ": $name has " . ($end - $i) . ' lines'
            if $end - $i > FUNCTION_LINES;

        next unless $type =~ /^static\b/ && $type !~ /ngx_inline/;

        push @wrong, ($j + 1) . ": no prototype of $name"
            unless $all =~ /^static\b[^;{}()]*\b\Q$name\E\([^{}]*?\)[^{};]*;/m;
    }

    return @wrong;
}


sub includes {
    my ($path, $lines) = @_;
    my $floor = floor($path);
    my %may = map { $_ => 1 } $floor, @{$below{$floor}};
    my (@wrong, $n);

    for my $line (@$lines) {
        $n++;
        next unless $line =~ /^\s*#\s*include\s+[<"]([^>"]+)[>"]/;

        my $name = basename($1);
        my $other = $floor_of{$name};

        push @wrong, "$n: $floor may not use $name of $other"
            if defined $other && !$may{$other};

        # the shim itself is where nginx and libc meet
        next if $name eq 'ngx_iot_codec.h'
            || basename($path) eq 'ngx_iot_codec.h';

        push @wrong, "$n: $floor may not use $name"
            if ($floor eq 'codec'
                && $name =~ /^ngx_(?!iot_)|^libpq|^postgres/)
            || ($floor =~ /^(?:core|device|mqtt|native)$/
                && $name =~ /^ngx_(?:http|stream|mail)/)
            || ($floor eq 'stream' && $name =~ /^ngx_http/)
            || ($floor eq 'http' && $name =~ /^ngx_stream/);
    }

    return @wrong;
}
