//! From probabilities to stretches of speech, with the package's rules and default settings.

use crate::detector::WINDOW;

/// At this probability speech begins, below the other it may have ended.
const BEGINS: f32 = 0.5;
const ENDS: f32 = 0.35;
/// Shorter speech is none (250 ms), shorter silence ends none (100 ms).
const LEAST_SPEECH: usize = 4000;
const LEAST_SILENCE: usize = 1600;
/// Added on both sides (30 ms).
const PAD: usize = 480;

/// A stretch of speech, in samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// The first sample.
    pub start: usize,
    /// The sample after the last.
    pub end: usize,
}

/// The stretches of speech in a sound of `length` samples.
pub fn segments(probabilities: &[f32], length: usize) -> Vec<Segment> {
    let mut found = Vec::new();
    let mut start = None;
    let mut silent = None;
    let mut add = |start: usize, end: usize| {
        if end.saturating_sub(start) > LEAST_SPEECH {
            found.push(Segment { start, end });
        }
    };
    for (i, &probability) in probabilities.iter().enumerate() {
        let now = i * WINDOW;
        if probability >= BEGINS {
            silent = None;
            start.get_or_insert(now);
        } else if let Some(from) = start
            && probability < ENDS
        {
            let end = *silent.get_or_insert(now);
            if now - end >= LEAST_SILENCE {
                add(from, end);
                (start, silent) = (None, None);
            }
        }
    }
    if let Some(from) = start {
        add(from, length);
    }
    pad(&mut found, length);
    found
}

/// Makes the stretches longer on both sides; neighbours share the silence between them where there is too little.
fn pad(segments: &mut [Segment], length: usize) {
    if let Some(first) = segments.first_mut() {
        first.start = first.start.saturating_sub(PAD);
    }
    for i in 1..segments.len() {
        let silence = segments[i].start - segments[i - 1].end;
        let share = if silence < 2 * PAD { silence / 2 } else { PAD };
        segments[i - 1].end += share;
        segments[i].start -= share;
    }
    if let Some(last) = segments.last_mut() {
        last.end = (last.end + PAD).min(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_silence_is_bridged_and_short_speech_dropped() {
        let mut p = vec![0.0; 100];
        p[10..30].fill(0.9);
        p[32..40].fill(0.9);
        p[60..64].fill(0.9);
        p[90..].fill(0.9);
        let expected = [(10 * 512 - 480, 40 * 512 + 480), (90 * 512 - 480, 51_000)];
        let found: Vec<_> = segments(&p, 51_000).iter().map(|s| (s.start, s.end)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn between_the_thresholds_nothing_changes() {
        let mut p = vec![0.4; 40];
        assert_eq!(segments(&p, 40 * 512), []);
        p[3] = 0.6;
        assert_eq!(segments(&p, 40 * 512), [Segment { start: 3 * 512 - 480, end: 40 * 512 }]);
    }
}
