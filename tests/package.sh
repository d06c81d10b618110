#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR source=lib.sh
# The Debian package through its life in a clean Debian: installed, upgraded, removed, purged; and what others use:
# make dist, make install, make uninstall. Nothing is started: there is no systemd in the chroot, and its namespace has no
# network, so that apt shows that the package needs nothing but what the image was made with: its dependencies.
. "$(dirname "$0")/lib.sh"

TREE=$(dirname "$TESTS")
CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/synmoat
ROOT=$WORK/root
CONF=etc/synmoat/synmoat.conf
SYNMOAT_WANTED=etc/systemd/system/multi-user.target.wants/synmoat.service
NAMESPACES=("$SRV") # that topo_down takes away
export NAMESPACES
namespaces_up "$SRV"

# quietly CMD...: what it says is shown when it fails.
quietly() { "$@" >"$WORK/said" 2>&1 </dev/null || { tail -n 40 "$WORK/said" >&2; false; }; }
is() { [ "$1" = "$2" ] || { echo "'$1' is not '$2'" >&2; false; }; } # SEEN EXPECTED
not() { ! "$@"; }

# ---- the package

VERSION=$(sed -n 's/^#define SYNMOAT_VERSION "\(.*\)"/\1/p' "$TREE/include/synmoat/version.h")
ARCH=$(dpkg --print-architecture)
DEB=$TREE/build/deb/synmoat_${VERSION}_$ARCH.deb

tree_state() { git -c safe.directory="$TREE" -C "$TREE" status --porcelain --ignored; }

tree_state >"$WORK/tree" 2>/dev/null
# "make check" has run the unit tests before.
if ! DEB_BUILD_OPTIONS=nocheck quietly make -C "$TREE" deb; then
    fail 'make deb'
    exit 1
fi
pass 'make deb'
check 'make deb: leaves no trace in the tree but in build' \
    diff <(grep -v '^!! build/$' "$WORK/tree") <(tree_state 2>/dev/null | grep -v '^!! build/$')
check 'make deb: the package, its .changes and its .buildinfo' \
    ls "$DEB" "${DEB%.deb}.changes" "${DEB%.deb}.buildinfo"
check 'lintian has neither error nor warning' \
    quietly lintian --allow-root --fail-on error,warning "${DEB%.deb}.changes"

# Whoever adds a library to the Makefile has to add it there, too. The rest is build-essential.
build_packages() { sed -n 's/^BUILD_PACKAGES := //p' "$TREE/Makefile" | tr ' ' '\n' | grep -vxE 'gcc|libc6-dev|make'; }
all_in_control()
{
    local package missing=0
    for package in $(build_packages); do
        grep -Eq "^ $package( .*)?,\$" "$TREE/debian/control" || { echo "missing: $package" >&2; missing=1; }
    done
    return "$missing"
}
check 'debian/control wants what the Makefile needs to build' all_in_control

# deb_with VERSION CONFIG_LINE: the same package as a later version, with this line in its configuration; prints its path.
deb_with()
{
    local dir=$WORK/deb-$1
    dpkg-deb -R "$DEB" "$dir"
    sed -i "s/^Version: .*/Version: $1/" "$dir/DEBIAN/control"
    echo "$2" >>"$dir/$CONF"
    (cd "$dir" && find etc lib usr -type f ! -path "$CONF" -exec md5sum {} + >DEBIAN/md5sums 2>/dev/null)
    dpkg-deb --root-owner-group -Znone -b "$dir" "$ROOT/synmoat-$1.deb" >/dev/null
    echo "/synmoat-$1.deb"
}

# ---- the chroot

distribution() { sed -n "s/^$1=//p" /etc/os-release; } # KEY

# This machine's own sources of its distribution, as apt sees them.
sources()
{
    local origin
    origin=$(distribution ID)
    # shellcheck disable=SC2016 # the variables are apt's
    apt-get indextargets --format '$(ORIGIN)|deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        sed -n "s/^${origin^}|//p" | sort -u
}

packages()
{
    { dpkg-deb -f "$DEB" Depends Recommends | sed 's/^[^:]*: //' | tr ',' '\n' | sed 's/|.*//; s/(.*//; s/ //g'
      printf '%s\n' systemd init-system-helpers; } | sort -u
}

