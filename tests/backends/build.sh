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

program() { # folder, package
	exec "$here/../tools/go-program" $only_path backends "$here/$1" "$2" "$name" -ldflags "-s -w"
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
[ "$1" != --path ] || { only_path=--path; shift; }
name=$1
case $name in
collector) program collector . ;;
grpc_sink) program collector ./grpc_sink ;;
jaeger) program jaeger github.com/jaegertracing/jaeger/cmd/jaeger ;;
zipkin) path=$cache/zipkin-$zipkin.jar ;;
*) say "unknown: $name"; exit 2 ;;
esac
if [ ! -e "$path" ]; then
	[ -z "$only_path" ] || exit 1
	mkdir -p "$cache"
	build_zipkin "$path"
fi
echo "$path"
