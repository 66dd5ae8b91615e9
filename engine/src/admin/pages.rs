//! What each path answers. Nothing here knows a socket.

use super::health::{Stalled, stalled};
use super::{Options, State, Status};
use crate::auth::backend::HashedSecret;
use crate::metrics::{Gauge, ShardMetrics, Shards};
use hyper::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use hyper::http::{HeaderValue, Method, StatusCode, request};
use hyper::{HeaderMap, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const INDEX: &str = "\
    /healthz  200 while every shard turns, else 503 and which does not\n\
    /readyz   200 while connections and durable messages are accepted, else 503 and why\n\
    /metrics  counters and gauges of every shard, for Prometheus\n";

/// Everything that answers are made of.
pub(super) struct Pages {
    process: Arc<Process>,
    token: Option<HashedSecret>,
    stall_timeout: Duration,
    registry: Registry,
}

impl Pages {
    pub(super) fn new(options: Options, shards: Arc<[ShardMetrics]>, status: Arc<Status>) -> Self {
        let now_micros = options.now_micros;
        let process = Arc::new(Process { status, shards: Arc::clone(&shards), now_micros });
        let mut registry = Registry::with_prefix("holdfast");
        let build = Info::new(vec![("version", Status::VERSION), ("revision", Status::COMMIT)]);
        registry.register("build", "The program", build);
        registry.register_collector(Box::new(Arc::clone(&process)));
        registry.register_collector(Box::new(Shards(shards)));
        let token = options.token.as_ref().map(|token| HashedSecret::new(token.expose()));
        Self { process, token, stall_timeout: options.stall_timeout, registry }
    }

    /// The answer to a request.
    pub(super) fn answer(&self, request: &request::Parts) -> Response<String> {
        if !self.admits(&request.headers) {
            let mut response =
                plain(StatusCode::UNAUTHORIZED, "the admin token is missing or wrong\n");
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
            return response;
        }
        if request.method != Method::GET && request.method != Method::HEAD {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD alone\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match request.uri.path() {
            "/" => plain(StatusCode::OK, &format!("holdfast {}\n\n{INDEX}", Status::VERSION)),
            "/healthz" => self.health(),
            "/readyz" => self.readiness(),
            "/metrics" => self.metrics(),
            _ => plain(StatusCode::NOT_FOUND, INDEX),
        }
    }

    /// Whether the request carries the token, where there is one.
    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let given = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        let (scheme, given) = given.split_at(given.len().min("Bearer ".len()));
        scheme.eq_ignore_ascii_case(b"Bearer ") && token.is(given).into()
    }

    /// The process lives while each shard finishes turns; before the start is complete it is
    /// believed.
    fn health(&self) -> Response<String> {
        let now = (self.process.now_micros)();
        let lines: Vec<_> = stalled(&self.process.shards, now, self.stall_timeout)
            .map(|Stalled { shard, silent }| {
                format!("shard {shard} has not finished a turn for {} s\n", silent.as_secs())
            })
            .collect();
        if lines.is_empty() || self.process.status.state() == State::Starting {
            plain(StatusCode::OK, "ok\n")
        } else {
            plain(StatusCode::SERVICE_UNAVAILABLE, &lines.concat())
        }
    }

    fn readiness(&self) -> Response<String> {
        match self.process.hindrance() {
            None => plain(StatusCode::OK, "ready\n"),
            Some(why) => plain(StatusCode::SERVICE_UNAVAILABLE, &format!("{why}\n")),
        }
    }

    fn metrics(&self) -> Response<String> {
        let mut body = String::new();
        match text::encode(&mut body, &self.registry) {
            Ok(()) => page(StatusCode::OK, OPEN_METRICS, body),
            Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
        }
    }
}

fn plain(code: StatusCode, body: &str) -> Response<String> {
    page(code, TEXT, body.to_owned())
}

fn page(code: StatusCode, kind: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Numbers of the process as a whole.
struct Process {
    status: Arc<Status>,
    shards: Arc<[ShardMetrics]>,
    now_micros: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl Process {
    /// Why it is not ready; nothing while it is.
    fn hindrance(&self) -> Option<String> {
        match self.status.state() {
            State::Ready => self.trouble_of_store().map(|why| format!("store: {why}")),
            other => Some(other.name().to_owned()),
        }
    }

    /// Why the store takes nothing; nothing while it does, or where there is none.
    fn trouble_of_store(&self) -> Option<&'static str> {
        let store = self.shards.iter().find_map(ShardMetrics::store);
        store.and_then(|numbers| numbers.trouble()).or_else(|| {
            // It may have said nothing at all: the shards wait for an answer.
            let refuses = |shard: &ShardMetrics| shard.gauge(Gauge::StoreTrouble) > 0;
            self.shards.iter().any(refuses).then_some("it takes nothing now")
        })
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut gauge = |name, help, unit: Option<Unit>, value: u64| {
            encoder
                .encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?
                .encode_gauge(&value)
        };
        let ready = u64::from(self.hindrance().is_none());
        gauge("ready", "Whether connections and durable messages are accepted.", None, ready)?;
        let incarnation = u64::from(self.status.incarnation());
        gauge("incarnation", "Grows each time the process starts.", None, incarnation)?;
        let uptime = (self.now_micros)() / 1_000_000;
        gauge("uptime", "Since the process started.", Some(Unit::Seconds), uptime)
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Process").field("status", &self.status).finish_non_exhaustive()
    }
}
