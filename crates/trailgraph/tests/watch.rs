//! What watches the service: the dashboard, the alerts, their runbook and the reference, held to a live program and to
//! Prometheus' own tools.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;
#[path = "watch/written.rs"]
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use support::Sandbox;
use support::stream::{Service, eventually, free_addr};
use written::{Written, alerts_dir};

/// The demo at a pace at which it outlives any of these tests.
struct Demo {
    service: Service,
    sandbox: Sandbox,
}

impl Demo {
    fn start() -> Self {
        let (sandbox, metrics) = (Sandbox::new(), free_addr());
        let arguments =
            ["demo", "--rate", "200", "--events", "1000000", "--flush-after", "500ms", "--metrics-addr", &metrics];
        let child = sandbox.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { service: Service { child, metrics }, sandbox }
    }

    /// What it answers once its shards are read and a window is through.
    async fn scrape(&self) -> String {
        eventually("a window is emitted", async || {
            let answer = self.service.get("/metrics")?;
            let (_, text) = answer.split_once("\r\n\r\n")?;
            let count =
                text.lines().find_map(|line| line.strip_prefix("trailgraph_freshness_seconds_count{stage=\"emit\"} "));
            (text.contains("trailgraph_shard_behind_latest_seconds{") && count.is_some_and(|count| count != "0"))
                .then(|| text.to_owned())
        })
        .await
    }
}

/// By family: type and names of labels, of histograms without `le`.
fn families(scrape: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let types = scrape.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let mut families: BTreeMap<String, (String, BTreeSet<String>)> =
        types.map(|(name, kind)| (name.to_owned(), (kind.to_owned(), BTreeSet::new()))).collect();
    for line in scrape.lines().filter(|line| !line.starts_with('#')) {
        let Some((series, labels)) = line.rsplit_once(' ').unwrap().0.split_once('{') else { continue };
        let labels = labels.split("\",").filter_map(|label| label.split_once('=')).map(|(name, _)| name);
        let family = written::family(series, &|name| families.contains_key(name));
        families.get_mut(&family).unwrap().1.extend(labels.filter(|name| *name != "le").map(str::to_owned));
    }
    families
}

