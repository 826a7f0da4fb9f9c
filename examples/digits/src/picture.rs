//! A picture as the network wants it: 8 x 8 amounts of ink from 0 to 16, as in scikit-learn's digits.

use image::GrayImage;
use std::path::Path;

const SIZE: u32 = 8;

/// Reads a PNG, PGM, PPM or PBM file of any size.
pub fn read(path: &Path) -> Result<[f32; 64], image::ImageError> {
    Ok(ink(&image::ImageReader::open(path)?.with_guessed_format()?.decode()?.into_luma8()))
}

/// Bright ink on a dark ground, as the training data is; a mostly bright picture is turned over first.
fn ink(picture: &GrayImage) -> [f32; 64] {
    let mut cells = [0.0; 64];
    for (i, cell) in (0..).zip(&mut cells) {
        *cell = mean(picture, span(i % SIZE, picture.width()), span(i / SIZE, picture.height())) / 255.0 * 16.0;
    }
    if cells.iter().sum::<f32>() > 8.0 * 64.0 {
        cells.iter_mut().for_each(|cell| *cell = 16.0 - *cell);
    }
    cells
}

/// The part of `0..length` that the cell covers, in pixels.
fn span(cell: u32, length: u32) -> (f32, f32) {
    let pixels = length as f32 / SIZE as f32;
    (cell as f32 * pixels, (cell + 1) as f32 * pixels)
}

/// The mean brightness of a rectangle; a pixel counts by the share of it that is inside.
fn mean(picture: &GrayImage, (left, right): (f32, f32), (top, bottom): (f32, f32)) -> f32 {
    let (mut sum, mut area) = (0.0, 0.0);
    for y in top as u32..(bottom.ceil() as u32).min(picture.height()) {
        let height = bottom.min(y as f32 + 1.0) - top.max(y as f32);
        for x in left as u32..(right.ceil() as u32).min(picture.width()) {
            let share = height * (right.min(x as f32 + 1.0) - left.max(x as f32));
            sum += share * f32::from(picture.get_pixel(x, y).0[0]);
            area += share;
        }
    }
    if area > 0.0 { sum / area } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Luma;

    #[test]
    fn cells_are_means_of_the_pixels_they_cover() {
        // 12 pixels on 8 cells: a cell covers one and a half.
        let picture = GrayImage::from_fn(12, 8, |x, _| Luma([if x == 1 { 255 } else { 0 }]));
        let row = &ink(&picture)[..8];
        assert!((row[0] - 16.0 / 3.0).abs() < 1e-4 && (row[1] - 16.0 / 3.0).abs() < 1e-4, "{row:?}");
        assert!(row[2..].iter().all(|&v| v == 0.0), "{row:?}");
    }

    #[test]
    fn dark_on_bright_is_turned_over() {
        let bright = GrayImage::from_fn(16, 16, |x, y| Luma([if x < 2 && y < 2 { 0 } else { 255 }]));
        let cells = ink(&bright);
        assert_eq!((cells[0], cells[1], cells[63]), (16.0, 0.0, 0.0));
    }

    #[test]
    fn small_pictures_are_enlarged() {
        assert_eq!(ink(&GrayImage::from_pixel(1, 1, Luma([51])))[30], 3.2);
    }
}
