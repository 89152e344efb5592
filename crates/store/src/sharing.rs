//! Roles, authors and invitations; and the simulation port, which puts all its parts together.

use async_trait::async_trait;
use csw_core::{
    access::Role,
    ids::{AccountId, InviteId, ModelId, OutputId, SimulationId, VersionId},
    output::Output,
    page::{Page, PageRequest},
    ports::{Change, Created, NewSimulation, SimulationFilter, SimulationStore, StoreError, StoreResult},
    run::NewRun,
    simulation::{Collaborator, Inputs, Invite, Simulation, SimulationPatch},
};
use jiff::Timestamp;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::{
    SqlStore,
    columns::columns,
    rows,
    sql::{Columns, all, micros, optional, run, sql},
};

const INVITES: &str =
    concat!("SELECT ", columns!(invites, "i."), ", a.name FROM invites i JOIN accounts a ON a.id = i.account_id");

impl SqlStore {
    async fn give(&self, simulation: &str, account: &str, role: Role, on: &mut AnyConnection) -> StoreResult<()> {
        let statement = sql!(
            self,
            "INSERT INTO simulation_roles (simulation_id, account_id, role) VALUES ($1, $2, $3) \
             ON CONFLICT (simulation_id, account_id) DO UPDATE SET role = excluded.role, \
             by_invite = 0",
            simulation.to_owned(),
            account.to_owned(),
            role.as_str()
        );
        run(statement, on).await.map(|_| ())
    }

    async fn invites_in(&self, simulation: SimulationId, on: &mut AnyConnection) -> StoreResult<Vec<Invite>> {
        let text = format!("{INVITES} WHERE i.simulation_id = $1 ORDER BY i.created_at, i.id");
        let rows = all(sql!(self, AssertSqlSafe(text), simulation.to_string()), on).await?;
        rows.iter().map(rows::invite).collect()
    }
}

#[async_trait]
impl SimulationStore for SqlStore {
    async fn create_simulation(&self, new: &NewSimulation) -> StoreResult<Created> {
        self.create_simulation_now(new).await
    }

    async fn submit_inputs(
        &self,
        simulation: SimulationId,
        inputs: &Inputs,
        notify_on_completion: Option<bool>,
        parent: Option<SimulationId>,
        parse: &NewRun,
        now: Timestamp,
    ) -> StoreResult<Simulation> {
        self.submit_inputs_now(simulation, inputs, notify_on_completion, parent, parse, now).await
    }

    async fn simulation(&self, model: ModelId, number: u32) -> StoreResult<Option<(Simulation, Inputs)>> {
        self.find_simulation(model, number).await
    }

