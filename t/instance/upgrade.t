#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Another module comes into the place of the one that runs: reloads keep the
# old code, the upgrade runs the new one, and no request fails in between.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use File::Temp ();
use Test::More;
use IotTest::Device;
use IotTest::Load;

my $here = File::Temp::tempdir('/tmp/iot-module-XXXXXXXX', CLEANUP => 1);
my $module = "$here/ngx_iot_module.so";
my $original = IotCtl::Run::read_file($ENV{IOT_MODULE}
    || "$IotTest::top/build/ngx_iot_module.so");

chmod(0755, $here);
install($original);

# nginx hands nothing of its environment to its successor but what it is told
my $t = IotTest::Device->new(workers => 2, env => { IOT_MODULE => $module },
    main => join('', map { "env $_;\n" } $ENV{IOT_SANITIZE}
        ? qw(LD_PRELOAD ASAN_OPTIONS UBSAN_OPTIONS) : ()));
my ($version) = $t->get('/metrics')->body =~ /^iot_info\{version="([^"]+)"/m;
my @tokens = map { "Load$_" } 1 .. 4;

$t->add_devices(@tokens);
like($version, qr/^\d+\.\d+\.\d+$/, 'the metrics tell the version');


# never in place: the old file is still mapped
sub install {
    my ($bytes) = @_;

    IotCtl::Run::write_file("$module.new", $bytes, 0755);
    rename("$module.new", $module) or die "rename: $!";
}


sub version {
    my $answer = $t->client->request('GET', '/metrics', []);

    return $answer->body =~ /^iot_info\{version="([^"]+)"/m ? $1 : '';
}


# a module of another version: the same length, so that nothing moves
(my $next = $version) =~ tr/0-9/1-90/;
(my $changed = $original) =~ s/version="\Q$version\E"/version="$next"/g
    or die "no version in the module\n";
install($changed);

for my $i (1 .. 2) {
    $t->reload(gone => 1);
    is(version(), $version, "reload $i: the code is the old one");
    is($t->telemetry('{"a":1}')->status, 200, 'and it works');
}

my $load = IotTest::Load->new($t, connections => 8, tokens => \@tokens,
    close => 1);
my $old = $t->master_pid;

delete $t->{client};
$load->run(sub { $load->count(200) >= 100 });
my $child = fork();
die "fork: $!" unless defined $child;

if (!$child) {
    my $new = eval { $t->with_env(sub {
        local %ENV = (%ENV, %{$t->sanitizer_env});
        IotCtl::Nginx::upgrade($t->{instance}, 30);
    }) };
    require POSIX;
    POSIX::_exit($new && $new != $old ? 0 : 1);
}

my $code;
$load->run(sub {
    $code = $? if waitpid($child, 1) == $child;
    return defined $code;
}, 60);
is($code, 0, 'a new master has taken over');

my $good = $load->count(200);
$load->run(sub { $load->count(200) >= $good + 100 });
$load->finish;
is(version(), $next, 'its code is the new one');
isnt($t->master_pid, $old, 'it is another process');
ok(!IotCtl::Run::alive($old), 'the old one has ended');
is($load->others(200), '', 'all answers under way were 200');
is($load->refused, 0, 'each connection was accepted');
is($load->lost, 0, 'each request was answered');
is(scalar(my @missing = $load->missing), 0,
    'every acknowledged point is there');

# what does not start changes nothing
my $master = $t->master_pid;

$t->allow_alert(qr{dlopen\(\) "\Q$module\E" failed});

install('no module');
ok(!eval { $t->with_env(sub { IotCtl::Nginx::upgrade($t->{instance}) }); 1 },
    'a file that is no module is refused');
is($t->master_pid, $master, 'the master is the same');
is($t->telemetry('{"a":1}')->status, 200, 'and goes on');
install($changed);

done_testing();
