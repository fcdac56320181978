//! The synchronization API's contract, in memory: what is known of it from the reference clients and the documentation,
//! and the law that no two jobs of one scope may be uploading or finalizing at once, which it asserts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use emitter::{Http, Request, Response};
use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

const JOBS: &str = "/persister/synchronization/jobs";
const REQUEST_BYTES_MAX: usize = 6_291_456;
pub(crate) const KEY: &str = "an-api-key-for-tests";

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It is answered with this status and this error code.
    Status(u16, &'static str),
    /// It does not arrive.
    Lost,
    /// It has its effect, and its answer does not arrive.
    Unanswered,
    /// It is answered late.
    Late(Duration),
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub(crate) at: Instant,
    pub(crate) account: String,
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
    pub(crate) bytes: usize,
}

/// The server.
pub(crate) struct Contract(Mutex<Inner>);

struct Inner {
    jobs: BTreeMap<String, Job>,
    graphs: BTreeMap<Scope, Graph>,
    log: Vec<Logged>,
    faults: VecDeque<(&'static str, Fault, usize)>,
    /// Requests a minute and account.
    limit: usize,
    /// So often a job is asked for before it has ended.
    polls: u32,
    /// Keys of entities and relationships that are refused as long as they have more than their least.
    refused: BTreeSet<String>,
    /// How the next jobs end, instead of as finished.
    ends: VecDeque<&'static str>,
}

/// An account, a source and a scope.
type Scope = (String, String, String);

#[derive(Clone, Default)]
struct Graph {
    entities: BTreeMap<String, Value>,
    relationships: BTreeMap<String, Value>,
}

struct Job {
    scope: Scope,
    mode: String,
    status: &'static str,
    polls_left: u32,
    uploaded: Graph,
    has_uploads: bool,
    create_errors: u64,
}

impl Job {
    fn is_done(&self) -> bool {
        !matches!(self.status, "AWAITING_UPLOADS" | "FINALIZE_PENDING")
    }
}

/// A worker's connection to it, without sockets.
pub(crate) struct Wire(pub(crate) Arc<Contract>);

#[async_trait]
impl Http for Wire {
    async fn send(&self, request: &Request) -> Result<Response, String> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let (answer, late) = self.0.handle(request);
        tokio::time::sleep(late).await;
        answer
    }
}

impl Contract {
    /// One that takes 30 requests a minute and ends a job at the second poll.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inner {
            jobs: BTreeMap::new(),
            graphs: BTreeMap::new(),
            log: Vec::new(),
            faults: VecDeque::new(),
            limit: 30,
            polls: 2,
            refused: BTreeSet::new(),
            ends: VecDeque::new(),
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    pub(crate) fn limit(&self, requests_per_minute: usize) {
        self.inner().limit = requests_per_minute;
    }

    /// The next `times` requests whose method and path hold `part` go wrong.
    pub(crate) fn fail(&self, part: &'static str, fault: Fault, times: usize) {
        self.inner().faults.push_back((part, fault, times));
    }

    /// A job is asked for so often before it has ended.
    pub(crate) fn polls(&self, polls: u32) {
        self.inner().polls = polls;
    }

    /// What another integration has in a scope.
    pub(crate) fn seed(&self, scope: [&str; 3], key: &str, entity: Value) {
        let scope = scope.map(str::to_owned).into();
        self.inner().graphs.entry(scope).or_default().entities.insert(key.to_owned(), entity);
    }

    pub(crate) fn refuse(&self, key: &str) {
        self.inner().refused.insert(key.to_owned());
    }

    pub(crate) fn end_next_job_as(&self, status: &'static str) {
        self.inner().ends.push_back(status);
    }

    pub(crate) fn log(&self) -> Vec<Logged> {
        self.inner().log.clone()
    }

    pub(crate) fn requests(&self) -> usize {
        self.inner().log.len()
    }

    /// Scopes that hold anything.
    pub(crate) fn scopes(&self) -> Vec<String> {
        let inner = self.inner();
        let held = inner.graphs.iter().filter(|(_, graph)| !graph.entities.is_empty());
        held.map(|((_, _, scope), _)| scope.clone()).collect()
    }

