# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=../lib.sh
# What a server has around it: hosts behind it, NAT, policy routing, the admin's own rules, and clients that cheat.
# beside others
. "$(dirname "$0")/../lib.sh"

ALWAYS='{ name = "web"; ports = [80]; cookies = "always"; }'
COUNT_SYNACKS='table inet seen { chain out {
    type filter hook postrouting priority 0
    oifname != "lo" tcp sport 80 tcp flags & (syn | ack) == syn | ack counter
}; }'
BEHIND4=10.77.2.2 BEHIND6=fd77:2::2 # the attacker's end, in the tests where it is a well-behaved neighbour
# shellcheck disable=SC2034 # read by at()
NOBODY4=10.77.2.9 NOBODY6=fd77:2::9 UPLINK4=198.51.100.1 UPLINK6=2001:db8:100::1 AFAR4=192.0.2.9 AFAR6=2001:db8:2::9 \
    NET4=10.77.2.255 NET6=fd77:2::

# at NAME FAMILY: the address NAME4 or NAME6.
at() { local name=$1$2; echo "${!name}"; }
url() { echo "http://$(url_host "$1")$2"; } # ADDRESS [:PORT]/[PATH]

reload() { config_write "$1"; kill -HUP "$DAEMON_PID"; }

served() { [ "$(PARALLEL=4 requests "$1" 2 "$2")" -eq "$1" ]; } # N DST; PORT

# handed N DST: N requests are served, each after a handover.
handed()
{
    local due
    due=$(($(counter handed_over) + $1)) && served "$@" && wait_until 1 counted handed_over "$due"
}
# The first client of an armed service is let through, for what the server answers to it.
learned() { wait_until 5 handed 1 "$1"; } # DST; PORT

download() { in_cli curl -sf -m 20 -o "$WORK/got" "$1" && cmp "$2" "$WORK/got"; } # URL ORIGINAL

# download_start FAMILY, download_check: a slow download that later events must not harm.
download_start()
{
    in_cli curl -sf -m 30 --limit-rate "$RATE" --interface "$(at CLI "$1")" --local-port 45678 \
        -o "$WORK/slow" "$(url "$(at SRV "$1")" /big)" &
    DOWNLOAD_PID=$!
    wait_until 5 test -s "$WORK/slow"
}
download_check() { wait "$DOWNLOAD_PID" && cmp "$WORK/www/big" "$WORK/slow"; }

big_file() { mkdir -p "$1/www" && head -c "$2" /dev/urandom >"$1/www/big"; } # DIRECTORY SIZE

# server_up: a server with one service, and the tool to send it any packet.
server_up()
{
    topo_up
    nginx_start 128
    cat >"$WORK/packets.py" <<-'END'
	import random, select, socket, struct, sys, time
	SYN, RST, PUSH, ACK = 2, 4, 8, 16

	def checksum(data):
	    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
	    while total >> 16:
	        total = (total & 0xffff) + (total >> 16)
	    return ~total & 0xffff

	def timestamps(value):
	    return struct.pack("!BBBBII", 1, 1, 8, 10, value, 0)

	def packet(src, dst, sport, dport, flags, seq, ack=0, options=b"", data=b"", extension=b""):
	    """TCP in IP; an IPv6 extension header is padded here to its length."""
	    family = socket.AF_INET6 if ":" in dst else socket.AF_INET
	    ends = socket.inet_pton(family, src) + socket.inet_pton(family, dst)
	    tcp = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xffffffff, ack & 0xffffffff,
	                      (20 + len(options)) << 2, flags, 64240, 0, 0) + options + data
	    pseudo = ends + struct.pack("!II", len(tcp), 6)
	    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp + bytes(len(tcp) % 2))) + tcp[18:]
	    if family == socket.AF_INET6:
	        return struct.pack("!IHBB", 6 << 28, len(extension) + len(tcp), 60 if extension else 6, 64) + ends \
	            + extension + tcp
	    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0x4000, 64, 6, 0) + ends
	    return ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + tcp

	class Wire:
	    """The server's other end of DEVICE, below any kernel's opinion of what may be sent."""
	    def __init__(self, device):
	        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
	        self.sock.bind((device, 3))
	        mine = self.sock.getsockname()[4]
	        self.ethernet = mine[:5] + b"\1" + mine

	    def send(self, *args, **more):
	        data = packet(*args, **more)
	        self.sock.send(self.ethernet + (b"\x86\xdd" if data[0] >> 4 == 6 else b"\x08\x00") + data)
	END
}

