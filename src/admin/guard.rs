//! Who may ask for what.
//!
//! A token, when one is set, is asked from every peer. Without one the server
//! answers peers on loopback and in trusted networks. Such a peer may be a
//! browser that a foreign web page drives, so two things are checked besides: the
//! `Host` header (a page whose name was rebound to this machine's address still
//! sends its own name) and, on requests that change something, `Origin` and
//! `Sec-Fetch-Site`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::network::IpNetwork;
use super::options::{AdminOptions, Secret};
use super::reply::Problem;
use super::server::{self, Shared};

/// How much a route shows or does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Answers everybody: the probes and `/version`.
    Open,
    /// Answers everybody if the settings say so, and asks nothing of the `Host` header.
    Metrics,
    /// The console's page and its files, which show nothing of the server: where there is a token, anybody may load
    /// them to type it in. Where there is none, as `Trusted`.
    Page,
    /// Needs the token, or a trusted peer where there is none.
    Trusted,
    /// As `Trusted`; and where not every client may do everything at once, a trusted address is not
    /// enough: `CONFIG GET` and `INFO` would ask the same peer for more.
    Sensitive,
}

/// The rules as the settings make them.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    token: Option<Secret>,
    metrics_public: bool,
    trusted_networks: Vec<IpNetwork>,
    /// Lower case, without a last dot.
    hosts: Vec<String>,
}

/// What a verdict depends on.
struct Asker<'a> {
    peer: IpAddr,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    changes: bool,
}

impl Guard {
    pub(super) fn new(options: &AdminOptions) -> Guard {
        let mut hosts: Vec<String> = options.hosts.iter().map(|host| plain_name(host)).collect();
        hosts.push("localhost".to_owned());
        hosts.extend(machine_name().as_deref().map(plain_name));
        Guard {
            token: options.token.clone(),
            metrics_public: options.metrics_public,
            trusted_networks: options.trusted_networks.clone(),
            hosts,
        }
    }

    /// The same rules with what may change while the server runs.
    pub(super) fn with(&self, trusted_networks: Vec<IpNetwork>, metrics_public: bool) -> Guard {
        Guard { trusted_networks, metrics_public, ..self.clone() }
    }

    fn judge(
        &self,
        access: Access,
        asker: &Asker<'_>,
        closed: impl FnOnce() -> Option<&'static str>,
    ) -> Result<(), Problem> {
        let open = access == Access::Open || (access == Access::Metrics && self.metrics_public);
        if !open {
            match &self.token {
                Some(_) if access == Access::Page => {}
                Some(token) => check_token(token, asker.headers)?,
                None => self.check_without_token(access, asker, closed)?,
            }
        }
        if asker.changes { check_origin(asker.headers) } else { Ok(()) }
    }

    fn check_without_token(
        &self,
        access: Access,
        asker: &Asker<'_>,
        closed: impl FnOnce() -> Option<&'static str>,
    ) -> Result<(), Problem> {
        if !self.trusts(asker.peer) {
            return Err(forbidden(
                format!("{} is neither this machine nor in a trusted network", asker.peer.to_canonical()),
                "ask from the machine itself, set an admin token on the server and send it, or \
                 name this network among the trusted ones",
            ));
        }
        if access != Access::Metrics {
            self.check_host(asker)?;
        }
        if access == Access::Sensitive
            && let Some(why) = closed()
        {
            return Err(forbidden(
                format!("{why}, so this is not shown without an admin token"),
                "start the server with an admin token (GLASSWING_ADMIN_TOKEN, or a file that admin-token-file names) and send it \
                 as 'Authorization: Bearer <token>'; the console asks for it",
            ));
        }
        Ok(())
    }

    fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        peer.is_loopback() || self.trusted_networks.iter().any(|network| network.contains(peer))
    }

    /// A request without a `Host` header passes: no browser sends one.
    fn check_host(&self, asker: &Asker<'_>) -> Result<(), Problem> {
        let named = asker.headers.get_all(header::HOST).iter().map(|value| value.as_bytes());
        let in_target = asker.uri.authority().map(|authority| authority.as_str().as_bytes());
        for authority in named.chain(in_target) {
            if !host_of(authority).is_some_and(|host| self.is_own_host(&host)) {
                return Err(forbidden(
                    format!(
                        "the Host header names '{}', which is not known as a name of this server",
                        String::from_utf8_lossy(authority)
                    ),
                    "ask by IP address or as localhost, or set an admin token on the server and send it",
                ));
            }
        }
        Ok(())
    }

    fn is_own_host(&self, host: &str) -> bool {
        let v6 = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        host.parse::<Ipv4Addr>().is_ok()
            || v6.is_some_and(|v6| v6.parse::<Ipv6Addr>().is_ok())
            || self.hosts.contains(&plain_name(host))
    }
}

/// The layer that every request passes first.
pub(super) async fn check(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    // Set for every connection; without it nobody would be trusted.
    let peer = request.extensions().get::<SocketAddr>().map(SocketAddr::ip);
    let asker = Asker {
        peer: peer.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        uri: request.uri(),
        headers: request.headers(),
        changes: !request.method().is_safe(),
    };
    let access = server::access_to(request.uri().path());
    match shared.guard.load().judge(access, &asker, || shared.control.not_open_because()) {
        Ok(()) => next.run(request).await,
        // The body was not read.
        Err(problem) if asker.changes => problem.closing().into_response(),
        Err(problem) => problem.into_response(),
    }
}

fn check_token(token: &Secret, headers: &HeaderMap) -> Result<(), Problem> {
    match bearer(headers) {
        Some(offered) if token.matches(offered) => Ok(()),
        Some(_) => {
            Err(unauthorised("the token is wrong", "Bearer realm=\"glasswing\", error=\"invalid_token\""))
        }
        None => Err(unauthorised("a token is needed", "Bearer realm=\"glasswing\"")),
    }
}

/// The token in `Authorization: Bearer <token>` (RFC 6750); one header only.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else {
        return None;
    };
    let (scheme, token) = value.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// A browser says where a changing request comes from; other clients say nothing.
fn check_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let foreign_site =
        headers.get_all("sec-fetch-site").iter().any(|site| site != "same-origin" && site != "none");
    let foreign_origin =
        headers.get_all(header::ORIGIN).iter().any(|origin| !is_own_origin(origin.as_bytes(), headers));
    if foreign_site || foreign_origin {
        return Err(forbidden(
            "a web page of another origin asked for a change",
            "ask from this server's own page or from a program that is no browser",
        ));
    }
    Ok(())
}

/// Whether an `Origin` such as `http://localhost:8080` names the host that was asked.
fn is_own_origin(origin: &[u8], headers: &HeaderMap) -> bool {
    let Ok(origin) = Uri::try_from(origin) else {
        return false;
    };
    let default_port = match origin.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        _ => return false,
    };
    let asked = headers.get(header::HOST).map(|host| Authority::try_from(host.as_bytes()));
    let (Some(from), Some(Ok(asked))) = (origin.authority(), asked) else {
        return false;
    };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(default_port);
    plain_name(from.host()) == plain_name(asked.host()) && port(from) == port(&asked)
}

/// The host in `host` or `host:port`; none when there is anything else, which
/// the lenient parser below would pass over.
fn host_of(authority: &[u8]) -> Option<String> {
    let parsed = Authority::try_from(authority).ok()?;
    let rest = parsed.as_str().strip_prefix(parsed.host())?;
    let only_port = rest.is_empty() || (rest.starts_with(':') && parsed.port_u16().is_some());
    only_port.then(|| parsed.host().to_owned())
}

fn plain_name(host: &str) -> String {
    host.trim().trim_end_matches('.').to_ascii_lowercase()
}

fn machine_name() -> Option<String> {
    let names = nix::sys::utsname::uname().ok()?;
    names.nodename().to_str().filter(|name| !name.is_empty()).map(str::to_owned)
}

