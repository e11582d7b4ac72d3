// SPDX-License-Identifier: Apache-2.0
import com.google.protobuf.ByteString;
import com.google.protobuf.BytesValue;
import com.google.protobuf.StringValue;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.Status;
import io.grpc.protobuf.ProtoUtils;
import java.time.Instant;

/** A line of a plan (load.proto). */
final class Plan {
	static final String SERVICE = "spandrel.test.Load";
	static final Metadata.Key<String> ID = Metadata.Key.of("x-truth-id", Metadata.ASCII_STRING_MARSHALLER);
	static final Metadata.Key<String> PARENT = Metadata.Key.of("traceparent", Metadata.ASCII_STRING_MARSHALLER);

	final String line, id, method, parent;
	final int code, count, pause, size, deadline, cancel;
	final long begin = now();
	int sent, received;

	Plan(String line) {
		String[] w = line.split(" ");
		this.line = line;
		id = w[0];
		method = w[1];
		code = Integer.parseInt(w[2]);
		count = Integer.parseInt(w[3]);
		pause = Integer.parseInt(w[4]);
		size = Integer.parseInt(w[5]);
		deadline = Integer.parseInt(w[6]);
		cancel = Integer.parseInt(w[7]);
		parent = w[8];
	}

	static long now() {
		Instant i = Instant.now();
		return i.getEpochSecond() * 1_000_000_000L + i.getNano();
	}

	StringValue ask() {
		return StringValue.of(line);
	}

	BytesValue answer() {
		return BytesValue.of(ByteString.copyFrom(new byte[size]));
	}

	Metadata metadata() {
		Metadata m = new Metadata();
		m.put(ID, id);
		if (!parent.equals("-"))
			m.put(PARENT, parent);
		return m;
	}

	/** What the server ends the call with. */
	Status end(String told) {
		return id.equals(told) ? Status.fromCodeValue(code).withDescription("as asked")
			: Status.DATA_LOSS.withDescription("another id");
	}

	static MethodType kind(String method) {
		return switch (method) {
		case "Down" -> MethodType.SERVER_STREAMING;
		case "Up" -> MethodType.CLIENT_STREAMING;
		case "Both" -> MethodType.BIDI_STREAMING;
		default -> MethodType.UNARY;
		};
	}

	static MethodDescriptor<StringValue, BytesValue> descriptor(String method) {
		return MethodDescriptor.<StringValue, BytesValue>newBuilder().setType(kind(method))
			.setFullMethodName(SERVICE + "/" + method)
			.setRequestMarshaller(ProtoUtils.marshaller(StringValue.getDefaultInstance()))
			.setResponseMarshaller(ProtoUtils.marshaller(BytesValue.getDefaultInstance())).build();
	}

	void done(Status status) {
		System.out.printf("%s %d %d %d %d %d%n", id, status.getCode().value(), sent, received, begin, now());
		System.out.flush();
	}
}
