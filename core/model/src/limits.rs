//! Every limit in one place. Hitting one is counted and shown, never silent.

use std::time::Duration;

/// Active series one store holds; one more is refused and counted.
pub const SERIES_MAX: usize = 1_000_000;
/// Labels of one series, the metric name included.
pub const LABELS_PER_SERIES_MAX: usize = 64;
/// Bytes of one label value.
pub const LABEL_VALUE_BYTES_MAX: usize = 4096;
/// Samples one query may touch.
pub const QUERY_SAMPLES_MAX: usize = 50_000_000;
/// Series one query may touch.
pub const QUERY_SERIES_MAX: usize = 500_000;
/// Steps of one range query, as Prometheus has it.
pub const QUERY_STEPS_MAX: usize = 11_000;
/// How long one query may run.
pub const QUERY_TIME_MAX: Duration = Duration::from_mins(2);
/// Bytes of one remote-write body after decompression.
pub const REMOTE_WRITE_BYTES_MAX: usize = 32 << 20;
/// How far behind a series' newest sample a late one may be.
pub const OUT_OF_ORDER_WINDOW: Duration = Duration::from_hours(2);

/// Redirects one run follows.
pub const REDIRECTS_MAX: usize = 10;
/// Bytes of a body one run reads unless the check says otherwise.
pub const BODY_BYTES_MAX: u64 = 4 << 20;
/// Bytes of a body kept to be judged, however much is read.
pub const BODY_KEPT_BYTES_MAX: usize = 16 << 20;
/// Bytes of a body kept in a transcript.
pub const BODY_EXCERPT_BYTES_MAX: usize = 2048;
/// Header fields kept in a transcript.
pub const TRANSCRIPT_HEADERS_MAX: usize = 64;
/// Bytes of one header value kept in a transcript.
pub const TRANSCRIPT_HEADER_BYTES_MAX: usize = 1024;
/// Questions that one run may put to name servers for one name.
pub const NAME_SERVER_TRIES_MAX: usize = 64;
/// Records of one DNS answer that are kept.
pub const DNS_ANSWERS_MAX: usize = 256;
/// Addresses of one name that one run may try.
pub const ADDRESSES_MAX: usize = 16;
/// Certificates of one chain that are read.
pub const CHAIN_MAX: usize = 16;
/// How often a check may run at most: a shorter interval is taken as this one.
pub const EVERY_MIN: Duration = Duration::from_millis(100);
/// Runs of all checks that may be under way at once; a further one waits, and is late.
pub const RUNS_IN_FLIGHT_MAX: usize = 2000;
/// Pings, over all runs, that may be unanswered at once; a further one waits.
pub const PINGS_IN_FLIGHT_MAX: usize = 16_384;
/// Checks one process schedules.
pub const CHECKS_MAX: usize = 20_000;
/// Runs of one check that may be under way at once.
pub const OVERLAPPING_RUNS_MAX: usize = 8;
/// Runs that one target (an address or a name) may start in a second: enough for 2,000 checks of
/// one host every 15 s, whose spread is 133 a second with gusts.
pub const RUNS_PER_TARGET_PER_S_MAX: u32 = 200;
/// Runs of checks just added that begin within 5 s instead of in their own slots: what, beside
/// the 133 a second named above, still fits under that cap.
pub const RUNS_BROUGHT_FORWARD_MAX: u32 = 300;
/// Packets of one ping run.
pub const PING_PACKETS_MAX: u16 = 100;
/// Address ranges that one imported table may hold.
pub const ASN_RANGES_MAX: usize = 8_000_000;
/// Bytes of one file of address ranges.
pub const ASN_FILE_BYTES_MAX: u64 = 1 << 30;
/// Bytes of one ping's payload: a jumbo frame less the two headers.
pub const PING_PAYLOAD_BYTES_MAX: u16 = 8972;
/// Bytes of one configuration file.
pub const CONFIG_BYTES_MAX: usize = 4 << 20;
/// Files one configuration directory may hold.
pub const CONFIG_FILES_MAX: usize = 256;
/// Values of one configuration file, aliases expanded.
pub const CONFIG_NODES_MAX: usize = 400_000;
/// Collections one inside another in a configuration file, aliases expanded.
pub const CONFIG_DEPTH_MAX: usize = 64;
/// Mistakes in a configuration that are told one by one; the rest are counted.
pub const CONFIG_PROBLEMS_MAX: usize = 100;
/// Observations one POST may carry.
pub const OBSERVATIONS_PER_POST_MAX: usize = 10_000;
/// Observations one page of an answer holds.
pub const OBSERVATIONS_PER_PAGE_MAX: usize = 1000;
/// Browsers that may follow one page's live changes at once.
pub const LIVE_STREAMS_MAX: usize = 64;
/// Connections one of the demo's servers holds at once; more wait in the kernel's queue.
pub const DEMO_CONNECTIONS_MAX: usize = 512;
/// Connections the listener holds at once; further ones wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 512;
/// How long a client may take to send a request's head, and stay idle between two requests.
pub const HEADER_TIME_MAX: Duration = Duration::from_secs(20);
/// How long a request may take until its answer begins; longer than any query.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(150);
/// Bytes of a request's body where nothing else is said.
pub const REQUEST_BODY_BYTES_MAX: usize = 2 << 20;
/// Queries that are evaluated at once; further ones wait for their turn.
pub const QUERIES_AT_ONCE_MAX: usize = 4;
/// Remote-write bodies that are unpacked at once; further ones wait.
pub const REMOTE_WRITES_AT_ONCE_MAX: usize = 8;
/// Metric families whose descriptions are remembered from senders.
pub const FAMILIES_MAX: usize = 10_000;
/// Bytes of one posted observation.
pub const OBSERVATION_BYTES_MAX: usize = 64 << 10;
/// Bytes of one post of observations.
pub const OBSERVATIONS_POST_BYTES_MAX: usize = 16 << 20;
/// Bytes of one mark.
pub const MARK_TEXT_BYTES_MAX: usize = 1000;
/// Bytes of one answer that the command line reads from a server.
pub const ANSWER_BYTES_MAX: usize = 256 << 20;

