//! The page of `graph export --format html`, used in a real browser.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

#[path = "support/browser.rs"]
mod browser;
mod support;
#[path = "support/written.rs"]
mod written;

use std::path::{Path, PathBuf};

use browser::Browser;
use serde_json::{Value, json};
use support::Sandbox;
use written::{ADA, EVENT, NOON, bucket};

const GRAPH: [&str; 2] = ["--graph", "sqlite:trailgraph-demo.db"];
/// A tag that would like to be a program.
const HOSTILE: &str =
    "</script><script>document.title = 'broken'</script><img src=x onerror=\"document.title='broken'\">";

/// A generated graph of some hundreds more than 5,000 buckets, with one more that everyone can list, as a page.
async fn page(sandbox: &Sandbox) -> PathBuf {
    sandbox.succeed(&["demo", "--events", "113000", "--buckets", "7000", "--metrics-addr", "127.0.0.1:0"]);
    let open = bucket("arn:aws:s3:::zz-open-to-everyone", NOON, &json!({"public": true, "tag.Note": HOSTILE}));
    written::write(&sandbox.path("trailgraph-demo.db"), vec![open]).await;
    let path = sandbox.path("page.html");
    std::fs::write(&path, sandbox.succeed(&[&["graph", "export", "--format", "html"], &GRAPH[..]].concat())).unwrap();
    path
}

/// How many buckets `graph list` tells of: all of them, the public, the private, the unknown.
fn counts(sandbox: &Sandbox) -> [usize; 4] {
    let list = sandbox.succeed(&[&["graph", "list", "--json"], &GRAPH[..]].concat());
    let list: Vec<Value> = serde_json::from_str(&list).unwrap();
    let with = |public: &Value| list.iter().filter(|bucket| bucket["public"] == *public).count();
    [list.len(), with(&json!(true)), with(&json!(false)), with(&Value::Null)]
}

