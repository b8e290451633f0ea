//! Settings of listeners and connections.

macro_rules! network_rows {
    ({ $($before:tt)* } $($rest:ident)*) => { collect! { { $($before)*
"Network and clients" {
    port: u16 = 6379 => "port" int(0, 65535) [APPLIED] "TCP port for clients; 0 listens on none.";
    bind: Vec<String> = vec!["*".into(), "-::*".into()] => "bind" shape("up to 16 addresses; a leading - means it may be missing") [MULTI APPLIED] "Addresses to listen on; * is every IPv4 address, ::* every IPv6 address.";
    unixsocket: String = String::new() => "unixsocket" optional_text() [IMMUTABLE] "Path of a Unix socket to listen on as well.";
    unixsocketperm: u32 = 0 => "unixsocketperm" octal(0o777) [IMMUTABLE] "Permissions of the Unix socket; 0 keeps what the umask gives.";
    protected_mode: bool = true => "protected-mode" yes_no() [] "Without a password, refuse clients that are not on this machine.";
    maxclients: u32 = 10_000 => "maxclients" int(1, UINT_MAX) [APPLIED] "Clients at the same time.";
    timeout_s: u32 = 0 => "timeout" int(0, INT_MAX) [] "Seconds after which an idle client is disconnected; 0 is never.";
    tcp_keepalive_s: u32 = 300 => "tcp-keepalive" int(0, INT_MAX) [] "Seconds between keepalive probes to clients; 0 sends none.";
    tcp_backlog: u32 = 511 => "tcp-backlog" int(0, INT_MAX) [IMMUTABLE] "Connections that may wait to be accepted.";
    client_query_buffer_limit_bytes: u64 = 1024 * MB => "client-query-buffer-limit" memory(1 << 20, LONG_MAX) [] "Most bytes of one client that may wait to be understood; whole arguments do not count.";
    client_output_buffer_limit: OutputLimits = OutputLimits::default() => "client-output-buffer-limit" shape("<normal|replica|pubsub> <hard> <soft> <seconds>, repeated") [MULTI] "Bytes that may wait to be sent to a client before it is disconnected, by class. While replies wait, no further command of the client is run, so that they do not pile up.";
    proto_max_bulk_len_bytes: u64 = 512 * MB => "proto-max-bulk-len" memory(1 << 20, LONG_MAX) [] "Longest string that a client may send.";
    maxmemory_clients: MemoryLimit = MemoryLimit::Bytes(0) => "maxmemory-clients" memory_or_percent(LONG_MAX) [] requires(ClientEviction: "0") "Memory of all clients beyond which the largest are disconnected; 0 is no limit.";
    socket_mark_id: u32 = 0 => "socket-mark-id" int(0, UINT_MAX) [IMMUTABLE] requires(SocketMark: "0") "Mark put on listening sockets for the packet filter.";
    tracking_table_max_keys: u64 = 1_000_000 => "tracking-table-max-keys" int(0, LONG_MAX) [] "Keys remembered for client-side caching; 0 for as many as there are.";
}
"TLS" {
    tls_port: u16 = 0 => "tls-port" int(0, 65535) [APPLIED] "TCP port for clients that use TLS; 0 listens on none.";
    tls_cert_file: String = String::new() => "tls-cert-file" optional_text() [APPLIED VOLATILE] "The server's certificate, and those that lead from it to an authority (PEM).";
    tls_key_file: String = String::new() => "tls-key-file" optional_text() [APPLIED VOLATILE] "The key of the server's certificate (PEM).";
    tls_key_file_pass: String = String::new() => "tls-key-file-pass" optional_text() [SECRET APPLIED] "Password of the server's key file.";
    tls_client_cert_file: String = String::new() => "tls-client-cert-file" optional_text() [APPLIED VOLATILE] "Certificate for connections that the server opens; without one it is the server's.";
    tls_client_key_file: String = String::new() => "tls-client-key-file" optional_text() [APPLIED VOLATILE] "Key of that certificate.";
    tls_client_key_file_pass: String = String::new() => "tls-client-key-file-pass" optional_text() [SECRET APPLIED] "Password of that key file.";
    tls_dh_params_file: String = String::new() => "tls-dh-params-file" optional_text() [APPLIED VOLATILE] "Diffie-Hellman parameters, read and not used: keys are exchanged over elliptic curves only.";
    tls_ca_cert_file: String = String::new() => "tls-ca-cert-file" optional_text() [APPLIED VOLATILE] "Certificates of the authorities that are trusted (PEM).";
    tls_ca_cert_dir: String = String::new() => "tls-ca-cert-dir" optional_text() [APPLIED VOLATILE] "Folder of such certificates, under the names that `openssl rehash` gives them.";
    tls_auth_clients: TlsAuthClients = TlsAuthClients::Yes => "tls-auth-clients" one_of(TlsAuthClients::NAMES) [APPLIED] "Whether clients must show a certificate.";
    tls_protocols: String = String::new() => "tls-protocols" optional_text() [APPLIED] "TLS versions to accept: TLSv1.2, TLSv1.3, or both; both without any.";
    tls_ciphers: String = String::new() => "tls-ciphers" optional_text() [APPLIED] "Ciphers for TLS 1.2, as OpenSSL's lists of ciphers; those with ECDHE and AES-GCM or ChaCha20 are there.";
    tls_ciphersuites: String = String::new() => "tls-ciphersuites" optional_text() [APPLIED] "Cipher suites for TLS 1.3.";
    tls_prefer_server_ciphers: bool = false => "tls-prefer-server-ciphers" yes_no() [APPLIED] "Follow the server's order of ciphers.";
    tls_session_caching: bool = true => "tls-session-caching" yes_no() [APPLIED] "Let clients resume a TLS session.";
    tls_session_cache_size: u32 = 20_480 => "tls-session-cache-size" int(0, INT_MAX) [APPLIED] "Sessions to remember; 0 is no limit.";
    tls_session_cache_timeout_s: u32 = 300 => "tls-session-cache-timeout" int(0, INT_MAX) [APPLIED] "Seconds to remember a session.";
    tls_replication: bool = false => "tls-replication" yes_no() [APPLIED] "Use TLS towards the master; there is no role of a replica yet.";
    tls_cluster: bool = false => "tls-cluster" yes_no() [APPLIED] "Use TLS where MIGRATE sends keys; there is no cluster bus yet.";
    tls_handshake_timeout_s: u32 = 10 => "tls-handshake-timeout" int(1, 3600) [OURS] "Seconds that a client has to agree with the server on TLS.";
}
    } $($rest)* } };
}
