use core::mem::MaybeUninit;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The digit of an image of 64 pixels, or -1.
#[unsafe(no_mangle)]
pub extern "C" fn digit(image: &[f32; 64]) -> i32 {
    static mut SCRATCH: [MaybeUninit<u8>; digits::Model::SCRATCH_BYTES] = [MaybeUninit::uninit(); digits::Model::SCRATCH_BYTES];
    // SAFETY: the program has one thread.
    let mut model = digits::Model::new_in(unsafe { &mut *(&raw mut SCRATCH) });
    let Ok(outputs) = model.run(image) else { return -1 };
    let best = outputs.probabilities().iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(-1, |(digit, _)| digit as i32)
}
