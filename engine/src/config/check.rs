//! Which settings go together, and the keys that are read from files.

use super::keys::{self, API_KEY_BYTES_MIN, HMAC_SECRET_BYTES, Material};
use super::sections::StoreKind;
use super::{Algorithm, Config, Problem};
use holdfast_protocol::limits::{API_KEY_BYTES, PUSH_OVERHEAD};
use std::net::SocketAddr;
use std::path::Path;

impl Config {
    /// Reads every key that is named as a file.
    pub(super) fn load_keys(&mut self, folder: &Path, problems: &mut Vec<Problem>) {
        for key in &mut self.auth.client_keys {
            let bounds = match key.algorithm {
                Algorithm::Hs256 => (HMAC_SECRET_BYTES, 4096),
                Algorithm::EdDsa => (1, 4096),
            };
            let loaded = keys::load(&mut key.material, "auth.client_keys", bounds, folder);
            problems.extend(loaded.err());
        }
        let bounds = (API_KEY_BYTES_MIN, API_KEY_BYTES);
        for key in &mut self.auth.backend_keys {
            let loaded = keys::load(&mut key.material, "auth.backend_keys", bounds, folder);
            problems.extend(loaded.err());
        }
        if let Some(file) = self.admin.token_file.take() {
            let mut material = Material { file: Some(file), ..Material::default() };
            match keys::load(&mut material, "admin.token_file", bounds, folder) {
                Ok(()) if self.admin.token.is_some() => problems.push(Problem::Conflict(
                    "admin.token and admin.token_file are both set; keep one".to_owned(),
                )),
                Ok(()) => self.admin.token = Some(material.secret),
                Err(problem) => problems.push(problem),
            }
            self.admin.token_file = material.file;
        }
    }

    /// Finds settings that do not go together, and raises what has a floor.
    pub(super) fn check(&mut self, problems: &mut Vec<Problem>) {
        self.client.outbox_bytes = self.client.outbox_bytes.max(self.body_max + PUSH_OVERHEAD);
        self.check_heartbeat(problems);
        self.check_open_doors(problems);
        self.check_addresses(problems);
        self.check_keys(problems);
        self.check_products(problems);
        self.check_redelivery(problems);
        self.check_store(problems);
    }

    /// The first time that a client has to acknowledge is no longer than the longest.
    fn check_redelivery(&self, problems: &mut Vec<Problem>) {
        let (first, longest) = (self.mailbox.redelivery_after, self.mailbox.redelivery_at_most);
        if first > longest {
            problems.push(Problem::Conflict(format!(
                "mailbox.redelivery_after = {first:?} is longer than mailbox.redelivery_at_most = \
                 {longest:?}, the longest such time"
            )));
        }
    }

    /// What stands in the place of the store's directory is one.
    fn check_store(&self, problems: &mut Vec<Problem>) {
        let directory = &self.store.directory;
        if self.store.kind == StoreKind::Embedded && directory.exists() && !directory.is_dir() {
            problems.push(Problem::Conflict(format!(
                "store.directory = \"{}\" is there and is not a directory",
                directory.display()
            )));
        }
    }

    fn check_products(&self, problems: &mut Vec<Problem>) {
        let rules = &self.mailbox.products;
        for (index, one) in rules.iter().enumerate() {
            let name = &one.product;
            if !self.products.contains(name) {
                problems.push(Problem::Conflict(format!(
                    "mailbox.products speaks of \"{name}\", which is not in products"
                )));
            }
            if rules[..index].iter().any(|other| other.product == *name) {
                problems.push(Problem::Conflict(format!(
                    "mailbox.products has \"{name}\" twice; put its settings into one"
                )));
            }
        }
    }

    fn check_heartbeat(&self, problems: &mut Vec<Problem>) {
        let client = &self.client;
        let (low, high) = (client.heartbeat_min, client.heartbeat_max);
        if !(low..=high).contains(&client.heartbeat_default) {
            problems.push(Problem::Conflict(format!(
                "client.heartbeat_default = {} s is not between client.heartbeat_min = {low} s and \
                 client.heartbeat_max = {high} s",
                client.heartbeat_default
            )));
        }
    }

    /// Without a key nothing but this host itself may connect.
    fn check_open_doors(&self, problems: &mut Vec<Problem>) {
        let doors = [
            (
                "client",
                &self.client.listen[..],
                self.auth.client_keys.is_empty(),
                "a key in auth.client_keys",
            ),
            (
                "backend",
                &self.backend.listen[..],
                self.auth.backend_keys.is_empty(),
                "a key in auth.backend_keys",
            ),
            (
                "admin",
                std::slice::from_ref(&self.admin.listen),
                self.admin.token.is_none(),
                "admin.token or admin.token_file",
            ),
        ];
        for (port, addresses, open, key) in doors {
            let outside = addresses.iter().find(|address| !is_loopback(address));
            if let Some(address) = outside.filter(|_| open) {
                problems.push(Problem::Conflict(format!(
                    "{port}.listen = \"{address}\" is open to other hosts and anybody would be let \
                     in; set {key}, or listen on 127.0.0.1 or [::1] alone"
                )));
            }
        }
    }

    fn check_addresses(&self, problems: &mut Vec<Problem>) {
        let client = self.client.listen.iter().map(|address| ("client.listen", address));
        let backend = self.backend.listen.iter().map(|address| ("backend.listen", address));
        let admin = [("admin.listen", &self.admin.listen)];
        let all: Vec<_> = client.chain(backend).chain(admin).collect();
        for (index, (key, address)) in all.iter().enumerate() {
            let twin = all[..index].iter().find(|(_, other)| other == address);
            if let Some((other, _)) = twin.filter(|_| address.port() != 0) {
                problems.push(Problem::Conflict(format!(
                    "{other} and {key} both name \"{address}\"; each needs an address of its own"
                )));
            }
        }
    }

    /// An id stands for one key, and each key is one.
    fn check_keys(&self, problems: &mut Vec<Problem>) {
        let keys = &self.auth.client_keys;
        for (index, key) in keys.iter().enumerate() {
            if keys[..index].iter().any(|other| other.id == key.id) {
                problems.push(Problem::Conflict(format!(
                    "auth.client_keys has the id \"{}\" twice; a token's kid must name one key",
                    key.id
                )));
            }
        }
        if let Err(error) = crate::auth::ClientAuth::new(&self.auth) {
            problems.push(Problem::Conflict(format!("auth.client_keys: {error}")));
        }
    }
}

/// Whether only this host itself can reach the address.
pub(crate) fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}
