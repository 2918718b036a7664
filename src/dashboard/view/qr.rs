//! QR codes (ISO/IEC 18004), as one path of an SVG.
//!
//! They never leave the page: no other host is asked to draw one.

use std::fmt::Write as _;

use qrcodegen::{QrCode, QrCodeEcc};

/// A QR code.
pub(in crate::dashboard) struct Qr {
    /// Modules of a side, the quiet zone of four on each side included.
    pub(super) side: i32,
    /// Its dark modules, as an SVG path.
    pub(super) path: String,
    /// What it is, for those who do not see it.
    pub(super) label: &'static str,
}

impl Qr {
    /// The code of a text; `None` when it is too long for one.
    pub(in crate::dashboard) fn of(text: &str, label: &'static str) -> Option<Self> {
        let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
        let mut path = String::new();
        for y in 0..code.size() {
            let mut x = 0;
            while x < code.size() {
                let wide = (x..code.size()).take_while(|x| code.get_module(*x, y)).count();
                if wide > 0 {
                    // Nothing fails that writes into a text.
                    let _ = write!(path, "M{x} {y}h{wide}v1h-{wide}z");
                }
                x += i32::try_from(wide).ok()?.max(1);
            }
        }
        Some(Self { side: code.size() + 8, path, label })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_its_dark_modules() {
        let qr = Qr::of("A", "A code").unwrap();
        assert_eq!(qr.side, 21 + 8);
        // The first row: a finder pattern at each end, seven modules wide.
        assert!(qr.path.starts_with("M0 0h7v1h-7z"), "{}", qr.path);
        assert!(qr.path.contains("M14 0h7v1h-7z"), "{}", qr.path);
        let code = QrCode::encode_text("A", QrCodeEcc::Medium).unwrap();
        let dark =
            (0..21).flat_map(|y| (0..21).map(move |x| (x, y))).filter(|(x, y)| code.get_module(*x, *y));
        let drawn =
            qr.path.split('h').skip(1).filter_map(|part| part.split_once('v')?.0.parse::<usize>().ok());
        assert_eq!(drawn.sum::<usize>(), dark.count());
        assert!(Qr::of(&"a".repeat(3_000), "Too much").is_none());
    }
}
