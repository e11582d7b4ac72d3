/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every counter of the product, one row each: C name, exported name, label, help. A row is added here and
 * nowhere else; the exit report, --help's documentation check and /metrics come from this table.
 * Identity: requests_seen + spans_recovered = spans_exported + spans_sampled_out + spans_in_spool + sum of requests_dropped,
 * once all is flushed; before that, what is still in memory is missing on the right.
 * Counters are process-wide and monotonic; incremented by the one thread without locks.
 */
#ifndef SPANDREL_BASE_STATS_H
#define SPANDREL_BASE_STATS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/slice.h"

#define STATS_TABLE(X)                                                                                         \
	X(records, "records", "", "records read from the kernel")                                              \
	X(missed_data, "records_missed", "kind=\"data\"", "data records the kernel could not hand over: ring full") \
	X(missed_open, "records_missed", "kind=\"open\"", "connection records the kernel could not hand over")   \
	X(missed_end, "records_missed", "kind=\"end\"", "end-of-connection records the kernel could not hand over") \
	X(missed_proc, "records_missed", "kind=\"process\"", "process records the kernel could not hand over")   \
	X(missed_session, "records_missed", "kind=\"session\"", "TLS session records the kernel could not hand over") \
	X(missed_return, "records_missed", "kind=\"return\"", "operations whose return the kernel did not report (way in: kprobe)")  \
	X(missed_mapped, "records_missed", "kind=\"mapped\"", "records of files that processes map, which the kernel could not hand over: TLS in them may be found late") \
	X(missed_nested, "records_missed", "kind=\"nested\"", "runs of a program that the kernel left out because it was preempted in the middle of another") \
	X(probes_missing, "probes_missing", "", "optional probes that this kernel refused: a line at the start names them") \
	X(bad_records, "records_invalid", "", "records that do not describe themselves consistently")          \
	X(hole_budget, "bytes_skipped", "reason=\"budget\"", "bytes not copied: no verdict yet and the turn's budget used up") \
	X(hole_verdict, "bytes_skipped", "reason=\"verdict\"", "bytes not copied: bodies and uninteresting connections") \
	X(hole_no_buffer, "bytes_skipped", "reason=\"no_buffer\"", "bytes moved by sendfile or splice: content unknown on this way in") \
	X(hole_io_uring, "bytes_skipped", "reason=\"io_uring\"", "bytes moved by io_uring: content unknown on this way in") \
	X(hole_foreign, "bytes_skipped", "reason=\"foreign_call\"", "bytes whose system call could not be proven (32-bit programs, other calls)") \
	X(hole_fault, "bytes_skipped", "reason=\"fault\"", "bytes whose user memory could not be read")          \
	X(hole_trunc, "bytes_skipped", "reason=\"msg_trunc\"", "bytes that the program discarded with MSG_TRUNC") \
	X(hole_unseen, "bytes_skipped", "reason=\"unseen\"", "bytes moved out of sight (splice, processes not selected)") \
	X(gap_bytes, "bytes_skipped", "reason=\"gap\"", "bytes a parser needed and did not get")                 \
	X(memory_bytes, "bytes_skipped", "reason=\"memory\"", "bytes not kept: --memory-limit")                  \
	X(seq_races, "sequence_races", "", "operations whose sequence numbers went backwards: two threads on one socket") \
	X(path_too_long, "selection_undecided", "", "executable paths or patterns too long to decide in the kernel") \
	X(procs_full, "processes_refused", "", "selected processes beyond the kernel's table")                  \
	X(cgroups_refused, "cgroups_refused", "", "directories of pods and containers beyond the table: not selected by name") \
	X(cgroups_unread, "cgroups_unread", "", "directories of control groups too deep or too many to look for containers in") \
	X(conns_opened, "connections_seen", "", "connections of selected processes")                           \
	X(conns_evicted, "connections_evicted", "", "connections forgotten at --max-connections to make room")  \
	X(conns_nostate, "connections_refused", "", "connections without state in the kernel: out of memory")   \
	X(conns_layered, "connections_layered", "", "connections whose bytes the kernel encrypts or redirects (kTLS, sockmap): offsets are counted, not taken from TCP") \
	X(conns_unknown, "records_unmatched", "", "records of a connection whose beginning was not handed over") \
	X(conns_tls, "connections_tls_unreadable", "", "connections seen to speak TLS that no TLS session claims: not readable")           \
	X(sessions_seen, "tls_sessions_seen", "", "TLS sessions whose plaintext is read")                       \
	X(sessions_unbound, "tls_sessions_without_address", "", "TLS sessions that ended before their socket was known: no addresses") \
	X(sessions_evicted, "tls_sessions_evicted", "", "TLS sessions that the kernel's table had no room for: read on as old ones") \
	X(sessions_nostate, "tls_sessions_refused", "", "TLS calls whose session found no room in the kernel")  \
	X(tls_unfinished, "tls_calls_unfinished", "", "calls of TLS libraries whose return was not seen: what they moved is not known") \
	X(tls_looked, "tls_files", "event=\"looked_at\"", "files that processes map whose symbols were searched for those of TLS libraries") \
	X(tls_attached, "tls_files", "event=\"attached\"", "files with TLS in them that were given probes")   \
	X(tls_detached, "tls_files", "event=\"detached\"", "files whose probes were taken away: no process maps them any more") \
	X(tls_probes, "tls_probes_attached", "", "probes that stand, or stood, in those files")              \
	X(tls_refused, "tls_attach_failed", "reason=\"permission\"", "files with TLS in them where the kernel allowed no probes") \
	X(tls_no_room, "tls_attach_failed", "reason=\"limit\"", "likewise, for want of memory, descriptors, or room among the files that are kept") \
	X(tls_not_attached, "tls_attach_failed", "reason=\"other\"", "likewise, for other reasons")             \
	X(tls_gone, "tls_files_missed", "reason=\"gone\"", "files that nobody could reach any more when they were to be looked at") \
	X(tls_stuck, "tls_files_missed", "reason=\"unanswered\"", "files on a file system that did not answer when they were to be looked at") \
	X(tls_unsearched, "tls_files_missed", "reason=\"search_full\"", "files that nothing can be hooked in, not searched for TLS without symbols: too many waited") \
	X(tls_queue, "tls_files_missed", "reason=\"queue_full\"", "files, and ends of processes, beyond what can wait to be looked at") \
	X(conns_opaque, "connections_opaque", "", "connections whose protocol is not known or not HTTP any more") \
	X(out_of_step, "parser_out_of_step", "protocol=\"http1\"", "times the HTTP/1 parser lost a connection's message boundaries") \
	X(resyncs, "parser_resynchronised", "protocol=\"http1\"", "times it found them again")                  \
	X(out_of_step_h2, "parser_out_of_step", "protocol=\"http2\"", "times the HTTP/2 parser lost a connection's frames") \
	X(resyncs_h2, "parser_resynchronised", "protocol=\"http2\"", "times it found them again")                \
	X(h2_malformed, "http2_blocks_malformed", "", "HTTP/2 header blocks that break the specification: not read") \
	X(h2_too_long, "http2_blocks_too_long", "", "HTTP/2 header blocks above 64 KiB: not read")              \
	X(h2_unknown, "http2_heads_unknown", "", "HTTP/2 heads with fields in a part of the header table that was not seen") \
	X(orphan_responses, "responses_unmatched", "", "responses to requests that were not seen")             \
	X(attrs_cut, "attributes_truncated", "", "attribute values cut at --max-attribute-length")               \
	X(resource_cut, "resource_values_cut", "", "attributes of resources that were cut or left out for their length or number") \
	X(headers_cut, "headers_ignored", "", "allow-listed headers beyond the limit of one message")            \
	X(requests_seen, "requests_seen", "", "requests whose head (or its beginning) was seen")               \
	X(drop_head_too_long, "requests_dropped", "reason=\"head_too_long\"", "requests or responses with a head above 64 KiB") \
	X(drop_shutdown, "requests_dropped", "reason=\"shutdown\"", "requests still open when the tracer stopped") \
	X(drop_out_of_step, "requests_dropped", "reason=\"out_of_step\"", "requests on a connection that lost its message boundaries") \
	X(drop_gap, "requests_dropped", "reason=\"gap\"", "requests whose head has a hole")                     \
	X(drop_incomplete, "requests_dropped", "reason=\"incomplete\"", "requests whose head had not ended when their connection did") \
	X(drop_memory, "requests_dropped", "reason=\"memory\"", "requests beyond --memory-limit")                \
	X(drop_pipeline, "requests_dropped", "reason=\"pipeline_limit\"", "requests beyond the open requests of one connection") \
	X(drop_evicted, "requests_dropped", "reason=\"evicted\"", "requests open on a connection that was forgotten") \
	X(drop_queue, "requests_dropped", "reason=\"queue_full\"", "spans beyond --queue-size")                   \
	X(drop_refused, "requests_dropped", "reason=\"export_refused\"", "spans the back end refused for good")  \
	X(drop_unsent, "requests_dropped", "reason=\"export_failed\"", "spans not delivered before the retry limit or the exit") \
	X(drop_file, "requests_dropped", "reason=\"file_write\"", "spans that could not be written to --file, --access-log or the console") \
	X(drop_encode, "requests_dropped", "reason=\"encode\"", "spans that alone pass the size of a request, or no memory to encode") \
	X(drop_spool_full, "requests_dropped", "reason=\"spool_full\"", "spans that were the oldest in the spool at --spool-size") \
	X(drop_spool_damaged, "requests_dropped", "reason=\"spool_damaged\"", "spans in parts of the spool that can no longer be read") \
	X(drop_excluded, "requests_dropped", "reason=\"excluded\"", "requests of RPC methods that --exclude-method names") \
	X(drop_self_traced, "requests_dropped", "reason=\"self_traced\"", "requests that carry traces by OTLP, and all of processes that send their own") \
	X(requests_timed_out, "requests_timed_out", "", "requests ended by --request-timeout")                 \
	X(spans_sampled_out, "spans_sampled_out", "", "spans not kept by sampling")                            \
	X(kept_parent, "spans_kept", "by=\"parent\"", "spans kept as the context of their request says")          \
	X(kept_rule, "spans_kept", "by=\"rule\"", "spans kept by a --sample-rule")                              \
	X(kept_temporary, "spans_kept", "by=\"temporary_rule\"", "spans kept by a rule of `spandrel set`")      \
	X(kept_ratio, "spans_kept", "by=\"ratio\"", "spans kept by --sample-ratio")                             \
	X(kept_error, "spans_kept", "by=\"error\"", "spans kept by --keep-errors, the local trace with them")   \
	X(kept_slow, "spans_kept", "by=\"slow\"", "spans kept by --keep-slower-than, the local trace with them") \
	X(spans_over_rate, "spans_over_rate", "", "spans not kept because of a rate; among spans_sampled_out")  \
	X(spans_without_th, "spans_without_probability", "", "spans kept with a probability that is not known: no th in their tracestate") \
	X(tail_timeout, "traces_decided_early", "reason=\"timeout\"", "local traces decided before their root had ended: --link-timeout") \
	X(tail_straggler, "traces_decided_early", "reason=\"straggler\"", "local traces decided while requests below their root went on") \
	X(tail_limit, "traces_decided_early", "reason=\"limit\"", "local traces decided early: too many spans were waiting") \
	X(tail_late, "spans_late", "", "spans that came when their local trace was decided: they followed it")  \
	X(rules_set, "sample_rules", "event=\"set\"", "temporary rules that `spandrel set` put in force")       \
	X(rules_ended, "sample_rules", "event=\"ended\"", "temporary rules that expired or were taken back")    \
	X(rules_refused, "sample_rules", "event=\"refused\"", "messages on the control socket that were refused") \
	X(spans_exported, "spans_exported", "", "spans that an exporter has acknowledged or written")          \
	X(spans_recovered, "spans_recovered", "", "spans that an earlier run left in the spool")               \
	X(spans_spooled, "spans_spooled", "", "spans written to the spool whose fate was open")                \
	X(spans_in_spool, "spans_in_spool", "", "spans in the spool now whose fate is open: not a sum, it falls as they are sent") \
	X(spool_failed, "spool_writes_failed", "", "batches that the disk did not take; they stayed in memory") \
	X(spool_unread, "spool_reads_failed", "", "times that a file of the spool could not be read; it stays, and is tried again") \
	X(spool_damaged, "spool_places_damaged", "", "places in the spool that were cut or changed")            \
	X(spool_ignored, "spool_files_ignored", "", "files in --spool-dir with a name of ours that are none of ours") \
	X(links_header, "links", "by=\"header\"", "parents found in a request's headers")                        \
	X(links_thread, "links", "by=\"thread\"", "parents found by the thread that made the call")              \
	X(links_connection, "links", "by=\"connection\"", "parents found at the other end of the connection")    \
	X(links_ambiguous, "links_refused", "reason=\"ambiguous\"", "parents not set: more than one candidate")  \
	X(links_loop, "links_refused", "reason=\"event_loop\"", "parents not set: the thread serves several connections at once") \
	X(links_multiplexed, "links_refused", "reason=\"multiplexed\"", "parents not set: threads write for each other where many requests share a connection") \
	X(links_timeout, "links_refused", "reason=\"timeout\"", "parents not set: the request above did not end within --link-timeout") \
	X(links_abandoned, "links_refused", "reason=\"abandoned\"", "parents not set: the request above was dropped, or open at the end") \
	X(links_memory, "links_refused", "reason=\"limit\"", "parents not set: too many spans were waiting")      \
	X(ctx_invalid, "contexts_invalid", "", "incoming trace contexts that break the specification")         \
	X(procs_unread, "processes_unreadable", "", "processes whose facts could not be read from /proc")       \
	X(kube_added, "kube_events", "type=\"added\"", "objects the API server said were added, in watches")    \
	X(kube_modified, "kube_events", "type=\"modified\"", "likewise, changed")                             \
	X(kube_deleted, "kube_events", "type=\"deleted\"", "likewise, deleted")                               \
	X(kube_bookmarks, "kube_events", "type=\"bookmark\"", "signs of life of the API server that name a version") \
	X(kube_listed, "kube_listed", "", "objects read from lists of the API server")                        \
	X(kube_relists, "kube_relists", "", "lists asked for again because a version had expired or an answer was damaged") \
	X(kube_requests, "kube_requests", "", "requests sent to the API server")                              \
	X(kube_bytes, "kube_bytes", "", "bytes of the API server's answers, as they came (compressed)")       \
	X(kube_err_connect, "kube_errors", "reason=\"connect\"", "requests to the API server without an answer: name, connection") \
	X(kube_err_tls, "kube_errors", "reason=\"tls\"", "likewise: its certificate, or TLS failed")          \
	X(kube_err_timeout, "kube_errors", "reason=\"timeout\"", "requests the API server did not answer, or not to the end, in time") \
	X(kube_err_broken, "kube_errors", "reason=\"broken\"", "answers of the API server that ended early")  \
	X(kube_err_auth, "kube_errors", "reason=\"unauthorized\"", "requests refused with 401")               \
	X(kube_err_forbidden, "kube_errors", "reason=\"forbidden\"", "requests refused with 403: what the role lacks") \
	X(kube_err_expired, "kube_errors", "reason=\"expired\"", "versions the API server no longer has (410): listed again") \
	X(kube_err_busy, "kube_errors", "reason=\"busy\"", "requests put off with 429")                       \
	X(kube_err_status, "kube_errors", "reason=\"status\"", "other answers than 200, and errors inside a watch") \
	X(kube_err_syntax, "kube_errors", "reason=\"syntax\"", "answers of the API server that are not the JSON, or gzip, they should be") \
	X(kube_err_long, "kube_errors", "reason=\"too_long\"", "answers, or events in them, beyond their limit") \
	X(kube_err_files, "kube_errors", "reason=\"credentials\"", "times the token, key or certificates could not be read") \
	X(kube_err_memory, "kube_errors", "reason=\"memory\"", "requests for which there was no memory")      \
	X(kube_pods_refused, "kube_pods_refused", "", "pods not kept: more than 1024, or beyond 8 MiB, or without a uid") \
	X(kube_services_refused, "kube_services_refused", "", "service ports and endpoints not kept: more than 16384, 65536") \
	X(kube_values_cut, "kube_values_cut", "", "values of pods and services that were cut or left out for their length or number") \
	X(procs_self_traced, "processes_self_traced", "", "processes seen to send traces of their own by OTLP: not traced twice") \
	X(kube_missing, "kube_metadata_missing", "", "spans of a process in a container whose pod was not known in time") \
	X(kube_unwaited, "kube_waits_cut", "", "times that spans stopped waiting for pods: too many were waiting") \
	X(batches_sent, "batches_sent", "", "batches acknowledged by an OTLP or Zipkin end point")                       \
	X(batches_retried, "batches_retried", "", "batches sent again")                                        \
	X(batches_halved, "batches_halved", "", "batches too large for the back end, sent again in halves")     \
	X(undelivered_otlp, "spans_undelivered", "exporter=\"otlp\"", "spans this exporter gave up, delivered by another or not") \
	X(undelivered_file, "spans_undelivered", "exporter=\"file\"", "likewise")                                \
	X(undelivered_access_log, "spans_undelivered", "exporter=\"access_log\"", "likewise")                    \
	X(undelivered_console, "spans_undelivered", "exporter=\"console\"", "likewise")                          \
	X(undelivered_zipkin, "spans_undelivered", "exporter=\"zipkin\"", "likewise")                            \
	X(listen_answers, "listen_requests", "", "requests that --listen has answered")                          \
	X(listen_evicted, "listen_connections_closed", "reason=\"limit\"", "connections of --listen closed to make room for a newer one") \
	X(listen_slow, "listen_connections_closed", "reason=\"time\"", "connections of --listen closed: no request in time") \
	X(export_rejected, "spans_rejected", "", "spans an OTLP end point reported as rejected in a partial success")

