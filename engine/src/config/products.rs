//! What is different for one product.

use super::kind::{Choice, Kind, OneOf, Size, quoted};
use crate::mailbox::room::WhenFull;
use toml::{Table, Value};

impl Choice for WhenFull {
    const NAMES: &'static [(&'static str, Self)] =
        &[("reject", Self::Reject), ("drop_oldest", Self::DropOldest)];
}

/// The settings of one product; what is not set is as for all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProductRules {
    /// The product.
    pub product: String,
    /// Instead of `client.sessions_max`.
    pub sessions_max: Option<usize>,
    /// Instead of `mailbox.messages_max`.
    pub messages_max: Option<usize>,
    /// Instead of `mailbox.bytes_max`.
    pub bytes_max: Option<usize>,
    /// Instead of `mailbox.when_full`.
    pub when_full: Option<WhenFull>,
}

/// A list of [`ProductRules`].
pub(super) struct ProductRulesKind;

const BYTES: Size = Size(1 << 10, 1 << 30);

impl Kind<Vec<ProductRules>> for ProductRulesKind {
    fn read(&self, value: &Value) -> Option<Vec<ProductRules>> {
        value.as_array()?.iter().map(|item| rules(item.as_table()?)).collect()
    }

    fn print(&self, all: &Vec<ProductRules>) -> String {
        let lines: Vec<_> = all.iter().map(|rules| format!("  {},\n", print(rules))).collect();
        if lines.is_empty() { "[]".to_owned() } else { format!("[\n{}]", lines.concat()) }
    }

    fn allowed(&self) -> String {
        "a list of { product, and any of sessions_max = 1 to 64, messages_max = 1 and more, \
         bytes_max from 1 KiB to 1 GiB, when_full = \"reject\" or \"drop_oldest\" }"
            .to_owned()
    }
}

fn rules(table: &Table) -> Option<ProductRules> {
    let mut rules = ProductRules::default();
    for (name, value) in table {
        match name.as_str() {
            "product" => value.as_str()?.clone_into(&mut rules.product),
            "sessions_max" => rules.sessions_max = Some(count(value, 64)?),
            "messages_max" => rules.messages_max = Some(count(value, 1 << 30)?),
            "bytes_max" => rules.bytes_max = Some(BYTES.read(value)?),
            "when_full" => rules.when_full = Some(OneOf.read(value)?),
            _ => return None,
        }
    }
    (!rules.product.is_empty()).then_some(rules)
}

fn count(value: &Value, most: u64) -> Option<usize> {
    super::kind::Count(1, most).read(value)
}

fn print(rules: &ProductRules) -> String {
    let mut fields = vec![format!("product = {}", quoted(&rules.product))];
    let mut number = |name: &str, value: Option<usize>| {
        fields.extend(value.map(|value| format!("{name} = {value}")));
    };
    number("sessions_max", rules.sessions_max);
    number("messages_max", rules.messages_max);
    number("bytes_max", rules.bytes_max);
    fields.extend(rules.when_full.map(|it| format!("when_full = {}", OneOf.print(&it))));
    format!("{{ {} }}", fields.join(", "))
}
