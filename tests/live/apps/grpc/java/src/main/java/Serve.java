// SPDX-License-Identifier: Apache-2.0
import com.google.protobuf.BytesValue;
import com.google.protobuf.StringValue;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.Status;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** One handler for the four kinds: what was asked decides. */
final class Serve implements ServerCallHandler<StringValue, BytesValue> {
	private final ScheduledExecutorService later = Executors.newScheduledThreadPool(2);

	@Override
	public ServerCall.Listener<StringValue> startCall(ServerCall<StringValue, BytesValue> call, Metadata metadata) {
		call.request(Integer.MAX_VALUE);
		return new Running(call, metadata.get(Plan.ID));
	}

	private final class Running extends ServerCall.Listener<StringValue> {
		private final ServerCall<StringValue, BytesValue> call;
		private final String told;
		private Plan plan;
		private boolean begun;

		Running(ServerCall<StringValue, BytesValue> call, String told) {
			this.call = call;
			this.told = told;
		}

		private void answer() {
			if (!begun)
				call.sendHeaders(new Metadata());
			begun = true;
			call.sendMessage(plan.answer());
		}

		@Override
		public void onMessage(StringValue ask) {
			if (plan == null)
				plan = new Plan(ask.getValue());
			if (plan.method.equals("Both"))
				answer();
		}

		@Override
		public void onHalfClose() {
			switch (plan.method) {
			case "Unary" -> later.schedule(this::last, plan.pause, TimeUnit.MILLISECONDS);
			case "Down" -> later.schedule(() -> down(plan.count), plan.pause, TimeUnit.MILLISECONDS);
			default -> last();
			}
		}

		private synchronized void down(int left) {
			if (call.isCancelled())
				return;
			if (left > 0)
				answer();
			if (left > 1)
				later.schedule(() -> down(left - 1), plan.pause, TimeUnit.MILLISECONDS);
			else
				last();
		}

		private synchronized void last() {
			if (call.isCancelled())
				return;
			Status status = plan.end(told);
			if (status.isOk() && (plan.method.equals("Unary") || plan.method.equals("Up")))
				answer();
			call.close(status, new Metadata());
		}
	}
}
