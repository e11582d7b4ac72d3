#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# make deps: installs what building, running and testing spandrel needs, with the distribution's package manager.
# Debian 12 and 13, Ubuntu 24.04; as root, or with sudo. Does nothing when all of it is there. `deps.sh build`: only what building needs.
set -eu

build="gcc libc6-dev make pkg-config clang libbpf-dev libelf-dev zlib1g-dev libcurl4-openssl-dev"
# JSON of the API server, YAML of a kubeconfig, --listen, where probes in TLS libraries can stand
build="$build libyajl-dev libyaml-dev libmicrohttpd-dev libcapstone-dev"
tests="libprotobuf-c-dev protobuf-c-compiler protobuf-compiler python3 nginx-light gunicorn wrk nghttp2-client curl wget gnutls-bin socat jq procps iproute2 openssl xz-utils ca-certificates"
# kernels in guests: tests/vm
tests="$tests qemu-system-x86 qemu-system-arm busybox-static kmod zstd debian-archive-keyring lld llvm"
# operations of io_uring: tests/capture
tests="$tests liburing-dev"
# checks of the man page and of the unit file
tests="$tests mandoc systemd"
# servers and clients of HTTP/2, what the gRPC programs of tests/live are built with
tests="$tests nghttp2-server python3-venv"
# a file system that a process serves, which can be stopped
tests="$tests bindfs"
# TLS libraries in files of their own: a static one, a wheel's
tests="$tests libssl-dev python3-pip util-linux"
# programs that people run with TLS
tests="$tests python3-requests python3-uvicorn postgresql postgresql-client"
# addresses that a node rewrites, as for ClusterIPs
tests="$tests nftables"
languages="node:nodejs npm:npm go:golang-go cargo:cargo java:default-jdk-headless mvn:maven"
# control groups, containers and images of the tests with Kubernetes
tests="$tests buildah runc mmdebstrap golang-github-containers-common libcap2-bin"
if [ "${1:-}" = build ]; then
	tests="" languages=""
fi
here=$(dirname "$0")

if ! command -v apt-get >/dev/null; then
	echo "make deps: this system has no apt-get; please install the equivalents of:" >&2
	echo "  to build: $build bpftool" >&2
	echo "  to test:  $tests $languages (command:package)" >&2
	exit 1
fi

installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

known() {
	[ -n "$(apt-cache madison "$1" 2>/dev/null)" ]
}

missing=
for p in $build $tests; do
	installed "$p" || missing="$missing $p"
done
# a client of NSS, where the distribution still has one
nss() {
	[ -n "$tests" ] && ! installed libcurl3-nss && known libcurl3-nss
}
! nss || missing="$missing libcurl3-nss"
tools=
"$here/find-bpftool" >/dev/null || tools=yes
absent= # whichever version is there is used
for l in $languages; do
	command -v "${l%%:*}" >/dev/null || absent="$absent ${l#*:}"
done
if [ -z "$missing$tools$absent" ]; then
	echo "make deps: everything is installed"
	exit 0
fi

sudo=
if [ "$(id -u)" != 0 ]; then
	sudo=sudo
	command -v sudo >/dev/null || { echo "make deps: must be root, or have sudo" >&2; exit 1; }
fi
apt() {
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq "$@"
}

echo "make deps: apt-get update"
apt update
case " $missing " in
*" libcurl3-nss "*) ;;
*) ! nss || missing="$missing libcurl3-nss" ;; # now it is known
esac
# Ubuntu 24.04 keeps bpftool with the tools of a kernel; the wrapper in /usr/sbin finds only the running kernel's.
if [ -n "$tools" ]; then
	if known bpftool && [ -n "$(apt-cache policy bpftool | grep 'Candidate: [0-9]')" ]; then
		tools=bpftool
	else
		tools="linux-tools-common linux-tools-generic"
	fi
fi

# nginx and PostgreSQL are for tests, which start their own: the packages shall neither start them now nor at the next boot.
policy=/usr/sbin/policy-rc.d
fresh=
case " $missing " in
*" nginx-light "*) installed nginx || fresh=nginx ;;
esac
case " $missing " in
*" postgresql "*) fresh="$fresh postgresql" ;;
esac
made_policy=
if [ -n "$fresh" ] && [ ! -e $policy ]; then
	made_policy=yes
	trap '$sudo rm -f $policy' EXIT
	trap 'exit 1' INT TERM HUP
	printf '#!/bin/sh\ncase "$1" in nginx|postgresql*) exit 101 ;; esac\nexit 0\n' | $sudo tee $policy >/dev/null
	$sudo chmod 755 $policy
fi

echo "make deps: installing$missing $tools $absent"
# shellcheck disable=SC2086 # lists of words
apt install -y --no-install-recommends $missing $tools $absent >/dev/null
for service in $fresh; do
	if command -v systemctl >/dev/null; then
		$sudo systemctl disable --quiet "$service" 2>/dev/null || true
	elif command -v update-rc.d >/dev/null; then
		$sudo update-rc.d "$service" disable >/dev/null 2>&1 || true
	fi
done
"$here/find-bpftool" >/dev/null || { echo "make deps: no bpftool that works was found" >&2; exit 1; }
echo "make deps: done"