/// Servers tried for one request that are kept beside the last one.
pub const EDGE_ATTEMPTS_MAX: usize = 8;
/// Bytes of one log line; the rest of a longer one is skipped, and the line counted as rejected.
pub const EDGE_LINE_BYTES_MAX: usize = 64 << 10;
/// Fields of one entry of the journal that are looked at; one with more is no entry.
pub const JOURNAL_FIELDS_MAX: usize = 1024;
/// Bytes of a place in the journal; systemd's own have about 120.
pub const JOURNAL_CURSOR_BYTES_MAX: usize = 256;
/// Routes told apart in one window beside each backend, and by one keeper of slow requests; the
/// less frequent go to `other`.
pub const EDGE_ROUTES_MAX: usize = 2000;
/// Distinct raw paths whose route is remembered; beyond it they are resolved anew.
pub const EDGE_PATHS_CACHED_MAX: usize = 65_536;
/// Names of one kind (vip, backend, server) one source tells apart; more go to `other`.
pub const EDGE_NAMES_MAX: usize = 10_000;
/// Keys of one grouping in one window; beyond it the less frequent routes go to `other`.
pub const EDGE_KEYS_PER_WINDOW_MAX: usize = 20_000;
/// Routes of all windows of one worker that are still open: more go to `other`.
pub const EDGE_ROUTES_OPEN_MAX: usize = 1 << 18;
/// Vips with a backend that one window tells apart; more go to `other`.
pub const EDGE_BACKENDS_PER_WINDOW_MAX: usize = 4096;
/// Client networks and client prefixes told apart in one window, beside each backend; the less
/// frequent go to `other`.
pub const EDGE_CLIENTS_PER_BACKEND_MAX: usize = 256;
/// Bytes of one vip's, backend's, server's or route's name that are kept.
pub const EDGE_NAME_BYTES_MAX: usize = 256;
/// Bytes of one route's name that are kept, and of a path that is remembered.
pub const EDGE_ROUTE_BYTES_MAX: usize = 256;
/// Bytes of one path that are held against globs.
pub const EDGE_ROUTE_MATCHED_BYTES_MAX: usize = 1024;
/// Segments of one path that its route shows.
pub const EDGE_ROUTE_SEGMENTS_MAX: usize = 16;
/// Globs one source's list of routes may hold.
pub const EDGE_ROUTE_GLOBS_MAX: usize = 1000;
/// Windows one source keeps open, late ones and such of a clock that is ahead included.
pub const EDGE_WINDOWS_OPEN_MAX: usize = 128;
/// Balancers' logs one process reads.
pub const EDGE_SOURCES_MAX: usize = 64;
/// Files one source follows at once.
pub const EDGE_FILES_MAX: usize = 256;
/// Connections of one source that lines come in by; further ones are turned away and counted.
pub const EDGE_CONNECTIONS_MAX: usize = 256;
/// Sockets that share one source's UDP address.
pub const EDGE_SHARDS_MAX: usize = 16;
/// Routes a report tells apart; below 65 536.
pub const EDGE_REPORT_ROUTES_MAX: usize = 20_000;
/// Client networks, and client prefixes, a report tells apart.
pub const EDGE_REPORT_CLIENTS_MAX: u16 = 60_000;
/// Keys of one grouping in a report; more go to `other`.
pub const EDGE_REPORT_GROUPS_MAX: usize = 200_000;
/// Sentences by which a report says what it noticed; further ones are counted.
pub const EDGE_REPORT_NOTICES_MAX: usize = 8;
/// Distinct seconds one key of a report may have; beyond it the key's peak is not known.
pub const EDGE_REPORT_SECONDS_MAX: usize = 1 << 20;
/// Bytes of one log format string.
pub const EDGE_FORMAT_BYTES_MAX: usize = 16 << 10;
/// Items of one log format string.
pub const EDGE_FORMAT_ITEMS_MAX: usize = 256;
/// Bytes of one text of a slow request that is kept.
pub const EDGE_SLOW_TEXT_BYTES_MAX: usize = 512;
/// Frontends of one source whose line numbers are watched.
pub const EDGE_SEQUENCE_FRONTENDS_MAX: usize = 1024;
/// Line numbers of one frontend that may wait for those between them.
pub const EDGE_SEQUENCE_SPAN_MAX: u64 = 1 << 23;
/// Stretches of line numbers one worker holds before it hands them over.
pub const EDGE_SEQUENCE_STRETCHES_MAX: usize = 1 << 18;
/// Cells of one detector, in one window and in its memory.
pub const NOTICE_CELLS_MAX: usize = 4096;
/// Cells of all detectors that were lately abnormal.
pub const NOTICE_FINDINGS_CELLS_MAX: usize = 10_000;
/// Rows of one window of one source that detectors look at.
pub const EDGE_DETECT_ROWS_MAX: usize = 20_000;
/// Judged windows that may wait for their late lines at once.
pub const EDGE_DETECT_WINDOWS_MAX: usize = 16;
/// Rows one query over the edge's windows may give.
pub const EDGE_QUERY_ROWS_MAX: usize = 100_000;
/// Slow requests, readings or findings one page of an answer holds.
pub const EDGE_PAGE_MAX: usize = 10_000;