# The image, named by what goes into it; those of other names are of yesterday.
image()
{
    local suite key
    suite=$(distribution VERSION_CODENAME)
    [ -n "$(sources)" ] || apt-get -qq update
    sources >"$WORK/sources"
    apt-config dump | grep '^Acquire::' | grep -vE 'IndexTargets|CompressionTypes|Changelogs|:: "' >"$WORK/apt.conf"
    # shellcheck disable=SC2046 # names
    key=$({ cat "$WORK/sources"; declare -f image; apt-cache policy $(packages) | grep -E '^[^ ]|Candidate'; } |
        sha256sum | cut -c1-16)
    IMAGE=$CACHE/package-$key.tar
    mkdir -p "$CACHE"
    exec 9>"$CACHE/package.lock"
    flock 9
    if [ ! -e "$IMAGE" ]; then
        echo "# making $IMAGE"
        rm -f "$CACHE"/package-*.tar*
        # shellcheck disable=SC2016 # $1 is the image's folder, as mmdebstrap tells the hook
        quietly mmdebstrap --variant=minbase --mode=root --aptopt="$WORK/apt.conf" \
            --aptopt='APT::Install-Recommends "false"' --include="$(packages | paste -sd,)" \
            --customize-hook='printf "#!/bin/sh\nexit 101\n" >"$1/usr/sbin/policy-rc.d"; chmod 755 "$1/usr/sbin/policy-rc.d"' \
            "$suite" "$IMAGE.new.tar" "$WORK/sources" && mv "$IMAGE.new.tar" "$IMAGE"
    fi
    exec 9>&-
    [ -e "$IMAGE" ]
}

# chrooted CMD...: with /proc of its own, in a namespace that stays from one call to the next.
chrooted()
{
    in_srv unshare --mount --pid --fork --mount-proc="$ROOT/proc" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        LC_ALL=C.UTF-8 HOME=/root DEBIAN_FRONTEND=noninteractive chroot "$ROOT" "$@"
}
apt_get()
{
    quietly chrooted apt-get -y -q -o Dpkg::Options::=--force-confold \
        -o Dpkg::Path=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@" # for the stand-ins further down
}
there() { [ -e "$ROOT/$1" ] || [ -L "$ROOT/$1" ]; } # PATH, a link to inside the chroot may be

# What the package manager keeps for itself changes, and with it what it keeps for others: the catalogue of all messages,
# backups of the user database. The user itself stays, for its files might be somewhere: Debian removes none.
files()
{
    (cd "$ROOT" && find . -xdev \( -path ./proc -o -path ./sys -o -path ./dev -o -path ./tmp -o -path ./run \
        -o -path ./var/cache -o -path ./var/log -o -path ./var/lib/apt \) -prune -o -print) |
        grep -vE '^\./(synmoat-.*\.deb|usr/local/bin/.*|var/lib/systemd/catalog/database|etc/\.pwd\.lock|etc/(passwd|group|shadow|gshadow)-|var/lib/dpkg/.*(-old|/lock.*|triggers/.*))$' | sort
}

if ! image; then
    fail 'a clean Debian to install into'
    exit 1
fi
mkdir "$ROOT"
tar -x -C "$ROOT" -f "$IMAGE"
files >"$WORK/files.before"

# ---- installed

cp "$DEB" "$ROOT/synmoat-$VERSION.deb"
check 'install: by apt, nothing else is needed' apt_get install "/synmoat-$VERSION.deb"
check 'install: what is there is what was packed' is "$(chrooted dpkg --verify synmoat)" ''
check 'install: the version is that of the package' is "$(chrooted synmoatd -V)" "synmoatd $VERSION"
check 'install: the configuration as it comes is right' quietly chrooted synmoatd -t

# MODE OWNER of PATHs
owned() { is "$(cd "$ROOT" && stat -c '%A %U:%G' "${@:2}" | sort -u)" "$1"; }
check 'install: programs' owned '-rwxr-xr-x root:root' usr/sbin/synmoatd usr/bin/synmoatctl
check 'install: a configuration that root writes and everybody reads' owned '-rw-r--r-- root:root' "$CONF"
# shellcheck disable=SC2016 # the variable is dpkg's
check 'install: it is a conffile' \
    is "$(chrooted dpkg-query -W -f '${Conffiles}' synmoat | awk '{ print $1 }' | xargs)" "/$CONF"
pages=()
for page in "$TREE"/man/*.[1-8]; do pages+=("usr/share/man/man${page##*.}/${page##*/}.gz"); done
check "install: all ${#pages[@]} man pages" owned '-rw-r--r-- root:root' "${pages[@]}"

# every file of conf/ but one, as it is, scripts executable
examples_there()
{
    local file
    for file in $(cd "$TREE/conf" && find . -type f ! -path ./synmoat.conf); do
        cmp "$TREE/conf/$file" "$ROOT/usr/share/doc/synmoat/examples/$file" || return
        is "$(test -x "$TREE/conf/$file"; echo $?)" "$(test -x "$ROOT/usr/share/doc/synmoat/examples/$file"; echo $?)" ||
            return
    done
    not there usr/share/doc/synmoat/examples/synmoat.conf
}
check 'install: the examples' examples_there

