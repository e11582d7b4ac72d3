#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# root.sh PROGRAM FOLDER: the root of the image. The program, what it is linked with or loads, public authorities' certificates, two
# users' names, the licences of what is in it.
set -eu

program=$1 root=$2

# Those that any way of starting it may use: a program's capabilities are these and the container's, whichever is fewer. Without the
# flag "e" a container that has fewer still starts; spandrel makes use of what it gets.
CAPABILITIES=cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search,cap_checkpoint_restore
CAPABILITIES=$CAPABILITIES,cap_sys_admin,cap_sys_resource,cap_syslog,cap_net_bind_service,cap_dac_override=p

apt-get -qq update
DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends ca-certificates libcap2-bin >/dev/null

put() { # FILE: at its real place, and the name it is asked for by
	real=$(readlink -f "$1")
	[ -e "$root$real" ] || install -D "$real" "$root$real"
	package=$(dpkg -S "$real" 2>/dev/null || dpkg -S "${real#/usr}" 2>/dev/null || dpkg -S "$1")
	notice=/usr/share/doc/${package%%:*}/copyright
	[ ! -e "$notice" ] || [ -e "$root$notice" ] || install -D -m 644 "$(readlink -f "$notice")" "$root$notice"
}

install -d "$root/usr/bin" "$root/usr/lib" "$root/usr/lib64" "$root/etc/ssl/certs" "$root/etc/spandrel" "$root/run" "$root/tmp"
chmod 1777 "$root/tmp"
ln -s usr/lib "$root/lib"
ln -s usr/lib64 "$root/lib64"
install -d "$root/var"
ln -s ../run "$root/var/run"

{
	ldd "$program" | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^\t\(\/[^ ]*\) (.*/\1/p'
	ls /usr/lib/*/libcapstone.so.[0-9] # loaded when it is needed
} | while read -r lib; do
	put "$lib"
	case $lib in # a name that is a link: the linker looks for the name
	/lib/* | /lib64/*) name=/usr$lib ;;
	*) name=$lib ;;
	esac
	[ -e "$root$name" ] || { install -d "$root$(dirname "$name")" && ln -s "$(readlink -f "$lib")" "$root$name"; }
done

install -m 755 "$program" "$root/usr/bin/spandrel"
setcap $CAPABILITIES "$root/usr/bin/spandrel"
install -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
printf 'root:x:0:0:root:/:/usr/sbin/nologin\nspandrel:x:65532:65532:spandrel:/:/usr/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nspandrel:x:65532:\n' >"$root/etc/group"
"$root/usr/bin/spandrel" --version
