# SPDX-License-Identifier: Apache-2.0
# The parts of a real cluster that the live tests start, and the tools that check deploy/, in a cache outside the tree.
KUBE_PARTS := etcd kube-apiserver kubectl kubeconform helm

kube:
	$(Q)for p in $(KUBE_PARTS); do tests/kube/build.sh $$p >/dev/null || echo "kube: no $$p"; done

# the agent's image and a program's
image:
	$(Q)tests/kube/image.sh build || echo "kube: no image"

LIVE_NEEDS += kube image

.PHONY: kube image