# SOURCE INSTALLED: whoever has not written it yet has nothing to install
if_made() { [ ! -e "$TREE/$1" ] || there "$2"; }
check 'install: completion' if_made ctl/synmoatctl.bash usr/share/bash-completion/completions/synmoatctl
check 'install: the catalogue of messages' if_made systemd/synmoat.catalog usr/lib/systemd/catalog/synmoat.catalog
check 'install: no sysctl and no module is set for everybody' \
    not grep -qE '^/(usr/)?(etc|lib)/(sysctl|modules-load)\.d' <(chrooted dpkg -L synmoat)

check 'install: the service is enabled' there "$SYNMOAT_WANTED"
check 'install: what the unit starts is there' \
    there "$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$ROOT/lib/systemd/system/synmoat.service")"
check 'install: what the fast ways of answering take' \
    cmp "$TREE/systemd/fast.conf" "$ROOT/usr/lib/systemd/system/synmoat.service.d/fast.conf"
check 'install: the user, whom nobody logs in as' grep -q '^synmoat:.*:/var/lib/synmoat:.*nologin$' "$ROOT/etc/passwd"

# ---- upgraded

check 'upgrade: the configuration was not touched' apt_get install "$(deb_with "$VERSION+1" '# of the next version')"
check 'upgrade: so the new one is there' is "$(tail -n 1 "$ROOT/$CONF")" '# of the next version'
check 'upgrade: and no other' not there "$CONF.dpkg-dist"
check 'upgrade: the service is still enabled' there "$SYNMOAT_WANTED"

echo '# of the administrator' >>"$ROOT/$CONF"
cp "$ROOT/$CONF" "$WORK/edited"
chrooted systemctl disable synmoat 2>/dev/null
check 'upgrade: the configuration was edited, the service disabled' \
    apt_get install "$(deb_with "$VERSION+2" '# of the version after that')"
check 'upgrade: the edited one stays' cmp "$WORK/edited" "$ROOT/$CONF"
check 'upgrade: the new one is beside it' is "$(tail -n 1 "$ROOT/$CONF.dpkg-dist")" '# of the version after that'
check 'upgrade: the service stays disabled' not there "$SYNMOAT_WANTED"
chrooted systemctl enable synmoat 2>/dev/null

# As if systemd were there, and the daemon up: what is asked of it goes to a file.
mkdir -p "$ROOT/run/systemd/system"
for program in systemctl deb-systemd-invoke; do
    # shellcheck disable=SC2016 # for that shell
    printf '#!/bin/sh\necho "${0##*/} $*" >>/calls\n' >"$ROOT/usr/local/bin/$program"
    chmod 755 "$ROOT/usr/local/bin/$program"
done
asked() { grep -q "^deb-systemd-invoke $1 synmoat.service" "$ROOT/calls"; }
again() { : >"$ROOT/calls"; apt_get install --reinstall "/synmoat-$VERSION+2.deb"; }
check 'upgrade of a daemon that is up' again
check 'upgrade: it is restarted' asked restart
check 'upgrade: it is not stopped before' not asked stop
echo 'mode = "other";' >>"$ROOT/$CONF"
check 'upgrade with a configuration that the new version refuses' again
check 'upgrade: the old daemon runs on' not asked restart
check 'upgrade: which is said, with the line' grep -q 'synmoat.conf:[0-9]*: ' "$WORK/said"
cp "$WORK/edited" "$ROOT/$CONF"
chmod 600 "$ROOT/$CONF"
check 'upgrade with a configuration that only root can read' again
check 'upgrade: there, too, the old daemon runs on' not asked restart
chmod 644 "$ROOT/$CONF"

# ---- removed

for table in synmoat_closed synmoat_keep; do in_srv nft add table inet "$table"; done
table() { in_srv nft list tables | grep -qx "table inet $1"; }
mkdir -p "$ROOT/var/lib/synmoat"
echo secret >"$ROOT/var/lib/synmoat/secret"
: >"$ROOT/calls"

check 'remove' apt_get remove synmoat
check 'remove: the daemon is stopped' asked stop
rm -r "$ROOT/run/systemd" "$ROOT/usr/local/bin/"{systemctl,deb-systemd-invoke} "$ROOT/calls"
check 'remove: the edited configuration stays' cmp "$WORK/edited" "$ROOT/$CONF"
check 'remove: so does what the daemon wrote down' there var/lib/synmoat/secret
check 'remove: nothing is left that runs or is started' \
    is "$(find "$ROOT"/{usr/bin,usr/sbin,usr/lib/systemd} -name '*synmoat*')" ''
