//! The queue of thumbnails.

use csw_core::{
    output::{Output, OutputKind, Thumbnail},
    ports::{MAX_DRAWINGS, Store, WantedThumbnail},
    simulation::Simulation,
};

use crate::world::{World, id, later, now, person};

async fn wanted(store: &dyn Store) -> Vec<WantedThumbnail> {
    store.wanted_thumbnails(now(), 100).await.unwrap().0
}

/// A simulation that has run, and its renderable outputs.
async fn simulated(world: &World<'_>) -> (Simulation, Vec<Output>) {
    let simulation = world.finished(world.owner, None).await;
    let mut outputs = world.store.outputs(simulation).await.unwrap();
    outputs.retain(|output| output.kind == OutputKind::Renderable);
    (world.get(simulation).await, outputs)
}

pub async fn queue(store: &dyn Store) {
    let world = World::new(store).await;
    assert_eq!(store.wanted_thumbnails(now(), 9).await.unwrap(), (vec![], None));
    let (first, _) = simulated(&world).await;
    let (second, outputs) = simulated(&world).await;
    let all = wanted(store).await;
    let order: Vec<_> = all.iter().map(|wanted| (wanted.run, wanted.output.position)).collect();
    let runs = [second.run.unwrap(), first.run.unwrap()];
    assert_eq!(order, [(runs[0], 0), (runs[0], 1), (runs[1], 0), (runs[1], 1)], "the newest run first; no files");
    assert_eq!(store.wanted_thumbnails(now(), 1).await.unwrap().0, all[..1]);

    // Of two who want the same, one gets it; when its time is over, it is wanted again.
    let (at, until) = (now(), later(now(), 1));
    assert!(store.claim_thumbnail(&all[0], at, until).await.unwrap());
    assert!(!store.claim_thumbnail(&all[0], at, until).await.unwrap());
    assert_eq!(wanted(store).await.len(), 3);
    for other in &all[1..] {
        assert!(store.claim_thumbnail(other, at, until).await.unwrap());
    }
    assert_eq!(store.wanted_thumbnails(at, 9).await.unwrap(), (vec![], Some(until)));
    let again = store.wanted_thumbnails(until, 9).await.unwrap().0;
    assert_eq!(again.iter().map(|wanted| wanted.attempts).collect::<Vec<_>>(), [1; 4]);

    // What a server that is gone had in hand.
    store.release_thumbnails(at).await.unwrap();
    assert_eq!(store.wanted_thumbnails(at, 9).await.unwrap().0.len(), 4);
    for one in &again {
        assert!(store.claim_thumbnail(one, at, until).await.unwrap());
        store.give_back_thumbnail(one, 1, until).await.unwrap();
    }

    // What is given back is wanted with the attempts it had.
    store.give_back_thumbnail(&again[0], 0, at).await.unwrap();
    let back = wanted(store).await;
    assert_eq!((back.len(), back[0].attempts, back[0].output.id), (1, 0, all[0].output.id));

    // Nobody begins for ever what ends each time with its server.
    let mut time = at;
    for _ in 0..MAX_DRAWINGS {
        let due = store.wanted_thumbnails(time, 9).await.unwrap().0;
        let one = due.iter().find(|one| one.output.id == all[0].output.id && one.run == all[0].run).unwrap();
        assert!(store.claim_thumbnail(one, time, later(time, 1)).await.unwrap());
        time = later(time, 1);
    }
    let due = store.wanted_thumbnails(time, 9).await.unwrap().0;
    assert!(due.iter().all(|one| one.output.id != all[0].output.id));

    // Equal outputs look alike.
    store.set_thumbnail(&outputs[1], Thumbnail::Made).await.unwrap();
    let due = store.wanted_thumbnails(time, 9).await.unwrap().0;
    assert!(due.iter().all(|one| one.output.sha256 != outputs[1].sha256), "{due:?}");
    assert_eq!(store.outputs(first.id).await.unwrap()[1].thumbnail, Thumbnail::Made);
    // What is lost is wanted again.
    store.set_thumbnail(&outputs[1], Thumbnail::Wanted).await.unwrap();
    assert_eq!(wanted(store).await.iter().filter(|one| one.output.sha256 == outputs[1].sha256).count(), 2);
}

pub async fn finding(store: &dyn Store) {
    let world = World::new(store).await;
    let (simulation, outputs) = simulated(&world).await;
    assert_eq!(store.best_thumbnails(&[simulation.id]).await.unwrap(), []);
    store.set_thumbnail(&outputs[1], Thumbnail::Made).await.unwrap();
    assert_eq!(store.best_thumbnails(&[simulation.id]).await.unwrap(), [(simulation.id, outputs[1].id)]);
    store.set_thumbnail(&outputs[0], Thumbnail::Made).await.unwrap();
    assert_eq!(store.best_thumbnails(&[simulation.id]).await.unwrap(), [(simulation.id, outputs[0].id)]);
    assert_eq!(store.best_thumbnails(&[]).await.unwrap(), []);

    // Whoever has a role on a copy finds that.
    let reader = person(store, "reader").await;
    let copy = store.fork_simulation(simulation.id, id!(SimulationId), reader, now()).await.unwrap();
    for (account, found) in [(Some(reader), copy.id), (Some(simulation.owner), simulation.id)] {
        let (output, at) = store.output_anywhere(outputs[0].id, account).await.unwrap().unwrap();
        assert_eq!((output.id, at.id), (outputs[0].id, found));
    }
    assert!(store.output_anywhere(id!(OutputId), None).await.unwrap().is_none());

    // The last that refers to an output takes its thumbnail along.
    assert_eq!(store.delete_simulation(copy.id).await.unwrap(), Vec::<String>::new());
    let gone = store.delete_simulation(simulation.id).await.unwrap();
    assert!(gone.contains(&outputs[0].thumbnail_key()) && gone.contains(&outputs[0].object_key()), "{gone:?}");
}
