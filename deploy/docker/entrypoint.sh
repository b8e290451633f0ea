#!/bin/sh
# What starts in the container: the same words as for the `redis` image.
#
#   docker run glasswing                          the server
#   docker run glasswing --requirepass x          the server with options
#   docker run glasswing /etc/my.conf --port 7000 the server with a file and options
#   docker run glasswing redis-server ...         the server (a link to glasswing)
#   docker run -it glasswing redis-cli -h host    anything else is run as it is
set -eu

case "${1-}" in
  -* | *.conf) set -- glasswing "$@" ;;
esac

case "${1-}" in
  glasswing | redis-server) ;;
  *) exec "$@" ;;
esac

# What the server writes is for its own user.
[ "$(umask)" != 0022 ] || umask 0077

if [ "$(id -u)" = 0 ]; then
  # Started as root (`user: root`): take over the folder and the snapshots in it, nothing
  # else that may lie there, then become the server's user.
  find . -maxdepth 1 \( -path . -o -name '*.snapshot' -o -name '*.rdb' \) \! -user glasswing \
    -exec chown glasswing:glasswing {} + \
    || echo "glasswing: cannot take over $(pwd) (capability CHOWN is missing)" >&2
  drop='setpriv --reuid=glasswing --regid=glasswing --clear-groups --no-new-privs --inh-caps=-all'
  if $drop true 2>/dev/null; then
    exec $drop "$0" "$@"
  fi
  echo "glasswing: stays root (capabilities SETUID and SETGID are missing)" >&2
fi
if ! [ -w . ]; then
  echo "glasswing: $(pwd) is not writable for user $(id -u): nothing can be saved there." \
    "Make that user its owner (chown $(id -u) on the host), or start the container with" \
    "user root, which does so and then becomes user 999." >&2
fi
exec "$@"