# packets CLI|ATK ARG...: the Python on stdin, with `wire` at that end.
packets()
{
    local device=c0
    [ "$1" = ATK ] && device=a0
    ip netns exec "${!1}" env PYTHONPATH="$WORK" PYTHONDONTWRITEBYTECODE=1 \
        python3 <(echo "from packets import *; wire = Wire('$device')"; cat) "${@:2}"
}

# ---- what the host forwards

# neighbour_up: the server is a router, and behind it is another host with a web server.
neighbour_up()
{
    in_srv sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    ip -n "$CLI" route add 10.77.2.0/24 via "$SRV4"
    ip -n "$CLI" route add fd77:2::/64 via "$SRV6"
    ip -n "$ATK" route add default via 10.77.2.1
    ip -n "$ATK" route add default via fd77:2::1
    SRV=$ATK WORK=$WORK/behind nginx_start
}

unconnected() { [ "$(in_cli curl -s -m 1 -o /dev/null -w '%{time_connect}' "$(url "$1" /)")" = 0.000000 ]; }

server_up
big_file "$WORK/behind" 1M
neighbour_up
daemon_start "services = ( $ALWAYS );" || exit 1
for f in 4 6; do
    name="IPv$f: a host that forwards"
    check "$name: its own service is answered for" learned "$(at SRV $f)"
    syns=$(counter syn_received) done=$(counter handed_over)
    check "$name: another host is served" served 5 "$(at BEHIND $f)"
    check "$name: another host is served bytes as they are" \
        download "$(url "$(at BEHIND $f)" /big)" "$WORK/behind/www/big"
    check "$name: an address with nobody behind it does not look open" unconnected "$(at NOBODY $f)"
    check "$name: what it forwards is not counted" test "$(counter syn_received)" -eq "$syns"
    check "$name: what it forwards is not handed over" test "$(counter handed_over)" -eq "$done"
done
check "a host that forwards: a clean stop" daemon_stop

# ---- behind NAT

NGINX_LISTEN='listen 81; listen [::]:81; listen 82; listen [::]:82;' server_up
big_file "$WORK/behind" 20M
neighbour_up
in_srv nft -f - <<-END
	table inet nat {
	    chain in {
	        type nat hook prerouting priority dstnat;
	        fib daddr type local tcp dport 81 dnat ip to $BEHIND4:80
	        fib daddr type local tcp dport 81 dnat ip6 to [$BEHIND6]:80
	        fib daddr type local tcp dport 82 redirect to :80
	    }
	}
END
daemon_start 'services = ( { name = "container"; ports = [81, 82]; cookies = "always"; } );' || exit 1
for f in 4 6; do
    dst=$(at SRV $f)
    PORT=81 check "IPv$f: a published container port is answered for" learned "$dst"
    PORT=81 check "IPv$f: a published container port hands over 20 of 20" handed 20 "$dst"
    check "IPv$f: a published container port delivers 20 MB as they are" \
        download "$(url "$dst" :81/big)" "$WORK/behind/www/big"
    PORT=82 check "IPv$f: a redirected port is answered for" learned "$dst"
    PORT=82 check "IPv$f: a redirected port hands over 20 of 20" handed 20 "$dst"
done
check "behind NAT: no handover failed" test "$(counter handover_failed)" -eq 0

# ---- policy routing: what comes from the second uplink's address leaves by it, all else by the default route

server_up
in_srv sysctl -qw net.ipv4.conf.{all,eth0}.rp_filter=0
for f in 4 6; do
    ip -n "$SRV" addr add "$(at UPLINK $f)" dev lo
    ip -n "$CLI" addr add "$(at AFAR $f)" dev lo
    ip -n "$CLI" route add "$(at UPLINK $f)" via "$(at SRV $f)"
    ip -n "$SRV" -$f rule add from "$(at UPLINK $f)" lookup 100
    ip -n "$SRV" -$f route add default via "$(at CLI $f)" dev eth0 table 100