    /// What a user sees: entities and relationships of all scopes; ends that were mapped are keys again.
    pub(crate) fn shown(&self) -> (Vec<Value>, Vec<Value>) {
        let inner = self.inner();
        let (mut entities, mut relationships) = (BTreeMap::new(), BTreeMap::new());
        for (scope, graph) in &inner.graphs {
            for (key, entity) in &graph.entities {
                let twice = entities.insert(key.clone(), entity.clone());
                assert!(twice.is_none(), "{key} stands in several scopes, {scope:?} among them");
            }
            relationships.extend(graph.relationships.iter().map(|(key, edge)| (key.clone(), unmapped(edge))));
        }
        (entities.into_values().collect(), relationships.into_values().collect())
    }

    /// The most requests of an account within any minute.
    pub(crate) fn most_in_a_minute(&self) -> usize {
        let log = self.log();
        let within = |first: &Logged| {
            let same = log.iter().filter(|other| other.account == first.account && other.at >= first.at);
            same.filter(|other| other.at - first.at < Duration::from_secs(60)).count()
        };
        log.iter().map(within).max().unwrap_or_default()
    }

    /// Answers a request, and tells after which time.
    pub(crate) fn handle(&self, request: &Request) -> (Result<Response, String>, Duration) {
        let headers: BTreeMap<String, String> =
            request.headers.iter().map(|header| (header.name.to_ascii_lowercase(), header.value.clone())).collect();
        let account = headers.get("jupiterone-account").cloned().unwrap_or_default();
        let body = decoded(&headers, &request.body);
        let mut inner = self.inner();
        let line = format!("{} {}", request.method, request.path);
        let fault = inner.next_fault(&line);
        let now = Instant::now();
        let recent = |logged: &&Logged| logged.account == account && now - logged.at < Duration::from_secs(60);
        let is_over = inner.log.iter().rev().filter(recent).count() >= inner.limit;
        let answer = match &fault {
            Some(Fault::Lost) => return (Err("the connection was cut".into()), Duration::ZERO),
            Some(Fault::Status(status, code)) => error(*status, code, "as the test has it"),
            _ if headers.get("authorization") != Some(&format!("Bearer {KEY}")) => error(401, "UNAUTHORIZED", "no"),
            _ if is_over => {
                let mut answer = error(429, "TOO_MANY_REQUESTS", "slow down");
                answer.ask_again_after = Some(10);
                answer
            }
            _ => inner.answer(&account, request, &body),
        };
        let status = answer.status;
        let (path, bytes) = (request.path.clone(), request.body.len());
        inner.log.push(Logged { at: now, account, method: request.method, path, status, headers, body, bytes });
        match fault {
            Some(Fault::Unanswered) => (Err("the connection was cut".into()), Duration::ZERO),
            Some(Fault::Late(time)) => (Ok(answer), time),
            _ => (Ok(answer), Duration::ZERO),
        }
    }
}

impl Inner {
    fn next_fault(&mut self, line: &str) -> Option<Fault> {
        let place = self.faults.iter().position(|(part, _, _)| line.contains(part))?;
        let (_, fault, times) = &mut self.faults[place];
        let fault = fault.clone();
        *times -= 1;
        if *times == 0 {
            self.faults.remove(place);
        }
        Some(fault)
    }

    fn answer(&mut self, account: &str, request: &Request, body: &Value) -> Response {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let Some(rest) = path.strip_prefix(JOBS) else { return error(404, "NOT_FOUND", path) };
        if request.body.len() > REQUEST_BYTES_MAX || body.to_string().len() > REQUEST_BYTES_MAX {
            return error(413, "RequestEntityTooLargeException", "Request must be smaller than 6291456 bytes");
        }
        let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
        match (request.method, parts.as_slice()) {
            ("POST", []) => self.start(account, body),
            ("GET", [id]) => self.status(id),
            ("POST", [id, what @ ("entities" | "relationships")]) => {
                self.upload(id, what, body, query.contains("ignoreDuplicates=true"))
            }
            ("POST", [id, "finalize"]) => self.finalize(id),
            ("POST", [id, "abort"]) => self.abort(id),
            _ => error(404, "NOT_FOUND", path),
        }
    }

    fn start(&mut self, account: &str, body: &Value) -> Response {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        if text("source") != "api" || text("scope").is_empty() || !["DIFF", "PATCH"].contains(&&*text("syncMode")) {
            return error(400, "BAD_REQUEST", "source, scope or syncMode");
        }
        let id = format!("11111111-2222-3333-4444-{:012}", self.jobs.len());
        let job = Job {
            scope: (account.to_owned(), text("source"), text("scope")),
            mode: text("syncMode"),
            status: "AWAITING_UPLOADS",
            polls_left: self.polls,
            uploaded: Graph::default(),
            has_uploads: false,
            create_errors: 0,
        };
        self.jobs.insert(id.clone(), job);
        self.told(&id)
    }