/* Rows above that are no sums: they fall again. */
#define STATS_FALLING(X) X(spans_in_spool)

/* What stats_gauge_add() is called with: exported name, help. */
#define STATS_GAUGES(X) \
	X("requests_open", "requests that have not ended yet, by the service that serves or sends them")                 \
	X("pods_known", "pods in the store: those of this node, and for two minutes those that are gone")              \
	X("tls_unreadable", "files seen with TLS in them and no symbols, by the library that they seem to hold")

enum stat_id { /* not "stat": a file that includes sys/stat.h has that one */
#define X(id, name, label, help) STAT_##id,
	STATS_TABLE(X)
#undef X
	STAT_MAX
};

extern uint64_t stats[STAT_MAX];

#define stat_inc(id) (stats[STAT_##id]++)
#define stat_add(id, n) (stats[STAT_##id] += (n))

struct stat_info {
	const char *name, *label, *help;
};

extern const struct stat_info stat_infos[STAT_MAX];

/*
 * Gauges: values by label that go up and down, a few hundred at most. Those beyond share the label's value "other".
 * name and label are static; the label's value is copied, cut at STAT_LABEL_MAX, with `"`, `\` and control characters as `_`.
 */
#define STAT_GAUGES_MAX 256
#define STAT_LABEL_MAX 64
void stats_gauge_clear(const char *name);
void stats_gauge_add(const char *name, const char *label, struct slice value, uint64_t n);

struct stat_sample {
	const char *name, *labels; /* name="value", or nothing */
	const char *help;	   /* of a gauge: that of all its samples; NULL: none is known */
	bool gauge;
	uint64_t n;
};

/* Every counter in the order of the table, then every gauge; samples of one name need not follow each other. False past the end. */
bool stats_sample(size_t i, struct stat_sample *out);
/* Every counter and every gauge that is not zero, `name value` or `name{label="…"} value`, one a line. */
void stats_print(FILE *f);

#endif
