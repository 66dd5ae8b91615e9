//! One connection to one server. It is never replaced underneath: whoever has it loses it with the
//! first error, since `WAIT` speaks for the writes of the very connection that it is sent on, and
//! since a command that timed out may still be carried out.

use crate::redis::options::{Credentials, Durability, Mode, OpenError, Options, Tls};
use crate::redis::reply;
use crate::redis::script::{Hashes, Script};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo,
    RedisConnectionInfo, TlsCertificates, Value,
};
use std::path::Path;
use std::rc::Rc;

/// A server's address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Node {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Node {
    /// Of `host:port` with or without a scheme; and whether the scheme asks for TLS.
    pub(super) fn parse(address: &str) -> Option<(Self, bool)> {
        let (rest, secure) = match address.split_once("://") {
            None => (address, false),
            Some(("redis", rest)) => (rest, false),
            Some(("rediss", rest)) => (rest, true),
            Some(_) => return None,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (rest, 6379),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let plain = !host.is_empty() && !host.contains(['/', '@']);
        plain.then(|| (Self { host: host.to_owned(), port }, secure))
    }
}

impl std::fmt::Display for Node {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}:{}", self.host, self.port)
    }
}

/// What makes the writes before it on the same connection safe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fence {
    /// Nothing: the answer itself does.
    None,
    /// `WAIT replicas timeout`.
    Wait(u8, u64),
    /// `WAITAOF 1 replicas timeout`.
    WaitAof(u8, u64),
}

impl Fence {
    /// The command, if there is one.
    pub(super) fn command(&self) -> Option<redis::Cmd> {
        match self {
            Self::None => None,
            Self::Wait(replicas, timeout) => {
                Some(redis::cmd("WAIT").arg(*replicas).arg(*timeout).to_owned())
            }
            Self::WaitAof(replicas, timeout) => {
                Some(redis::cmd("WAITAOF").arg(1).arg(*replicas).arg(*timeout).to_owned())
            }
        }
    }

    /// Whether its answer says that the writes are safe; else why not.
    pub(super) fn holds(&self, answer: &Value) -> Result<(), String> {
        let enough = |have: Option<i64>, want: u8| have.is_some_and(|have| have >= want.into());
        let held = match (self, answer) {
            (Self::None, _) => true,
            (Self::Wait(want, _), have) => enough(reply::integer(have), *want),
            (Self::WaitAof(want, _), Value::Array(have)) => match have.as_slice() {
                [own, others] => {
                    enough(reply::integer(own), 1) && enough(reply::integer(others), *want)
                }
                _ => false,
            },
            (Self::WaitAof(..), _) => false,
        };
        let why = || format!("written, but {} was answered {}", self.name(), reply::show(answer));
        if held { Ok(()) } else { Err(why()) }
    }

    fn name(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Wait(replicas, timeout) => format!("WAIT {replicas} {timeout}"),
            Self::WaitAof(replicas, timeout) => format!("WAITAOF 1 {replicas} {timeout}"),
        }
    }
}

/// A connection that is logged in and has the scripts.
#[derive(Clone)]
pub(super) struct Link {
    connection: MultiplexedConnection,
    pub(super) fence: Fence,
    /// Which history of writes the server has.
    pub(super) lineage: Rc<str>,
}

impl Link {
    /// Sends a pipeline and hears as many answers; errors of single commands are among them.
    pub(super) async fn run(&self, pipe: &redis::Pipeline) -> Result<Vec<Value>, String> {
        let mut connection = self.connection.clone();
        let answers = connection.send_packed_commands(pipe, 0, pipe.len()).await;
        answers.map_err(|why| why.to_string())
    }

    /// One command's answer; an error of it is an error.
    pub(super) async fn ask(&self, command: redis::Cmd) -> Result<Value, String> {
        let mut pipe = redis::Pipeline::new();
        pipe.add_command(command);
        match self.run(&pipe).await?.pop() {
            Some(Value::ServerError(why)) => Err(why.to_string()),
            Some(answer) => Ok(answer),
            None => Err("no answer".to_owned()),
        }
    }
}

