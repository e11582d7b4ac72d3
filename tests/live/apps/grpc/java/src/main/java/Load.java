// SPDX-License-Identifier: Apache-2.0
import io.grpc.ChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import io.grpc.InsecureServerCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ServerCredentials;
import io.grpc.ServerServiceDefinition;
import io.grpc.TlsChannelCredentials;
import io.grpc.TlsServerCredentials;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/** grpc-java on Netty (load.proto says what it does). */
public final class Load {
	/** TLS if the environment names a certificate and its key. */
	private static final String CERT = System.getenv("TLS_CERT"), KEY = System.getenv("TLS_KEY");

	private static ServerCredentials server() throws IOException {
		return CERT == null ? InsecureServerCredentials.create() : TlsServerCredentials.create(new File(CERT), new File(KEY));
	}

	private static ChannelCredentials client() throws IOException {
		return CERT == null ? InsecureChannelCredentials.create()
			: TlsChannelCredentials.newBuilder().trustManager(new File(CERT)).build();
	}

	private static void serve(int port) throws Exception {
		Serve handler = new Serve();
		ServerServiceDefinition.Builder service = ServerServiceDefinition.builder(Plan.SERVICE);
		for (String method : new String[] {"Unary", "Down", "Up", "Both"})
			service.addMethod(Plan.descriptor(method), handler);
		NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", port), server()).addService(service.build())
			.maxInboundMessageSize(64 << 20).build().start().awaitTermination();
	}

	private static void drive(int port, int streams) throws Exception {
		ManagedChannel channel = NettyChannelBuilder.forAddress(new InetSocketAddress("127.0.0.1", port), client())
			.maxInboundMessageSize(64 << 20).build();
		BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
		Semaphore slots = new Semaphore(streams);
		for (String line; (line = lines.readLine()) != null; ) {
			slots.acquire();
			new Call(new Plan(line), slots::release).start(channel);
		}
		slots.acquire(streams);
		channel.shutdown().awaitTermination(5, TimeUnit.SECONDS);
	}

	public static void main(String[] args) throws Exception {
		int port = Integer.parseInt(args[1]);
		if (args[0].equals("serve"))
			serve(port);
		else
			drive(port, Integer.parseInt(args[2]));
	}
}
