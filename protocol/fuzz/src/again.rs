//! Writes an understood frame again. Walks every list on the way.

use holdfast_protocol::backend::answer::{self, ErrorCode};
use holdfast_protocol::backend::{Answer, Request, request};
use holdfast_protocol::client::from_client::{self, Identity};
use holdfast_protocol::client::{FromClient, FromServer, Notice, from_server};

/// A frame from a client; `None` for one that was skipped.
pub fn from_client(frame: &FromClient<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match frame {
        FromClient::Hello(hello) => {
            let tags: Vec<_> = hello.tags.iter().collect();
            assert_eq!(tags.len(), hello.tags.len());
            let identity = Identity {
                heartbeat: hello.heartbeat,
                product: hello.product,
                user: hello.user,
                device: hello.device,
                token: hello.token,
                resume: hello.resume,
                tags: &tags,
            };
            from_client::put_hello(&identity, &mut out);
        }
        FromClient::Ping => from_client::put_ping(&mut out),
        FromClient::Ack { sequence } => from_client::put_ack(*sequence, &mut out),
        FromClient::Bye => from_client::put_bye(&mut out),
        FromClient::Skipped => return None,
    }
    Some(out)
}

/// A frame to a client; `None` for one that was skipped.
pub fn from_server(frame: &FromServer<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match frame {
        FromServer::Welcome(welcome) => from_server::put_welcome(welcome, &mut out),
        FromServer::Pong => from_server::put_pong(&mut out),
        FromServer::Push(push) => from_server::put_push(push, &mut out),
        FromServer::Notice(Notice::Kick { code, reason }) => {
            from_server::put_kick(*code, reason, &mut out);
        }
        FromServer::Notice(Notice::Redirect { delay, addresses }) => {
            let list: Vec<_> = addresses.iter().collect();
            assert_eq!(list.len(), addresses.len());
            from_server::put_redirect(*delay, &list, &mut out);
        }
        FromServer::Notice(Notice::Drain { delay }) => from_server::put_drain(*delay, &mut out),
        FromServer::Close { code, reason } => from_server::put_close(*code, reason, &mut out),
        FromServer::Skipped => return None,
    }
    Some(out)
}

/// A frame from a backend; `None` for one that was skipped.
pub fn request(frame: &Request<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match frame {
        Request::Hello { name, key } => request::put_hello(name, key, &mut out),
        Request::Ping => request::put_ping(&mut out),
        Request::Push(id, push) => {
            let targets: Vec<_> = push.targets.iter().collect();
            assert_eq!(targets.len(), push.targets.len());
            request::put_push(*id, push.product, &targets, &mut out);
        }
        Request::Broadcast(id, broadcast) => request::put_broadcast(*id, broadcast, &mut out),
        Request::Job(id, action, job) => request::put_job(*id, *action, *job, &mut out),
        Request::Online(id, online) => {
            let users: Vec<_> = online.users.iter().collect();
            assert_eq!(users.len(), online.users.len());
            request::put_online(*id, online.product, &users, &mut out);
        }
        Request::Kick { id, product, user, reason } => {
            request::put_kick(*id, product, user, reason, &mut out);
        }
        Request::Counters(id) => request::put_counters(*id, &mut out),
        Request::Mailbox { id, product, user, action } => {
            request::put_mailbox(*id, *action, product, user, &mut out);
        }
        Request::Skipped => return None,
    }
    Some(out)
}

/// A frame to a backend; `None` for one that was skipped, and for an error of a later version.
pub fn answer(frame: &Answer<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match frame {
        Answer::Welcome(welcome) => answer::put_welcome(welcome, &mut out),
        Answer::Pong => answer::put_pong(&mut out),
        Answer::Drain { delay } => answer::put_drain(*delay, &mut out),
        Answer::Close { code, reason } => answer::put_close(*code, reason, &mut out),
        Answer::Error { id, code, retry_after, text } => {
            let code = ErrorCode::from_number(u64::from(*code))?;
            answer::put_error(*id, code, *retry_after, text, &mut out);
        }
        Answer::Push(id, outcomes) => {
            let list: Vec<_> = outcomes.iter().collect();
            assert_eq!(list.len(), outcomes.len());
            answer::put_outcomes(*id, &list, &mut out);
        }
        Answer::Job(id, job) => answer::put_job(*id, job, &mut out),
        Answer::Online(id, counts) => {
            let list: Vec<_> = counts.iter().collect();
            assert_eq!(list.len(), counts.len());
            answer::put_online(*id, &list, &mut out);
        }
        Answer::Kick(id, sessions) => answer::put_kick(*id, *sessions, &mut out),
        Answer::Counters(id, counters) => {
            let list: Vec<_> = counters.iter().collect();
            assert_eq!(list.len(), counters.len());
            answer::put_counters(*id, &list, &mut out);
        }
        Answer::Mailbox(id, mailbox) => answer::put_mailbox(*id, mailbox, &mut out),
        Answer::Receipt(receipt) => answer::put_receipt(receipt, &mut out),
        Answer::Skipped => return None,
    }
    Some(out)
}