done
by_uplink() { in_cli curl -sf -m 2 -o /dev/null --interface "$(at AFAR "$1")" "$(url "$(at UPLINK "$1")" /)"; }
by_uplink_handed()
{
    local due
    due=$(($(counter handed_over) + 1)) && by_uplink "$1" && wait_until 1 counted handed_over "$due"
}
daemon_start "services = ( $ALWAYS );" || exit 1
for f in 4 6; do
    check "IPv$f: two uplinks: the first is answered for" learned "$(at SRV $f)"
    check "IPv$f: two uplinks: the second is answered for" by_uplink_handed "$f"
done

# ---- a service that nobody listens for

idle_service() { stat_is '.services[0] | .state == "not listening" and .limit == 0 and (.armed | not)'; }
known_service() { stat_is '.services[0] | .limit == 128 and .armed'; }

topo_up
daemon_start "services = ( $ALWAYS );" || exit 1
check "a service without a listener is not armed" idle_service
check "a service without a listener refuses" unconnected "$SRV4"
check "a service without a listener is not answered for" test "$(counter syn_received)" -eq 0
nginx_start 128
check "a service whose listener appears is armed, with its limit" wait_until 5 known_service
for f in 4 6; do
    check "IPv$f: a service whose listener appears is protected" learned "$(at SRV $f)"
done

# ---- the admin's own rules

server_up
in_srv nft -f - <<-END
	table inet raw {
	    chain in { type filter hook prerouting priority raw; tcp dport 80 notrack; }
	    chain out { type filter hook output priority raw; tcp sport 80 notrack; }
	}
END
daemon_start || exit 1
for f in 4 6; do
    check "IPv$f: a service exempt from tracking serves 200 of 200" served 200 "$(at SRV $f)"
done
check "a service exempt from tracking does not arm" test "$(log_lines ' armed')" -eq 0

# A first client has to find out that it cannot be handed over; then the service is left alone.
config_write 'services = ( { name = "web"; address = "any"; ports = [80]; cookies = "always"; } );'
kill -HUP "$DAEMON_PID"
wait_until 5 stat_is '.services[0].armed'
warned() { requests 1 1 "$SRV4" >/dev/null; log_says 'notrack'; }
check "a service exempt from tracking is warned of" wait_until 5 warned
check "a service exempt from tracking is warned of once" test "$(log_lines 'notrack')" -eq 1
for f in 4 6; do
    check "IPv$f: a service exempt from tracking is answered for no more" served 50 "$(at SRV $f)"
done

server_up
in_srv nft 'table inet filter { chain output { type filter hook output priority filter; policy drop;
                                               ct state established accept; }; }'
daemon_start "services = ( $ALWAYS );" || exit 1
for f in 4 6; do
    check "IPv$f: an OUTPUT rule that stops our SYN-ACKs stops no client" served 20 "$(at SRV $f)"
done
check "an OUTPUT rule that stops our SYN-ACKs is warned of" wait_until 3 log_says 'SYN-ACKs cannot be sent'
check "an OUTPUT rule that stops our SYN-ACKs: no handover" test "$(counter handed_over)" -eq 0
RULE=$(grep -o 'nft add rule .*' "$WORK/daemon.log")
check "the rule that the log recommends is a rule" in_srv sh -c "$RULE"
for f in 4 6; do
    check "IPv$f: the rule that the log recommends helps" wait_until 5 handed 5 "$(at SRV $f)"
done

# ---- clients that cheat

# A RST that the kernel ignores, for its timestamp is too old, ends nothing.
armed() { stat_is '.services[0].armed'; }

for f in 4 6; do
    server_up
    daemon_start 'services = ( { name = "web"; ports = [80]; } );' || exit 1
    packets ATK "$(at SRV $f)" <<-'END' &
	six = ":" in sys.argv[1]
	for i in range(2000):
	    src = f"2001:db8:bad::{i + 1:x}" if six else f"203.0.{i >> 8}.{i & 255}"
	    seq = random.getrandbits(32)
	    wire.send(src, sys.argv[1], 2000 + i, 80, SYN, seq, options=timestamps(100000))
	    time.sleep(0.002)
	    wire.send(src, sys.argv[1], 2000 + i, 80, RST, seq + 1, options=timestamps(50000))
	END
    check "IPv$f: SYNs with bad RSTs behind them arm the service" wait_until 5 armed
    check "IPv$f: SYNs with bad RSTs behind them stop no client" served 20 "$(at SRV $f)"
    wait $!
