#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# docs/settings.md is made from the registry.  "make settings-doc" writes it;
# without that wish this compares.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

my $here;


BEGIN {
    $here = dirname(Cwd::abs_path(__FILE__));
}


use lib "$here/../lib", "$here/../../tools/lib";

use DBI ();
use IotCtl::Run qw(read_file write_file);
use IotTest::Cluster ();
use JSON::XS ();
use Text::Wrap qw(wrap);

my $path = "$here/../../docs/settings.md";
my $cluster = IotTest::Cluster->shared;
my ($database) = $cluster->database('tmpl');
my $db = DBI->connect("dbi:Pg:dbname=$database;host="
    . $cluster->{postgres}{socket}, 'postgres', '',
    { RaiseError => 1, PrintError => 0, pg_enable_utf8 => 1 });
my $json = JSON::XS->new->canonical->allow_nonref;
my $rows = $db->selectall_arrayref('SELECT * FROM iot.setting_definition '
    . 'ORDER BY name COLLATE "C"', { Slice => {} });

$db->disconnect;
$cluster->drop($database);

cmp_ok(scalar @$rows, '>', 20, 'there are settings');

my $text = document(@$rows);

if ($ENV{IOT_WRITE_DOCS}) {
    write_file($path, $text, 0644);
}

my $found = read_file($path) // '';

ok($found eq $text, 'docs/settings.md is that of the registry')
    or diag('run "make settings-doc"');

like($found, qr/^### \Q$_->{name}\E$/m, $_->{name}) for @$rows;

done_testing();


sub document {
    my $text = <<'END';
# Settings

Made from the registry by `make settings-doc`; do not edit.

What an administrator may want to change while the server runs is a setting: a
row of the database with a name, a type and bounds.  Changes are checked,
written to the audit log with the old and the new value, and in force in every
worker and helper of every node as soon as they have heard of it, which takes
milliseconds.

    GET    /api/settings              all that the caller may see; ?prefix=mail.
    GET    /api/settings/mail.from
    PUT    /api/settings/mail.from    {"value":"iot@example.org"}
    DELETE /api/settings/mail.from    back to the default

System administrators have the settings of the server.  Tenant administrators
have those that are "for each tenant"; where a tenant sets nothing, the setting
of the server holds.  What a value must be is told by a refusal: 400 with a
message such as `jwt.expiration must be an integer from 60 to 315360000!`.

A secret is sealed by the worker before the database sees it and never shown
again, only `***`.

The settings objects of the ThingsBoard API (`/api/admin/settings/general`,
`/api/admin/securitySettings` ...) are other ways to the same values.

END
    my $group = '';

    local $Text::Wrap::columns = 94;

    for my $row (@_) {
        my ($first) = split(/\./, $row->{name});

        if ($first ne $group) {
            $group = $first;
            $text .= "\n## $group\n\n";
        }

        my @facts = ($row->{type}, limits($json->decode($row->{bounds})),
            $row->{default_value} eq 'null' ? 'not set by default'
                : "default `$row->{default_value}`",
            $row->{scope} eq 'tenant' ? 'for each tenant' : (),
            $row->{secret} ? 'secret' : (),
            $row->{hot} ? () : 'after a restart');

        $text .= "### $row->{name}\n\n" . wrap('', '', $row->{description})
            . "\n\n" . wrap('', '', '*' . join('; ', @facts) . '*') . "\n\n";
    }

    # what breaks a line at two blanks leaves one
    $text =~ s/[ ]+$//mg;
    $text =~ s/\n+\z/\n/;
    return $text;
}


sub limits {
    my ($bounds) = @_;
    my @said;

    push @said, "$bounds->{min} to $bounds->{max}"
        if defined $bounds->{min} && defined $bounds->{max};
    push @said, "at least $bounds->{min}"
        if defined $bounds->{min} && !defined $bounds->{max};
    push @said, "at most $bounds->{max}"
        if !defined $bounds->{min} && defined $bounds->{max};
    push @said, 'one of ' . join(', ', map { "`$_`" } @{$bounds->{values}})
        if $bounds->{values};
    push @said, "up to $bounds->{maxLength} characters"
        if $bounds->{maxLength};
    push @said, "up to $bounds->{maxItems} of them" if $bounds->{maxItems};
    push @said, "matching `$bounds->{pattern}`" if $bounds->{pattern};

    return @said;
}
