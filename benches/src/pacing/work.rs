//! Runs many independent simulations on the machine's two cores.

use std::sync::Mutex;
use std::thread;

use anyhow::anyhow;

const THREADS: usize = 2;

/// What each item gives, in their order.
pub(super) fn on_two_threads<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> anyhow::Result<Vec<R>> {
    let next = Mutex::new(items.iter().enumerate());
    let mut done = thread::scope(|scope| {
        let worker = || {
            let mut mine = Vec::new();
            // A lock that another worker's panic poisoned ends this one, too.
            while let Some((place, item)) = next.lock().ok().and_then(|mut next| next.next()) {
                mine.push((place, work(item)));
            }
            mine
        };
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().map_err(|_| anyhow!("a simulation panicked")))
            .collect::<anyhow::Result<Vec<_>>>()
    })?
    .into_iter()
    .flatten()
    .collect::<Vec<_>>();
    done.sort_by_key(|(place, _)| *place);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}