/// Bytes of one Graphite name, its tags included.
pub const GRAPHITE_NAME_BYTES_MAX: usize = 2048;
/// Bytes of the name that functions give one series of an answer.
pub const GRAPHITE_ANSWER_NAME_BYTES_MAX: usize = 64 << 10;
/// Nodes and tags by which one function groups or names series.
pub const GRAPHITE_NODES_MAX: usize = 256;
/// Bytes of one target of `/render`.
pub const GRAPHITE_TARGET_BYTES_MAX: usize = 64 << 10;
/// Calls one inside another in one target.
pub const GRAPHITE_DEPTH_MAX: usize = 32;
/// Targets of one request.
pub const GRAPHITE_TARGETS_MAX: usize = 256;
/// Points of all series that one request lays out in memory.
pub const GRAPHITE_POINTS_MAX: usize = 20_000_000;
/// Bytes of one line of Graphite's plaintext.
pub const GRAPHITE_LINE_BYTES_MAX: usize = 4096;
/// Connections that lines come in by; further ones are turned away and counted.
pub const GRAPHITE_CONNECTIONS_MAX: usize = 256;
/// Samples of one remote-write request that is sent.
pub const REMOTE_WRITE_SAMPLES_MAX: usize = 5000;
/// How often the samples of one commit are parted to find those that a receiver refuses.
pub const REMOTE_WRITE_SPLITS_MAX: u32 = 64;
/// Windows of balancers' logs that wait to be sent; older ones are given up, and counted.
pub const OUT_WINDOWS_WAITING_MAX: i64 = 1_000_000;
/// Receivers of remote write.
pub const REMOTE_WRITES_MAX: usize = 16;
/// Keys of one balancer's log that have series; more are counted together as `other`.
pub const EDGE_OUT_KEYS_MAX: usize = 10_000;
/// Window rows remembered so that a revision adds only what it has more.
pub const EDGE_OUT_ROWS_HELD_MAX: usize = 200_000;
/// Slow requests on one page.
pub const EDGE_SLOW_PER_PAGE: usize = 50;
/// Slow requests of one worker that wait to be stored; older ones are thrown away.
pub const EDGE_SLOW_WAITING_MAX: usize = 10_000;