/// A count as the page writes it.
fn grouped(count: usize) -> String {
    if count < 1_000 { count.to_string() } else { format!("{},{:03}", count / 1_000, count % 1_000) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graph_of_5_000_buckets_is_searched_filtered_and_read_in_a_browser() {
    // First of all: without a browser nothing else is worth waiting for.
    let mut browser = Browser::start();
    let sandbox = Sandbox::new();
    let path = page(&sandbox).await;
    let [all, public, private, unknown] = counts(&sandbox);
    assert!(all >= 5_000, "{all}");
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR"));

    browser.open(&path);
    let first_frame = browser.evaluate(&frames("performance.getEntriesByName('first-frame')[0]?.startTime"));
    let megabytes = std::fs::metadata(&path).unwrap().len() / 1_000_000;
    println!("{all} buckets, {megabytes} MB: the first frame after {first_frame} ms");
    assert_eq!(browser.evaluate("document.title"), "S3 buckets: trailgraph");
    assert!(browser.text("#summary").starts_with(&format!("{} buckets in ", grouped(all))));
    for (exposure, count) in [("public", public), ("private", private), ("unknown", unknown)] {
        assert_eq!(browser.text(&format!("[data-exposure={exposure}] .count")), grouped(count), "{exposure}");
    }
    assert!(colours(&mut browser) > 20, "the canvas is blank");
    browser.screenshot(&kept.join("graph-page.png"));

    browser.press("/");
    browser.write("zz-open");
    assert_eq!(browser.text("#hits"), "1 hit");
    browser.press("Enter");
    let panel = browser.text("#panel");
    for part in [
        "zz-open-to-everyone",
        "public",
        ADA,
        EVENT,
        "2026-03-01T12:00:00Z",
        "Assumes AWS's default of accountPublicAccessBlock",
        "Unknown: tags",
        HOSTILE,
        "ALLOWS →",
    ] {
        assert!(panel.contains(part), "{part:?} in {panel}");
    }
    browser.screenshot(&kept.join("graph-page-panel.png"));
    // It stands in the middle of what the cards leave free, also when its panel is closed.
    let middle = "document.getElementById('head').offsetWidth / 2 - document.getElementById('panel').offsetWidth / 2";
    let x = browser.evaluate(&format!("innerWidth / 2 + {middle}")).as_f64().unwrap();
    let y = browser.evaluate("innerHeight / 2").as_f64().unwrap();
    browser.press("Escape");
    assert_eq!(browser.evaluate("document.getElementById('panel').hidden"), true);
    for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
        browser.mouse(kind, x, y);
    }
    assert_eq!(browser.text("#panel h2"), "zz-open-to-everyone");
    browser.click("#panel .list button");
    assert_eq!(browser.text("#panel h2"), "Everyone");
    browser.press("Escape");
    assert_eq!(browser.evaluate("document.getElementById('panel').hidden"), true);

    browser.click("#fit");
    let before = picture(&mut browser);
    browser.click("[data-exposure=public]");
    assert_eq!(browser.evaluate("document.querySelector('[data-exposure=public]').ariaPressed"), "true");
    assert!(picture(&mut browser) != before, "only the public ones are left");
    browser.screenshot(&kept.join("graph-page-public.png"));
    browser.click("[data-exposure=public]");

    the_keyboard_leads_through_it(&mut browser, public);
    on_a_narrow_screen_nothing_covers_the_panel(&mut browser, kept);

    println!("panning: {}", drag(&mut browser));
    assert_eq!(browser.evaluate("document.title"), "S3 buckets: trailgraph", "no name is run");
    let said: Vec<&Value> = browser.events.iter().filter(|event| is_complaint(event)).collect();
    assert!(said.is_empty(), "{said:?}");
    let asked: Vec<&Value> =
        browser.events.iter().map(|event| &event["params"]["request"]["url"]).filter(|url| url.is_string()).collect();
    assert_eq!(asked, [&json!(format!("file://{}", path.display()))], "nothing but the page is fetched");
}

#[tokio::test]
async fn a_graph_of_many_accounts_is_drawn_and_tells_numbers_exactly() {
    let mut browser = Browser::start();
    let sandbox = Sandbox::new();
    let in_account = |nth: i64| {
        let more = json!({"accountId": format!("{nth:012}"), "public": nth % 2 == 0, "tag.days": i64::MAX - nth});
        bucket(&format!("arn:aws:s3:::bucket-{nth:04}"), NOON, &more)
    };
    written::write(&sandbox.path("trailgraph.db"), (0..1_000).map(in_account).collect()).await;
    let path = sandbox.path("page.html");
    std::fs::write(&path, sandbox.succeed(&["graph", "export", "--format", "html"])).unwrap();

    browser.open(&path);
    browser.evaluate(&frames("performance.getEntriesByName('first-frame')[0]?.startTime"));
    assert!(browser.text("#summary").starts_with("1,000 buckets in 1,000 accounts"));
    assert!(colours(&mut browser) > 20, "the canvas is blank");
    browser.press("/");
    browser.write("bucket-0007");
    browser.press("Enter");
    assert!(browser.text("#panel dl").contains("9223372036854775800"));
}

/// From the search to the public buckets, one after the other, and along a relation; the focus is in the panel while it
/// is open.
fn the_keyboard_leads_through_it(browser: &mut Browser, public: usize) {
    browser.press("/");
    browser.write("zz-open");
    browser.click("[data-exposure=private]");
    assert_eq!(browser.text("#hits"), "no hit", "it is public");
    browser.click("[data-exposure=private]");
    browser.click("[data-exposure=public]");
    assert_eq!(browser.text("#hits"), "1 hit");
    browser.press("/");
    browser.press("Backspace");
    assert_eq!(browser.text("#scope"), "Only public: Enter opens each in turn");
    for nth in ["1", "2"] {
        browser.press("Enter");
        assert_eq!(browser.text("#hits"), format!("{nth} of {}", grouped(public)));
        assert_eq!(browser.text("#panel .badge"), "public");
        assert_eq!(focused(browser), browser.text("#panel h2"));
    }
    let close = "document.activeElement.ariaLabel";
    browser.press("Tab");
    assert_eq!(browser.evaluate(close), "Close");
    browser.press("Tab");
    assert_eq!(browser.evaluate("document.activeElement.matches('#panel .list button')"), true);
    let led_to = focused(browser);
    browser.press("Enter");
    let title = browser.text("#panel h2");
    assert!(led_to.starts_with(&title), "{title:?} for {led_to:?}");
    assert_eq!(focused(browser), title);
    browser.press("Escape");
    assert_eq!(browser.evaluate("document.activeElement.id"), "query", "where it was before the panel opened");
    browser.click("[data-exposure=public]");
}

fn focused(browser: &mut Browser) -> String {
    browser.evaluate("document.activeElement.innerText").as_str().unwrap().to_owned()
}

fn on_a_narrow_screen_nothing_covers_the_panel(browser: &mut Browser, kept: &Path) {
    browser.resize(390, 844);
    browser.press("/");
    browser.press("Enter");
    let covered = "(() => { const box = document.getElementById('panel').getBoundingClientRect();
       return ['zoom', 'head'].filter((id) => { const other = document.getElementById(id).getBoundingClientRect();
         return other.width && other.right > box.left && other.left < box.right && other.bottom > box.top; }); })()";
    assert_eq!(browser.evaluate(covered), json!([]));
    browser.screenshot(&kept.join("graph-page-narrow.png"));
    browser.press("Escape");
    browser.resize(1_440, 900);
}

