// SPDX-License-Identifier: Apache-2.0

// etcd, as its own main is: its server's module does not hold it.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
