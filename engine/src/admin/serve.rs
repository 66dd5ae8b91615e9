//! Moves requests and answers: one request a connection, bounded in number, size and time.

use super::pages::Pages;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Longest head of a request, in bytes; what curl and Prometheus send has some hundred.
const HEAD_BYTES: usize = 8 << 10;
/// Most header lines of a request.
const HEADERS: usize = 64;
/// How long to wait after an accept that failed: the cause (mostly no descriptors) does not go away
/// by asking at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What one peer, and all together, may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) connections: usize,
    pub(super) request_timeout: Duration,
}

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener, pages: Arc<Pages>, limits: Limits) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the admin port is closed: its socket cannot be watched");
            return;
        }
    };
    let places = Arc::new(Semaphore::new(limits.connections));
    loop {
        // Take a place first, so that who finds none waits in the kernel and costs nothing here.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let pages = Arc::clone(&pages);
                tokio::spawn(async move {
                    // A peer that is too slow, or goes away, is of no consequence.
                    let _ = tokio::time::timeout(limits.request_timeout, talk(stream, pages)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "the admin port cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves the one request of a connection.
async fn talk(stream: TcpStream, pages: Arc<Pages>) -> hyper::Result<()> {
    let answer = move |request: Request<Incoming>| {
        let (head, _body) = request.into_parts();
        let response: Response<String> = pages.answer(&head);
        std::future::ready(Ok::<_, Infallible>(response))
    };
    http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await
}