/// An expression that is asked once per frame until it has a value.
fn frames(expression: &str) -> String {
    format!(
        "new Promise((done) => {{ const ask = () => {{ const value = {expression};
           value === undefined ? requestAnimationFrame(ask) : done(value); }}; ask(); }})"
    )
}

/// How many colours the canvas shows.
fn colours(browser: &mut Browser) -> u64 {
    let script = "(() => { const canvas = document.getElementById('canvas');
       const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
       return new Set(new Uint32Array(data.buffer)).size; })()";
    browser.evaluate(script).as_u64().unwrap()
}

/// The canvas after the next frame, as a text to compare.
fn picture(browser: &mut Browser) -> Value {
    let script = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() =>
       done(document.getElementById('canvas').toDataURL()))))";
    browser.evaluate(script)
}

/// Drags the graph about, and tells how long frames took meanwhile.
fn drag(browser: &mut Browser) -> String {
    browser.evaluate(
        "window.times = []; (() => { let last = performance.now();
           const tick = (now) => { times.push(now - last); last = now; requestAnimationFrame(tick); };
           requestAnimationFrame(tick); })()",
    );
    browser.mouse("mouseMoved", 900.0, 450.0);
    browser.mouse("mousePressed", 900.0, 450.0);
    for step in 0..60 {
        browser.mouse("mouseMoved", 900.0 - 4.0 * f64::from(step), 450.0 + f64::from(step));
    }
    browser.mouse("mouseReleased", 664.0, 509.0);
    let script = "(() => { const sorted = times.slice(1).sort((a, b) => a - b);
       const at = (share) => Math.round(sorted[Math.floor(share * (sorted.length - 1))]);
       return `${sorted.length} frames, median ${at(0.5)} ms, 95 % within ${at(0.95)} ms`; })()";
    browser.evaluate(script).as_str().unwrap().to_owned()
}

/// An exception, or anything that the console or the log tells as an error or a warning.
fn is_complaint(event: &Value) -> bool {
    match event["method"].as_str().unwrap_or_default() {
        "Runtime.exceptionThrown" => true,
        "Runtime.consoleAPICalled" => {
            ["error", "warning", "assert"].iter().any(|kind| event["params"]["type"] == *kind)
        }
        "Log.entryAdded" => ["error", "warning"].iter().any(|level| event["params"]["entry"]["level"] == *level),
        _ => false,
    }
}
