//! The list of models, and the profile of an account.

use askama::Template;
use axum::extract::Path;
use csw_core::{
    page::PageRequest,
    ports::{ModelFilter, SimulationFilter, SimulationOrder},
};

use super::{
    page::{Page, PageResult, show},
    render::{Card, Line},
    visitor::Visitor,
};

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    page: Page,
    search: String,
    models: Vec<Card>,
    simulations: Vec<Line>,
}

#[derive(Template)]
#[template(path = "profile.html")]
struct Profile {
    page: Page,
    name: String,
    own: bool,
    models: Vec<Card>,
    simulations: Vec<Line>,
}

fn newest(filter: SimulationFilter) -> SimulationFilter {
    SimulationFilter { order: vec![(SimulationOrder::CreatedAt, true)], archived: Some(false), ..filter }
}

pub(crate) async fn home(visitor: Visitor) -> PageResult {
    let search = visitor.query.get("search").cloned().unwrap_or_default();
    let filter = ModelFilter {
        listed_only: true,
        search: Some(search.clone()).filter(|text| !text.trim().is_empty()),
        ..ModelFilter::default()
    };
    let app = &visitor.app;
    let models = visitor.take(app.models(&visitor.caller, filter, PageRequest { number: 1, size: 200 }).await)?;
    let simulations = if visitor.caller.account().is_some() {
        let filter = newest(SimulationFilter { shared: true, ..SimulationFilter::default() });
        let page = PageRequest { number: 1, size: 50 };
        visitor.take(app.own_simulations(&visitor.caller, filter, page).await)?.items
    } else {
        Vec::new()
    };
    Ok(show(&Home {
        page: visitor.page(),
        search,
        models: models.items.iter().map(Card::of).collect(),
        simulations: simulations.iter().map(Line::of).collect(),
    }))
}

pub(crate) async fn profile(visitor: Visitor, Path(name): Path<String>) -> PageResult {
    let app = &visitor.app;
    let account = visitor.take(app.account_by_name(&name).await)?;
    let own = visitor.caller.account() == Some(account.id);
    let filter = ModelFilter { owner: Some(account.id), newest_first: true, ..ModelFilter::default() };
    let page = PageRequest { number: 1, size: 100 };
    let models = visitor.take(app.models(&visitor.caller, filter, page).await)?;
    let simulations = if own {
        let filter = newest(SimulationFilter { shared: true, ..SimulationFilter::default() });
        visitor.take(app.own_simulations(&visitor.caller, filter, page).await)?
    } else {
        let filter = newest(SimulationFilter { account: Some(account.id), ..SimulationFilter::default() });
        visitor.take(app.public_simulations(filter, page).await)?
    };
    Ok(show(&Profile {
        page: visitor.page(),
        name: account.name.to_string(),
        own,
        models: models.items.iter().map(Card::of).collect(),
        simulations: simulations.items.iter().map(Line::of).collect(),
    }))
}
