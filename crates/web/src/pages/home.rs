//! The list of models, and the profile of an account.

use askama::Template;
use csw_core::{
    page::PageRequest,
    ports::{ModelFilter, SimulationFilter, SimulationOrder},
};

use super::{
    lists::{Pager, part},
    page::{Page, PageResult, show},
    render::{Card, Line},
    visitor::{Place, Visitor},
};

/// Models on a page.
const MODELS: u32 = 60;

/// Simulations on a page.
const SIMULATIONS: u32 = 25;

/// Simulations that the list of models shows.
const LATEST: PageRequest = PageRequest { number: 1, size: 5 };

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    page: Page,
    search: String,
    models: Vec<Card>,
    pager: Option<Pager>,
    simulations: Vec<Line>,
}

#[derive(Template)]
#[template(path = "profile.html")]
struct Profile {
    page: Page,
    name: String,
    own: bool,
    models: Vec<Card>,
    search: String,
    archived: bool,
    simulations: Vec<Line>,
    pager: Option<Pager>,
}

/// A filter that gives the newest first.
pub(crate) fn newest(filter: SimulationFilter) -> SimulationFilter {
    SimulationFilter { order: vec![(SimulationOrder::CreatedAt, true)], archived: Some(false), ..filter }
}

fn search(visitor: &Visitor) -> Option<String> {
    Some(visitor.asked("search").trim().to_owned()).filter(|text| !text.is_empty())
}

pub(crate) async fn home(visitor: Visitor) -> PageResult {
    let filter = ModelFilter { listed_only: true, search: search(&visitor), ..ModelFilter::default() };
    let app = &visitor.app;
    let wanted = part(&visitor, MODELS);
    let models = visitor.take(app.models(&visitor.caller, filter, wanted).await)?;
    let simulations = if visitor.caller.account().is_some() {
        let filter = newest(SimulationFilter { shared: true, ..SimulationFilter::default() });
        visitor.take(app.own_simulations(&visitor.caller, filter, LATEST).await)?.items
    } else {
        Vec::new()
    };
    Ok(show(&Home {
        page: visitor.page(),
        search: search(&visitor).unwrap_or_default(),
        models: models.items.iter().map(Card::of).collect(),
        pager: Pager::new(&visitor, wanted, models.total),
        simulations: visitor.take(Line::of_all(app, &simulations).await)?,
    }))
}

pub(crate) async fn profile(visitor: Visitor, Place(name): Place<String>) -> PageResult {
    let app = &visitor.app;
    let account = visitor.take(app.account_by_name(&name).await)?;
    let own = visitor.caller.account() == Some(account.id);
    let archived = own && visitor.asked("archived") == "1";
    let filter = ModelFilter { owner: Some(account.id), newest_first: true, ..ModelFilter::default() };
    let models = visitor.take(app.models(&visitor.caller, filter, PageRequest { number: 1, size: 100 }).await)?;
    let wanted = part(&visitor, SIMULATIONS);
    let filter = newest(SimulationFilter { search: search(&visitor), ..SimulationFilter::default() });
    let simulations = if own {
        let filter = SimulationFilter { shared: true, archived: Some(archived), ..filter };
        visitor.take(app.own_simulations(&visitor.caller, filter, wanted).await)?
    } else {
        let filter = SimulationFilter { account: Some(account.id), ..filter };
        visitor.take(app.public_simulations(filter, wanted).await)?
    };
    Ok(show(&Profile {
        page: visitor.page(),
        name: account.name.to_string(),
        own,
        models: models.items.iter().map(Card::of).collect(),
        search: search(&visitor).unwrap_or_default(),
        archived,
        pager: Pager::new(&visitor, wanted, simulations.total),
        simulations: visitor.take(Line::of_all(app, &simulations.items).await)?,
    }))
}