fn promtool(arguments: &[&str], input: &str) -> (bool, String) {
    let mut command = Command::new("promtool");
    command
        .args(arguments)
        .current_dir(alerts_dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool: install Debian's package prometheus");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn promtool_takes_the_rules_and_every_alert_fires_and_rests_as_its_unit_tests_say() {
    let (clean, said) = promtool(&["check", "rules", "trailgraph.rules.yaml"], "");
    assert!(clean && said.contains("SUCCESS"), "{said}");
    let (passed, said) = promtool(&["test", "rules", "trailgraph.rules.test.yaml", "trailgraph.senders.test.yaml"], "");
    assert!(passed, "{said}");
    let tests = ["trailgraph.rules.test.yaml", "trailgraph.senders.test.yaml"];
    let tests = tests.map(|file| fs::read_to_string(alerts_dir().join(file)).unwrap()).concat();
    for alert in Written::load().alerts.keys() {
        assert!(tests.contains(&format!("        alertname: {alert}\n")), "{alert} never fires in a test");
        assert!(tests.contains(&format!("alertname: {alert}, exp_alerts: []")), "{alert} never rests in a test");
    }
}

#[test]
fn every_alert_has_its_heading_in_the_runbook_and_leads_there() {
    let written = Written::load();
    let headings: BTreeSet<&str> = written.runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let alerts: BTreeSet<&str> = written.alerts.keys().map(String::as_str).collect();
    assert_eq!(headings, alerts);
    for (alert, rule) in &written.alerts {
        let url = rule["annotations"]["runbook_url"].as_str().unwrap();
        assert_eq!(url, format!("deploy/runbook.md#{}", alert.to_lowercase()));
        assert!(
            written.runbook.contains(&format!("](#{})", alert.to_lowercase()))
                || rule["labels"]["severity"] == "ticket",
            "{alert}"
        );
    }
}

#[test]
fn each_panel_answers_one_question_and_says_what_to_do_next() {
    let written = Written::load();
    let mut titles = BTreeSet::new();
    for panel in &written.panels {
        let (title, description) = (panel["title"].as_str().unwrap(), panel["description"].as_str().unwrap());
        assert!(title.ends_with('?') && titles.insert(title), "{title}");
        assert!(description.len() > 10, "{title}: {description}");
    }
    let rows = written.rows.iter().map(|row| row.split_once([':', ' ']).unwrap().0);
    assert_eq!(rows.collect::<Vec<_>>(), ["Is", "Read", "Fold", "Save", "Emit", "Senders", "Process"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_series_that_anything_asks_for_is_there_from_the_start() {
    let demo = Demo::start();
    let scrape = demo.scrape().await;
    let (clean, said) = promtool(&["check", "metrics"], &scrape);
    assert!(clean && said.is_empty(), "promtool check metrics: {said}");

    let (families, written) = (families(&scrape), Written::load());
    for (what, text) in written.texts() {
        let names = written::names(text);
        assert!(!names.is_empty() || what == "docs", "{what} names no metric");
        for name in names {
            let family = written::family(&name, &|name| families.contains_key(name));
            assert!(families.contains_key(&family), "{what} names {name}, which nothing answers with");
        }
        for (label, value) in written::selected(text) {
            let series = format!("{label}=\"{value}\"");
            assert!(scrape.contains(&series), "{what} asks for {series}, which nothing answers with");
        }
    }
    let told: BTreeMap<String, (String, BTreeSet<String>)> = written.reference();
    assert_eq!(told, families, "docs/metrics.md and the program");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_has_an_answer_to_each_panel_and_evaluates_each_rule() {
    let demo = Demo::start();
    demo.scrape().await;
    let prometheus = Prometheus::start(&demo.sandbox, &demo.service.metrics);
    for panel in Written::load().panels {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            let query = query.replace("$__rate_interval", "30s").replace("$__range", "5m").replace("$instance", ".*");
            let what = format!("{}: {query}", panel["title"]);
            eventually(&what, async || {
                let answer = prometheus.get("query", &[("query", &query)]).await?;
                assert_eq!(answer["status"], "success", "{what}: {answer}");
                answer["data"]["result"].as_array().filter(|series| !series.is_empty()).map(|_| ())
            })
            .await;
        }
    }
    let rules = eventually("every rule was evaluated", async || {
        let answer = prometheus.get("rules", &[]).await?;
        let groups = answer["data"]["groups"].as_array()?.clone();
        let rules: Vec<Value> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect();
        rules.iter().all(|rule| rule["health"] != "unknown").then_some(rules)
    })
    .await;
    let ill: Vec<&Value> = rules.iter().filter(|rule| rule["health"] != "ok").collect();
    assert!(rules.len() > 20 && ill.is_empty(), "{ill:#?}");
    let firing = rules.iter().filter(|rule| rule["state"] == "firing").collect::<Vec<_>>();
    assert!(firing.is_empty(), "nothing is wrong with the demo: {firing:#?}");
}

/// A server of its own, that scrapes one target and evaluates our rules.
struct Prometheus {
    process: Child,
    addr: String,
    client: reqwest::Client,
}

impl Prometheus {
    fn start(sandbox: &Sandbox, target: &str) -> Self {
        let config = serde_json::json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [alerts_dir().canonicalize().unwrap().join("trailgraph.rules.yaml")],
            "scrape_configs": [{"job_name": "trailgraph", "static_configs": [{"targets": [target]}]}],
        });
        // JSON is YAML.
        fs::write(sandbox.path("prometheus.yml"), config.to_string()).unwrap();
        let addr = free_addr();
        let flag = |name: &str, value: &Path| format!("--{name}={}", value.display());
        let mut command = Command::new("prometheus");
        command.arg(flag("config.file", &sandbox.path("prometheus.yml")));
        command.arg(flag("storage.tsdb.path", &sandbox.path("data"))).arg(format!("--web.listen-address={addr}"));
        let log = fs::File::create(sandbox.path("prometheus.log")).unwrap();
        command.current_dir(sandbox.path("")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = command.spawn().expect("prometheus: install Debian's package prometheus");
        let _installed = rustls::crypto::ring::default_provider().install_default();
        Self { process, addr, client: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    /// An answer of its API; none while it does not listen yet.
    async fn get(&self, what: &str, parameters: &[(&str, &str)]) -> Option<Value> {
        let encoded = parameters.iter().map(|(name, value)| format!("{name}={}", percent(value)));
        let url = format!("http://{}/api/v1/{what}?{}", self.addr, encoded.collect::<Vec<_>>().join("&"));
        let answer = self.client.get(url).send().await.ok()?;
        serde_json::from_str(&answer.text().await.ok()?).ok()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _ended = self.process.wait();
    }
}

fn percent(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric();
    text.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
