# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# The configuration is read again and again, under a flood and many real clients: nobody notices, nothing is forgotten.
# beside others
. "$(dirname "$0")/../lib.sh"

RATE=20000
RELOADS=${RELOADS:-30}
FAST=10.78.200.1 FAST_INDEX=51201 # as client_address() counts

# config DENIED HOLD_S: what changes from one reload to the next.
config()
{
    cat <<-END
	services = ( { name = "web"; ports = [80]; }, { name = "other"; ports = [8080]; } );
	allow = [ "10.78.250.0/24" ];
	deny = [ "$1" ];
	backlog = { handshake_timeout_s = 3; hold_s = $2; };
	sources = { prefix_v6 = 128; };
	rate_limit = { connections_per_s = 50; burst = 100; ban_s = 600; };
	END
}
reload() { config_write "$1" && ctl reload >"$WORK/answer" 2>&1; }
learned() { stat_get '[.services[] | select(.port == 80) | .learned] | tostring'; }
banned() { ctl ban list | grep -qwF -- "$1"; }
list_has() { ctl "$1" list | grep -qF -- "$2"; } # allow|deny CIDR
list_lacks() { ! list_has "$@"; }

# Each takes effect, and the service is armed before, between and after.
reload_often()
{
    local i net
    for ((i = 1; i <= RELOADS; i++)); do
        net=192.0.2.$((i % 2 * 128))/25
        reload "$(config "$net" $((2 + i % 2)))" && list_has deny "$net" && armed 80 && continue
        echo "reload $i:" | cat - "$WORK/answer" >&2
        return 1
    done
}

topo_up
NGINX_LISTEN='listen 8080; listen [::]:8080;' nginx_start 511
daemon_start "$(config 198.51.100.0/24 2)" || exit 1
check "clients are served" test "$(requests 5 3 "$SRV4")$(requests 5 3 "$SRV6")" = 55
check "what the server answers is learned" stat_is 'any(.services[]; .port == 80 and .learned.mss > 0)'
before=$(learned)

crowd_start -p 10 -l 1 --sources 1 --base $FAST_INDEX "$SRV4"
check "a source that connects too fast is banned" wait_until 10 banned $FAST
crowd_end
check "a network is denied by hand" ctl deny add 203.0.113.0/24
check "a network is allowed by hand" ctl allow add 203.0.114.0/24
check "a service is armed by hand" ctl arm other

flood_start $RATE 50 "$SRV4" 80
check "the flood arms the service" wait_until 3 armed 80
crowd_start -p 8 --sources 2000 "$SRV4" "$SRV6"
check "$RELOADS reloads take effect, and the service stays armed" reload_often
check "the flood is still on" alive "$FLOOD_PID"
check "requests of others are served, too" test "$(requests 20 3 "$SRV4")" -eq 20
crowd_end
check "no connection is lost meanwhile" crowd_is '.ok > 100 and .failed == 0'
flood_stop

check "what was learned is kept" test "$(learned)" = "$before"
check "the service was armed once" test "$(grep -c 'any:80) armed' "$WORK/daemon.log")" -eq 1
check "a service that was armed by hand still is" service_is 8080 override arm
check "the ban is kept" banned $FAST
check "it is still in force" refused $FAST "$SRV4"
check "what was denied by hand is kept" list_has deny 203.0.113.0/24
check "what was allowed by hand is kept" list_has allow 203.0.114.0/24
check "what the first configuration denied is not" list_lacks deny 198.51.100.0/24
check "every reload is logged" test "$(log_lines reloaded)" -ge "$RELOADS"
check "no handover failed" test "$(counter handover_failed)" -eq 0

check "what counts at once: the answer says no more" test "$(ctl reload)" = "ok: configuration reloaded"
config_write "$(config 192.0.2.0/25 2)
    control = { socket = \"$WORK/ctl.sock\"; access = \"everybody\"; }; metrics = { listen = \"127.0.0.1:9464\"; };"
check "what waits for a restart: the answer says what" test "$(ctl reload)" = \
    "ok: configuration reloaded; at a restart only: control, metrics"
check "what waits for a restart: an event, too" told restart-needed '.fields.keys == "control, metrics"'
check "what waits for a restart: it does" test "$(stat -c %a "$WORK/ctl.sock")" = 660
check "the service disarms by itself" wait_until 15 unarmed 80
check "a clean stop" daemon_stop
