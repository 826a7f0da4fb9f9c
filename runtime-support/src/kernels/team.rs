//! The threads that help a step: they wait for the next one awake, since most steps are shorter than waking a thread takes.
//!
//! A step is published as one word: how many tasks there are, which is the next, how many threads may take part. A thread claims a task by
//! counting the word up; the caller claims tasks like the others, then waits for those that are not done. So a helper that comes late costs
//! nothing: the caller has done its task. After [`PATIENCE`] without a task a helper sleeps. Waking it costs the caller more than it gains by
//! sharing a short step, so a sleeping helper is woken by a long step, or by many short ones in a row: see [`Lately`].

use super::parallel::GRAIN;
use core::cell::UnsafeCell;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::boxed::Box;
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// A step: called with each of `0..count`, on any of the threads.
pub(super) type Task<'f> = dyn Fn(usize) + Sync + 'f;

/// The process's helpers.
pub(super) static TEAM: Team = Team::new();

/// Looks for a task before a helper sleeps: about 100 µs, longer than the steps of a model that one thread computes.
const PATIENCE: usize = 4096;
/// Looks for the end of the others' tasks before the caller lets other threads have its core.
const HASTE: usize = 1 << 14;

/// The multiply-adds that are worth waking a sleeping helper for: about 80 µs of one thread. Waking takes the caller 5 to 15 µs (a system call
/// and, on a virtual machine, its host's), and as long until the helper is there.
const WAKE: usize = 16 * GRAIN;
/// How long short steps that were done without a sleeping helper count.
const MEMORY: Duration = Duration::from_micros(250);

/// The short steps that were done without help, because the helpers slept: a model of many short steps is worth waking them for, one that has a
/// short step in a while is not.
struct Lately {
    since: Instant,
    work: usize,
}

impl Lately {
    /// Whether a step of `work` multiply-adds, begun at `now`, is worth waking a helper for.
    fn worth_waking(lately: &mut Option<Self>, now: Instant, work: usize) -> bool {
        let before = lately.take().filter(|l| now.saturating_duration_since(l.since) < MEMORY);
        let Self { since, work: done } = before.unwrap_or(Self { since: now, work: 0 });
        let work = done.saturating_add(work);
        if work < WAKE {
            *lately = Some(Self { since, work });
        }
        work >= WAKE
    }
}

/// Helpers, and the step that they are at.
pub(super) struct Team {
    /// Somebody's step is under way.
    taken: AtomicBool,
    /// The step's [`Word`].
    word: AtomicU64,
    /// The step, while it is under way.
    task: UnsafeCell<Option<&'static Task<'static>>>,
    /// The tasks that are done.
    done: AtomicUsize,
    /// Steps without help; read and written by the one who has set `taken`.
    lately: UnsafeCell<Option<Lately>>,
    /// A place for each core but the caller's; filled when a step first asks for so many.
    helpers: OnceLock<Box<[OnceLock<Option<Helper>>]>>,
}

// SAFETY: `task` is written by the one who has set `taken`, while no task can be claimed, and read by those who have claimed a task, which is
// before the writer goes on; both are ordered by `word` and `done`. `lately` is used while `taken` is set, by the one who has set it.
unsafe impl Sync for Team {}

struct Helper {
    asleep: Arc<AtomicBool>,
    thread: Thread,
}

/// What threads agree on.
#[derive(Clone, Copy)]
struct Word(u64);

impl Word {
    /// The bits of the number of tasks and of the next task.
    const BITS: u32 = 24;
    const MOST: usize = (1 << Self::BITS) - 1;

    fn new(threads: usize, count: usize) -> Self {
        Self(((threads as u64) << (2 * Self::BITS)) | ((count as u64) << Self::BITS))
    }

    /// The task that thread `index` may claim.
    fn next(self, index: usize) -> Option<usize> {
        let (threads, count, next) = (self.0 >> (2 * Self::BITS), (self.0 >> Self::BITS) & Self::MOST as u64, self.0 & Self::MOST as u64);
        (next < count && (index as u64) < threads).then_some(next as usize)
    }
}

/// Ends the process when a task panics: the others still use what the panic would take away. Kernels do not panic.
struct NoPanic;

impl Drop for NoPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::abort();
        }
    }
}

impl Team {
    const fn new() -> Self {
        Self {
            taken: AtomicBool::new(false),
            word: AtomicU64::new(0),
            task: UnsafeCell::new(None),
            done: AtomicUsize::new(0),
            lately: UnsafeCell::new(None),
            helpers: OnceLock::new(),
        }
    }

    /// Calls `f` for each of `0..count`, `work` multiply-adds in all, on up to `threads` threads, the caller's among them; on the caller's alone
    /// while the team is at another step (of another caller, or the one that this call is part of).
    pub(super) fn run(&'static self, threads: usize, work: usize, count: usize, f: &Task<'_>) {
        let alone = || (0..count).for_each(f);
        if count > Word::MOST || self.taken.swap(true, Ordering::Acquire) {
            return alone();
        }
        let helpers = self.helpers(threads.min(count) - 1);
        if helpers.is_empty() {
            alone();
        } else {
            self.share(helpers, work, count, f);
        }
        self.taken.store(false, Ordering::Release);
    }

