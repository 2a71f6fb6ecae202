//! `GET /p.js`: the script for the merchant's pages, as `p.js` beside this file has it, without its comments and blanks.

use std::sync::LazyLock;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

/// The script as it is served, with its tag.
static SERVED: LazyLock<(String, String)> = LazyLock::new(|| {
    let text = squeezed(include_str!("p.js"));
    let tag = format!("\"{}\"", hex::encode(&Sha256::digest(&text)[..16]));
    (text, tag)
});

/// The script for the merchant's pages
///
/// Keeps click ids and partners' keys from the address, and hands them to forms, Stripe's elements and the page's own
/// code. See the README.
#[utoipa::path(
    get, path = "/p.js", tag = "evidence", operation_id = "get_script",
    responses(
        (status = 200, description = "The script", body = String, content_type = "text/javascript"),
        (status = 304, description = "The script has not changed"),
    )
)]
pub(in crate::http) async fn get(headers: HeaderMap) -> Response {
    let (text, tag) = &*SERVED;
    let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok()).unwrap_or_default();
    let is_known = known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag);
    let kept = [
        (header::CACHE_CONTROL, "public, max-age=3600"),
        (header::ETAG, tag.as_str()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, kept).into_response();
    }
    let kind = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (kept, kind, text.as_str()).into_response()
}

/// The script without comments, which stand on lines of their own, and without the blanks and line ends that mean
/// nothing outside of quotation marks.
fn squeezed(source: &str) -> String {
    let lines = source.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    let text: Vec<char> = lines.collect::<Vec<_>>().join("\n").chars().collect();
    let mut served = String::with_capacity(text.len());
    let mut quoted = None;
    for (at, character) in text.iter().copied().enumerate() {
        let before = served.chars().next_back().unwrap_or('{');
        let after = text.get(at + 1).copied().unwrap_or('}');
        let is_needless = match character {
            _ if quoted.is_some() => false,
            ' ' => !(is_word(before) && is_word(after)),
            '\n' => "{(,;".contains(before) || "})".contains(after),
            _ => false,
        };
        match quoted {
            Some(quote) if quote == character => quoted = None,
            None if matches!(character, '"' | '\'' | '`') => quoted = Some(character),
            _ => {}
        }
        if !is_needless {
            served.push(character);
        }
    }
    served
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '$')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_small() {
        assert!(SERVED.0.len() < 2048, "{} bytes", SERVED.0.len());
    }

    #[test]
    fn what_is_quoted_stays() {
        let source = "// a comment\nconst a = { b: \"x , y\" }\n  let c = `${a} z`\n\nreturn a in b\n";
        assert_eq!(squeezed(source), "const a={b:\"x , y\"}\nlet c=`${a} z`\nreturn a in b");
    }
}