    fn told(&self, id: &str) -> Response {
        let job = &self.jobs[id];
        let (account, source, scope) = &job.scope;
        let body = json!({"job": {
            "id": id, "source": source, "scope": scope, "accountId": account, "status": job.status,
            "done": job.is_done(), "syncMode": job.mode, "startTimestamp": 1_795_351_032_439_i64,
            "numEntitiesUploaded": job.uploaded.entities.len(),
            "numRelationshipsUploaded": job.uploaded.relationships.len(),
            "numRelationshipCreateErrors": job.create_errors,
        }});
        Response { status: 200, ask_again_after: None, body: body.to_string().into_bytes() }
    }

    /// No two jobs of one scope may be uploading or finalizing at once.
    fn must_be_alone(&self, id: &str) {
        let scope = &self.jobs[id].scope;
        let is_at_it = |job: &Job| !job.is_done() && (job.has_uploads || job.status == "FINALIZE_PENDING");
        let other = self.jobs.iter().find(|(other, job)| *other != id && job.scope == *scope && is_at_it(job));
        assert!(other.is_none(), "{id} and {:?} are at {scope:?} at once", other.map(|(id, _)| id));
    }

    fn upload(&mut self, id: &str, what: &str, body: &Value, ignores_duplicates: bool) -> Response {
        let Some(job) = self.jobs.get(id) else { return error(404, "NOT_FOUND", id) };
        if job.status != "AWAITING_UPLOADS" {
            return error(400, "JOB_NOT_AWAITING_UPLOADS", job.status);
        }
        let Some(parts) = body[what].as_array() else { return error(400, "ENTITY_IS_NOT_ARRAY", what) };
        for part in parts {
            let fault = if what == "entities" { entity_fault(part) } else { relationship_fault(part) };
            let is_refused = self.refused.contains(part["_key"].as_str().unwrap_or_default())
                && part.as_object().is_some_and(|part| part.len() > 5);
            if let Some(fault) = fault.or(is_refused.then(|| "the test refuses it".into())) {
                return error(400, "BAD_DATA", &fault);
            }
            if what == "relationships" && job.mode == "PATCH" {
                return error(400, "BAD_DATA", "PATCH takes no relationships");
            }
        }
        self.must_be_alone(id);
        let job = self.jobs.get_mut(id).unwrap();
        job.has_uploads = true;
        let into = if what == "entities" { &mut job.uploaded.entities } else { &mut job.uploaded.relationships };
        for part in parts {
            let key = part["_key"].as_str().unwrap().to_owned();
            if into.insert(key, part.clone()).is_some() && !ignores_duplicates {
                return error(400, "DUPLICATE", "a key twice");
            }
        }
        self.told(id)
    }

    fn finalize(&mut self, id: &str) -> Response {
        let Some(job) = self.jobs.get(id) else { return error(404, "NOT_FOUND", id) };
        if job.status != "AWAITING_UPLOADS" {
            return error(400, "JOB_NOT_AWAITING_UPLOADS", job.status);
        }
        self.must_be_alone(id);
        self.jobs.get_mut(id).unwrap().status = "FINALIZE_PENDING";
        self.told(id)
    }

    fn abort(&mut self, id: &str) -> Response {
        match self.jobs.get_mut(id) {
            None => return error(404, "NOT_FOUND", id),
            Some(job) if job.status == "AWAITING_UPLOADS" => job.status = "ABORTED",
            Some(job) => return error(400, "CANNOT_ABORT", job.status),
        }
        self.told(id)
    }

    fn status(&mut self, id: &str) -> Response {
        let Some(job) = self.jobs.get_mut(id) else { return error(404, "NOT_FOUND", id) };
        if job.status == "FINALIZE_PENDING" {
            job.polls_left = job.polls_left.saturating_sub(1);
            if job.polls_left == 0 {
                match self.ends.pop_front() {
                    Some(end) => self.jobs.get_mut(id).unwrap().status = end,
                    None => self.apply(id),
                }
            }
        }
        self.told(id)
    }

