// SPDX-License-Identifier: Apache-2.0
// net/http over TLS, as server and as client, with no more than the library of Go 1.16.
//
//	gotls serve ADDR CERT KEY
//	gotls load URL CONNECTIONS REQUESTS h1|h2 [SIZE PAUSE]
//	gotls echo ADDR CERT KEY: HTTP/1.1 by hand on crypto/tls, in a goroutine that changes threads
//
// A request is GET or POST /ID?n=BYTES&code=STATUS; the answer has so many bytes. load prints a line for each: "ID METHOD STATUS
// BYTES", by what came back; the body of a POST is as large as the answer. With CONNECTIONS workers at a time, each with a
// connection of its own (h1) or all on one (h2), and PAUSE milliseconds between its requests.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		log.Fatal(err)
	}
	return n
}

func answer(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		log.Print(err)
	}
	w.Header().Set("Content-Length", r.URL.Query().Get("n"))
	w.WriteHeader(number(r.URL.Query().Get("code")))
	w.Write(bytes.Repeat([]byte("a"), number(r.URL.Query().Get("n"))))
}

func serve(addr, cert, key string) {
	log.Fatal(http.ListenAndServeTLS(addr, cert, key, http.HandlerFunc(answer)))
}

type result struct {
	id, method string
	status     int
	bytes      int64
}

func ask(c *http.Client, url, id string, i, size int) result {
	method, code, n := "GET", 200+4*(i%2)*51, 1+i%700
	if size > 0 {
		n = size
	}
	var body io.Reader
	if i%3 == 0 {
		method, body = "POST", bytes.NewReader(bytes.Repeat([]byte("b"), n))
	}
	r, err := http.NewRequest(method, fmt.Sprintf("%s/%s?n=%d&code=%d", url, id, n, code), body)
	if err != nil {
		log.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	if resp.ProtoMajor == 2 != c.Transport.(*http.Transport).ForceAttemptHTTP2 {
		log.Fatal("spoke ", resp.Proto)
	}
	return result{id, method, resp.StatusCode, got}
}

func load(url string, connections, requests int, proto string, size, pause int) {
	insecure := &tls.Config{InsecureSkipVerify: true}
	one := &http.Client{Transport: &http.Transport{TLSClientConfig: insecure, ForceAttemptHTTP2: true}}
	var all sync.WaitGroup
	var mu sync.Mutex
	out := bufio.NewWriter(os.Stdout)
	if proto == "h2" { // one connection before there are many who want one
		r := ask(one, url, "first", 1, size)
		fmt.Fprintln(out, r.id, r.method, r.status, r.bytes)
	}
	for w := 0; w < connections; w++ {
		all.Add(1)
		go func(w int) {
			defer all.Done()
			c := one
			if proto == "h1" {
				c = &http.Client{Transport: &http.Transport{TLSClientConfig: insecure.Clone(),
					TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}}
			}
			for i := 0; i < requests; i++ {
				r := ask(c, url, fmt.Sprintf("w%di%d", w, i), w+i, size)
				mu.Lock()
				fmt.Fprintln(out, r.id, r.method, r.status, r.bytes)
				mu.Unlock()
				time.Sleep(time.Duration(pause) * time.Millisecond)
			}
			c.CloseIdleConnections()
		}(w)
	}
	all.Wait()
	out.Flush()
}

// Lets another thread go on with this goroutine, as far as the scheduler can be talked into it; with a deeper stack that moves.
func wander(depth int) {
	var pad [512]byte
	if depth > 0 {
		wander(depth - 1)
	}
	for i := range pad {
		pad[i] = byte(i)
	}
	runtime.Gosched()
}

func echoes(c *tls.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		n, i := number(r.URL.Query().Get("n")), strings.LastIndexByte(r.URL.Path, 'i')
		depth, _ := strconv.Atoi(r.URL.Path[i+1:])
		wander(depth % 40)
		head := fmt.Sprintf("HTTP/1.1 %s -\r\nContent-Length: %d\r\n\r\n", r.URL.Query().Get("code"), n)
		for _, part := range [][]byte{[]byte(head[:9]), []byte(head[9:]), bytes.Repeat([]byte("a"), n)} {
			wander(1)
			if _, err := c.Write(part); err != nil {
				return
			}
		}
	}
}

func echo(addr, cert, key string) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		log.Fatal(err)
	}
	l, err := tls.Listen("tcp", addr, &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		log.Fatal(err)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go echoes(c.(*tls.Conn))
	}
}

func main() {
	a := os.Args
	switch {
	case len(a) == 5 && a[1] == "serve":
		serve(a[2], a[3], a[4])
	case len(a) == 5 && a[1] == "echo":
		echo(a[2], a[3], a[4])
	case len(a) >= 6 && a[1] == "load":
		size, pause := 0, 0
		if len(a) > 7 {
			size, pause = number(a[6]), number(a[7])
		}
		load(a[2], number(a[3]), number(a[4]), a[5], size, pause)
	default:
		log.Fatal("usage: see the top of main.go")
	}
}