    fn share(&self, helpers: &[OnceLock<Option<Helper>>], work: usize, count: usize, f: &Task<'_>) {
        // SAFETY: the lifetime ends with this call, and so does every use: a task is called after it was claimed, and this call waits until
        // as many tasks are done as were claimed.
        let task = unsafe { core::mem::transmute::<&Task<'_>, &'static Task<'static>>(f) };
        // SAFETY: `taken` is this call's, and the last step's tasks are all done, so nobody reads.
        unsafe { *self.task.get() = Some(task) };
        self.done.store(0, Ordering::Relaxed);
        // In one order with `asleep`: a helper that falls asleep sees the step, or this thread sees that it sleeps.
        self.word.store(Word::new(helpers.len() + 1, count).0, Ordering::SeqCst);
        let mut sleeping = helpers.iter().filter_map(|h| h.get()?.as_ref()).filter(|h| h.asleep.load(Ordering::SeqCst)).peekable();
        // SAFETY: `taken` is this call's.
        if sleeping.peek().is_some() && Lately::worth_waking(unsafe { &mut *self.lately.get() }, Instant::now(), work) {
            sleeping.for_each(Helper::wake);
        }
        while self.work(0) {}
        let mut looks = 0;
        while self.done.load(Ordering::Acquire) < count {
            looks += 1;
            if looks < HASTE { spin_loop() } else { thread::yield_now() }
        }
    }

    /// Does one task, if thread `index` may claim one.
    fn work(&self, index: usize) -> bool {
        let claim = |word| Word(word).next(index).map(|_| word + 1);
        let Ok(word) = self.word.fetch_update(Ordering::Acquire, Ordering::Acquire, claim) else { return false };
        // SAFETY: a task was claimed, so the step is under way; its writer came before the word.
        let task = unsafe { *self.task.get() };
        if let (Some(task), Some(next)) = (task, Word(word).next(index)) {
            let guard = NoPanic;
            task(next);
            drop(guard);
        }
        self.done.fetch_add(1, Ordering::Release);
        true
    }

    /// Up to `wanted` helpers: as many as there are cores, and as many as the system gives.
    fn helpers(&'static self, wanted: usize) -> &'static [OnceLock<Option<Helper>>] {
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        let all = self.helpers.get_or_init(|| (1..cores()).map(|_| OnceLock::new()).collect());
        let hired =
            all.iter().take(wanted).enumerate().take_while(|(i, helper)| helper.get_or_init(|| Helper::hire(self, i + 1)).is_some());
        &all[..hired.count()]
    }
}

impl Helper {
    /// Starts the thread that takes part as number `index`; `None` where there are no threads.
    fn hire(team: &'static Team, index: usize) -> Option<Self> {
        let asleep = Arc::new(AtomicBool::new(false));
        let own = Arc::clone(&asleep);
        let body = move || {
            loop {
                let mut looks = 0;
                while looks < PATIENCE {
                    looks = if team.work(index) { 0 } else { looks + 1 };
                    spin_loop();
                }
                own.store(true, Ordering::SeqCst);
                if Word(team.word.load(Ordering::SeqCst)).next(index).is_some() {
                    own.store(false, Ordering::Relaxed);
                }
                while own.load(Ordering::Acquire) {
                    thread::park();
                }
            }
        };
        let spawned = thread::Builder::new().name("onnxc".into()).spawn(body).ok()?;
        Some(Self { asleep, thread: spawned.thread().clone() })
    }

    fn wake(&self) {
        if self.asleep.swap(false, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Every task of every step is done once, whoever asks, and however long helpers have slept.
    #[test]
    fn every_task_once() {
        let callers: Vec<_> = (0..3)
            .map(|caller| {
                thread::spawn(move || {
                    for step in 0..2000 {
                        let count = step % 7;
                        let calls: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
                        TEAM.run(2 + caller, [GRAIN, WAKE][step % 2], count.max(1), &|i| {
                            if let Some(calls) = calls.get(i) {
                                calls.fetch_add(1, Ordering::Relaxed);
                            }
                        });
                        assert!(calls.iter().all(|c| c.load(Ordering::Relaxed) == 1));
                        if step % 500 == 0 {
                            thread::sleep(Duration::from_millis(2));
                        }
                    }
                })
            })
            .collect();
        callers.into_iter().for_each(|c| c.join().unwrap());
    }

    /// Short steps wake nobody, unless there are many in a row.
    #[test]
    fn waking() {
        let now = Instant::now();
        let mut lately = None;
        assert!(Lately::worth_waking(&mut lately, now, WAKE));
        for i in 0..100 {
            assert!(!Lately::worth_waking(&mut lately, now + i * MEMORY, WAKE / 4), "now and then");
        }
        let now = now + 200 * MEMORY;
        let in_a_row = [1, 2, 3, 4, 5].map(|i| Lately::worth_waking(&mut lately, now + i * (MEMORY / 8), WAKE / 4));
        assert_eq!(in_a_row, [false, false, false, true, false]);
    }

    /// A step within a task is done by the thread that has the task.
    #[test]
    fn nested() {
        let sum = AtomicUsize::new(0);
        TEAM.run(2, WAKE, 4, &|i| {
            TEAM.run(2, WAKE, 4, &|j| {
                sum.fetch_add(i * 4 + j, Ordering::Relaxed);
            });
        });
        assert_eq!(sum.into_inner(), (0..16).sum());
    }
}
