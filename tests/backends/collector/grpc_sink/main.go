// SPDX-License-Identifier: Apache-2.0

// An OTLP/gRPC end point that answers as it is told.
//
// grpc_sink ADDRESS FILE [CERTIFICATE KEY CA]: a JSON line in FILE for each call. ADDRESS is host:port or unix:PATH. Answers OK, or
// what the next line of FILE.plan says:
//
//	CODE             that status             CODE:retry=MS    with a RetryInfo
//	over=N           RESOURCE_EXHAUSTED for more than N spans
//	partial=N        OK, N spans rejected    warn             OK, none rejected, with a message
//	hang             no answer               cut              the connection is closed without an answer
//	echo             PERMISSION_DENIED with the call's metadata as message
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

type sink struct {
	ptraceotlp.UnimplementedGRPCServer
	path  string
	mutex sync.Mutex
	conns *listener
}

// listener remembers connections so that one can be cut.
type listener struct {
	net.Listener
	mutex sync.Mutex
	open  []net.Conn
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.mutex.Lock()
		l.open = append(l.open, c)
		l.mutex.Unlock()
	}
	return c, err
}

func (l *listener) cut() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, c := range l.open {
		c.Close()
	}
	l.open = nil
}

func (s *sink) next() string {
	plan, err := os.ReadFile(s.path + ".plan")
	lines := strings.Split(strings.TrimSpace(string(plan)), "\n")
	if err != nil || lines[0] == "" {
		return "0"
	}
	os.WriteFile(s.path+".plan", []byte(strings.Join(lines[1:], "\n")), 0o600)
	return lines[0]
}

func (s *sink) note(ctx context.Context, answer string, code codes.Code, req ptraceotlp.ExportRequest) {
	md, _ := metadata.FromIncomingContext(ctx)
	from, _ := peer.FromContext(ctx)
	deadline, _ := ctx.Deadline()
	text, err := (&ptrace.JSONMarshaler{}).MarshalTraces(req.Traces())
	if err != nil {
		log.Fatal(err)
	}
	line, err := json.Marshal(map[string]any{"answer": answer, "code": code, "spans": req.Traces().SpanCount(), "metadata": md,
		"peer": from.Addr.String(), "time": float64(time.Now().UnixNano()) / 1e9, "deadline": time.Until(deadline).Seconds(),
		"request": json.RawMessage(text)})
	if err != nil {
		log.Fatal(err)
	}
	f, err := os.OpenFile(s.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	f.Write(append(line, '\n'))
	f.Close()
}

func failure(code codes.Code, retry string) error {
	st := status.New(code, "because of \x1b[2J é%")
	if retry != "" {
		ms, _ := strconv.Atoi(retry)
		st, _ = st.WithDetails(&errdetails.ErrorInfo{Reason: "x"},
			&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Duration(ms) * time.Millisecond)})
	}
	return st.Err()
}

func (s *sink) Export(ctx context.Context, req ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	out := ptraceotlp.NewExportResponse()
	answer := s.next()
	what, value, _ := strings.Cut(answer, "=")
	n, _ := strconv.ParseInt(value, 10, 64)
	code, err := codes.OK, error(nil)
	switch what {
	case "over":
		if int64(req.Traces().SpanCount()) > n {
			code = codes.ResourceExhausted
			err = failure(code, "")
		}
	case "partial":
		out.PartialSuccess().SetRejectedSpans(n)
		out.PartialSuccess().SetErrorMessage("not these")
	case "warn":
		out.PartialSuccess().SetErrorMessage("old client")
	case "echo":
		md, _ := metadata.FromIncomingContext(ctx)
		code = codes.PermissionDenied
		err = status.Error(code, fmt.Sprint(md))
	case "hang":
		code = codes.Canceled
		s.note(ctx, answer, code, req)
		<-ctx.Done()
		return out, ctx.Err()
	case "cut":
		code = codes.Unavailable
		s.note(ctx, answer, code, req)
		s.conns.cut()
		return out, failure(code, "")
	default:
		number, _, _ := strings.Cut(what, ":")
		c, _ := strconv.Atoi(number)
		code = codes.Code(c)
		if code != codes.OK {
			err = failure(code, value)
		}
	}
	s.note(ctx, answer, code, req)
	return out, err
}

func tlsOptions(files []string) []grpc.ServerOption {
	if len(files) == 0 {
		return nil
	}
	cert, err := tls.LoadX509KeyPair(files[0], files[1])
	if err != nil {
		log.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	if len(files) > 2 {
		pem, err := os.ReadFile(files[2])
		if err != nil {
			log.Fatal(err)
		}
		config.ClientCAs, config.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		config.ClientCAs.AppendCertsFromPEM(pem)
	}
	return []grpc.ServerOption{grpc.Creds(credentials.NewTLS(config))}
}

func main() {
	network, address := "tcp", os.Args[1]
	if path, is := strings.CutPrefix(address, "unix:"); is {
		network, address = "unix", path
	}
	l, err := net.Listen(network, address)
	if err != nil {
		log.Fatal(err)
	}
	s := &sink{path: os.Args[2], conns: &listener{Listener: l}}
	server := grpc.NewServer(tlsOptions(os.Args[3:])...)
	ptraceotlp.RegisterGRPCServer(server, s)
	log.Fatal(server.Serve(s.conns))
}
