//! Who the clients are: user ids, products and tags, a function of the client's index alone.
//!
//! Populations follow each other in the order of the indices, each with its share of them. A user
//! id ends with the index, so no two clients share one whatever their prefixes are. Where a process
//! has a part of the clients, its indices are those within the part, and an id still ends with the
//! place among all.

use super::share::Share;

/// One population as asked for.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// The product.
    pub(crate) product: String,
    /// What its user ids begin with.
    pub(crate) prefix: String,
    /// How many of the clients, against the other populations.
    pub(crate) share: f64,
    /// A tag that its sessions carry.
    pub(crate) tag: Option<String>,
}

/// One population.
#[derive(Debug)]
struct Population {
    /// The index after its last client.
    end: u32,
    /// Which product.
    product: usize,
    prefix: String,
    tag: Option<String>,
}

/// All clients.
#[derive(Debug)]
pub(crate) struct People {
    products: Vec<String>,
    populations: Vec<Population>,
    user_bytes: usize,
    share: Share,
}

impl People {
    /// `clients` clients of these populations (at least one, shares above 0), with user ids of at
    /// least `user_bytes` bytes.
    pub(crate) fn new(asked: &[Asked], clients: u32, user_bytes: usize) -> Self {
        let total: f64 = asked.iter().map(|one| one.share).sum();
        let mut products: Vec<String> = Vec::new();
        let mut until = 0.0;
        let mut populations = Vec::new();
        for one in asked {
            until += one.share;
            let known = products.iter().position(|name| *name == one.product);
            let product = known.unwrap_or_else(|| {
                products.push(one.product.clone());
                products.len() - 1
            });
            let (prefix, tag) = (one.prefix.clone(), one.tag.clone());
            populations.push(Population {
                end: part(clients, until / total),
                product,
                prefix,
                tag,
            });
        }
        if let Some(last) = populations.last_mut() {
            last.end = clients;
        }
        Self { products, populations, user_bytes, share: Share::default() }
    }

    /// Those of them that are in the part; their indices are from 0 again.
    pub(crate) fn part(self, share: Share) -> Self {
        Self { share, ..self }
    }

    /// The products, each once.
    pub(crate) fn products(&self) -> &[String] {
        &self.products
    }

    /// Which product has this name; the first if none has.
    pub(crate) fn find(&self, name: &str) -> usize {
        self.products.iter().position(|product| product == name).unwrap_or_default()
    }

    /// The id of user `index`.
    pub(crate) fn user(&self, index: u32) -> String {
        let prefix = self.of(index).map_or("", |population| &population.prefix);
        let digits = self.user_bytes.saturating_sub(prefix.len());
        let number = self.share.user(index);
        format!("{prefix}{number:0digits$}")
    }

    /// Which product user `index` is of.
    pub(crate) fn product(&self, index: u32) -> usize {
        self.of(index).map_or(0, |population| population.product)
    }

    /// The name of the product of user `index`.
    pub(crate) fn product_name(&self, index: u32) -> &str {
        self.products.get(self.product(index)).map_or("", String::as_str)
    }

    /// The tag of user `index`.
    pub(crate) fn tag(&self, index: u32) -> Option<&str> {
        self.of(index)?.tag.as_deref()
    }

    fn of(&self, index: u32) -> Option<&Population> {
        let number = self.share.user(index);
        self.populations.iter().find(|population| number < population.end)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count is between 0 and the count"
)]
fn part(count: u32, share: f64) -> u32 {
    (f64::from(count) * share).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(product: &str, prefix: &str, share: f64) -> Asked {
        Asked { product: product.to_owned(), prefix: prefix.to_owned(), share, tag: None }
    }

    #[test]
    fn populations_share_the_clients_and_no_two_users_are_one() {
        let asked = [asked("mail", "m-", 3.0), asked("chat", "c-", 1.0), asked("mail", "m-", 4.0)];
        let people = People::new(&asked, 1_000, 8);
        let of = |product| (0..1_000).filter(|&index| people.product(index) == product).count();
        assert_eq!(
            (people.products(), of(0), of(1)),
            (&["mail", "chat"].map(String::from)[..], 875, 125)
        );
        assert_eq!((people.user(374), people.user(375)), ("m-000374".into(), "c-000375".into()));
        assert_eq!((people.product_name(375), people.product_name(999)), ("chat", "mail"));
        let mut users: Vec<String> = (0..1_000).map(|index| people.user(index)).collect();
        users.sort_unstable();
        users.dedup();
        assert_eq!(users.len(), 1_000);
    }

    #[test]
    fn the_parts_of_people_are_the_people_each_once() {
        let asked = [asked("mail", "m-", 1.0), asked("chat", "c-", 1.0)];
        let all = || People::new(&asked, 10, 8);
        let part = |number| {
            let share = Share { number, of: 3, run: 0 };
            let people = all().part(share);
            let one = move |index| (people.user(index), people.product(index));
            (0..share.part(10)).map(one).collect::<Vec<_>>()
        };
        let mut parts: Vec<_> = (0..3).flat_map(part).collect();
        parts.sort();
        let people = all();
        let mut whole: Vec<_> =
            (0..10).map(|index| (people.user(index), people.product(index))).collect();
        whole.sort();
        assert_eq!(parts, whole);
        assert!(part(1).iter().any(|(_, product)| *product == 0), "each has every population");
        assert!(part(1).iter().any(|(_, product)| *product == 1), "each has every population");
    }

    #[test]
    fn shares_that_do_not_come_out_leave_nobody_without_a_population() {
        let asked = [asked("a", "", 1.0), asked("b", "", 1.0), asked("c", "", 1.0)];
        for clients in 1..20 {
            let people = People::new(&asked, clients, 4);
            assert!((0..clients).all(|index| people.of(index).is_some()), "{clients}");
        }
    }
}
