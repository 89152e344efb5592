//! A look at a picture before it is shown to anybody: the browser that drew it is not trusted either.

use std::io::Read;

use flate2::read::ZlibDecoder;

use crate::document::{HEIGHT, WIDTH};

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Whether these bytes are a picture of our size in which something is to be seen; why not.
pub(crate) fn check(bytes: &[u8]) -> Result<(), &'static str> {
    let chunks = chunks(bytes).ok_or("the browser left no picture")?;
    let (kind, head) = chunks.first().ok_or("the browser left an empty picture")?;
    let sides =
        [head.get(..4), head.get(4..8)].map(|side| side.and_then(|side| side.try_into().ok()).map(u32::from_be_bytes));
    if *kind != *b"IHDR" || sides != [Some(WIDTH), Some(HEIGHT)] {
        return Err("the picture has another size");
    }
    // Eight bits of each colour, with or without opacity, not interlaced: what the browser makes.
    let channels = match head.get(8..13) {
        Some([8, 2, 0, 0, 0]) => 3,
        Some([8, 6, 0, 0, 0]) => 4,
        _ => return Err("the picture is of another kind"),
    };
    let packed: Vec<u8> =
        chunks.iter().filter(|(kind, _)| kind == b"IDAT").flat_map(|(_, data)| *data).copied().collect();
    let line = WIDTH as usize * channels + 1;
    let whole = line * HEIGHT as usize;
    let mut lines = Vec::with_capacity(whole);
    let read = ZlibDecoder::new(&*packed).take(whole as u64 + 1).read_to_end(&mut lines);
    if read.is_err() || lines.len() != whole {
        return Err("the picture is damaged");
    }
    if is_plain(&lines, line, channels) { Err("the picture shows one colour only") } else { Ok(()) }
}

/// The chunks of a complete file, the end left out.
fn chunks(bytes: &[u8]) -> Option<Vec<([u8; 4], &[u8])>> {
    let mut rest = bytes.strip_prefix(SIGNATURE)?;
    let mut chunks = Vec::new();
    loop {
        let length = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        let kind: [u8; 4] = rest.get(4..8)?.try_into().ok()?;
        let data = rest.get(8..length.checked_add(8)?)?;
        rest = rest.get(length + 12..)?;
        if kind == *b"IEND" {
            return Some(chunks);
        }
        chunks.push((kind, data));
    }
}

/// Whether all pixels are alike. Lines are kept as differences to their neighbours, by a rule that each of them names; in a
/// plain picture none differs, but for the first line and the first pixel.
fn is_plain(lines: &[u8], line: usize, channels: usize) -> bool {
    let mut lines = lines.chunks_exact(line).enumerate();
    lines.all(|(number, line)| {
        let (rule, pixels) = (line[0], &line[1..]);
        let first = &pixels[..channels];
        let (_, others) = pixels.split_at(channels);
        match (rule, number) {
            // As they are.
            (0, _) => pixels.chunks_exact(channels).all(|pixel| pixel == first),
            // Against the pixel before.
            (1, _) | (4, 0) => others.iter().all(|byte| *byte == 0),
            // Against the pixel above, or the nearest of three neighbours.
            (2 | 4, 1..) => pixels.iter().all(|byte| *byte == 0),
            (2, 0) => pixels.chunks_exact(channels).all(|pixel| pixel == first),
            // The mean of two neighbours leaves half of the first; no browser chooses that for a plain picture.
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::ZlibEncoder};

    use super::*;

    fn chunk(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        [&length, &kind, data, &[0; 4]].concat()
    }

    /// A picture whose pixels are these, by line and column.
    fn picture(width: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        for y in 0..HEIGHT {
            zlib.write_all(&[0]).unwrap();
            for x in 0..width {
                zlib.write_all(&pixel(y, x)).unwrap();
            }
        }
        let head = [width.to_be_bytes().as_slice(), &HEIGHT.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
        let data = zlib.finish().unwrap();
        [SIGNATURE, &chunk(*b"IHDR", &head), &chunk(*b"IDAT", &data), &chunk(*b"IEND", &[])].concat()
    }

    #[test]
    fn a_picture_has_to_show_something() {
        let dot = picture(WIDTH, |y, x| if (y, x) == (7, 9) { [1; 3] } else { [255; 3] });
        assert_eq!(check(&dot), Ok(()));
        assert_eq!(check(&picture(WIDTH, |_, _| [255, 0, 9])), Err("the picture shows one colour only"));
    }

    #[test]
    fn what_is_no_picture_of_ours_is_refused() {
        let good = picture(WIDTH, |y, _| [u8::try_from(y % 200).unwrap(); 3]);
        assert_eq!(check(b"<html>"), Err("the browser left no picture"));
        assert_eq!(check(&good[..good.len() - 13]), Err("the browser left no picture"));
        assert_eq!(check(&picture(WIDTH + 1, |_, _| [0; 3])), Err("the picture has another size"));
        let mut damaged = good.clone();
        damaged[60..90].fill(0);
        assert_eq!(check(&damaged), Err("the picture is damaged"));
    }
}