    fn apply(&mut self, id: &str) {
        let job = self.jobs.get_mut(id).unwrap();
        job.status = "FINISHED";
        let mut uploaded = job.uploaded.clone();
        let graph = self.graphs.entry(job.scope.clone()).or_default();
        if job.mode == "PATCH" {
            for (key, patch) in uploaded.entities {
                let entity = graph.entities.entry(key).or_insert_with(|| json!({}));
                entity.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
            }
            return;
        }
        let stands = |key: &Value| uploaded.entities.contains_key(key.as_str().unwrap_or_default());
        let before = uploaded.relationships.len();
        let resolved = |edge: &Value| match edge.get("_mapping") {
            Some(mapping) => stands(&mapping["sourceEntityKey"]),
            None => stands(&edge["_fromEntityKey"]) && stands(&edge["_toEntityKey"]),
        };
        let relationships = uploaded.relationships.iter().filter(|(_, edge)| resolved(edge));
        let relationships: BTreeMap<String, Value> =
            relationships.map(|(key, edge)| (key.clone(), edge.clone())).collect();
        job.create_errors = (before - relationships.len()) as u64;
        uploaded.relationships = relationships;
        *graph = uploaded;
    }
}

fn decoded(headers: &BTreeMap<String, String>, body: &[u8]) -> Value {
    let mut text = Vec::new();
    match headers.get("content-encoding").map(String::as_str) {
        Some("gzip") => drop(GzDecoder::new(body).read_to_end(&mut text).unwrap()),
        _ => text.extend_from_slice(body),
    }
    serde_json::from_slice(&text).unwrap_or(Value::Null)
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let body = json!({"error": {"code": code, "message": message}}).to_string().into_bytes();
    Response { status, ask_again_after: None, body }
}

/// The published schema of graph objects, of `Entity` and of `DataStore`.
fn entity_fault(entity: &Value) -> Option<String> {
    let Some(map) = entity.as_object() else { return Some("an entity is no object".into()) };
    let text = |name: &str, least: usize| map.get(name).and_then(Value::as_str).is_some_and(|text| text.len() >= least);
    let is_flat = |value: &Value| match value {
        Value::Array(elements) => elements.iter().all(|element| !element.is_array() && !element.is_object()),
        value => !value.is_object(),
    };
    if !text("_key", 10) || !text("_type", 3) || !text("name", 1) || !text("displayName", 1) {
        return Some(format!("a required property is missing: {entity}"));
    }
    if !map.get("_class").is_some_and(|class| class.is_array()) {
        return Some("_class is no array".into());
    }
    if map.iter().any(|(name, value)| name != "_rawData" && !is_flat(value)) {
        return Some(format!("a property is not flat: {entity}"));
    }
    if let Some(raw) = map.get("_rawData") {
        let is_named =
            |raw: &Value| raw["name"].is_string() && (raw["rawData"].is_object() || raw["rawData"].is_string());
        if !raw.as_array().is_some_and(|all| all.iter().all(is_named)) {
            return Some(format!("raw data of another form: {raw}"));
        }
    }
    (map.values().any(|value| value.as_str().is_some_and(|text| text.chars().count() > 4_096)))
        .then(|| "a string is too long".into())
}

fn relationship_fault(edge: &Value) -> Option<String> {
    let Some(map) = edge.as_object() else { return Some("a relationship is no object".into()) };
    let has = |name: &str| map.get(name).is_some_and(Value::is_string);
    let ends = has("_fromEntityKey") && has("_toEntityKey") && !map.contains_key("_mapping");
    let mapped = map
        .get("_mapping")
        .is_some_and(|mapping| mapping["sourceEntityKey"].is_string() && mapping["targetEntity"]["_key"].is_string())
        && !has("_fromEntityKey")
        && !has("_toEntityKey");
    if !has("_key") || !has("_type") || !has("_class") || !(ends || mapped) {
        return Some(format!("a relationship without what it needs: {edge}"));
    }
    let nested = map.iter().any(|(name, value)| name != "_mapping" && (value.is_array() || value.is_object()));
    nested.then(|| format!("a relationship with more than scalars: {edge}"))
}

/// A mapped relationship with the keys that its mapping finds.
fn unmapped(edge: &Value) -> Value {
    let mut map: Map<String, Value> = edge.as_object().unwrap().clone();
    if let Some(mapping) = map.remove("_mapping") {
        let (source, target) = (mapping["sourceEntityKey"].clone(), mapping["targetEntity"]["_key"].clone());
        let is_forward = mapping["relationshipDirection"] == "FORWARD";
        let (from, to) = if is_forward { (source, target) } else { (target, source) };
        map.insert("_fromEntityKey".into(), from);
        map.insert("_toEntityKey".into(), to);
    }
    Value::Object(map)
}
