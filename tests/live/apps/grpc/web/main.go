// SPDX-License-Identifier: Apache-2.0
// gRPC-Web by connect-go. `web serve PORT`: HTTP/1.1 and h2c on one port. `web call PORT VERSION METHOD CODE COUNT SIZE`: one call over
// HTTP VERSION (1 or 2), METHOD Unary or Down; prints the code it ended with and how many messages came. PLAIN=1: it does not
// take compressed answers.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"

	"connectrpc.com/connect"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type text = wrapperspb.StringValue
type data = wrapperspb.BytesValue

const service = "/spandrel.test.Web/"

func plan(line string) (code, count, size int) {
	if _, err := fmt.Sscan(line, &code, &count, &size); err != nil {
		log.Fatal(err)
	}
	return
}

func ended(code int) error {
	if code == 0 {
		return nil
	}
	return connect.NewError(connect.Code(code), errors.New("as asked"))
}

func unary(_ context.Context, r *connect.Request[text]) (*connect.Response[data], error) {
	code, _, size := plan(r.Msg.Value)
	if code != 0 {
		return nil, ended(code)
	}
	return connect.NewResponse(&data{Value: make([]byte, size)}), nil
}

func down(_ context.Context, r *connect.Request[text], s *connect.ServerStream[data]) error {
	code, count, size := plan(r.Msg.Value)
	for range count {
		if err := s.Send(&data{Value: make([]byte, size)}); err != nil {
			return err
		}
	}
	return ended(code)
}

func serve(port string) error {
	mux := http.NewServeMux()
	mux.Handle(service+"Unary", connect.NewUnaryHandler(service+"Unary", unary))
	mux.Handle(service+"Down", connect.NewServerStreamHandler(service+"Down", down))
	return http.ListenAndServe("127.0.0.1:"+port, h2c.NewHandler(mux, &http2.Server{}))
}

func client(version string) *http.Client {
	if version == "1" {
		return &http.Client{Transport: &http.Transport{}}
	}
	return &http.Client{Transport: &http2.Transport{AllowHTTP: true,
		DialTLSContext: func(_ context.Context, network, addr string, _ *tls.Config) (net.Conn, error) {
			return net.Dial(network, addr)
		}}}
}

func call(port, version, method, line string) (err error, got int) {
	options := []connect.ClientOption{connect.WithGRPCWeb()}
	if os.Getenv("PLAIN") != "" {
		options = append(options, connect.WithAcceptCompression("gzip", nil, nil))
	}
	c := connect.NewClient[text, data](client(version), "http://127.0.0.1:"+port+service+method, options...)
	ask := connect.NewRequest(&text{Value: line})
	if method != "Down" {
		_, err = c.CallUnary(context.Background(), ask)
		if err == nil {
			got = 1
		}
		return
	}
	s, err := c.CallServerStream(context.Background(), ask)
	if err != nil {
		return
	}
	for s.Receive() {
		got++
	}
	return s.Err(), got
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "serve" {
		log.Fatal(serve(os.Args[2]))
	}
	if len(os.Args) != 8 || os.Args[1] != "call" {
		log.Fatal("usage: web serve PORT | web call PORT VERSION METHOD CODE COUNT SIZE")
	}
	a := os.Args[2:]
	err, got := call(a[0], a[1], a[2], a[3]+" "+a[4]+" "+a[5])
	code := 0
	if err != nil {
		code = int(connect.CodeOf(err))
	}
	fmt.Println(strconv.Itoa(code), got)
}
