//! Colours: a company's brand colour, and shades of it that people can read (WCAG 2.2, success criterion 1.4.3).
//!
//! It never hands out a colour for text whose contrast is below 4.5 to 1 on the surfaces of the pages.

use std::fmt::Write;

/// An sRGB colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color {
    red: u8,
    green: u8,
    blue: u8,
}

/// Least contrast of text (WCAG 2.2, AA).
const READABLE: f64 = 4.5;
/// The darkest surface of light pages, and the lightest of dark ones: `--tint` in site.css.
const LIGHT: Color = Color { red: 0xee, green: 0xf1, blue: 0xf4 };
const DARK: Color = Color { red: 0x23, green: 0x2b, blue: 0x33 };
const WHITE: Color = Color { red: 255, green: 255, blue: 255 };
const BLACK: Color = Color { red: 0, green: 0, blue: 0 };

impl Color {
    /// The platform's own.
    pub const PLATFORM: Self = Self { red: 0x0f, green: 0x6a, blue: 0xb4 };

    /// Reads `#rrggbb`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        let number = u32::from_str_radix(digits, 16).ok()?;
        let [_, red, green, blue] = number.to_be_bytes();
        Some(Self { red, green, blue })
    }

    /// `#rrggbb`.
    #[must_use]
    pub fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }

    /// What to write on it: white or black, whichever is read better.
    #[must_use]
    pub fn ink(self) -> Self {
        if self.contrast(WHITE) >= READABLE || self.contrast(WHITE) > self.contrast(BLACK) {
            WHITE
        } else {
            BLACK
        }
    }

    /// The shades of it that can be read on light and on dark pages.
    #[must_use]
    pub fn inks(self) -> (Self, Self) {
        (self.readable_on(LIGHT, BLACK), self.readable_on(DARK, WHITE))
    }

    /// The custom properties of a page in this colour.
    #[must_use]
    pub fn theme(self) -> String {
        let (on_light, on_dark) = self.inks();
        let mut css = String::new();
        let set = write!(
            css,
            ":root{{--accent:{};--on-accent:{};--accent-ink:{}}}\n\
             @media (prefers-color-scheme:dark){{:root{{--accent-ink:{}}}}}\n",
            self.hex(),
            self.ink().hex(),
            on_light.hex(),
            on_dark.hex(),
        );
        debug_assert!(set.is_ok(), "writing to a string does not fail");
        css
    }

    /// The nearest shade, towards black or white, that can be read on a surface.
    fn readable_on(self, surface: Self, towards: Self) -> Self {
        let shades = (0..=20).map(|step| self.mixed(towards, step));
        let mut readable = shades.filter(|shade| shade.contrast(surface) >= READABLE);
        readable.next().unwrap_or(towards)
    }

    /// So many twentieths of another colour in it.
    fn mixed(self, other: Self, twentieths: u32) -> Self {
        let mix = |from: u8, to: u8| {
            let sum = u32::from(from) * 20u32.saturating_sub(twentieths) + u32::from(to) * twentieths;
            u8::try_from(sum / 20).unwrap_or(u8::MAX)
        };
        Self {
            red: mix(self.red, other.red),
            green: mix(self.green, other.green),
            blue: mix(self.blue, other.blue),
        }
    }

    /// Contrast ratio, 1 to 21 (WCAG 2.2, "contrast ratio").
    fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// Relative luminance, 0 to 1 (WCAG 2.2, "relative luminance").
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.red) + 0.7152 * linear(self.green) + 0.0722 * linear(self.blue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_that_of_the_standard() {
        assert!((WHITE.contrast(BLACK) - 21.0).abs() < 1e-9);
        let grey = Color::parse("#777777").unwrap();
        assert!((WHITE.contrast(grey) - 4.48).abs() < 0.01);
    }

    #[test]
    fn every_brand_can_be_read() {
        for channel in 0..=0xfff_u32 {
            let wide = |shift: u32| u8::try_from(((channel >> shift) & 0xf) * 17).unwrap();
            let brand = Color { red: wide(8), green: wide(4), blue: wide(0) };
            assert!(brand.contrast(brand.ink()) >= READABLE, "{brand:?}");
            assert!(brand.readable_on(LIGHT, BLACK).contrast(LIGHT) >= READABLE, "{brand:?}");
            assert!(brand.readable_on(DARK, WHITE).contrast(DARK) >= READABLE, "{brand:?}");
        }
    }

    #[test]
    fn a_readable_brand_stays_as_it_is() {
        let css = Color::parse("#0f6ab4").unwrap().theme();
        assert!(css.starts_with(":root{--accent:#0f6ab4;--on-accent:#ffffff;--accent-ink:#0f6ab4}"), "{css}");
        assert_eq!(Color::parse("0f6ab4"), None);
        assert_eq!(Color::parse("#0f6ab"), None);
        assert_eq!(Color::parse("#0f6abé"), None);
    }
}