/// Makes connections.
pub(super) struct Dialer {
    options: Options,
    certificates: Option<TlsCertificates>,
}

impl Dialer {
    /// Reads the files that the options name.
    pub(super) fn new(options: &Options) -> Result<Self, OpenError> {
        let certificates = options.tls.as_ref().map(certificates).transpose()?;
        Ok(Self { options: options.clone(), certificates })
    }

    /// A connection for keys.
    pub(super) async fn server(&self, node: &Node) -> Result<(Link, Hashes), String> {
        let link = self.connect(node, self.options.credentials.as_ref()).await?;
        self.prepare(link).await.map_err(|why| self.hinted(node, &why))
    }

    async fn prepare(&self, mut link: Link) -> Result<(Link, Hashes), String> {
        if matches!(self.options.mode, Mode::Sentinel(_)) {
            let role = link.ask(redis::cmd("ROLE")).await?;
            if reply::list(&role).first().and_then(reply::text).as_deref() != Some("master") {
                return Err("not a primary any more".to_owned());
            }
        }
        link.fence = self.fence(&link).await?;
        link.lineage = lineage(&link).await?;
        let mut hashes = Hashes::default();
        for (script, text) in Script::ALL {
            let loaded = link.ask(redis::cmd("SCRIPT").arg("LOAD").arg(text).to_owned()).await?;
            hashes.0[script as usize] = reply::text(&loaded).ok_or("SCRIPT LOAD: no hash")?;
        }
        Ok((link, hashes))
    }

    /// A connection to ask who is where: a Sentinel, or any node of a Cluster.
    pub(super) async fn guide(&self, node: &Node) -> Result<Link, String> {
        let credentials = match self.options.mode {
            Mode::Sentinel(_) => self.options.sentinel_credentials.as_ref(),
            Mode::Single | Mode::Cluster => self.options.credentials.as_ref(),
        };
        self.connect(node, credentials).await
    }

    async fn connect(&self, node: &Node, who: Option<&Credentials>) -> Result<Link, String> {
        let client = self.client(node, who).map_err(|why| format!("{node}: {why}"))?;
        let patience = self.options.command_timeout + self.options.durability.patience();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.options.connect_timeout))
            .set_response_timeout(Some(patience));
        let connected = client.get_multiplexed_async_connection_with_config(&config);
        // The library's time for connecting does not cover the greeting after it.
        let limit = self.options.connect_timeout + self.options.command_timeout;
        let connection = tokio::time::timeout(limit, connected)
            .await
            .map_err(|_| format!("{node}: no greeting in {limit:?}"))?
            .map_err(|why| self.hinted(node, &why.to_string()))?;
        Ok(Link { connection, fence: Fence::None, lineage: Rc::from("") })
    }

    /// What went wrong with a server; where its words are those of an end that speaks TLS and one
    /// that does not, with a question.
    fn hinted(&self, node: &Node, why: &str) -> String {
        let words = why.to_lowercase();
        let says = |all: &[&str]| all.iter().any(|one| words.contains(one));
        let hint = match self.certificates {
            Some(_) if says(&["corrupt message", "timed out"]) => {
                ": does it speak TLS? redis:// is plain TCP"
            }
            None if says(&["broken pipe", "end of file", "reset by peer"]) => {
                ": does it speak TLS? Then rediss://"
            }
            _ => "",
        };
        format!("{node}: {why}{hint}")
    }

    fn client(&self, node: &Node, who: Option<&Credentials>) -> redis::RedisResult<Client> {
        let (host, port) = (node.host.clone(), node.port);
        let address = match self.certificates {
            None => ConnectionAddr::Tcp(host, port),
            Some(_) => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        };
        let mut settings = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(who) = who {
            settings = settings.set_password(&who.password);
            if let Some(user) = &who.user {
                settings = settings.set_username(user);
            }
        }
        let info = address.into_connection_info()?.set_redis_settings(settings);
        match &self.certificates {
            None => Client::open(info),
            Some(certificates) => Client::build_with_tls(info, certificates.clone()),
        }
    }

    /// What makes writes safe on this server; refused where it cannot.
    async fn fence(&self, link: &Link) -> Result<Fence, String> {
        let (replicas, timeout) = match self.options.durability {
            Durability::Async => return Ok(Fence::None),
            Durability::Replicas { replicas, timeout } => {
                return Ok(Fence::Wait(replicas, reply::millis(timeout)));
            }
            Durability::Synced { replicas, timeout } => (replicas, reply::millis(timeout)),
        };
        let known = link.ask(redis::cmd("COMMAND").arg("INFO").arg("WAITAOF").to_owned()).await?;
        if matches!(reply::list(&known).first(), Some(Value::Array(_))) {
            link.ask(redis::cmd("WAITAOF").arg(1).arg(0).arg(timeout).to_owned()).await?;
            return Ok(Fence::WaitAof(replicas, timeout));
        }
        for (name, wanted) in [("appendonly", "yes"), ("appendfsync", "always")] {
            let have = link.ask(redis::cmd("CONFIG").arg("GET").arg(name).to_owned()).await?;
            if reply::list(&have).get(1).and_then(reply::text).as_deref() != Some(wanted) {
                return Err(format!(
                    "durability \"synced\": the server has no WAITAOF, and not `{name} {wanted}`"
                ));
            }
        }
        Ok(if replicas == 0 { Fence::None } else { Fence::Wait(replicas, timeout) })
    }
}

