//! `holdfast.toml(5)`: the man page of the configuration, made of what the settings say of
//! themselves, so that it cannot say another thing than the gateway does.

use super::{Config, SECTIONS, schema::Setting};
use holdfast_packaging::Page;

/// The page, for a day.
pub fn page(date: &str) -> Page {
    let mut page = Page::new("holdfast.toml", '5', env!("CARGO_PKG_VERSION"), date);
    page.part("NAME");
    page.paragraph("holdfast.toml - the configuration of a Holdfast push gateway");
    page.part("DESCRIPTION");
    page.paragraph(
        "A TOML file that `holdfast serve -c` reads. The service of the Debian package reads \
         `/etc/holdfast/holdfast.toml`. What is not set has its default. A key that does not \
         exist, a value out of bounds and settings that do not go together are refused at the \
         start, each with what is allowed; `holdfast config -c FILE` says so without serving.",
    );
    page.paragraph(
        "Sizes take B, KiB, MiB and GiB, times take ms, s, min, h and d. The path of a file begins \
         at the folder of the configuration where it is not absolute.",
    );
    let defaults = Config::default();
    for (name, settings) in SECTIONS {
        let title = if name.is_empty() { "SETTINGS".to_owned() } else { format!("[{name}]") };
        page.part(&title);
        for setting in *settings {
            entry(&mut page, setting, &defaults);
        }
    }
    page.part("EXAMPLE");
    page.lines(EXAMPLE);
    let near = ["holdfast.1", "holdfast-config.1", "holdfast-serve.1", "holdfast-tuning.1"];
    page.see_also(&near.map(str::to_owned));
    page
}

const EXAMPLE: &str = "\
products = [\"shop\"]

[client]
listen = [\"0.0.0.0:7500\"]

[backend]
listen = [\"10.0.0.1:7600\"]

[auth]
client_keys = [
  { id = \"2026-01\", algorithm = \"HS256\", secret_file = \"phones.key\" },
]
backend_keys = [{ name = \"billing\", key_file = \"billing.key\" }]";

fn entry(page: &mut Page, setting: &Setting, defaults: &Config) {
    let short = setting.key.rsplit('.').next().unwrap_or(setting.key);
    let about: Vec<&str> = setting.about.iter().map(|line| line.trim()).collect();
    let (default, _) = (setting.print)(defaults);
    let about = [about.join(" "), format!("Allowed: {}.", (setting.allowed)())];
    page.entry(short, &format!(" = {default}"), &about);
}
