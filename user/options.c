// SPDX-License-Identifier: Apache-2.0
/* The options: name, type, where the value goes, default, help. Nothing else knows them by name but README.md. */
#include "config_value.h"

#define AT(field) offsetof(struct config, field)
#define GROUP(title) { title, OPT_GROUP, 0, NULL, NULL, NULL, 0, 0 }
#define FLAG(name, field, help) { name, OPT_BOOL, AT(field), "", NULL, help, 0, 0 }
#define TEXT(name, field, arg, fallback, help) { name, OPT_STRING, AT(field), arg, fallback, help, 0, 0 }
#define LIST(name, field, arg, help) { name, OPT_LIST, AT(field), arg, NULL, help, 0, 0 }
#define TIME(name, field, fallback, help) { name, OPT_DURATION, AT(field), "DURATION", fallback, help, 0, 0 }
#define CHOICE(name, field, arg, fallback, help) { name, OPT_CHOICE, AT(field), arg, fallback, help, 0, 0 }
#define NUMBER(name, field, fallback, lo, hi, help) { name, OPT_NUMBER, AT(field), "N", fallback, help, lo, hi }
#define SIZE(name, field, fallback, lo, hi, help) { name, OPT_SIZE, AT(field), "BYTES", fallback, help, lo, hi }

#define MIB (1024ULL * 1024)

