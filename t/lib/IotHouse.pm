package IotHouse;

# Copyright (C) the ngx_iot authors

# What the house tests share: the files of the tree, and C without its comments.

use strict;
use warnings;

use Cwd ();
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Find ();

our @EXPORT_OK = qw(files text bare);
our $top = dirname(dirname(dirname(Cwd::abs_path(__FILE__))));


# paths below the top that match; what git ignores is left out, also where
# there is no git, as in a source archive
sub files {
    my ($pattern) = @_;
    my @list;

    if (-e "$top/.git") {
        open(my $git, '-|', 'git', '-C', $top, 'ls-files', '-z', '-c', '-o',
            '--exclude-standard') or die "git: $!\n";
        local $/ = "\0";
        chomp(@list = <$git>);
    }

    if (!@list) {
        File::Find::find({ no_chdir => 1, wanted => sub {
            return if $_ eq $top;

            my $path = substr($_, length($top) + 1);

            if (-d $_ && ($path eq 'build' || $path eq 'var')) {
                $File::Find::prune = 1;
            }

            push @list, $path if -f $_;
        } }, $top);
    }

    return sort grep { /$pattern/ && -f "$top/$_" && !-l "$top/$_" } @list;
}


sub text {
    my ($path) = @_;

    open(my $fh, '<:raw', "$top/$path") or die "$path: $!\n";
    local $/;
    my $text = <$fh>;

    return defined $text ? $text : '';
}


# C with comments and the insides of strings blanked, line by line as before
sub bare {
    my ($text) = @_;

    $text =~ s{(/\*.*?\*/)|("(?:[^"\\\n]|\\.)*")|('(?:[^'\\\n]|\\.)*')}{
        my ($comment, $string, $char) = ($1, $2, $3);
        defined $comment ? $comment =~ s/[^\n]/ /gr
            : defined $string ? '"' . ('_' x (length($string) - 2)) . '"'
            : "'" . ('_' x (length($char) - 2)) . "'"
    }gse;

    return $text;
}


1;
