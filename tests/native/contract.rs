use onnxc_runtime::session::Session;
use std::alloc::{GlobalAlloc, Layout, System};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, counting.
struct Counting;

static CALLS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        CALLS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often the allocator was called.
fn calls(f: impl FnOnce()) -> usize {
    let before = CALLS.load(Ordering::SeqCst);
    f();
    CALLS.load(Ordering::SeqCst) - before
}

fn numbers<const N: usize>(seed: usize) -> [f32; N] {
    std::array::from_fn(|i| (i * 7 + seed) as f32 % 11.0 / 11.0)
}

/// Runs a model twice without the allocator, in its own memory, in that of a clone and in the caller's; all give the same.
macro_rules! never_allocates {
    ($module:ident, $output:ident, [$($input:expr),*]) => {{
        fn send_and_clone<T: Send + Clone + 'static>(_: &T) {}
        let mut model = $module::Model::new();
        send_and_clone(&model);
        let first = *model.run($(&$input),*).expect("it runs").$output();
        assert!(first.iter().all(|x| x.is_finite()), "{first:?}");
        let mut clone = model.clone();
        for model in [&mut model, &mut clone] {
            let mut second = first.map(|_| 0.0);
            let count = calls(|| second = *model.run($(&$input),*).expect("it runs").$output());
            assert_eq!(count, 0, "{}: calls of the allocator", stringify!($module));
            assert_eq!(first, second, "{}", stringify!($module));
        }
        let mut scratch = Box::new([MaybeUninit::uninit(); $module::Model::SCRATCH_BYTES]);
        let mut third = first.map(|_| 0.0);
        let count = calls(|| {
            let mut model = $module::Model::new_in(&mut scratch);
            third = *model.run($(&$input),*).expect("it runs").$output();
        });
        assert_eq!((count, first), (0, third), "{}: in the caller's memory", stringify!($module));
        // Another thread, at the same time as this one.
        let thread = std::thread::spawn(move || *clone.run($(&$input),*).expect("it runs").$output());
        assert_eq!(thread.join().expect("no panic"), first);
    }};
}

fn main() {
    assert_eq!(calls(|| drop(std::hint::black_box(Box::new(1)))), 2, "the counter counts");
    never_allocates!(digits, probabilities, [numbers::<64>(3)]);
    never_allocates!(lstm, y, [numbers::<24>(1)]);
    never_allocates!(mlp, y, [numbers::<8>(2)]);
    never_allocates!(block, y, [numbers::<32>(5)]);
    // Chosen at run time, among models of this one binary.
    let sessions: [Box<dyn Session>; 2] = [Box::new(digits::Model::new()), Box::new(mlp::Model::new())];
    let names: Vec<&str> = sessions.iter().map(|s| s.outputs()[0].name).collect();
    assert_eq!(names, ["probabilities", "y"]);
}