/// Which history of writes a server has.
async fn lineage(link: &Link) -> Result<Rc<str>, String> {
    let asked = link.ask(redis::cmd("INFO").arg("replication").to_owned()).await;
    let info = asked.map_err(|error| format!("INFO replication: {error}"))?;
    let info = reply::text(&info).unwrap_or_default();
    let lineage = info.lines().find_map(|line| line.strip_prefix("master_replid:"));
    lineage.map(Rc::from).ok_or_else(|| "INFO replication: no master_replid".to_owned())
}

fn certificates(tls: &Tls) -> Result<TlsCertificates, OpenError> {
    let read =
        |path: &Path| std::fs::read(path).map_err(|why| OpenError::File(path.to_path_buf(), why));
    let root_cert = tls.ca.as_deref().map(read).transpose()?;
    let own = tls.own.as_ref().map(|(certificate, key)| {
        Ok::<_, OpenError>(ClientTlsConfig {
            client_cert: read(certificate)?,
            client_key: read(key)?,
        })
    });
    Ok(TlsCertificates { client_tls: own.transpose()?, root_cert })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let of =
            |text: &str| Node::parse(text).map(|(node, secure)| (node.host, node.port, secure));
        assert_eq!(of("a.example:7000"), Some(("a.example".into(), 7000, false)));
        assert_eq!(of("redis://10.0.0.1"), Some(("10.0.0.1".into(), 6379, false)));
        assert_eq!(of("rediss://a:1/"), Some(("a".into(), 1, true)));
        assert_eq!(of("[::1]:7000"), Some(("::1".into(), 7000, false)));
        assert_eq!(of("[::1]"), Some(("::1".into(), 6379, false)));
        for wrong in ["", "http://a", "redis://user:word@a:1", "a:port", "a:1/2"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn fewer_copies_than_wanted_are_not_safe() {
        let aof = Fence::WaitAof(1, 10);
        let pair = |own, others| Value::Array(vec![Value::Int(own), Value::Int(others)]);
        assert!(aof.holds(&pair(1, 1)).is_ok());
        assert!(aof.holds(&pair(0, 1)).is_err() && aof.holds(&pair(1, 0)).is_err());
        let wait = Fence::Wait(2, 10);
        assert!(wait.holds(&Value::Int(2)).is_ok());
        assert!(wait.holds(&Value::Int(1)).is_err() && wait.holds(&Value::Nil).is_err());
    }
}
