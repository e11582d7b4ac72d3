#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The parts of a real cluster that the live tests start, at the versions that go.mod and go.sum pin, built once into a cache
# outside the tree. build.sh NAME makes it if need be and prints its path; build.sh --path NAME only prints the path, if it is there.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
only_path=
[ "$1" != --path ] || { only_path=--path; shift; }

program() { # folder, package, flags
	folder=$1 package=$2
	shift 2
	exec "$here/../tools/go-program" $only_path kube "$here/$folder" "$package" "$name" "$@"
}

# a Kubernetes program learns its version from the linker
kubernetes() {
	version=$(sed -n 's,^.*k8s.io/kubernetes \(v[0-9.]*\).*,\1,p' "$here/kubernetes/go.mod")
	minor=${version#v1.}
	v=k8s.io/component-base/version
	program kubernetes "k8s.io/kubernetes/cmd/$name" -tags notest,grpcnotrace \
		-ldflags "-s -w -X $v.gitVersion=$version -X $v.gitMajor=1 -X $v.gitMinor=${minor%%.*}"
}

name=$1
case $name in
kube-apiserver | kubectl) kubernetes ;;
etcd) program etcd . -ldflags "-s -w" ;;
helm) program tools helm.sh/helm/v4/cmd/helm -ldflags "-s -w" ;;
kubeconform) program tools github.com/yannh/kubeconform/cmd/kubeconform -ldflags "-s -w" ;;
*)
	echo "kube: unknown: $name" >&2
	exit 2
	;;
esac
