//! The page of a merchant with `/p.js`: what the script does there, in a real browser: Chromium without a window.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};

use crate::blackbox::{Engine, Home};
use crate::evidence::{Shop, header};
use crate::server::{Server, ask};

#[test]
fn it_is_small_and_kept() {
    let server = Server::start(&Home::new(Engine::Sqlite));
    let answer = server.get("/p.js");
    assert_eq!(answer.status, 200);
    assert!(answer.body.len() < 2048, "{} bytes", answer.body.len());
    assert_eq!(header(&answer, "content-type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(header(&answer, "cache-control"), Some("public, max-age=3600"));
    assert_eq!(header(&answer, "x-content-type-options"), Some("nosniff"));
    assert_eq!(header(&answer, "access-control-allow-origin"), Some("*"));
    let tag = header(&answer, "etag").unwrap();
    let again = ask(&server.address, "GET", "/p.js", &[("if-none-match", tag)], b"").unwrap();
    assert_eq!((again.status, again.body.as_str()), (304, ""));
}

/// A merchant's page on an origin of its own; what the script made of it is in `#told`.
fn page(bridge: &str) -> String {
    format!(
        r#"<!doctype html><meta charset="utf-8">
<script>
  const before = new URLSearchParams(location.hash.slice(1))
  if (before.get("cookie")) document.cookie = "cb_touch=" + encodeURI(before.get("cookie"))
  if (before.get("storage")) localStorage.cb_touch = before.get("storage")
</script>
<script src="http://{bridge}/p.js" data-days="30"></script>
<form><input name="irclickid"><input name="partner_key"><input name="email" value="ann@buyer.example"></form>
<a id="free" href="https://buy.stripe.com/abc?locale=de">buy</a>
<a id="taken" href="https://buy.stripe.com/abc?client_reference_id=mine">buy</a>
<a id="other" href="https://shop.example/">other</a>
<stripe-buy-button></stripe-buy-button>
<pre id="told"></pre>
<script>
  commissionBridge.ready.then((api) => setTimeout(() => {{
    const late = document.body.appendChild(document.createElement("stripe-pricing-table"))
    setTimeout(() => {{
      const value = (name) => document.querySelector(`input[name=${{name}}]`).value
      const href = (id) => document.getElementById(id).href
      told.textContent = "<<" + encodeURIComponent(JSON.stringify({{
        clickId: api.clickId, partnerKey: api.partnerKey, metadata: api.metadata(), cookie: document.cookie,
        storage: localStorage.cb_touch, irclickid: value("irclickid"), partner_key: value("partner_key"),
        free: href("free"), taken: href("taken"), other: href("other"),
        button: document.querySelector("stripe-buy-button").getAttribute("client-reference-id"),
        table: late.getAttribute("client-reference-id"),
      }})) + ">>"
    }})
  }}))
</script>"#
    )
}

/// A merchant's web server; its address.
fn merchant(bridge: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let page = page(bridge);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            while lines.next().is_some_and(|line| !line.is_empty()) {}
            let mut answer = String::from("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n");
            let _ = write!(answer, "content-length: {}\r\n\r\n{page}", page.len());
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

/// Opens an address in a browser that has never been anywhere; what the page told.
fn browse(home: &Home, url: &str) -> Value {
    let profile = tempfile::tempdir().unwrap();
    let mut chromium = Command::new(std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned()));
    chromium.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
    chromium.args(["--disable-extensions", "--disable-background-networking", "--disable-component-update"]);
    // Nothing but this machine: whatever else a page names is not there.
    chromium.arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1");
    chromium.args(["--virtual-time-budget=10000", "--dump-dom"]);
    chromium.arg(format!("--user-data-dir={}", profile.path().display())).arg(url);
    let output = chromium.current_dir(home.path("")).output().expect(
        "the page's script is tested in Chromium: `bash tests/run.sh` installs it, or CHROMIUM names another command",
    );
    let dom = String::from_utf8_lossy(&output.stdout);
    let told = dom.split_once("&lt;&lt;").and_then(|(_, rest)| rest.split_once("&gt;&gt;"));
    let (told, _) = told.unwrap_or_else(|| panic!("{dom}\n{}", String::from_utf8_lossy(&output.stderr)));
    let told = form_urlencoded::parse(format!("x={told}").as_bytes()).next().unwrap().1.into_owned();
    serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}"))
}

#[test]
fn what_it_does_on_a_page() {
    let home = Home::new(Engine::Sqlite);
    let shop = Shop::open(&home);
    let page = merchant(&shop.server.address);
    let open = |rest: &str| browse(&home, &format!("http://{page}/{rest}"));
    let now = crate::server::now() * 1000;

    // A click id in the address goes everywhere.
    let told = open("?irclickid=clk_1&via=acme");
    assert_eq!(told["metadata"], json!({"irclickid": "clk_1"}), "{told}");
    assert_eq!(
        (&told["clickId"], &told["irclickid"], &told["partner_key"]),
        (&json!("clk_1"), &json!("clk_1"), &json!(""))
    );
    assert_eq!(told["free"], "https://buy.stripe.com/abc?locale=de&client_reference_id=clk_1");
    assert_eq!(told["taken"], "https://buy.stripe.com/abc?client_reference_id=mine");
    assert_eq!(told["other"], "https://shop.example/");
    assert_eq!((&told["button"], &told["table"]), (&json!("clk_1"), &json!("clk_1")));
    for kept in [&told["cookie"], &told["storage"]] {
        assert!(kept.as_str().unwrap().contains("irclickid=clk_1"), "{told}");
    }

    // A rival's parameter becomes a click.
    for query in ["?via=acme", "?fpr=acme", "?ps_partner_key=YWNtZQ%3D%3D"] {
        let told = open(query);
        let id = told["clickId"].as_str().unwrap_or_else(|| panic!("{told}"));
        assert_eq!(shop.get(&format!("/v1/clicks/{id}")).json()["partner_key"], "acme");
        assert_eq!(told["metadata"], json!({"irclickid": id, "partner_key": "acme"}));
        assert_eq!((&told["partner_key"], &told["button"]), (&json!("acme"), &json!(id)));
    }
    let clicks = || home.count("SELECT CAST(COUNT(*) AS BIGINT) FROM clicks");
    assert_eq!(clicks(), 3);

    // What was kept counts, from the cookie or else from storage, until its days are over.
    let touch = |age_days: i64| format!("irclickid%3Dclk_9%26t%3D{}", now - age_days * 86_400_000);
    for place in ["cookie", "storage"] {
        assert_eq!(open(&format!("#{place}={}", touch(29)))["metadata"], json!({"irclickid": "clk_9"}), "{place}");
        assert_eq!(open(&format!("#{place}={}", touch(31)))["metadata"], json!({}), "{place}");
    }
    // The last touch wins; one that names no partner is none; nor is a mail address.
    assert_eq!(open(&format!("?click_id=clk_2#cookie={}", touch(1)))["clickId"], "clk_2");
    for query in ["?ref=newsletter", "?ref=ann@buyer.example"] {
        let told = open(&format!("{query}#cookie={}", touch(1)));
        assert_eq!(told["metadata"], json!({"irclickid": "clk_9"}), "{query} {told}");
    }
    let told = open("?ref=ann@buyer.example&irclickid=ann@buyer.example");
    assert_eq!((&told["metadata"], &told["storage"]), (&json!({}), &Value::Null));
    assert_eq!(clicks(), 3);

    // Where the bridge is unreachable, the partner's key is kept.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let script = shop.server.get("/p.js").body;
    let told = browse(&home, &format!("http://{}/?via=acme", unreachable(&gone, &script)));
    assert_eq!((&told["metadata"], &told["button"]), (&json!({"partner_key": "acme"}), &json!("acme")), "{told}");
}

/// The merchant's page with a script that was loaded before the bridge went away.
fn unreachable(gone: &str, script: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // The script asks the host that it came from: pretend that it came from the one that is gone.
    let script = script.replace("new URL(\"c\",src)", &format!("\"http://{gone}/c\""));
    let page = page(&address);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            while lines.next().is_some_and(|line| !line.is_empty()) {}
            let (kind, body) =
                if first.contains("/p.js") { ("text/javascript", &script) } else { ("text/html", &page) };
            let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n");
            let _ = write!(answer, "content-length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}
