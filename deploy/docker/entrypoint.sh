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
  # Started as root (`user: root`): take over the folder, then become the server's user.
  # Without the capabilities for that, the server runs as what it is.
  find . \! -user glasswing -exec chown glasswing:glasswing {} + 2>/dev/null \
    || echo "glasswing: cannot change the owner of all files in $(pwd)" >&2
  if setpriv --reuid=999 --regid=999 --clear-groups true 2>/dev/null; then
    exec setpriv --reuid=999 --regid=999 --clear-groups -- "$@"
  fi
  echo "glasswing: cannot leave the root user (capabilities SETUID and SETGID are missing)" >&2
elif ! [ -w . ]; then
  echo "glasswing: $(pwd) is not writable for user $(id -u): nothing can be saved there." \
    "Make that user its owner (chown $(id -u) on the host), or start the container with" \
    "user root, which does so and then becomes user 999." >&2
fi
exec "$@"
