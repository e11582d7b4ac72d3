// SPDX-License-Identifier: Apache-2.0
// An HTTP server without TLS that takes HTTP/1, its upgrade to HTTP/2, and HTTP/2 with prior knowledge: `h2c PORT`. It reads
// what it is sent and answers /bytes/N with N bytes, /status/N with that status, everything else with the request's path.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
)

func answer(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	what, number, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	n, err := strconv.Atoi(number)
	switch {
	case err == nil && what == "bytes":
		w.Write(make([]byte, n))
	case err == nil && what == "status" && n >= 200 && n <= 599:
		w.WriteHeader(n)
	default:
		io.WriteString(w, r.URL.Path)
	}
}

func main() {
	server := &http2.Server{MaxConcurrentStreams: 1000}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], h2c.NewHandler(http.HandlerFunc(answer), server)))
}
