# SPDX-License-Identifier: Apache-2.0
# The parts of a real cluster that the live tests start, and the tools that check deploy/, in a cache outside the tree.
KUBE_PARTS := etcd kube-apiserver kubectl kubeconform helm

kube:
	$(Q)for p in $(KUBE_PARTS); do tests/kube/build.sh $$p >/dev/null || echo "kube: no $$p"; done

LIVE_NEEDS += kube

.PHONY: kube
