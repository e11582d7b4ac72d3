// SPDX-License-Identifier: Apache-2.0
// grpc-go (../load.proto says what it does).
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const service = "spandrel.test.Load"

type plan struct {
	line, id, method, parent string
	code                     codes.Code
	count, size              int
	pause, deadline, cancel  time.Duration
	sent, received           int
}

func parse(line string) *plan {
	w := strings.Fields(line)
	var n [6]int
	for i := range n {
		v, err := strconv.Atoi(w[2+i])
		if err != nil {
			log.Fatal(err)
		}
		n[i] = v
	}
	ms := func(v int) time.Duration { return time.Duration(v) * time.Millisecond }
	return &plan{line: line, id: w[0], method: w[1], parent: w[8], code: codes.Code(n[0]), count: n[1],
		pause: ms(n[2]), size: n[3], deadline: ms(n[4]), cancel: ms(n[5])}
}

func (p *plan) ask() *wrapperspb.StringValue { return wrapperspb.String(p.line) }

func (p *plan) answer() *wrapperspb.BytesValue {
	return wrapperspb.Bytes([]byte(strings.Repeat("a", p.size)))
}

// What the server ends the call with.
func (p *plan) end(ctx context.Context) error {
	if md, _ := metadata.FromIncomingContext(ctx); len(md["x-truth-id"]) != 1 || md["x-truth-id"][0] != p.id {
		return status.Error(codes.DataLoss, "another id")
	}
	if p.code != codes.OK {
		return status.Error(p.code, "as asked")
	}
	return nil
}

func (p *plan) wait(ctx context.Context) error {
	select {
	case <-time.After(p.pause):
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

func unary(_ any, ctx context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	in := new(wrapperspb.StringValue)
	if err := dec(in); err != nil {
		return nil, err
	}
	p := parse(in.Value)
	if err := p.wait(ctx); err != nil {
		return nil, err
	}
	if err := p.end(ctx); err != nil {
		return nil, err
	}
	return p.answer(), nil
}

func down(_ any, s grpc.ServerStream) error {
	in := new(wrapperspb.StringValue)
	if err := s.RecvMsg(in); err != nil {
		return err
	}
	p := parse(in.Value)
	for range p.count {
		if err := p.wait(s.Context()); err != nil {
			return err
		}
		if err := s.SendMsg(p.answer()); err != nil {
			return err
		}
	}
	return p.end(s.Context())
}

// The streams that the client feeds: each message is answered, or the last one.
func upstream(each bool) func(any, grpc.ServerStream) error {
	return func(_ any, s grpc.ServerStream) error {
		var p *plan
		for {
			in := new(wrapperspb.StringValue)
			if err := s.RecvMsg(in); err == io.EOF {
				break
			} else if err != nil {
				return err
			}
			p = parse(in.Value)
			if each {
				if err := s.SendMsg(p.answer()); err != nil {
					return err
				}
			}
		}
		if err := p.end(s.Context()); err != nil || each {
			return err
		}
		return s.SendMsg(p.answer())
	}
}

// TLS if the environment names a certificate and its key.
func security(server bool) credentials.TransportCredentials {
	cert, key := os.Getenv("TLS_CERT"), os.Getenv("TLS_KEY")
	if cert == "" {
		return insecure.NewCredentials()
	}
	if !server {
		return credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})
	}
	c, err := credentials.NewServerTLSFromFile(cert, key)
	if err != nil {
		log.Fatal(err)
	}
	return c
}

func serve(port string) {
	l, err := net.Listen("tcp4", "127.0.0.1:"+port)
	if err != nil {
		log.Fatal(err)
	}
	s := grpc.NewServer(grpc.Creds(security(true)), grpc.MaxRecvMsgSize(64<<20), grpc.MaxSendMsgSize(64<<20))
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: service, HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Unary", Handler: unary}},
		Streams: []grpc.StreamDesc{
			{StreamName: "Down", Handler: down, ServerStreams: true},
			{StreamName: "Up", Handler: upstream(false), ClientStreams: true},
			{StreamName: "Both", Handler: upstream(true), ServerStreams: true, ClientStreams: true},
		}}, nil)
	log.Fatal(s.Serve(l))
}

func (p *plan) context() (context.Context, context.CancelFunc) {
	ctx := metadata.AppendToOutgoingContext(context.Background(), "x-truth-id", p.id)
	if p.parent != "-" {
		ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", p.parent)
	}
	undo := context.CancelFunc(func() {})
	if p.deadline > 0 {
		ctx, undo = context.WithTimeout(ctx, p.deadline)
	}
	ctx, cancel := context.WithCancel(ctx)
	if p.cancel > 0 {
		time.AfterFunc(p.cancel, cancel)
	}
	return ctx, func() { cancel(); undo() }
}

func (p *plan) stream(ctx context.Context, conn *grpc.ClientConn) error {
	up, down := p.method != "Down", p.method != "Up"
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: up, ServerStreams: down}, "/"+service+"/"+p.method)
	if err != nil {
		return err
	}
	n := p.count
	if !up {
		n = 1
	}
	go func() {
		for range n {
			if up {
				time.Sleep(p.pause)
			}
			if s.SendMsg(p.ask()) != nil {
				return
			}
			p.sent++
		}
		s.CloseSend()
	}()
	for {
		if err := s.RecvMsg(new(wrapperspb.BytesValue)); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		p.received++
		if !down {
			return nil
		}
	}
}

func (p *plan) call(conn *grpc.ClientConn) error {
	ctx, cancel := p.context()
	defer cancel()
	switch p.method {
	case "Down", "Up", "Both":
		return p.stream(ctx, conn)
	}
	p.sent = 1
	err := conn.Invoke(ctx, "/"+service+"/"+p.method, p.ask(), new(wrapperspb.BytesValue))
	if err == nil {
		p.received = 1
	}
	return err
}

func drive(port string, streams int) {
	conn, err := grpc.NewClient("passthrough:///127.0.0.1:"+port, grpc.WithTransportCredentials(security(false)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(64<<20)))
	if err != nil {
		log.Fatal(err)
	}
	var running sync.WaitGroup
	slots := make(chan struct{}, streams)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		slots <- struct{}{}
		p := parse(lines.Text())
		running.Go(func() {
			begin := time.Now().UnixNano()
			code := status.Code(p.call(conn))
			fmt.Printf("%s %d %d %d %d %d\n", p.id, code, p.sent, p.received, begin, time.Now().UnixNano())
			<-slots
		})
	}
	running.Wait()
	conn.Close()
}

func main() {
	if os.Args[1] == "serve" {
		serve(os.Args[2])
	}
	streams, err := strconv.Atoi(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	drive(os.Args[2], streams)
}
