//! What the gateway that is measured tells of itself on its admin page.

use crate::host::find;
use crate::options::Options;
use crate::page;
use crate::secret;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where a gateway's admin page is, unless it is told otherwise.
const USUAL_ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7700);
/// Clients that have logged in, by shard.
const LOGINS: &str = "holdfast_logins_total{";
/// What a gateway is; its value is always 1.
const BUILD: &str = "holdfast_build_info{";

/// Its metrics; `None` where its admin page is not known or does not answer, or where there are
/// several addresses, which may be those of several gateways.
pub(crate) fn metrics(options: &Options) -> Option<String> {
    let output = &options.output;
    let [gateway] = options.clients.gateway[..] else { return None };
    let server = || output.server_pid.or_else(|| find::listener(gateway));
    let address = output.admin.or_else(|| usual(server()))?;
    let token = secret::read("", output.admin_token_file.as_deref()).ok()?;
    let token = String::from_utf8(token).ok().filter(|token| !token.is_empty());
    page::get(address, "/metrics", token.as_deref()).ok()
}

/// The usual place, if the gateway's process listens there, and not another one.
pub(crate) fn usual(server: Option<u32>) -> Option<SocketAddr> {
    server.filter(|pid| find::listener(USUAL_ADMIN) == Some(*pid)).map(|_| USUAL_ADMIN)
}

/// Its version and the commit that it was built from, in words; `None` where its metrics do not
/// tell, as those of an older gateway.
pub(crate) fn version(metrics: &str) -> Option<String> {
    let labels = metrics.lines().find_map(|line| line.strip_prefix(BUILD))?;
    let label = |name: &str| {
        let (_, rest) = labels.split_once(&format!("{name}=\""))?;
        rest.split_once('"').map(|(value, _)| value)
    };
    let version = label("version")?;
    let commit = label("revision").map(|commit| format!(", commit {commit}"));
    Some(format!("{version}{}", commit.unwrap_or_default()))
}

/// How many clients have logged in since it began; `None` where its metrics do not tell.
pub(crate) fn logins(metrics: &str) -> Option<u64> {
    let of_shards = metrics.lines().filter(|line| line.starts_with(LOGINS));
    let value = |line: &str| line.rsplit_once(' ')?.1.parse::<u64>().ok();
    of_shards.map(value).reduce(|all, one| all?.checked_add(one?))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_tells_its_version_and_its_commit() {
        let page = |labels: &str| format!("# HELP x\n{BUILD}{labels}}} 1\nother 2\n# EOF\n");
        let both = page("version=\"0.1.0\",revision=\"0123456789ab-dirty\"");
        assert_eq!(version(&both).as_deref(), Some("0.1.0, commit 0123456789ab-dirty"));
        assert_eq!(version(&page("version=\"0.1.0\"")).as_deref(), Some("0.1.0"));
        assert_eq!(version(&page("revision=\"0\"")), None);
        assert_eq!(version("holdfast_ready 1\n"), None);
    }

    #[test]
    fn the_logins_of_all_shards_are_added() {
        let page = format!("{LOGINS}shard=\"0\"}} 40\n{LOGINS}shard=\"1\"}} 2\nother 7\n");
        assert_eq!(logins(&page), Some(42));
        assert_eq!(logins("holdfast_ready 1\n"), None);
        assert_eq!(logins(&format!("{LOGINS}shard=\"0\"}} many\n")), None);
    }
}
