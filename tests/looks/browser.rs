//! A real browser looks: whether anything sticks out of a phone's width, whether every text stands out from what is
//! behind it, whether the console has anything to say.

use std::fmt::Write as _;
use std::process::Command;

/// What the reader prefers.
#[derive(Debug, Clone, Copy)]
pub enum Scheme {
    Light,
    Dark,
}

/// In CSS pixels: the narrowest phones, common phones, the width of a mail.
const WIDTHS: [u32; 3] = [320, 375, 800];

/// Measures each frame: contrast as WCAG 2 computes it, 4.5 : 1 for text.
const MEASURE: &str = r#"
const channel = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b)
const rgba = (text) => text.match(/[\d.]+/g).map(Number)
const behind = (view, element) => {
  for (let e = element; e; e = e.parentElement) {
    const c = rgba(view.getComputedStyle(e).backgroundColor)
    if (c.length < 4 || c[3] > 0) return c
  }
  return matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255]
}
addEventListener("load", () => {
  const told = []
  for (const frame of document.querySelectorAll("iframe")) {
    const view = frame.contentWindow, page = view.document, name = `${frame.title} at ${frame.width}`
    if (page.documentElement.scrollWidth > frame.width) told.push(`${name}: ${page.documentElement.scrollWidth} wide`)
    const walker = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT)
    const seen = new Set()
    while (walker.nextNode()) {
      const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement
      if (!text || !element.checkVisibility() || element.closest("[style*='display:none']")) continue
      const range = page.createRange()
      range.selectNodeContents(walker.currentNode)
      const box = range.getBoundingClientRect()
      if (box.right > +frame.width + 1 || box.left < -1) told.push(`${name}: sticks out: ${text}`)
      const [a, b] = [luminance(rgba(view.getComputedStyle(element).color)), luminance(behind(view, element))]
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
      if (contrast < 4.5 && !seen.has(element.className)) {
        seen.add(element.className)
        told.push(`${name}: contrast ${contrast.toFixed(2)}: ${text}`)
      }
    }
  }
  document.getElementById("told").textContent = "<<" + encodeURIComponent(JSON.stringify(told)) + ">>"
})
"#;

/// What is wrong with some documents, `(name, HTML)`.
pub fn faults(documents: &[(String, String)], scheme: Scheme) -> Vec<String> {
    let mut page = format!("<!doctype html><meta charset=\"utf-8\"><script>{MEASURE}</script><pre id=\"told\"></pre>");
    for (name, html) in documents {
        let html = html.replace('&', "&amp;").replace('"', "&quot;");
        for width in WIDTHS {
            write!(page, "<iframe title=\"{name}\" width=\"{width}\" height=\"600\" srcdoc=\"{html}\"></iframe>")
                .unwrap();
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("page.html");
    std::fs::write(&file, page).unwrap();
    let mut chromium = Command::new(std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned()));
    chromium.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
    chromium.args(["--disable-extensions", "--disable-background-networking", "--disable-component-update"]);
    chromium.args(["--disable-sync", "--disable-quic", "--host-resolver-rules=MAP * ~NOTFOUND"]);
    chromium.args(["--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom"]);
    chromium.arg(match scheme {
        Scheme::Light => "--blink-settings=preferredColorScheme=1",
        Scheme::Dark => "--blink-settings=preferredColorScheme=0",
    });
    chromium.arg(format!("--user-data-dir={}", directory.path().join("profile").display()));
    chromium.arg(format!("file://{}", file.display()));
    let output = chromium
        .output()
        .expect("mails are looked at in Chromium: `bash tests/run.sh` installs it, or CHROMIUM names another command");
    let (dom, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let told = dom.split_once("&lt;&lt;").and_then(|(_, rest)| rest.split_once("&gt;&gt;"));
    let (told, _) = told.unwrap_or_else(|| panic!("the browser said nothing\n{log}"));
    let told = form_urlencoded::parse(format!("x={told}").as_bytes()).next().unwrap().1.into_owned();
    let mut faults: Vec<String> = serde_json::from_str(&told).unwrap();
    faults.extend(log.lines().filter(|line| line.contains("CONSOLE")).map(ToOwned::to_owned));
    faults
}