    async fn simulation_by_id(&self, id: SimulationId) -> StoreResult<Option<Simulation>> {
        let mut reader = self.reader().await?;
        match self.simulation_in(id, &mut reader).await {
            Ok(simulation) => Ok(Some(simulation)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn simulation_with_inputs(&self, id: SimulationId) -> StoreResult<Option<(Simulation, Inputs)>> {
        self.simulation_with_inputs_now(id).await
    }

    async fn inputs(&self, simulation: SimulationId) -> StoreResult<Inputs> {
        self.inputs_now(simulation).await
    }

    async fn outputs(&self, simulation: SimulationId) -> StoreResult<Vec<Output>> {
        self.outputs_now(simulation, None).await
    }

    async fn output(&self, simulation: SimulationId, output: OutputId) -> StoreResult<Option<Output>> {
        Ok(self.outputs_now(simulation, Some(output)).await?.into_iter().next())
    }

    async fn simulations(&self, filter: &SimulationFilter, page: PageRequest) -> StoreResult<Page<Simulation>> {
        self.list_simulations(filter, page).await
    }

    async fn update_simulation(
        &self,
        id: SimulationId,
        patch: &SimulationPatch,
        now: Timestamp,
    ) -> StoreResult<Simulation> {
        self.patch_simulation(id, patch, now).await
    }

    async fn fork_simulation(
        &self,
        source: SimulationId,
        copy: SimulationId,
        owner: AccountId,
        now: Timestamp,
    ) -> StoreResult<Simulation> {
        self.fork_now(source, copy, owner, now).await
    }

    async fn delete_simulation(&self, id: SimulationId) -> StoreResult<Vec<String>> {
        self.delete_simulation_now(id).await
    }

    async fn parents(&self, id: SimulationId) -> StoreResult<Vec<Simulation>> {
        self.parents_now(id).await
    }

    async fn simulation_role(&self, simulation: SimulationId, account: AccountId) -> StoreResult<Option<Role>> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            "SELECT role FROM simulation_roles WHERE simulation_id = $1 AND account_id = $2",
            simulation.to_string(),
            account.to_string()
        );
        optional(statement, &mut reader).await?.map(|row| row.word("role", Role::parse)).transpose()
    }

    async fn simulation_roles(
        &self,
        simulations: &[SimulationId],
        account: AccountId,
    ) -> StoreResult<Vec<(SimulationId, Role)>> {
        if simulations.is_empty() {
            return Ok(Vec::new());
        }
        let mut reader = self.reader().await?;
        let places = (2..simulations.len() + 2).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ");
        let text = format!(
            "SELECT simulation_id, role FROM simulation_roles WHERE account_id = $1 AND simulation_id IN ({places})"
        );
        let mut statement = sql!(self, AssertSqlSafe(text), account.to_string());
        for simulation in simulations {
            statement = statement.bind(simulation.to_string());
        }
        let rows = all(statement, &mut reader).await?;
        rows.iter().map(|row| Ok((row.id("simulation_id")?, row.word("role", Role::parse)?))).collect()
    }

    async fn collaborators(&self, simulation: SimulationId) -> StoreResult<Vec<Collaborator>> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            "SELECT r.account_id, r.role, a.name, s.owner_id FROM simulation_roles r \
             JOIN accounts a ON a.id = r.account_id JOIN simulations s ON s.id = r.simulation_id \
             WHERE r.simulation_id = $1 ORDER BY CASE WHEN s.owner_id = r.account_id THEN 0 ELSE 1 END, a.name_key",
            simulation.to_string()
        );
        let rows = all(statement, &mut reader).await?;
        rows.iter()
            .map(|row| {
                let account: AccountId = row.id("account_id")?;
                let owner: AccountId = row.id("owner_id")?;
                Ok(Collaborator {
                    account,
                    name: row.text("name")?,
                    role: row.word("role", Role::parse)?,
                    is_owner: account == owner,
                })
            })
            .collect()
    }

    async fn set_simulation_roles(
        &self,
        simulation: SimulationId,
        roles: &[(AccountId, Option<Role>)],
    ) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let owner = self.simulation_in(simulation, unit.on()).await?.owner;
        let id = simulation.to_string();
        for (account, role) in roles {
            if *account == owner && *role != Some(Role::Admin) {
                return Err(StoreError::State { what: "The owner of a simulation keeps the admin role.".to_owned() });
            }
            if let Some(role) = role {
                self.give(&id, &account.to_string(), *role, unit.on()).await?;
            } else {
                let statement = sql!(
                    self,
                    "DELETE FROM simulation_roles WHERE simulation_id = $1 AND account_id = $2",
                    id.clone(),
                    account.to_string()
                );
                run(statement, unit.on()).await?;
            }
        }
        // Who follows it may have to stop.
        unit.tell(Change::Simulation(simulation));
        unit.commit().await
    }

    async fn authors(&self, simulation: SimulationId) -> StoreResult<Vec<String>> {
        Ok(self.authors_of(&[simulation]).await?.into_iter().map(|(_, name)| name).collect())
    }

    async fn authors_of(&self, simulations: &[SimulationId]) -> StoreResult<Vec<(SimulationId, String)>> {
        if simulations.is_empty() {
            return Ok(Vec::new());
        }
        let mut reader = self.reader().await?;
        let places = (1..=simulations.len()).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ");
        let text = format!(
            "SELECT u.simulation_id, a.name FROM authors u JOIN accounts a ON a.id = u.account_id \
             WHERE u.simulation_id IN ({places}) ORDER BY a.name_key"
        );
        let mut statement = sql!(self, AssertSqlSafe(text));
        for simulation in simulations {
            statement = statement.bind(simulation.to_string());
        }
        let rows = all(statement, &mut reader).await?;
        rows.iter().map(|row| Ok((row.id("simulation_id")?, row.text("name")?))).collect()
    }

    async fn invite(&self, simulation: SimulationId, invites: &[Invite], now: Timestamp) -> StoreResult<Vec<Invite>> {
        let mut unit = self.begin().await?;
        let id = simulation.to_string();
        let statement =
            sql!(self, "DELETE FROM invites WHERE simulation_id = $1 AND expires_at <= $2", id.clone(), micros(now));
        run(statement, unit.on()).await?;
        for invite in invites {
            let account = invite.account.to_string();
            let statement = sql!(
                self,
                "SELECT 1 AS one FROM authors WHERE simulation_id = $1 AND account_id = $2",
                id.clone(),
                account.clone()
            );
            if optional(statement, unit.on()).await?.is_some() {
                continue;
            }
            let statement = sql!(
                self,
                "INSERT INTO invites (id, simulation_id, account_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (simulation_id, account_id) DO NOTHING",
                invite.id.to_string(),
                id.clone(),
                account.clone(),
                micros(invite.created_at),
                micros(invite.expires_at)
            );
            run(statement, unit.on()).await?;
            let statement = sql!(
                self,
                "INSERT INTO simulation_roles (simulation_id, account_id, role, by_invite) VALUES ($1, $2, 'read', 1) \
                 ON CONFLICT (simulation_id, account_id) DO NOTHING",
                id.clone(),
                account
            );
            run(statement, unit.on()).await?;
        }
        let open = self.invites_in(simulation, unit.on()).await?;
        unit.commit().await?;
        Ok(open)
    }

    async fn invites(&self, simulation: SimulationId) -> StoreResult<Vec<Invite>> {
        let mut reader = self.reader().await?;
        self.invites_in(simulation, &mut reader).await
    }

    async fn invite_by_id(&self, id: InviteId) -> StoreResult<Option<Invite>> {
        let mut reader = self.reader().await?;
        let text = format!("{INVITES} WHERE i.id = $1");
        let row = optional(sql!(self, AssertSqlSafe(text), id.to_string()), &mut reader).await?;
        row.as_ref().map(rows::invite).transpose()
    }

    async fn accept_invite(&self, id: InviteId, now: Timestamp) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let text = format!("{INVITES} WHERE i.id = $1");
        let row = optional(sql!(self, AssertSqlSafe(text), id.to_string()), unit.on()).await?;
        let invite = rows::invite(&row.ok_or_else(|| StoreError::NotFound { what: "the invitation".to_owned() })?)?;
        if invite.expires_at <= now {
            return Err(StoreError::State { what: "This invitation has expired; ask for a new one.".to_owned() });
        }
        let statement = sql!(
            self,
            "INSERT INTO authors (simulation_id, account_id) VALUES ($1, $2) \
             ON CONFLICT (simulation_id, account_id) DO NOTHING",
            invite.simulation.to_string(),
            invite.account.to_string()
        );
        run(statement, unit.on()).await?;
        run(sql!(self, "DELETE FROM invites WHERE id = $1", id.to_string()), unit.on()).await?;
        unit.commit().await
    }

    async fn remove_author(&self, simulation: SimulationId, account: AccountId) -> StoreResult<bool> {
        let mut unit = self.begin().await?;
        let mut gone = 0;
        for text in [
            "DELETE FROM authors WHERE simulation_id = $1 AND account_id = $2",
            "DELETE FROM invites WHERE simulation_id = $1 AND account_id = $2",
        ] {
            gone += run(sql!(self, text, simulation.to_string(), account.to_string()), unit.on()).await?;
        }
        if gone > 0 {
            let statement = sql!(
                self,
                "DELETE FROM simulation_roles WHERE simulation_id = $1 AND account_id = $2 AND by_invite = 1",
                simulation.to_string(),
                account.to_string()
            );
            run(statement, unit.on()).await?;
        }
        unit.commit().await?;
        Ok(gone > 0)
    }

    async fn recent_run_times(&self, version: VersionId, limit: u32) -> StoreResult<Vec<u64>> {
        self.run_times(version, limit).await
    }

    async fn unnamed_objects(&self, hashes: &[String]) -> StoreResult<Vec<String>> {
        if hashes.is_empty() {
            return Ok(Vec::new());
        }
        let mut reader = self.reader().await?;
        let places = (1..=hashes.len()).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ");
        let text = format!("SELECT DISTINCT sha256 FROM run_outputs WHERE sha256 IN ({places})");
        let mut statement = sql!(self, AssertSqlSafe(text));
        for hash in hashes {
            statement = statement.bind(hash.clone());
        }
        let named = all(statement, &mut reader).await?;
        let named = named.iter().map(|row| row.text("sha256")).collect::<StoreResult<Vec<_>>>()?;
        Ok(hashes.iter().filter(|hash| !named.contains(hash)).cloned().collect())
    }

    async fn pending_runs(&self, account: AccountId) -> StoreResult<u64> {
        self.pending_of(account).await
    }
}
