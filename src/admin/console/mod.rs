//! The console: one page, its files, and what it asks for.
//!
//! The page holds nothing that is worth guarding, so where a token is set everybody may load it: it is where
//! the token is typed in. All that it shows it asks of routes that are guarded.
//!
//! In reading order: `ports` (what it needs from the server), `live` (figures, by server-sent events), `clients`,
//! `keys`, `usage` (what takes most), `text` (what clients' bytes look like). The page itself is `index.html` and the files beside it.

mod clients;
mod keys;
mod live;
mod ports;
mod text;
mod usage;

use axum::http::header::{self, HeaderName};
use axum::response::{IntoResponse, Response};

pub(super) use clients::{kill, list};
pub(super) use keys::{find, look};
pub(super) use live::{LiveFigures, live};
pub use ports::{
    Answer, ChangedSetting, ClientList, ClientOrder, ClientRow, Console, KEPT_NAME, KeyDetails, KeyPage,
    KeyRow, Live, LiveClients, LiveCommand, LiveDatabase, LiveLatency, LiveLog, LiveMemory, LivePercentiles,
    LivePersistence, LiveRates, LiveSlowLog, LiveWorker, LookError, Sampler, WantedClients, WantedKeys,
};
pub use text::Text;
pub(super) use usage::usage;
pub use usage::{
    BusyClient, BusyLibrary, FoundMost, KeyStatistics, LargeKey, PlainAmount, PrefixAmount, TypeAmount,
    UsedKey, UsedMost, UsedShare, id_of,
};

pub(super) const PAGE: &str = include_str!("index.html");

const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// What the page loads: path, type and content.
pub(super) const FILES: &[(&str, &str, &str)] = &[
    ("/console/style.css", STYLE, include_str!("style.css")),
    ("/console/main.js", SCRIPT, include_str!("main.js")),
    ("/console/ask.js", SCRIPT, include_str!("ask.js")),
    ("/console/show.js", SCRIPT, include_str!("show.js")),
    ("/console/figures.js", SCRIPT, include_str!("figures.js")),
    ("/console/lists.js", SCRIPT, include_str!("lists.js")),
    ("/console/keys.js", SCRIPT, include_str!("keys.js")),
    ("/console/usage.js", SCRIPT, include_str!("usage.js")),
];

/// The page loads its own files and asks its own server, is shown in no frame, sends no form, and has no way
/// to make text into markup or code.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

pub(super) async fn page() -> Response {
    served("text/html; charset=utf-8", PAGE)
}

/// A file of the page.
pub(super) fn served(kind: &'static str, content: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    (headers, content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_and_its_scripts_name_only_files_that_are_there() {
        let named = |text: &str, before: &str| -> Vec<String> {
            let ends = |rest: &str| rest.split('"').next().map(str::to_owned);
            text.split(before).skip(1).filter_map(ends).collect()
        };
        let mut wanted = named(PAGE, "=\"console/");
        for (_, _, content) in FILES {
            wanted.extend(named(content, "from \"./"));
        }
        assert!(wanted.len() >= FILES.len());
        for file in &wanted {
            assert!(FILES.iter().any(|(path, _, _)| *path == format!("/console/{file}")), "{file}");
        }
        for (path, _, _) in FILES {
            assert!(wanted.iter().any(|file| format!("/console/{file}") == *path), "{path} is never loaded");
        }
    }

    #[test]
    fn text_never_becomes_markup() {
        for (path, _, content) in FILES {
            for way in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"]
            {
                assert!(!content.contains(way), "{path}: {way}");
            }
        }
        for inline in ["<style", " style=", " onclick=", " onload=", "http://", "https://"] {
            assert!(!PAGE.contains(inline), "{inline}");
        }
    }
}
