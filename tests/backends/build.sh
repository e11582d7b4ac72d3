#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds or fetches the real back ends of the live tests into a cache outside the tree, at the versions that are pinned here and in go.sum.
# build.sh NAME makes it if need be and prints its path; build.sh --path NAME only prints the path, if it is there.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${SPANDREL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/spandrel}/backends
zipkin=3.6.1

say() {
	echo "back ends: $*" >&2
}

# the path carries a hash of all that the program is made from
go_path() {
	printf '%s/%s-%s\n' "$cache" "$1" "$(cat "$here/$2/go.mod" "$here/$2/go.sum" "$here/$2"/*.go "$here/$2"/*/*.go 2>/dev/null | sha256sum | cut -c1-16)"
}

# go 1.21 and newer fetch the toolchain that a go.mod asks for
go_works() {
	command -v go >/dev/null || return 1
	case $(go env GOVERSION) in
	go1.? | go1.1? | go1.20 | go1.?.* | go1.1?.* | go1.20.*) return 1 ;;
	esac
}

build_go() { # folder, package, path
	go_works || { say "$1 needs go 1.21 or newer"; return 1; }
	say "building $2 (minutes, once)"
	(cd "$here/$1" && CGO_ENABLED=0 nice -n 10 go build -buildvcs=false -trimpath -ldflags "-s -w" -o "$3.new" "$2" >&2)
	mv "$3.new" "$3"
}

build_zipkin() {
	command -v mvn >/dev/null || { say "Zipkin needs maven"; return 1; }
	say "fetching Zipkin (once)"
	mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy -Dartifact=io.zipkin:zipkin-server:$zipkin:jar:exec \
		-DoutputDirectory="$cache/zipkin.new" >&2
	mv "$cache/zipkin.new/zipkin-server-$zipkin-exec.jar" "$1"
	rmdir "$cache/zipkin.new"
}

only_path=
[ "$1" != --path ] || { only_path=yes; shift; }
case $1 in
collector) path=$(go_path collector collector) ;;
grpc_sink) path=$(go_path grpc_sink collector) ;;
jaeger) path=$(go_path jaeger jaeger) ;;
zipkin) path=$cache/zipkin-$zipkin.jar ;;
*) say "unknown: $1"; exit 2 ;;
esac
if [ ! -e "$path" ]; then
	[ -z "$only_path" ] || exit 1
	mkdir -p "$cache"
	case $1 in
	collector) build_go collector . "$path" ;;
	grpc_sink) build_go collector ./grpc_sink "$path" ;;
	jaeger) build_go jaeger github.com/jaegertracing/jaeger/cmd/jaeger "$path" ;;
	zipkin) build_zipkin "$path" ;;
	esac
fi
echo "$path"
