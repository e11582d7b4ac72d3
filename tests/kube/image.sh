#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The agent's image (deploy/Dockerfile) and a program's, built without a daemon: buildah with runc, on a base by mmdebstrap. All of it in
# a cache outside the tree, layer by layer, so that a second time only what has changed is built.
# image.sh build; image.sh buildah ARG…: buildah on that store (which `build` must have made).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${SPANDREL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/spandrel}/image
suite=bookworm

store() {
	buildah --root "$cache/store" --runroot "$cache/run" --storage-driver overlay "$@"
}

base() {
	store inspect --type image "localhost/base:$suite" >/dev/null 2>&1 && return
	# from where this machine's own packages come, if it is one of that suite
	mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $suite" 2>/dev/null | head -n 1)
	# shellcheck disable=SC2086 # none, or one
	mmdebstrap --quiet --variant=minbase --mode=root $suite "$cache/base.tar" $mirror >&2
	c=$(store from scratch)
	store add -q "$c" "$cache/base.tar" / >/dev/null
	store commit -q "$c" "localhost/base:$suite" >/dev/null
	store rm "$c" >/dev/null
	rm "$cache/base.tar"
}

image() { # name, file
	nice -n 10 buildah --root "$cache/store" --runroot "$cache/run" --storage-driver overlay bud --layers --isolation oci --runtime runc \
		--network host --build-arg "BASE=localhost/base:$suite" --tag "localhost/$1" -f "$2" "$here/../.." >"$cache/$1.log" 2>&1 || {
		tail -n 20 "$cache/$1.log" >&2
		return 1
	}
}

case $1 in
buildah)
	[ -d "$cache/store" ] || exit 1
	shift
	store "$@"
	;;
build)
	for t in buildah runc mmdebstrap; do
		command -v $t >/dev/null || { echo "image: $t is not installed" >&2; exit 1; }
	done
	[ "$(id -u)" = 0 ] || { echo "image: needs root" >&2; exit 1; }
	mkdir -p "$cache"
	exec 9>"$cache/lock"
	flock 9
	# layers of sources long gone
	[ "$(store images -q -f dangling=true 2>/dev/null | wc -l)" -lt 30 ] || store rmi --prune >/dev/null
	base
	image spandrel "$here/../../deploy/Dockerfile"
	image program "$here/program.Dockerfile"
	;;
esac
