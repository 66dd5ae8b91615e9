//! The servers that are compared: what each is started with, and what its clients speak.
//!
//! Their settings are files under `loadgen/peers/`, compiled in. A word between two `@` stands for
//! what is known only when a server starts: its port, its folder.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use clap::builder::PossibleValue;
use holdfast_protocol::client::Class;

use super::holdfast::Holdfast;
use super::mqtt::Mqtt;
use super::nats::Nats;
use super::packages::{MOSQUITTO, NATS, NCHAN, NGINX, Needed, Packages};
use super::peer::Peer;
use super::websocket::Nchan;

/// Has a program see an empty `/var/lib/nginx`.
const ALONE: &str = "mount -t tmpfs none /var/lib && mkdir /var/lib/nginx && \
     exec setpriv --pdeathsig TERM -- \"$@\"";

/// A server, in one configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Subject {
    /// Holdfast, class online, without a store
    Holdfast,
    /// mosquitto, MQTT 3.1.1 at QoS 0
    Mosquitto,
    /// nats-server, core
    Nats,
    /// nginx with nchan, WebSocket, published to by HTTP
    Nchan,
    /// Holdfast, class durable, kept in memory
    HoldfastMemory,
    /// mosquitto at QoS 1, kept in memory
    MosquittoQos1,
    /// Holdfast, class durable, on disk before it is answered
    HoldfastDurable,
    /// mosquitto at QoS 1, written to disk each second
    MosquittoSaved,
}

/// What stands for a word between two `@`.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// A folder of the server's own.
    pub(super) folder: PathBuf,
    pub(super) port: u16,
    /// Ports that Holdfast alone needs.
    pub(super) api: u16,
    pub(super) admin: u16,
    /// Most connections that it must hold.
    pub(super) connections: u32,
    /// The module of nginx.
    pub(super) module: Option<PathBuf>,
}

impl Place {
    fn fill(&self, template: &str) -> String {
        let module = self.module.as_deref().unwrap_or(Path::new(""));
        let words = [
            ("@port@", self.port.to_string()),
            ("@api@", self.api.to_string()),
            ("@admin@", self.admin.to_string()),
            ("@connections@", self.connections.to_string()),
            ("@twice@", (self.connections * 2).to_string()),
            ("@descriptors@", (self.connections + 64).to_string()),
            ("@dir@", self.folder.display().to_string()),
            ("@module@", module.display().to_string()),
        ];
        words.iter().fold(template.to_owned(), |text, (word, value)| text.replace(word, value))
    }
}

