// SPDX-License-Identifier: Apache-2.0
import com.google.protobuf.BytesValue;
import com.google.protobuf.StringValue;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.Status;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** One call as its plan says; ended is run at its end. */
final class Call extends ClientCall.Listener<BytesValue> {
	private static final ScheduledExecutorService LATER = Executors.newScheduledThreadPool(2, r -> {
		Thread t = new Thread(r);
		t.setDaemon(true);
		return t;
	});
	private final Plan plan;
	private final Runnable ended;
	private ClientCall<StringValue, BytesValue> call;

	Call(Plan plan, Runnable ended) {
		this.plan = plan;
		this.ended = ended;
	}

	void start(Channel channel) {
		CallOptions options = CallOptions.DEFAULT;
		if (plan.deadline > 0)
			options = options.withDeadlineAfter(plan.deadline, TimeUnit.MILLISECONDS);
		call = channel.newCall(Plan.descriptor(plan.method), options);
		call.start(this, plan.metadata());
		call.request(Integer.MAX_VALUE);
		if (plan.cancel > 0)
			LATER.schedule(() -> call.cancel("as planned", null), plan.cancel, TimeUnit.MILLISECONDS);
		MethodType kind = Plan.kind(plan.method);
		if (kind == MethodType.UNARY || kind == MethodType.SERVER_STREAMING)
			send(1);
		else
			LATER.schedule(() -> send(plan.count), plan.pause, TimeUnit.MILLISECONDS);
	}

	private void send(int left) {
		try {
			if (left > 0) {
				plan.sent++;
				call.sendMessage(plan.ask());
			}
			if (left > 1)
				LATER.schedule(() -> send(left - 1), plan.pause, TimeUnit.MILLISECONDS);
			else
				call.halfClose();
		} catch (IllegalStateException e) {
			// ended meanwhile
		}
	}

	@Override
	public void onMessage(BytesValue answer) {
		plan.received++;
	}

	@Override
	public void onClose(Status status, Metadata trailers) {
		plan.done(status);
		ended.run();
	}
}