check 'remove: no SYNs are dropped any more' not table synmoat_closed
check 'remove: handed-over connections go on' table synmoat_keep

check 'install again' apt_get install "/synmoat-$VERSION+2.deb"
check 'install again: with the configuration of before' cmp "$WORK/edited" "$ROOT/$CONF"
check 'install again: the service is enabled' there "$SYNMOAT_WANTED"

# ---- purged

# The only one that there is: MARK.
connection()
{
    in_srv conntrack -F &&
        in_srv conntrack -I -p tcp -s 10.9.0.1 -d 10.9.0.2 --sport 1024 --dport 80 --state ESTABLISHED -t 300 --mark "$1"
} >/dev/null 2>&1

in_srv nft add table inet synmoat_closed
check 'purge: a handed-over connection' connection 0x03000001
check 'purge, while a handed-over connection lives' apt_get purge synmoat
check 'purge: which goes on' table synmoat_keep
check 'purge: which is said' grep -q 'synmoat_keep stays' "$WORK/said"
check 'purge: no SYNs are dropped' not table synmoat_closed
check 'purge: no file is left' diff "$WORK/files.before" <(files)
check 'purge: the user stays' grep -q ^synmoat: "$ROOT/etc/passwd"

check 'purge: another connection' connection 0x02000001
apt_get install "/synmoat-$VERSION.deb"
check 'purge at once, while others have connections' apt_get purge synmoat
check 'purge: no table is left' is "$(in_srv nft list tables | grep synmoat)" ''
check 'purge: no file is left' diff "$WORK/files.before" <(files)

# Without nft nobody can have looked; nothing fails.
chrooted dpkg --purge --force-depends nftables >/dev/null 2>&1
check 'without nft: install' quietly chrooted dpkg -i --force-depends "/synmoat-$VERSION.deb"
check 'without nft: purge' quietly chrooted dpkg --purge synmoat

# ---- for others

if [ -e "$TREE/.git" ]; then
    check 'make dist' quietly make -C "$TREE" dist
    tarball=$TREE/build/synmoat-$VERSION.tar.gz
    before=$(sha256sum <"$tarball")
    quietly make -C "$TREE" dist
    check 'make dist: twice the same' is "$(sha256sum <"$tarball")" "$before"
    tar -x -C "$WORK" -f "$tarball"
    tree=$WORK/synmoat-$VERSION
    check 'the tarball builds by itself' quietly make -C "$tree" -j2 CFLAGS=-O0
    check 'the tarball: make dist says what is missing' not quietly make -C "$tree" dist 2>/dev/null
    check 'the tarball: in words' grep -q 'no git tree' "$WORK/said"
else
    skip 'make dist' 'this is no git tree'
    tree=$TREE
fi

DEST=$WORK/dest
made() { quietly make -C "$tree" CFLAGS=-O0 DESTDIR="$DEST" PREFIX=/usr/local "$1"; }
listed() { (cd "$DEST" && find . ! -type d -printf '%M %p\n' | sort); }
check 'make install' made install
listed >"$WORK/listed"
check 'make install: as many files as in the package' \
    is "$(grep -c . "$WORK/listed")" "$(dpkg-deb -c "$DEB" | grep -v '^d' | grep -vcE 'changelog.gz|copyright|lintian')"
check 'make install: all of them below DESTDIR and PREFIX, but for the configuration' \
    is "$(grep -v ' \./usr/local/' "$WORK/listed")" "-rw-r--r-- ./$CONF"
check 'make install: the unit starts what was installed' \
    grep -q '^ExecStart=/usr/local/sbin/synmoatd' "$DEST/usr/local/lib/systemd/system/synmoat.service"
check 'make install: the unit knows no other place' \
    not grep -qE '/usr/s?bin/synmoat' "$DEST/usr/local/lib/systemd/system/synmoat.service"
echo '# of the administrator' >>"$DEST/$CONF"
check 'make install: once more' made install
check 'make install: the same' diff "$WORK/listed" <(listed)
check 'make install: an edited configuration stays' is "$(tail -n 1 "$DEST/$CONF")" '# of the administrator'
check 'make uninstall' made uninstall
check 'make uninstall: an edited configuration stays, and nothing else' is "$(listed)" "-rw-r--r-- ./$CONF"
cp "$TREE/conf/synmoat.conf" "$DEST/$CONF"
check 'make uninstall: once more' made uninstall
check 'make uninstall: an unedited one goes' is "$(find "$DEST" ! -type d -o -name '*synmoat*')" ''