impl Subject {
    /// All, each beside what it is to be compared with.
    pub(super) const fn all() -> &'static [Self] {
        &[
            Self::Holdfast,
            Self::Mosquitto,
            Self::Nats,
            Self::Nchan,
            Self::HoldfastMemory,
            Self::MosquittoQos1,
            Self::HoldfastDurable,
            Self::MosquittoSaved,
        ]
    }

    /// As on the command line.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// What it is, for people.
    pub(super) fn what(self) -> String {
        let value = self.to_possible_value().unwrap_or_else(|| PossibleValue::new(""));
        value.get_help().map(ToString::to_string).unwrap_or_default()
    }

    /// Whether it is Holdfast.
    pub(super) const fn is_ours(self) -> bool {
        matches!(self, Self::Holdfast | Self::HoldfastMemory | Self::HoldfastDurable)
    }

    /// What it needs of Debian's packages: its program first.
    pub(super) const fn needs(self) -> &'static [Needed] {
        match self {
            Self::Holdfast | Self::HoldfastMemory | Self::HoldfastDurable => &[],
            Self::Mosquitto | Self::MosquittoQos1 | Self::MosquittoSaved => &[MOSQUITTO],
            Self::Nats => &[NATS],
            Self::Nchan => &[NGINX, NCHAN],
        }
    }

    /// The packages that it needs and that are not there.
    pub(super) fn missing(self, packages: &Packages) -> Vec<&'static str> {
        let needs = self.needs().iter().filter(|needed| packages.find(**needed).is_none());
        needs.map(|needed| needed.package).collect()
    }

    /// The name of its file of settings, and what stands in it.
    const fn template(self) -> (&'static str, &'static str) {
        match self {
            Self::Holdfast => ("holdfast.toml", include_str!("../../peers/holdfast.toml")),
            Self::HoldfastMemory => {
                ("holdfast-memory.toml", include_str!("../../peers/holdfast-memory.toml"))
            }
            Self::HoldfastDurable => {
                ("holdfast-durable.toml", include_str!("../../peers/holdfast-durable.toml"))
            }
            Self::Mosquitto | Self::MosquittoQos1 => {
                ("mosquitto.conf", include_str!("../../peers/mosquitto.conf"))
            }
            Self::MosquittoSaved => {
                ("mosquitto-saved.conf", include_str!("../../peers/mosquitto-saved.conf"))
            }
            Self::Nats => ("nats-server.conf", include_str!("../../peers/nats-server.conf")),
            Self::Nchan => ("nginx.conf", include_str!("../../peers/nginx.conf")),
        }
    }

    /// Its file of settings, by its place in the repository.
    pub(super) fn settings(self) -> String {
        format!("loadgen/peers/{}", self.template().0)
    }

    /// Its settings for this place.
    pub(super) fn configuration(self, place: &Place) -> String {
        place.fill(self.template().1)
    }

    /// The words before its program: it ends with whoever started it.
    pub(super) fn launcher(self) -> &'static [&'static str] {
        // nchan makes a folder in one that only an installed package brings, and its directive for
        // another one is refused: without an installation it gets a `/var/lib` that it alone sees.
        if self == Self::Nchan && !Path::new("/var/lib/nginx").exists() {
            return if rustix::process::geteuid().is_root() {
                &["unshare", "--mount", "sh", "-c", ALONE, "sh"]
            } else {
                &["unshare", "--mount", "--map-root-user", "sh", "-c", ALONE, "sh"]
            };
        }
        &["setpriv", "--pdeathsig", "TERM", "--"]
    }

    /// The words behind its program, with its settings in `file`.
    pub(super) fn arguments(self, file: &Path, place: &Place) -> Vec<String> {
        let (file, folder) = (file.display().to_string(), place.folder.display().to_string());
        let words: Vec<&str> = match self {
            Self::Holdfast | Self::HoldfastMemory | Self::HoldfastDurable => {
                vec!["serve", "--config", &file]
            }
            Self::Mosquitto | Self::MosquittoQos1 | Self::MosquittoSaved | Self::Nats => {
                vec!["-c", &file]
            }
            Self::Nchan => vec!["-p", &folder, "-e", "stderr", "-c", &file],
        };
        words.into_iter().map(str::to_owned).collect()
    }

    /// The words with which its program says its version.
    pub(super) const fn asks_version(self) -> &'static str {
        match self {
            Self::Holdfast | Self::HoldfastMemory | Self::HoldfastDurable | Self::Nats => {
                "--version"
            }
            Self::Mosquitto | Self::MosquittoQos1 | Self::MosquittoSaved => "-h",
            Self::Nchan => "-v",
        }
    }

    /// What its clients speak.
    pub(super) fn peer(self) -> Box<dyn Peer> {
        match self {
            Self::Holdfast => Box::new(Holdfast::new(Class::Online)),
            Self::HoldfastMemory | Self::HoldfastDurable => Box::new(Holdfast::new(Class::Durable)),
            Self::Mosquitto => Box::new(Mqtt::AT_MOST_ONCE),
            Self::MosquittoQos1 | Self::MosquittoSaved => Box::new(Mqtt::AT_LEAST_ONCE),
            Self::Nats => Box::new(Nats),
            Self::Nchan => Box::new(Nchan),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_placeholder_is_left_in_any_configuration() {
        let place = Place {
            folder: "/run/peers".into(),
            port: 1,
            api: 2,
            admin: 3,
            connections: 200,
            module: Some("/modules/nchan.so".into()),
        };
        for subject in Subject::all() {
            let text = subject.configuration(&place);
            let settings = text.lines().filter(|line| !line.trim_start().starts_with('#'));
            let left: Vec<&str> = settings.filter(|line| line.contains('@')).collect();
            assert!(left.is_empty(), "{}: {left:?}", subject.name());
            assert!(text.contains("127.0.0.1"), "{} listens elsewhere", subject.name());
        }
    }

    #[test]
    fn every_subject_is_compared_and_says_what_it_is() {
        assert_eq!(Subject::all().len(), Subject::value_variants().len());
        let names: Vec<String> = Subject::all().iter().map(|subject| subject.name()).collect();
        assert!(names.contains(&"mosquitto-qos1".to_owned()), "{names:?}");
        assert!(Subject::all().iter().all(|subject| !subject.what().is_empty()));
    }
}
