//! Sharing: roles on simulations, coauthors and their invitations.

use csw_core::{
    access::{Caller, Role},
    ids::{AccountId, InviteId, SimulationId},
    ports::Mail,
    simulation::{Collaborator, INVITE_DAYS, Invite, Simulation},
};

use crate::{
    App,
    access_rules::{active, administrator, refused},
    credentials::after_days,
    error::{AppError, AppResult},
    new_id,
    simulations::SimulationView,
};

/// Authors that one request may invite.
const INVITES: usize = 10;

impl App {
    /// Everybody with a role, for admins of the simulation.
    pub async fn collaborators(&self, caller: &Caller, view: &SimulationView) -> AppResult<Vec<Collaborator>> {
        administrator(caller, view.role)?;
        Ok(self.store().collaborators(view.simulation.id).await?)
    }

    /// Gives, changes or takes roles: all of them, or none where one is refused. Each is a name, a role and a note that
    /// goes into the mail.
    pub async fn set_access(
        &self,
        caller: &Caller,
        view: &SimulationView,
        roles: &[(String, Option<Role>, Option<String>)],
    ) -> AppResult<()> {
        administrator(caller, view.role)?;
        let mut resolved = Vec::with_capacity(roles.len());
        for (name, role, _) in roles {
            resolved.push((self.account_by_name(name).await?, *role));
        }
        let before = self.store().collaborators(view.simulation.id).await?;
        let ids: Vec<(AccountId, Option<Role>)> = resolved.iter().map(|(account, role)| (account.id, *role)).collect();
        self.store().set_simulation_roles(view.simulation.id, &ids).await?;
        for ((account, role), (_, _, note)) in resolved.iter().zip(roles) {
            let had = before.iter().find(|other| other.account == account.id).map(|other| other.role);
            if let Some(role) = role
                && had != Some(*role)
                && caller.account() != Some(account.id)
            {
                let what = format!("You now have {} access to", role.as_str());
                self.mail_about(&account.email, &view.simulation, &what, note.as_deref());
            }
        }
        Ok(())
    }

    fn mail_about(&self, to: &str, simulation: &Simulation, what: &str, note: Option<&str>) {
        let link = format!(
            "{}/{}/{}/{}/",
            self.inner.config.public_url, simulation.model_owner, simulation.model_title, simulation.number
        );
        let note = note.filter(|note| !note.is_empty()).map(|note| format!("\n{note}\n")).unwrap_or_default();
        self.mail(Mail {
            to: to.to_owned(),
            subject: format!("{what} a simulation"),
            body: format!("{what} \"{}\": {link}\n{note}", simulation.title),
        });
    }

    /// The names of its authors, sorted.
    pub async fn authors(&self, simulation: SimulationId) -> AppResult<Vec<String>> {
        Ok(self.store().authors(simulation).await?)
    }

    /// The authors of several simulations.
    pub async fn authors_of(&self, simulations: &[SimulationId]) -> AppResult<Vec<(SimulationId, String)>> {
        Ok(self.store().authors_of(simulations).await?)
    }

    /// Invites coauthors; each is a name and a note. Returns all open invitations.
    pub async fn invite(
        &self,
        caller: &Caller,
        view: &SimulationView,
        authors: &[(String, Option<String>)],
    ) -> AppResult<Vec<Invite>> {
        administrator(caller, view.role)?;
        if authors.len() > INVITES {
            return Err(AppError::field("authors", format!("Invite at most {INVITES} authors at once.")));
        }
        let now = self.now();
        let mut invites = Vec::with_capacity(authors.len());
        let mut addresses = Vec::with_capacity(authors.len());
        for (name, note) in authors {
            let account = self.store().account_by_name(name).await?.ok_or_else(|| {
                AppError::field("authors", format!("All authors need an account; there is none named {name}."))
            })?;
            addresses.push((account.id, account.email.clone(), note.clone()));
            invites.push(Invite {
                id: new_id!(self, InviteId),
                simulation: view.simulation.id,
                account: account.id,
                name: account.name.to_string(),
                created_at: now,
                expires_at: after_days(now, INVITE_DAYS),
            });
        }
        let open = self.store().invite(view.simulation.id, &invites, now).await?;
        for invite in invites.iter().filter(|new| open.iter().any(|other| other.id == new.id)) {
            if let Some((_, address, note)) = addresses.iter().find(|(id, _, _)| *id == invite.account) {
                self.mail_about(address, &view.simulation, "You are invited to coauthor", note.as_deref());
            }
        }
        Ok(open)
    }

    /// Invitations to a simulation: all of them for its admins, otherwise the caller's own.
    pub async fn invites(&self, caller: &Caller, view: &SimulationView) -> AppResult<Vec<Invite>> {
        let mut invites = self.store().invites(view.simulation.id).await?;
        if view.role != Some(Role::Admin) {
            invites.retain(|invite| Some(invite.account) == caller.account());
        }
        Ok(invites)
    }

    /// One of the caller's own invitations.
    pub async fn own_invite(&self, caller: &Caller, id: InviteId) -> AppResult<Invite> {
        let account = active(caller)?;
        let invite = self.store().invite_by_id(id).await?.ok_or_else(|| AppError::missing("the invitation"))?;
        if invite.account == account { Ok(invite) } else { Err(refused()) }
    }

    /// Makes the caller an author, by their invitation.
    pub async fn accept_invite(&self, caller: &Caller, id: InviteId) -> AppResult<()> {
        let invite = self.own_invite(caller, id).await?;
        Ok(self.store().accept_invite(invite.id, self.now()).await?)
    }

    /// Takes an author or an open invitation away: admins anyone's but the owner's, others their own.
    pub async fn remove_author(&self, caller: &Caller, view: &SimulationView, name: &str) -> AppResult<()> {
        let id = active(caller)?;
        let account = self.account_by_name(name).await?;
        if account.id == view.simulation.owner {
            return Err(AppError::field("error", "The owner of a simulation stays one of its authors."));
        }
        if account.id != id {
            administrator(caller, view.role)?;
        }
        if self.store().remove_author(view.simulation.id, account.id).await? {
            Ok(())
        } else {
            Err(AppError::missing(format!("the author {name}")))
        }
    }
}