const struct option options[] = {
	GROUP("Select (alternatives of one kind are OR-ed, kinds are AND-ed, exclusions win)"),
	LIST("pid", select.pid, "N", "this process and all its descendants"),
	LIST("exe", select.exe, "GLOB", "executable's path; a pattern without / matches the last component"),
	LIST("comm", select.comm, "GLOB", "the process's command name"),
	LIST("port", select.port, "N[-M]", "local or remote TCP port"),
	LIST("cgroup", select.cgroup, "PATH", "this cgroup (v2) and all below it"),
	LIST("container", select.container, "GLOB",
	     "container, by its name in its pod; without Kubernetes by the beginning of its id"),
	LIST("kube-namespace", select.kube_namespace, "GLOB", "pods of this Kubernetes namespace"),
	LIST("kube-pod", select.kube_pod, "GLOB", "pods with this name"),
	LIST("kube-label", select.kube_label, "K=V", "pods with label K of value V, which may be a pattern"),
	FLAG("all", select.all, "every process"),
	LIST("exclude-pid", select.not_pid, "N", "not this process nor its descendants"),
	LIST("exclude-exe", select.not_exe, "GLOB", "not these executables"),
	LIST("exclude-comm", select.not_comm, "GLOB", "not these command names"),
	LIST("exclude-port", select.not_port, "N[-M]", "not these TCP ports"),
	LIST("exclude-cgroup", select.not_cgroup, "PATH", "not this cgroup nor any below it"),
	LIST("exclude-container", select.not_container, "GLOB", "not these containers"),
	LIST("exclude-kube-namespace", select.not_kube_namespace, "GLOB", "not the pods of this namespace"),
	LIST("exclude-kube-pod", select.not_kube_pod, "GLOB", "not the pods with this name"),
	LIST("exclude-kube-label", select.not_kube_label, "K=V", "not the pods with this label"),

	GROUP("Protocols"),
	TEXT("protocols", protocols.list, "LIST", "all", "protocols to recognise: http2, http1, or all"),
	CHOICE("tls", protocols.tls, "auto|off", "auto", "read what programs hand to their TLS libraries"),
	LIST("capture-header", protocols.capture_header, "NAME",
	     "export this header, REDACTED if its name speaks of secrets unless NAME:plain; x-request-id, x-correlation-id always"),
	LIST("keep-query", protocols.keep_query, "GLOB", "query keys whose values are shown, and parameters without a value; all others are REDACTED"),
	LIST("exclude-method", protocols.exclude_method, "GLOB",
	     "no spans of RPC methods like this, as package.Service/Method: grpc.health.*/*"),
	TIME("request-timeout", protocols.request_timeout, "5m", "a request ends when nothing moved for so long; 0: never"),
	NUMBER("max-attribute-length", protocols.max_attribute_length, "4096", 0, 1 << 20,
	       "longer attribute values are cut, in bytes; 0: no limit"),

	GROUP("Trace"),
	TEXT("link", trace.link, "LIST", "all", "how parents may be found: header, thread, connection; all; none"),
	TIME("link-timeout", trace.link_timeout, "30s", "how long a span waits for the request above it to end"),
	LIST("correlation-header", trace.correlation_header, "NAME", "a request id of your own: captured like x-request-id"),

	GROUP("Identity"),
	TEXT("service-name", identity.service_name, "NAME", NULL, "service.name of every process; else found per process"),
	TEXT("environment", identity.environment, "NAME", NULL, "deployment.environment.name"),
	TEXT("cluster-name", identity.cluster_name, "NAME", NULL, "k8s.cluster.name"),
	CHOICE("semconv", identity.semconv, "stable|legacy|both", "stable",
	       "attribute names: current, as before (HTTP 1.20, RPC 1.37), or both"),
	LIST("resource", identity.resource, "K=V", "a resource attribute for every span"),

	GROUP("Kubernetes"),
	CHOICE("kube", kube.mode, "auto|on|off", "auto",
	       "ask the API server about this node's pods; auto: with a service account, --kubeconfig or --kube-api"),
	TEXT("kube-api", kube.api, "URL", NULL, "the API server; else as the kubeconfig or the pod's environment has it"),
	TEXT("kubeconfig", kube.kubeconfig, "FILE", NULL, "how to reach it from outside: certificates or a token; else the service account"),
	TEXT("node-name", kube.node_name, "NAME", NULL, "the node whose pods are of interest; else NODE_NAME, else the host's name"),
	TIME("kube-wait", kube.wait, "5s", "how long spans of a container that is new here wait for its pod; 0: they do not"),
	LIST("kube-pod-label", kube.pod_label, "GLOB", "pod labels to export as k8s.pod.label.KEY"),
	FLAG("kube-app-labels", kube.app_labels, "service.name and .version by the pod's labels app.kubernetes.io/instance, /name, /version"),
	FLAG("kube-services", kube.services,
	     "names of the whole cluster's services and their endpoints (needs rights to them; up to 17 MB)"),

	GROUP("Sample"),
	{ "sample-ratio", OPT_RATIO, AT(sample.ratio), "R", "1", "share of traces to keep, 0 to 1, that neither a parent nor a rule decided", 0, 0 },
	LIST("sample-rule", sample.rule, "RULE", "KEY=VALUE,... of service, route, method, status, min-duration, ratio, rate; the first match wins"),
	FLAG("sample-ignore-parent", sample.ignore_parent, "decide whatever the request's context says"),
	FLAG("keep-errors", sample.keep_errors, "keep every local trace with an error, whatever else decided"),
	TIME("keep-slower-than", sample.keep_slower_than, "0", "keep every local trace with a span that took longer; 0: off"),
	TEXT("sample-rate", sample.rate, "N/s", NULL, "at most so many local traces a second (N/m: a minute) of all others"),

	GROUP("Export"),
	LIST("otlp-endpoint", export.otlp_endpoint, "URL",
	     "back end, http, https or unix:///SOCKET; with HTTP /v1/traces is appended unless there"),
	CHOICE("otlp-balance", export.otlp_balance, "copy|trace-id", "copy",
	       "of several end points: all get every span, or each whole traces (by a ring)"),
	CHOICE("otlp-protocol", export.otlp_protocol, "http/protobuf|grpc|http/json", "http/protobuf", "encoding and transport"),
	LIST("otlp-header", export.otlp_header, "K=V", "a header of each export request"),
	CHOICE("otlp-compression", export.otlp_compression, "none|gzip", "none", "of the request's body"),
	TIME("otlp-timeout", export.otlp_timeout, "10s", "for one export request"),
	TEXT("otlp-ca", export.otlp_ca, "FILE", NULL, "PEM certificates to trust"),
	TEXT("otlp-cert", export.otlp_cert, "FILE", NULL, "PEM client certificate"),
	TEXT("otlp-key", export.otlp_key, "FILE", NULL, "PEM key of it"),
	TEXT("zipkin-endpoint", export.zipkin_endpoint, "URL", NULL,
	     "Zipkin back end; /api/v2/spans is appended unless there; --otlp-ca, -cert, -key, -compression, -timeout count for it, too"),
	NUMBER("batch-size", export.batch_size, "512", 1, 65536, "spans in one request"),
	TIME("batch-age", export.batch_age, "1s", "a batch is sent after this time even if not full"),
	TEXT("file", export.file, "PATH", NULL, "append OTLP/JSON lines; - for standard output"),
	TEXT("access-log", export.access_log, "PATH", NULL,
	     "one JSON line a request, with trace and span id; - for standard output; SIGHUP opens it again"),
	SIZE("file-size", export.file_size, "0", 0, 1024 * 1024 * MIB,
	     "of --file and --access-log: a file that would grow larger becomes PATH.1, and so on to PATH.5; 0: no limit"),
	FLAG("console", export.console, "one line a span; the default when nothing else is chosen"),

	GROUP("Limits"),
	NUMBER("queue-size", limits.queue_size, "8192", 1, 1 << 20, "spans not yet acknowledged by the back end"),
	TEXT("spool-dir", limits.spool_dir, "DIR", NULL,
	     "what does not fit into the queue, or is unsent at the end, goes to files here and is sent later"),
	SIZE("spool-size", limits.spool_size, "1GiB", MIB, 64 * 1024 * MIB, "of all those files; at it the oldest spans are dropped"),
	NUMBER("max-connections", limits.max_connections, "16384", 1, 1 << 20, "connections followed at once"),
	SIZE("ring-size", limits.ring_size, "8MiB", 64 * 1024, 1024 * MIB, "memory shared with the kernel; made the next power of two"),
	SIZE("memory-limit", limits.memory_limit, "64MiB", MIB, 64 * 1024 * MIB, "reassembly and open requests"),

	GROUP("Operate"),
	TEXT("config", operate.config, "FILE", NULL, "options, one \"name value\" a line; read again at SIGHUP (selectors, sampling)"),
	CHOICE("log-level", operate.log_level, "error|warn|info|debug", "info", "what is said on standard error"),
	CHOICE("log-format", operate.log_format, "text|json", "text", "of those lines"),
	TIME("duration", operate.duration, "0", "stop after this time; 0: run until SIGTERM or SIGINT"),
	TEXT("record", operate.record, "FILE", NULL, "keep the kernel's events, for --replay"),
	TEXT("replay", operate.replay, "FILE", NULL, "run on recorded events, without privileges"),
	CHOICE("backend", operate.backend, "auto|fentry|socktp|kprobe", "auto", "way into the kernel"),
	TEXT("listen", operate.listen, "ADDR", NULL,
	     "HOST:PORT, [IPV6]:PORT, :PORT (loopback) or unix:PATH: /metrics, /healthz, /readyz"),
	TEXT("control", operate.control, "PATH", NULL, "UNIX socket of `spandrel set`, mode 0600; else an abstract one"),
	FLAG("check", operate.check, "say what this host offers and what would be used, and end"),
	FLAG("version", operate.version, "print the version and end"),
	FLAG("help", operate.help, "print this and end"),
};

const size_t n_options = sizeof(options) / sizeof(options[0]);
_Static_assert(sizeof(options) / sizeof(options[0]) <= OPTIONS_MAX, "struct source has a bit for each");
