#!/bin/sh
# Asks the site for its first page, with nothing but a shell and what nginx itself needs.
set -eu
exec 2>&1
answer=$(perl -MIO::Socket::INET -e '
  my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ENV{port}, Timeout => 10) or die "no answer on port $ENV{port}: $@\n";
  print $socket "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n";
  print while <$socket>;
')
case $answer in
*"$greeting"*) ;;
*) echo "the first page does not say '$greeting': $answer"; exit 1 ;;
esac