done

# Broadcast and anycast addresses as sources: the kernel, unless told to filter, gives them room like any other.
for f in 4 6; do
    server_up
    in_srv sysctl -qw net.ipv4.conf.{all,eth1}.rp_filter=0 net.ipv6.conf.all.forwarding=1
    daemon_start 'services = ( { name = "web"; ports = [80]; } );' || exit 1
    packets ATK "$(at NET $f)" "$(at SRV $f)" <<-'END' &
	for i in range(2000):
	    wire.send(*sys.argv[1:], 2000 + i, 80, SYN, 12345, options=b"\2\4\5\xb4")
	    time.sleep(0.001)
	END
    check "IPv$f: SYNs from the subnet's own address make the service wary" wait_until 3 service_is 80 state wary
    check "IPv$f: SYNs from the subnet's own address stop no client" served 20 "$(at SRV $f)"
    wait $!
done

# One address that completes handshakes with a server that is silent, and has a lot to say to it.
GREEDY=10.78.255.1
server_up
ip netns exec "$SRV" python3 -c 'import signal, socket
s = socket.socket(); s.bind(("", 7000)); s.listen(1); signal.pause()' &
in_cli nft "table ip mute { chain in { type filter hook input priority 0; ip daddr $GREEDY drop; }; }"
wait_until 5 listening 7000
daemon_start "services = ( $ALWAYS, { name = \"silent\"; ports = [7000]; cookies = \"always\"; } );
              queues = { shards = 1; };" || exit 1
check "a greedy client: the service is answered for" learned "$SRV4"
for _ in 1 2 3; do # learned, and its accept queue is full
    in_cli timeout 1 bash -c "exec 3<>/dev/tcp/$SRV4/7000"
done
packets CLI "$GREEDY" "$SRV4" <<-'END'
	me, server = sys.argv[1:]
	ports, cookies, end = range(20000, 20300), {}, time.time() + 3
	for port in ports:
	    wire.send(me, server, port, 7000, SYN, 1000, options=b"\2\4\5\xb4")
	while len(cookies) < len(ports) and time.time() < end:
	    if select.select([wire.sock], [], [], 0.1)[0]:
	        ip = wire.sock.recv(2000)[14:]
	        if ip[9] == 6 and ip[16:20] == socket.inet_aton(me) and ip[33] == SYN | ACK:
	            _, port, cookie = struct.unpack("!HHI", ip[20:28])
	            cookies[port] = cookie + 1
	for port, cookie in cookies.items():
	    wire.send(me, server, port, 7000, ACK, 1001, cookie)
	time.sleep(0.1)
	for port, cookie in cookies.items():
	    for i in range(64):
	        wire.send(me, server, port, 7000, ACK | PUSH, 1001 + i, cookie, data=b"x")
END
check "a greedy client: others are handed over" handed 20 "$SRV4"
check "a greedy client: its packets are held" counted ack_held 100
check "a greedy client: but not all" counted ack_hold_full 1

# A SYN on the 4-tuple of a connection that was handed over, from somebody else.
only_one_tracked() { [ "$(in_srv conntrack -C)" -eq 1 ]; }
marks() { in_srv conntrack -L -f "ipv$1" -p tcp --orig-port-src 45678 2>/dev/null | grep -o ' mark=[0-9]*'; }
watching() { stat_is '.services[0].state == "watching"'; }