/// Connections whose opening, or whose first exchange, one engine follows at once.
pub const WIRE_FLOWS_MAX: usize = 100_000;
/// Connections of which only SYNs were seen; apart, so that a flood of SYNs pushes out no other.
pub const WIRE_HALF_OPEN_MAX: usize = 65_536;
/// Segments of one side of an opening that are remembered one by one.
pub const WIRE_SEEN_PER_SIDE_MAX: usize = 48;
/// Holes of one side of an opening that are remembered.
pub const WIRE_HOLES_PER_SIDE_MAX: usize = 16;
/// Bytes of one side's handshake that are put together: an honest flight is far below it.
pub const WIRE_HANDSHAKE_BYTES_MAX: usize = 128 << 10;
/// Bytes that all openings together keep out of order or half read.
pub const WIRE_REASSEMBLY_BYTES_MAX: usize = 64 << 20;
/// Bytes of one server name that are kept.
pub const WIRE_SNI_BYTES_MAX: usize = 255;
/// Datagrams whose fragments are put together at once.
pub const WIRE_FRAGMENTED_MAX: usize = 1024;
/// Seconds of the packets' own time that fragments wait for the others, as in Linux.
pub const WIRE_FRAGMENT_HELD_S_MAX: u64 = 30;
/// Bytes of fragments that wait, as in Linux.
pub const WIRE_FRAGMENT_BYTES_MAX: usize = 4 << 20;
/// Fragments of one datagram: with 576 bytes in each, the least a link carries, 64 KiB need 117.
pub const WIRE_FRAGMENTS_PER_DATAGRAM_MAX: usize = 128;
/// Interfaces that one capture describes, all its sections together.
pub const WIRE_INTERFACES_MAX: usize = 4096;
/// Instructions of one filter: the kernel's `BPF_MAXINSNS`.
pub const WIRE_FILTER_INSTRUCTIONS_MAX: usize = 4096;
/// Bytes of one captured packet.
pub const WIRE_PACKET_BYTES_MAX: usize = 256 << 10;
/// Servers, client networks, prefixes and names, of each so many, told apart in one window.
pub const WIRE_CELLS_PER_DIMENSION_MAX: usize = 1000;
/// Bytes of one name in reverse DNS.
pub const WIRE_RDNS_BYTES_MAX: usize = 253;
/// Interfaces of one capture whose place between client and server is told from their medians.
pub const WIRE_TAPS_JUDGED_MAX: usize = 256;
/// Client networks, or prefixes, one report tells apart; more go to `other`.
pub const WIRE_REPORT_COHORTS_MAX: usize = 20_000;
/// Servers one report tells apart; more go to `other`.
pub const WIRE_REPORT_SERVERS_MAX: usize = 20_000;
/// Unanswered SYNs, and endings, that one report lists one by one; more are counted.
pub const WIRE_REPORT_LISTED_MAX: usize = 10_000;
/// Slowest handshakes one report keeps whole.
pub const WIRE_REPORT_WORST_MAX: usize = 1000;
/// Network interfaces one process records.
pub const WIRE_RECORDERS_MAX: usize = 16;
/// Ports, and hosts, that one interface's recording is narrowed to.
pub const WIRE_FILTER_TERMS_MAX: usize = 64;
/// Stretches of time with losses that a recorder remembers; older ones are only counted.
pub const WIRE_LOSSES_MAX: usize = 4096;
/// Judged openings, endings and unanswered SYNs that wait for whoever keeps them; more are thrown
/// away and counted.
pub const WIRE_EVENTS_WAITING_MAX: usize = 65_536;
/// Servers whose handshakes have series of their own; more are counted together as `other`.
pub const WIRE_SERVERS_MAX: usize = 1000;
/// Bytes of packets that one copy out of a ring gives.
pub const WIRE_COPY_BYTES_MAX: usize = 64 << 20;
/// Incidents whose packets wait to be written, or to be noticed; more are counted as not kept.
pub const WIRE_INCIDENTS_WAITING_MAX: usize = 256;
/// Connections that one incident's packets may be of, where it was not known which it was.
pub const WIRE_CANDIDATES_MAX: usize = 32;
/// Causes of incidents whose rates are remembered.
pub const WIRE_CAUSES_MAX: usize = 64;
/// Logs in which incidents are looked for.
pub const WIRE_TRIGGERS_MAX: usize = 32;
/// Bytes of a regular expression that finds an incident in a log line.
pub const WIRE_TRIGGER_REGEX_BYTES_MAX: usize = 4096;
/// Bytes of memory that such an expression may take compiled, and again as many while it runs.
pub const WIRE_TRIGGER_PROGRAM_BYTES_MAX: usize = 1 << 20;
/// Seconds that a log line may say something took; what says more is counted as odd.
pub const WIRE_TRIGGER_DURATION_S_MAX: u64 = 86_400;
/// Bytes of a log line that are quoted.
pub const WIRE_TRIGGER_QUOTE_BYTES_MAX: usize = 512;
/// Matches of one trigger that the API tells.
pub const WIRE_TRIGGER_RECENT_MAX: usize = 20;
/// Conditions on a journal entry's fields that one trigger may have.
pub const WIRE_TRIGGER_FIELDS_MAX: usize = 16;
/// Seconds of the past that somebody may ask for.
pub const WIRE_ASKED_S_MAX: u32 = 3600;
/// Bytes of one request to the local socket, its line end left out.
pub const WIRE_SOCKET_LINE_BYTES_MAX: usize = 4096;
/// Connections to the local socket at once; more are told so and closed.
pub const WIRE_SOCKET_CONNECTIONS_MAX: usize = 16;
/// Seconds that the local socket waits for a whole request, and for an answer to be read.
pub const WIRE_SOCKET_WAIT_S_MAX: u64 = 10;
/// Bytes of one stored window of the wire, unpacked.
pub const WIRE_WINDOW_BYTES_MAX: u64 = 64 << 20;
/// Slow and failed handshakes of one tap that one window keeps by themselves; more are counted.
pub const WIRE_NOTABLE_PER_WINDOW_MAX: u64 = 500;
/// Handshakes of one tap that one window keeps as a fair sample of those that are neither.
pub const WIRE_SAMPLE_PER_WINDOW_MAX: usize = 30;
/// Unanswered SYNs of one tap that one window keeps by themselves; more are counted.
pub const WIRE_UNANSWERED_PER_WINDOW_MAX: u64 = 200;
/// Endings of one tap that one window keeps by themselves; more are counted.
pub const WIRE_ENDINGS_PER_WINDOW_MAX: u64 = 200;
/// Bytes of single handshakes, unanswered SYNs and endings that one tap keeps a day.
pub const WIRE_EVENT_BYTES_PER_DAY_MAX: u64 = 256 << 20;
/// Clients whose names are remembered; the oldest make room.
pub const WIRE_NAMES_MAX: usize = 50_000;
/// Clients whose names are still to be asked for; more are asked for when they come again.
pub const WIRE_NAMES_WAITING_MAX: usize = 1024;
/// Names asked for in a second.
pub const WIRE_NAMES_PER_S_MAX: u32 = 20;
/// Days of windows that one request adds up.
pub const WIRE_RANGE_DAYS_MAX: u64 = 31;
/// Times of a range in which not everything was seen that are listed.
pub const WIRE_UNSEEN_LISTED_MAX: usize = 200;
/// Bytes of one file of packets that is handed out.
pub const WIRE_EVIDENCE_BYTES_MAX: u64 = 256 << 20;
