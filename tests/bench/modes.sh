# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=rig.sh
#
# What stands between a flood and the server, each as its documentation sets it up. Sourced after rig.sh.

# shellcheck disable=SC2034 # flooded's
MODES_ALL=(none syncookies synproxy nfqueue xdp_native xdp_generic drop)
ONE_CPU='queues = { shards = 1; };' # there is one that receives

# mode_there MODE: or says why it cannot be measured.
mode_there()
{
    case $1 in
    synproxy)
        synproxy_rules 2>/dev/null && { in_srv nft flush ruleset; return; }
        say "SYNPROXY is left out: this kernel has none"
        return 1
        ;;
    xdp_*)
        echo "control = { socket = \"$WORK/ctl.sock\"; }; $(accelerated "${1#xdp_}")" >"$WORK/xdp.conf"
        "$SYNMOATD" -t -c "$WORK/xdp.conf" >"$WORK/xdp.said" 2>&1 && return
        say "synmoat, $1, is left out: $(tail -n 1 "$WORK/xdp.said")"
        return 1
        ;;
    esac
}

accelerated() # native|generic
{
    echo "accelerator = \"xdp\"; xdp = { interfaces = [\"eth0\", \"eth1\"]; mode = \"$1\"; };"
}

# nft's own example (wiki.nftables.org, "Synproxy"), with the sysctl that it asks for
synproxy_rules()
{
    in_srv sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0 || return
    in_srv nft -f - <<-'END'
	table inet firewall {
	    chain raw {
	        type filter hook prerouting priority raw
	        tcp dport 80 tcp flags & (fin|syn|rst|ack) == syn notrack
	    }
	    chain input {
	        type filter hook input priority filter
	        tcp dport 80 ct state invalid,untracked synproxy mss 1460 wscale 10 timestamp sack-perm
	        ct state invalid drop
	    }
	}
	END
}

# mode_enter MODE [CONFIG]: on a host as rig_up leaves it. CONFIG is for synmoatd.
mode_enter()
{
    case $1 in
    none) in_srv sysctl -qw net.ipv4.tcp_syncookies=0 ;;
    syncookies) ;;
    synproxy) synproxy_rules ;;
    nfqueue) synmoat_start "$ONE_CPU ${2:-}" ;;
    xdp_*)
        # Else the clients' end of the veth does not take what is sent by XDP_TX; torrent's has the sink.
        xdpend_start "$CLI" c0 pass || return
        synmoat_start "$(accelerated "${1#xdp_}") $ONE_CPU ${2:-}"
        ;;
    drop) xdpend_start "$SRV" eth1 drop ;;
    esac
}

# A client or two: their server's options are learned from its answers.
synmoat_start() # CONFIG
{
    daemon_start "$1" || return
    pin "$DAEMON_PID"
    in_cli "$TOOLS/visitors" -n 4 "$SRV4" 80 >/dev/null
    in_cli "$TOOLS/visitors" -n 4 "$SRV6" 80 >/dev/null
}

mode_leave() # MODE
{
    case $1 in nfqueue | xdp_*) daemon_stop || say "synmoatd did not stop cleanly, mode $1" ;; esac
    DAEMON_PID=
}

# SYNs that the mode itself says it has answered so far.
mode_answers() # MODE
{
    case $1 in
    syncookies) tcp_ext SyncookiesSent ;;
    synproxy) synproxy_syns ;;
    nfqueue | xdp_*) stat_get '.counters | .syn_challenged' ;;
    *) echo 0 ;;
    esac
}
