package IotTest::Sink;

# Copyright (C) the ngx_iot authors

# A web server for tests: it writes down what it is asked, and answers as the
# path says: /status/N with that status, /silent not at all, /big with two
# megabytes, /binary with bytes that are no text, /code/N with the token N,
# /redirect with a 302; /captcha as a server that verifies captchas: who
# answers "right" is right, with "secret 9" as the secret, and "slow" takes a
# second.

use strict;
use warnings;

use IO::Socket::INET ();
use IotCtl::Run qw(read_file);
use JSON::XS ();
use POSIX ();

my $json = JSON::XS->new->canonical;


sub new {
    my ($class, $t) = @_;
    my $self = bless { t => $t, port => $t->free_port,
        dir => File::Temp::tempdir(DIR => $t->dir) }, $class;

    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => $self->{port}, Listen => 64, ReuseAddr => 1)
        or die "cannot listen on $self->{port}: $!\n";

    my $pid = fork();
    die "fork: $!" unless defined $pid;

    if ($pid == 0) {
        $SIG{CHLD} = 'IGNORE';

        while (1) {
            my $c = $socket->accept or next;
            my $child = fork();

            if (defined $child && $child == 0) {
                alarm(60);
                eval { $self->talk($c) };
                POSIX::_exit(0);
            }

            close($c);
        }
    }

    close($socket);
    $t->child($pid);

    return $self;
}


sub url { return "http://127.0.0.1:$_[0]->{port}$_[1]" }


# what it was asked: method, path, headers (lower case), body
sub requests {
    my ($self, $n) = @_;
    my @all;

    $self->{t}->wait_for(15, sub {
        @all = map { $json->decode($_) }
            split(/\n/, read_file("$self->{dir}/requests") || '');
        return @all >= ($n || 0);
    });

    return @all;
}


sub talk {
    my ($self, $c) = @_;
    my ($method, $path) = (<$c> || '') =~ m{^(\S+) (\S+) } or return;
    my %header;
    my $body = '';

    while (my $line = <$c>) {
        last if $line eq "\r\n";
        $header{lc($1)} = $2 if $line =~ /^([^:]+): ?(.*?)\r\n/;
    }

    read($c, $body, $header{'content-length'} || 0);

    open(my $fh, '>>', "$self->{dir}/requests") or die $!;
    syswrite($fh, $json->encode({ method => $method, path => $path,
        headers => \%header, body => $body }) . "\n");
    close($fh);

    sleep(60) if $path =~ m{^/silent};

    my $status = $path =~ m{^/status/(\d+)} ? $1
        : $path eq '/redirect' ? 302 : 200;
    my $text = $path eq '/big' ? 'x' x 2097152
        : $path eq '/binary' ? "\0\xff"
        : $path eq '/captcha' ? verdict($body)
        : $path =~ m{^/code/(\w+)} ? qq({"token":"$1"}) : '{"ok":true}';

    print $c "HTTP/1.1 $status Word\r\nContent-Type: application/json\r\n"
        . "X-Two: one\r\nX-Two: two\r\n"
        . ($status == 302 ? "Location: /elsewhere\r\n" : '')
        . 'Content-Length: ' . length($text) . "\r\nConnection: close\r\n\r\n"
        . ($method eq 'HEAD' ? '' : $text);
    close($c);
}


sub verdict {
    my ($body) = @_;
    my %form = map { tr/+/ /; s/%(..)/chr hex $1/ger } map { split(/=/, $_) }
        split(/&/, $body);
    my $word = $form{response} || '';

    sleep(1) if $word eq 'slow';

    return $json->encode({ success => $form{secret} eq 'secret 9'
            && $word =~ /^(right|slow|other)$/ ? \1 : \0,
        action => $word eq 'other' ? 'vote' : 'signup' });
}


1;