for f in 4 6; do
    name="IPv$f: a spoofed SYN on a handed-over connection"
    RATE=3M
    server_up
    big_file "$WORK" 18M
    in_srv sysctl -qw net.ipv4.conf.{all,eth1}.rp_filter=0 \
        net.netfilter.nf_conntrack_tcp_timeout_{time_wait,close,close_wait,last_ack,syn_recv,syn_sent}=1
    daemon_start "services = ( $ALWAYS ); backlog = { handshake_timeout_s = 1; };" || exit 1
    learned "$(at SRV $f)"
    download_start "$f"
    reload "services = ( ${ALWAYS/always/never} ); backlog = { handshake_timeout_s = 1; };"
    check "$name: the service is watched again" wait_until 4 watching
    before=$(marks "$f") syns=$(counter syn_received)
    packets ATK "$(at CLI $f)" "$(at SRV $f)" <<<'wire.send(*sys.argv[1:], 45678, 80, SYN, 12345)'
    check "$name: it is seen" wait_until 2 counted syn_received $((syns + 1))
    check "$name: it changes no mark" test "$(marks "$f")" = "${before:-none}"
    check "$name: no other connection is left" wait_until 3 only_one_tracked
    check "$name: a clean stop" daemon_stop
    check "$name: the download comes whole" download_check
done

# Sources that nobody can have: an answer would only reach others, or ourselves.
server_up
in_srv nft "$COUNT_SYNACKS"
answers() { in_srv nft -j list table inet seen | jq '[.. | .counter?.packets? // empty] | add'; }
answers_are() { [ "$(answers)" -eq "$1" ]; }
daemon_start "services = ( $ALWAYS );" || exit 1
for f in 4 6; do
    check "IPv$f: odd sources: the service is answered for" learned "$(at SRV $f)"
    good=203.0.113.5 odd=(224.0.0.1 10.77.1.255 10.77.2.255 255.255.255.255 0.0.0.0 127.0.0.1 "$SRV4" 10.77.2.1)
    [ $f = 6 ] && good=2001:db8:bad::5 odd=(ff02::1 ff0e::1 :: ::1 "$SRV6" fd77:2::1)
    before=$(settled answers)
    packets ATK "$(at SRV $f)" "${odd[@]}" "$good" <<-'END'
	for i, source in enumerate(sys.argv[2:]):
	    wire.send(source, sys.argv[1], 3000 + i, 80, SYN, 12345, options=b"\2\4\5\xb4")
	END
    wait_until 2 answers_are $((before + 1))
    check "IPv$f: odd sources: only a possible one is answered" test "$(settled answers)" -eq $((before + 1))
done

# ---- connections that conntrack has forgotten

for f in 4 6; do
    name="IPv$f: a connection that conntrack forgot"
    RATE=4M
    server_up
    big_file "$WORK" 12M
    daemon_start "services = ( ${ALWAYS/always/auto} );" || exit 1
    in_srv sysctl -qw net.netfilter.nf_conntrack_tcp_loose=1
    download_start "$f"
    rm -f "$WORK/speak" "$WORK/spoke"
    # shellcheck disable=SC2016 # for the inner shell
    in_cli env URL="$(at SRV $f)" WORK="$WORK" bash -c 'exec 3<>"/dev/tcp/$URL/80"
        get() { printf "GET / HTTP/1.1\r\nHost: x\r\n\r\n" >&3; timeout 5 grep -qm1 "A real page" <&3; }
        get && touch "$WORK/spoke"
        until [ -e "$WORK/speak" ]; do sleep 0.05; done
        get' &
    idle=$!
    wait_until 5 test -e "$WORK/spoke"
    in_srv conntrack -F 2>/dev/null
    reload "services = ( $ALWAYS );"
    check "$name: new ones are handed over" learned "$(at SRV $f)"
    touch "$WORK/speak"
    check "$name: it is served when it speaks again" wait $idle
    check "$name: its download comes whole" download_check
done

# ---- observe

server_up
in_cli nft 'table inet mute { chain out { type filter hook output priority 0; tcp flags rst drop; }; }'
in_srv nft "$COUNT_SYNACKS"
daemon_start 'policy = "observe";' || exit 1
packets CLI "$CLI6" "$SRV6" <<-'END'
	skipped = b"\x1e\x80" + bytes(128) + b"\x1e\x80" + bytes(128)
	wire.send(*sys.argv[1:], 5555, 80, SYN, 12345,
	          extension=bytes([6, 32]) + skipped + bytes([1, 0]))
END
check "observe: passes a SYN behind a long extension header" wait_until 3 answers_are 1
check "observe: a clean stop" daemon_stop
