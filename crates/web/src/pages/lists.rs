//! Long lists, a part on each page.

use csw_core::page::PageRequest;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::visitor::Visitor;

/// The way through a list.
pub(crate) struct Pager {
    /// Where this part is.
    pub(crate) sentence: String,
    /// The address of the part before.
    pub(crate) previous: Option<String>,
    /// The address of the next part.
    pub(crate) next: Option<String>,
}

/// Which part a visitor asks for.
pub(crate) fn part(visitor: &Visitor, size: u32) -> PageRequest {
    let number = visitor.asked("page").parse().ok().filter(|number| *number > 0).unwrap_or(1);
    PageRequest { number, size }
}

impl Pager {
    /// The way on from one part of a list of this length; none where the list has one part only.
    pub(crate) fn new(visitor: &Visitor, part: PageRequest, total: u64) -> Option<Self> {
        let size = u64::from(part.size);
        let parts = total.div_ceil(size).max(1);
        if parts == 1 && part.number == 1 {
            return None;
        }
        let number = u64::from(part.number);
        Some(Self {
            sentence: format!("Page {number} of {parts}"),
            previous: (number > 1).then(|| address(visitor, (number - 1).min(parts))),
            next: (number < parts).then(|| address(visitor, number + 1)),
        })
    }
}

fn address(visitor: &Visitor, number: u64) -> String {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let kept = ["search", "archived", "state"].into_iter().filter(|name| !visitor.asked(name).is_empty());
    let mut query: Vec<_> = kept.map(|name| format!("{name}={}", encode(visitor.asked(name)))).collect();
    query.push(format!("page={number}"));
    format!("?{}", query.join("&"))
}
