module spandrel.test/web

go 1.25.0

require (
	connectrpc.com/connect v1.19.1
	golang.org/x/net v0.49.0
	google.golang.org/protobuf v1.36.11
)

require golang.org/x/text v0.33.0 // indirect
