//! The files of `/ui`: embedded, under names that change with their content.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode, header};
use sha2::{Digest, Sha256};

/// One file as it is served.
struct Asset {
    /// Its plain name, such as `pages.css`.
    plain: &'static str,
    /// Its name with a digest of its content, such as `pages.0a1b2c3d.css`.
    hashed: String,
    /// The digest as an entity tag.
    tag: String,
    mime: &'static str,
    text: Arc<str>,
}

/// Plain name and content. A module stands behind those it imports, since their hashed names
/// are written into it.
const FILES: [(&str, &str); 13] = [
    ("tokens.css", include_str!("../../../../../ui/tokens.css")),
    ("pages.css", include_str!("../../../../../ui/pages.css")),
    ("uplot.css", include_str!("../../../../../ui/uplot/uPlot.min.css")),
    ("uplot-licence.txt", include_str!("../../../../../ui/uplot/LICENSE")),
    ("icon.svg", include_str!("../../../../../ui/icon.svg")),
    ("theme.js", include_str!("../../../../../ui/theme.js")),
    ("uplot.js", include_str!("../../../../../ui/uplot/uPlot.esm.js")),
    ("drag.js", include_str!("../../../../../ui/drag.js")),
    ("keys.js", include_str!("../../../../../ui/keys.js")),
    ("switches.js", include_str!("../../../../../ui/switches.js")),
    ("live.js", include_str!("../../../../../ui/live.js")),
    ("app.js", include_str!("../../../../../ui/app.js")),
    ("query.js", include_str!("../../../../../ui/query.js")),
];

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let mut assets: Vec<Asset> = Vec::new();
    for (plain, content) in FILES {
        let mut text = content.to_owned();
        for before in &assets {
            text = text
                .replace(&format!("\"./{}\"", before.plain), &format!("\"./{}\"", before.hashed));
        }
        assets.push(asset(plain, text));
    }
    assets
});

fn asset(plain: &'static str, text: String) -> Asset {
    let digest = Sha256::digest(text.as_bytes());
    let digest: String = digest[..6].iter().map(|b| format!("{b:02x}")).collect();
    let (stem, ending) = plain.rsplit_once('.').unwrap_or((plain, "txt"));
    let mime = match ending {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    };
    let hashed = format!("{stem}.{digest}.{ending}");
    Asset { plain, hashed, tag: format!("\"{digest}\""), mime, text: text.into() }
}

/// The address of a file, by its plain name.
pub fn address(plain: &str) -> String {
    let asset = ASSETS.iter().find(|a| a.plain == plain);
    format!("/ui/{}", asset.map_or(plain, |a| a.hashed.as_str()))
}

/// Serves the files, by hashed name for ever and by plain name with a question each time.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/ui/{file}", get(file))
}

async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|a| a.hashed == name || a.plain == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let keep =
        if asset.hashed == name { "public, max-age=31536000, immutable" } else { "no-cache" };
    let facts = [(header::CACHE_CONTROL, keep), (header::ETAG, asset.tag.as_str())];
    // A cache may have weakened the tag while it compressed the text.
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok());
    if known.flat_map(|v| v.split(',')).any(|t| t.trim().trim_start_matches("W/") == asset.tag) {
        return (StatusCode::NOT_MODIFIED, facts).into_response();
    }
    (facts, [(header::CONTENT_TYPE, asset.mime)], asset.text.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_import_each_other_by_hashed_names() {
        for asset in ASSETS.iter().filter(|a| a.plain.ends_with(".js")) {
            for line in asset.text.lines().filter(|l| l.starts_with("import ")) {
                let name = line.split("\"./").nth(1).and_then(|r| r.split('"').next()).unwrap();
                assert!(ASSETS.iter().any(|a| a.hashed == name), "{} imports {name}", asset.plain);
            }
        }
    }

    #[test]
    fn the_styles_and_scripts_stay_within_their_budget() {
        let bytes = |ending: &str| -> usize {
            let own = FILES.iter().filter(|(n, _)| n.ends_with(ending) && !n.starts_with("uplot"));
            own.map(|(_, text)| text.len()).sum()
        };
        assert!(bytes(".css") <= 20 << 10, "{} bytes of style", bytes(".css"));
        // uPlot is 42 KB compressed; what is left of 60 KB is enough uncompressed.
        assert!(bytes(".js") <= 18 << 10, "{} bytes of own script", bytes(".js"));
    }

    #[test]
    fn nothing_is_fetched_from_elsewhere() {
        for (name, text) in FILES.iter().filter(|(n, _)| !n.starts_with("uplot")) {
            let foreign = text.replace("http://www.w3.org/", "").contains("://");
            assert!(!foreign, "{name} names another site");
        }
    }
}