fn forbidden(error: impl Into<String>, what_to_do: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, error, what_to_do)
}

fn unauthorised(error: &str, challenge: &str) -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        error,
        "send the server's admin token as 'Authorization: Bearer <token>'",
    )
    .header(header::WWW_AUTHENTICATE, challenge)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request with the usual values; tests change what they are about.
    struct Ask {
        access: Access,
        peer: &'static str,
        uri: &'static str,
        headers: Vec<(&'static str, &'static str)>,
        changes: bool,
        closed: bool,
    }

    fn ask() -> Ask {
        Ask {
            access: Access::Trusted,
            peer: "127.0.0.1",
            uri: "/",
            headers: vec![("host", "localhost:8080")],
            changes: false,
            closed: false,
        }
    }

    fn verdict(options: &AdminOptions, ask: Ask) -> u16 {
        let mut headers = HeaderMap::new();
        for (name, value) in &ask.headers {
            headers.append(*name, value.parse().unwrap());
        }
        let uri: Uri = ask.uri.parse().unwrap();
        let asker =
            Asker { peer: ask.peer.parse().unwrap(), uri: &uri, headers: &headers, changes: ask.changes };
        match Guard::new(options)
            .judge(ask.access, &asker, || ask.closed.then_some("clients need a password"))
        {
            Ok(()) => 200,
            Err(problem) => problem.status.as_u16(),
        }
    }

    fn plain() -> AdminOptions {
        AdminOptions::default()
    }

    fn with_token() -> AdminOptions {
        AdminOptions { token: Some(Secret::new("s3cret").unwrap()), ..plain() }
    }

    #[test]
    fn without_a_token_loopback_and_trusted_networks_are_answered() {
        let trusting = AdminOptions { trusted_networks: vec!["172.16.0.0/12".parse().unwrap()], ..plain() };
        for (peer, by_default, when_trusted) in [
            ("127.0.0.1", 200, 200),
            ("127.8.9.10", 200, 200),
            ("::1", 200, 200),
            ("::ffff:127.0.0.1", 200, 200),
            ("172.18.0.1", 403, 200),
            ("::ffff:172.18.0.1", 403, 200),
            ("172.32.0.1", 403, 403),
            ("10.0.0.1", 403, 403),
            ("fe80::1", 403, 403),
        ] {
            assert_eq!(verdict(&plain(), Ask { peer, ..ask() }), by_default, "{peer}");
            assert_eq!(verdict(&trusting, Ask { peer, ..ask() }), when_trusted, "{peer}");
        }
    }

    #[test]
    fn probes_answer_everybody_and_metrics_by_the_setting() {
        let far = |access| Ask { access, peer: "8.8.8.8", headers: vec![("host", "evil.example")], ..ask() };
        let public = AdminOptions { metrics_public: true, ..plain() };
        assert_eq!(verdict(&plain(), far(Access::Open)), 200);
        assert_eq!(verdict(&with_token(), far(Access::Open)), 200);
        assert_eq!(verdict(&plain(), far(Access::Metrics)), 403);
        assert_eq!(verdict(&with_token(), far(Access::Metrics)), 401);
        assert_eq!(verdict(&public, far(Access::Metrics)), 200);
        assert_eq!(
            verdict(&AdminOptions { metrics_public: true, ..with_token() }, far(Access::Metrics)),
            200
        );
        assert_eq!(verdict(&public, far(Access::Trusted)), 403);
    }

    #[test]
    fn a_token_is_asked_from_every_peer_and_is_enough_for_every_peer() {
        let send = |authorization, peer| Ask {
            peer,
            access: Access::Sensitive,
            closed: true,
            headers: vec![("host", "any.example"), ("authorization", authorization)],
            ..ask()
        };
        for peer in ["127.0.0.1", "8.8.8.8"] {
            assert_eq!(verdict(&with_token(), send("Bearer s3cret", peer)), 200);
            assert_eq!(verdict(&with_token(), send("bearer  s3cret", peer)), 200);
            for wrong in ["Bearer s3cre", "Bearer s3cret2", "Bearer", "Bearer ", "Basic s3cret", "s3cret"] {
                assert_eq!(verdict(&with_token(), send(wrong, peer)), 401, "{wrong}");
            }
            assert_eq!(verdict(&with_token(), Ask { peer, ..ask() }), 401);
        }
        let twice = vec![("authorization", "Bearer s3cret"), ("authorization", "Bearer s3cret")];
        assert_eq!(verdict(&with_token(), Ask { headers: twice, ..ask() }), 401);
    }

    #[test]
    fn where_clients_need_a_password_sensitive_routes_need_a_token() {
        let locked = |access| Ask { access, closed: true, ..ask() };
        assert_eq!(verdict(&plain(), locked(Access::Sensitive)), 403);
        assert_eq!(verdict(&plain(), locked(Access::Trusted)), 200);
        assert_eq!(verdict(&plain(), locked(Access::Metrics)), 200);
        assert_eq!(verdict(&plain(), Ask { access: Access::Sensitive, ..ask() }), 200);
    }

    #[test]
    fn a_foreign_host_header_is_refused() {
        let options = AdminOptions { hosts: vec!["Glasswing.internal".to_owned()], ..plain() };
        for (host, expected) in [
            ("localhost", 200),
            ("LOCALHOST.:8080", 200),
            ("127.0.0.1:8080", 200),
            ("192.168.1.4", 200),
            ("[::1]:8080", 200),
            ("glasswing.internal:8080", 200),
            ("evil.example", 403),
            ("localhost.evil.example", 403),
            ("127.0.0.1.evil.example", 403),
            ("glasswing.internal.evil.example", 403),
            ("[::1].evil.example", 403),
            ("user@evil.example", 403),
            ("localhost@evil.example", 403),
            ("localhost:port", 403),
            ("", 403),
        ] {
            let headers = vec![("host", host)];
            assert_eq!(verdict(&options, Ask { headers, ..ask() }), expected, "{host}");
        }
        let rebound = Ask { uri: "http://evil.example/save", ..ask() };
        assert_eq!(verdict(&options, rebound), 403);
        let twice = vec![("host", "localhost"), ("host", "evil.example")];
        assert_eq!(verdict(&options, Ask { headers: twice, ..ask() }), 403);
        assert_eq!(verdict(&options, Ask { headers: vec![], ..ask() }), 200);
        let metrics = vec![("host", "evil.example")];
        assert_eq!(verdict(&options, Ask { access: Access::Metrics, headers: metrics, ..ask() }), 200);
    }

    #[test]
    fn the_machine_answers_to_its_own_name() {
        let name = machine_name().unwrap();
        assert!(Guard::new(&plain()).is_own_host(&name));
    }

    #[test]
    fn a_foreign_page_changes_nothing() {
        let from = |name, value| Ask {
            headers: vec![("host", "localhost:8080"), (name, value)],
            changes: true,
            ..ask()
        };
        for (name, value, expected) in [
            ("origin", "http://localhost:8080", 200),
            ("origin", "http://LOCALHOST:8080", 200),
            ("origin", "http://localhost:3000", 403),
            ("origin", "http://localhost", 403),
            ("origin", "http://evil.example", 403),
            ("origin", "null", 403),
            ("origin", "", 403),
            ("sec-fetch-site", "same-origin", 200),
            ("sec-fetch-site", "none", 200),
            ("sec-fetch-site", "same-site", 403),
            ("sec-fetch-site", "cross-site", 403),
            ("user-agent", "curl", 200),
        ] {
            assert_eq!(verdict(&plain(), from(name, value)), expected, "{name}: {value}");
            let reading = Ask { changes: false, ..from(name, value) };
            assert_eq!(verdict(&plain(), reading), 200, "{name}: {value}");
        }
    }
}
