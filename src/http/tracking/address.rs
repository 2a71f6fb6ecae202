//! Where a visitor who follows a link is sent: the link's target, or a page beside it, with the click id and whatever the
//! visitor brought along. Never to another site.

use std::collections::BTreeSet;

use url::Url;

/// The parameter that carries the click id.
const CLICK_ID: &str = "irclickid";
/// The parameter that asks for another page of the target's site.
const DEEPER: &str = "to";

/// The address for a request with the query `asked`.
pub(super) fn destination(target: &Url, asked: &str, click_id: Option<&str>) -> Url {
    let deeper = form_urlencoded::parse(asked.as_bytes()).find(|(name, _)| name == DEEPER);
    let mut url = deeper.and_then(|(_, path)| beside(target, &path)).unwrap_or_else(|| target.clone());
    let is_click_id = |name: &str| name.eq_ignore_ascii_case(CLICK_ID);
    // What stands in the target stays as it was written, but for a click id, which would be somebody else's.
    let mut kept: Vec<&str> = parameters(url.query().unwrap_or_default())
        .filter(|(name, _)| !is_click_id(name))
        .map(|(_, parameter)| parameter)
        .collect();
    let own: BTreeSet<String> = parameters(url.query().unwrap_or_default()).map(|(name, _)| name).collect();
    let brought = parameters(asked).filter(|(name, _)| name != DEEPER && !is_click_id(name) && !own.contains(name));
    kept.extend(brought.map(|(_, parameter)| parameter));
    let click_id = click_id.map(|id| format!("{CLICK_ID}={id}"));
    kept.extend(click_id.as_deref());
    let query = kept.join("&");
    url.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
    url
}

/// The parameters of a query by their names, each as it was written.
fn parameters(query: &str) -> impl Iterator<Item = (String, &str)> {
    query.split('&').filter_map(|parameter| {
        let (name, _) = form_urlencoded::parse(parameter.as_bytes()).next()?;
        Some((name.into_owned(), parameter))
    })
}

/// A page on the target's own origin: none for anything that some browser might read as another site.
fn beside(target: &Url, path: &str) -> Option<Url> {
    let is_path = path.starts_with('/') && !path.starts_with("//");
    if !is_path || path.chars().any(|character| character.is_control() || character == '\\') {
        return None;
    }
    let url = target.join(path).ok()?;
    let stays = url.origin() == target.origin() && url.username().is_empty() && url.password().is_none();
    stays.then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn led(target: &str, asked: &str) -> String {
        destination(&target.parse().unwrap(), asked, Some("clk_1")).into()
    }

    #[test]
    fn the_click_id_joins_what_is_there() {
        for (target, asked, expected) in [
            ("https://s.example", "", "https://s.example/?irclickid=clk_1"),
            ("https://s.example/p?a=1#top", "", "https://s.example/p?a=1&irclickid=clk_1#top"),
            ("https://s.example/?irclickid=old&b=%20x", "", "https://s.example/?b=%20x&irclickid=clk_1"),
            ("https://s.example/?IrClickId=old", "irclickid=mine", "https://s.example/?irclickid=clk_1"),
            ("https://s.example/?", "", "https://s.example/?irclickid=clk_1"),
        ] {
            assert_eq!(led(target, asked), expected, "{target} {asked}");
        }
        let target = "https://s.example/?irclickid=old#x".parse().unwrap();
        assert_eq!(destination(&target, "", None).as_str(), "https://s.example/#x");
    }

    #[test]
    fn what_the_visitor_brings_is_passed_on() {
        let target = "https://s.example/?utm_source=acme";
        let led = led(target, "utm_source=mail&utm_medium=a%20b&gclid=G-1&gclid=G-2&&flag");
        assert_eq!(led, "https://s.example/?utm_source=acme&utm_medium=a%20b&gclid=G-1&gclid=G-2&flag&irclickid=clk_1");
    }

    #[test]
    fn a_page_beside_the_target() {
        let target = "https://s.example:8443/pricing?plan=1#a";
        for (to, expected) in [
            ("/docs", "https://s.example:8443/docs?irclickid=clk_1"),
            ("/docs?x=y%23z#part", "https://s.example:8443/docs?x=y%23z&irclickid=clk_1#part"),
            ("/", "https://s.example:8443/?irclickid=clk_1"),
            ("/a/../b", "https://s.example:8443/b?irclickid=clk_1"),
            ("/@evil.example", "https://s.example:8443/@evil.example?irclickid=clk_1"),
            ("/https://evil.example", "https://s.example:8443/https://evil.example?irclickid=clk_1"),
        ] {
            let to: String = form_urlencoded::byte_serialize(to.as_bytes()).collect();
            assert_eq!(led(target, &format!("to={to}")), expected);
        }
    }

    #[test]
    fn nobody_is_led_to_another_site() {
        let target = "https://s.example/pricing";
        for to in [
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "\t//evil.example",
            " //evil.example",
            "https://evil.example",
            "https:evil.example",
            "javascript:alert(1)",
            "@evil.example",
            ".evil.example",
            ":80@evil.example",
            "evil.example",
            "%2F%2Fevil.example",
            "",
            "?x=1",
            "/x\u{0}",
            "/x\u{7f}",
            "/x\u{85}",
        ] {
            let to: String = form_urlencoded::byte_serialize(to.as_bytes()).collect();
            assert_eq!(led(target, &format!("to={to}")), "https://s.example/pricing?irclickid=clk_1", "{to}");
        }
        // What slips past the checks of the text still stays on the site.
        for to in ["/.//evil.example", "/x/..//evil.example", "/%5Cevil.example", "/\u{ff0f}evil.example"] {
            let to: String = form_urlencoded::byte_serialize(to.as_bytes()).collect();
            let url: Url = led(target, &format!("to={to}")).parse().unwrap();
            assert_eq!(url.host_str(), Some("s.example"), "{to}");
        }
    }
}
