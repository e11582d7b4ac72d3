// SPDX-License-Identifier: Apache-2.0
import io.grpc.ManagedChannel;
import io.grpc.ServerServiceDefinition;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/** grpc-java on Netty (load.proto says what it does). */
public final class Load {
	private static void serve(int port) throws Exception {
		Serve handler = new Serve();
		ServerServiceDefinition.Builder service = ServerServiceDefinition.builder(Plan.SERVICE);
		for (String method : new String[] {"Unary", "Down", "Up", "Both"})
			service.addMethod(Plan.descriptor(method), handler);
		NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", port)).addService(service.build())
			.maxInboundMessageSize(64 << 20).build().start().awaitTermination();
	}

	private static void drive(int port, int streams) throws Exception {
		ManagedChannel channel = NettyChannelBuilder.forAddress(new InetSocketAddress("127.0.0.1", port)).usePlaintext()
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
